//! The process before this one, and the process after it: what the composition root connects for both.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};

use super::StartError;
use super::restarting::Restarting;
use super::sockets::Sockets;
use super::taking_over::{Ends, TakingOver};
use crate::reload::{ReloadHandle, Turn};
use crate::restart::{Predecessor, Program, Restarts, Voice, Wanted};
use crate::transport::Drain;
use crate::versions::Live;

/// What both sides of a restart share.
pub(super) struct Handover {
    pub restarts: Restarts,
    /// Says that this process has nothing left to do.
    pub over: Arc<Notify>,
    /// Speaks to the process before.
    pub voice: Option<Voice>,
    /// Why this process could not take over.
    why: Arc<Mutex<Option<String>>>,
    wanted: Option<mpsc::Receiver<Wanted>>,
    program: Option<Program>,
    predecessor: Option<Predecessor>,
    before: Option<u32>,
}

impl Handover {
    /// That of a process that was started so, and takes over from `predecessor`.
    pub fn new(program: Option<Program>, predecessor: Option<Predecessor>) -> Self {
        let before = predecessor.as_ref().map(Predecessor::pid);
        let (restarts, wanted) = Restarts::new(before);
        let voice = predecessor.as_ref().map(Predecessor::voice);
        let (over, why) = Default::default();
        Self { restarts, over, voice, why, wanted: Some(wanted), program, predecessor, before }
    }

    /// Takes over from the process before, where there is one: the task, and what the reloader waits for. Until then, no
    /// connection is accepted. `left` are the sockets of that process that this one does not want, and `admin` is where this
    /// one has its admin listener.
    pub fn take_over(
        &mut self,
        (left, admin): (Vec<SocketAddr>, Option<SocketAddr>),
        drain: &Drain,
        (live, reloads): (&Arc<Live>, &Arc<ReloadHandle>),
    ) -> (TakingOver, Option<Turn>) {
        let (ends, turn) = match self.predecessor.take() {
            Some(predecessor) => {
                drain.suspend_accepting(Vec::new());
                let (turn, progress, go) = Turn::new();
                (Some(Ends { predecessor, progress, go }), Some(turn))
            }
            None => {
                for address in &left {
                    tracing::warn!(
                        "the socket at {address}, which systemd passes, is for no listener of the files; \
                         say which in its unit (`FileDescriptorName=proxy`, `tls` or `admin`), or \
                         `listen` on this address in the main file"
                    );
                }
                (None, None)
            }
        };
        let task = TakingOver {
            ends: Mutex::new(ends),
            restarts: self.restarts.clone(),
            reloads: reloads.clone(),
            live: live.clone(),
            drain: drain.clone(),
            left,
            admin,
            over: self.over.clone(),
            why: self.why.clone(),
        };
        (task, turn)
    }

    /// Carries out the restarts of this process.
    pub fn restarting(
        &mut self,
        sockets: Sockets,
        (drain, grace_period): (Drain, Duration),
        (live, reloads): (Arc<Live>, Arc<ReloadHandle>),
    ) -> Restarting {
        // A channel that is closed: there is one such task.
        let wanted = self.wanted.take().unwrap_or_else(|| mpsc::channel(1).1);
        let sockets: Vec<(_, TcpListener)> = sockets.into_handed();
        Restarting {
            restarts: self.restarts.clone(),
            wanted: AsyncMutex::new(wanted),
            program: self.program.take(),
            sockets: Mutex::new(sockets),
            reloads,
            live,
            drain,
            grace_period,
            predecessor: self.voice.clone(),
            over: self.over.clone(),
        }
    }

    /// What the process ends with.
    ///
    /// # Errors
    ///
    /// Where it could not take over.
    pub fn outcome(&self) -> Result<(), StartError> {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (why, self.before) {
            (Some(why), Some(predecessor)) => Err(StartError::NoTurn { predecessor, why }),
            _ => Ok(()),
        }
    }
}
