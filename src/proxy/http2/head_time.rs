//! The time for the head of a request, which may come in any number of frames.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::observed::Noted;
use crate::timer::Timer;

/// The head that is coming, if one is.
pub struct HeadTime {
    noted: Noted,
    /// Its number, and when it began.
    since: Option<(u64, Instant)>,
    timer: Timer,
}

impl HeadTime {
    /// No head is coming.
    pub fn new(noted: Noted) -> Self {
        Self { noted, since: None, timer: Timer::default() }
    }

    /// Waits until a head has taken more than this time. Must be polled after the connection is read, by the same task:
    /// whether a head is coming changes only then. Cancel-safe.
    pub async fn over(&mut self, time: Duration) {
        poll_fn(|context| {
            let Some(head) = self.noted.head() else {
                self.since = None;
                return Poll::Pending;
            };
            let began = match self.since {
                Some((number, began)) if number == head => began,
                _ => Instant::now(),
            };
            self.since = Some((head, began));
            self.timer.poll(context, began + time)
        })
        .await;
    }
}
