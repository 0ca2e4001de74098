//! What is known of one request, from its head to its record.

use std::sync::Arc;
use std::time::Instant;

use super::failure::Failure;
use super::session::Session;
use crate::config::Expose;
use crate::telemetry::{Ending, InFlight, RequestRecord, VersionMeter};
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
        }
    }

    /// The request's id: always the same one.
    pub fn request_id(&mut self, headers: &http::HeaderMap) -> Arc<str> {
        let make = || super::headers::request_id(headers);
        self.request_id.get_or_insert_with(make).clone()
    }

    /// The meter of the version that took the request.
    pub fn meter(&self) -> Option<&VersionMeter> {
        self.chosen.as_ref().map(|chosen| &chosen.version.meter)
    }

    /// What is told of the request, which has ended so; `committed` as it was when it failed.
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
