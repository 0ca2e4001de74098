//! Where the process comes from: who started it, and what it was given.

use std::io;

use super::signals::outlive_signals;
use crate::restart::{
    Door, Given, HandoverError, Predecessor, Program, SocketLabel, ToPredecessor, Voice,
};
use crate::systemd::{self, Passed};

/// Why the process cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("{0}")]
    Sockets(io::Error),
}

/// Where the process comes from.
#[derive(Debug)]
pub struct Origin {
    /// How it was started; `None` where that cannot be found out.
    pub(super) program: Option<Program>,
    /// The process that this one takes over from.
    pub(super) predecessor: Option<Predecessor>,
    /// The sockets that it was given.
    pub(super) given: Vec<Given>,
}

impl Origin {
    /// Finds out. Must be called once, and first: later, the program's file may be another one.
    ///
    /// # Errors
    ///
    /// Where sockets should have come and have not.
    pub fn find() -> Result<Self, OriginError> {
        outlive_signals();
        let program = Program::of_this_process()
            .inspect_err(|error| tracing::warn!("this process cannot be restarted: {error}"))
            .ok();
        let (predecessor, given) = match Predecessor::find()? {
            Some((predecessor, given)) => (Some(predecessor), given),
            None => {
                let passed = systemd::passed().map_err(OriginError::Sockets)?;
                (None, passed.into_iter().map(given).collect())
            }
        };
        Ok(Self { program, predecessor, given })
    }

    /// Whoever must know where the start fails.
    pub fn concerned(&self) -> Concerned {
        Concerned(self.predecessor.as_ref().map(Predecessor::voice))
    }
}

/// The process before, which waits for this one.
#[derive(Debug)]
pub struct Concerned(Option<Voice>);

impl Concerned {
    /// Says why the start has failed.
    pub fn hear(&self, why: &str) {
        if let Some(voice) = &self.0 {
            voice.say(&ToPredecessor::Failed { why: why.to_owned() });
        }
    }
}

/// A socket of systemd. A name that says what it is for stands for itself; any other one is for the address that it
/// has.
fn given(Passed { name, address, socket }: Passed) -> Given {
    let label = match name.as_str() {
        "proxy" => SocketLabel { door: Door::Proxy, written: None },
        "tls" => SocketLabel { door: Door::Tls, written: None },
        "admin" => SocketLabel { door: Door::Admin, written: None },
        _ => SocketLabel { door: Door::Unknown, written: Some(address) },
    };
    Given { label, socket }
}
