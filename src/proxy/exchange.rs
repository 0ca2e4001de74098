//! One request through whatever backend serves it.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::exchange::Event;
use crate::runtime::Invocation;
use crate::upstream::{self, Target};

use super::failure::Failure;

/// A request under way. Dropping it ends it.
pub enum Exchange {
    Guest(Invocation),
    Upstream(Box<upstream::Exchange>),
}

impl Exchange {
    /// Polls for the next event of the response.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event<Failure>> {
        match self {
            Self::Guest(guest) => {
                guest.poll_next(context).map(|event| event.map_failure(Failure::Guest))
            }
            Self::Upstream(upstream) => {
                upstream.poll_next(context).map(|event| event.map_failure(Failure::Upstream))
            }
        }
    }

    /// The target that is asked; a guest has none.
    pub fn target(&self) -> Option<&Arc<Target>> {
        match self {
            Self::Guest(_) => None,
            Self::Upstream(upstream) => Some(upstream.target()),
        }
    }

    /// Starts the time limit of the next event anew, because the backend was waiting for the client.
    pub fn reset_patience(&mut self) {
        match self {
            Self::Guest(guest) => guest.reset_patience(),
            Self::Upstream(upstream) => upstream.reset_patience(),
        }
    }

    /// Whether more of the request was sent since this was last asked. A guest is not sent a request.
    pub fn was_sent_more(&mut self) -> bool {
        match self {
            Self::Guest(_) => false,
            Self::Upstream(upstream) => upstream.was_sent_more(),
        }
    }

    /// Whether a protocol that was switched to goes on in the client's direction after the end of the target's.
    pub fn goes_on(&self) -> bool {
        match self {
            Self::Guest(_) => false,
            Self::Upstream(upstream) => upstream.goes_on(),
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
