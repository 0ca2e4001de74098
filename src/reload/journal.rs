//! What the reloader records, and by whom it was caused: [`Journal`] keeps the history open, numbers
//! the publishes, and gives each change of a service its author.
//!
//! A process serves without a history as well as with one. While another process has the file, as in
//! a rolling restart, or it cannot be written, each publish tries to open it again. What was missed
//! until then is recorded as it is found.

mod draft;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::outcome::Reloads;
use crate::config::Service;
use crate::registry::history::{Attribution, Change, History, HistoryError, changes};
use crate::registry::{ServiceEntry, ServiceKey, Snapshot};
use crate::telemetry::Telemetry;
use draft::{Cause, Command, Draft, amend, known, write};

/// Records what is published.
pub struct Journal {
    directory: PathBuf,
    reloads: Arc<Reloads>,
    telemetry: Telemetry,
    history: Option<History>,
    /// The last generation that was in the history when it was opened.
    floor: u64,
    /// Whether nothing was recorded since the history was opened.
    is_fresh: bool,
    /// Services that still are what was found when the history was opened, and whose versions may
    /// become what they were.
    found: HashMap<ServiceKey, Arc<Service>>,
    commands: Vec<Command>,
}

impl Journal {
    /// A journal of what is published by `reloads`' reloader. The history is opened at the first
    /// publish.
    pub fn new(directory: PathBuf, reloads: Arc<Reloads>, telemetry: Telemetry) -> Self {
        Self {
            directory,
            reloads,
            telemetry,
            history: None,
            floor: 0,
            is_fresh: false,
            found: HashMap::new(),
            commands: Vec::new(),
        }
    }

    /// The number of the publish after `last`.
    ///
    /// What holds: the numbers of one process grow, and in the history each is given once, to a
    /// publish after all those before it. What does not: a process that cannot open the history does
    /// not know its last number and counts from its own, so two processes beside each other may use
    /// the same. What the second publishes meanwhile is in no history; when it can open it, its
    /// numbers go on behind the greater of both.
    pub async fn next(&mut self, last: u64) -> u64 {
        if self.history.is_none() {
            self.open().await;
        }
        1 + last.max(self.floor)
    }

    async fn open(&mut self) {
        let directory = self.directory.clone();
        let opened = blocking(move || {
            let history = History::open(&directory)?;
            let last = history.last_generation()?;
            Ok((history, last))
        });
        match opened.await {
            Ok((history, last)) => {
                tracing::info!("the history goes on after generation {last}");
                (self.floor, self.is_fresh) = (last, true);
                self.history = Some(history.clone());
                self.reloads.show_history(Ok(history));
            }
            Err(why) => self.close(why),
        }
    }

    /// Goes on without the history until the next publish. The reason is told once.
    fn close(&mut self, why: String) {
        let is_known = self.reloads.history().is_err_and(|known| known == why);
        if !is_known {
            tracing::warn!("without a history until the next publish: {why}");
        }
        self.history = None;
        self.reloads.show_history(Err(why));
    }

    /// Commands have changed files and ask for a reload, which begins now.
    pub fn expect(&mut self, attributions: Vec<Attribution>) {
        for attribution in attributions {
            self.commands.retain(|command| !command.is_of_same(&attribution));
            self.commands.push(Command { attribution, is_new: true, is_recorded: false });
        }
    }

    /// Records what `after` changes, before anybody sees it. If that fails, it is told and counted,
    /// and `after` is to be published all the same.
    pub async fn record(&mut self, before: &Snapshot, after: &Snapshot) {
        let changes = changes(before, after);
        let Some(history) = self.history.clone() else {
            self.telemetry.unrecorded(changes.len());
            return;
        };
        let known = std::mem::take(&mut self.is_fresh).then(|| known(&changes, after));
        if known.is_some() {
            self.find(before, after);
        }
        let (drafts, generation) = (self.drafts(changes, after, known.is_some()), after.generation);
        let count = drafts.len();
        let write = move || write(&history, generation, drafts, known.as_ref());
        let written = blocking(write).await;
        self.told(written, count.max(1));
    }

    /// Tells and counts what could not be written, and has the history opened again.
    fn told(&mut self, written: Result<(), String>, records: usize) {
        if let Err(why) = written {
            tracing::error!("{records} changes are not recorded: {why}");
            self.telemetry.unrecorded(records);
            self.close(why);
        }
    }

    /// What is served when recording begins, and not of this publish unless it is the first.
    fn find(&mut self, before: &Snapshot, after: &Snapshot) {
        let is_start = before.generation == 0;
        let found = after.services.iter().filter(|it| is_start || it.since < after.generation);
        self.found = found.map(|it| (it.key.clone(), it.declared.clone())).collect();
    }

    fn drafts(&mut self, changes: Vec<Change>, after: &Snapshot, is_fresh: bool) -> Vec<Draft> {
        let others = after.services.iter().filter(|it| is_fresh && it.since < after.generation);
        let others: Vec<_> = others.map(|entry| Change::of(entry, Vec::new())).collect();
        let drafts = changes.into_iter().chain(others).filter_map(|change| {
            let cause = self.cause(&change)?;
            Some(Draft { change, cause })
        });
        drafts.collect()
    }

    /// Why a service changed; `None` where it is not known yet whether it did.
    fn cause(&mut self, change: &Change) -> Option<Cause> {
        let found = self.found.get(&change.key);
        match (&change.entry, found) {
            (Some(entry), Some(found)) if entry.declared == *found => {
                if entry.is_settled() {
                    self.found.remove(&change.key);
                } else if entry.serving.is_nothing() {
                    return None;
                }
                Some(Cause::Found)
            }
            _ => {
                self.found.remove(&change.key);
                let mut commands = self.commands.iter_mut();
                let command = commands.find(|command| command.is_of(&change.key));
                Some(command.map_or(Cause::FileEdit, |command| {
                    command.is_recorded = true;
                    Cause::Command(command.clone())
                }))
            }
        }
    }

    /// The reload that commands asked for is over. Where the watcher had been faster, their changes
    /// are recorded as somebody's file edits: these are amended.
    pub async fn finish(&mut self, now: &Snapshot) {
        let late: Vec<_> = self
            .commands
            .iter()
            .filter(|command| command.is_new && !command.is_recorded)
            .map(|command| command.attribution.clone())
            .collect();
        if let Some(history) = self.history.clone().filter(|_| !late.is_empty()) {
            let count = late.len();
            let amended = blocking(move || amend(&history, &late)).await;
            self.told(amended, count);
        }
        for command in &mut self.commands {
            command.is_new = false;
        }
        self.settle(now);
    }

    /// Forgets commands of which nothing more can come.
    pub fn settle(&mut self, now: &Snapshot) {
        self.commands.retain(|command| {
            let is_open =
                |entry: &Arc<ServiceEntry>| command.is_of(&entry.key) && !entry.is_settled();
            command.is_new || now.services.iter().any(is_open)
        });
    }
}

/// Does what waits for a disk on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(panicked) => Err(panicked.to_string()),
    }
}
