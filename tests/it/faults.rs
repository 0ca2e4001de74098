//! What the operating system does to the process while requests come: the disk is full, fails or is slow; descriptors,
//! sockets and threads run out; the clock jumps; memory is short. No request is lost that could have been served, and
//! what waited goes on once the fault is over.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use ::faults::{Call, Faults};
use ::misbehaving::{Script, Upstream};

use crate::bodies::{ROOMY, assert_echoed, noise, post};
use crate::support::{
    Chain, GREETER, Http1, Site, Watershed, compiled, eventually, greeter, lab, limits,
    one_version, plugin, split, upstream, while_requested, within,
};

const FILE: &str = "services/greeter.toml";

/// How long after a fault what waited is tried again, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 + 10);

/// A process whose system calls can be disturbed.
fn start(site: Site) -> (Watershed, Faults) {
    compiled::seed(&site);
    let mut command = site.command(&["run"]);
    let faults = Faults::install(&mut command).unwrap();
    (Watershed::spawn(site, command), faults)
}

fn greeting(version: &str) -> String {
    format!("Hello from {version}!\n")
}

/// Waits until a version answers.
fn served(watershed: &Watershed, version: &str) {
    within(LONGEST_PAUSE, version, || watershed.get(GREETER, "/").text() == greeting(version));
}

/// While nothing can be written to the state's disk, everything is served, edits too, and the records of the history
/// are written later.
#[test]
fn a_full_disk_stops_no_request_and_no_edit() {
    let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
    let records = watershed.history("greeter").len();
    let state = watershed.site.path("state");
    while_requested(
        &watershed,
        |_| true,
        || {
            for call in [Call::Write, Call::Sync, Call::Rename] {
                faults.fail_below(&state, call, libc::ENOSPC);
            }
            watershed.site.write(FILE, one_version("v2"));
            served(&watershed, "v2");
            watershed.site.write(FILE, one_version("v1"));
            served(&watershed, "v1");
            assert!(faults.disturbed(Call::Write) + faults.disturbed(Call::Sync) > 0);
            faults.heal();
            within(LONGEST_PAUSE, "the records", || {
                let answer = watershed.admin("/api/v1/history?service=greeter");
                answer.status == 200 && watershed.history("greeter").len() >= records + 2
            });
        },
    );
}

/// A restart would lose the records that only this process has.
#[test]
fn a_restart_is_refused_while_a_full_disk_keeps_records_out() {
    let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
    let records = watershed.history("greeter").len();
    let chain = Chain::from(watershed);
    let (watershed, admin) = (&chain.watershed, chain.watershed.admin_address());
    let restart = || watershed.site.run(&["restart", "--admin", &format!("http://{admin}")]);
    for call in [Call::Write, Call::Sync] {
        faults.fail_below(&watershed.site.path("state"), call, libc::ENOSPC);
    }
    watershed.site.write(FILE, one_version("v2"));
    served(watershed, "v2");
    let refused = restart();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.said().contains("would be lost: see whether the disk is full"), "{refused:?}");
    faults.heal();
    within(LONGEST_PAUSE, "the record", || {
        let answer = watershed.admin("/api/v1/history?service=greeter");
        answer.status == 200 && watershed.history("greeter").len() > records
    });
    let done = restart();
    assert_eq!(done.code, Some(0), "{done:?}");
    chain.follow();
    assert_eq!(watershed.history("greeter").len(), records + 1);
}

/// The same where the disk answers with errors of its own.
#[test]
fn a_disk_that_fails_stops_no_request_and_no_edit() {
    let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
    let state = watershed.site.path("state");
    while_requested(
        &watershed,
        |_| true,
        || {
            faults.fail_below(&state, Call::Sync, libc::EIO);
            faults.fail_below(&state, Call::Open, libc::EIO);
            watershed.site.write(FILE, one_version("v2"));
            served(&watershed, "v2");
            faults.heal();
            watershed.site.write(FILE, one_version("v1"));
            served(&watershed, "v1");
        },
    );
}

/// A disk that takes its time holds up the publish that it records, and no request.
#[test]
fn a_slow_disk_slows_no_request() {
    let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
    let state = watershed.site.path("state");
    faults.slow_below(&state, Call::Sync, Duration::from_secs(2));
    watershed.site.write(FILE, one_version("v2"));
    let (mut client, mut slowest, begun) = (watershed.http1(), Duration::ZERO, Instant::now());
    while begun.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        assert_eq!(client.get(GREETER, "/").status, 200);
        slowest = slowest.max(asked.elapsed());
    }
    // Far less than one write to the disk, and more than what two busy cores make of a request.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(faults.disturbed(Call::Sync) > 0);
    served(&watershed, "v2");
}

/// A configuration whose files cannot be read for now is what it was.
#[test]
fn files_that_cannot_be_opened_are_tried_again() {
    for error in [libc::EMFILE, libc::ENFILE, libc::EIO, libc::ENOMEM] {
        let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
        let services = watershed.site.path("services");
        while_requested(
            &watershed,
            |_| true,
            || {
                faults.fail_below(&services, Call::Open, error);
                watershed.site.write(FILE, one_version("v2"));
                eventually("a try", || faults.disturbed(Call::Open) > 0);
                thread::sleep(Duration::from_millis(300));
                assert_eq!(watershed.get(GREETER, "/").text(), greeting("v1"), "{error}");
                faults.heal();
                served(&watershed, "v2");
            },
        );
        let log = watershed.stderr();
        assert!(!log.contains("rejected"), "{log}");
    }
}

/// Where no connection can be accepted, new ones wait, and nobody is kept busy by it. Idle connections may be closed to
/// make room, and nobody who has begun to ask is.
#[test]
fn connections_that_cannot_be_accepted_wait() {
    let ask = format!("GET / HTTP/1.1\r\nhost: {GREETER}\r\n\r\n");
    for error in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
        let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
        let mut begun = watershed.http1();
        assert_eq!(begun.get(GREETER, "/").status, 200);
        begun.send("GET / HTTP/1.1\r\n");
        let mut new = refused(&watershed, &faults, error, || {});
        begun.send(format!("host: {GREETER}\r\n\r\n"));
        assert_eq!(begun.response("GET").status, 200, "{error}");
        faults.heal();
        new.send(&ask);
        assert_eq!(new.response("GET").status, 200, "{error}");
    }
}

/// An error of a connection that was to be accepted is no reason to close others.
#[test]
fn connections_that_are_aborted_before_they_are_accepted_disturb_no_other() {
    let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
    let mut kept = watershed.http1();
    assert_eq!(kept.get(GREETER, "/").status, 200);
    refused(&watershed, &faults, libc::ECONNABORTED, || {
        assert_eq!(kept.get(GREETER, "/").status, 200);
    });
}

/// A connection that is not accepted for a second, in which something else goes on.
fn refused(
    watershed: &Watershed,
    faults: &Faults,
    error: i32,
    mut meanwhile: impl FnMut(),
) -> Http1 {
    faults.fail(Call::Accept, error);
    let new = watershed.http1();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        meanwhile();
        thread::sleep(Duration::from_millis(20));
    }
    let tries = faults.disturbed(Call::Accept);
    assert!((1..2_000).contains(&tries), "{tries} tries in a second after error {error}");
    new
}

/// A target that cannot be reached for want of sockets is one that fails: others of the service go on.
#[test]
fn calls_that_get_no_socket_are_failures_of_their_version_only() {
    let target = Upstream::http1(Script::text("Hello from v1!\n"));
    let up = upstream("v1", &[target.address()], "");
    let other =
        greeter("v2") + &up + &split("v2 = 100, v1 = 0") + "[traffic.override]\nheader = true\n";
    let (watershed, faults) = start(Site::new().service("greeter", &other));
    let ask = |version: &str| {
        let mut client = watershed.http1();
        client.send(format!(
            "GET / HTTP/1.1\r\nhost: {GREETER}\r\nwatershed-version: {version}\r\n\r\n"
        ));
        client.response("GET")
    };
    assert_eq!(ask("v1").status, 200);
    for (call, error) in [
        (Call::Socket, libc::EMFILE),
        (Call::Socket, libc::ENOBUFS),
        (Call::Connect, libc::EADDRNOTAVAIL),
        (Call::Connect, libc::ENETUNREACH),
    ] {
        while_requested(
            &watershed,
            |response| response.text() == greeting("v2"),
            || {
                faults.fail(call, error);
                // Kept connections are still used: they need no socket.
                let statuses: Vec<_> = (0..20).map(|_| ask("v1").status).collect();
                assert!(statuses.iter().all(|it| [200, 502].contains(it)), "{statuses:?}");
                faults.heal();
            },
        );
        within(LONGEST_PAUSE, "the target", || ask("v1").status == 200);
    }
}

/// No thread and no child can be made: what needs one waits, and everything else is served.
#[test]
fn components_that_cannot_be_compiled_for_want_of_processes_are_tried_again() {
    let (watershed, faults) = start(Site::new().service("greeter", &one_version("v1")));
    let (original, new) = (plugin("greeter"), watershed.site.path("services/new.wasm"));
    // A component of another digest, which no cache knows.
    let mut bytes = fs::read(&original).unwrap();
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(&new, bytes).unwrap();
    let text =
        one_version("v2").replace(&original.display().to_string(), &new.display().to_string());
    while_requested(
        &watershed,
        |_| true,
        || {
            faults.fail(Call::Clone, libc::EAGAIN);
            watershed.site.write(FILE, text.clone());
            eventually("a try", || faults.disturbed(Call::Clone) > 0);
            thread::sleep(Duration::from_millis(300));
            assert_eq!(watershed.get(GREETER, "/").text(), greeting("v1"));
            faults.heal();
            // An edit of any kind tries a version anew that is in error.
            watershed.site.write(FILE, format!("{text}# again\n"));
            within(Duration::from_secs(120), "v2", || {
                watershed.get(GREETER, "/").text() == greeting("v2")
            });
        },
    );
}

/// A library that moves a process's clock (libfaketime), where it is installed.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// The clock is set: a year ahead, and back behind where it was. What is timed goes by another clock, so no request is
/// late, no kept connection is closed, and edits are served.
#[test]
fn a_clock_that_jumps_disturbs_no_request() {
    let Some(library) = FAKETIME.into_iter().find(|it| Path::new(it).is_file()) else {
        eprintln!("not tested: libfaketime is not installed (tests/peers/install.sh)");
        return;
    };
    let site = Site::new().service("greeter", &one_version("v1"));
    compiled::seed(&site);
    let clock = site.path("clock");
    fs::write(&clock, "+0").unwrap();
    let mut command = site.command(&["run"]);
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock);
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
    let watershed = Watershed::spawn(site, command);
    let mut kept = watershed.http1();
    for (turn, offset) in ["+365d", "-2d", "+0"].into_iter().enumerate() {
        while_requested(
            &watershed,
            |_| true,
            || {
                fs::write(&clock, offset).unwrap();
                let version = if turn % 2 == 0 { "v2" } else { "v1" };
                watershed.site.write(FILE, one_version(version));
                served(&watershed, version);
                assert_eq!(kept.get(GREETER, "/").text(), greeting(version));
                let newest = &watershed.history("greeter")[0];
                assert_eq!(newest.after[0].version, version, "after {offset}");
            },
        );
    }
    let log = watershed.stderr();
    let year = |ahead: i32| {
        (jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year() as i32) + ahead
    };
    assert!(log.contains(&format!("{}-", year(1))), "the clock did not jump: {log}");
}

/// Where a control group may hold no more memory than the process has and a little, streams go on: each holds a few
/// chunks, and no more.
#[test]
fn bodies_pass_where_memory_is_short() {
    const SPARE: u64 = 64 << 20;
    let watershed = Site::new().service("lab", &(lab("v1") + &limits(ROOMY))).start();
    let sent = noise(8 << 20);
    echo(&watershed, &sent);
    let Some(group) = MemoryGroup::around(&watershed, SPARE) else {
        eprintln!("not tested: no control group of memory can be made here");
        return;
    };
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| echo(&watershed, &sent));
        }
    });
    echo(&watershed, &sent);
    drop(group);
}

fn echo(watershed: &Watershed, sent: &[u8]) {
    let framing = format!("content-length: {}", sent.len());
    let write = |writer: &mut TcpStream| writer.write_all(sent).unwrap();
    let mut client = watershed.http1();
    let response = post(&mut client, ("/echo", &framing), write, |client| client.response("POST"));
    assert_echoed(&response, sent);
}

/// A control group that limits the memory of a process, removed when dropped. The process has to have ended, or goes
/// back to the group above.
struct MemoryGroup {
    directory: PathBuf,
    pid: u32,
}

impl MemoryGroup {
    /// Limits a process to what it has now, and `spare` bytes more; `None` where nobody may.
    fn around(watershed: &Watershed, spare: u64) -> Option<Self> {
        let (root, key) =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
                .into_iter()
                .find(|(root, _)| Path::new(root).join("cgroup.procs").is_file())?;
        let directory = Path::new(root).join(format!("watershed-test-{}", watershed.pid()));
        fs::create_dir(&directory).ok()?;
        let group = Self { directory, pid: watershed.pid() };
        let status = fs::read_to_string(format!("/proc/{}/status", group.pid)).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident: u64 = resident.trim().trim_end_matches(" kB").parse().ok()?;
        let limit = resident * 1024 + spare;
        fs::write(group.directory.join(key), limit.to_string()).ok()?;
        fs::write(group.directory.join("cgroup.procs"), group.pid.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let above = self.directory.parent().unwrap().join("cgroup.procs");
        fs::write(above, self.pid.to_string()).ok();
        fs::remove_dir(&self.directory).ok();
    }
}
