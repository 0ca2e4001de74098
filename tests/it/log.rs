//! Requests, edits, the admin listener and the end of the process never wait for the log.

use std::fs::{self, File};
use std::io::{PipeWriter, Write, pipe};
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::Signal::SIGTERM;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::{
    DEADLINE, GREETER, LAB, Site, Watershed, eventually, greeter, lab, one_version, split, within,
};

fn site() -> Site {
    let versions = greeter("v1") + &greeter("v2") + &split("v1 = 100");
    Site::new().service("greeter", &versions).service("lab", &lab("v1"))
}

fn dropped(watershed: &Watershed) -> f64 {
    watershed.metric("watershed_log_dropped_total", &[])
}

/// Everything that users and operators do goes on. A log that holds something up does so forever, longer than any
/// client waits.
#[track_caller]
fn assert_at_work(watershed: &Watershed) {
    watershed.assert_serves(GREETER, "/");
    assert_eq!(watershed.admin("/readyz").text(), "ready\n");
    for (share, greeting) in [("v2 = 100", "Hello from v2!\n"), ("v1 = 100", "Hello from v1!\n")] {
        let versions = greeter("v1") + &greeter("v2") + &split(share);
        watershed.site.replace("services/greeter.toml", versions);
        watershed.await_greeting(greeting);
    }
    assert_eq!(watershed.admin_post("/api/v1/reload").status, 200);
}

#[track_caller]
fn assert_ends_soon(mut watershed: Watershed) {
    watershed.signal(SIGTERM);
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let (_reader, writer) = pipe().unwrap();
    let watershed = site().start_logging_to(writer);
    for _ in 0..100 {
        assert_eq!(watershed.get(LAB, "/trap").status, 500);
    }
    // More than a pipe and the queue hold; a version may log 200 lines a second.
    eventually("lines are dropped", || {
        watershed.assert_serves(LAB, "/stdout?lines=200&len=4000");
        dropped(&watershed) > 0.0
    });
    assert_at_work(&watershed);
    assert_ends_soon(watershed);
}

#[test]
fn a_log_whose_reader_has_left_holds_nothing_up() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let watershed = site().start_logging_to(writer);
    assert_eq!(watershed.get(LAB, "/trap").status, 500);
    eventually("lines are dropped", || dropped(&watershed) > 0.0);
    assert_at_work(&watershed);
    watershed.await_metric("watershed_task_panics_total", &[], 0.0);
    assert_ends_soon(watershed);
}

/// A file size limit stands in for the room on a disk, because it can be changed while the process runs. The signal of
/// the limit must not end the process.
#[test]
fn a_log_on_a_full_disk_goes_on_when_there_is_room_again() {
    let site = site();
    let path = site.path("log");
    let watershed = site.start_logging_to(File::create(&path).unwrap());
    eventually("the start is logged", || fs::read_to_string(&path).unwrap().contains("published"));
    let length = fs::metadata(&path).unwrap().len();
    let limit = |limit| {
        let pid = Pid::from_raw(i32::try_from(watershed.pid()).unwrap());
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(pid, Resource::Fsize, Rlimit { current: limit, maximum }).unwrap();
    };
    // The limit falls in the middle of a line.
    limit(Some(length + 150));
    watershed.assert_serves(LAB, "/stdout?lines=20&len=100");
    eventually("lines are dropped", || dropped(&watershed) >= 20.0);
    watershed.assert_serves(GREETER, "/");
    limit(None);
    let note = |log: &str| log.lines().any(|line| line.contains("lines dropped: nobody read them"));
    eventually("it is told", || note(&fs::read_to_string(&path).unwrap()));
    watershed.assert_serves(LAB, "/stdout?lines=1&len=7");
    eventually("lines come again", || {
        let log = fs::read_to_string(&path).unwrap();
        log.lines().last().is_some_and(|line| line.contains("the lab wrote 1 lines"))
    });
    let log = fs::read_to_string(&path).unwrap();
    let begins = |line: &str| line.starts_with("20") && line.matches("watershed::").count() <= 1;
    assert!(log.lines().all(begins), "a line is glued to another:\n{log}");
    assert_ends_soon(watershed);
}

#[test]
fn the_last_lines_are_written_before_the_process_ends() {
    let site = site();
    let path = site.path("log");
    let mut watershed = site.start_logging_to(File::create(&path).unwrap());
    watershed.signal(SIGTERM);
    assert_eq!(watershed.wait(DEADLINE).code(), Some(0));
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.trim_end().ends_with("drained"), "{log}");
}

#[test]
fn a_start_that_fails_ends_although_nobody_reads_why() {
    let site = Site::new().service("greeter", "nonsense");
    let mut command = site.command(&["run"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full());
    let mut child = command.spawn().unwrap();
    within(DEADLINE, "the end of the process", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A full pipe. Its other end is leaked: it stays open, and nothing reads it.
fn full() -> PipeWriter {
    let (reader, mut writer) = pipe().unwrap();
    std::mem::forget(reader);
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    writer
}

/// How many failures a line of the log stands for.
fn failures(line: &str) -> usize {
    let Some((said, rest)) = line.split_once(" more of the same") else { return 1 };
    let more = said.rsplit([' ', '(']).next().and_then(|more| more.parse::<usize>().ok()).unwrap();
    more + usize::from(rest.starts_with(" before it"))
}

#[test]
fn failures_of_a_kind_are_a_line_a_second_that_says_how_many() {
    const REQUESTS: usize = 2_000;
    let watershed = Site::new().service("lab", &lab("v1")).start();
    let started = Instant::now();
    let mut client = watershed.http1();
    let mut writer = client.writer();
    std::thread::scope(|scope| {
        let request = format!("GET /trap HTTP/1.1\r\nhost: {LAB}\r\n\r\n");
        scope.spawn(move || writer.write_all(request.repeat(REQUESTS).as_bytes()).unwrap());
        for _ in 0..REQUESTS {
            assert_eq!(client.response("GET").status, 500);
        }
    });
    watershed.await_outcomes("trap", u32::try_from(REQUESTS).unwrap());
    let lines = || {
        let log = watershed.stderr();
        log.lines().filter(|line| line.contains("\"trap\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("all are told", || {
        lines().iter().map(|line| failures(line)).sum::<usize>() == REQUESTS
    });
    let most = started.elapsed().as_secs() + 2;
    assert!(lines().len() as u64 <= most, "{} lines:\n{}", lines().len(), lines().join("\n"));
    // The line has the reason, and a request to look for.
    assert!(
        lines()[0].contains("unreachable") && lines()[0].contains("request_id"),
        "{}",
        lines()[0]
    );
}

#[test]
fn another_kind_of_failure_has_a_line_of_its_own() {
    let watershed =
        Site::new().service("lab", &lab("v1")).service("greeter", &one_version("v1")).start();
    for path in ["/trap", "/trap", "/never", "/trap"] {
        watershed.get(LAB, path);
    }
    watershed.log_line(&["lab", "\"trap\"", "unreachable"]);
    watershed.log_line(&["lab", "\"no-response\""]);
}
