//! Decides which requests the admin listener answers: one layer in front of all routes. What a request may do by its
//! method and path is decided here; what depends on its parameters, a handler asks of the [`Access`] that it gets.
//!
//! A web page can make its visitor's browser send requests to any address that the browser reaches, including this
//! listener's. By DNS rebinding the page can even read the answers, because its own name then resolves to this address.
//! The browser's headers give such requests away: `Host` has the name that the page was loaded from, and so does
//! `Origin` on a request that changes something. So the listener answers only under names that no attacker can make
//! resolve to it, and under those that the operator lists.
//!
//! A browser sends a cookie with whatever asks for it, also with a request that a page on another port of the same host
//! has made. So a session counts for our own pages only, and changes something only with its CSRF token, which such a
//! page cannot read.

mod origin;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONNECTION, COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::Access;
use super::console;
use super::error::AdminError;
use super::session::{self, SessionSecret};
use super::token::TokenFile;
use crate::api;
use crate::restart::Restarts;
pub use origin::Names;
use origin::Sender;

/// Paths that need no token, only a right host: probes know no token.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// The header in which a page of the console sends its session's CSRF token.
const CSRF: &str = "x-csrf-token";

/// How many sessions of a request are looked up. A browser sends several where cookies for several paths have one name.
const LOOKED_UP: usize = 4;

/// The settings by which requests are let through or refused.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Further names under which the listener answers.
    pub names: Names,
    pub token: Option<TokenFile>,
    /// Whether the drain is announced.
    pub draining: Arc<AtomicBool>,
    /// Where the next process is, once there is one.
    pub restarts: Restarts,
}

/// Passes on the requests that may be answered, with the [`Access`] of whoever sent them, and with the [`SessionSecret`]
/// if it is a session's.
pub async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let allowed = match guard.credentials(&request) {
        Ok(credentials) => guard.admits(credentials, &method, &path).await,
        Err(refusal) => Err(refusal),
    };
    let is_draining = guard.draining.load(Ordering::Relaxed);
    let mut response = match allowed {
        Ok(_) if is_draining && !method.is_safe() => {
            let next = guard.restarts.state().moved_to;
            AdminError::Draining { next }.into_response()
        }
        Ok(admitted) => {
            let extensions = request.extensions_mut();
            if let Some((access, session)) = admitted {
                extensions.insert(access);
                session.map(|session| extensions.insert(session));
            }
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    if is_draining {
        // A client that tries again should reach the next process.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // Keeps a browser from taking plain text for anything else.
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert("x-content-type-options", nosniff);
    response
}

/// What a request says of who sends it.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
struct Credentials {
    bearer: Option<String>,
    sessions: Vec<SessionSecret>,
    csrf: Option<String>,
}

/// Whoever sends a request, and the session by which that is known.
type Admitted = (Access, Option<SessionSecret>);

impl Guard {
    /// What a request says of who sends it, if it may be answered at all.
    fn credentials(&self, request: &Request) -> Result<Credentials, AdminError> {
        let sender = self.names.sender(request)?;
        let is_foreign = sender == Sender::Foreign;
        if is_foreign && !request.method().is_safe() {
            return Err(AdminError::ForeignOrigin);
        }
        let headers = request.headers();
        let bearer = bearer(headers);
        let sessions: Vec<_> = match &bearer {
            None => sessions(headers).take(LOOKED_UP).collect(),
            Some(_) => Vec::new(),
        };
        if is_foreign && !sessions.is_empty() {
            return Err(AdminError::ForeignOrigin);
        }
        let csrf = headers.get(CSRF).and_then(|sent| sent.to_str().ok()).map(str::to_owned);
        Ok(Credentials { bearer, sessions, csrf })
    }

    /// Whoever sends a request; `None` where that does not matter.
    async fn admits(
        &self,
        Credentials { bearer, sessions, csrf }: Credentials,
        method: &Method,
        path: &str,
    ) -> Result<Option<Admitted>, AdminError> {
        let Some(tokens) = &self.token else { return Ok(Some((Access::of_everybody(), None))) };
        if is_public(method, path) {
            return Ok(None);
        }
        let (access, session) = match bearer {
            Some(token) => (tokens.admits(&token).await.ok_or(AdminError::TokenWrong)?, None),
            None => {
                let known = |it: SessionSecret| tokens.of_session(&it).map(|access| (access, it));
                let found = sessions.into_iter().find_map(known);
                let (access, session) = found.ok_or(AdminError::TokenMissing)?;
                let is_meant = csrf.is_some_and(|csrf| session.has_csrf(&csrf));
                if !method.is_safe() && !is_meant {
                    return Err(AdminError::Csrf);
                }
                (access, Some(session))
            }
        };
        access.to(method, path)?;
        Ok(Some((access, session)))
    }
}

/// Whether a request needs no token: the console's files say nothing of this process, and a login brings its token.
fn is_public(method: &Method, path: &str) -> bool {
    let is_login = method == Method::POST && path == api::SESSION;
    PROBES.contains(&path) || console::has(path) || is_login
}

/// The token in a header. A proxy in front of us may use the same header for something of its own.
pub fn bearer(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = sent.split_once(' ')?;
    // RFC 9110, section 11.1: the scheme may be in any case.
    let is_token = scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty();
    is_token.then(|| token.to_owned())
}

/// The sessions that a browser sends, in its order.
fn sessions(headers: &HeaderMap) -> impl Iterator<Item = SessionSecret> {
    let sent = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies =
        sent.flat_map(|value| value.split(';')).filter_map(|it| it.trim().split_once('='));
    let own = cookies.filter(|(name, _)| *name == session::COOKIE);
    own.filter_map(|(_, value)| SessionSecret::of_cookie(value))
}

#[cfg(test)]
mod tests;
