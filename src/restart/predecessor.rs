//! The successor's end: finds the process that has started this one, and takes its sockets.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, getpgid, getppid, setpgid};
use tokio::sync::mpsc::UnboundedReceiver;

use super::link::Link;
use super::message::{Given, ToPredecessor, ToSuccessor};

/// The variable that names the predecessor, by its process ID.
pub(super) const PREDECESSOR: &str = "WATERSHED_PREDECESSOR";

/// How long the sockets may take. They are sent before this process starts.
const SOCKETS_TIME: Duration = Duration::from_secs(10);

/// Why a successor cannot begin.
#[derive(Debug, thiserror::Error)]
#[error("process {predecessor} has started this one to hand over its sockets, and {what}")]
pub struct HandoverError {
    predecessor: u32,
    what: String,
}

/// The process that this one takes over from.
#[derive(Debug)]
pub struct Predecessor {
    pid: u32,
    /// Its process group.
    group: Option<Pid>,
    link: Link,
    said: UnboundedReceiver<(ToSuccessor, Vec<OwnedFd>)>,
}

impl Predecessor {
    /// The process that has started this one to take over, with its sockets; `None` where this is an
    /// ordinary start. Must be called at most once.
    ///
    /// # Errors
    ///
    /// Where the sockets do not come.
    pub fn find() -> Result<Option<(Self, Vec<Given>)>, HandoverError> {
        // The variable passes on to whatever this process might start: it counts for children only.
        let named = env::var(PREDECESSOR).ok().and_then(|pid| pid.parse().ok());
        let parent = u32::try_from(Pid::as_raw(getppid())).ok();
        let Some(pid) = named.filter(|pid| Some(*pid) == parent) else { return Ok(None) };
        let failed = |what: String| HandoverError { predecessor: pid, what };
        let link = io::stdin().as_fd().try_clone_to_owned().map(Link::of);
        let link = link.map_err(|error| failed(format!("cannot be reached: {error}")))?;
        let sockets = sockets(&link).map_err(|why| failed(format!("they do not come: {why}")))?;
        let said = link.follow().map_err(|why| failed(format!("cannot be heard: {why}")))?;
        let group = getpgid(getppid()).ok();
        Ok(Some((Self { pid, group, link, said }, sockets)))
    }

    /// Joins its process group, where whoever ends this group finds this process too. Until then this process has a group
    /// of its own, with which it and whatever it has started can be ended.
    pub fn join_group(&self) {
        // Without its member, a group may be another one by now.
        let is_there = u32::try_from(Pid::as_raw(getppid())) == Ok(self.pid);
        let Some(group) = self.group.filter(|_| is_there) else { return };
        if let Err(error) = setpgid(None, Some(group)) {
            tracing::debug!("this process stays in a group of its own: {error}");
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Something to speak to it by, while somebody else listens.
    pub fn voice(&self) -> Voice {
        Voice(self.link.clone())
    }

    /// The next message, and what came beside it; `None` where the predecessor has ended.
    pub async fn hear(&mut self) -> Option<(ToSuccessor, Vec<OwnedFd>)> {
        self.said.recv().await
    }
}

/// Speaks to a predecessor.
#[derive(Clone, Debug)]
pub struct Voice(Link);

impl Voice {
    /// Says something. A predecessor that has ended hears nothing, and that is no error: whoever
    /// listens to it learns of its end.
    pub fn say(&self, message: &ToPredecessor) {
        if let Err(error) = self.0.send(message, &[]) {
            tracing::debug!("the process before does not hear: {error}");
        }
    }
}

fn sockets(link: &Link) -> io::Result<Vec<Given>> {
    let mut given = Vec::new();
    loop {
        match link.receive(Some(SOCKETS_TIME))? {
            Some((ToSuccessor::Sockets { sockets, more }, beside)) => {
                if sockets.len() != beside.len() {
                    return Err(io::Error::other("some are missing"));
                }
                let both = sockets.into_iter().zip(beside);
                given
                    .extend(both.map(|(label, it)| Given { label, socket: TcpListener::from(it) }));
                if !more {
                    return Ok(given);
                }
            }
            Some(_) => {}
            None => return Err(io::Error::other("it has ended")),
        }
    }
}
