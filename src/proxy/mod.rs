//! A request, from its head to its last byte: the only place that uses pingora's sessions.
//!
//! [`Gateway`] gets each request of a connection from pingora, with its head still to be read. It
//! pins a snapshot, finds the service, decides the version, has it served, and counts what came of
//! it, once. It is an application of its own on pingora's server and sessions, beside pingora's
//! `HttpProxy`: a future of that one has 70 KB, for all that a request to an upstream may need, and
//! every request moves it twice.

mod connection;
mod ctx;
mod execute;
mod failure;
mod headers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use http::request::Parts;
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::prelude::{ErrorType, Result};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;

pub use connection::{Connection, OpenConnections};

use crate::registry::{Decided, Decision, Live, ServiceEntry, Snapshot};
use crate::routing::{Asked, Found, Refused};
use crate::telemetry::{Outcome, Telemetry};
use ctx::{Chosen, Ended, Lane, RequestCtx};
use failure::Failure;

/// How long an idle connection is kept for its client's next request, in seconds.
const KEEPALIVE_SECONDS: u64 = 75;
/// How long the rest of a body that nobody wants is read, so that the client gets to see the
/// response before the connection closes.
const DRAIN: Duration = Duration::from_secs(3);

/// What becomes of a connection after a request.
enum Flow {
    /// The request has its whole response.
    Done,
    /// Its response broke off, or its client did: the connection must not look usable.
    Broken,
}

/// The proxy: finds, decides, serves.
#[derive(Debug)]
pub struct Gateway {
    live: Arc<Live>,
    telemetry: Telemetry,
    draining: Arc<AtomicBool>,
    options: HttpServerOptions,
}

impl Gateway {
    /// A gateway to whatever `live` holds. While `draining` is set, responses close connections.
    pub fn new(live: Arc<Live>, telemetry: Telemetry, draining: Arc<AtomicBool>) -> Self {
        Self { live, telemetry, draining, options: HttpServerOptions::default() }
    }

    /// The same for connections that begin with the preface of HTTP/2.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        self.options.h2c = true;
        self
    }

    async fn serve(&self, session: &mut ServerSession, ctx: &mut RequestCtx) -> Result<Flow> {
        self.prepare_connection(session);
        let snapshot = self.live.load();
        (ctx.expose, ctx.generation) = (snapshot.expose, snapshot.generation);
        let Some((service, decided)) = self.decide(session, ctx, &snapshot) else {
            let failure = match headers::names_host(session.req_header()) {
                true => Failure::NoService,
                false => Failure::BadRequest,
            };
            return self.refuse(session, ctx, None, failure).await;
        };
        let chosen = match decided {
            Ok(chosen) => chosen,
            Err(failure) => return self.refuse(session, ctx, Some(&service), failure).await,
        };
        ctx.service = Some(service);
        let ended = execute::execute(session, ctx, &chosen).await;
        ctx.chosen = Some(chosen);
        self.finish(session, ctx, ended).await
    }

    /// The service of a request, and its version.
    fn decide(
        &self,
        session: &ServerSession,
        ctx: &mut RequestCtx,
        snapshot: &Snapshot,
    ) -> Option<(Arc<ServiceEntry>, Result<Chosen, Failure>)> {
        let parts: &Parts = session.req_header();
        let Found { target: service, preview } = snapshot.routes.find(parts)?;
        let client = session.client_addr().and_then(|client| client.as_inet()).map(SocketAddr::ip);
        let Decided { version, decision, made, drawn, hash } =
            service.serving.decide(Asked { parts, client, preview }, ctx.started);
        if let Some(place) = drawn {
            service.tally.drew(place);
        }
        ctx.decision = Some(decision.clone());
        let chosen = match version {
            Ok(version) => Ok(Chosen {
                in_flight: version.meter.enter(),
                version: version.clone(),
                cookie: made.and_then(|id| service.serving.cookie(&id)),
                lane: service.serving.propagates().then(|| Lane::of(&decision, hash)),
                decision,
            }),
            Err(Refused::Offline) => Err(Failure::Offline),
            Err(Refused::NoVersion) => Err(Failure::NoVersion),
        };
        Some((service.clone(), chosen))
    }

    fn prepare_connection(&self, session: &mut ServerSession) {
        session.set_pipelining_enabled(true);
        session.set_total_drain_timeout(Some(DRAIN));
        // The rest of an unwanted body is drained instead, as long as that takes.
        session.set_close_on_response_before_downstream_finish(false);
        if self.draining.load(Ordering::Relaxed) {
            session.set_keepalive(None);
        } else if session.get_keepalive().is_some() {
            session.set_keepalive(Some(KEEPALIVE_SECONDS));
        }
    }

    /// Answers a request that no version took.
    async fn refuse(
        &self,
        session: &mut ServerSession,
        ctx: &mut RequestCtx,
        service: Option<&Arc<ServiceEntry>>,
        failure: Failure,
    ) -> Result<Flow> {
        ctx.service = service.cloned();
        self.finish(session, ctx, Ended::Failed { failure, committed: false }).await
    }

    /// Tells the client of a failure while nothing is committed, and remembers the outcome.
    async fn finish(
        &self,
        session: &mut ServerSession,
        ctx: &mut RequestCtx,
        ended: Ended,
    ) -> Result<Flow> {
        let flow = match &ended {
            Ended::Answered(_) => Flow::Done,
            Ended::Failed { failure, committed: false } => {
                failure::respond(session, ctx, failure).await?;
                Flow::Done
            }
            Ended::Failed { committed: true, .. } | Ended::ClientGone => Flow::Broken,
        };
        ctx.log(&ended);
        ctx.ended = Some(ended);
        Ok(flow)
    }

    /// Counts what came of a request.
    fn record(&self, ctx: &RequestCtx) {
        let outcome = match &ctx.ended {
            Some(Ended::Answered(status)) => Outcome::Answered((*status).into()),
            Some(Ended::Failed { failure, .. }) => Outcome::Failed(failure.code()),
            Some(Ended::ClientGone) | None => Outcome::Failed("client-gone"),
        };
        match (&ctx.chosen, outcome) {
            (Some(chosen), outcome) => {
                let meter = &chosen.version.meter;
                meter.record(chosen.decision.as_str(), outcome, ctx.started.elapsed());
            }
            (None, Outcome::Failed(code)) => {
                let (environment, service) = ctx.names();
                let decision = ctx.decision.as_ref().map_or("", Decision::as_str);
                self.telemetry.refused(environment, service, decision, code);
            }
            (None, Outcome::Answered(_)) => {}
        }
    }
}

#[async_trait]
impl HttpServerApp for Gateway {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !read_head(&mut session, shutdown).await {
            return None;
        }
        let mut ctx = RequestCtx::new();
        let flow = self.serve(&mut session, &mut ctx).await;
        self.record(&ctx);
        match flow {
            Ok(Flow::Done) => next_request(session).await,
            Ok(Flow::Broken) | Err(_) => {
                break_off(&mut session).await;
                None
            }
        }
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// Waits for the next request of a connection and reads its head. `false`: there is none, or it
/// is none that can be served, and has been told so.
async fn read_head(session: &mut ServerSession, shutdown: &ShutdownWatch) -> bool {
    let mut shutdown = shutdown.clone();
    let read = tokio::select! {
        // A request that is there already is served, drain or not.
        biased;
        read = session.read_request() => read,
        _ = shutdown.wait_for(|started| *started) => return false,
    };
    let refusal = match read {
        Ok(true) if session.req_header().method == Method::CONNECT => 405,
        Ok(read) => return read,
        Err(error) if *error.etype() == ErrorType::InvalidHTTPHeader => 400,
        // Nobody is there to be told.
        Err(_) => return false,
    };
    session.respond_error(refusal).await.ok();
    session.shutdown().await;
    false
}

/// The connection for its next request, if it may have one.
async fn next_request(session: ServerSession) -> Option<ReusedHttpStream> {
    let settings = HttpPersistentSettings::for_session(&session);
    let stream = session.finish().await.ok()??;
    Some(ReusedHttpStream::from_reusable_stream(stream, settings))
}

/// A response that broke off must not look like one that ended: HTTP/1.1 loses its connection,
/// HTTP/2 its stream.
async fn break_off(session: &mut ServerSession) {
    session.set_keepalive(None);
    session.shutdown().await;
}
