//! What the server says to its user on standard output.
//!
//! A pipe that nobody reads takes 64 KiB and then nothing, so what is said is written by a thread of
//! its own. It may wait for ever: nobody waits for it.

use std::os::fd::AsFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};

/// Says lines, one after another.
pub(super) struct Voice(Sender<String>);

impl Voice {
    /// A voice that is heard on `target`, as long as that takes what is said.
    pub fn on(target: impl AsFd + Send + 'static) -> Self {
        let (lines, said) = channel::<String>();
        let speak = move || {
            for line in said {
                // A closed standard output is not worth dying for.
                if speak(&target, line.as_bytes()).is_err() {
                    return;
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("voice".to_owned()).spawn(speak) {
            tracing::warn!("nothing is said on standard output: no thread for it: {error}");
        }
        Self(lines)
    }

    /// Says a line. Returns at once.
    pub fn say(&self, line: &str) {
        // Nobody listens any more.
        self.0.send(format!("{line}\n")).ok();
    }
}

fn speak(target: &impl AsFd, mut line: &[u8]) -> Result<(), Errno> {
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
    fn who_says_something_does_not_wait_for_who_listens() {
        let (mut reader, writer) = pipe().unwrap();
        let voice = Voice::on(writer);
        let started = Instant::now();
        for _ in 0..10_000 {
            voice.say(&"x".repeat(99));
        }
        drop(voice);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard.lines().filter(|line| line.len() == 99).count(), 10_000);
    }

    #[test]
    fn nobody_need_listen() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let voice = Voice::on(writer);
        voice.say("one");
        voice.say("two");
    }
}
