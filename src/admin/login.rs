//! `/api/v1/session`: a browser gives a token, and gets a cookie that stands for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};

use super::Admin;
use super::access::Access;
use super::body::Expected;
use super::error::AdminError;
use super::listen::Peer;
use super::routes::no_parameters;
use super::session::{COOKIE, LASTS, SessionSecret};
use crate::api::{Authentication, LoginQuestion, SessionDocument};

/// The longest question, in bytes: a token is far shorter.
const LONGEST: usize = 64 << 10;

fn expected() -> Expected {
    Expected {
        longest: LONGEST,
        too_long: "send a token of `token-file`".to_owned(),
        help: "send a JSON object with `token`",
    }
}

/// Who asks, and what they may do.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    Extension(access): Extension<Access>,
    session: Option<Extension<SessionSecret>>,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let session = session.as_ref().map(|Extension(session)| session);
    Ok(unstored(Json(document(&admin, &access, session))))
}

/// Begins a session. The one that the browser had before goes on until it ends, since another tab may use it.
pub async fn begin(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let secure = is_secure(request.headers());
    let question: Option<LoginQuestion> = expected().read(request).await?;
    let LoginQuestion { token } = question.ok_or_else(|| expected().malformed("it is empty"))?;
    let Some(tokens) = &admin.token else {
        return Ok(unstored(Json(document(&admin, &Access::of_everybody(), None))));
    };
    let access = admin.attempt(peer, tokens.admits(&token)).await?;
    let session = tokens.begin_session(&token);
    let session = session.map_err(|error| AdminError::Internal(error.to_string()))?;
    tracing::info!("a session of the console begins: {}", named(&access));
    let cookie = cookie(session.cookie(), LASTS, secure);
    Ok(([(SET_COOKIE, cookie)], unstored(Json(document(&admin, &access, Some(&session)))))
        .into_response())
}

/// Ends the session that asks for it.
pub async fn end(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    session: Option<Extension<SessionSecret>>,
    headers: HeaderMap,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    if let (Some(tokens), Some(Extension(session))) = (&admin.token, session) {
        tokens.end_session(&session);
    }
    let cookie = cookie("", Duration::ZERO, is_secure(&headers));
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}

impl Admin {
    /// What a token opens that somebody has sent to log in.
    async fn attempt(
        &self,
        peer: IpAddr,
        admits: impl Future<Output = Option<Access>>,
    ) -> Result<Access, AdminError> {
        let begun = self.attempts.begin(peer, Instant::now());
        begun.map_err(|wait| AdminError::TooManyAttempts { wait })?;
        let Some(access) = admits.await else {
            tracing::warn!("a login to the console with a wrong token, from {peer}");
            return Err(AdminError::TokenWrong);
        };
        self.attempts.was_right(peer);
        Ok(access)
    }
}

fn document(admin: &Admin, access: &Access, session: Option<&SessionSecret>) -> SessionDocument {
    SessionDocument {
        authentication: match &admin.token {
            Some(_) => Authentication::Token,
            None => Authentication::None,
        },
        role: access.role,
        name: access.name.as_deref().map(str::to_owned),
        csrf: session.map(SessionSecret::csrf),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn named(access: &Access) -> &str {
    access.name.as_deref().unwrap_or("a token without a name")
}

/// Keeps what is for one person out of caches.
fn unstored(answer: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-store")], answer).into_response()
}

/// Whether the page was loaded over TLS, which ends in front of us: the browser must then not send the cookie in clear.
fn is_secure(headers: &HeaderMap) -> bool {
    headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

fn cookie(value: &str, lasts: Duration, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    let lasts = lasts.as_secs();
    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={lasts}{secure}")
}
