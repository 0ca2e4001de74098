//! The successor's side of a restart: becomes ready, waits for its turn, and serves.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::memory;
use super::supervise::Task;
use crate::plural::many;
use crate::reload::{Go, Progress, ReloadHandle};
use crate::restart::{Predecessor, Readiness, Restarts, ToPredecessor, ToSuccessor, Voice};
use crate::systemd::{self, State};
use crate::transport::Drain;
use crate::versions::Live;

/// How long the turn may take to come. The predecessor gives up on this process before.
const TURN_TIME: Duration = Duration::from_secs(180);

/// Takes over from the process before.
pub(super) struct TakingOver {
    pub ends: Mutex<Option<Ends>>,
    pub restarts: Restarts,
    pub reloads: Arc<ReloadHandle>,
    pub live: Arc<Live>,
    pub drain: Drain,
    /// Addresses that the process before listens on, and this one does not.
    pub left: Vec<SocketAddr>,
    /// Says that this process must end.
    pub over: Arc<Notify>,
    /// Why it must.
    pub why: Arc<Mutex<Option<String>>>,
}

/// What leads to the two whom this task stands between.
pub(super) struct Ends {
    pub predecessor: Predecessor,
    pub progress: mpsc::UnboundedReceiver<Progress>,
    pub go: oneshot::Sender<Go>,
}

#[async_trait]
impl Task for TakingOver {
    const NAME: &'static str = "handover";

    async fn run(&self) -> io::Result<()> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Ends { mut predecessor, mut progress, go }) = ends else { return Ok(()) };
        let voice = predecessor.voice();
        let is_orphan = match self.turn(&mut predecessor, &voice, &mut progress, go).await {
            Ok(is_orphan) => is_orphan,
            Err(why) => {
                voice.say(&ToPredecessor::Failed { why: why.clone() });
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                self.over.notify_one();
                return Ok(());
            }
        };
        self.drain.resume_accepting();
        self.restarts.serve();
        if is_orphan {
            systemd::tell(State::Successor { pid: std::process::id() });
        }
        voice.say(&ToPredecessor::Serving { left: self.left.clone() });
        ended(&mut predecessor).await;
        self.restarts.predecessor_ended();
        tracing::info!("process {}, which served before, has ended", predecessor.pid());
        Ok(())
    }
}

impl TakingOver {
    /// Waits until this process has taken over. Returns whether the process before has ended meanwhile.
    async fn turn(
        &self,
        predecessor: &mut Predecessor,
        voice: &Voice,
        progress: &mut mpsc::UnboundedReceiver<Progress>,
        go: oneshot::Sender<Go>,
    ) -> Result<bool, String> {
        let readiness = tokio::select! {
            readiness = ready(progress, voice) => Some(readiness?),
            () = ended(predecessor) => None,
        };
        let turn = match readiness {
            Some(readiness) => {
                voice.say(&ToPredecessor::Ready(readiness));
                let turn = timeout(TURN_TIME, turn_of(predecessor)).await;
                turn.map_err(|_| "the process before does not give up its place".to_owned())?
            }
            None => None,
        };
        let is_orphan = turn.is_none();
        let memory = match turn {
            Some((turn, memory)) => {
                // Fails if the reloader has panicked. It begins again, and publishes by itself.
                go.send(turn).ok();
                memory
            }
            None => {
                tracing::warn!("process {} has ended: this one takes over", predecessor.pid());
                drop(go);
                None
            }
        };
        tokio::select! {
            () = self.reloads.settled() => {}
            why = failed(progress) => return Err(why),
        }
        if let Some(memory) = memory {
            self.remember(memory).await;
        }
        Ok(is_orphan)
    }

    /// Learns what the process before has remembered. Without it, users may get another version once.
    async fn remember(&self, file: File) {
        let snapshot = self.live.load();
        let read = tokio::task::spawn_blocking(move || memory::read(file, &snapshot)).await;
        match read {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!("{} taken over", many(count, "pin")),
            Ok(Err(error)) => tracing::warn!("pins are forgotten: {error}"),
            Err(panicked) => tracing::warn!("pins are forgotten: {panicked}"),
        }
    }
}

/// Tells the predecessor how far the reloader is, until all is prepared.
async fn ready(
    progress: &mut mpsc::UnboundedReceiver<Progress>,
    voice: &Voice,
) -> Result<Readiness, String> {
    loop {
        match progress.recv().await {
            Some(Progress::Preparing { done, all }) => {
                voice.say(&ToPredecessor::Preparing { done, all });
            }
            Some(Progress::Ready { unready, rejected }) => {
                return Ok(Readiness { unready, rejected });
            }
            Some(Progress::Failed(why)) => return Err(why),
            None => return Err("making the versions ready has failed; see the log".to_owned()),
        }
    }
}

/// Waits for the turn; `None` where the predecessor has ended.
async fn turn_of(predecessor: &mut Predecessor) -> Option<(Go, Option<File>)> {
    loop {
        let (said, beside) = predecessor.hear().await?;
        match said {
            ToSuccessor::TakeOver { generation, has_history, memory } => {
                let file = beside.into_iter().next().map(File::from);
                let file = file.filter(|_| memory == Some(memory::FORMAT));
                return Some((Go { generation, has_history }, file));
            }
            ToSuccessor::Sockets { .. } | ToSuccessor::Unknown => {}
        }
    }
}

/// Waits until the predecessor has ended.
async fn ended(predecessor: &mut Predecessor) {
    while predecessor.hear().await.is_some() {}
}

/// Waits until the reloader fails.
async fn failed(progress: &mut mpsc::UnboundedReceiver<Progress>) -> String {
    while let Some(next) = progress.recv().await {
        if let Progress::Failed(why) = next {
            return why;
        }
    }
    // It has its turn, and tells no more.
    std::future::pending().await
}
