//! Ten minutes of mixed traffic through upstreams and a component, while files change and targets die and return:
//! no descriptor leaks, memory stays flat, and no request fails that could have been served. `make soak` runs it.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::misbehaving::{Script, Upstream};

use crate::support::{Http1, Site, StopOnDrop, Watershed, greeter, request, upstream, within};

const MIXED: &str = "mixed.localhost";
const STEADY: &str = "steady.localhost";
const POOL: &str = "idle-timeout = \"2s\"\nconnect-timeout = \"500ms\"";
const PART: usize = 100_000;

/// `SOAK_SECONDS`, or ten minutes.
fn duration() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(600))
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

fn descriptors(watershed: &Watershed) -> usize {
    fs::read_dir(format!("/proc/{}/fd", watershed.pid())).unwrap().count()
}

/// Resident memory in MiB.
fn memory(watershed: &Watershed) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", watershed.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

#[test]
#[ignore = "ten minutes: make soak"]
fn soak() {
    let targets = Targets::new();
    let echo = Upstream::http1(Script::echo());
    let site = Site::new()
        .service("mixed", &targets.file(0))
        .service("steady", &upstream("v1", &[echo.address()], POOL));
    let watershed = site.start();
    watershed.assert_serves(MIXED, "/");
    let (running, tally) = (AtomicBool::new(true), Tally::default());
    let clients: [fn(&Watershed, &Tally); 5] = [small, uploads, many, leaving, chunks];
    let samples = thread::scope(|scope| {
        let running = &running;
        for client in clients.iter().chain(&clients[..1]) {
            let (watershed, tally) = (&watershed, &tally);
            scope.spawn(move || {
                while running.load(Ordering::Relaxed) {
                    client(watershed, tally);
                }
            });
        }
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) {
                // The budget of retries is a share of the requests before.
                thread::sleep(Duration::from_millis(1300));
                targets.flap();
            }
        });
        let _stop = StopOnDrop(running);
        change_and_look(&watershed, &targets)
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
    let before = descriptors(&watershed);
    // Idle connections to targets are closed after two seconds, and those of clients are closed already.
    within(Duration::from_secs(20), "no connection to a target", || echo.arrived().open() == 0);
    let after = descriptors(&watershed);
    eprintln!("descriptors: {before} at the end, {after} once nothing is kept");
    assert!(after < 60, "{after} descriptors");
}

/// Changes the file of `mixed` every three seconds. Returns descriptors and memory of each second.
fn change_and_look(watershed: &Watershed, targets: &Targets) -> Vec<(usize, usize)> {
    let until = Instant::now() + duration();
    let mut samples = Vec::new();
    for turn in 1.. {
        if Instant::now() > until {
            break;
        }
        watershed.site.replace("services/mixed.toml", targets.file(turn));
        for _ in 0..3 {
            thread::sleep(Duration::from_secs(1));
            samples.push((descriptors(watershed), memory(watershed)));
        }
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

/// Small requests on a kept connection: none may fail, whatever dies.
fn small(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    for _ in 0..200 {
        let response = client.get(MIXED, "/");
        let is_right = response.status == 200 && response.complete;
        tally.expect(is_right && response.text().starts_with("Hello"), || format!("{response:?}"));
    }
    client.close();
}

/// Uploads to a target that stays: none may fail.
fn uploads(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    let body = vec![b'x'; PART];
    for _ in 0..20 {
        let response = client.ask("POST", STEADY, "/", &[], &body);
        tally.expect(response.body == body, || format!("{} {}", response.status, response.text()));
    }
    client.close();
}

/// Many streams of one connection, to both services.
fn many(watershed: &Watershed, tally: &Tally) {
    let client = watershed.http2();
    for _ in 0..10 {
        let hosts = [MIXED, STEADY].into_iter().cycle().take(20);
        let streams: Vec<_> =
            hosts.map(|host| client.open(request("GET", host, "/"), false).response).collect();
        for response in client.responses(streams.into_iter()) {
            tally.expect(response.status == 200 && response.complete, || format!("{response:?}"));
        }
    }
}

/// Clients that leave: in the middle of an upload, and before they have read the response.
fn leaving(watershed: &Watershed, tally: &Tally) {
    let mut client: Http1 = watershed.http1();
    client
        .send(format!("POST / HTTP/1.1\r\nhost: {STEADY}\r\ncontent-length: {PART}\r\n\r\nxxxxx"));
    client.head();
    client.reset();
    let mut client = watershed.http1();
    client.send(format!("GET / HTTP/1.1\r\nhost: {MIXED}\r\n\r\n"));
    client.reset();
    let http2 = watershed.http2();
    drop(http2.open(request("GET", MIXED, "/"), true));
    tally.abandoned.fetch_add(3, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(20));
}

/// Both directions at once, part by part, with trailers.
fn chunks(watershed: &Watershed, tally: &Tally) {
    let mut client = watershed.http1();
    client.send(format!("POST / HTTP/1.1\r\nhost: {STEADY}\r\ntransfer-encoding: chunked\r\n\r\n"));
    let mut response = client.head();
    for _ in 0..50 {
        client.send("5\r\nhello\r\n");
    }
    client.send("0\r\nx-a: b\r\n\r\n");
    while !response.complete && client.chunk(&mut response) {}
    let is_right = response.body.len() == 250 && response.trailers.len() == 1;
    tally.expect(is_right, || format!("{response:?}"));
    client.close();
}
