//! How a restart stands: for whoever looks, and for whoever asks for one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// What the process does about its successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: there is none.
    #[default]
    None,
    /// It was started, and has said nothing yet.
    Starting { pid: u32 },
    /// It makes its versions ready: so many of so many are.
    Preparing { pid: u32, done: usize, all: usize },
    /// It is ready, and takes over.
    TakingOver { pid: u32 },
    /// It serves, and this process only ends what it has begun.
    HandedOver { pid: u32 },
}

impl Phase {
    /// The word for it in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Starting { .. } => "starting",
            Self::Preparing { .. } => "preparing",
            Self::TakingOver { .. } => "taking-over",
            Self::HandedOver { .. } => "handed-over",
        }
    }

    /// The successor's process ID.
    pub fn successor(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Starting { pid }
            | Self::Preparing { pid, .. }
            | Self::TakingOver { pid }
            | Self::HandedOver { pid } => Some(pid),
        }
    }
}

/// A restart that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The restart's number.
    pub number: u64,
    /// The reason, for people to read.
    pub why: Arc<str>,
}

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestartState {
    /// How many restarts this process has begun. The last one has this number.
    pub number: u64,
    pub phase: Phase,
    /// Where the successor's admin listener is, if not where this process has its own.
    pub moved_to: Option<SocketAddr>,
    /// The last restart that failed.
    pub failure: Option<Failure>,
    /// The process that this one takes over from, or took over from, and that still runs.
    pub predecessor: Option<u32>,
    /// Whether this process has connections of its own: a successor has none before its turn.
    pub serves: bool,
}

/// A restart that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How long the successor may take from one sign of life to the next.
    pub patience: Duration,
}

/// Why no restart begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The successor's process ID is 0 until it is started.
    #[error("{}", under_way(*.successor))]
    UnderWay { successor: u32 },
    #[error("process {successor} has taken over, and this one only ends what it has begun")]
    HandedOver { successor: u32 },
    #[error("the process takes over from process {predecessor} itself, and does not serve yet")]
    TakesOver { predecessor: u32 },
    #[error("the process ends")]
    Ending,
    #[error(
        "the process is the first of its container (PID 1): the container ends with it, and so \
         would its successor"
    )]
    First,
}

fn under_way(successor: u32) -> String {
    match successor {
        0 => format!("process {} starts its successor already", std::process::id()),
        pid => format!("a restart is under way already: process {pid} is being made ready"),
    }
}

/// The restarts of a process. Clones are the same.
#[derive(Clone, Debug)]
pub struct Restarts {
    state: Arc<watch::Sender<RestartState>>,
    wanted: mpsc::Sender<Wanted>,
    /// Whether the process is the first of its container.
    is_first: bool,
}

impl Restarts {
    /// Those of a process, and what somebody asks for.
    pub fn new(predecessor: Option<u32>) -> (Self, mpsc::Receiver<Wanted>) {
        let (wanted, asked) = mpsc::channel(1);
        let state =
            RestartState { predecessor, serves: predecessor.is_none(), ..Default::default() };
        let state = Arc::new(watch::Sender::new(state));
        (Self { state, wanted, is_first: std::process::id() == 1 }, asked)
    }

    /// How it stands now.
    pub fn state(&self) -> RestartState {
        self.state.borrow().clone()
    }

    /// Begins a restart. Returns its number.
    ///
    /// # Errors
    ///
    /// Where none can begin now.
    pub fn begin(&self, wanted: Wanted) -> Result<u64, Refused> {
        let mut began = Err(Refused::Ending);
        self.state.send_if_modified(|state| {
            began = state.admits(self.is_first).and_then(|()| {
                // Whoever takes it is gone only while the process ends.
                self.wanted.try_send(wanted).map_err(|_| Refused::Ending)?;
                state.number += 1;
                (state.phase, state.moved_to) = (Phase::Starting { pid: 0 }, None);
                Ok(state.number)
            });
            began.is_ok()
        });
        began
    }

    /// The restart is so far.
    pub fn reach(&self, phase: Phase) {
        self.state.send_modify(|state| state.phase = phase);
    }

    /// The successor's admin listener is elsewhere.
    pub fn moves_to(&self, address: Option<SocketAddr>) {
        self.state.send_modify(|state| state.moved_to = address);
    }

    /// The restart has failed, and the process goes on.
    pub fn fail(&self, why: &str) {
        self.state.send_modify(|state| {
            (state.phase, state.moved_to) = (Phase::None, None);
            state.failure = Some(Failure { number: state.number, why: why.into() });
        });
    }

    /// It is this process's turn.
    pub fn serve(&self) {
        self.state.send_modify(|state| state.serves = true);
    }

    /// Waits until this process serves, or may.
    pub async fn serving(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        self.state.subscribe().wait_for(|state| state.serves).await.ok();
    }

    /// The predecessor has ended.
    pub fn predecessor_ended(&self) {
        self.state.send_modify(|state| state.predecessor = None);
    }
}

impl RestartState {
    fn admits(&self, is_first: bool) -> Result<(), Refused> {
        match (self.phase, self.predecessor) {
            _ if is_first => Err(Refused::First),
            (_, Some(predecessor)) if !self.serves => Err(Refused::TakesOver { predecessor }),
            (Phase::None, _) => Ok(()),
            (Phase::HandedOver { pid: successor }, _) => Err(Refused::HandedOver { successor }),
            (
                Phase::Starting { pid: successor }
                | Phase::Preparing { pid: successor, .. }
                | Phase::TakingOver { pid: successor },
                _,
            ) => Err(Refused::UnderWay { successor }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { patience: Duration::from_secs(1) };

    #[test]
    fn one_restart_at_a_time() {
        let (restarts, mut asked) = Restarts::new(None);
        assert_eq!(restarts.begin(WANTED), Ok(1));
        assert_eq!(asked.try_recv(), Ok(WANTED));
        let refused = restarts.begin(WANTED).unwrap_err().to_string();
        assert_eq!(refused, format!("process {} starts its successor already", std::process::id()));
        restarts.reach(Phase::Starting { pid: 7 });
        assert_eq!(restarts.begin(WANTED), Err(Refused::UnderWay { successor: 7 }));
        restarts.fail("it does not start");
        let failure = Failure { number: 1, why: "it does not start".into() };
        assert_eq!(restarts.state().failure, Some(failure));
        assert_eq!(restarts.begin(WANTED), Ok(2));
        restarts.reach(Phase::HandedOver { pid: 8 });
        assert_eq!(restarts.begin(WANTED), Err(Refused::HandedOver { successor: 8 }));
    }

    #[test]
    fn who_does_not_serve_yet_has_no_successor() {
        let (restarts, _asked) = Restarts::new(Some(6));
        assert_eq!(restarts.begin(WANTED), Err(Refused::TakesOver { predecessor: 6 }));
        restarts.serve();
        assert_eq!(restarts.begin(WANTED), Ok(1));
    }

    #[test]
    fn the_first_process_of_a_container_stays() {
        let (restarts, _asked) = Restarts::new(None);
        let restarts = Restarts { is_first: true, ..restarts };
        assert_eq!(restarts.begin(WANTED), Err(Refused::First));
    }
}
