//! The composition root: makes everything, connects it, and runs it until a signal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};
use std::sync::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::admin::{Admin, AdminListener, Token, TokenError};
use crate::config::Config;
use crate::listener::{Acceptor, Drain, ListenError, listen};
use crate::proxy::Gateway;
use crate::registry::{Live, Programs, ServiceEntry, Snapshot};
use crate::reload::{Reloader, Reloads, WatchError, Watcher};
use crate::runtime::{CompileCache, EPOCH_TICK, Engine, EngineError};
use crate::telemetry::Telemetry;

/// How long clients wait for the first versions before they are told that there are none.
const FIRST_VERSIONS: Duration = Duration::from_secs(10);

/// How often idle sandboxes are looked at.
const SWEEP: Duration = Duration::from_secs(5);

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
    #[error("cannot handle signals: {0}")]
    Signals(std::io::Error),
}

/// Serves `config`, read from `path`, until SIGTERM or SIGINT. Prints where it listens, and what
/// each service serves once that is known.
///
/// # Errors
///
/// Where an address, the sandbox pool or the watcher cannot be had. Nothing is served then.
pub fn run(path: PathBuf, config: Config) -> Result<(), StartError> {
    let config = Arc::new(config);
    let sockets = config
        .server
        .listen
        .iter()
        .map(|address| listen(*address, "server.listen"))
        .collect::<Result<Vec<_>, _>>()?;
    let admin_socket = listen(config.admin.listen, "admin.listen")?;
    let token = config.admin.token_file.as_deref().map(Token::read).transpose()?;
    let engine = Engine::new()?;
    if !Engine::resets_by_page_map() {
        tracing::warn!("this kernel has no PAGEMAP_SCAN (Linux 6.7): fresh sandboxes cost more");
    }
    let watcher = Watcher::new()?;
    let telemetry = Telemetry::default();
    let live = Arc::new(Live::default());
    let reloads = Arc::new(Reloads::default());
    let drain = Drain::default();
    let addresses: Vec<_> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let port = addresses.first().map_or(0, SocketAddr::port);
    let cache = CompileCache::open(&config.state.directory)
        .inspect_err(|error| tracing::warn!("no compile cache: {error}"))
        .ok();
    let programs = Programs::new(engine.clone(), cache, telemetry.clone(), compile_workers());
    let reloader = Reloader::new(
        std::path::absolute(&path).unwrap_or(path),
        config.clone(),
        programs,
        live.clone(),
        reloads.clone(),
        telemetry.clone(),
    );
    let admin = Admin {
        live: live.clone(),
        reloads: reloads.clone(),
        telemetry: telemetry.clone(),
        token,
        port,
    };
    let mut lines: Vec<_> =
        addresses.iter().map(|address| format!("listening on http://{address}")).collect();
    lines.extend(admin_socket.local_addr().map(|address| format!("admin on http://{address}")));
    let (ready, accept) = oneshot::channel();
    let herald = Herald { ready: once(ready), lines, port, live: live.clone(), reloads };

    let mut server = Server::new_with_opt_and_conf(None, pingora_conf(&config));
    let gateway = || Gateway::new(live.clone(), telemetry.clone(), drain.flag());
    let acceptor = Acceptor::new(sockets, &server.configuration, gateway, drain.clone(), accept);
    server.add_service(acceptor);
    server.add_service(single("epoch ticker", Ticker(engine)));
    server.add_service(single("sweeper", Sweeper(live.clone())));
    server.add_service(single("reloader", Reloading(once((reloader, watcher)))));
    server.add_service(single("admin", AdminListener::new(admin, admin_socket)));
    server.add_service(single("herald", herald));
    let signals = Signals { drain, grace_period: config.server.grace_period };
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    Ok(())
}

/// Compilation leaves one core to the requests, where there are two.
pub fn compile_workers() -> usize {
    cores().saturating_sub(1).max(1)
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

/// A background service with a thread of its own.
fn single<S: BackgroundService + Send + Sync + 'static>(
    name: &str,
    service: S,
) -> pingora::services::background::GenBackgroundService<S> {
    let mut service = background_service(name, service);
    service.threads = Some(1);
    service
}

/// Something that a service takes when it starts.
type Once<T> = Mutex<Option<T>>;

fn once<T>(value: T) -> Once<T> {
    Mutex::new(Some(value))
}

fn take<T>(once: &Once<T>) -> Option<T> {
    once.lock().ok()?.take()
}

/// Moves the engine's epoch on.
struct Ticker(Engine);

#[async_trait]
impl BackgroundService for Ticker {
    async fn start(&self, _: ShutdownWatch) {
        let mut ticks = tokio::time::interval(EPOCH_TICK);
        loop {
            ticks.tick().await;
            self.0.tick();
        }
    }
}

/// Gives sandboxes back to the pool that have waited too long for their next request.
struct Sweeper(Arc<Live>);

#[async_trait]
impl BackgroundService for Sweeper {
    async fn start(&self, _: ShutdownWatch) {
        let mut rounds = tokio::time::interval(SWEEP);
        loop {
            rounds.tick().await;
            for service in &self.0.load().services {
                for (version, _) in service.serving.shares() {
                    version.guest.sweep();
                }
            }
        }
    }
}

struct Reloading(Once<(Reloader, Watcher)>);

#[async_trait]
impl BackgroundService for Reloading {
    async fn start(&self, _: ShutdownWatch) {
        if let Some((reloader, watcher)) = take(&self.0) {
            reloader.run(watcher).await;
        }
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
impl BackgroundService for Herald {
    async fn start(&self, _: ShutdownWatch) {
        let settled = tokio::time::timeout(FIRST_VERSIONS, self.reloads.settled()).await.is_ok();
        if let Some(ready) = take(&self.ready) {
            // Nobody accepts any more if the process is about to end.
            ready.send(()).ok();
        }
        for line in &self.lines {
            say(line);
        }
        if !settled {
            say("some versions are still being made; their services answer 503 until then");
            self.reloads.settled().await;
        }
        for line in describe(&self.live.load(), self.port) {
            say(&line);
        }
    }
}

/// A line of what the program tells its user. A closed standard output is not worth dying for.
fn say(line: &str) {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{line}").ok();
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
