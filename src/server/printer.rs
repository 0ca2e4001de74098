//! Prints the server's lines on standard output.
//!
//! A pipe that nobody reads accepts 64 KiB and then blocks the writer. So a separate thread writes
//! the lines: it may block for ever, and nothing waits for it.

use std::os::fd::AsFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};

/// Prints lines in order.
pub(super) struct Printer(Sender<String>);

impl Printer {
    /// A printer to `target`, until a write fails.
    pub fn to(target: impl AsFd + Send + 'static) -> Self {
        let (lines, printed) = channel::<String>();
        let print = move || {
            for line in printed {
                // A closed standard output must not end the server.
                if write_all(&target, line.as_bytes()).is_err() {
                    return;
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("printer".to_owned()).spawn(print) {
            tracing::warn!("nothing is printed on standard output: no thread for it: {error}");
        }
        Self(lines)
    }

    /// Prints a line. Returns at once.
    pub fn print(&self, line: &str) {
        // Fails once a write to the target has failed.
        self.0.send(format!("{line}\n")).ok();
    }
}

fn write_all(target: &impl AsFd, mut line: &[u8]) -> Result<(), Errno> {
    while !line.is_empty() {
        match write(target, line) {
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(target, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn printing_does_not_wait_for_the_reader() {
        let (mut reader, writer) = pipe().unwrap();
        let printer = Printer::to(writer);
        let started = Instant::now();
        for _ in 0..10_000 {
            printer.print(&"x".repeat(99));
        }
        drop(printer);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard.lines().filter(|line| line.len() == 99).count(), 10_000);
    }

    #[test]
    fn a_closed_target_is_no_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let printer = Printer::to(writer);
        printer.print("one");
        printer.print("two");
    }
}
