//! When to try again after a transient error: soon at first, then with doubling pauses until it has
//! passed. The log tells the beginning and the end of the waiting, and nothing in between.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause. Each is twice the one before it.
pub const FIRST: Duration = Duration::from_millis(100);

/// The longest pause: the most time between the end of an error and the next try.
const LONGEST: Duration = Duration::from_secs(5);

/// Whether something waits to be tried again, and when.
#[derive(Debug)]
pub struct Retry {
    pause: Duration,
    due: Option<Instant>,
    /// When something began to wait.
    since: Option<Instant>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { pause: FIRST, due: None, since: None }
    }
}

impl Retry {
    /// Plans the next try: `waiting` versions and files wait for a transient error, one of which is
    /// `why`. With `is_blind`, the watcher misses changes and has told so already.
    pub fn plan(&mut self, waiting: usize, why: impl FnOnce() -> String, is_blind: bool) {
        match (waiting, self.since) {
            (0, Some(since)) => {
                self.since = None;
                tracing::info!("everything can be read again, after {:.1?}", since.elapsed());
            }
            (0, None) | (_, Some(_)) => {}
            (_, None) => {
                self.since = Some(Instant::now());
                tracing::warn!(waiting, "what is served stays, and it is tried again: {}", why());
            }
        }
        if waiting == 0 && !is_blind {
            (self.pause, self.due) = (FIRST, None);
        } else if self.due.is_none() {
            self.due = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(LONGEST);
        }
    }

    /// Waits until it is time to try again. Cancel-safe.
    pub async fn due(&mut self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_soon_and_then_more_and_more_rarely() {
        let mut retry = Retry::default();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            retry.plan(1, || "short".to_owned(), false);
            // Another edit meanwhile changes nothing.
            retry.plan(1, || "short".to_owned(), false);
            let began = Instant::now();
            retry.due().await;
            pauses.push(began.elapsed().as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        retry.plan(0, String::new, false);
        assert!(retry.due.is_none() && retry.since.is_none());
        retry.plan(0, String::new, true);
        assert!(retry.due.is_some() && retry.since.is_none(), "blind");
    }
}
