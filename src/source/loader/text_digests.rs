//! What each service's file said when it was read last, as a digest. Beside the [`Loader`](super::Loader), so that
//! whoever asks does not wait for a load.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Digest;

/// The digests of files' texts, each without a byte order mark. A clone has the same.
#[derive(Clone, Debug, Default)]
pub struct TextDigests(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    digests: HashMap<PathBuf, Digest>,
    /// The files that say something else than before.
    edited: HashSet<PathBuf>,
}

impl TextDigests {
    /// What the file at a path said when it was read last, right or wrong; `None` if it never could be read.
    pub fn of(&self, file: &Path) -> Option<Digest> {
        self.known().digests.get(file).copied()
    }

    /// The files whose text has changed since this was last asked, or since they are known.
    pub fn take_edited(&self) -> HashSet<PathBuf> {
        std::mem::take(&mut self.known().edited)
    }

    pub(super) fn note(&self, file: &Path, text: &str) {
        let digest = Digest::of(text);
        let mut known = self.known();
        if known.digests.get(file) != Some(&digest) {
            known.digests.insert(file.to_owned(), digest);
            known.edited.insert(file.to_owned());
        }
    }

    pub(super) fn forget(&self, file: &Path) {
        self.known().digests.remove(file);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_edited_where_its_text_differs() {
        let (texts, file) = (TextDigests::default(), Path::new("/etc/shop.toml"));
        assert_eq!(texts.of(file), None);
        let edits = |text: &str| {
            texts.note(file, text);
            assert_eq!(texts.of(file), Some(Digest::of(text)));
            texts.take_edited().len()
        };
        assert_eq!((edits("one"), edits("one"), edits("two"), edits("one")), (1, 0, 1, 1));
        texts.forget(file);
        assert_eq!(texts.of(file), None);
    }
}
