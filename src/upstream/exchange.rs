//! One request and its response, through one target.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;

use super::failure::{Failure, FailureKind};
use super::{Call, Target};
use crate::config::Limits;
use crate::exchange::{self, Fed};

/// An event of a target's response.
pub type Event = exchange::Event<Failure>;

/// A request under way. Dropping it ends it: its connection is closed, or its stream reset.
#[derive(Debug)]
pub struct Exchange {
    call: Call,
    request: Request<()>,
}

impl Exchange {
    /// A request of `call`. Its connection is a new one where `is_fresh`.
    pub(super) fn new(
        call: Call,
        request: Request<()>,
        _body: Option<Fed>,
        _limits: &Limits,
        _is_fresh: bool,
    ) -> Self {
        Self { call, request }
    }

    /// The next event of the response. Cancel-safe: a dropped call loses nothing.
    pub async fn next(&mut self) -> Event {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Polls for the next event of the response; sends what there is of the request meanwhile.
    pub fn poll_next(&mut self, _context: &mut Context<'_>) -> Poll<Event> {
        let detail = format!("{} is not asked yet", self.call.target().address());
        let failure = Failure::unsent(FailureKind::Connect, detail);
        self.call.failed(&failure);
        Poll::Ready(Event::Failed(failure))
    }

    /// Starts the time limit of the next event anew, because the exchange was waiting for the client.
    pub fn reset_patience(&mut self) {}

    /// The target that was asked.
    pub fn target(&self) -> &Arc<Target> {
        self.call.target()
    }

    /// Gives the request back, for another attempt.
    pub fn into_request(self) -> Request<()> {
        self.request
    }
}
