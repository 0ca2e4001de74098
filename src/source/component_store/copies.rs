//! The copies in the store: finding one by its digest, and deleting one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{ComponentStore, ComponentStoreError, LARGEST_COMPONENT, Locked};
use crate::config::{Digest, ServiceName, VersionName};
use crate::source::file::read_file;
use crate::source::store::sync;

/// How the name of a copy ends.
pub(super) const EXTENSION: &str = ".wasm";

/// Hexadecimal digits of the digest in a copy's name.
const DIGITS: usize = 12;

/// Entries of the store that a search looks at.
const ENTRIES_MAX: usize = 1_000_000;

/// A file of the store whose name and content are those of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentCopy {
    pub path: PathBuf,
    pub version: VersionName,
    pub digest: Digest,
}

/// The beginning of a digest, as it is in the name of a copy.
pub(super) fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    let digits = text.strip_prefix("sha256:").unwrap_or(&text);
    digits.get(..DIGITS).unwrap_or(digits).to_owned()
}

/// The version and the digits in the name of a copy.
fn parts(path: &Path) -> Option<(VersionName, &str)> {
    let (version, digits) =
        path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.rsplit_once('-')?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_short = digits.len() == DIGITS && digits.bytes().all(is_digit);
    Some((VersionName::new(version).ok().filter(|_| is_short)?, digits))
}

impl ComponentStore {
    /// Whether a path is that of a copy with this digest, by the names in it.
    pub fn is_copy(&self, path: &Path, digest: &Digest) -> bool {
        let above = path.parent().and_then(Path::parent);
        above == Some(&self.directory)
            && parts(path).is_some_and(|(_, digits)| digits == short(digest))
    }

    /// Whether a path leads to a copy with this digest, by whatever links.
    pub fn has(&self, path: &Path, digest: &Digest) -> bool {
        let real = || {
            let store = Self::new(&self.directory.canonicalize().ok()?);
            Some(store.is_copy(&path.canonicalize().ok()?, digest))
        };
        self.is_copy(path, digest) || real().unwrap_or(false)
    }

    /// A component with this digest, and where it is: first among the copies of a service, then among
    /// all.
    pub fn find(&self, service: &ServiceName, digest: &Digest) -> Option<(PathBuf, Vec<u8>)> {
        let own = self.directory.join(service.as_str());
        let mut left = ENTRIES_MAX;
        if let Some(found) = among(&own, digest, &mut left) {
            return Some(found);
        }
        let others = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        others
            .map(|entry| entry.path())
            .filter(|directory| *directory != own)
            .find_map(|directory| among(&directory, digest, &mut left))
    }

    /// The copies of a service that are older than this.
    pub fn older(&self, service: &ServiceName, age: Duration) -> Vec<ComponentCopy> {
        let now = SystemTime::now();
        let is_old = |path: &PathBuf| {
            let modified = fs::symlink_metadata(path).and_then(|found| found.modified());
            modified.is_ok_and(|then| now.duration_since(then).is_ok_and(|found| found > age))
        };
        let entries = fs::read_dir(self.directory.join(service.as_str())).into_iter().flatten();
        let paths = entries.flatten().take(ENTRIES_MAX).map(|entry| entry.path());
        let mut copies: Vec<_> =
            paths.filter(|path| parts(path).is_some()).filter(is_old).filter_map(copy).collect();
        copies.sort_by(|one, other| one.path.cmp(&other.path));
        copies
    }

    /// Deletes a copy. A file whose name or content is another stays, as does a link.
    ///
    /// # Errors
    ///
    /// Where it cannot be deleted.
    pub fn delete(
        &self,
        path: &Path,
        digest: &Digest,
        _locked: &Locked,
    ) -> Result<bool, ComponentStoreError> {
        let is_it = self.is_copy(path, digest)
            && copy(path.to_owned()).is_some_and(|it| it.digest == *digest);
        if !is_it {
            return Ok(false);
        }
        match fs::remove_file(path) {
            Ok(()) => {
                path.parent().into_iter().for_each(sync);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(ComponentStoreError::unwritable(path, error)),
        }
    }
}

/// A copy that is a file of its own, with the digest that its name begins with.
fn copy(path: PathBuf) -> Option<ComponentCopy> {
    let (version, digits) = parts(&path)?;
    if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
        return None;
    }
    let digest = Digest::of(read_file(&path, LARGEST_COMPONENT).ok()?);
    let is_it = short(&digest) == digits;
    is_it.then_some(ComponentCopy { path, version, digest })
}

fn among(directory: &Path, digest: &Digest, left: &mut usize) -> Option<(PathBuf, Vec<u8>)> {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        *left = left.checked_sub(1)?;
        let path = entry.path();
        if parts(&path).is_none_or(|(_, digits)| digits != short(digest)) {
            continue;
        }
        let Ok(bytes) = read_file(&path, LARGEST_COMPONENT) else { continue };
        if Digest::of(&bytes) == *digest {
            return Some((path, bytes));
        }
    }
    None
}
