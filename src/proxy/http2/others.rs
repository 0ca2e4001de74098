//! Whether a client that takes nothing of one response takes the others on its connection. It may read them in turns.

use std::time::Duration;

use super::observed::Noted;
use crate::config::ByteSize;
use crate::transport::Progress;

/// What the client takes on a connection.
pub struct Others {
    progress: Progress,
    noted: Noted,
    /// The slowest rate, in bytes a second; 0 means any.
    rate: ByteSize,
}

/// What the client had taken by some time.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    written: u64,
    count: u64,
}

impl Others {
    pub fn new(progress: Progress, noted: Noted, rate: ByteSize) -> Self {
        Self { progress, noted, rate }
    }

    /// What is noted of the connection.
    pub fn noted(&self) -> &Noted {
        &self.noted
    }

    pub fn look(&self) -> Looked {
        Looked { written: self.noted.written(), count: self.progress.count() }
    }

    /// Whether the client has kept its rate for this long, since a look. A reset, or the head of another response, is
    /// written to a client that takes nothing, too.
    pub fn are_taken(&self, before: Looked, time: Duration) -> bool {
        let Looked { written, count } = self.look();
        match written.saturating_sub(before.written) {
            // What was written before may fill the buffers of the kernel, which a slow client empties.
            0 => count != before.count,
            written => {
                u128::from(written) * 1_000 >= u128::from(self.rate.bytes()) * time.as_millis()
            }
        }
    }
}
