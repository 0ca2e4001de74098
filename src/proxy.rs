//! A request, from its head to its last byte.
//!
//! [`Gateway`] serves the connections that `transport` accepts. Of each request it pins a snapshot,
//! finds the service, decides the version, has it served, and counts what came of it, once. `http1`
//! and `http2` bring it requests as [`Session`]s, by pingora's session of HTTP/1 and by h2. Pingora's
//! `HttpProxy` is not used: a future of that one has 70 KB, for all that a request to an upstream may
//! need, and every request moves it twice.

mod ctx;
mod execute;
mod failure;
mod headers;
mod http1;
mod http2;
mod session;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::request::Parts;

use crate::routing::{Asked, Found, Refused};
use crate::telemetry::{Outcome, Telemetry};
use crate::transport::{Connection, Drain, Front, HeadLimits, HeadTimes};
use crate::versions::{Decided, Decision, Live, ServiceEntry, Snapshot};
use ctx::{Chosen, Ended, Lane, RequestCtx};
use failure::Failure;
use session::{Gone, Session};

/// What becomes of a connection after a request; of one of HTTP/2, of the request's stream.
enum Flow {
    /// The request has its whole response.
    Done,
    /// Its response broke off, or its client did: the connection must not look usable.
    Broken,
}

/// What the heads of requests may be.
#[derive(Clone, Copy, Debug)]
struct HttpLimits {
    head: HeadLimits,
    times: HeadTimes,
}

/// The proxy: finds, decides, serves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    live: Arc<Live>,
    telemetry: Telemetry,
    drain: Drain,
    /// While it is set, responses close connections.
    draining: Arc<AtomicBool>,
}

impl Front for Gateway {
    async fn serve(&self, connection: Box<Connection>) {
        http1::serve(self, connection).await;
    }
}

impl Gateway {
    /// A gateway to whatever `live` holds, until the drain.
    pub fn new(live: Arc<Live>, telemetry: Telemetry, drain: Drain) -> Self {
        Self { live, telemetry, draining: drain.flag(), drain }
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

    /// Serves a request, and counts what came of it.
    async fn exchange(&self, session: &mut Session) -> Flow {
        let mut ctx = RequestCtx::new();
        let flow = self.serve_request(session, &mut ctx).await;
        self.record(&ctx);
        flow
    }

    async fn serve_request(&self, session: &mut Session, ctx: &mut RequestCtx) -> Flow {
        let snapshot = self.live.load();
        (ctx.expose, ctx.generation) = (snapshot.expose, snapshot.generation);
        let bytes = self.limits().head;
        if let Err(failure) = headers::check(session.request(), bytes) {
            return self.refuse(session, ctx, None, failure).await;
        }
        let Some((service, decided)) = self.decide(session, ctx, &snapshot) else {
            return self.refuse(session, ctx, None, Failure::NoService).await;
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
        let parts: &Parts = session.request();
        let Found { target: service, preview } = snapshot.routes.find(parts)?;
        let client = Some(session.client().ip());
        let Decided { version, decision, made, drawn, hash } =
            service.decider.decide(Asked { parts, client, preview }, ctx.started);
        if let Some(place) = drawn {
            service.tally.drew(place);
        }
        ctx.decision = Some(decision.clone());
        let chosen = match version {
            Ok(version) => Ok(Chosen {
                in_flight: version.meter.enter(),
                version: version.clone(),
                cookie: made.and_then(|id| service.decider.cookie(&id)),
                lane: service.decider.propagates().then(|| Lane::of(&decision, hash)),
                decision,
            }),
            Err(Refused::Offline) => Err(Failure::Offline),
            Err(Refused::NoVersion) => Err(Failure::NoVersion),
        };
        Some((service.clone(), chosen))
    }

    /// Answers a request that no version took.
    async fn refuse(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        service: Option<&Arc<ServiceEntry>>,
        failure: Failure,
    ) -> Flow {
        ctx.service = service.cloned();
        self.finish(session, ctx, Ended::Failed { failure, committed: false }).await
    }

    /// Tells the client of a failure while nothing is committed, and remembers the outcome.
    async fn finish(&self, session: &mut Session, ctx: &mut RequestCtx, ended: Ended) -> Flow {
        let flow = match &ended {
            Ended::Answered(_) => Flow::Done,
            Ended::Failed { failure, committed: false } => {
                match failure::respond(session, ctx, failure).await {
                    Ok(()) => Flow::Done,
                    Err(Gone) => Flow::Broken,
                }
            }
            Ended::Failed { committed: true, .. } | Ended::ClientGone => Flow::Broken,
        };
        ctx.log(&ended);
        ctx.ended = Some(ended);
        flow
    }

    /// Counts what came of a request.
    fn record(&self, ctx: &RequestCtx) {
        let outcome = match &ctx.ended {
            Some(Ended::Answered(status)) => Outcome::Answered((*status).into()),
            Some(Ended::Failed { failure, .. }) if failure.is_the_clients() => {
                Outcome::GivenUp(failure.code())
            }
            Some(Ended::Failed { failure, .. }) => Outcome::Failed(failure.code()),
            Some(Ended::ClientGone) | None => Outcome::GivenUp("client-gone"),
        };
        match (&ctx.chosen, outcome) {
            (Some(chosen), outcome) => {
                let meter = &chosen.version.meter;
                meter.record(chosen.decision.as_str(), outcome, ctx.started.elapsed());
            }
            (None, Outcome::Failed(code) | Outcome::GivenUp(code)) => {
                let (environment, service) = ctx.names();
                let decision = ctx.decision.as_ref().map_or("", Decision::as_str);
                self.telemetry.refused(environment, service, decision, code);
            }
            (None, Outcome::Answered(_)) => {}
        }
    }

    /// Counts what is no request that could be decided for.
    fn turn_away(&self, failure: &Failure) {
        tracing::debug!(code = failure.code(), "request refused");
        self.telemetry.refused("", "", "", failure.code());
    }
}
