//! What HTTPS means for a request beyond its connection: cleartext requests are sent to HTTPS, browsers are told to stay
//! there, and requests that have come on the connection of another host are sent back.

use std::net::IpAddr;

use http::uri::Scheme;
use http::{HeaderValue, StatusCode, Version, header};

use super::failure::Failure;
use super::session::Session;
use crate::config::TlsSettings;
use crate::exchange::ResponseHead;
use crate::routing;
use crate::transport::tls::Certificates;

/// The port that URLs leave out.
const HTTPS: u16 = 443;

/// The listener of HTTPS, as requests see it.
#[derive(Clone, Debug)]
pub struct Https {
    /// The certificates that clients get.
    pub certificates: Certificates,
    /// Where it listens.
    pub port: u16,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Way {
    Serve,
    /// Its client is to ask again at this URL.
    Redirect(String),
}

impl Https {
    /// Decides about a request by its connection and its host.
    ///
    /// # Errors
    ///
    /// Where the request is for another connection.
    pub fn look(&self, session: &mut Session, settings: &TlsSettings) -> Result<Way, Failure> {
        if session.is_local() {
            return Ok(Way::Serve);
        }
        if let Some(hsts) = self.hsts(session, settings) {
            session.set_hsts(hsts);
        }
        if self.is_misdirected(session) {
            return Err(Failure::Misdirected);
        }
        let location = if settings.redirect { self.redirect(session) } else { None };
        Ok(location.map_or(Way::Serve, Way::Redirect))
    }

    /// The field that has browsers use HTTPS only, for responses over TLS to hosts with a name
    /// ([RFC 6797, sections 7.2 and 8.1.1](https://www.rfc-editor.org/rfc/rfc6797#section-7.2)).
    fn hsts(&self, session: &Session, settings: &TlsSettings) -> Option<HeaderValue> {
        let age = settings.hsts?;
        session.tls()?;
        let host = routing::host(session.request())?;
        (!is_address(host))
            .then(|| HeaderValue::from_str(&format!("max-age={}", age.as_secs())))?
            .ok()
    }

    /// Whether a client has used a connection for a host that the connection's certificate is not for, while another
    /// certificate is. A client of HTTP/2 may do so where it trusts us for both, and asks again on another connection
    /// ([RFC 9110, section 15.5.20](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20)).
    fn is_misdirected(&self, session: &Session) -> bool {
        let Some(tls) = session.tls().filter(|_| session.request().version == Version::HTTP_2)
        else {
            return false;
        };
        let Some(host) = routing::host(session.request()).map(bare) else { return false };
        let is_covered = tls.certificate.as_ref().is_some_and(|it| it.covers(host));
        !is_covered && self.certificates.table().covers(host)
    }

    /// Where a cleartext request should have gone: to the same target over HTTPS, if its host has a certificate.
    fn redirect(&self, session: &Session) -> Option<String> {
        if *session.scheme() != Scheme::HTTP || session.tls().is_some() {
            return None;
        }
        let host = routing::host(session.request())?;
        if !self.certificates.table().covers(bare(host)) {
            return None;
        }
        let target = session.request().uri.path_and_query().map_or("/", |target| target.as_str());
        // `*` is no path, and no host of its own.
        let target = if target.starts_with('/') { target } else { "/" };
        Some(match self.port {
            HTTPS => format!("https://{host}{target}"),
            port => format!("https://{host}:{port}{target}"),
        })
    }
}

/// A response that sends a client to HTTPS, with the same method and the same body ([RFC 9110, section
/// 15.4.9](https://www.rfc-editor.org/rfc/rfc9110#section-15.4.9)).
///
/// # Errors
///
/// Where the client is gone.
pub async fn redirect(session: &mut Session, location: &str) -> Result<(), Failure> {
    let location = HeaderValue::from_str(location).map_err(|_| Failure::BadRequest)?;
    let mut head = ResponseHead::new(StatusCode::PERMANENT_REDIRECT);
    head.fields.append(header::LOCATION, location);
    head.fields.append(header::CONTENT_LENGTH, HeaderValue::from(0));
    // The body of the request is not wanted, and may be long.
    if !session.is_body_empty() {
        session.close_after();
    }
    session.write_head(head, true).await?;
    session.finish(None).await?;
    Ok(())
}

/// A host as certificates have it: without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_address(host: &str) -> bool {
    bare(host).parse::<IpAddr>().is_ok()
}
