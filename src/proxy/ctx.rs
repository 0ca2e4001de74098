//! What is known about one request, from its head to its record.

use std::sync::Arc;
use std::time::Instant;

use super::failure::Failure;
use super::session::Session;
use crate::config::Expose;
use crate::routing::{Allowance, RateLimiter};
use crate::telemetry::{Ending, InFlight, RequestRecord, VersionMeter};
use crate::versions::{Decision, ReadyVersion, ServiceEntry};

/// The version of a request: decided once, and then kept, unless another one rescues the request.
pub struct Chosen {
    pub version: Arc<ReadyVersion>,
    pub decision: Decision,
    /// The `set-cookie` header for a client that was given a sticky key.
    pub cookie: Option<String>,
    /// The lane that the backend is told to pass on, where the service propagates lanes.
    pub lane: Option<Lane>,
    /// Counts the request as in flight until dropped.
    pub in_flight: InFlight,
}

/// The lane: what keeps a chain of calls on one version.
pub struct Lane {
    pub wish: Wish,
    /// The hash of the sticky key.
    pub hash: Option<u64>,
}

/// The outcome of a request for a version.
pub enum Wish {
    /// The client asked for none, or may not have it.
    None,
    Granted,
    /// No version has this name.
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

/// One request.
pub struct RequestCtx {
    pub started: Instant,
    pub expose: Expose,
    /// The generation of the snapshot that decides the request.
    pub generation: u64,
    /// The client's `x-request-id` if it is sane, or else one that is made when it is first needed.
    request_id: Option<Arc<str>>,
    pub service: Option<Arc<ServiceEntry>>,
    /// `None` until the decision is made; set even where the version is unavailable.
    pub decision: Option<Decision>,
    pub chosen: Option<Chosen>,
    /// What the request's key has left, where the service limits requests.
    pub allowance: Option<Allowance>,
    /// Bytes a second at which the client must send its body and take its response; 0 means any.
    pub client_rate: u64,
    /// How many targets and versions were asked.
    pub attempts: u32,
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
            allowance: None,
            client_rate: 0,
            attempts: 1,
        }
    }

    /// The request's id: the same one each time.
    pub fn request_id(&mut self, headers: &http::HeaderMap) -> Arc<str> {
        let make = || super::headers::request_id(headers);
        self.request_id.get_or_insert_with(make).clone()
    }

    /// The limit of the request's service, and what its key has left.
    pub fn limit(&self) -> Option<(&RateLimiter, Allowance)> {
        let allowance = self.allowance?;
        Some((self.service.as_ref()?.decider.limit()?, allowance))
    }

    /// The meter of the version that took the request.
    pub fn meter(&self) -> Option<&VersionMeter> {
        self.chosen.as_ref().map(|chosen| &chosen.version.meter)
    }

    /// The record of the request, which has ended in this way; `committed` is whether the head was sent when it failed.
    pub fn record<'a>(
        &'a self,
        session: &'a Session,
        served: &'a Result<(), Failure>,
        committed: bool,
    ) -> RequestRecord<'a> {
        let ending = match served {
            Ok(()) => Ending::Answered,
            Err(failure) => failure.ending(),
        };
        let head = session.sent_head();
        let key = self.service.as_ref().map(|service| &service.key);
        let request = session.request();
        RequestRecord {
            started: self.started,
            duration: self.started.elapsed(),
            time_to_head: head.map(|(_, at)| at.saturating_duration_since(self.started)),
            ending,
            status: head.map(|(status, _)| status),
            committed,
            environment: key.map_or("", |key| key.environment.as_str()),
            service: key.map_or("", |key| key.service.as_str()),
            version: self.chosen.as_ref().map_or("", |chosen| chosen.version.spec.name.as_str()),
            decision: self.decision.as_ref().map_or("", Decision::as_str),
            generation: self.generation,
            attempts: self.attempts,
            request_id: self.request_id.as_deref().unwrap_or(""),
            client: session.client(),
            scheme: session.scheme().as_str(),
            protocol: request.version,
            method: request.method.as_str(),
            path: request.uri.path(),
            received: session.received(),
            sent: session.sent(),
        }
    }
}
