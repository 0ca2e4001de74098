//! What the reloader records: [`Journal`] keeps the history open, numbers the publishes, and gives
//! each change of a service its author. `change` turns two snapshots into changes and records,
//! `pending` writes them, `commands` knows whose edits they come of, `texts` keeps what services' files said when they were right, and `handover`
//! passes the history on to the next process.
//!
//! A process serves without a history as well as with one. While another process has the history
//! open, as in a rolling restart, or it cannot be written, each publish tries to open it again. Once
//! it is open, services are recorded as they are found then.

mod change;
mod commands;
mod handover;
mod pending;
mod texts;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::outcome::ReloadHandle;
use crate::code::Coded;
use crate::config::Service;
use crate::history::{FileState, History, HistoryError, reserve, reserved};
use crate::plural::many;
use crate::telemetry::Telemetry;
use crate::versions::{ServiceKey, Snapshot};
use change::{Change, changes, changes_of};
pub use pending::key_of;
use pending::{Cause, Command, PendingRecord, Unrecorded, Unwritten, known, write};
use texts::Texts;

/// How many records that could not be written are kept for later.
const UNWRITTEN_MAX: usize = 1_000;

/// Records what is published.
pub struct Journal {
    directory: PathBuf,
    reloads: Arc<ReloadHandle>,
    telemetry: Telemetry,
    history: Option<History>,
    /// The last generation that was in the history when it was opened.
    floor: u64,
    /// Whether nothing was recorded since the history was opened.
    is_fresh: bool,
    /// Services that are as they were found when the history was opened, with versions that are
    /// still being made.
    found: HashMap<ServiceKey, Arc<Service>>,
    commands: Vec<Command>,
    /// Files that are right, and whose texts are not kept yet.
    texts: Texts,
    /// Records that could not be written yet, in the order of generations.
    unwritten: Unrecorded,
    /// A history whose file is gone; the next history takes over its records.
    lost: Option<History>,
    /// Whether the history was open once, so that only this process can have it.
    was_open: bool,
    /// Whether another process has had the history before, or has it now, and took edits meanwhile.
    is_handed_over: bool,
}

impl Journal {
    /// A journal of what is published by `reloads`' reloader. The history is opened at the first
    /// publish.
    pub fn new(directory: PathBuf, reloads: Arc<ReloadHandle>, telemetry: Telemetry) -> Self {
        Self {
            directory,
            reloads,
            telemetry,
            history: None,
            floor: 0,
            is_fresh: false,
            found: HashMap::new(),
            commands: Vec::new(),
            texts: Texts::default(),
            unwritten: Unrecorded::default(),
            lost: None,
            was_open: false,
            is_handed_over: false,
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
        self.see_to_file().await;
        if self.history.is_none() {
            self.open().await;
        }
        1 + last.max(self.floor)
    }

    /// Sees that the history is in its file, also when nothing is published for a long time: somebody
    /// may have removed that, and a process that starts then would begin with generation 1.
    pub async fn keep(&mut self, now: &Snapshot) {
        self.see_to_file().await;
        if self.history.is_none() && self.was_open {
            self.open().await;
        }
        // Another process may have recorded meanwhile. Then the next publish continues after its
        // generation.
        if self.is_fresh && now.generation > 0 && now.generation >= self.floor {
            self.record_all(now).await;
        }
        self.keep_texts().await;
    }

    /// Makes the history anew if its file is gone or was cut off.
    async fn see_to_file(&mut self) {
        let Some(history) = self.history.clone() else { return };
        // Done in place: a look is short, and the reloader would wait for another thread too.
        match history.file_state() {
            FileState::Gone | FileState::CutOff => {}
            FileState::There => return,
        }
        self.lost = Some(history);
        self.open().await;
    }

    fn tell_restored(&self, state: FileState, taken: Result<usize, HistoryError>) {
        let what = match state {
            FileState::CutOff => "was cut off, and is moved aside",
            FileState::Gone | FileState::There => "was removed or replaced",
        };
        let directory = self.directory.display();
        self.telemetry.history_restored();
        match taken {
            Ok(records) => tracing::warn!(
                "the history's file in {directory} {what}: made anew, with {} of it",
                many(records, "record")
            ),
            Err(why) => tracing::error!(
                "the history's file in {directory} {what}: begun anew with what is served, since its \
                 records are lost: {}",
                why.line()
            ),
        }
    }

    /// Continues with a history that has just been opened.
    fn go_on(&mut self, history: History, last: u64) {
        (self.floor, self.is_fresh, self.was_open) = (last.max(self.floor), true, true);
        self.history = Some(history.clone());
        self.reloads.show_history(Ok(history));
    }

    /// Records what is served if it differs from the last record.
    async fn record_all(&mut self, now: &Snapshot) {
        let Some(history) = self.history.clone() else { return };
        self.is_fresh = false;
        let declared = now.services.iter().map(|it| (it.key.clone(), it.declared.clone()));
        self.found = declared.collect();
        let pending = now.services.iter().filter_map(|entry| {
            let change = Change::of(entry, Vec::new());
            let cause = self.cause(&change)?;
            Some(PendingRecord { change, cause })
        });
        let pending = pending.collect();
        let known = known(&[], now);
        let (generation, unwritten) = (now.generation, std::mem::take(&mut self.unwritten));
        let write = move || Ok(write(&history, generation, unwritten, pending, Some(&known)));
        let written = blocking(write).await;
        self.settle_written(written, 1);
    }

    /// Keeps, logs and counts what could not be written. Returns whether all was written.
    fn settle_written(
        &mut self,
        written: Result<Result<(), Unwritten>, String>,
        count: usize,
    ) -> bool {
        let written = written.and_then(|written| {
            written.map_err(|Unwritten { why, left }| {
                self.unwritten.keep(left, UNWRITTEN_MAX);
                why.line()
            })
        });
        let is_written = written.is_ok();
        self.told(written, count);
        is_written
    }

    async fn open(&mut self) {
        let (directory, lost) = (self.directory.clone(), self.lost.clone());
        let opened = blocking(move || {
            let (history, restored) = match lost.map(|lost| (lost.file_state(), lost)) {
                None => (History::open(&directory)?, None),
                // The file was put back.
                Some((FileState::There, lost)) => (lost, None),
                Some((state, lost)) => {
                    let (history, taken) = lost.restore(&directory)?;
                    (history, Some((state, taken)))
                }
            };
            let last = history.last_generation()?.max(reserved(&directory));
            // From now on, the last generation has a place on disk that the process can write.
            if let Err(error) = reserve(&directory, last) {
                tracing::debug!("no place for the last generation: {error}");
            }
            Ok((history, restored, last))
        });
        match opened.await {
            Ok((history, restored, last)) => {
                match restored {
                    Some((state, taken)) => self.tell_restored(state, taken),
                    None => tracing::info!("the history goes on after generation {last}"),
                }
                self.lost = None;
                self.go_on(history, last);
            }
            Err(why) => {
                let directory = self.directory.clone();
                let reserved = blocking(move || Ok(reserved(&directory))).await.unwrap_or(0);
                self.floor = self.floor.max(reserved);
                self.close(why);
            }
        }
    }

    /// Continues without the history until it can be opened. The reason is logged once.
    fn close(&mut self, why: String) {
        let is_known = self.reloads.history().is_err_and(|known| known == why);
        if !is_known {
            tracing::warn!("without a history until it can be opened: {why}");
        }
        self.history = None;
        self.reloads.show_history(Err(why));
    }

    /// Records what `after` changes, before anybody sees it. If that fails, it is logged and
    /// counted, and `after` is published nevertheless. With `keys`, only these services may have
    /// changed.
    pub async fn record(
        &mut self,
        before: &Snapshot,
        after: &Snapshot,
        keys: Option<&HashSet<ServiceKey>>,
    ) {
        let changes = match keys {
            Some(keys) => changes_of(before, after, keys),
            None => changes(before, after),
        };
        let Some(history) = self.history.clone() else {
            self.telemetry.unrecorded(changes.len());
            self.remember(changes, after).await;
            return;
        };
        let known = std::mem::take(&mut self.is_fresh).then(|| known(&changes, after));
        if known.is_some() {
            self.find(before, after);
        }
        let (pending, generation) =
            (self.pending(changes, after, known.is_some()), after.generation);
        let (count, unwritten) = (pending.len(), std::mem::take(&mut self.unwritten));
        let write = move || Ok(write(&history, generation, unwritten, pending, known.as_ref()));
        let written = blocking(write).await;
        if self.settle_written(written, count.max(1)) {
            return;
        }
        self.reserve(generation).await;
    }

    /// Keeps records that cannot be written now, if the history belongs to this process. If the
    /// process is killed before they are written, only their generation is on disk.
    async fn remember(&mut self, changes: Vec<Change>, after: &Snapshot) {
        if !self.was_open {
            return;
        }
        let (pending, generation) = (self.pending(changes, after, false), after.generation);
        let remember = move || {
            let mut left = Unrecorded::default();
            for (record, parts) in pending.iter().filter_map(|change| change.remember(generation)) {
                left.keep(Unrecorded { records: vec![record], parts }, UNWRITTEN_MAX);
            }
            Ok(left)
        };
        if let Ok(left) = blocking(remember).await {
            self.unwritten.keep(left, UNWRITTEN_MAX);
        }
        self.reserve(generation).await;
    }

    /// Keeps a generation in a file beside the history, because the history could not be written.
    async fn reserve(&self, generation: u64) {
        let directory = self.directory.clone();
        let kept = tokio::task::spawn_blocking(move || reserve(&directory, generation)).await;
        if !matches!(kept, Ok(Ok(()))) {
            // The reason is logged already: the history cannot be written either.
            tracing::debug!("generation {generation} may be given again after a restart");
        }
    }

    /// Logs and counts what could not be written, and closes the history, so that the next publish
    /// opens it again.
    fn told(&mut self, written: Result<(), String>, records: usize) {
        if let Err(why) = written {
            tracing::error!("not recorded, {}: {why}", many(records, "change"));
            self.telemetry.unrecorded(records);
            self.close(why);
        }
    }

    /// Notes the services that are served when recording begins, without those that this publish
    /// changes unless it is the first.
    fn find(&mut self, before: &Snapshot, after: &Snapshot) {
        let is_start = before.generation == 0;
        let found = after.services.iter().filter(|it| is_start || it.since < after.generation);
        self.found = found.map(|it| (it.key.clone(), it.declared.clone())).collect();
    }

    fn pending(
        &mut self,
        changes: Vec<Change>,
        after: &Snapshot,
        is_fresh: bool,
    ) -> Vec<PendingRecord> {
        let others = after.services.iter().filter(|it| is_fresh && it.since < after.generation);
        let others: Vec<_> = others.map(|entry| Change::of(entry, Vec::new())).collect();
        let pending = changes.into_iter().chain(others).filter_map(|change| {
            let cause = self.cause(&change)?;
            Some(PendingRecord { change: change.with_read(&self.reloads), cause })
        });
        pending.collect()
    }

    /// Why a service changed; `None` if it is not known yet whether it changed.
    fn cause(&mut self, change: &Change) -> Option<Cause> {
        let found = self.found.get(&change.key);
        match (&change.entry, found) {
            (Some(entry), Some(found)) if entry.declared == *found => {
                if entry.is_settled() {
                    self.found.remove(&change.key);
                } else if entry.decider.is_nothing() {
                    return None;
                }
                Some(Cause::Found { is_handed_over: self.is_handed_over })
            }
            _ => {
                self.found.remove(&change.key);
                let own = self.commands.iter().filter(|command| command.is_of(&change.key));
                Some(Cause::Edit(own.map(|command| command.attribution.clone()).collect()))
            }
        }
    }
}

/// Runs work that waits for a disk on a blocking thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error.line()),
        Err(panicked) => Err(panicked.to_string()),
    }
}
