//! A guest's standard output and error, as log lines.
//!
//! A line is cut at 4 KiB, and a version that writes more than its budget loses lines, which are
//! counted and said: a guest can neither fill the disk nor slow its neighbours down by talking.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

use super::sandbox::Grant;

/// Bytes of a line that are kept.
const LONGEST_LINE: usize = 4 << 10;
/// Lines that one version may log in a second.
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
    /// Whether one more line may be logged now, and how many were dropped before it.
    fn take(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.second.swap(now, Ordering::Relaxed) != now {
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

/// The id of the request that a sandbox serves now. A guest keeps its standard streams over
/// requests, so they ask here.
#[derive(Clone, Debug)]
pub(super) struct RequestTag(Arc<Mutex<Arc<str>>>);

impl RequestTag {
    pub fn new(request_id: Arc<str>) -> Self {
        Self(Arc::new(Mutex::new(request_id)))
    }

    pub fn set(&self, request_id: Arc<str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = request_id;
    }

    fn get(&self) -> Arc<str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One standard stream of one guest.
#[derive(Clone)]
pub(super) struct GuestLog {
    grant: Arc<Grant>,
    tag: RequestTag,
    stream: Stream,
}

impl GuestLog {
    pub fn new(grant: Arc<Grant>, tag: RequestTag, stream: Stream) -> Self {
        Self { grant, tag, stream }
    }

    fn line(&self, line: &[u8], cut: bool) {
        let Some(dropped) = self.grant.log.take() else { return };
        let Grant { service, version, .. } = &*self.grant;
        if dropped > 0 {
            tracing::warn!(
                target: "watershed::guest", %service, %version,
                "{dropped} lines dropped: over {LINES_A_SECOND} lines a second"
            );
        }
        let stream = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let text = printable(line);
        let mark = if cut { " [cut]" } else { "" };
        tracing::info!(
            target: "watershed::guest", %service, %version, request_id = %self.tag.get(), stream,
            "{text}{mark}"
        );
    }
}

/// The text of a line. Control characters are escaped: with them, a guest could write what looks
/// like a line of somebody else's, or move an operator's cursor.
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

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines::new(self.clone()))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines::new(self.clone()))
    }
}

/// Gathers writes into lines. What is left when the guest ends is a line too.
struct Lines {
    log: GuestLog,
    line: Vec<u8>,
    /// Whether the rest of the current line is being thrown away.
    cut: bool,
}

impl Lines {
    fn new(log: GuestLog) -> Self {
        Self { log, line: Vec::new(), cut: false }
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(rest) => {
                    self.push(rest);
                    self.end_line();
                }
                None => self.push(part),
            }
        }
    }

    fn push(&mut self, part: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.line.len());
        self.cut |= part.len() > room;
        self.line.extend(part.iter().take(room));
    }

    fn end_line(&mut self) {
        self.log.line(&self.line, self.cut);
        self.line.clear();
        self.cut = false;
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.write(&bytes);
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
impl AsyncWrite for Lines {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (now, _) = bytes.split_at(bytes.len().min(WRITE_BUDGET));
        self.write(now);
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
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lines() -> Lines {
        let grant = Grant::new("s", "v", 0, Duration::ZERO, Duration::ZERO);
        let log = GuestLog::new(Arc::new(grant), RequestTag::new("id".into()), Stream::Stdout);
        Lines::new(log)
    }

    #[test]
    fn a_line_is_cut_at_four_kib_and_the_next_one_starts_anew() {
        let mut lines = lines();
        lines.write(&[b'x'; LONGEST_LINE]);
        assert!(!lines.cut);
        lines.write(b"y");
        assert!(lines.cut);
        assert_eq!(lines.line.len(), LONGEST_LINE);
        lines.write(b"z\nnext");
        assert_eq!((&*lines.line, lines.cut), (&b"next"[..], false));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable(b"a\tb\r\x1b[31m\0"), "a\tb\\r\\u{1b}[31m\\u{0}");
        assert_eq!(printable("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
    }

    #[test]
    fn lines_over_the_budget_are_dropped_and_counted() {
        let budget = LogBudget::default();
        let kept = (0..LINES_A_SECOND * 3).filter(|_| budget.take().is_some()).count();
        // The second may turn once or twice while this runs.
        assert!(kept >= LINES_A_SECOND as usize && kept <= 3 * LINES_A_SECOND as usize);
    }
}
