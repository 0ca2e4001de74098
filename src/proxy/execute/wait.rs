//! The wait for the head of a target's response.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::versions::{Backend, ReadyVersion};

/// How long a head is waited for, where several attempts share one `wall-time`. One attempt alone keeps its own time.
pub struct Wait {
    /// `None` where nothing is waited for here: a guest keeps its own time, and a head that was passed on has come.
    since: Option<Instant>,
    limit: Duration,
    /// Set from the second attempt on.
    end: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    /// The wait for a version, which begins at `since`.
    pub fn new(version: &ReadyVersion, since: Instant) -> Self {
        let is_upstream = matches!(version.backend, Backend::Upstream(_));
        let limit = version.spec.limits.wall_time;
        Self { since: is_upstream.then_some(since), limit, end: None }
    }

    /// Begins anew, because the client was waited for, or a target has taken more of the request.
    pub fn renew(&mut self) {
        let Some(since) = &mut self.since else { return };
        *since = Instant::now();
        if let Some(end) = &mut self.end {
            end.as_mut().reset(*since + self.limit);
        }
    }

    /// Has another attempt share the time that is left; `false` where none is.
    pub fn share(&mut self) -> bool {
        let end = self.since.map(|since| since + self.limit);
        let end = end.filter(|end| Instant::now() < *end);
        self.end = end.map(|end| Box::pin(sleep_until(end)));
        self.end.is_some()
    }

    /// Waits for nothing more.
    pub fn stop(&mut self) {
        (self.since, self.end) = (None, None);
    }

    /// Waits until the time of several attempts together is over. One alone is never late here.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.end {
            Some(end) => end.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}
