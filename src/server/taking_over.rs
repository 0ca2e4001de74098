//! The successor's side of a restart: becomes ready, waits for its turn, and serves.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::edits;
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
/// How long the predecessor may take to stop. It has nothing to wait for.
const STOP_TIME: Duration = Duration::from_secs(2);

/// Takes over from the process before.
pub(super) struct TakingOver {
    pub ends: Mutex<Option<Ends>>,
    pub restarts: Restarts,
    pub reloads: Arc<ReloadHandle>,
    pub live: Arc<Live>,
    pub drain: Drain,
    /// Addresses that the process before listens on, and this one does not.
    pub left: Vec<SocketAddr>,
    /// Where this process has its admin listener.
    pub admin: Option<SocketAddr>,
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

/// How this process has got its turn.
#[derive(Clone, Copy, Debug)]
enum Taken {
    /// The predecessor has given it.
    Turn { says_stopped: bool },
    /// The predecessor has ended.
    Orphan,
}

#[async_trait]
impl Task for TakingOver {
    const NAME: &'static str = "handover";

    async fn run(&self) -> io::Result<()> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Ends { mut predecessor, mut progress, go }) = ends else { return Ok(()) };
        let voice = predecessor.voice();
        let taken = match self.turn(&mut predecessor, &voice, &mut progress, go).await {
            Ok(taken) => taken,
            Err(why) => {
                voice.say(&ToPredecessor::Failed { why: why.clone() });
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                self.over.notify_one();
                return Ok(());
            }
        };
        let generation = self.live.load().generation;
        voice.say(&ToPredecessor::Serving { left: self.left.clone(), generation });
        let is_orphan = match taken {
            Taken::Orphan => true,
            Taken::Turn { says_stopped } => says_stopped && !has_stopped(&mut predecessor).await,
        };
        self.drain.resume_accepting();
        self.restarts.serve();
        predecessor.join_group();
        if is_orphan {
            systemd::tell(State::Successor { pid: std::process::id() });
        }
        self.listen_on(&mut predecessor).await;
        self.restarts.predecessor_ended();
        tracing::info!("process {}, which served before, has ended", predecessor.pid());
        Ok(())
    }
}

impl TakingOver {
    /// Waits until this process has taken over.
    async fn turn(
        &self,
        predecessor: &mut Predecessor,
        voice: &Voice,
        progress: &mut mpsc::UnboundedReceiver<Progress>,
        go: oneshot::Sender<Go>,
    ) -> Result<Taken, String> {
        let readiness = tokio::select! {
            readiness = self.ready(progress, voice) => Some(readiness?),
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
        let (taken, memory) = match turn {
            Some((turn, taken, memory)) => {
                // Fails if the reloader has panicked. It begins again, and publishes by itself.
                go.send(turn).ok();
                (taken, memory)
            }
            None => {
                tracing::warn!("process {} has ended: this one takes over", predecessor.pid());
                drop(go);
                (Taken::Orphan, None)
            }
        };
        tokio::select! {
            () = self.reloads.settled() => {}
            why = failed(progress) => return Err(why),
        }
        if let Some(memory) = memory {
            self.remember(memory).await;
        }
        Ok(taken)
    }

    /// Tells the predecessor how far the reloader is, until all is prepared.
    async fn ready(
        &self,
        progress: &mut mpsc::UnboundedReceiver<Progress>,
        voice: &Voice,
    ) -> Result<Readiness, String> {
        loop {
            match progress.recv().await {
                Some(Progress::Preparing { done, all }) => {
                    voice.say(&ToPredecessor::Preparing { done, all });
                }
                Some(Progress::Ready { unready, rejected }) => {
                    return Ok(Readiness { unready, rejected, admin: self.admin });
                }
                Some(Progress::Failed(why)) => return Err(why),
                None => return Err("making the versions ready has failed; see the log".to_owned()),
            }
        }
    }

    /// Hears of edits that somebody tells the predecessor of, until that has ended.
    async fn listen_on(&self, predecessor: &mut Predecessor) {
        while let Some((said, _)) = predecessor.hear().await {
            let ToSuccessor::Edit { by } = said else { continue };
            let Some(edit) = edits::heard(by) else { continue };
            let reloads = self.reloads.clone();
            tokio::spawn(async move { reloads.request_by(edit).await });
        }
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

/// Waits for the turn; `None` where the predecessor has ended.
async fn turn_of(predecessor: &mut Predecessor) -> Option<(Go, Taken, Option<File>)> {
    loop {
        let (said, beside) = predecessor.hear().await?;
        match said {
            ToSuccessor::TakeOver { generation, has_history, memory, says_stopped } => {
                let file = beside.into_iter().next().map(File::from);
                let file = file.filter(|_| memory == Some(memory::FORMAT));
                let go = Go { generation, has_history };
                return Some((go, Taken::Turn { says_stopped }, file));
            }
            ToSuccessor::Sockets { .. }
            | ToSuccessor::Stopped
            | ToSuccessor::Edit { .. }
            | ToSuccessor::Unknown => {}
        }
    }
}

/// Waits until the predecessor accepts no more connections, so that nobody who has seen a generation of this process sees
/// an older one of that. Returns `false` where it has ended.
async fn has_stopped(predecessor: &mut Predecessor) -> bool {
    let stopped = async {
        loop {
            match predecessor.hear().await {
                Some((ToSuccessor::Stopped, _)) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    };
    // One that is stuck is no reason to serve nobody.
    timeout(STOP_TIME, stopped).await.unwrap_or(true)
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
