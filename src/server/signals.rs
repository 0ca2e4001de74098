//! Handles the signals of the process.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::supervise::Task;
use crate::plural::many;
use crate::reload::ReloadHandle;
use crate::transport::Drain;

/// Handles SIGXFSZ, which the kernel sends when a file has grown to the limit of the process
/// (`ulimit -f`). Without a handler, the signal ends the process; with one, the write fails
/// instead.
pub(super) fn outlive_file_limit() {
    let handle = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let _entered = runtime.enter();
        // The handler stays when the stream is dropped.
        signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map(drop)
    };
    if let Err(error) = handle() {
        tracing::warn!("cannot handle SIGXFSZ: a file that is too large ends the process: {error}");
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
            self.0.request().await;
        }
        Ok(())
    }
}

/// SIGTERM and SIGINT drain the process. A second signal ends it at once.
pub(super) struct Signals {
    pub drain: Drain,
    pub drain_delay: Duration,
    pub grace_period: Duration,
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
        next(&mut terminate, &mut interrupt).await;
        // Done first, before anything that could wait: from now on, `/readyz` reports not ready.
        self.drain.announce();
        if !self.drain_delay.is_zero() {
            tracing::info!(
                "shutting down: requests are still served for {:?} (drain-delay), and /readyz says 503; a second \
                 signal ends the process at once",
                self.drain_delay
            );
            tokio::select! {
                () = self.drain.announce_for(self.drain_delay) => {}
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

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
