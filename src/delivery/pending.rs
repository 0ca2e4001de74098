//! A component that is copied into the store together with the edit that names it.

use std::path::{Path, PathBuf};

use crate::config::{Digest, VersionName};
use crate::source::{ComponentCopy, ComponentStore, ComponentStoreError, Locked};

/// A component to be copied into the store together with the edit that names it.
#[derive(Debug)]
pub struct Pending {
    bytes: Vec<u8>,
    place: PathBuf,
    /// Whether the store had no such copy before.
    is_new: bool,
}

impl Pending {
    /// The component with these bytes, to be copied to `place`, which is absolute.
    pub fn new(bytes: Vec<u8>, place: PathBuf) -> Self {
        Self { bytes, place, is_new: false }
    }

    /// Copies the component. `held` is the directory that the caller has locked.
    ///
    /// # Errors
    ///
    /// Where something else is there, or it cannot be written.
    pub fn keep(
        &mut self,
        store: &ComponentStore,
        held: &Path,
    ) -> Result<Locked, ComponentStoreError> {
        let (is_new, locked) = store.keep(&self.place, &self.bytes, held)?;
        self.is_new |= is_new;
        Ok(locked)
    }

    /// The copy, if it was not there before.
    pub fn made(&self, version: &VersionName) -> Option<ComponentCopy> {
        let (path, digest) = (self.place.clone(), Digest::of(&self.bytes));
        self.is_new.then(|| ComponentCopy { path, version: version.clone(), digest })
    }

    /// Deletes a copy that was made for an edit which is not written. Nobody else can name it as long
    /// as it is locked.
    pub fn undo(&self, store: &ComponentStore, locked: &Locked) {
        if self.is_new {
            // What cannot be deleted is an old copy some day.
            store.delete(&self.place, &Digest::of(&self.bytes), locked).ok();
        }
    }
}
