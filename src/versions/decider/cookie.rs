//! The cookie with a generated sticky key.

use crate::config::{CookieSettings, SameSite, StickyKey};
use crate::routing::Id;

/// How the cookie is written.
#[derive(Debug)]
pub struct Cookie {
    name: String,
    attributes: String,
}

impl Cookie {
    /// Written as [RFC 6265, section 4.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1) has it.
    pub fn of(key: &StickyKey) -> Option<Self> {
        let StickyKey::Generated(settings) = key else { return None };
        let CookieSettings { name, ttl, secure, http_only, same_site } = settings;
        let mut attributes = format!("; Path=/; Max-Age={}", ttl.as_secs());
        if *secure {
            attributes.push_str("; Secure");
        }
        if *http_only {
            attributes.push_str("; HttpOnly");
        }
        attributes.push_str(match same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        Some(Self { name: name.clone(), attributes })
    }

    /// The value of `set-cookie` for a client whose key was just made.
    pub fn with(&self, id: &Id) -> String {
        let Self { name, attributes } = self;
        format!("{name}={id}{attributes}")
    }
}
