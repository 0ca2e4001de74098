//! The history has one owner. A process that is replaced gives it away, and takes it back if nobody
//! comes for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Journal, blocking};
use crate::plural::many;

/// How long those who read the history may go on reading.
const READERS_TIME: Duration = Duration::from_secs(10);
/// How long a process that was killed may keep its history open. Its last word may come before its files are closed.
const DYING_TIME: Duration = Duration::from_secs(1);
/// How often the history is tried to be opened meanwhile.
const LOOK: Duration = Duration::from_millis(20);

impl Journal {
    /// Closes the history for the process that takes over. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// Where it is still read, or where only this process has a part of it. It stays open then.
    pub async fn give_away(&mut self) -> Result<bool, String> {
        self.is_handed_over = true;
        let left = self.unwritten.records.len();
        if left > 0 {
            let changes = many(left, "change");
            // A history that could never be opened must not stand in the way of a new program.
            if self.was_open {
                return Err(format!(
                    "{changes} wait to be written to the history, and would be lost: see whether the disk is full or gone"
                ));
            }
            tracing::warn!("lost with this process, since there is no history: {changes}");
        }
        self.lost = None;
        let Some(history) = self.history.take() else { return Ok(false) };
        self.reloads.show_history(Err("the process that takes over has it".to_owned()));
        match blocking(move || Ok(history.close(READERS_TIME))).await? {
            Ok(()) => Ok(true),
            Err(history) => {
                self.history = Some(history.clone());
                self.reloads.show_history(Ok(history));
                let seconds = READERS_TIME.as_secs();
                Err(format!("the history is still read after {seconds} seconds"))
            }
        }
    }

    /// Opens the history again that was given away, and returns the last generation that anybody has published; `reached` is
    /// one that is known. Where that fails, it is tried again as after any failure.
    pub async fn take_back(&mut self, reached: u64) -> u64 {
        self.floor = self.floor.max(reached);
        if self.history.is_none() {
            self.open().await;
        }
        self.floor
    }

    /// Opens the history of a process that has ended.
    pub async fn inherit(&mut self) {
        self.is_handed_over = true;
        let began = Instant::now();
        self.open().await;
        while self.history.is_none() && began.elapsed() < DYING_TIME {
            sleep(LOOK).await;
            self.open().await;
        }
    }

    /// Opens the history that another process has given away, and goes on behind its generation.
    ///
    /// # Errors
    ///
    /// Where there was a history and it cannot be opened.
    pub async fn take_over(&mut self, generation: u64, has_history: bool) -> Result<(), String> {
        (self.floor, self.is_handed_over) = (self.floor.max(generation), true);
        self.open().await;
        match self.reloads.history() {
            Err(why) if has_history => Err(why),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}
