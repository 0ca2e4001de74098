//! Restarts background tasks after panics and errors.
//!
//! Tokio ends a panicking task silently: a process whose reloader has panicked would keep serving
//! and never notice an edit again. So every background task of the server is [`Supervised`]: after
//! a panic or an error, it starts again with the state that it had.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::{BackgroundService, GenBackgroundService};
use std::sync::Arc;

use crate::telemetry::{Ailment, Health};

/// The first and the longest pause before a task starts again. Pauses double.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a task must run before its failures are forgotten.
const CALM: Duration = Duration::from_secs(10);
/// How many failures in a row make the readiness probe fail.
const TOLD_TO_PROBES: u32 = 5;

/// A task of the server.
#[async_trait]
pub(super) trait Task: Send + Sync + 'static {
    /// Its name: of its thread, in metrics, and in the log.
    const NAME: &'static str;

    /// Works until the process ends, or until nothing is left to do. After a panic or an error, it
    /// is called again on the same `self`.
    ///
    /// # Errors
    ///
    /// Where the machine does not allow the work.
    async fn run(&self) -> io::Result<()>;
}

/// A task as a pingora service, on a thread of its own.
pub(super) fn supervised<T: Task>(task: T, health: &Health) -> GenBackgroundService<Supervised<T>> {
    let supervised = Supervised { task, health: health.clone() };
    let mut service = GenBackgroundService::new(T::NAME.to_owned(), Arc::new(supervised));
    service.threads = Some(1);
    service
}

pub(super) struct Supervised<T> {
    task: T,
    health: Health,
}

/// Why a task must start again.
enum Failure {
    Panic,
    Error(io::Error),
}

#[async_trait]
impl<T: Task> BackgroundService for Supervised<T> {
    async fn start(&self, _: ShutdownWatch) {
        let (mut failures, mut pause) = (0, FIRST_PAUSE);
        loop {
            let mut run = pin!(caught(self.task.run()));
            let ended = match tokio::time::timeout(CALM, &mut run).await {
                Ok(ended) => ended,
                Err(_) => {
                    (failures, pause) = (0, FIRST_PAUSE);
                    self.health.recovers(T::NAME);
                    run.await
                }
            };
            let Err(failure) = ended else { break };
            failures += 1;
            self.tell(&failure, failures, pause);
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        self.health.recovers(T::NAME);
    }
}

impl<T: Task> Supervised<T> {
    fn tell(&self, failure: &Failure, failures: u32, pause: Duration) {
        let task = T::NAME;
        let ailment = match failure {
            // The panic hook has logged where and why.
            Failure::Panic => {
                tracing::error!(task, "starts again in {pause:?}");
                Ailment::Failing
            }
            Failure::Error(error) => {
                tracing::error!(task, "cannot work, and starts again in {pause:?}: {error}");
                Ailment::Lost
            }
        };
        if failures >= TOLD_TO_PROBES {
            self.health.ails(task, ailment);
        }
    }
}

/// Runs a future to its end, or until it panics.
async fn caught(future: impl Future<Output = io::Result<()>>) -> Result<(), Failure> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // A panic may leave the task's state half changed. The task handles that when it starts
        // again.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map_err(Failure::Error),
            Err(payload) => {
                discard(payload);
                Poll::Ready(Err(Failure::Panic))
            }
        }
    })
    .await
}

/// Drops the payload of a panic. If that drop panics too, it must not end the process.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::watch;
    use tokio::time::Instant;

    use super::*;

    /// Fails as often as it is told to, then works until it is told to end.
    struct Trying {
        panics: u32,
        errors: u32,
        started: AtomicU32,
        at: Mutex<Vec<Instant>>,
        work: Duration,
    }

    impl Trying {
        fn new(panics: u32, errors: u32) -> Self {
            let work = 2 * CALM;
            Self { panics, errors, started: AtomicU32::new(0), at: Mutex::default(), work }
        }
    }

    #[async_trait]
    impl Task for Trying {
        const NAME: &'static str = "trying";

        async fn run(&self) -> io::Result<()> {
            self.at.lock().unwrap().push(Instant::now());
            let before = self.started.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            assert!(before >= self.panics, "on purpose");
            if before < self.panics + self.errors {
                return Err(io::Error::other("no room"));
            }
            tokio::time::sleep(self.work).await;
            Ok(())
        }
    }

    async fn supervise(task: Trying, health: &Health) -> Trying {
        let supervised = Supervised { task, health: health.clone() };
        supervised.start(watch::channel(false).1).await;
        supervised.task
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_starts_again_with_what_it_had() {
        let health = Health::default();
        let task = supervise(Trying::new(3, 2), &health).await;
        assert_eq!(task.started.into_inner(), 6);
        let at = task.at.into_inner().unwrap();
        let pauses: Vec<_> = at.windows(2).map(|at| (at[1] - at[0]).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600]);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_are_bounded() {
        let task = supervise(Trying::new(10, 0), &Health::default()).await;
        let at = task.at.into_inner().unwrap();
        let longest = at.windows(2).map(|at| at[1] - at[0]).max();
        assert_eq!(longest, Some(LONGEST_PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn probes_hear_of_a_task_that_fails_again_and_again_until_it_works() {
        for (panics, errors, ailment) in [(5, 0, Ailment::Failing), (0, 5, Ailment::Lost)] {
            let health = Health::default();
            let task = tokio::spawn({
                let health = health.clone();
                async move { supervise(Trying::new(panics, errors), &health).await }
            });
            // Four pauses and half of the fifth.
            tokio::time::sleep(FIRST_PAUSE * 23).await;
            assert_eq!(health.with(ailment), ["trying"]);
            tokio::time::sleep(FIRST_PAUSE * 9 + CALM).await;
            assert_eq!(health.with(ailment), <[&str; 0]>::default());
            task.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_failures_are_nothing_to_probes() {
        let health = Health::default();
        let watching = health.clone();
        let running = supervise(Trying::new(4, 0), &health);
        let ticks = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                assert!(watching.with(Ailment::Failing).is_empty());
            }
        };
        tokio::join!(running, ticks);
    }

    /// The payload of a panic is dropped by whoever catches it.
    #[tokio::test]
    async fn a_payload_that_panics_when_it_is_dropped_is_survived() {
        struct Spiteful;
        impl Drop for Spiteful {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let ended = caught(async { std::panic::panic_any(Spiteful) }).await;
        assert!(matches!(ended, Err(Failure::Panic)));
    }
}
