//! How fast a client sends a body, or takes one. Only the time counts in which the client is waited for, so neither a
//! slow backend nor a body that is small makes a client slow.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::timer::Timer;

/// The pace of one client with one body.
///
/// A client may be waited for as long as `time`. Each byte that passes gives back the time that it may take at the
/// slowest rate. So a client that keeps the rate is never late, whatever its pauses below `time`, and one that does not
/// is late at the end of `time`, however its bytes drip.
#[derive(Debug, Default)]
pub struct Pace {
    /// Bytes a second; 0 means any.
    rate: u64,
    time: Duration,
    /// For how long the client may still be waited for.
    left: Duration,
    timer: Timer,
}

/// The client was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSlow;

/// A wait for the client, which counts also where it is given up.
struct Wait<'a> {
    pace: &'a mut Pace,
    since: Option<Instant>,
}

impl Pace {
    /// At least `rate` bytes a second, over `time`; 0 means any rate, as the default does.
    pub fn new(rate: u64, time: Duration) -> Self {
        Self { rate, time, left: time, timer: Timer::default() }
    }

    /// Over which time the rate is measured.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// Whether the client was waited for as long as it may be.
    pub fn is_over(&self) -> bool {
        self.rate > 0 && self.left.is_zero()
    }

    /// Counts time in which the client was waited for.
    pub fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// Counts bytes that have passed.
    pub fn passed(&mut self, bytes: u64) {
        if let Some(nanos) = bytes.saturating_mul(1_000_000_000).checked_div(self.rate) {
            // At most the whole time: more bytes are not a credit for later.
            self.left = self.left.saturating_add(Duration::from_nanos(nanos)).min(self.time);
        }
    }

    /// Waits for what the client does next. Cancel-safe if `next` is: a wait that is given up counts.
    ///
    /// # Errors
    ///
    /// Where the client is too slow.
    pub async fn keep<T>(&mut self, next: impl Future<Output = T>) -> Result<T, TooSlow> {
        if self.rate == 0 {
            return Ok(next.await);
        }
        let mut next = pin!(next);
        let mut wait = Wait { pace: self, since: None };
        poll_fn(|context| {
            if let Poll::Ready(next) = next.as_mut().poll(context) {
                return Poll::Ready(Ok(next));
            }
            // The clock is read only where the client is waited for.
            let since = *wait.since.get_or_insert_with(Instant::now);
            let Pace { left, timer, .. } = &mut *wait.pace;
            timer.poll(context, since + *left).map(|()| Err(TooSlow))
        })
        .await
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.pace.waited(since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    /// Sends so many bytes every so often, until it is too slow; returns for how many seconds.
    async fn lasts(pace: &mut Pace, bytes: u64, every: Duration) -> Option<u64> {
        let start = Instant::now();
        for _ in 0..10_000 {
            if pace.keep(sleep(every)).await.is_err() {
                return Some(start.elapsed().as_secs());
            }
            pace.passed(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_rate_is_never_late() {
        let second = Duration::from_secs(1);
        assert_eq!(lasts(&mut Pace::new(1024, TIME), 1024, second).await, None);
        assert_eq!(lasts(&mut Pace::new(1024, TIME), 29 * 1024, 29 * second).await, None);
        assert_eq!(lasts(&mut Pace::new(0, TIME), 0, 1_000 * second).await, None);
        assert_eq!(lasts(&mut Pace::default(), 0, 1_000 * second).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_is_late_however_the_bytes_drip() {
        for (bytes, every, lasting) in
            [(0, 1_000, 30), (1, 1_000, 30), (1, 10, 33), (512, 1_000, 58)]
        {
            let every = Duration::from_millis(every);
            let lasted = lasts(&mut Pace::new(1024, TIME), bytes, every).await.unwrap();
            assert!(lasted.abs_diff(lasting) <= 2, "{bytes} every {every:?}: {lasted} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_start_is_no_credit() {
        let mut pace = Pace::new(1024, TIME);
        pace.passed(1 << 40);
        assert_eq!(lasts(&mut pace, 1, Duration::from_secs(1)).await, Some(30));
        assert!(pace.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_for_the_client_does_not_count() {
        let mut pace = Pace::new(1024, TIME);
        for _ in 0..100 {
            sleep(TIME).await;
            assert_eq!(pace.keep(std::future::ready(1)).await, Ok(1));
        }
        assert!(!pace.is_over());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_counts() {
        let mut pace = Pace::new(1024, TIME);
        let never = std::future::pending::<()>;
        for _ in 0..29 {
            assert!(timeout(Duration::from_secs(1), pace.keep(never())).await.is_err());
        }
        let start = Instant::now();
        assert_eq!(pace.keep(never()).await, Err(TooSlow));
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
