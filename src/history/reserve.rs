//! The last generation in a file of its own, for when the history cannot be written: a number that
//! was served must not be given again after a restart. The file has its place on disk from the start,
//! so that it can be written on a disk that is full.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Its name in the state directory.
const FILE: &str = "generation";

/// How many digits a generation has there: all that it may.
const DIGITS: usize = 20;

/// The generation that is kept in a state directory; 0 if there is none.
pub fn reserved(directory: &Path) -> u64 {
    let text = fs::read_to_string(directory.join(FILE)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Keeps a generation, unless a greater one is kept. When this returns, it is on disk.
///
/// # Errors
///
/// Where the file cannot be written.
pub fn reserve(directory: &Path, generation: u64) -> io::Result<()> {
    if fs::exists(directory.join(FILE))? && reserved(directory) >= generation {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(directory.join(FILE))?;
    // In place: what is written anew needs room.
    file.write_all_at(format!("{generation:0DIGITS$}\n").as_bytes(), 0)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_generation_is_kept_in_place() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(reserved(directory.path()), 0);
        for (generation, kept) in [(0, 0), (7, 7), (5, 7), (u64::MAX, u64::MAX), (8, u64::MAX)] {
            reserve(directory.path(), generation).unwrap();
            assert_eq!(reserved(directory.path()), kept);
            assert_eq!(fs::metadata(directory.path().join(FILE)).unwrap().len(), 21);
        }
        fs::write(directory.path().join(FILE), "nonsense").unwrap();
        assert_eq!(reserved(directory.path()), 0);
    }
}
