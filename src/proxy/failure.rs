//! The one policy from a failure to what a client sees: a status, a stable code and a problem
//! document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), never an internal detail.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;

use super::ctx::RequestCtx;
use super::headers::{WATERSHED_ERROR, X_REQUEST_ID};
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

impl Failure {
    /// The stable code, for the header `watershed-error`, metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NoService => "no-service",
            Self::Offline => "offline",
            Self::NoVersion => "no-version",
            Self::Overload => "overload",
            Self::RequestBody => "request-body",
            Self::Guest(failure) => Self::code_of(failure),
        }
    }

    /// The code of a guest's failure.
    pub fn code_of(failure: &GuestFailure) -> &'static str {
        match failure {
            GuestFailure::Trap(_) => "trap",
            GuestFailure::Memory(_) => "memory",
            GuestFailure::CpuTime => "cpu-time",
            GuestFailure::WallTime => "wall-time",
            GuestFailure::NoResponse(_) => "no-response",
            GuestFailure::Truncated(_) => "truncated",
            GuestFailure::PoolExhausted(_) => "overload",
        }
    }

    fn status(&self) -> StatusCode {
        match self.code() {
            "bad-request" => StatusCode::BAD_REQUEST,
            "no-service" => StatusCode::NOT_FOUND,
            "offline" | "no-version" | "overload" => StatusCode::SERVICE_UNAVAILABLE,
            "request-body" => StatusCode::PAYLOAD_TOO_LARGE,
            "cpu-time" | "wall-time" => StatusCode::GATEWAY_TIMEOUT,
            "no-response" | "truncated" => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether the same request may be answered in a moment.
    fn passes(&self) -> bool {
        matches!(self.code(), "no-version" | "overload")
    }

    /// What the client is told.
    fn detail(&self) -> &'static str {
        match self.code() {
            "bad-request" => "The request names no host, or its body is malformed.",
            "no-service" => "No service has this host.",
            "offline" => "The service is offline: no version has a share of its traffic.",
            "no-version" => "No version of the service can take requests now.",
            "overload" => "Every place for a request of this version is taken.",
            "request-body" => "The request body is larger than this version accepts.",
            "cpu-time" => "The version used up its CPU time for this request.",
            "wall-time" => "The version did not respond in time.",
            "no-response" => "The version ended without a response.",
            "truncated" => "The version broke off its response.",
            "memory" => "The version ran out of memory for this request.",
            _ => "The version failed while it served this request.",
        }
    }

    fn document(&self, request_id: &str) -> Bytes {
        let status = self.status();
        let document = serde_json::json!({
            "type": format!("urn:watershed:error:{}", self.code()),
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.detail(),
            "request-id": request_id,
        });
        Bytes::from(format!("{document}\n"))
    }
}

/// Sends the response to a failure; nothing may have been sent before.
pub async fn respond(session: &mut Session, ctx: &mut RequestCtx, failure: &Failure) -> Result<()> {
    let request_id = ctx.request_id(&session.req_header().headers);
    let body = failure.document(&request_id);
    let mut header = ResponseHeader::build(failure.status(), Some(8))?;
    header.insert_header(header::CONTENT_TYPE, "application/problem+json")?;
    header.insert_header(header::CONTENT_LENGTH, body.len())?;
    header.insert_header(header::CACHE_CONTROL, "no-store")?;
    header.insert_header(WATERSHED_ERROR, failure.code())?;
    header.insert_header(X_REQUEST_ID, &*request_id)?;
    if failure.passes() {
        header.insert_header(header::RETRY_AFTER, RETRY_AFTER)?;
    }
    let has_body = session.req_header().method != Method::HEAD;
    let waits = super::headers::expects_continue(session.req_header());
    let downstream = session.as_downstream_mut();
    if waits || matches!(failure, Failure::BadRequest | Failure::RequestBody) {
        // The rest of the body will not come, or cannot be told from the next request, or is too
        // much to wait for.
        downstream.set_keepalive(None);
    }
    downstream.write_response_header(Box::new(header)).await?;
    downstream.write_response_body(if has_body { body } else { Bytes::new() }, true).await?;
    if matches!(failure, Failure::RequestBody) && !waits && !downstream.is_http2() {
        linger(downstream).await;
    }
    Ok(())
}

/// Reads on for a little. A connection that is closed while its client sends is reset, and the
/// client may never see the response.
async fn linger(downstream: &mut ServerSession) {
    let rest = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(data)) = downstream.read_request_body().await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(LINGER, rest).await.ok();
}
