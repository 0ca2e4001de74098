//! The composition root: makes everything, connects it, and runs it until a signal.

mod kept;
mod voice;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::admin::{Admin, AdminListener, TokenError, TokenFile};
use crate::config::{Config, ServerSettings};
use crate::descriptors::Descriptors;
use crate::proxy::Gateway;
use crate::reload::{Reloader, Reloads};
use crate::runtime::{CompileCache, Compiler, Engine, EngineError, PoolSize};
use crate::source::{Loaded, Loader, WatchError, Watcher};
use crate::telemetry::Telemetry;
use crate::transport::{Acceptor, Drain, ListenError, Places, listen};
use crate::versions::{Live, Programs, ServiceEntry, Snapshot, declared};
use kept::{Task, kept};
use voice::Voice;

/// How long clients wait for the first versions before they are told that there are none.
const FIRST_VERSIONS: Duration = Duration::from_secs(10);

/// How often idle sandboxes are looked at, and what versions have done is noted.
const SWEEP: Duration = Duration::from_secs(5);

/// How many services are swept in one go.
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
}

/// Serves what `loader` loaded until SIGTERM or SIGINT. Prints where it listens, and what each
/// service serves once that is known. Counts in `telemetry`.
///
/// # Errors
///
/// Where an address, the sandbox pool or the watcher cannot be had. Nothing is served then.
pub fn run(loader: Loader, loaded: Loaded, telemetry: Telemetry) -> Result<(), StartError> {
    outlive_file_limit();
    let Loaded { config, rejected, changes, .. } = loaded;
    let shared = Shared::new(telemetry, Descriptors::raise());
    let sockets = Sockets::bind(&config)?;
    let token = config.admin.token_file.clone().map(TokenFile::open).transpose()?;
    let watcher = Watcher::new(config.server.watch)?;
    let engine = engine(&config)?;
    let Shared { telemetry, live, reloads, drain, .. } = shared.clone();

    let programs = Programs::new(engine, cache(&config), telemetry.clone());
    let files = (loader.path().to_owned(), loader.directory().to_owned());
    let reloader = Reloader::new(
        loader,
        (config.clone(), changes.watch().to_vec(), rejected),
        programs,
        live.clone(),
        reloads.clone(),
        telemetry.clone(),
    );
    let port = sockets.port();
    let (ready, accept) = oneshot::channel();
    let herald = Herald { ready: once(ready), lines: sockets.lines(), port, live, reloads };
    let admin = shared.admin(token, port, files, config.clone());
    let admin = AdminListener::new(admin, sockets.admin);

    let mut server = Server::new_with_opt_and_conf(None, pingora_conf(&config));
    // By now, most of what is no client's is open.
    let places = Places::new(shared.descriptors.decide_places());
    let front = shared.gateway();
    server.add_service(Acceptor::new(sockets.proxy, front, places, drain.clone(), accept));
    let health = telemetry.health();
    let reloading = Reloading(tokio::sync::Mutex::new((reloader, watcher)));
    server.add_service(kept(Sweeper(shared.live.clone()), health));
    server.add_service(kept(reloading, health));
    server.add_service(kept(Hangup(shared.reloads.clone()), health));
    server.add_service(kept(admin, health));
    server.add_service(kept(herald, health));
    let ServerSettings { drain_delay, grace_period, .. } = config.server;
    let signals = Signals { drain, drain_delay, grace_period };
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    Ok(())
}

/// What several services look at.
#[derive(Clone)]
struct Shared {
    telemetry: Telemetry,
    live: Arc<Live>,
    reloads: Arc<Reloads>,
    descriptors: Descriptors,
    drain: Drain,
}

impl Shared {
    fn new(telemetry: Telemetry, descriptors: Descriptors) -> Self {
        let drain = Drain::new(descriptors.clone());
        let (live, reloads) = Default::default();
        Self { telemetry, live, reloads, descriptors, drain }
    }

    fn gateway(&self) -> Gateway {
        Gateway::new(self.live.clone(), self.telemetry.clone(), self.drain.clone())
    }

    fn admin(
        &self,
        token: Option<TokenFile>,
        port: u16,
        (config, root): (PathBuf, PathBuf),
        started_with: Arc<Config>,
    ) -> Admin {
        let Self { telemetry, live, reloads, descriptors, drain } = self.clone();
        let draining = drain.flag();
        Admin {
            live,
            reloads,
            telemetry,
            token,
            descriptors,
            draining,
            port,
            config,
            root,
            started_with,
        }
    }
}

/// Bound before anything else, so that an address in use is known at once.
struct Sockets {
    proxy: Vec<TcpListener>,
    admin: TcpListener,
}

impl Sockets {
    fn bind(config: &Config) -> Result<Self, ListenError> {
        let (server, admin) = (&config.server.listen, config.admin.listen);
        let all: Vec<_> = server.iter().copied().chain([admin]).collect();
        let listen = |address, key| listen(address, key, &all);
        let proxy: Result<_, _> =
            server.iter().map(|address| listen(*address, "server.listen")).collect();
        Ok(Self { proxy: proxy?, admin: listen(admin, "admin.listen")? })
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.proxy.iter().filter_map(|socket| socket.local_addr().ok())
    }

    /// The port of the services' URLs.
    fn port(&self) -> u16 {
        self.addresses().next().map_or(0, |address| address.port())
    }

    fn lines(&self) -> Vec<String> {
        let proxy = self.addresses().map(|address| format!("listening on http://{address}"));
        let admin = self.admin.local_addr().map(|address| format!("admin on http://{address}"));
        proxy.chain(admin).collect()
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

/// The pool that a configuration asks for.
pub fn pool_size(config: &Config) -> PoolSize {
    let limits = || declared(config).map(|(_, _, spec)| &spec.limits);
    let memory = limits().map(|limits| limits.memory.bytes()).max().unwrap_or(0);
    PoolSize {
        sandboxes: config.server.sandboxes.get(),
        concurrency: limits().fold(0, |sum, limits| sum.saturating_add(limits.concurrency.get())),
        memory: usize::try_from(memory).unwrap_or(usize::MAX),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Pingora's own grace periods are off: [`Signals`] has waited already.
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

/// Something that a service takes when it starts.
type Once<T> = Mutex<Option<T>>;

fn once<T>(value: T) -> Once<T> {
    Mutex::new(Some(value))
}

fn take<T>(once: &Once<T>) -> Option<T> {
    once.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Gives sandboxes back to the pool that have waited too long for their next request, and notes what
/// each version has done so far, so that the status can tell of the last minute.
struct Sweeper(Arc<Live>);

#[async_trait]
impl Task for Sweeper {
    const NAME: &'static str = "sweeper";

    async fn run(&self) -> io::Result<()> {
        let mut rounds = tokio::time::interval(SWEEP);
        // Rounds that a suspended machine missed would all note the same.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            let now = Instant::now();
            let snapshot = self.0.load();
            for services in snapshot.services.chunks(SWEPT_AT_ONCE) {
                services.iter().for_each(|service| service.sweep(now));
                // Others have something to do as well.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Follows the files. What it knows of them is kept here, where no panic takes it along.
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

/// SIGHUP: read every file again, at once.
struct Hangup(Arc<Reloads>);

#[async_trait]
impl Task for Hangup {
    const NAME: &'static str = "hangup";

    async fn run(&self) -> io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: reading every file again");
            self.0.request().await;
        }
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

/// Lets connections in once the first versions are known, and says so on standard output.
struct Herald {
    ready: Once<oneshot::Sender<()>>,
    lines: Vec<String>,
    port: u16,
    live: Arc<Live>,
    reloads: Arc<Reloads>,
}

#[async_trait]
impl Task for Herald {
    const NAME: &'static str = "herald";

    async fn run(&self) -> io::Result<()> {
        let voice = Voice::on(io::stdout());
        let settled = tokio::time::timeout(FIRST_VERSIONS, self.reloads.settled()).await.is_ok();
        if let Some(ready) = take(&self.ready) {
            // Nobody accepts any more if the process is about to end.
            ready.send(()).ok();
        }
        for line in &self.lines {
            voice.say(line);
        }
        if !settled {
            voice.say("some versions are still being made; their services answer 503 until then");
            self.reloads.settled().await;
        }
        for line in describe(&self.live.load(), self.port) {
            voice.say(&line);
        }
        for rejection in self.reloads.rejected().iter() {
            voice.say(&format!("rejected  {}, see the log", rejection.file.display()));
        }
        Ok(())
    }
}

/// A file that has grown to the limit of the process (`ulimit -f`), be it of the log or of the state,
/// is an error of whoever writes it. Without a handler, the signal that comes with it ends the process.
fn outlive_file_limit() {
    let handle = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let _entered = runtime.enter();
        // Handlers stay when their streams are gone.
        signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
    };
    if let Err(error) = handle() {
        tracing::warn!("cannot handle SIGXFSZ: a file that is too large ends the process: {error}");
    }
}

/// A line for each service: its URL, and each version with its share and status.
pub fn describe(snapshot: &Snapshot, port: u16) -> Vec<String> {
    let width = snapshot.services.iter().map(|service| service.url(port).len()).max();
    let line = |service: &Arc<ServiceEntry>| {
        let versions: Vec<_> = service
            .versions
            .iter()
            .map(|version| match version.status.error() {
                None => format!("{} {} % {}", version.name, version.share, version.status.word()),
                Some(error) => {
                    format!("{} {} % error {}", version.name, version.share, error.code.as_str())
                }
            })
            .collect();
        let url = service.url(port);
        format!("{url:width$}  {}", versions.join(", "), width = width.unwrap_or(0))
    };
    snapshot.services.iter().map(line).collect()
}

/// SIGTERM and SIGINT: drain, and end at once if told a second time.
struct Signals {
    drain: Drain,
    drain_delay: Duration,
    grace_period: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("cannot handle signals: they end the process at once");
            return std::future::pending().await;
        };
        next(&mut terminate, &mut interrupt).await;
        // Before anything that could wait: whoever asks for readiness is told from now on.
        self.drain.announce();
        if !self.drain_delay.is_zero() {
            tracing::info!(
                "shutting down: requests are still served for {:?} (drain-delay), and /readyz says 503; a second \
                 signal ends the process at once",
                self.drain_delay
            );
            tokio::select! {
                () = self.drain.announce_for(self.drain_delay) => {}
                () = next(&mut terminate, &mut interrupt) => std::process::exit(1),
            }
        }
        tracing::info!(
            "draining for at most {:?}; a second signal ends at once",
            self.grace_period
        );
        self.drain.start();
        tokio::select! {
            () = self.drain.finished() => tracing::info!("drained"),
            () = tokio::time::sleep(self.grace_period) => {
                tracing::warn!("{} connections cut off by the grace period", self.drain.open());
            }
            () = next(&mut terminate, &mut interrupt) => std::process::exit(1),
        }
        ShutdownSignal::FastShutdown
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
