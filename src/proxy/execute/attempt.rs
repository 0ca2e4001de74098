//! Starts a request at a backend, and starts it once more where it went wrong and may be done again: at another target,
//! or by the rescue version. The version is not drawn again, and the client's request is counted once.

use std::sync::Arc;

use http::header;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::field::display;

use super::upload::Upload;
use super::verdict::{self, Retry, Setback};
use super::wait::Wait;
use super::{AFTER_RETRY, LEAST_PATIENCE};
use crate::config::{Balance, ConnectionLimits, Rescue, VersionName};
use crate::exchange::{Feed, RequestHead};
use crate::proxy::ctx::{Chosen, Lane, RequestCtx};
use crate::proxy::exchange::Exchange;
use crate::proxy::failure::Failure;
use crate::proxy::headers;
use crate::proxy::session::Session;
use crate::routing::Asked;
use crate::runtime::Invocation;
use crate::transport::Pace;
use crate::upstream::{self, Attempt, Target, Upstream};
use crate::versions::{Admission, Backend, Decision, ReadyVersion, Reserved};

/// What is known of a request from one attempt to the next.
pub struct Attempts<'a> {
    pub session: &'a mut Session,
    pub ctx: &'a mut RequestCtx,
    pub chosen: &'a mut Chosen,
    pub upload: Upload,
    request_id: Arc<str>,
    /// The version that failed, where another one has taken the request over.
    failed: Option<Arc<ReadyVersion>>,
    /// The targets that failed the request.
    tried: Vec<Arc<Target>>,
    retries: u32,
    /// How often a connection was found closed in good order.
    stale: u32,
    pub wait: Wait,
}

/// A request under way.
pub struct Opened {
    pub exchange: Exchange,
    /// The request's place among those of its version.
    pub permit: OwnedSemaphorePermit,
}

/// A request that is under way once more.
pub struct Again {
    pub exchange: Exchange,
    /// A place in another version, where one has taken the request over.
    pub permit: Option<OwnedSemaphorePermit>,
}

impl<'a> Attempts<'a> {
    pub fn new(session: &'a mut Session, ctx: &'a mut RequestCtx, chosen: &'a mut Chosen) -> Self {
        let is_upstream = matches!(chosen.version.backend, Backend::Upstream(_));
        let rescue = ctx.service.as_ref().and_then(|service| service.decider.rescue());
        let room = match rescue {
            Some(rescue) => rescue.buffer.bytes(),
            None if is_upstream => Rescue::BUFFER_DEFAULT.bytes(),
            None => 0,
        };
        let limit = chosen.version.spec.limits.request_body.bytes();
        let has_body = !session.is_body_empty();
        let awaits_continue = has_body && headers::expects_continue(session.request());
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let pace = || Pace::new(ctx.client_rate, ConnectionLimits::RATE_TIME);
        session.set_pace(pace());
        let (upload_pace, is_declared) = (pace(), declared_length(session).is_some());
        Self {
            request_id: ctx.request_id(&session.request().headers),
            upload: Upload::new(has_body, awaits_continue, limit, room)
                .with_pace(upload_pace, is_declared),
            wait: Wait::new(&chosen.version, ctx.started.into()),
            session,
            ctx,
            chosen,
            failed: None,
            tried: Vec::new(),
            retries: 0,
            stale: 0,
        }
    }

    /// Starts the request at the version that was chosen.
    ///
    /// # Errors
    ///
    /// Where the version has no room for the request, or has nothing that could serve it.
    pub async fn open(&mut self) -> Result<Opened, Failure> {
        let limit = self.chosen.version.spec.limits.request_body.bytes();
        if self.upload.has_body() && declared_length(self.session).is_some_and(|it| it > limit) {
            return Err(Failure::RequestBody);
        }
        let Some(Admission { reserved, permit }) = self.chosen.version.admit().await else {
            return Err(Failure::Overload);
        };
        let of = Of { version: &self.chosen.version, lane: self.chosen.lane.as_ref(), name: None };
        let attempt =
            Attempt { hash: hash(self.session, self.ctx, &reserved), ..Attempt::default() };
        let exchange =
            start(reserved, &of, self.session, &mut self.upload, &self.request_id, &attempt)?;
        Ok(Opened { exchange, permit })
    }

    /// Whether a response with this status may be dropped for another attempt. Cheap: for most statuses nothing is
    /// looked up.
    pub fn may_drop(&self, status: http::StatusCode) -> bool {
        status.is_server_error() && self.upload.is_at_hand()
    }

    /// The same request at another target or version. `None` where the setback is what the client gets.
    pub async fn again(
        &mut self,
        setback: Setback<'_>,
        target: Option<&Arc<Target>>,
    ) -> Option<Again> {
        if !self.upload.is_at_hand() || self.session.sent_head().is_some() {
            return None;
        }
        if let Some(exchange) = self.retry(setback, target) {
            return Some(Again { exchange, permit: None });
        }
        self.rescue(setback).await
    }

    /// Keeps nothing for another attempt: the response has begun.
    pub fn commit(&mut self) {
        self.upload.commit();
        self.wait.stop();
    }

    fn retry(&mut self, setback: Setback<'_>, target: Option<&Arc<Target>>) -> Option<Exchange> {
        let version = self.chosen.version.clone();
        let Backend::Upstream(upstream) = &version.backend else { return None };
        let spec = &upstream.spec().retry;
        let method = &self.session.request().method;
        let retry = verdict::retry(setback, method, spec, self.stale)?;
        if !self.wait.share() {
            return None;
        }
        match retry {
            Retry::OnNewConnection => self.stale += 1,
            Retry::Elsewhere if self.retries >= spec.attempts || !upstream.may_retry() => {
                return None;
            }
            Retry::Elsewhere => {
                self.retries += 1;
                self.tried.extend(target.cloned());
                self.tell(&version, setback, AFTER_RETRY, "asked again");
            }
        }
        self.ctx.attempts += 1;
        let reserved = Reserved::Upstream(upstream);
        let name = self.failed.as_ref().map(|failed| &failed.spec.name);
        let of = Of { version: &version, lane: self.chosen.lane.as_ref(), name };
        let attempt = Attempt {
            hash: hash(self.session, self.ctx, &reserved),
            tried: &self.tried,
            on_new_connection: retry == Retry::OnNewConnection,
        };
        let upload = &mut self.upload;
        start(reserved, &of, self.session, upload, &self.request_id, &attempt).ok()
    }

    async fn rescue(&mut self, setback: Setback<'_>) -> Option<Again> {
        if self.failed.is_some() {
            return None;
        }
        let service = self.ctx.service.clone()?;
        let (rescue, version) = service.decider.rescuer(&self.chosen.version)?;
        let limits = &version.spec.limits;
        if !verdict::rescues(setback, &self.session.request().method, rescue)
            || declared_length(self.session).is_some_and(|it| it > limits.request_body.bytes())
            || !self.upload.renew_limit(limits.request_body.bytes())
        {
            return None;
        }
        let Admission { reserved, permit } = version.admit().await?;
        let attempt =
            Attempt { hash: hash(self.session, self.ctx, &reserved), ..Attempt::default() };
        let name = Some(&self.chosen.version.spec.name);
        let of = Of { version, lane: self.chosen.lane.as_ref(), name };
        let (upload, id) = (&mut self.upload, &self.request_id);
        let exchange = start(reserved, &of, self.session, upload, id, &attempt).ok()?;
        self.take_over(version, setback);
        Some(Again { exchange, permit: Some(permit) })
    }

    /// Makes a version the one that serves the request. The other one has failed it.
    fn take_over(&mut self, version: &Arc<ReadyVersion>, setback: Setback<'_>) {
        let failed = std::mem::replace(&mut self.chosen.version, version.clone());
        self.chosen.in_flight = version.meter.enter();
        self.chosen.decision = Decision::RESCUE;
        self.ctx.decision = Some(Decision::RESCUE);
        let code = code(setback);
        failed.meter.rescued(code);
        self.tell(&failed, setback, code, &format!("{} answers instead", version.spec.name));
        self.ctx.attempts += 1;
        self.failed = Some(failed);
        self.tried.clear();
        (self.retries, self.stale) = (0, 0);
        self.wait = Wait::new(version, Instant::now());
    }

    /// Logs a failure that the client does not see, at most once a second for each kind.
    fn tell(&self, version: &ReadyVersion, setback: Setback<'_>, kind: &'static str, then: &str) {
        let Some(more) = version.meter.admits_warning(kind, false) else { return };
        let key = self.ctx.service.as_ref().map(|it| &it.key);
        let environment = key.map(|key| display(&key.environment));
        let service = key.map(|key| display(&key.service));
        let (version, request_id) = (&version.spec.name, &self.request_id);
        let (code, attempt) = (code(setback), self.ctx.attempts);
        match setback {
            Setback::Failed(failure) => tracing::warn!(
                environment, service, %version, %request_id, code, attempt, "{failure}; {then}{more}"
            ),
            Setback::Status(status) => tracing::warn!(
                environment, service, %version, %request_id, code, attempt, "its status was {status}; {then}{more}"
            ),
        }
    }
}

/// The code under which a setback is counted.
fn code(setback: Setback<'_>) -> &'static str {
    match setback {
        Setback::Failed(failure) => failure.code(),
        Setback::Status(_) => "5xx",
    }
}

/// What a request is started for.
struct Of<'a> {
    version: &'a Arc<ReadyVersion>,
    lane: Option<&'a Lane>,
    /// The version of the lane, where it is another one.
    name: Option<&'a VersionName>,
}

/// Starts an exchange. Nothing is sent, and no guest runs, before its first event is pulled.
fn start(
    reserved: Reserved<'_>,
    of: &Of<'_>,
    session: &mut Session,
    upload: &mut Upload,
    request_id: &Arc<str>,
    attempt: &Attempt<'_>,
) -> Result<Exchange, Failure> {
    let scheme = session.scheme().clone();
    let sent = session.request();
    let mut request = headers::request(sent, session.hop(), request_id);
    if let Some(lane) = of.lane {
        let name = of.name.unwrap_or(&of.version.spec.name);
        headers::tell_lane(sent, &mut request.fields, lane, name);
    }
    let exchange = match reserved {
        Reserved::Guest(guest, place) => {
            let mut request = request.into_request();
            // What a guest calls continues the chain; whoever may call nobody has none.
            if guest.grant().outbound.is_some() {
                request.extensions_mut().insert(session.chain());
            }
            let (invocation, feed) = match upload.has_body() {
                true => {
                    let (invocation, feed) =
                        Invocation::start_fed(guest, place, request_id, scheme, request);
                    (invocation, Some(feed))
                }
                false => (Invocation::start(guest, place, request_id, scheme, request), None),
            };
            upload.begin(feed);
            Exchange::Guest(invocation)
        }
        Reserved::Upstream(upstream) => {
            let exchange = ask(upstream, request, session, upload, attempt);
            Exchange::Upstream(Box::new(exchange.map_err(Failure::Upstream)?))
        }
    };
    session.set_patience(of.version.spec.limits.wall_time.max(LEAST_PATIENCE));
    Ok(exchange)
}

/// Starts an exchange with a target, which is told more of the connection than a guest is.
fn ask(
    upstream: &Arc<Upstream>,
    mut request: RequestHead,
    session: &Session,
    upload: &mut Upload,
    attempt: &Attempt<'_>,
) -> Result<upstream::Exchange, upstream::Failure> {
    let sent = session.request();
    let switches = !upload.has_body() && headers::asks_to_switch(sent);
    headers::tell_upstream(sent, &mut request.fields, upload.awaits_continue, switches);
    let (feed, fed) = (upload.has_body() || switches).then(Feed::new).unzip();
    let exchange = upstream.start(request, fed, attempt)?;
    match switches {
        true => upload.begin_switching(feed),
        false => upload.begin_lazily(feed),
    }
    Ok(exchange)
}

/// What chooses the target where the upstream balances by a hash.
fn hash(session: &Session, ctx: &RequestCtx, reserved: &Reserved<'_>) -> u64 {
    match (reserved, &ctx.service) {
        (Reserved::Upstream(upstream), Some(service))
            if upstream.spec().balance == Balance::Hash =>
        {
            let client = Some(session.client().ip());
            service.decider.hash(Asked { parts: session.request(), client, preview: None })
        }
        _ => 0,
    }
}

fn declared_length(session: &Session) -> Option<u64> {
    session.request().headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
