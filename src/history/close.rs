//! Closing the history while the process goes on, so that the process that takes over can open it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::History;

/// How often it is looked whether somebody still reads it.
const LOOK: Duration = Duration::from_millis(2);

impl History {
    /// Closes the history. Waits for those who still read it, as long as `patience` says.
    ///
    /// # Errors
    ///
    /// Where somebody still reads it then: it stays open.
    pub fn close(self, patience: Duration) -> Result<(), Self> {
        let Self { path, mut database, opened } = self;
        let began = Instant::now();
        loop {
            database = match Arc::try_unwrap(database) {
                Ok(_closed) => return Ok(()),
                Err(shared) if began.elapsed() >= patience => {
                    return Err(Self { path, database: shared, opened });
                }
                Err(shared) => shared,
            };
            thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_can_open_it_once_nobody_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let history = History::open(directory.path()).unwrap();
        history.reach(7).unwrap();
        let reader = history.clone();
        let history = history.close(Duration::from_millis(10)).unwrap_err();
        assert_eq!(history.last_generation().unwrap(), 7);
        let reading = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(reader);
        });
        history.close(Duration::from_secs(10)).unwrap();
        assert_eq!(History::open(directory.path()).unwrap().last_generation().unwrap(), 7);
        reading.join().unwrap();
    }
}
