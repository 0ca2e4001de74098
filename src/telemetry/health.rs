//! Which of the process's own tasks do not do their work now, for its probes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a task that does not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// It panics again and again, and is started again each time. Requests are served as before.
    Failing,
    /// It cannot be started. Only a new process can help.
    Lost,
}

/// The tasks that do not do their work. Cheap to clone: clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Ailment>>>);

impl Health {
    /// A task does not do its work.
    pub fn ails(&self, task: &'static str, ailment: Ailment) {
        self.tasks().insert(task, ailment);
    }

    /// A task does its work, again or for the first time.
    pub fn recovers(&self, task: &'static str) {
        self.tasks().remove(task);
    }

    /// The names of the tasks with an ailment, in the order of the alphabet.
    pub fn with(&self, ailment: Ailment) -> Vec<&'static str> {
        let tasks = self.tasks();
        let ailing = tasks.iter().filter(|(_, other)| **other == ailment);
        ailing.map(|(task, _)| *task).collect()
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<&'static str, Ailment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
