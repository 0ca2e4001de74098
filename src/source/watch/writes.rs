//! Which files are being written, as far as the kernel tells: those that were modified and not yet
//! closed. Filled by the thread that hears of events, read by the reloader's.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};

use super::PATIENCE;

/// How long after its last modification a file is taken to be finished even if it stays open.
const PAUSE: Duration = Duration::from_secs(1);

/// One file that is being written.
#[derive(Clone, Copy, Debug)]
struct Writing {
    first: Instant,
    last: Instant,
}

impl Writing {
    /// Until when it is waited for.
    fn end(self) -> Instant {
        (self.last + PAUSE).min(self.first + PATIENCE)
    }
}

/// The files that are being written, and how much has changed.
#[derive(Debug, Default)]
pub struct Writes {
    open: HashMap<PathBuf, Writing>,
    /// How many changes there were in all.
    pub changes: u64,
}

impl Writes {
    /// Takes note of an event. Whether somebody who waits for changes should be woken.
    pub fn note(&mut self, event: &notify::Result<notify::Event>, now: Instant) -> bool {
        // An error: events were lost, so look at the files.
        let Ok(event) = event else { return self.change() };
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                // Who opens a file for writing and changes nothing has not changed it.
                event.paths.iter().any(|path| self.open.remove(path).is_some())
            }
            // To answer what reads files with a reload, which reads them, would never end.
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

    /// Until when to wait for the files that are being written; `None` when there is none.
    pub fn end(&mut self, now: Instant) -> Option<Instant> {
        // One that goes on being written beyond our patience stays, so that it does not start anew.
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
