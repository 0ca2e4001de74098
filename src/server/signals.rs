//! Handles the signals of the process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::supervise::Task;
use crate::plural::many;
use crate::reload::ReloadHandle;
use crate::restart::{Phase, Restarts, ToPredecessor, Voice};
use crate::systemd::{self, State};
use crate::transport::Drain;

/// How long connections without a request may take to close, once the process was replaced.
const CLOSING: Duration = Duration::from_secs(1);

/// Handles signals that would end the process, from its start on. SIGXFSZ comes from the kernel when a file has grown to
/// the limit of the process (`ulimit -f`): with a handler, the write fails instead. SIGUSR2 may come before this process
/// can be restarted.
pub(super) fn outlive_signals() {
    let handle = |kind| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let _entered = runtime.enter();
        // The handler stays when the stream is dropped.
        signal(kind).map(drop)
    };
    let file_limit = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    if let Err(error) = handle(file_limit) {
        tracing::warn!("cannot handle SIGXFSZ: a file that is too large ends the process: {error}");
    }
    if let Err(error) = handle(SignalKind::user_defined2()) {
        tracing::warn!("cannot handle SIGUSR2: it ends the process: {error}");
    }
}

/// SIGHUP makes the reloader read every file again at once.
pub(super) struct ReloadOnHangup(pub Arc<ReloadHandle>);

#[async_trait]
impl Task for ReloadOnHangup {
    const NAME: &'static str = "hangup";

    async fn run(&self) -> io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: reading every file again");
            systemd::tell(State::Reloading);
            self.0.request().await;
            systemd::tell(State::Ready);
        }
        Ok(())
    }
}

/// SIGTERM and SIGINT drain the process. A second signal ends it at once. It also ends once it was replaced.
pub(super) struct Signals {
    pub drain: Drain,
    pub drain_delay: Duration,
    pub grace_period: Duration,
    pub restarts: Restarts,
    /// The process before this one.
    pub predecessor: Option<Voice>,
    /// Whoever says that this process has nothing left to do.
    pub over: Arc<Notify>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let (Ok(mut terminate), Ok(mut interrupt)) =
            (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("cannot handle signals: they end the process at once");
            return std::future::pending().await;
        };
        tokio::select! {
            () = next(&mut terminate, &mut interrupt) => {}
            () = self.over.notified() => {
                self.close().await;
                return ShutdownSignal::FastShutdown;
            }
        }
        // Done first, before anything that could wait: from now on, `/readyz` reports not ready.
        self.drain.announce();
        let delay = self.delay();
        if !delay.is_zero() {
            tracing::info!(
                "shutting down: requests are still served for {:?} (drain-delay), and /readyz says 503; a second \
                 signal ends the process at once",
                delay
            );
            tokio::select! {
                () = self.drain.announce_for(delay) => {}
                () = next(&mut terminate, &mut interrupt) => std::process::exit(1),
            }
        }
        tracing::info!(
            "draining for at most {:?}; a second signal ends at once",
            self.grace_period
        );
        self.drain.start();
        tokio::select! {
            () = self.drain.finished() => tracing::info!("drained"),
            () = tokio::time::sleep(self.grace_period) => {
                tracing::warn!("{} cut off by the grace period", many(self.drain.open(), "connection"));
            }
            () = next(&mut terminate, &mut interrupt) => std::process::exit(1),
        }
        ShutdownSignal::FastShutdown
    }
}

impl Signals {
    /// Tells whoever it concerns that the process ends. Returns how long requests are still accepted: not at all where
    /// another process accepts them.
    fn delay(&self) -> Duration {
        let state = self.restarts.state();
        if matches!(state.phase, Phase::HandedOver { .. }) {
            return Duration::ZERO;
        }
        if !state.serves {
            return Duration::ZERO;
        }
        systemd::tell(State::Stopping);
        self.predecessor.iter().for_each(|voice| voice.say(&ToPredecessor::Parting));
        self.drain_delay
    }

    /// Closes the connections that have no request.
    async fn close(&self) {
        self.drain.start();
        if tokio::time::timeout(CLOSING, self.drain.finished()).await.is_err() {
            tracing::warn!("{} cut off by the grace period", many(self.drain.open(), "connection"));
        }
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
