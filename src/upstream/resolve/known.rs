//! The lookups of a process: those under way, and the last answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::Answer;
use super::system::Resolver;

/// Lookups at the same time, each of which takes a thread. Those that hang must leave threads to all else.
const THREADS: usize = 64;
/// Names whose last addresses are remembered.
const NAMES: usize = 10_000;

/// Looks up names. A clone shares what is known and what is under way.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Lookups>);

#[derive(Debug)]
struct Lookups {
    resolver: Resolver,
    threads: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: HashMap<String, watch::Receiver<Option<Answer>>>,
    /// The last good answers.
    last: HashMap<String, Vec<IpAddr>>,
}

impl Names {
    /// Names that something else than the system knows.
    #[cfg(test)]
    pub(super) fn played(resolver: Resolver) -> Self {
        Self(Arc::new(Lookups { resolver, ..Lookups::default() }))
    }

    /// The answer to come for a name. The lookup goes on if nobody waits for it.
    pub(super) fn ask(&self, name: &str) -> watch::Receiver<Option<Answer>> {
        let mut state = self.0.state();
        if let Some(running) = state.running.get(name) {
            return running.clone();
        }
        let (told, answer) = watch::channel(None);
        state.running.insert(name.to_owned(), answer.clone());
        let running = Running { lookups: self.0.clone(), name: name.to_owned() };
        tokio::spawn(async move {
            let found = running.find().await;
            // Whoever asks from now on gets a new lookup.
            drop(running);
            told.send_replace(Some(found));
        });
        answer
    }

    /// The addresses that a name had when it was last looked up with success.
    pub(super) fn last(&self, name: &str) -> Vec<IpAddr> {
        self.0.state().last.get(name).cloned().unwrap_or_default()
    }
}

impl Lookups {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            resolver: Resolver::default(),
            threads: Semaphore::new(THREADS),
            state: Mutex::default(),
        }
    }
}

/// A lookup under way, until dropped.
struct Running {
    lookups: Arc<Lookups>,
    name: String,
}

impl Running {
    async fn find(&self) -> Answer {
        let _thread = self.lookups.threads.acquire().await.map_err(|error| error.to_string())?;
        let found = self.lookups.resolver.find(&self.name).await?;
        let mut state = self.lookups.state();
        if state.last.len() < NAMES || state.last.contains_key(&self.name) {
            state.last.insert(self.name.clone(), found.clone());
        }
        Ok(found)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.lookups.state().running.remove(&self.name);
    }
}
