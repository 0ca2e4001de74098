//! Targets as a process meets them: a reader that never reads, one that leaves and one that comes, a
//! disk that is full, a descriptor that does not block.

use std::fs::File;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use super::*;
use crate::telemetry::{Format, Scrape};

const DEADLINE: Duration = Duration::from_secs(20);

fn log_to(target: impl AsFd + Send + Sync + 'static) -> (Log, Telemetry) {
    let telemetry = Telemetry::default();
    (Log::new(target, telemetry.clone()), telemetry)
}

fn dropped(telemetry: &Telemetry) -> usize {
    let text = telemetry.render(Scrape::default(), Format::Text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("watershed_log_dropped_total "));
    line.unwrap().parse().unwrap()
}

#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How many lines a note says are missing.
fn told(line: &str) -> Option<usize> {
    let (said, _) = line.split_once(" lines dropped: ")?;
    said.rsplit(' ').next()?.parse().ok()
}

/// Reads whole lines until one of them is `last`.
fn read_up_to(reader: &mut PipeReader, last: &str) -> Vec<String> {
    let mut text = Vec::new();
    while !text.ends_with(format!("{last}\n").as_bytes()) {
        let mut bytes = [0; 4096];
        let read = reader.read(&mut bytes).unwrap();
        assert!(read > 0, "no {last}");
        text.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn lines_are_written_in_order_before_a_flush_is_over() {
    let (mut reader, writer) = pipe().unwrap();
    let (log, telemetry) = log_to(writer);
    for number in 0..100 {
        log.say(&number);
    }
    assert!(log.flush(DEADLINE));
    let lines = read_up_to(&mut reader, "99");
    assert_eq!(lines, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(dropped(&telemetry), 0);
}

#[test]
fn a_reader_that_never_reads_holds_nobody_up_and_what_it_misses_is_told() {
    let (mut reader, writer) = pipe().unwrap();
    let (log, telemetry) = log_to(writer);
    let line = "x".repeat(999);
    let started = Instant::now();
    for _ in 0..8_000 {
        log.say(&line);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(!log.flush(Duration::from_millis(50)), "nobody reads");
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let missing = dropped(&telemetry);
    assert!(missing > 5_000, "{missing}");

    // A batch may be missing lines after it, and the next one too; or none.
    let (mut text, mut bytes) = (Vec::new(), [0; 64 << 10]);
    let (mut whole, mut notes) = (0, 0);
    while notes < missing || whole + missing < 8_000 {
        let read = reader.read(&mut bytes).unwrap();
        text.extend_from_slice(&bytes[..read]);
        let lines = String::from_utf8(text.clone()).unwrap();
        notes = lines.lines().filter_map(told).sum();
        whole = lines.lines().filter(|read| *read == line).count();
    }
    assert_eq!((notes, whole + missing), (missing, 8_000));
    log.say(&"next");
    assert_eq!(read_up_to(&mut reader, "next").last().unwrap(), "next");
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let (log, telemetry) = log_to(File::options().write(true).open("/dev/full").unwrap());
    log.say(&"one\ntwo");
    eventually("both are counted", || dropped(&telemetry) == 2);
    assert!(log.flush(DEADLINE));
    log.say(&"three");
    eventually("it is counted", || dropped(&telemetry) == 3);
}

/// The reader that a log of a service is piped to is restarted.
#[test]
fn a_new_reader_gets_the_next_lines_and_how_many_are_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let kind = (FileType::Fifo, Mode::RUSR | Mode::WUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind.0, kind.1, 0).unwrap();
    let first = reader(&path);
    let (log, telemetry) = log_to(File::options().write(true).open(&path).unwrap());
    log.say(&"first");
    await_text(&first, "the first line", |text| text == "first\n");
    drop(first);
    log.say(&"nobody\nreads this");
    eventually("two lines are counted", || dropped(&telemetry) == 2);
    let second = reader(&path);
    let is_told = |text: &str| text.lines().any(|line| told(line) == Some(2));
    await_text(&second, "it is told without another line", is_told);
    log.say(&"second");
    await_text(&second, "the next line", |text| text == "second\n");
}

/// Reads what comes until it is enough.
#[track_caller]
fn await_text(mut reader: &PipeReader, what: &str, enough: impl Fn(&str) -> bool) {
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    eventually(what, || {
        // There may be nothing yet.
        let read = reader.read(&mut bytes).unwrap_or(0);
        text.push_str(str::from_utf8(&bytes[..read]).unwrap());
        enough(&text)
    });
}

fn reader(fifo: &Path) -> PipeReader {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let file = File::options().read(true).custom_flags(nonblocking).open(fifo).unwrap();
    PipeReader::from(OwnedFd::from(file))
}

/// A terminal or a pipe may be shared with a program that wants it not to block
/// ([tracing#3271](https://github.com/tokio-rs/tracing/issues/3271)).
#[test]
fn a_target_that_does_not_block_is_waited_for() {
    let (mut reader, mut writer) = pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    let (log, telemetry) = log_to(writer);
    for number in 0..2_000 {
        log.say(&format_args!("{number:099}"));
    }
    assert!(!log.flush(Duration::from_millis(50)));
    let lines = read_up_to(&mut reader, &format!("{:099}", 1_999));
    let lines: Vec<_> = lines.iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 2_000);
    assert_eq!(dropped(&telemetry), 0);
}

/// What others write to the same pipe, a compiler that crashes or standard output, comes between
/// lines and not into them.
#[test]
fn lines_leave_whole() {
    let (mut reader, writer) = pipe().unwrap();
    let mut other = writer.try_clone().unwrap();
    let (log, _) = log_to(writer);
    let line = "x".repeat(699);
    let saying = thread::spawn({
        let (log, line) = (log.clone(), line.clone());
        move || (0..1_000).for_each(|_| log.say(&line))
    });
    let interrupting = thread::spawn(move || {
        for _ in 0..1_000 {
            other.write_all(b"other\n").unwrap();
        }
    });
    let (mut text, mut bytes) = (Vec::new(), [0; 64 << 10]);
    while text.len() < 700 * 1_000 + 6 * 1_000 {
        let read = reader.read(&mut bytes).unwrap();
        text.extend_from_slice(&bytes[..read]);
    }
    saying.join().unwrap();
    interrupting.join().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.lines().all(|read| read == line || read == "other"));
}

/// A process that cannot write its log must be able to end.
#[test]
fn a_flush_is_over_in_time_whatever_becomes_of_the_lines() {
    let (_reader, writer) = pipe().unwrap();
    let (log, _) = log_to(writer);
    log.say(&"x".repeat(1 << 20));
    let started = Instant::now();
    assert!(!log.flush(Duration::from_millis(200)));
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn nothing_to_write_is_nothing_to_wait_for() {
    let (log, _) = log_to(File::open("/dev/null").unwrap());
    assert!(log.flush(Duration::ZERO));
}
