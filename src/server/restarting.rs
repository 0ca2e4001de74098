//! The predecessor's side of a restart: starts the successor, follows it until it serves, and ends. Until then
//! everything can be taken back, and afterwards too, as long as this process is there.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use super::edits::Edits;
use super::memory;
use super::supervise::Task;
use crate::reload::{ReloadHandle, Rest, service_name};
use crate::restart::{
    Door, PATIENCE, Phase, Program, Readiness, Restarts, SocketLabel, Successor, ToPredecessor,
    ToSuccessor, Voice, Waited, Wanted,
};
use crate::systemd::{self, State};
use crate::transport::Drain;
use crate::versions::Live;

/// How long a process that was replaced stays at least: whoever was connected just before gets an answer.
const LINGER: Duration = Duration::from_millis(500);
/// How long this process may take to have the history again, before it goes on without.
const BACK_TIME: Duration = Duration::from_secs(10);
/// Services that a failure names.
const NAMED: usize = 3;

/// SIGUSR2 begins a restart.
pub(super) struct RestartOnSignal(pub Restarts);

#[async_trait]
impl Task for RestartOnSignal {
    const NAME: &'static str = "restart-signal";

    async fn run(&self) -> io::Result<()> {
        let mut signals = signal(SignalKind::user_defined2())?;
        while signals.recv().await.is_some() {
            match self.0.begin(Wanted { patience: PATIENCE }) {
                Ok(_) => tracing::info!("SIGUSR2: restarting"),
                Err(refused) => tracing::warn!("SIGUSR2: no restart: {refused}"),
            }
        }
        Ok(())
    }
}

/// Carries restarts out.
pub(super) struct Restarting {
    pub restarts: Restarts,
    pub wanted: tokio::sync::Mutex<mpsc::Receiver<Wanted>>,
    pub program: Option<Program>,
    /// Clones of all listening sockets, until the drain starts.
    pub sockets: Mutex<Vec<(SocketLabel, TcpListener)>>,
    pub reloads: Arc<ReloadHandle>,
    pub live: Arc<Live>,
    pub drain: Drain,
    pub grace_period: Duration,
    /// The process before this one, which must not step in any more once this one has a successor.
    pub predecessor: Option<Voice>,
    /// Says that this process has nothing left to do.
    pub over: Arc<Notify>,
}

/// A successor, and what this process gave up for it. In this order, since the history is free once the successor is
/// gone.
struct Attempt {
    successor: Successor,
    rest: Rest,
}

/// What a successor does once it serves.
struct Serving {
    /// The addresses that it does not listen on.
    left: Vec<SocketAddr>,
    generation: u64,
}

#[async_trait]
impl Task for Restarting {
    const NAME: &'static str = "restart";

    async fn run(&self) -> io::Result<()> {
        let mut wanted = self.wanted.lock().await;
        match self.restarts.state().phase {
            Phase::None => {}
            Phase::HandedOver { .. } => self.over.notify_one(),
            _ => self.fail("this process has failed at it; see the log"),
        }
        loop {
            let wanted = tokio::select! {
                next = wanted.recv() => next,
                () = self.drain.announced() => None,
            };
            let Some(wanted) = wanted else { break };
            systemd::tell(State::Reloading);
            let attempt = tokio::select! {
                attempt = self.attempt(wanted.patience) => attempt,
                () = self.drain.announced() => Err("this process ends".to_owned()),
            };
            match attempt {
                Ok((attempt, serving)) => self.hand_over(attempt, serving).await,
                Err(why) => self.fail(&why),
            }
        }
        wanted.close();
        self.drain.started().await;
        // The addresses are free as soon as nobody accepts connections.
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

impl Restarting {
    fn fail(&self, why: &str) {
        tracing::error!("the restart has failed, and this process goes on as before: {why}");
        self.restarts.fail(why);
        if !self.drain.is_announced() {
            systemd::tell(State::Ready);
            systemd::tell(State::Status(&format!("the last restart has failed: {why}")));
        }
    }

    /// Starts a successor, and gives it everything.
    async fn attempt(&self, patience: Duration) -> Result<(Attempt, Serving), String> {
        let program = self.program.as_ref().ok_or("nothing says how this process was started")?;
        if let Some(lost) = self.reloads.lost_certificates().await.first() {
            return Err(format!("{}: {}", lost.place(), lost.message));
        }
        let mut successor = self.start(program)?;
        let readiness = self.ready(&mut successor, patience).await?;
        let lost = self.lost(&readiness);
        if !lost.is_empty() {
            let pid = successor.pid();
            return Err(format!("process {pid} would not serve {}", lost.join(", nor ")));
        }
        let moved = readiness.admin.filter(|address| !self.has_admin_at(*address));
        self.restarts.moves_to(moved);
        self.restarts.reach(Phase::TakingOver { pid: successor.pid() });
        let rest = timeout(patience, self.reloads.rest()).await;
        let rest = rest.map_err(|_| "this process has not come to rest".to_owned())??;
        let mut attempt = Attempt { successor, rest };
        match self.give_turn(&mut attempt, patience).await {
            Ok(serving) => Ok((attempt, serving)),
            Err(why) => {
                // Whoever hears of the failure finds the history again.
                let Attempt { successor, rest } = attempt;
                drop(successor);
                timeout(BACK_TIME, rest.end(0)).await.ok();
                Err(why)
            }
        }
    }

    /// Gives a successor its turn, and waits until it serves.
    async fn give_turn(
        &self,
        Attempt { successor, rest }: &mut Attempt,
        patience: Duration,
    ) -> Result<Serving, String> {
        let memory = self.memory().await;
        let format = memory.as_ref().map(|_| memory::FORMAT);
        let turn = ToSuccessor::TakeOver {
            generation: rest.generation,
            has_history: rest.has_history,
            memory: format,
            says_stopped: true,
        };
        let deaf = |error| format!("the new process does not hear: {error}");
        successor.tell(&turn, memory.as_ref()).map_err(deaf)?;
        served(successor, patience).await
    }

    fn has_admin_at(&self, address: SocketAddr) -> bool {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut admin = sockets.iter().filter(|(label, _)| label.door == Door::Admin);
        admin.any(|(_, socket)| socket.local_addr().is_ok_and(|local| local == address))
    }

    fn start(&self, program: &Program) -> Result<Successor, String> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let path = program.path().display();
        let successor = Successor::start(program, &sockets)
            .map_err(|error| format!("{path} cannot be started: {error}"))?;
        let pid = successor.pid();
        tracing::info!("restarting: {path} was started anew as process {pid}");
        self.restarts.reach(Phase::Starting { pid });
        Ok(successor)
    }

    /// Waits until the successor is ready.
    async fn ready(
        &self,
        successor: &mut Successor,
        patience: Duration,
    ) -> Result<Readiness, String> {
        let pid = successor.pid();
        loop {
            match heard(successor, patience).await? {
                ToPredecessor::Preparing { done, all } => {
                    self.restarts.reach(Phase::Preparing { pid, done, all });
                }
                ToPredecessor::Ready(readiness) => return Ok(readiness),
                ToPredecessor::Serving { .. }
                | ToPredecessor::Failed { .. }
                | ToPredecessor::Parting
                | ToPredecessor::Unknown => {}
            }
        }
    }

    /// What this process serves, and the successor would not.
    fn lost(&self, Readiness { unready, rejected, .. }: &Readiness) -> Vec<String> {
        let snapshot = self.live.load();
        let ready = snapshot.services.iter().filter(|service| service.is_ready());
        let lost = ready.filter_map(|service| {
            let name = service_name(service);
            let file = &service.declared.file;
            if rejected.contains(file) {
                return Some(format!("{name}, because {} is wrong", file.display()));
            }
            let (_, why) = unready.iter().find(|(other, _)| *other == name)?;
            Some(format!("{name} ({why})"))
        });
        lost.take(NAMED).collect()
    }

    /// What this process remembers of its users, in a file.
    async fn memory(&self) -> Option<File> {
        let snapshot = self.live.load();
        let written = tokio::task::spawn_blocking(move || memory::write(&snapshot)).await;
        let written = written.map_err(io::Error::other).flatten();
        written.inspect_err(|error| tracing::warn!("pins are forgotten: {error}")).ok()
    }

    /// Lets the successor serve, ends what this process has begun, and then the process. Returns where it goes on,
    /// because the successor has failed.
    async fn hand_over(&self, mut attempt: Attempt, serving: Serving) {
        let pid = attempt.successor.pid();
        self.drain.suspend_accepting(serving.left);
        self.restarts.reach(Phase::HandedOver { pid });
        self.predecessor.iter().for_each(|voice| voice.say(&ToPredecessor::Parting));
        if let Err(error) = attempt.successor.tell(&ToSuccessor::Stopped, None) {
            tracing::debug!("the new process does not hear: {error}");
        }
        let mut edits = Edits::new(self.reloads.end());
        systemd::tell(State::Successor { pid });
        tracing::info!(
            "process {pid} has taken over; this one ends what it has begun, within {:?}",
            self.grace_period
        );
        let failed = tokio::select! {
            () = self.drained() => None,
            () = self.drain.started() => None,
            how = failed(&mut attempt.successor, &mut edits) => Some(how),
        };
        match failed {
            None => {
                let Attempt { mut successor, rest } = attempt;
                successor.let_go();
                // The history stays away, however long the end takes.
                rest.for_ever();
                self.over.notify_one();
                self.drain.started().await;
            }
            Some(how) => self.go_on(attempt, serving.generation, edits, &how).await,
        }
    }

    /// Ends connections as their requests end, and keeps those that have none, for the next one: closed now, it would be
    /// lost on its way.
    async fn drained(&self) {
        let finished = async {
            sleep(LINGER).await;
            self.drain.finished().await;
        };
        tokio::select! {
            () = self.drain.announce_for(self.grace_period) => {}
            () = finished => {}
        }
    }

    /// Goes on in place of the successor, which has failed.
    async fn go_on(&self, attempt: Attempt, generation: u64, edits: Edits, how: &str) {
        let Attempt { successor, rest } = attempt;
        let why = format!("process {}, which had taken over, {how}", successor.pid());
        drop(successor);
        // Nobody who comes from now on may get an older generation than the successor has served.
        if timeout(BACK_TIME, rest.end(generation)).await.is_err() {
            tracing::warn!("the history is not there yet; connections are accepted nevertheless");
        }
        edits.into_all().into_iter().for_each(|edit| self.reloads.expect(edit));
        self.drain.withdraw();
        self.drain.resume_accepting();
        systemd::tell(State::Successor { pid: std::process::id() });
        self.fail(&why);
    }
}

/// What the successor says next.
async fn heard(successor: &mut Successor, patience: Duration) -> Result<ToPredecessor, String> {
    let pid = successor.pid();
    match successor.wait(Some(patience)).await {
        Waited::Said(ToPredecessor::Failed { why }) => Err(why),
        Waited::Said(said) => Ok(said),
        Waited::Ended(how) => Err(format!("process {pid} {how} before it served")),
        Waited::Silent => {
            Err(format!("process {pid} has shown no sign of life for {patience:?}, and is killed"))
        }
    }
}

/// Waits until the successor serves.
async fn served(successor: &mut Successor, patience: Duration) -> Result<Serving, String> {
    loop {
        if let ToPredecessor::Serving { left, generation } = heard(successor, patience).await? {
            return Ok(Serving { left, generation });
        }
    }
}

/// Waits until the successor ends against its will, and tells it of edits meanwhile: returns how.
async fn failed(successor: &mut Successor, edits: &mut Edits) -> String {
    let mut is_parting = false;
    loop {
        let waited = tokio::select! {
            waited = successor.wait(None), if !is_parting => waited,
            edit = edits.next() => {
                edits.pass(edit, successor);
                continue;
            }
        };
        match waited {
            Waited::Ended(how) => return how,
            // Whatever comes of it is its own matter.
            Waited::Said(ToPredecessor::Parting) => is_parting = true,
            Waited::Said(_) | Waited::Silent => {}
        }
    }
}
