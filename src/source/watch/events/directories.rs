//! Finds the directories to watch so that no change of a path is missed: the directory that
//! contains it, and for each link on the way, the directories of the link and of its target.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::Follow;
use super::super::interest::Interest;
use crate::transient::is_transient;

/// How many links in a row are followed, as in the kernel.
const MOST_LINKS: usize = 40;

/// Identifies a directory. Inode numbers are reused, so its time of creation counts too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    born: Option<SystemTime>,
}

impl Identity {
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let found = directory.metadata().ok()?;
        Some(Self { device: found.dev(), inode: found.ino(), born: found.created().ok() })
    }
}

/// The directories in which a change can put another file at a followed path.
#[derive(Default)]
pub(super) struct Directories {
    pub(super) found: HashSet<PathBuf>,
    /// Which names matter in a directory, whether it was found or not.
    pub(super) interests: HashMap<PathBuf, Interest>,
    /// Whether a transient error kept a directory from being looked at.
    pub(super) is_unsure: bool,
    /// Paths whose links were followed, up to the root.
    done: HashSet<PathBuf>,
}

impl Directories {
    pub(super) fn add(&mut self, follow: Follow<'_>) {
        match follow {
            Follow::Path(path) => self.gather(path, MOST_LINKS),
            Follow::Names(directory, names) => {
                self.gather(directory, MOST_LINKS);
                self.interests.entry(directory.to_owned()).or_default().add_glob(names);
            }
        }
    }

    /// Notes that a name matters in its directory.
    fn note(&mut self, path: &Path) {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else { return };
        match self.interests.get_mut(parent) {
            Some(interest) => interest.add_name(name),
            None => self.interests.entry(parent.to_owned()).or_default().add_name(name),
        }
    }

    fn is_directory(&mut self, path: &Path) -> bool {
        match path.metadata() {
            Ok(found) => found.is_dir(),
            Err(error) => {
                self.is_unsure |= is_transient(&error);
                false
            }
        }
    }

    /// Adds the directories of `path`: its own, and for each link on the way, those of the link and
    /// of its target.
    fn gather(&mut self, path: &Path, links: usize) {
        if self.done.contains(path) {
            return;
        }
        // A shortcut for directories with many files: most are neither links nor directories.
        let in_found = path.parent().is_some_and(|parent| self.found.contains(parent));
        if in_found && is_file(path) {
            self.note(path);
            self.done.insert(path.to_path_buf());
            return;
        }
        for ancestor in path.ancestors() {
            if self.found.contains(ancestor) {
                break;
            }
            if self.is_directory(ancestor) {
                self.found.insert(ancestor.to_path_buf());
                break;
            }
        }
        for link in path.ancestors() {
            if !self.done.insert(link.to_path_buf()) {
                break;
            }
            self.note(link);
            let (Ok(target), Some(parent)) = (link.read_link(), link.parent()) else { continue };
            self.found.insert(parent.to_path_buf());
            if links > 0 {
                self.gather(&parent.join(target), links - 1);
            }
        }
    }
}

/// Whether a path is a regular file, and not a link to one.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_the_directories_they_are_in_and_point_to() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir_all(path("release-1")).unwrap();
        std::fs::create_dir_all(path("store")).unwrap();
        std::fs::write(path("store/app.wasm"), "").unwrap();
        symlink("release-1", path("current")).unwrap();
        symlink("../store/app.wasm", path("release-1/app.wasm")).unwrap();
        let mut directories = Directories::default();
        directories.gather(&path("current/app.wasm"), MOST_LINKS);
        let found: HashSet<_> =
            directories.found.iter().map(|directory| directory.canonicalize().unwrap()).collect();
        let root = root.path().canonicalize().unwrap();
        let expected = [root.clone(), root.join("release-1"), root.join("store")];
        assert_eq!(found, HashSet::from(expected));
    }

    #[test]
    fn what_does_not_exist_is_watched_for_from_above() {
        let root = tempfile::tempdir().unwrap();
        let mut directories = Directories::default();
        directories.gather(&root.path().join("no/such/app.wasm"), MOST_LINKS);
        assert_eq!(directories.found, HashSet::from([root.path().to_path_buf()]));
    }
}
