//! The record of a request that has ended. The code that serves requests makes one [`RequestRecord`] for each, also for
//! what was refused before it could be read as a request. Metrics and the log's request lines are written only from
//! records.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::failures::Suppressed;
use super::meter::VersionMeter;

/// One request, from its head to its end. The record borrows its texts, so making one allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct RequestRecord<'a> {
    /// When the head of the request was complete, or was refused.
    pub started: Instant,
    /// From the start until the response was complete or had failed, or the client had left.
    pub duration: Duration,
    /// From the start until the head of the response was written; `None` where no head was.
    pub time_to_head: Option<Duration>,
    pub ending: Ending<'a>,
    /// The status that the client was sent; `None` where it was sent no head.
    pub status: Option<StatusCode>,
    /// Whether the head of the version's response had been sent when the request failed.
    pub committed: bool,
    /// Empty where no service has the host.
    pub environment: &'a str,
    /// Empty where no service has the host.
    pub service: &'a str,
    /// Empty where no version took the request.
    pub version: &'a str,
    /// Why this version was chosen: a word of a closed set, or a rule of the service by name. Empty where nothing was
    /// decided.
    pub decision: &'a str,
    /// The generation that decided; 0 where none did.
    pub generation: u64,
    /// How many targets and versions were asked; 1 unless something was asked again.
    pub attempts: u32,
    /// The client's id or ours. Empty where none was needed.
    pub request_id: &'a str,
    /// Its port is 0 where a proxy does not say which.
    pub client: SocketAddr,
    /// `http` or `https`.
    pub scheme: &'a str,
    pub protocol: http::Version,
    /// Empty where the head could not be read.
    pub method: &'a str,
    /// Without the query, which may contain secrets. Empty where the head could not be read.
    pub path: &'a str,
    /// Bytes of the request's body that were read.
    pub received: u64,
    /// Bytes of the response's body that were written.
    pub sent: u64,
}

/// How a request ended.
#[derive(Clone, Copy)]
pub enum Ending<'a> {
    /// The version's own response went out whole.
    Answered,
    Failed {
        /// The stable code of the failure.
        code: &'static str,
        fault: Fault,
        /// The detail for the operator, beside the code; only where the failure is worth a warning.
        reason: Option<&'a dyn fmt::Display>,
    },
}

/// Which side is at fault for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client: it sent what cannot be served, or left. This says nothing about the version.
    Client,
    /// The version, or what serves it.
    Server,
}

impl fmt::Debug for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("Answered"),
            Self::Failed { code, fault, .. } => write!(f, "Failed({code}, {fault:?})"),
        }
    }
}

impl<'a> RequestRecord<'a> {
    /// The record of a request whose head could not be read.
    pub fn unread(started: Instant, client: SocketAddr, ending: Ending<'a>) -> Self {
        Self {
            started,
            duration: started.elapsed(),
            time_to_head: None,
            ending,
            status: None,
            committed: false,
            environment: "",
            service: "",
            version: "",
            decision: "",
            generation: 0,
            attempts: 1,
            request_id: "",
            client,
            scheme: "",
            protocol: http::Version::HTTP_11,
            method: "",
            path: "",
            received: 0,
            sent: 0,
        }
    }

    /// The label of the request's metrics: a class of statuses, or the code of the failure.
    pub fn label(&self) -> &'static str {
        match self.ending {
            Ending::Answered => status_class(self.status),
            Ending::Failed { code, .. } => code,
        }
    }

    /// Whether the request counts as an error of its version.
    pub fn is_error(&self) -> bool {
        match self.ending {
            Ending::Answered => self.status.is_some_and(|status| status.as_u16() >= 500),
            Ending::Failed { fault, .. } => fault == Fault::Server,
        }
    }

    /// Writes the request's line of the log: as a warning where the version misbehaved, else at debug level.
    pub(super) fn log(&self, meter: Option<&VersionMeter>) {
        let Self { environment, service, version, decision, request_id, .. } = *self;
        let Self { committed, attempts, .. } = *self;
        let code = self.label();
        match self.ending {
            Ending::Failed { reason: Some(reason), .. } => {
                let suppressed = match meter {
                    Some(meter) => meter.admits_warning(code, committed),
                    None => Some(Suppressed::default()),
                };
                if let Some(more) = suppressed {
                    tracing::warn!(
                        environment,
                        service,
                        version,
                        decision,
                        request_id,
                        code,
                        committed,
                        attempts,
                        "{reason}{more}"
                    );
                }
            }
            Ending::Failed { .. } => tracing::debug!(
                environment,
                service,
                version,
                decision,
                request_id,
                code,
                committed,
                attempts,
                client = %shown(self.client),
                method = self.method,
                path = self.path,
                "request failed"
            ),
            Ending::Answered => {
                let status = self.status.map_or(0, |status| status.as_u16());
                tracing::trace!(
                    environment,
                    service,
                    version,
                    decision,
                    request_id,
                    status,
                    attempts,
                    client = %shown(self.client),
                    method = self.method,
                    path = self.path,
                    "request answered"
                );
            }
        }
    }
}

/// A client's address, with its port if that is known.
fn shown(client: SocketAddr) -> String {
    if client.port() == 0 { client.ip().to_string() } else { client.to_string() }
}

/// The class of a status, by its hundreds.
fn status_class(status: Option<StatusCode>) -> &'static str {
    match status.map_or(0, |status| status.as_u16() / 100) {
        0 | 1 => "1xx",
        2 => SUCCESS,
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// The label of most requests.
pub(super) const SUCCESS: &str = "2xx";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request that a version answered with this status.
    pub fn answered(decision: &str, status: u16) -> RequestRecord<'_> {
        let client = SocketAddr::from(([192, 0, 2, 7], 4711));
        let status = Some(StatusCode::from_u16(status).unwrap());
        let unread = RequestRecord::unread(Instant::now(), client, Ending::Answered);
        RequestRecord { status, committed: true, version: "v1", decision, ..unread }
    }

    /// A request that failed in this way.
    pub fn failed(
        decision: &'static str,
        code: &'static str,
        fault: Fault,
    ) -> RequestRecord<'static> {
        let ending = Ending::Failed { code, fault, reason: None };
        RequestRecord { ending, ..answered(decision, 500) }
    }

    #[test]
    fn errors_are_what_the_version_is_at_fault_for() {
        for (status, label, is_error) in
            [(100, "1xx", false), (204, "2xx", false), (304, "3xx", false), (404, "4xx", false)]
                .into_iter()
                .chain([(500, "5xx", true), (599, "5xx", true), (600, "5xx", true)])
        {
            let record = answered("random", status);
            assert_eq!((record.label(), record.is_error()), (label, is_error), "{status}");
        }
        let trap = failed("random", "trap", Fault::Server);
        assert_eq!((trap.label(), trap.is_error()), ("trap", true));
        let gone = failed("random", "client-gone", Fault::Client);
        assert_eq!((gone.label(), gone.is_error()), ("client-gone", false));
    }
}
