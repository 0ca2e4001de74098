//! A timer that is cheap to set anew.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for one deadline after another.
///
/// Each request has its own deadline, and almost none is reached. So a deadline that moves away is not told to tokio,
/// which would take a lock twice a request: the earlier one wakes the task, and is then replaced by the present one.
#[derive(Debug, Default)]
pub struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Waits for the deadline.
    pub fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_met_whether_it_comes_nearer_or_goes_away() {
        let mut timer = Timer::default();
        for seconds in [10, 3, 3, 20, 1] {
            let start = Instant::now();
            let deadline = start + Duration::from_secs(seconds);
            // It begins with another deadline each time.
            let other = deadline + Duration::from_secs(5);
            assert!(poll_fn(|context| Poll::Ready(timer.poll(context, other))).await.is_pending());
            poll_fn(|context| timer.poll(context, deadline)).await;
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
    }
}
