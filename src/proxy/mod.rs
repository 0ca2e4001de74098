//! A request, from its head to its last byte: the only place that uses pingora's `Session`.
//!
//! [`Gateway`] is called by pingora phase by phase. `request_filter` pins a snapshot, finds the
//! service, decides the version and has it served; `logging` counts what came of it, once.

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
use http::request::Parts;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};

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

/// What becomes of a request after `request_filter`.
enum Flow {
    /// It has its whole response.
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
}

impl Gateway {
    /// A gateway to whatever `live` holds. While `draining` is set, responses close connections.
    pub fn new(live: Arc<Live>, telemetry: Telemetry, draining: Arc<AtomicBool>) -> Self {
        Self { live, telemetry, draining }
    }

    async fn serve(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<Flow> {
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
        session: &Session,
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

    fn prepare_connection(&self, session: &mut Session) {
        let downstream = session.as_downstream_mut();
        downstream.set_pipelining_enabled(true);
        downstream.set_total_drain_timeout(Some(DRAIN));
        // The rest of an unwanted body is drained instead, as long as that takes.
        downstream.set_close_on_response_before_downstream_finish(false);
        if self.draining.load(Ordering::Relaxed) {
            downstream.set_keepalive(None);
        } else if downstream.get_keepalive().is_some() {
            downstream.set_keepalive(Some(KEEPALIVE_SECONDS));
        }
    }

    /// Answers a request that no version took.
    async fn refuse(
        &self,
        session: &mut Session,
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
        session: &mut Session,
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
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = RequestCtx;

    fn new_ctx(&self) -> RequestCtx {
        RequestCtx::new()
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<bool> {
        match self.serve(session, ctx).await? {
            Flow::Done => Ok(true),
            Flow::Broken => Err(Error::explain(ErrorType::InternalError, "response broke off")),
        }
    }

    /// Every request ends in `request_filter`, so pingora never asks.
    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut RequestCtx,
    ) -> Result<Box<HttpPeer>> {
        Err(Error::explain(ErrorType::InternalError, "no version is an upstream"))
    }

    /// A response that broke off must not look like one that ended: HTTP/1.1 loses its connection,
    /// HTTP/2 its stream.
    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        _error: &Error,
        _ctx: &mut RequestCtx,
    ) -> FailToProxy {
        session.as_downstream_mut().set_keepalive(None);
        session.as_downstream_mut().shutdown().await;
        FailToProxy { error_code: 0, can_reuse_downstream: false }
    }

    fn suppress_error_log(&self, _: &Session, _: &RequestCtx, _: &Error) -> bool {
        true
    }

    async fn logging(&self, _: &mut Session, _: Option<&Error>, ctx: &mut RequestCtx) {
        let outcome = match ctx.ended.take() {
            Some(Ended::Answered(status)) => Outcome::Answered(status.into()),
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
