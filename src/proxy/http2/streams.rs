//! The requests of a connection: tasks of their own, and what they have for the connection to send.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::transport::{Drain, Permit};

/// How long a draining connection gets after its last request to send what is left.
const SENT: Duration = Duration::from_millis(200);

/// The requests of one connection.
#[derive(Debug, Default)]
pub struct Streams {
    open: AtomicUsize,
    none: Notify,
    /// Whether h2 was given a part of a response since the connection last looked.
    has_output: AtomicBool,
}

/// A request of the connection, until dropped.
pub struct Open(Arc<Streams>);

impl Streams {
    pub fn enter(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(self.clone())
    }

    /// Serves the connection. The first request that has something to send wakes it, and then the connection lets those
    /// that are ready go first: what they have by then leaves in the same write.
    pub async fn together<T>(&self, mut serving: Pin<&mut impl Future<Output = T>>) -> T {
        let mut has_waited = false;
        poll_fn(|context| {
            let has_output = self.has_output.swap(false, Ordering::SeqCst);
            has_waited = has_output && !has_waited;
            if has_waited {
                // This puts the task at the end of the queue.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            serving.as_mut().poll(context)
        })
        .await
    }

    /// Whether no request is left.
    pub fn are_over(&self) -> bool {
        self.open.load(Ordering::SeqCst) == 0
    }

    /// Waits until no request is left. Several tasks may wait.
    async fn over(&self) {
        loop {
            // Registered before the check, so that no end between the two is missed.
            let ended = self.none.notified();
            if self.are_over() {
                return;
            }
            ended.await;
        }
    }

    /// Waits for the start of the drain, and then until no request is left.
    pub async fn ended(&self, drain: &Drain) {
        drain.started().await;
        self.over().await;
        sleep(SENT).await;
    }

    /// Waits until the connection was idle for this long, or until others need its permit.
    pub async fn idle(&self, time: Duration, permit: &Permit) {
        self.over().await;
        tokio::select! {
            () = sleep(time) => {}
            () = permit.asked_to_close(true) => {}
        }
    }
}

impl Open {
    /// Notes that h2 is about to be given a part of the response.
    pub fn sends(&self) {
        self.0.has_output.store(true, Ordering::SeqCst);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::task::Waker;

    use super::*;

    /// What h2 was given, and who is told.
    #[derive(Default)]
    struct Given {
        parts: usize,
        waker: Option<Waker>,
    }

    /// One worker, as in h2: the first part wakes the connection, which would run next.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_is_ready_together_is_sent_together() {
        let sent = tokio::spawn(async {
            let (streams, given) = (Arc::<Streams>::default(), Arc::<Mutex<Given>>::default());
            let connection = tokio::spawn(serve(streams.clone(), given.clone()));
            for _ in 0..16 {
                let (open, given) = (streams.enter(), given.clone());
                tokio::spawn(async move {
                    open.sends();
                    let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
                    given.parts += 1;
                    given.waker.take().into_iter().for_each(Waker::wake);
                });
            }
            connection.await.unwrap()
        });
        assert_eq!(sent.await.unwrap(), [16]);
    }

    /// Sends 16 parts. Returns how many at a time.
    async fn serve(streams: Arc<Streams>, given: Arc<Mutex<Given>>) -> Vec<usize> {
        let mut sent = Vec::new();
        let all = poll_fn(|context| {
            let mut given = given.lock().unwrap_or_else(PoisonError::into_inner);
            given.waker = Some(context.waker().clone());
            match std::mem::take(&mut given.parts) {
                0 => {}
                parts => sent.push(parts),
            }
            if sent.iter().sum::<usize>() == 16 { Poll::Ready(()) } else { Poll::Pending }
        });
        streams.together(std::pin::pin!(all)).await;
        sent
    }
}
