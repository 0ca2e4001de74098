//! Half an hour of mixed traffic through upstreams and a component, over HTTP/1.1, HTTP/2, TLS and WebSocket, beside
//! clients that attack, while files change, targets die and return, and the process is replaced: no descriptor leaks,
//! memory stays flat, and no request fails that could have been served. `make soak` runs it.

mod clients;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream};

use nix::sys::signal::Signal::SIGUSR2;

use crate::support::https::secure_beside;
use crate::support::{Chain, StopOnDrop, greeter, upstream, within};

const MIXED: &str = "mixed.localhost";
const STEADY: &str = "steady.localhost";
const SOCKETS: &str = "sockets.localhost";
const POOL: &str = "idle-timeout = \"2s\"\nconnect-timeout = \"500ms\"";
/// How often the process is replaced.
const RESTARTS: u32 = 6;

/// `SOAK_SECONDS`, or half an hour.
fn duration() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1800))
}

/// What each client did, and what went wrong.
#[derive(Debug, Default)]
struct Tally {
    served: AtomicUsize,
    abandoned: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    fn expect(&self, is_right: bool, what: impl FnOnce() -> String) {
        self.served.fetch_add(1, Ordering::Relaxed);
        if !is_right {
            self.wrong.lock().unwrap().push(what());
        }
    }
}

/// The targets of `mixed`: two that stay, and one that dies and returns.
struct Targets {
    stay: [Upstream; 2],
    flaps: Mutex<Option<Upstream>>,
    address: std::net::SocketAddr,
}

impl Targets {
    fn new() -> Self {
        let text = || Upstream::http1(Script::text("Hello from v1!\n"));
        let flaps = text();
        let address = flaps.address();
        Self { stay: [text(), text()], flaps: Mutex::new(Some(flaps)), address }
    }

    /// The service's file: with or without one of the targets, and with one share or another.
    fn file(&self, turn: usize) -> String {
        let mut targets = vec![self.stay[0].address(), self.address];
        if turn % 4 < 3 {
            targets.push(self.stay[1].address());
        }
        let share = [0, 10, 50][turn % 3];
        let traffic = format!("\n[traffic]\nsplit = {{ v1 = {}, v2 = {share} }}\n", 100 - share);
        upstream("v1", &targets, POOL) + &greeter("v2") + &traffic
    }

    fn flap(&self) {
        let stopped = self.flaps.lock().unwrap().take();
        drop(stopped);
        thread::sleep(Duration::from_millis(700));
        let back = Upstream::scripted_on(self.address, |_| Script::text("Hello from v1!\n"));
        *self.flaps.lock().unwrap() = back.ok();
    }
}

/// Of the process that serves.
fn descriptors(chain: &Chain) -> usize {
    fs::read_dir(format!("/proc/{}/fd", chain.last())).unwrap().count()
}

/// Resident memory in MiB.
fn memory(chain: &Chain) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", chain.last())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

#[test]
#[ignore = "half an hour: make soak"]
fn soak() {
    let targets = Targets::new();
    let (echo, sockets) = (Upstream::http1(Script::echo()), Upstream::http1(Script::upgrade()));
    let site = secure_beside("[server.limits]\nhead-time = \"2s\"\nresets = 50\n", "")
        .server("grace-period = \"5s\"")
        .service("mixed", &targets.file(0))
        .service("sockets", &upstream("v1", &[sockets.address()], POOL))
        .service("steady", &upstream("v1", &[echo.address()], POOL));
    let chain = Chain::of(site);
    chain.watershed.assert_serves(MIXED, "/");
    let first = descriptors(&chain);
    let (running, tally) = (AtomicBool::new(true), Tally::default());
    let samples = thread::scope(|scope| {
        let running = &running;
        for client in clients::ALL.iter().chain(&clients::ALL[..1]) {
            let (watershed, tally) = (&chain.watershed, &tally);
            scope.spawn(move || {
                while running.load(Ordering::Relaxed) {
                    client(watershed, tally);
                }
            });
        }
        let _stop = StopOnDrop(running);
        change_and_look(&chain, &targets)
    });
    report(&samples, &tally);
    let wrong = tally.wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} wrong, such as\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    assert_flat(&samples);
    let log = chain.watershed.stderr();
    let errors: Vec<_> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert!(errors.is_empty(), "{} errors, such as {}", errors.len(), errors[0]);
    let before = descriptors(&chain);
    // Idle connections to targets are closed after two seconds, and those of clients are closed already.
    within(Duration::from_secs(20), "no connection to a target", || echo.arrived().open() == 0);
    let after = descriptors(&chain);
    eprintln!("descriptors: {first} at first, {before} at the end, {after} once nothing is kept");
    let open = fs::read_dir(format!("/proc/{}/fd", chain.last())).unwrap();
    let open: Vec<_> = open.filter_map(|it| fs::read_link(it.unwrap().path()).ok()).collect();
    assert!(after <= first + 10, "{after} descriptors, at first {first}: {open:?}");
}

/// Changes the file of `mixed` every three seconds, has a target die and return, and now and then the process be
/// replaced. Returns descriptors and memory of each second.
fn change_and_look(chain: &Chain, targets: &Targets) -> Vec<(usize, usize)> {
    let (until, pause) = (Instant::now() + duration(), duration() / (RESTARTS + 1));
    let mut samples = Vec::new();
    let mut restart = Instant::now() + pause;
    for turn in 1.. {
        if Instant::now() > until {
            break;
        }
        if Instant::now() > restart {
            chain.signal(SIGUSR2);
            chain.follow();
            restart = Instant::now() + pause;
        }
        chain.watershed.site.replace("services/mixed.toml", targets.file(turn));
        for _ in 0..3 {
            thread::sleep(Duration::from_secs(1));
            samples.push((descriptors(chain), memory(chain)));
        }
        // The budget of retries is a share of the requests before: a process that has just begun has none.
        targets.flap();
    }
    samples
}

fn report(samples: &[(usize, usize)], tally: &Tally) {
    let every = samples.iter().step_by((samples.len() / 20).max(1));
    let shown: Vec<_> = every.map(|(files, mib)| format!("{files}/{mib}")).collect();
    eprintln!("{} seconds, descriptors/MiB: {}", samples.len(), shown.join(" "));
    let (served, abandoned) = (&tally.served, &tally.abandoned);
    eprintln!("{served:?} requests answered, {abandoned:?} abandoned by their clients");
}

/// The last third is as the second one: caches and pools are warm by then.
fn assert_flat(samples: &[(usize, usize)]) {
    let third = samples.len() / 3;
    let peak = |part: &[(usize, usize)], of: fn(&(usize, usize)) -> usize| {
        part.iter().map(of).max().unwrap_or_default()
    };
    let (middle, last) = (&samples[third..2 * third], &samples[2 * third..]);
    let (files, mib) = (
        (peak(middle, |it| it.0), peak(last, |it| it.0)),
        (peak(middle, |it| it.1), peak(last, |it| it.1)),
    );
    assert!(files.1 <= files.0 + files.0 / 5 + 10, "descriptors grow: {files:?}");
    assert!(mib.1 <= mib.0 + mib.0 / 10 + 5, "memory grows: {mib:?} MiB");
}
