//! Copies of components that `deploy` keeps beside the main file, so that the next build does not
//! change what a version is made of. A copy is named by what it is: `SERVICE/VERSION-DIGEST12.wasm`.
//! So services of one name in several environments share a directory and not a file, unless it has
//! the same content. Nothing is believed because of its name: a file is read and its digest compared
//! before it is used, and before it is deleted.

mod copies;
mod error;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Fingerprint;
use super::file::{ReadError, read_file};
use super::store::{PATIENCE, hidden, lock, rename_over_nothing, sync};
use crate::config::{Digest, ServiceName, VersionName};

pub use copies::ComponentCopy;
pub use error::ComponentStoreError;

/// Bytes of the largest component that is read.
pub const LARGEST_COMPONENT: u64 = 256 << 20;

/// How the names of unfinished copies begin: no `services` glob finds them.
const UNFINISHED: &str = ".watershed-component-";

/// The directory of `[components] directory`. It need not exist until something is kept there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentStore {
    directory: PathBuf,
}

/// A directory of the store in which no other command adds or deletes copies meanwhile.
#[derive(Debug)]
pub struct Locked {
    /// `None` where the file system has no such locks, or the caller has it already.
    _lock: Option<File>,
}

impl ComponentStore {
    /// The store in a directory, which is absolute.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Where the copy for a version is, or would be.
    pub fn place(&self, service: &ServiceName, version: &VersionName, digest: &Digest) -> PathBuf {
        let name = format!("{version}-{}{}", copies::short(digest), copies::EXTENSION);
        self.directory.join(service.as_str()).join(name)
    }

    /// Keeps a component at a [`place`](Self::place) of the store, on the disk and in one step. Returns
    /// whether it was not there before. The directory stays locked until [`Locked`] is dropped: until
    /// then, nobody deletes the copy because nothing names it yet. `held` is a directory that the
    /// caller has locked already.
    ///
    /// # Errors
    ///
    /// Where something else is there, or it cannot be written. Nothing is left behind then.
    pub fn keep(
        &self,
        place: &Path,
        bytes: &[u8],
        held: &Path,
    ) -> Result<(bool, Locked), ComponentStoreError> {
        let directory = place.parent().unwrap_or(&self.directory);
        make(directory).map_err(|error| ComponentStoreError::unwritable(directory, error))?;
        let locked = self.lock(directory, held)?;
        match read_file(place, LARGEST_COMPONENT) {
            Ok(there) if there == bytes => return Ok((false, locked)),
            Ok(_)
            | Err(ReadError::Directory | ReadError::NotRegular | ReadError::TooLarge { .. }) => {
                return Err(ComponentStoreError::Occupied { path: place.to_owned() });
            }
            Err(error) if error.is_missing() => {}
            Err(ReadError::Io(error)) => {
                return Err(ComponentStoreError::unwritable(place, error));
            }
        }
        match write(directory, place, bytes) {
            Ok(()) => Ok((true, locked)),
            // A link to nowhere.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(ComponentStoreError::Occupied { path: place.to_owned() })
            }
            Err(error) => Err(ComponentStoreError::unwritable(directory, error)),
        }
    }

    /// Locks a service's directory, waiting for at most 10 s; `None` if there is no such directory.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened, or another command has the lock.
    pub fn lock_service(
        &self,
        service: &ServiceName,
    ) -> Result<Option<Locked>, ComponentStoreError> {
        let directory = self.directory.join(service.as_str());
        match fs::metadata(&directory) {
            Ok(_) => self.lock(&directory, Path::new("")).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ComponentStoreError::unwritable(&directory, error)),
        }
    }

    fn lock(&self, directory: &Path, held: &Path) -> Result<Locked, ComponentStoreError> {
        let found = Fingerprint::of(directory);
        let is_held =
            found.zip(Fingerprint::of(held)).is_some_and(|(it, held)| it.is_same_file(&held));
        if is_held {
            return Ok(Locked { _lock: None });
        }
        let unwritable = |error| ComponentStoreError::unwritable(directory, error);
        let locked = File::open(directory).map(|file| lock(&file, PATIENCE)).map_err(unwritable)?;
        let locked = locked.map_err(|_| ComponentStoreError::Busy {
            directory: directory.to_owned(),
            seconds: PATIENCE.as_secs(),
        })?;
        if locked.is_some() {
            tidy(directory);
        }
        Ok(Locked { _lock: locked })
    }
}

/// Makes a directory and those above it, on the disk.
fn make(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).create(directory)?;
    directory.ancestors().skip(1).take(2).for_each(sync);
    Ok(())
}

/// Removes what killed commands have left unfinished. Only for who has the lock.
fn tidy(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_unfinished = |entry: &fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED))
    };
    for entry in entries.filter(is_unfinished) {
        // The next command tries again.
        fs::remove_file(entry.path()).ok();
    }
}

/// Writes a file beside its place and gives it its name then. No file is replaced.
fn write(directory: &Path, place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let aside = directory.join(hidden(UNFINISHED));
    let written =
        OpenOptions::new().write(true).create_new(true).open(&aside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            rename_over_nothing(&aside, place)
        });
    // Fails if it was moved away, which is the normal case.
    fs::remove_file(&aside).ok();
    sync(directory);
    written
}

#[cfg(test)]
mod tests;
