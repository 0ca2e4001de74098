//! Writes lines to any kind of descriptor: a terminal, a file on a full disk, a pipe that nobody
//! reads, or a pipe whose reader is gone.
//!
//! It does not use `std::io::stderr`, which holds a lock while a write waits: every other thread
//! that writes to standard error would wait too.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};

use super::queue::lines;

/// Bytes that a pipe accepts in one piece even if others write to it (`PIPE_BUF`).
const AT_ONCE: usize = 4 << 10;
/// How long to wait for a descriptor to have room before trying anyway.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// The first and the longest pause after an error. Pauses double.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A descriptor, and whether its last line is complete.
pub(super) struct Sink {
    target: Arc<dyn AsFd + Send + Sync>,
    /// Whether the last byte written is not the end of a line.
    is_torn: bool,
}

impl Sink {
    pub fn new(target: Arc<dyn AsFd + Send + Sync>) -> Self {
        Self { target, is_torn: false }
    }

    /// Writes whole lines, and waits while the descriptor has no room. If it reports errors for
    /// longer than `patience`, the remaining lines are given up. Returns their number.
    ///
    /// A line that was given up in the middle is ended before the next one begins.
    pub fn write(&mut self, text: &[u8], patience: Duration) -> u64 {
        let mut errors = Errors::default();
        let (mut left, mut mends) = (text, self.is_torn);
        while !left.is_empty() {
            let next = if mends { b"\n" } else { piece(left) };
            match write(&self.target, next) {
                Ok(written) if written > 0 => {
                    errors = Errors::default();
                    self.is_torn = next.get(written - 1) != Some(&b'\n');
                    if !std::mem::take(&mut mends) {
                        left = left.get(written..).unwrap_or_default();
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => await_room(self.target.as_fd()),
                Ok(_) | Err(_) if errors.may_pass(patience) => {}
                Ok(_) | Err(_) => return lines(left),
            }
        }
        0
    }
}

/// The first whole lines of a text that a pipe accepts in one piece.
fn piece(text: &[u8]) -> &[u8] {
    let first = text.get(..AT_ONCE).unwrap_or(text);
    let end = memchr::memrchr(b'\n', first).or_else(|| memchr::memchr(b'\n', text));
    end.and_then(|end| text.get(..=end)).unwrap_or(text)
}

/// Waits until a non-blocking descriptor has room.
fn await_room(target: BorrowedFd<'_>) {
    // Errors show in the next write.
    poll(&mut [PollFd::from_borrowed_fd(target, PollFlags::OUT)], Some(&LOOK_AGAIN)).ok();
    // Some descriptors report room that is too small for the line.
    thread::sleep(FIRST_PAUSE);
}

/// Consecutive errors of a descriptor.
#[derive(Default)]
struct Errors {
    since: Option<Instant>,
    pause: Duration,
}

impl Errors {
    /// Pauses before the next try; `false` if the errors have lasted longer than `patience`.
    fn may_pass(&mut self, patience: Duration) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= patience {
            return false;
        }
        self.pause = (2 * self.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        thread::sleep(self.pause);
        true
    }
}
