//! Looking at files: finds those that may have changed since they were read, and reads these.

use std::collections::HashSet;
use std::path::Path;

use super::file::File;
use super::layout::{Area, Layout};
use super::{Key, Loader, Reading};
use crate::source::text::read_source;
use crate::source::{Fingerprint, has_other_names};

impl Loader {
    /// Looks at every file, and reads those that may have changed. Returns how many were read.
    pub(super) fn read_all(&mut self, layout: &Layout, reading: Reading) -> usize {
        let mut read = 0;
        for area in &layout.areas {
            for key in &area.keys {
                read += usize::from(self.look_within(key, area, reading));
            }
        }
        if self.files.len() > layout.keys().count() {
            let there: HashSet<&Key> = layout.keys().collect();
            let gone: Vec<_> =
                self.files.keys().filter(|key| !there.contains(key)).cloned().collect();
            gone.into_iter().for_each(|key| self.go(key));
        }
        read
    }

    pub(super) fn look_at(&mut self, key: &Key, layout: &Layout, reading: Reading) -> bool {
        let area = layout.areas.get(layout.position(key));
        area.is_some_and(|area| self.look_within(key, area, reading))
    }

    /// Looks at a file that exists, and reads it if it may have changed. Returns whether it was
    /// read.
    fn look_within(&mut self, key: &Key, area: &Area, reading: Reading) -> bool {
        if self.gone.remove(key) {
            self.touched.insert(key.clone());
        }
        let fingerprint = Fingerprint::of(&key.path);
        let before = self.files.get(key);
        let is_known = before.is_some_and(|file| file.is_as_read(fingerprint, &area.around));
        if is_known && reading == Reading::Changed {
            self.unsure.remove(key);
            return false;
        }
        // The state that is served is kept, whatever reading gives.
        let text = read_source(&key.path, self.reading);
        text.iter().for_each(|source| self.texts.note(&key.path, &source.text));
        let mut file = File::read(text, fingerprint, &area.around, before);
        if !fingerprint.is_some_and(|fingerprint| (self.settled)(&fingerprint)) {
            file.distrust();
        }
        mark(&mut self.linked, key, has_other_names(&key.path));
        mark(&mut self.unsure, key, file.is_unsure());
        self.touched.insert(key.clone());
        self.put(key, file);
        true
    }

    /// Replaces what is known of a file.
    fn put(&mut self, key: &Key, file: File) {
        let before = self.claimants.names(key, self.files.get(key));
        let now = self.claimants.names(key, Some(&file));
        self.claim(key, &before, &now);
        self.files.insert(key.clone(), file);
    }

    /// Notes which names a file claims now. Other files may get the names that it gives up, so they
    /// are decided anew.
    fn claim(&mut self, key: &Key, before: &[u64], now: &[u64]) {
        self.claimants.update(key, before, now);
        let given_up = before.iter().filter(|name| now.binary_search(name).is_err());
        let others = given_up.flat_map(|name| self.claimants.of(*name));
        self.touched.extend(others.cloned());
    }

    pub(super) fn update(&mut self, key: &Key, change: impl FnOnce(&mut File)) {
        let Some(file) = self.files.get_mut(key) else { return };
        let before = self.claimants.names(key, Some(file));
        change(file);
        let now = self.claimants.names(key, Some(file));
        self.claim(key, &before, &now);
    }

    /// Notes that a file is gone. Its last state is kept until a configuration without it is kept.
    pub(super) fn go(&mut self, key: Key) {
        self.unsure.remove(&key);
        self.touched.insert(key.clone());
        self.gone.insert(key);
    }

    pub(super) fn forget(&mut self, key: &Key) {
        let before = self.claimants.names(key, self.files.get(key));
        self.claim(key, &before, &[]);
        self.files.remove(key);
        self.texts.forget(&key.path);
        let sets = [
            &mut self.unsure,
            &mut self.touched,
            &mut self.linked,
            &mut self.wrong,
            &mut self.warned,
        ];
        for keys in sets {
            keys.remove(key);
        }
    }
}

/// Whether a regular file is at a path. `None` for links, directories and errors: then a look at
/// this path alone does not suffice.
pub(super) fn is_there(path: &Path) -> Option<bool> {
    match path.symlink_metadata() {
        Ok(found) => found.is_file().then_some(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

/// Adds a file to a set, or removes it.
pub(super) fn mark(files: &mut HashSet<Key>, key: &Key, is_in: bool) {
    if !is_in {
        files.remove(key);
    } else if !files.contains(key) {
        files.insert(key.clone());
    }
}
