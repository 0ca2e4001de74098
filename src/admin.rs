//! The admin listener: health, metrics, status and history, for probes, Prometheus and people.
//!
//! Its only actions are to have the files read again and to check a text: files alone say what is served. `guard`
//! decides which requests are answered. Where a token file is configured, every path except the health of the process
//! needs the token.

mod check;
mod description;
mod explain;
mod guard;
mod history;
mod listen;
mod status;
mod token;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};

pub use description::description;
pub use status::service_document;
pub use token::{Token, TokenError, TokenFile};

use crate::api::{self, Attribution, HistoryQuery, StatusQuery};
use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::reload::ReloadHandle;
use crate::telemetry::{Ailment, Telemetry};
use crate::versions::Live;

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The longest attribution of a change, in bytes. The history keeps it as long as the change.
const ATTRIBUTION_MAX: usize = 64 << 10;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How often the token file is read.
const LOOK: Duration = Duration::from_secs(1);

/// How often open descriptors are counted. Counting takes older kernels a while.
const COUNT: Duration = Duration::from_secs(5);

/// How many services that are not ready a probe is told about.
const NAMED: usize = 100;

/// What the admin listener shows.
#[derive(Clone, Debug)]
pub struct Admin {
    pub live: Arc<Live>,
    pub reloads: Arc<ReloadHandle>,
    pub telemetry: Telemetry,
    pub token: Option<TokenFile>,
    pub descriptors: Descriptors,
    /// Whether the drain is announced.
    pub draining: Arc<AtomicBool>,
    /// Port of the first proxy listener, for the URLs of services.
    pub port: u16,
    /// The main file, absolute.
    pub config: PathBuf,
    /// The directory of the main file, absolute.
    pub root: PathBuf,
    pub started_with: Arc<Config>,
}

/// Serves [`Admin`] on a bound socket.
pub struct AdminListener {
    admin: Admin,
    socket: std::net::TcpListener,
}

impl AdminListener {
    /// Serves `admin` on `socket`.
    pub fn new(admin: Admin, socket: std::net::TcpListener) -> Self {
        Self { admin, socket }
    }

    /// Serves until dropped. The socket stays open: clients that connect meanwhile wait for the next call.
    ///
    /// # Errors
    ///
    /// Where the process has no descriptor for the socket.
    pub async fn serve(&self) -> io::Result<()> {
        let socket = self.socket.try_clone()?;
        tokio::select! {
            served = listen::serve(socket, routes(self.admin.clone())) => served,
            () = self.admin.look_around() => Ok(()),
        }
    }
}

impl Admin {
    /// Follows what changes outside this process: the token file, also on SIGHUP, and the number of open descriptors.
    async fn look_around(&self) {
        let [mut looks, mut counts] = [LOOK, COUNT].map(interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut was_near = false;
        loop {
            tokio::select! {
                _ = looks.tick() => self.look_at_token().await,
                () = hangup(&mut hangups) => self.look_at_token().await,
                _ = counts.tick() => was_near = self.look_at_descriptors(was_near),
            }
        }
    }

    async fn look_at_token(&self) {
        if let Some(token) = &self.token {
            token.look().await;
        }
    }

    /// Whether the process is close to its limit of descriptors. The log says so once.
    fn look_at_descriptors(&self, was_near: bool) -> bool {
        let seen = self.descriptors.look();
        if seen.is_near() && !was_near {
            tracing::warn!("{seen}");
        }
        seen.is_near()
    }
}

/// Waits for SIGHUP; forever where the process cannot receive it.
async fn hangup(hangups: &mut Option<Signal>) {
    let told = match hangups {
        Some(hangups) => hangups.recv().await,
        None => None,
    };
    if told.is_none() {
        std::future::pending::<()>().await;
    }
}

fn routes(admin: Admin) -> Router {
    let hosts = admin.started_with.admin.hosts.clone().into();
    let (token, draining) = (admin.token.clone(), admin.draining.clone());
    let guard = guard::Guard { hosts, token, draining };
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route(api::STATUS, get(show_status))
        .route(api::CONFIG, get(show_config))
        .route(api::EXPLAIN, get(show_explanation))
        .route(api::HISTORY, get(show_history))
        .route(api::RELOAD, post(reload))
        .route(api::CHECK, post(check::show))
        .fallback(async || {
            let paths = "try /livez, /readyz, /metrics, /api/v1/status, /api/v1/config, \
                         /api/v1/explain?service=NAME, /api/v1/history?service=NAME, POST /api/v1/reload or POST \
                         /api/v1/check\n";
            (StatusCode::NOT_FOUND, paths)
        })
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(Arc::new(admin))
}

/// What a probe waits for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readiness {
    /// The lowest generation that has to be served.
    generation: Option<u64>,
}

/// 200, unless only a restart of the process helps.
async fn livez(State(admin): State<Arc<Admin>>) -> Response {
    match admin.lost() {
        None => "ok\n".into_response(),
        Some(lost) => (StatusCode::SERVICE_UNAVAILABLE, format!("{lost}\n")).into_response(),
    }
}

/// 200 once every service that should have traffic has normal versions for it, in the generation that the probe asks
/// for, and until the drain is announced.
async fn readyz(
    State(admin): State<Arc<Admin>>,
    Query(Readiness { generation: wanted }): Query<Readiness>,
) -> Response {
    let snapshot = admin.live.load();
    let generation = snapshot.generation;
    let not_ready = |why: String| {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response()
    };
    if admin.draining.load(Ordering::Relaxed) {
        return not_ready("draining".to_owned());
    }
    if let Some(lost) = admin.lost() {
        return not_ready(lost);
    }
    if let Some(wanted) = wanted.filter(|wanted| *wanted > generation) {
        return not_ready(format!("generation {generation} is served, and not yet {wanted}"));
    }
    if snapshot.is_ready() {
        // This is no reason to send requests elsewhere: they are served as before.
        let failing = admin.telemetry.health().with(Ailment::Failing);
        return match failing.as_slice() {
            [] => "ready\n".into_response(),
            tasks => {
                format!("ready, but see the log: {} panics again and again\n", tasks.join(", "))
                    .into_response()
            }
        };
    }
    let waiting = snapshot.services.iter().filter(|service| !service.is_ready());
    let waiting = waiting.map(|service| service.key.service.as_str());
    let names: Vec<_> = waiting.take(NAMED).collect();
    let more = snapshot.unready().saturating_sub(names.len());
    not_ready(match (names.as_slice(), more) {
        ([], _) => "starting".to_owned(),
        (names, 0) => names.join(", "),
        (names, more) => format!("{} and {more} more", names.join(", ")),
    })
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let seen = admin.descriptors.look();
    let open = seen.open.unwrap_or_default();
    admin.telemetry.descriptors((open, seen.limit), (seen.clients, seen.clients_max));
    let shares = status::shares(&admin.live.load(), Instant::now());
    match admin.telemetry.render(admin.live.generations(), &shares) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn show_status(
    State(admin): State<Arc<Admin>>,
    Query(query): Query<StatusQuery>,
) -> Response {
    Json(status::document(&admin, &query)).into_response()
}

/// What is declared and served, so that a client can compare it with files.
async fn show_config(State(admin): State<Arc<Admin>>) -> Response {
    let snapshot = admin.live.load();
    Json(description::description(&snapshot, &admin.root, &admin.started_with)).into_response()
}

/// Says which version a described request would get, and why.
async fn show_explanation(State(admin): State<Arc<Admin>>, RawQuery(query): RawQuery) -> Response {
    explain::show(&admin.live, &query.unwrap_or_default())
}

async fn show_history(
    State(admin): State<Arc<Admin>>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Response {
    history::show(admin.reloads.history(), query).await
}

/// Has the files read again at once. Every file is read, or only changed ones where the body says who has changed what.
/// 422 where something is wrong with the files.
async fn reload(State(admin): State<Arc<Admin>>, body: Body) -> Response {
    let body = match read(body, 2 * ATTRIBUTION_MAX, too_long).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    admin.look_at_token().await;
    let reload = match attribution(&body) {
        Ok(None) => admin.reloads.request().await,
        Ok(Some(attribution)) => admin.reloads.request_by(attribution).await,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let Some(reload) = reload else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "the process is ending");
    };
    let status = match &reload.report {
        None => StatusCode::OK,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, Json(status::reload_document(&reload))).into_response()
}

/// The answer where there is no document: one line of plain text. Every refusal of the API is written here.
fn refused(status: StatusCode, why: impl std::fmt::Display) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// The body of a request, within a bound of length and time; or the answer that refuses it.
async fn read(
    body: Body,
    longest: usize,
    too_long: impl Fn() -> String,
) -> Result<Bytes, Response> {
    match timeout(BODY_TIME, to_bytes(body, longest)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, too_long())),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

/// The attribution in a body, if there is one.
fn attribution(body: &[u8]) -> Result<Option<Attribution>, String> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    if body.len() > ATTRIBUTION_MAX {
        return Err(too_long());
    }
    serde_json::from_slice(body).map(Some).map_err(|error| {
        format!(
            "the body does not say who has changed what: {error}; send none, or a JSON object with \
             `environment`, `service`, `user`, `command` and `file_digest`"
        )
    })
}

fn too_long() -> String {
    format!("the body has more than {ATTRIBUTION_MAX} bytes: shorten `remark`")
}

impl Admin {
    /// Names the tasks that cannot do their work any more, if any.
    fn lost(&self) -> Option<String> {
        let lost = self.telemetry.health().with(Ailment::Lost);
        (!lost.is_empty()).then(|| format!("{} cannot work, see the log", lost.join(", ")))
    }
}
