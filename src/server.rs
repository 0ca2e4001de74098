//! The composition root: makes everything, connects it, and runs it until a signal.

mod edits;
mod handover;
mod memory;
mod origin;
mod printer;
mod restarting;
mod signals;
mod sockets;
mod startup;
mod supervise;
mod taking_over;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::admin::{Admin, AdminListener, Events, TokenError, TokenFile, Writes};
use crate::certificates::CertificateStore;
use crate::config::{BackendSpec, Config, ProxyProtocol, ServerSettings};
use crate::descriptors::Descriptors;
use crate::proxy::Gateway;
use crate::reload::{ReloadHandle, Reloader};
use crate::restart::{Door, Restarts};
use crate::runtime::{
    CompileCache, Compiler, Engine, EngineError, PoolSize, give_back_memory, share_freed_pages,
};
use crate::source::{ComponentStore, Loaded, Loader, WatchError, Watcher};
use crate::telemetry::Telemetry;
use crate::transport::tls::{Certificates, Handshakes, TlsError, TlsTerms};
use crate::transport::{Acceptor, ConnectionLimit, Drain, ListenError, Urls};
use crate::versions::{Live, Preparer, declared};
use handover::Handover;
pub use origin::{Concerned, Origin, OriginError};
use restarting::RestartOnSignal;
use signals::{ReloadOnHangup, Signals};
use sockets::Sockets;
use startup::Startup;
use supervise::{Task, supervised};

/// How often idle sandboxes are released and counters sampled.
const SWEEP: Duration = Duration::from_secs(5);

/// How many services are swept before other tasks get a turn.
const SWEPT_AT_ONCE: usize = 64;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("TLS cannot be spoken: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error("a socket cannot be used: {0}")]
    Socket(io::Error),
    /// Another process goes on serving.
    #[error("process {predecessor} goes on serving: {why}")]
    NoTurn { predecessor: u32, why: String },
}

/// Serves the configuration that `loader` loaded, with these `certificates` where it has HTTPS, until SIGTERM or SIGINT,
/// or until another process has taken over. Prints the addresses and, once the versions are ready, what each service
/// serves. Counts in `telemetry`.
///
/// # Errors
///
/// Where an address cannot be bound, or the sandbox pool or the watcher cannot be made, or the process
/// that `origin` names goes on itself. Nothing is served then.
pub fn run(
    loader: Loader,
    loaded: Loaded,
    certificates: CertificateStore,
    telemetry: Telemetry,
    origin: Origin,
) -> Result<(), StartError> {
    share_freed_pages();
    let Loaded { config, rejected, changes, .. } = loaded;
    let Origin { program, predecessor, given } = origin;
    let mut handover = Handover::new(program, predecessor);
    let shared = Shared::new(telemetry, Descriptors::raise(), handover.restarts.clone());
    let (sockets, left) = Sockets::open(&config, given)?;
    let socket = |door| sockets.of(door).map_err(StartError::Socket);
    let (proxy, tls, admin_sockets) =
        (socket(Door::Proxy)?, socket(Door::Tls)?, socket(Door::Admin)?);
    let token = config.admin.token_file.clone().map(TokenFile::open).transpose()?;
    let watcher = Watcher::new(config.server.watch)?;
    let engine = engine(&config)?;
    let Shared { telemetry, live, reloads, drain, .. } = shared.clone();

    let preparer = Preparer::new(engine, cache(&config), telemetry.clone())
        .with_store(ComponentStore::new(&config.components.directory));
    let network = preparer.network().clone();
    let files = (loader.path().to_owned(), loader.directory().to_owned());
    let reloader = Reloader::new(
        loader,
        (config.clone(), changes.watch().to_vec(), rejected),
        preparer,
        live.clone(),
        reloads.clone(),
        telemetry.clone(),
    );
    let terms = TlsTerms::new(Certificates::default())?;
    let reloader = match &config.server.tls {
        Some(_) => reloader.with_https(certificates, terms.clone()),
        None => reloader,
    };
    let https = sockets.https(terms.certificates().clone());
    let speaks = https.as_ref().map(|https| (https.port, https.certificates.clone()));
    let urls = Urls::new(sockets.port(), speaks);
    let (taking_over, turn) =
        handover.take_over((left, sockets.admin()), &drain, (&live, &reloads));
    let reloader = reloader.waiting_for(turn);
    let (ready, accept) = oneshot::channel();
    let printed = (sockets.lines(), urls.clone());
    let startup = Startup::new(ready, printed, live, reloads, handover.restarts.clone());
    let admin = shared.admin(token, urls, files, config.clone());
    let admin = AdminListener::new(admin, admin_sockets);

    let mut server = Server::new_with_opt_and_conf(None, pingora_conf(&config));
    // By now, most descriptors other than connections of clients are open.
    let room = shared.descriptors.decide_connections_max();
    let declared = shared.live.clone();
    let limit = ConnectionLimit::of(move || declared.max_connections().min(room));
    let mut gateway = shared.gateway();
    if let Some(https) = https {
        gateway = gateway.with_https(https);
    }
    network.serve_with({
        let gateway = gateway.clone();
        move |call, allowed| gateway.call(call, allowed)
    });
    let health = telemetry.health();
    server.add_service(supervised(Sweeper(shared.live.clone(), gateway.clone()), health));
    let mut acceptor = Acceptor::new(proxy, gateway, limit, drain.clone(), accept)
        .with_proxy_headers(config.server.proxy_protocol == ProxyProtocol::V1V2);
    if !tls.is_empty() {
        acceptor = acceptor.with_tls(tls, Handshakes::new(terms));
    }
    server.add_service(acceptor);
    let reloading = Reloading(tokio::sync::Mutex::new((reloader, watcher)));
    server.add_service(supervised(Sampler(telemetry.clone()), health));
    server.add_service(supervised(reloading, health));
    server.add_service(supervised(ReloadOnHangup(shared.reloads.clone()), health));
    server.add_service(supervised(admin, health));
    server.add_service(supervised(startup, health));
    let ServerSettings { drain_delay, grace_period, .. } = config.server;
    let served = (shared.live.clone(), shared.reloads.clone());
    let restarting = handover.restarting(sockets, (drain.clone(), grace_period), served);
    server.add_service(supervised(taking_over, health));
    server.add_service(supervised(RestartOnSignal(handover.restarts.clone()), health));
    server.add_service(supervised(restarting, health));
    let signals = Signals {
        drain,
        drain_delay,
        grace_period,
        restarts: handover.restarts.clone(),
        predecessor: handover.voice.clone(),
        over: handover.over.clone(),
    };
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    handover.outcome()
}

/// State that several services share.
#[derive(Clone)]
struct Shared {
    telemetry: Telemetry,
    live: Arc<Live>,
    reloads: Arc<ReloadHandle>,
    descriptors: Descriptors,
    drain: Drain,
    restarts: Restarts,
}

impl Shared {
    fn new(telemetry: Telemetry, descriptors: Descriptors, restarts: Restarts) -> Self {
        let drain = Drain::new(descriptors.clone());
        let (live, reloads) = Default::default();
        Self { telemetry, live, reloads, descriptors, drain, restarts }
    }

    fn gateway(&self) -> Gateway {
        Gateway::new(self.live.clone(), self.telemetry.clone(), self.drain.clone())
    }

    fn admin(
        &self,
        token: Option<TokenFile>,
        urls: Urls,
        (config, root): (PathBuf, PathBuf),
        started_with: Arc<Config>,
    ) -> Admin {
        let Self { telemetry, live, reloads, descriptors, drain, restarts } = self.clone();
        let state = started_with.state.directory.clone();
        Admin {
            live,
            reloads,
            telemetry,
            token,
            attempts: Default::default(),
            descriptors,
            drain,
            restarts,
            events: Events::default(),
            urls,
            config,
            root,
            started_with,
            writes: Writes::new(&state),
        }
    }
}

fn engine(config: &Config) -> Result<Engine, EngineError> {
    if !Engine::resets_by_page_map() {
        tracing::warn!("this kernel has no PAGEMAP_SCAN (Linux 6.7): fresh sandboxes cost more");
    }
    Ok(Engine::new(pool_size(config))?.with_compiler(Compiler::Child))
}

fn cache(config: &Config) -> Option<CompileCache> {
    CompileCache::open(&config.state.directory)
        .inspect_err(|error| tracing::warn!("no compile cache: {error}"))
        .ok()
}

/// The sandbox pool that a configuration needs.
pub fn pool_size(config: &Config) -> PoolSize {
    let (mut concurrency, mut memory) = (0_u32, 0);
    for (_, _, spec) in declared(config) {
        match &spec.backend {
            BackendSpec::Guest(guest) => {
                concurrency = concurrency.saturating_add(spec.limits.concurrency.get());
                memory = guest.limits.memory.bytes().max(memory);
            }
            BackendSpec::Upstream(_) => {}
        }
    }
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    PoolSize { sandboxes: config.server.sandboxes.get(), concurrency, memory }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Pingora's own grace periods are off: [`Signals`] implements them.
fn pingora_conf(config: &Config) -> ServerConf {
    let threads = match config.server.threads {
        0 => cores(),
        threads => threads,
    };
    ServerConf {
        threads,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    }
}

/// Returns idle sandboxes to the pool and free memory to the system, and samples the counters of each version so that
/// the status can show the last minute.
struct Sweeper(Arc<Live>, Gateway);

#[async_trait]
impl Task for Sweeper {
    const NAME: &'static str = "sweeper";

    async fn run(&self) -> io::Result<()> {
        let mut rounds = tokio::time::interval(SWEEP);
        // After a suspension of the machine, the missed rounds would all take the same sample.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let now = Instant::now();
            self.1.tell_rest(now);
            let snapshot = self.0.load();
            for services in snapshot.services.chunks(SWEPT_AT_ONCE) {
                services.iter().for_each(|service| service.sweep(now));
                // Gives other tasks a turn.
                tokio::task::yield_now().await;
            }
            give_back_memory();
        }
    }
}

/// Has the series of all versions written down, once a second.
struct Sampler(Telemetry);

#[async_trait]
impl Task for Sampler {
    const NAME: &'static str = "sampler";

    async fn run(&self) -> io::Result<()> {
        let series = self.0.series();
        loop {
            let next = series.next(Instant::now());
            tokio::time::sleep_until(next.into()).await;
            series.sample(Instant::now(), SystemTime::now());
        }
    }
}

/// Runs the reloader. Its state is here, so that it survives a panic of the task.
struct Reloading(tokio::sync::Mutex<(Reloader, Watcher)>);

#[async_trait]
impl Task for Reloading {
    const NAME: &'static str = "reloader";

    async fn run(&self) -> io::Result<()> {
        let (reloader, watcher) = &mut *self.0.lock().await;
        reloader.run(watcher).await;
        Ok(())
    }
}

#[async_trait]
impl Task for AdminListener {
    const NAME: &'static str = "admin";

    async fn run(&self) -> io::Result<()> {
        self.serve().await
    }
}
