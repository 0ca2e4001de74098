//! Maps each failure to what a client sees: a status, a stable code and a problem document ([RFC
//! 9457](https://www.rfc-editor.org/rfc/rfc9457)), never an internal detail.

mod answer;

use std::fmt;

use bytes::Bytes;
use http::StatusCode;

use super::session::Gone;
use crate::routing::Allowance;
use crate::runtime::GuestFailure;
use crate::telemetry::{Ending, Fault};
use crate::transport::PeerError;
use crate::upstream::{self, FailureKind};

pub use answer::{tell, unread};

/// `retry-after`, in seconds, of a 503 that may pass with time.
const RETRY_AFTER: u32 = 1;

/// Methods of which nothing is known but that backends may be asked by them ([RFC 9110, section
/// 15.5.6](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6)).
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why a request got no response from a version.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The request is not valid HTTP.
    BadRequest,
    /// Its head is larger than allowed.
    RequestHead,
    /// Its target alone is larger than allowed.
    RequestTarget,
    /// The client sent it too slowly.
    RequestTimeout,
    /// It did not come to its end while others waited for the place of its connection.
    Crowded,
    /// Its connection does not begin with the PROXY header that tells who sends it.
    ProxyHeader,
    /// Its connection should begin with a PROXY header, and comes from nobody who is trusted to send one.
    UntrustedProxy,
    /// Its body has a transfer coding other than chunked.
    TransferCoding,
    /// It asks for a tunnel, which this proxy does not open; or for another protocol over HTTP/2, which the version does
    /// not speak.
    Connect,
    /// It has come in cleartext to the listener of HTTPS.
    Cleartext,
    /// Its client did not come to the end of a handshake of TLS.
    Handshake,
    /// It has come on a connection for other hosts.
    Misdirected,
    /// Its HTTP/2 connection carries as many requests as allowed already.
    TooManyStreams,
    /// Its HTTP/2 connection had more streams reset than allowed.
    TooManyResets,
    /// Its HTTP/2 connection carries too many frames without a part of a request.
    Flood,
    /// It has come through too many services, which call each other.
    Loop,
    NoService,
    /// More requests of its key have come than the service allows.
    RateLimit(Allowance),
    Offline,
    NoVersion,
    Overload,
    RequestBody,
    Guest(GuestFailure),
    Upstream(upstream::Failure),
    /// The client went away before its response was complete.
    ClientGone,
    /// The client took its response too slowly, or nothing of it.
    ClientSlow,
}

impl From<Gone> for Failure {
    fn from(Gone: Gone) -> Self {
        Self::ClientGone
    }
}

impl From<PeerError> for Failure {
    fn from(why: PeerError) -> Self {
        match why {
            PeerError::Untrusted => Self::UntrustedProxy,
            PeerError::Malformed => Self::ProxyHeader,
            PeerError::TooSlow => Self::RequestTimeout,
            PeerError::Crowded => Self::Crowded,
        }
    }
}

impl fmt::Display for Failure {
    /// For the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(failure) => failure.fmt(f),
            Self::Upstream(failure) => failure.fmt(f),
            other => f.write_str(other.code()),
        }
    }
}

/// What a client sees of a failure.
struct Answer {
    status: StatusCode,
    code: &'static str,
    /// The text that the client gets.
    detail: &'static str,
}

impl Failure {
    /// The stable code, for the header `watershed-error`, metrics and logs.
    pub fn code(&self) -> &'static str {
        self.answer().code
    }

    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        self.answer().status
    }

    /// The outcome for metrics and the log. What a guest did is worth a warning.
    pub fn ending(&self) -> Ending<'_> {
        let fault = if self.is_the_clients() { Fault::Client } else { Fault::Server };
        let reason: Option<&dyn std::fmt::Display> = match self {
            Self::Guest(failure) => Some(failure),
            Self::Upstream(failure) => Some(failure),
            _ => None,
        };
        Ending::Failed { code: self.code(), fault, reason }
    }

    /// The whole table of failures.
    fn answer(&self) -> Answer {
        match self {
            Self::BadRequest => answer(
                StatusCode::BAD_REQUEST,
                "bad-request",
                "The request is malformed, or names no host or several.",
            ),
            Self::RequestHead => answer(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "request-head",
                "The request has more header fields, or larger ones, than are accepted.",
            ),
            Self::RequestTarget => answer(
                StatusCode::URI_TOO_LONG,
                "request-target",
                "The request's target is longer than is accepted.",
            ),
            Self::RequestTimeout => answer(
                StatusCode::REQUEST_TIMEOUT,
                "request-timeout",
                "The request did not come to its end in time.",
            ),
            Self::Crowded => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "crowded",
                "Others waited for the connection's place before the request came to its end.",
            ),
            // What is spoken after the header is not known yet, so these two are closed without an answer.
            Self::ProxyHeader => answer(
                StatusCode::BAD_REQUEST,
                "proxy-header",
                "The connection does not begin with a PROXY header.",
            ),
            Self::UntrustedProxy => answer(
                StatusCode::FORBIDDEN,
                "untrusted-proxy",
                "The connection comes from no trusted proxy.",
            ),
            Self::TransferCoding => answer(
                StatusCode::NOT_IMPLEMENTED,
                "transfer-coding",
                "The request's body has a transfer coding other than chunked.",
            ),
            Self::Connect => answer(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "No tunnel or other protocol is available here.",
            ),
            Self::Cleartext => answer(
                StatusCode::BAD_REQUEST,
                "cleartext",
                "Only HTTPS is spoken at this port, and the request came over HTTP.",
            ),
            // Nobody is there yet who understands HTTP.
            Self::Handshake => {
                answer(StatusCode::BAD_REQUEST, "tls-handshake", "The handshake of TLS failed.")
            }
            Self::Misdirected => answer(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected",
                "The connection is for other hosts: ask for this one on a connection of its own.",
            ),
            Self::TooManyStreams => answer(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-streams",
                "The connection carries too many requests at once.",
            ),
            // The connection ends with a GOAWAY, and nobody gets these two.
            Self::TooManyResets => answer(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-resets",
                "The connection had too many requests reset.",
            ),
            Self::Flood => answer(
                StatusCode::TOO_MANY_REQUESTS,
                "flood",
                "The connection carries too many frames without a part of a request.",
            ),
            Self::Loop => answer(
                StatusCode::LOOP_DETECTED,
                "loop",
                "The request has passed through too many services that call each other.",
            ),
            Self::NoService => {
                answer(StatusCode::NOT_FOUND, "no-service", "No service has this host.")
            }
            Self::RateLimit(_) => answer(
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limit",
                "More requests have come than the service allows.",
            ),
            Self::Offline => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "offline",
                "The service is offline: no version has a share of its traffic.",
            ),
            Self::NoVersion => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "no-version",
                "No version of the service can take requests now.",
            ),
            Self::Overload => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                "overload",
                "Every place for a request of this version is taken.",
            ),
            Self::RequestBody => answer(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request-body",
                "The request body is larger than this version accepts.",
            ),
            Self::Guest(failure) => guest_answer(failure),
            Self::Upstream(failure) => upstream_answer(failure.kind),
            // The client is gone, so no response is sent.
            Self::ClientGone => {
                answer(StatusCode::BAD_REQUEST, "client-gone", "The client has left.")
            }
            // The response has begun, so no other is sent.
            Self::ClientSlow => answer(
                StatusCode::REQUEST_TIMEOUT,
                "client-slow",
                "The client takes the response too slowly.",
            ),
        }
    }

    /// Whether the client is at fault. Then the failure says nothing about the version.
    pub fn is_the_clients(&self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::RequestHead
                | Self::RequestTarget
                | Self::RequestTimeout
                | Self::Crowded
                | Self::ProxyHeader
                | Self::UntrustedProxy
                | Self::TransferCoding
                | Self::Connect
                | Self::Cleartext
                | Self::Handshake
                | Self::Misdirected
                | Self::TooManyStreams
                | Self::TooManyResets
                | Self::Flood
                | Self::RateLimit(_)
                | Self::RequestBody
                | Self::ClientGone
                | Self::ClientSlow
        )
    }

    /// Whether the rest of the request will not come, cannot be told from the next request, or is too much to wait for.
    fn ends_connection(&self) -> bool {
        self.is_the_clients() && !matches!(self, Self::RateLimit(_))
    }

    /// In how many seconds the same request may succeed.
    fn retry_after(&self) -> Option<u32> {
        if let Self::RateLimit(allowance) = self {
            return Some(allowance.seconds);
        }
        let passes = matches!(
            self,
            Self::NoVersion
                | Self::Crowded
                | Self::Overload
                | Self::Guest(GuestFailure::PoolExhausted(_))
                | Self::Upstream(upstream::Failure { kind: FailureKind::Unhealthy, .. })
        );
        passes.then_some(RETRY_AFTER)
    }

    fn document(&self, request_id: &str) -> Bytes {
        let Answer { status, code, detail } = self.answer();
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

fn answer(status: StatusCode, code: &'static str, detail: &'static str) -> Answer {
    Answer { status, code, detail }
}

/// The rows of the table for a guest's failures.
fn guest_answer(failure: &GuestFailure) -> Answer {
    match failure {
        GuestFailure::Trap(_) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "trap",
            "The version failed while it served this request.",
        ),
        GuestFailure::Memory(_) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            "memory",
            "The version ran out of memory for this request.",
        ),
        GuestFailure::CpuTime => answer(
            StatusCode::GATEWAY_TIMEOUT,
            "cpu-time",
            "The version used up its CPU time for this request.",
        ),
        GuestFailure::WallTime | GuestFailure::IdleTime => {
            answer(StatusCode::GATEWAY_TIMEOUT, "wall-time", "The version did not respond in time.")
        }
        GuestFailure::NoResponse(_) => {
            answer(StatusCode::BAD_GATEWAY, "no-response", "The version ended without a response.")
        }
        GuestFailure::Truncated(_) => {
            answer(StatusCode::BAD_GATEWAY, "truncated", "The version broke off its response.")
        }
        GuestFailure::BadResponse(_) => answer(
            StatusCode::BAD_GATEWAY,
            "bad-response",
            "The version gave a response that is not HTTP as it should be.",
        ),
        GuestFailure::PoolExhausted(_) => Failure::Overload.answer(),
    }
}

/// The rows of the table for an upstream's failures.
fn upstream_answer(kind: FailureKind) -> Answer {
    match kind {
        FailureKind::Unhealthy => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "unhealthy",
            "No server of this version is healthy.",
        ),
        FailureKind::Connect => answer(
            StatusCode::BAD_GATEWAY,
            "connect",
            "No server of this version could be connected to.",
        ),
        FailureKind::Tls => answer(
            StatusCode::BAD_GATEWAY,
            "upstream-tls",
            "No secure connection to a server of this version could be made.",
        ),
        FailureKind::Reset => answer(
            StatusCode::BAD_GATEWAY,
            "upstream-reset",
            "The version's server broke off the connection.",
        ),
        FailureKind::Protocol => answer(
            StatusCode::BAD_GATEWAY,
            "upstream-protocol",
            "The version's server gave a response that is not HTTP as it should be.",
        ),
        FailureKind::WallTime | FailureKind::IdleTime => {
            answer(StatusCode::GATEWAY_TIMEOUT, "wall-time", "The version did not respond in time.")
        }
    }
}
