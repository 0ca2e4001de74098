//! A process, and whoever comes after it at the same sockets.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Site, Watershed, within};

/// How long a process may take to be replaced, on a busy machine.
const REPLACED: Duration = Duration::from_secs(60);

/// Processes, of which each has replaced the one before. Whichever runs at the end is killed.
#[derive(Debug)]
pub struct Chain {
    /// The first one; its addresses are those of all.
    pub watershed: Watershed,
    pids: RefCell<Vec<u32>>,
}

impl Chain {
    pub fn of(site: Site) -> Self {
        Self::from(site.start())
    }

    /// The process that serves, as far as is known.
    pub fn last(&self) -> u32 {
        *self.pids.borrow().last().unwrap()
    }

    /// How a restart stands, as the process says that answers.
    pub fn state(&self) -> Value {
        self.watershed.admin("/api/v1/restart").json()
    }

    /// The process that answers.
    pub fn serving(&self) -> u32 {
        number(&self.state()["pid"])
    }

    pub fn signal(&self, signal: Signal) {
        send(self.last(), signal);
    }

    /// Waits until another process serves, and returns which.
    #[track_caller]
    pub fn follow(&self) -> u32 {
        let before = self.last();
        // For a moment, both accept, and either may answer.
        within(REPLACED, "another process", || (0..5).all(|_| self.serving() != before));
        let pid = self.serving();
        self.pids.borrow_mut().push(pid);
        pid
    }

    /// Waits until the process that serves has started another one.
    #[track_caller]
    pub fn successor(&self) -> u32 {
        within(REPLACED, "a successor", || self.state()["successor"].is_number());
        let pid = number(&self.state()["successor"]);
        self.pids.borrow_mut().insert(0, pid);
        pid
    }

    /// Waits until a restart of the process that serves has failed, and returns why.
    #[track_caller]
    pub fn failure(&self, restart: u64) -> String {
        let failed = || self.state()["failure"]["restart"] == restart;
        within(REPLACED, "a restart that fails", failed);
        assert_eq!(self.serving(), self.last());
        self.state()["failure"]["message"].as_str().unwrap().to_owned()
    }

    /// Waits until a process has ended.
    #[track_caller]
    pub fn await_end(&self, pid: u32) {
        within(REPLACED, "the end of a process", || !is_running(pid));
    }
}

impl From<Watershed> for Chain {
    fn from(watershed: Watershed) -> Self {
        let pids = RefCell::new(vec![watershed.pid()]);
        Self { watershed, pids }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let first = self.watershed.pid();
        let later =
            self.pids.borrow().iter().copied().filter(|pid| *pid != first).collect::<Vec<_>>();
        later.into_iter().filter(|pid| is_running(*pid)).for_each(|pid| send(pid, Signal::SIGKILL));
    }
}

fn number(pid: &Value) -> u32 {
    u32::try_from(pid.as_u64().unwrap()).unwrap()
}

/// Sends a signal; to a process that has ended, none.
pub fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).ok();
}

/// Whether a process runs. One that has ended and was not waited for has no command line.
pub fn is_running(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}
