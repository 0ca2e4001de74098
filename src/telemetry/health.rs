//! Which of the process's own tasks do not work now. Probes show the list.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a task does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// The task panics again and again, and is started again each time. Requests are served as before.
    Failing,
    /// The task cannot be started. Only a new process can help.
    Lost,
}

/// The tasks that do not work. Clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Ailment>>>);

impl Health {
    /// Notes that a task does not work.
    pub fn ails(&self, task: &'static str, ailment: Ailment) {
        self.tasks().insert(task, ailment);
    }

    /// Notes that a task works, again or for the first time.
    pub fn recovers(&self, task: &'static str) {
        self.tasks().remove(task);
    }

    /// The names of the tasks with an ailment, sorted.
    pub fn with(&self, ailment: Ailment) -> Vec<&'static str> {
        let tasks = self.tasks();
        let ailing = tasks.iter().filter(|(_, other)| **other == ailment);
        ailing.map(|(task, _)| *task).collect()
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<&'static str, Ailment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
