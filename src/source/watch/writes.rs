//! Which files are being written, as far as the kernel reports: those that were modified and not
//! closed yet. Filled by the thread that receives events, read by the reloader's task.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};

use super::PATIENCE;

/// How long after its last modification a file counts as complete even if it stays open.
const PAUSE: Duration = Duration::from_secs(1);

/// One file that is being written.
#[derive(Clone, Copy, Debug)]
struct Writing {
    first: Instant,
    last: Instant,
}

impl Writing {
    /// When waiting for it ends.
    fn end(self) -> Instant {
        (self.last + PAUSE).min(self.first + PATIENCE)
    }
}

/// The files that are being written, and the number of changes.
#[derive(Debug, Default)]
pub struct Writes {
    open: HashMap<PathBuf, Writing>,
    /// The number of changes since the start.
    pub changes: u64,
}

impl Writes {
    /// Notes an event. Returns whether to wake the task that waits for changes.
    pub fn note(&mut self, event: &notify::Result<notify::Event>, now: Instant) -> bool {
        // An error means that events were lost, so any file may have changed.
        let Ok(event) = event else { return self.change() };
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                // A file that was opened for writing and not modified has not changed.
                event.paths.iter().any(|path| self.open.remove(path).is_some())
            }
            // Reads must not count: a reload reads files, so it would cause the next reload.
            EventKind::Access(_) => false,
            EventKind::Modify(ModifyKind::Data(_)) => {
                for path in &event.paths {
                    let writing = Writing { first: now, last: now };
                    self.open.entry(path.clone()).or_insert(writing).last = now;
                }
                self.change()
            }
            EventKind::Remove(_) => {
                for path in &event.paths {
                    self.open.remove(path);
                }
                self.change()
            }
            _ => self.change(),
        }
    }

    fn change(&mut self) -> bool {
        self.changes += 1;
        true
    }

    /// When waiting for the files being written ends; `None` if no file is being written.
    pub fn end(&mut self, now: Instant) -> Option<Instant> {
        // A file that is still being written after its time stays in the list, so that waiting for
        // it does not start anew.
        self.open.retain(|_, writing| now < writing.last + PAUSE);
        self.open.values().map(|writing| writing.end()).filter(|end| now < *end).max()
    }
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{DataChange, MetadataKind, RemoveKind};

    use super::*;

    const MODIFIED: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    fn event(kind: EventKind) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path("/app.wasm".into()))
    }

    #[test]
    fn a_file_is_waited_for_until_it_is_closed() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        assert!(writes.note(&event(MODIFIED), now));
        let later = now + Duration::from_millis(900);
        assert!(writes.note(&event(MODIFIED), later));
        assert_eq!(writes.end(later), Some(later + PAUSE));
        assert!(writes.note(&event(CLOSED), later));
        assert_eq!((writes.end(later), writes.changes), (None, 2));
    }

    #[test]
    fn a_file_that_stays_open_is_waited_for_no_longer_than_a_pause() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        writes.note(&event(MODIFIED), now);
        assert_eq!(writes.end(now + PAUSE), None);
        assert!(writes.open.is_empty());
    }

    #[test]
    fn a_file_that_is_always_written_is_waited_for_once() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        for tenth in 0..600 {
            let at = now + Duration::from_millis(100 * tenth);
            writes.note(&event(MODIFIED), at);
            assert_eq!(writes.end(at).is_some(), at < now + PATIENCE, "{tenth}");
        }
    }

    #[test]
    fn what_is_removed_is_not_waited_for() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        writes.note(&event(MODIFIED), now);
        assert!(writes.note(&event(EventKind::Remove(RemoveKind::File)), now));
        assert_eq!(writes.end(now), None);
    }

    #[test]
    fn reading_is_no_change() {
        let (mut writes, now) = (Writes::default(), Instant::now());
        let kinds = [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)];
        for kind in kinds.map(EventKind::Access).into_iter().chain([CLOSED]) {
            assert!(!writes.note(&event(kind), now), "{kind:?}");
        }
        assert!(
            writes.note(&event(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any))), now)
        );
        assert_eq!(writes.changes, 1);
    }
}
