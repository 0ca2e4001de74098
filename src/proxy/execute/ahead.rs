//! Events that were pulled out of a backend before they are needed, to see what comes next.

use crate::exchange::Event;
use crate::proxy::failure::Failure;

/// Two events at most: nobody looks further ahead. They are kept where they are, without an allocation.
#[derive(Default)]
pub struct Ahead {
    first: Option<Event<Failure>>,
    second: Option<Event<Failure>>,
}

impl Ahead {
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.second.is_some()
    }

    /// Adds an event behind the others, where there is room.
    pub fn push(&mut self, event: Event<Failure>) {
        match self.first {
            None => self.first = Some(event),
            Some(_) => self.second = Some(event),
        }
    }

    /// The event that comes next.
    pub fn first(&self) -> Option<&Event<Failure>> {
        self.first.as_ref()
    }

    pub fn last(&self) -> Option<&Event<Failure>> {
        self.second.as_ref().or(self.first.as_ref())
    }

    /// Takes the event that comes next.
    pub fn take(&mut self) -> Option<Event<Failure>> {
        let first = self.first.take()?;
        self.first = self.second.take();
        Some(first)
    }
}
