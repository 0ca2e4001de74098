//! The one policy from a failure to what a client sees: a status, a stable code and a problem
//! document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), never an internal detail.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;

use super::ctx::RequestCtx;
use super::headers::{WATERSHED_DECISION, WATERSHED_ERROR, WATERSHED_GENERATION, X_REQUEST_ID};
use crate::config::Expose;
use crate::runtime::GuestFailure;

/// When to come back after a 503 that time may heal, in seconds.
const RETRY_AFTER: &str = "1";

/// How long, and how much of, a body that is too large is read after its response.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// Why a request got no response from a version.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The request is not HTTP as it should be.
    BadRequest,
    NoService,
    Offline,
    NoVersion,
    Overload,
    RequestBody,
    Guest(GuestFailure),
}

/// What becomes of a failure.
struct Policy {
    status: StatusCode,
    code: &'static str,
    /// What the client is told.
    detail: &'static str,
}

impl Failure {
    /// The stable code, for the header `watershed-error`, metrics and logs.
    pub fn code(&self) -> &'static str {
        self.policy().code
    }

    /// The whole table.
    fn policy(&self) -> Policy {
        match self {
            Self::BadRequest => policy(
                StatusCode::BAD_REQUEST,
                "bad-request",
                "The request names no host, or its body is malformed.",
            ),
            Self::NoService => {
                policy(StatusCode::NOT_FOUND, "no-service", "No service has this host.")
            }
            Self::Offline => policy(
                StatusCode::SERVICE_UNAVAILABLE,
                "offline",
                "The service is offline: no version has a share of its traffic.",
            ),
            Self::NoVersion => policy(
                StatusCode::SERVICE_UNAVAILABLE,
                "no-version",
                "No version of the service can take requests now.",
            ),
            Self::Overload => policy(
                StatusCode::SERVICE_UNAVAILABLE,
                "overload",
                "Every place for a request of this version is taken.",
            ),
            Self::RequestBody => policy(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request-body",
                "The request body is larger than this version accepts.",
            ),
            Self::Guest(failure) => guest_policy(failure),
        }
    }

    /// Whether the same request may be answered in a moment.
    fn passes(&self) -> bool {
        matches!(
            self,
            Self::NoVersion | Self::Overload | Self::Guest(GuestFailure::PoolExhausted(_))
        )
    }

    fn document(&self, request_id: &str) -> Bytes {
        let Policy { status, code, detail } = self.policy();
        let document = serde_json::json!({
            "type": format!("urn:watershed:error:{code}"),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": detail,
            "request-id": request_id,
        });
        Bytes::from(format!("{document}\n"))
    }
}

fn policy(status: StatusCode, code: &'static str, detail: &'static str) -> Policy {
    Policy { status, code, detail }
}

/// The rows of what a guest did.
fn guest_policy(failure: &GuestFailure) -> Policy {
    match failure {
        GuestFailure::Trap(_) => policy(
            StatusCode::INTERNAL_SERVER_ERROR,
            "trap",
            "The version failed while it served this request.",
        ),
        GuestFailure::Memory(_) => policy(
            StatusCode::INTERNAL_SERVER_ERROR,
            "memory",
            "The version ran out of memory for this request.",
        ),
        GuestFailure::CpuTime => policy(
            StatusCode::GATEWAY_TIMEOUT,
            "cpu-time",
            "The version used up its CPU time for this request.",
        ),
        GuestFailure::WallTime => {
            policy(StatusCode::GATEWAY_TIMEOUT, "wall-time", "The version did not respond in time.")
        }
        GuestFailure::NoResponse(_) => {
            policy(StatusCode::BAD_GATEWAY, "no-response", "The version ended without a response.")
        }
        GuestFailure::Truncated(_) => {
            policy(StatusCode::BAD_GATEWAY, "truncated", "The version broke off its response.")
        }
        GuestFailure::BadResponse(_) => policy(
            StatusCode::BAD_GATEWAY,
            "bad-response",
            "The version gave a response that is not HTTP as it should be.",
        ),
        GuestFailure::PoolExhausted(_) => Failure::Overload.policy(),
    }
}

/// Sends the response to a failure; nothing may have been sent before.
pub async fn respond(
    session: &mut ServerSession,
    ctx: &mut RequestCtx,
    failure: &Failure,
) -> Result<()> {
    let request_id = ctx.request_id(&session.req_header().headers);
    let body = failure.document(&request_id);
    let mut header = ResponseHeader::build(failure.policy().status, Some(8))?;
    header.insert_header(header::CONTENT_TYPE, "application/problem+json")?;
    header.insert_header(header::CONTENT_LENGTH, body.len())?;
    header.insert_header(header::CACHE_CONTROL, "no-store")?;
    header.insert_header(WATERSHED_ERROR, failure.code())?;
    header.insert_header(X_REQUEST_ID, &*request_id)?;
    if ctx.expose == Expose::Decision {
        header.insert_header(WATERSHED_GENERATION, ctx.generation)?;
        if let Some(decision) = &ctx.decision {
            header.insert_header(WATERSHED_DECISION, decision.as_str())?;
        }
    }
    if failure.passes() {
        header.insert_header(header::RETRY_AFTER, RETRY_AFTER)?;
    }
    let has_body = session.req_header().method != Method::HEAD;
    let waits = super::headers::expects_continue(session.req_header());
    if waits || matches!(failure, Failure::BadRequest | Failure::RequestBody) {
        // The rest of the body will not come, or cannot be told from the next request, or is too
        // much to wait for.
        session.set_keepalive(None);
    }
    session.write_response_header(Box::new(header)).await?;
    session.write_response_body(if has_body { body } else { Bytes::new() }, true).await?;
    if matches!(failure, Failure::RequestBody) && !waits && !session.is_http2() {
        linger(session).await;
    }
    Ok(())
}

/// Reads on for a little. A connection that is closed while its client sends is reset, and the
/// client may never see the response.
async fn linger(session: &mut ServerSession) {
    let rest = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(data)) = session.read_request_body().await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(LINGER, rest).await.ok();
}
