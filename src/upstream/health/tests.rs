//! Verdicts by hand, and checks of real sockets.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::Targets;
use super::super::target::Settings;
use super::*;
use crate::config::{Limits, Protocol, TargetAddress, TargetSpec, UpstreamSpec};

const DEADLINE: Duration = Duration::from_secs(20);

fn spec() -> HealthSpec {
    HealthSpec {
        path: Some("/up?now".to_owned()),
        interval: Duration::from_millis(100),
        ..HealthSpec::default()
    }
}

/// A target that nobody checks, and what is known of it.
fn by_hand() -> (Target, Checks) {
    let address = "10.0.0.1:80".parse().unwrap();
    let settings = Settings::new(&upstream_of(&[address], None), None);
    (Target::new(TargetAddress::Address(address), address, settings), Checks::new(&spec()))
}

/// Checks after these results, and the verdicts after each.
fn verdicts(results: &[bool]) -> Vec<Verdict> {
    let (target, checks) = by_hand();
    let verdict = |is_well: &bool| {
        let result = if *is_well { Ok(()) } else { Err("refused".to_owned()) };
        checks.note(&target, result, Instant::now());
        checks.verdict()
    };
    results.iter().map(verdict).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_check_decides_and_later_ones_must_agree() {
    use Verdict::{Healthy as H, Unhealthy as U};
    assert_eq!(verdicts(&[true, false, false, true, false, false, false]), [H, H, H, H, H, H, U]);
    assert_eq!(verdicts(&[false, true]), [U, H], "it has just been started");
    assert_eq!(
        verdicts(&[true, false, false, false, true, false, true, true]),
        [H, H, H, U, U, U, U, H]
    );
}

#[tokio::test(start_paused = true)]
async fn why_a_target_is_unhealthy_is_told_until_it_is_healthy() {
    let (target, checks) = by_hand();
    for (result, why) in [
        (Ok(()), None),
        (Err("refused".to_owned()), Some("refused")),
        (Err("refused".to_owned()), Some("refused")),
        (Err("no answer".to_owned()), Some("no answer")),
        (Ok(()), Some("no answer")),
        (Ok(()), None),
    ] {
        checks.note(&target, result, Instant::now());
        assert_eq!(checks.last().why.as_deref(), why);
    }
}

fn upstream_of(addresses: &[SocketAddr], health: Option<HealthSpec>) -> UpstreamSpec {
    let target = |address: &SocketAddr| TargetSpec::new(TargetAddress::Address(*address));
    UpstreamSpec { health, ..UpstreamSpec::new(addresses.iter().map(target).collect()) }
}

/// A server that answers every check with one status, or with nothing.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    answers: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl Server {
    async fn start(status: u16) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            status: Arc::new(status.into()),
            answers: Arc::new(true.into()),
            checks: Arc::default(),
            last: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let mut head = [0; 2048];
                    let read = stream.read(&mut head).await.unwrap_or(0);
                    *serving.last.lock().unwrap() = String::from_utf8_lossy(&head[..read]).into();
                    serving.checks.fetch_add(1, Ordering::Relaxed);
                    if !serving.answers.load(Ordering::Relaxed) {
                        return std::future::pending().await;
                    }
                    let status = serving.status.load(Ordering::Relaxed);
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.ok();
                });
            }
        });
        server
    }

    fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    async fn prepare(&self, health: HealthSpec, targets: &Targets) -> Arc<Upstream> {
        let spec = upstream_of(&[self.address], Some(health));
        Upstream::prepare(&spec, &Limits::default(), targets).await.unwrap()
    }
}

async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let all = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap_or_else(|_| panic!("not yet: {what}"));
}

/// [Traefik #13223](https://github.com/traefik/traefik/pull/13223): a target that is down is up after each reload, until
/// the first interval is over.
#[tokio::test]
async fn a_version_is_made_once_its_targets_were_checked() {
    let server = Server::start(503).await;
    let slow = HealthSpec { interval: Duration::from_secs(3_600), ..spec() };
    let upstream = server.prepare(slow.clone(), &Targets::default()).await;
    assert!(!upstream.is_healthy());
    let state = &upstream.states()[0];
    assert_eq!(state.health.as_str(), "unhealthy");
    assert_eq!(state.why.as_deref(), Some("status 503"));
    assert_eq!(
        (state.requests, state.errors, state.in_flight),
        (0, 0, 0),
        "checks are no requests"
    );
    let asked = server.last.lock().unwrap().clone();
    assert!(asked.starts_with("GET /up?now HTTP/1.1\r\n"), "{asked}");
    let host = format!("host: {}", server.address);
    assert!(asked.to_lowercase().contains(&host), "{asked}");
    assert!(asked.contains("(health check)"), "{asked}");
}

#[tokio::test]
async fn a_target_is_unhealthy_and_healthy_again() {
    let server = Server::start(204).await;
    let upstream = server.prepare(spec(), &Targets::default()).await;
    assert!(upstream.is_healthy());
    server.status.store(500, Ordering::Relaxed);
    eventually("it is unhealthy", || !upstream.is_healthy()).await;
    server.status.store(302, Ordering::Relaxed);
    eventually("it is healthy", || upstream.is_healthy()).await;
    server.answers.store(false, Ordering::Relaxed);
}

#[tokio::test]
async fn no_answer_is_a_failed_check() {
    let server = Server::start(200).await;
    server.answers.store(false, Ordering::Relaxed);
    let spec = HealthSpec { timeout: Duration::from_millis(50), ..spec() };
    let upstream = server.prepare(spec, &Targets::default()).await;
    assert!(!upstream.is_healthy());
    server.answers.store(true, Ordering::Relaxed);
    eventually("it is healthy", || upstream.is_healthy()).await;
}

/// A version must not wait for a minute because its targets do.
#[tokio::test(start_paused = true)]
async fn a_version_waits_three_seconds_at_most() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let health = HealthSpec { timeout: Duration::from_secs(60), ..spec() };
    let spec = upstream_of(&[socket.local_addr().unwrap()], Some(health));
    let start = Instant::now();
    let made = Upstream::prepare(&spec, &Limits::default(), &Targets::default()).await.unwrap();
    assert_eq!(start.elapsed(), WAIT);
    assert_eq!(made.states()[0].health.as_str(), "unchecked");
    assert!(made.is_healthy(), "it is asked where no other is left");
}

#[tokio::test]
async fn without_a_path_a_connection_is_enough() {
    let server = Server::start(500).await;
    let tcp = HealthSpec { path: None, ..spec() };
    assert!(server.prepare(tcp.clone(), &Targets::default()).await.is_healthy());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = socket.local_addr().unwrap();
    drop(socket);
    let spec = upstream_of(&[closed], Some(tcp));
    let upstream = Upstream::prepare(&spec, &Limits::default(), &Targets::default()).await.unwrap();
    assert!(!upstream.is_healthy());
}

/// [Traefik #6096](https://github.com/traefik/traefik/pull/6372): checks were started twice at each refresh.
#[tokio::test]
async fn a_target_is_checked_once_whoever_names_it_and_not_when_nobody_does() {
    let server = Server::start(200).await;
    let targets = Targets::default();
    let first = server.prepare(spec(), &targets).await;
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(server.prepare(spec(), &targets).await);
    }
    let before = server.checks();
    let start = Instant::now();
    eventually("five checks more", || server.checks() >= before + 5).await;
    assert!(start.elapsed() >= Duration::from_millis(90 * 4), "{:?}", start.elapsed());
    // Whoever is left goes on.
    drop((first, others.split_off(1)));
    let before = server.checks();
    eventually("three checks more", || server.checks() >= before + 3).await;
    drop(others);
    eventually("the target is gone", || targets.count() == 0).await;
    let after = server.checks();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.checks() <= after + 1, "one may have been under way");
}

/// Traefik forgets it (<https://github.com/traefik/traefik/pull/13223>), and nginx without a zone.
#[tokio::test]
async fn a_reload_keeps_what_is_known_of_a_target() {
    let server = Server::start(503).await;
    let targets = Targets::default();
    let slow = HealthSpec { interval: Duration::from_secs(3_600), ..spec() };
    let before = server.prepare(slow.clone(), &targets).await;
    let since = before.states()[0].since;
    let checks = server.checks();
    let mut changed = upstream_of(&[server.address], Some(slow));
    changed.balance = crate::config::Balance::Hash;
    changed.targets[0].weight = 7.try_into().unwrap();
    let after = Upstream::prepare(&changed, &Limits::default(), &targets).await.unwrap();
    drop(before);
    assert!(!after.is_healthy());
    assert_eq!((after.states()[0].since, server.checks()), (since, checks));
    assert_eq!(after.states()[0].weight, 7);
    // Other connections are other targets.
    let h2c = UpstreamSpec { protocol: Protocol::H2c, health: None, ..changed };
    let other = Upstream::prepare(&h2c, &Limits::default(), &targets).await.unwrap();
    assert!(other.is_healthy());
    assert_eq!(targets.count(), 2);
}
