//! Logs the standard output and error of guests.
//!
//! Bytes are gathered up to the end of the line or of the request, across all streams that a guest
//! opens: some standard libraries open one for each write.
//!
//! A line is cut at 4 KiB. Lines of a version beyond its budget are dropped, and the log says how
//! many. So a guest can neither fill the disk nor slow its neighbours down by writing.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use super::sandbox::Grant;
use crate::plural::many;

/// How many bytes of a line are kept.
const LONGEST_LINE: usize = 4 << 10;
/// How many lines a version may log in a second.
const LINES_A_SECOND: u32 = 200;
/// Bytes that a guest may write before it must ask again.
const WRITE_BUDGET: usize = 64 << 10;

/// How many lines a version has logged in the current second, and how many were dropped.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    second: AtomicU64,
    lines: AtomicU32,
    dropped: AtomicU64,
}

impl LogBudget {
    /// Asks to log one more line now. If it may, returns how many were dropped before it.
    fn take(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.take_in(now.map_or(0, |since| since.as_secs()))
    }

    /// As [`take`](Self::take), in a given second since 1970.
    fn take_in(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < LINES_A_SECOND {
            return Some(self.dropped.swap(0, Ordering::Relaxed));
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The standard streams of one sandbox, across all of its requests. An unfinished line is logged
/// when the sandbox is dropped.
#[derive(Clone, Debug)]
pub(super) struct GuestLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    grant: Arc<Grant>,
    lines: Mutex<Lines>,
}

/// The bytes since the last line ended.
#[derive(Debug)]
struct Lines {
    /// The request that the sandbox serves now.
    request_id: Arc<str>,
    stdout: Line,
    stderr: Line,
}

#[derive(Debug, Default)]
struct Line {
    text: Vec<u8>,
    /// Whether the line is over its limit and the rest is dropped.
    cut: bool,
}

impl GuestLog {
    /// The streams of a sandbox that serves this request first.
    pub fn new(grant: Arc<Grant>, request_id: Arc<str>) -> Self {
        let (stdout, stderr) = Default::default();
        let lines = Mutex::new(Lines { request_id, stdout, stderr });
        Self(Arc::new(Shared { grant, lines }))
    }

    /// One of the streams.
    pub fn stream(&self, stream: Stream) -> GuestStream {
        GuestStream { log: self.clone(), stream }
    }

    /// Lines belong to this request from now on.
    pub fn begin_request(&self, request_id: Arc<str>) {
        let mut lines = self.0.lock();
        lines.end(&self.0.grant);
        lines.request_id = request_id;
    }

    /// Logs an unfinished line.
    pub fn end_request(&self) {
        self.0.lock().end(&self.0.grant);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Self { grant, lines } = self;
        lines.get_mut().unwrap_or_else(PoisonError::into_inner).end(grant);
    }
}

impl Lines {
    fn write(&mut self, grant: &Grant, stream: Stream, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(rest) => {
                    self.line(stream).push(rest);
                    self.end_line(grant, stream);
                }
                None => self.line(stream).push(part),
            }
        }
    }

    fn line(&mut self, stream: Stream) -> &mut Line {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn end(&mut self, grant: &Grant) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.line(stream).text.is_empty() {
                self.end_line(grant, stream);
            }
        }
    }

    fn end_line(&mut self, grant: &Grant, stream: Stream) {
        // The memory is kept for the next line.
        let mut line = std::mem::take(self.line(stream));
        log(grant, &self.request_id, stream, &line);
        line.text.clear();
        line.cut = false;
        *self.line(stream) = line;
    }
}

impl Line {
    fn push(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.text.len());
        self.cut |= part.len() > room;
        let (kept, _) = part.split_at(part.len().min(room));
        self.text.extend_from_slice(kept);
    }
}

fn log(grant: &Grant, request_id: &str, stream: Stream, line: &Line) {
    let Some(dropped) = grant.log.take() else { return };
    let Grant { service, version, .. } = grant;
    if dropped > 0 {
        tracing::warn!(
            target: "watershed::guest", %service, %version,
            "{} dropped: over {LINES_A_SECOND} lines a second",
            many(dropped, "line")
        );
    }
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    let text = printable(&line.text);
    let mark = if line.cut { " [cut]" } else { "" };
    tracing::info!(
        target: "watershed::guest", %service, %version, %request_id, stream, "{text}{mark}"
    );
}

/// The text of a line, with control characters escaped. Otherwise a guest could fake lines of
/// others, or move the cursor of an operator's terminal.
fn printable(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for character in String::from_utf8_lossy(line).chars() {
        match character {
            '\t' => text.push(character),
            _ if character.is_control() => text.extend(character.escape_default()),
            _ => text.push(character),
        }
    }
    text
}

/// One standard stream of one sandbox. A guest gets the same one each time that it opens the
/// stream.
#[derive(Clone, Debug)]
pub(super) struct GuestStream {
    log: GuestLog,
    stream: Stream,
}

impl GuestStream {
    fn write(&self, bytes: &[u8]) {
        let GuestLog(shared) = &self.log;
        shared.lock().write(&shared.grant, self.stream, bytes);
    }
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// A flush does not end a line: only whole lines are logged.
impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(WRITE_BUDGET)
    }
}

/// The same for guests of WASI 0.3.
impl AsyncWrite for GuestStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (now, _) = bytes.split_at(bytes.len().min(WRITE_BUDGET));
        Self::write(&self, now);
        Poll::Ready(Ok(now.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn log() -> GuestLog {
        let grant = Grant::new("s", "v", 0, Duration::ZERO, Duration::ZERO);
        GuestLog::new(Arc::new(grant), "first".into())
    }

    fn text(log: &GuestLog) -> String {
        String::from_utf8(log.0.lock().stdout.text.clone()).unwrap()
    }

    #[test]
    fn a_line_is_cut_at_four_kib_and_the_next_one_starts_anew() {
        let log = log();
        let stdout = log.stream(Stream::Stdout);
        stdout.write(&[b'x'; LONGEST_LINE]);
        assert!(!log.0.lock().stdout.cut);
        stdout.write(b"y");
        assert!(log.0.lock().stdout.cut);
        assert_eq!(text(&log).len(), LONGEST_LINE);
        stdout.write(b"z\nnext");
        assert_eq!((text(&log).as_str(), log.0.lock().stdout.cut), ("next", false));
        assert!(log.0.lock().stdout.text.capacity() <= 2 * LONGEST_LINE);
    }

    #[test]
    fn every_stream_that_a_guest_asks_for_writes_to_the_same_line() {
        let log = log();
        for part in ["one ", "two ", "three"] {
            let mut stream = log.stream(Stream::Stdout).p2_stream();
            stream.write(Bytes::from_static(part.as_bytes())).unwrap();
            stream.flush().unwrap();
            drop(stream);
            log.stream(Stream::Stderr).write(b"apart");
        }
        assert_eq!(text(&log), "one two three");
        log.end_request();
        assert_eq!(text(&log), "");
    }

    #[test]
    fn a_line_of_one_request_does_not_go_on_in_the_next() {
        let log = log();
        log.stream(Stream::Stdout).write(b"of the first");
        log.begin_request("second".into());
        assert_eq!(text(&log), "");
        assert_eq!(&*log.0.lock().request_id, "second");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable(b"a\tb\r\x1b[31m\0"), "a\tb\\r\\u{1b}[31m\\u{0}");
        assert_eq!(printable("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
    }

    #[test]
    fn lines_over_the_budget_are_dropped_and_counted() {
        let budget = LogBudget::default();
        for second in [7, 8] {
            let dropped = if second == 7 { 0 } else { 400 };
            let taken: Vec<_> = (0..600).map(|_| budget.take_in(second)).collect();
            let (kept, lost) = taken.split_at(LINES_A_SECOND as usize);
            assert_eq!(kept[0], Some(dropped), "the first line tells what was lost before it");
            assert!(kept[1..].iter().all(|line| *line == Some(0)), "{kept:?}");
            assert_eq!((lost.len(), lost.iter().flatten().count()), (400, 0));
        }
    }
}
