//! A request, from its head to its last byte.
//!
//! [`Gateway`] serves the connections that `transport` accepts. For each request it pins a snapshot,
//! finds the service, decides the version, has it served, and tells `telemetry` once how it ended.
//! `http1` and `http2` bring it requests as [`Session`]s. Pingora's `HttpProxy` is not used: its future
//! has 70 KB, for all that a request to an upstream may need, and every request moves it twice.

mod ctx;
mod exchange;
mod execute;
mod failure;
mod headers;
mod health;
mod http1;
mod http2;
mod https;
mod local;
mod session;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderValue, Method, StatusCode, Version, header};

use crate::config::{ConnectionLimits, TlsVersion};
use crate::exchange::ResponseHead;
use crate::routing::{self, Asked, Found, Refused};
use crate::telemetry::{FailureLog, RequestRecord, Telemetry};
use crate::transport::tls::{HandshakeLimits, Rejected};
use crate::transport::{Connection, Drain, Handler, HeadLimits, HeadTimes, PeerError};
use crate::versions::{Decided, Decision, Live, Snapshot};
use ctx::{Chosen, Lane, RequestCtx};
use failure::Failure;
pub use https::Https;
use https::Way;
use local::LONGEST_CHAIN;
use session::{Gone, Session};

/// What happens to a connection after a request; for HTTP/2, to the request's stream.
enum Flow {
    /// The request has its whole response.
    Done,
    /// Its response broke off, or its client did: the client must not take the connection for usable.
    Broken,
}

/// Limits of request heads.
#[derive(Clone, Copy, Debug)]
struct HttpLimits {
    head: HeadLimits,
    times: HeadTimes,
}

/// Limits of an HTTP/2 connection.
#[derive(Clone, Copy, Debug)]
struct Http2Limits {
    http: HttpLimits,
    /// Streams that may be open at once.
    streams: NonZeroU32,
    /// Streams that the client may reset in ten seconds.
    resets: NonZeroU32,
}

/// The proxy: finds the service, decides the version, serves the request. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    live: Arc<Live>,
    telemetry: Telemetry,
    drain: Drain,
    /// While it is true, every response closes its connection.
    draining: Arc<AtomicBool>,
    /// The listener of HTTPS, where there is one.
    https: Option<Https>,
    /// Of connections that were closed before a request.
    refusals: Arc<FailureLog>,
}

impl Handler for Gateway {
    async fn serve(&self, connection: Connection) {
        http1::serve(self, connection).await;
    }

    fn handshake_limits(&self) -> HandshakeLimits {
        let settings = self.live.settings();
        let minimum = settings.tls.as_ref().map(|tls| tls.minimum);
        HandshakeLimits {
            time: settings.limits.head_time,
            is_1_2_allowed: minimum != Some(TlsVersion::V1_3),
        }
    }

    async fn reject(&self, rejected: Rejected) {
        match rejected {
            Rejected::Cleartext(connection) => {
                let client = connection.peer().address;
                tracing::debug!(%client, "the client sends HTTP in cleartext where TLS is spoken");
                http1::refuse_cleartext(self, connection).await;
            }
            Rejected::Failed { client, reason } => {
                // Whoever scans ports makes many of them, so they are counted, and seen by who looks.
                tracing::debug!(%client, "the handshake of TLS failed: {reason}");
                let (scheme, protocol) = (Scheme::HTTPS, Version::HTTP_11);
                self.record_unread(&Failure::Handshake, &Origin { client, scheme, protocol }, None);
            }
            Rejected::Crowded { client } => {
                let (scheme, protocol) = (Scheme::HTTPS, Version::HTTP_11);
                self.displaced(&Origin { client, scheme, protocol }, None);
            }
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        routing::is_trusted(address, &self.live.settings().trusted_proxies)
    }

    fn head_time(&self) -> Duration {
        self.limits().times.whole
    }

    fn refused(&self, address: SocketAddr, why: PeerError) {
        let (scheme, protocol) = (Scheme::HTTP, Version::HTTP_11);
        let origin = Origin { client: address, scheme, protocol };
        self.refuse_connection(&Failure::from(why), &why, &origin, None);
    }
}

impl Gateway {
    /// A gateway to whatever `live` holds, until the drain starts.
    pub fn new(live: Arc<Live>, telemetry: Telemetry, drain: Drain) -> Self {
        Self {
            live,
            telemetry,
            draining: drain.flag(),
            drain,
            https: None,
            refusals: Arc::default(),
        }
    }

    /// The same, beside a listener of HTTPS.
    pub fn with_https(self, https: Https) -> Self {
        Self { https: Some(https), ..self }
    }

    fn limits(&self) -> HttpLimits {
        let limits = self.live.limits();
        HttpLimits {
            head: HeadLimits {
                bytes: usize::try_from(limits.head.bytes()).unwrap_or(usize::MAX),
                fields: usize::try_from(limits.headers.get()).unwrap_or(usize::MAX),
            },
            times: HeadTimes { idle: limits.idle_time, whole: limits.head_time },
        }
    }

    fn http2_limits(&self) -> Http2Limits {
        let ConnectionLimits { streams, resets, .. } = self.live.limits();
        Http2Limits { http: self.limits(), streams, resets }
    }

    /// Serves a request, and records how it ended.
    async fn exchange(&self, session: &mut Session) -> Flow {
        let snapshot = session.snapshot().cloned().unwrap_or_else(|| self.live.load());
        session.believe(&snapshot.server.trusted_proxies);
        if health::is_asked(session, &snapshot.server) && headers::check(session.request()).is_ok()
        {
            return self.answer_health(session).await;
        }
        let mut ctx = RequestCtx::new();
        let served = match self.serve_request(session, &mut ctx, &snapshot).await {
            Err(Failure::ClientGone) if session.is_late() => Err(Failure::ClientSlow),
            served => served,
        };
        let committed = session.sent_head().is_some();
        let flow = match &served {
            Ok(()) => Flow::Done,
            Err(failure) => failure::tell(session, &mut ctx, failure).await,
        };
        self.telemetry.record(&ctx.record(session, &served, committed), ctx.meter());
        flow
    }

    async fn serve_request(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        snapshot: &Snapshot,
    ) -> Result<(), Failure> {
        (ctx.expose, ctx.generation) = (snapshot.server.expose, snapshot.generation);
        if session.is_head_too_large() {
            return Err(Failure::RequestHead);
        }
        headers::check(session.request())?;
        if let Some(https) = &self.https
            && let Some(settings) = &snapshot.server.tls
            && let Way::Redirect(location) =
                https.look(session, settings, snapshot.hsts.as_ref())?
        {
            return https::redirect(session, &location).await;
        }
        if headers::forwards_left(session.request()) == Some(0) {
            return answer_last(session).await;
        }
        match session.chain().length {
            LONGEST_CHAIN.. => return Err(Failure::Loop),
            // A guest that calls is no client.
            1.. => {}
            0 => ctx.client_rate = snapshot.server.limits.client_rate.bytes(),
        }
        let mut chosen = decide(session, ctx, snapshot)?;
        let served = execute::execute(session, ctx, &mut chosen).await;
        ctx.chosen = Some(chosen);
        served
    }

    async fn answer_health(&self, session: &mut Session) -> Flow {
        match health::answer(session, self.draining.load(Ordering::Relaxed)).await {
            Ok(()) => Flow::Done,
            Err(Gone) => Flow::Broken,
        }
    }

    /// Records a connection that had to give way to others before it came to a request.
    fn displaced(&self, origin: &Origin, status: Option<StatusCode>) {
        let why = "every place for a connection is taken, and it was slow to come to a request";
        self.refuse_connection(&Failure::Crowded, &why, origin, status);
    }

    /// Records a connection that is closed before it has come to a request, and tells of it once a second.
    fn refuse_connection(
        &self,
        failure: &Failure,
        why: &dyn fmt::Display,
        origin: &Origin,
        status: Option<StatusCode>,
    ) {
        self.record_unread(failure, origin, status);
        let code = failure.code();
        if let Some(more) = self.refusals.admit((code, false), Instant::now()) {
            tracing::warn!(client = %origin.client, code, "a connection is closed: {why}{more}");
        }
    }

    /// Tells of the connections that were closed and not told of, once a while has passed.
    pub fn tell_rest(&self, now: Instant) {
        for ((code, _), more) in self.refusals.overdue(now) {
            tracing::warn!(code, "connections are closed: {more} more of the same");
        }
    }

    /// Records a request whose head could not be read, with the status that its client was sent.
    fn record_unread(&self, failure: &Failure, origin: &Origin, status: Option<StatusCode>) {
        let record = RequestRecord {
            status,
            scheme: origin.scheme.as_str(),
            protocol: origin.protocol,
            ..RequestRecord::unread(Instant::now(), origin.client, failure.ending())
        };
        self.telemetry.record(&record, None);
    }
}

/// Where the requests of a connection come from: its other end, and how they are sent.
#[derive(Clone)]
struct Origin {
    client: SocketAddr,
    scheme: Scheme,
    protocol: Version,
}

impl Origin {
    fn of(connection: &Connection, protocol: Version) -> Self {
        Self { client: connection.peer().address, scheme: connection.scheme(), protocol }
    }
}

/// Answers a request that may go no further. What it asks for is known behind us alone, so this is all that can be said.
async fn answer_last(session: &mut Session) -> Result<(), Failure> {
    if session.request().method != Method::OPTIONS {
        return Err(Failure::Connect);
    }
    let mut head = ResponseHead::new(StatusCode::NO_CONTENT);
    head.fields.append(header::ALLOW, HeaderValue::from_static(failure::ALLOW));
    session.write_head(head, true).await?;
    Ok(session.finish(None).await?)
}

/// The service of a request, and its version.
fn decide(session: &Session, ctx: &mut RequestCtx, snapshot: &Snapshot) -> Result<Chosen, Failure> {
    let parts: &Parts = session.request();
    let Found { target: service, preview } =
        snapshot.routes.find(parts).ok_or(Failure::NoService)?;
    ctx.service = Some(service.clone());
    let asked = Asked { parts, client: Some(session.client().ip()), preview };
    if let Some(limit) = service.decider.limit() {
        ctx.allowance = Some(limit.take(asked, ctx.started).map_err(|none| {
            service.refusals.count();
            ctx.allowance = Some(none);
            Failure::RateLimit(none)
        })?);
    }
    let Decided { version, decision, made, place, is_drawn, hash } =
        service.decider.decide(asked, ctx.started);
    if let Some(index) = place {
        service.tally.decided(index, is_drawn);
    }
    let lane = service.decider.propagates().then(|| Lane::of(&decision, hash));
    let (version, decision) = match version {
        Err(Refused::NoVersion) => match service.decider.stand_in_for(&decision) {
            Some(version) => (Ok(version), Decision::RESCUE),
            None => (Err(Refused::NoVersion), decision),
        },
        version => (version, decision),
    };
    ctx.decision = Some(decision.clone());
    match version {
        Ok(version) => Ok(Chosen {
            in_flight: version.meter.enter(),
            version: version.clone(),
            cookie: made.and_then(|id| service.decider.cookie(&id)),
            lane,
            decision,
        }),
        Err(Refused::Offline) => Err(Failure::Offline),
        Err(Refused::NoVersion) => Err(Failure::NoVersion),
    }
}
