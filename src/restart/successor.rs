//! The predecessor's end: starts the successor, gives it the sockets, and follows it.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::link::{AT_ONCE, Link};
use super::message::{SocketLabel, ToPredecessor, ToSuccessor};
use super::program::Program;

/// How long a successor that has closed its end may take to be gone.
const END_TIME: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// A successor that was started. It is killed when this is dropped, with whatever it has started, unless it was let go.
#[derive(Debug)]
pub struct Successor {
    child: Option<Child>,
    pid: u32,
    link: Link,
    said: UnboundedReceiver<(ToPredecessor, Vec<OwnedFd>)>,
}

/// What waiting for a successor came to.
#[derive(Debug)]
pub enum Waited {
    /// It said something.
    Said(ToPredecessor),
    /// It has ended: how, for people to read.
    Ended(String),
    /// It has said nothing for too long.
    Silent,
}

impl Successor {
    /// Starts the program anew, and gives it sockets.
    ///
    /// # Errors
    ///
    /// Where the program cannot be started, or the machine has no room for another process.
    pub fn start(program: &Program, sockets: &[(SocketLabel, TcpListener)]) -> io::Result<Self> {
        let (link, other) = Link::pair()?;
        // Sent first, so that a successor never waits for them.
        give(&link, sockets)?;
        let said = link.follow()?;
        let child = program.start(other)?;
        let pid = child.id();
        Ok(Self { child: Some(child), pid, link, said })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it something, and gives it a file.
    ///
    /// # Errors
    ///
    /// Where it does not listen any more.
    pub fn tell(&self, message: &ToSuccessor, beside: Option<&File>) -> io::Result<()> {
        let beside: Vec<_> = beside.iter().map(|file| file.as_fd()).collect();
        self.link.send(message, &beside)
    }

    /// Waits for a message, as long as `patience` says.
    pub async fn wait(&mut self, patience: Option<Duration>) -> Waited {
        let said = match patience {
            Some(patience) => match timeout(patience, self.said.recv()).await {
                Ok(said) => said,
                Err(_) => return Waited::Silent,
            },
            None => self.said.recv().await,
        };
        match said {
            Some((said, _)) => Waited::Said(said),
            None => Waited::Ended(self.end().await),
        }
    }

    /// Lets it live on when this process ends.
    pub fn let_go(&mut self) {
        self.child = None;
    }

    /// Waits until it is gone. One that has closed its end and stays is killed.
    async fn end(&mut self) -> String {
        let Some(child) = &mut self.child else { return "ended".to_owned() };
        let began = Instant::now();
        while began.elapsed() < END_TIME {
            if has_ended(child) {
                let status = end_group(child);
                self.child = None;
                return status
                    .map_or_else(|error| format!("ended, and how is not known: {error}"), how);
            }
            tokio::time::sleep(LOOK).await;
        }
        "closed the connection between the two".to_owned()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails if it has ended already.
            child.kill().ok();
            end_group(child).ok();
        }
    }
}

/// Whether a process has ended. It stays to be waited for, so that nobody else gets its number meanwhile.
fn has_ended(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let look = |pid| rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options));
    // A process that cannot be waited for is gone.
    pid_of(child).is_none_or(|pid| look(pid).map_or(true, |ended| ended.is_some()))
}

/// Kills what a successor that ends has started, and waits for its end.
fn end_group(child: &mut Child) -> io::Result<ExitStatus> {
    if let Some(group) = pid_of(child) {
        // The group is the successor's own until somebody has waited for it. Fails if nobody is in it.
        kill_process_group(group, Signal::KILL).ok();
    }
    // Nobody else would: it would stay as a zombie.
    child.wait()
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn give(link: &Link, sockets: &[(SocketLabel, TcpListener)]) -> io::Result<()> {
    let last = sockets.len().div_ceil(AT_ONCE).saturating_sub(1);
    for (number, part) in sockets.chunks(AT_ONCE).enumerate() {
        let labels = part.iter().map(|(label, _)| *label).collect();
        let beside: Vec<_> = part.iter().map(|(_, socket)| socket.as_fd()).collect();
        link.send(&ToSuccessor::Sockets { sockets: labels, more: number < last }, &beside)?;
    }
    Ok(())
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => format!("ended: {status}"),
    }
}
