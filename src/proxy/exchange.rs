//! One request through whatever backend serves it.

use crate::exchange::Event;
use crate::runtime::Invocation;
use crate::upstream;

use super::failure::Failure;

/// A request under way. Dropping it ends it.
pub enum Exchange {
    Guest(Invocation),
    Upstream(Box<upstream::Exchange>),
}

impl Exchange {
    /// The next event of the response. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Event<Failure> {
        match self {
            Self::Guest(guest) => guest.next().await.map_failure(Failure::Guest),
            Self::Upstream(upstream) => upstream.next().await.map_failure(Failure::Upstream),
        }
    }

    /// Starts the time limit of the next event anew, because the backend was waiting for the client.
    pub fn reset_patience(&mut self) {
        match self {
            Self::Guest(guest) => guest.reset_patience(),
            Self::Upstream(upstream) => upstream.reset_patience(),
        }
    }

    /// Whether the backend goes on after its response.
    pub fn is_running(&self) -> bool {
        match self {
            Self::Guest(guest) => guest.is_running(),
            Self::Upstream(_) => false,
        }
    }

    /// Gives back what the response, which is over, no longer needs.
    pub fn release(&mut self) {
        match self {
            Self::Guest(guest) => guest.release(),
            Self::Upstream(_) => {}
        }
    }

    /// Lets a backend finish its work after the response, within its limits.
    ///
    /// # Errors
    ///
    /// Where it fails after its response. The client has the response, so the error is for the log.
    pub async fn settle(self) -> Result<(), Failure> {
        match self {
            Self::Guest(guest) => guest.settle().await.map_err(Failure::Guest),
            Self::Upstream(_) => Ok(()),
        }
    }
}
