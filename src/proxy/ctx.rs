//! What is known of one request, from its head to its log line.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use super::failure::Failure;
use crate::config::Expose;
use crate::telemetry::{InFlight, More};
use crate::versions::{Decision, ReadyVersion, ServiceEntry};

/// The version of a request: drawn once, and then kept.
pub struct Chosen {
    pub version: Arc<ReadyVersion>,
    pub decision: Decision,
    /// `set-cookie`, for a client that has got a key.
    pub cookie: Option<String>,
    /// What its version is told to pass on, where that is wanted.
    pub lane: Option<Lane>,
    /// Counts the request as in flight.
    #[expect(dead_code, reason = "held for its drop")]
    pub in_flight: InFlight,
}

/// What keeps a chain of calls together.
pub struct Lane {
    pub wish: Wish,
    /// Of the sticky key.
    pub hash: Option<u64>,
}

/// What came of a version that a client wanted.
pub enum Wish {
    /// It wanted none, or may not have it.
    None,
    Granted,
    /// There is none of this name.
    Unknown,
}

impl Lane {
    pub fn of(decision: &Decision, hash: Option<u64>) -> Self {
        let wish = match *decision {
            Decision::OVERRIDE => Wish::Granted,
            Decision::OVERRIDE_UNKNOWN => Wish::Unknown,
            _ => Wish::None,
        };
        Self { wish, hash }
    }
}

/// How a request ended.
pub enum Ended {
    /// The version's response went out whole, with this status.
    Answered(StatusCode),
    /// It failed; `committed` where the head of a response had been sent before.
    Failed { failure: Failure, committed: bool },
    /// The client went away before its response was complete.
    ClientGone,
}

/// One request.
pub struct RequestCtx {
    pub started: Instant,
    pub expose: Expose,
    /// Of the snapshot that decides for it.
    pub generation: u64,
    /// What the client sent as `x-request-id` if that is sane, or else made here, once asked for.
    request_id: Option<Arc<str>>,
    pub service: Option<Arc<ServiceEntry>>,
    /// Once it is made, also where no version could be had.
    pub decision: Option<Decision>,
    pub chosen: Option<Chosen>,
    pub ended: Option<Ended>,
}

impl RequestCtx {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            expose: Expose::None,
            generation: 0,
            request_id: None,
            service: None,
            decision: None,
            chosen: None,
            ended: None,
        }
    }

    /// The request's id: always the same one.
    pub fn request_id(&mut self, headers: &http::HeaderMap) -> Arc<str> {
        let make = || super::headers::request_id(headers);
        self.request_id.get_or_insert_with(make).clone()
    }

    /// Environment and service, empty where no service has the host.
    pub fn names(&self) -> (&str, &str) {
        match &self.service {
            Some(service) => (service.key.environment.as_str(), service.key.service.as_str()),
            None => ("", ""),
        }
    }

    /// Writes the log line of a request that did not go well.
    pub fn log(&self, ended: &Ended) {
        let request_id = self.request_id.as_deref().unwrap_or("");
        let (_, service) = self.names();
        let version = self.chosen.as_ref().map_or("", |chosen| chosen.version.spec.name.as_str());
        let decision = self.decision.as_ref().map_or("", Decision::as_str);
        match ended {
            Ended::Failed { failure, committed } => {
                let code = failure.code();
                match failure {
                    Failure::Guest(reason) => {
                        let tells = |chosen: &Chosen| chosen.version.meter.tells(code, *committed);
                        let Some(more) = self.chosen.as_ref().map_or(Some(More::default()), tells)
                        else {
                            return;
                        };
                        tracing::warn!(
                            service,
                            version,
                            decision,
                            request_id,
                            code,
                            committed,
                            "{reason}{more}"
                        );
                    }
                    _ => tracing::debug!(
                        service,
                        version,
                        decision,
                        request_id,
                        code,
                        "request refused"
                    ),
                }
            }
            Ended::ClientGone => {
                tracing::debug!(service, version, decision, request_id, "the client went away");
            }
            Ended::Answered(status) => {
                let status = status.as_u16();
                tracing::trace!(service, version, decision, request_id, status, "answered");
            }
        }
    }
}
