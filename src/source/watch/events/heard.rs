//! State shared between the thread that receives events and the reloader's task: which names
//! matter, which files are being written, and which paths have changed.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, EventKind};
use tokio::sync::Notify;

use super::super::interest::Interests;
use super::super::writes::Writes;

/// How many changed paths are remembered. After more changes, the reloader looks at everything.
const PLACES_MAX: usize = 1_000;

/// The shared state.
#[derive(Debug, Default)]
pub(super) struct Heard {
    interests: Mutex<Interests>,
    writes: Mutex<Writes>,
    places: Mutex<Changed>,
    pub(super) signal: Notify,
    /// Whether the thread that receives events has ended.
    pub(super) is_deaf: AtomicBool,
}

/// Held by the thread that receives events. When the thread ends, the reloader is woken to replace
/// it.
pub(super) struct Hearing(pub(super) Arc<Heard>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.is_deaf.store(true, Ordering::Relaxed);
        self.0.signal.notify_one();
    }
}

impl Heard {
    /// Notes an event if it matters.
    pub(super) fn hear(&self, event: notify::Result<notify::Event>) {
        let Some(event) = self.interests().of(event) else { return };
        self.places().note(&event);
        if self.writes().note(&event, Instant::now()) {
            self.signal.notify_one();
        }
    }

    pub(super) fn places(&self) -> MutexGuard<'_, Changed> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn interests(&self) -> MutexGuard<'_, Interests> {
        self.interests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writes(&self) -> MutexGuard<'_, Writes> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The paths that have changed. Unknown at first, and after events were lost.
#[derive(Debug, Default)]
pub(super) struct Changed {
    paths: HashSet<PathBuf>,
    pub(super) is_known: bool,
}

impl Changed {
    pub(super) fn note(&mut self, event: &notify::Result<notify::Event>) {
        match event {
            // Reading a file is no change.
            Ok(event)
                if matches!(event.kind, EventKind::Access(kind)
                    if kind != AccessKind::Close(AccessMode::Write)) => {}
            Ok(event) if !event.paths.is_empty() && !event.need_rescan() => {
                self.add(event.paths.iter().cloned());
            }
            // Events were lost.
            _ => self.is_known = false,
        }
    }

    pub(super) fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        if self.is_known {
            self.paths.extend(paths);
            self.is_known = self.paths.len() <= PLACES_MAX;
        }
    }

    pub(super) fn take(&mut self) -> Option<HashSet<PathBuf>> {
        let paths = std::mem::take(&mut self.paths);
        std::mem::replace(&mut self.is_known, true).then_some(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_events_were_lost_or_are_too_many_it_may_have_been_anywhere() {
        let event = |path: &str| {
            Ok(notify::Event::new(EventKind::Create(notify::event::CreateKind::File))
                .add_path(path.into()))
        };
        let mut changed = Changed::default();
        assert_eq!(changed.take(), None, "nothing is known at first");
        changed.note(&event("/a.toml"));
        assert_eq!(changed.take(), Some(HashSet::from(["/a.toml".into()])));
        assert_eq!(changed.take(), Some(HashSet::new()));
        for lost in [
            Ok(notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan)),
            Err(notify::Error::generic("lost")),
        ] {
            changed.note(&event("/a.toml"));
            changed.note(&lost);
            changed.note(&event("/b.toml"));
            assert_eq!(changed.take(), None);
        }
        (0..=PLACES_MAX).for_each(|number| changed.note(&event(&format!("/{number}.toml"))));
        assert_eq!(changed.take(), None);
    }
}
