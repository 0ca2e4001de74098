//! Replaces a file as a whole in one step. Nobody reads half a file, and an edit that another
//! program makes meanwhile is never lost. A lock on the directory keeps watershed commands apart.
//! Other programs are noticed: the old and the new file are exchanged, and the old one is compared
//! with the text that was read.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use thiserror::Error;

use super::file::read_file;
use super::text::FILE_MAX;

/// How long a command waits for the lock.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often it tries to take the lock.
const LOOK: Duration = Duration::from_millis(20);

/// Why a file was not replaced. The file is unchanged.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("another command has the lock")]
    Busy,
    #[error("somebody else wrote it")]
    Changed,
    #[error("it exists")]
    Exists,
    #[error("the directory is not writable: {0}")]
    Denied(io::Error),
    #[error("its owner cannot be kept: {error}")]
    Owner { user: u32, group: u32, error: io::Error },
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The place of a file, in a directory that this command has locked.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    directory: PathBuf,
    /// Locked until it is closed; `None` where the file system has no such locks.
    _lock: Option<File>,
}

impl Place {
    /// Locks the directory of a path, waiting for at most `patience`.
    pub fn lock(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let directory = path.parent().unwrap_or(path).to_owned();
        let lock = lock(&File::open(&directory)?, patience)?;
        Ok(Self { path: path.to_owned(), directory, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Replaces one text by another.
    pub fn replace(&self, before: &str, after: &str) -> Result<(), StoreError> {
        let old = fs::metadata(&self.path).map_err(gone)?;
        let temporary = self.write(after, Some(&old))?;
        match exchange(&temporary.path, &self.path) {
            Ok(()) => self.settle(&temporary, before, after)?,
            Err(error) if is_unsupported(error) => {
                self.compare_and_rename(&temporary, before)?;
            }
            Err(error) => return Err(gone(error.into())),
        }
        self.sync();
        Ok(())
    }

    /// Replaces a file by a text, if it `is_it`, and keeps it beside it under another name.
    pub fn replace_and_keep(
        &self,
        after: &str,
        is_it: impl Fn(&Path) -> bool,
        aside: &Path,
    ) -> Result<(), StoreError> {
        let old = fs::metadata(&self.path).map_err(gone)?;
        let temporary = self.write(after, Some(&old))?;
        if !is_it(&self.path) {
            return Err(StoreError::Changed);
        }
        match exchange(&temporary.path, &self.path) {
            Ok(()) => {
                let kept = match is_it(&temporary.path) {
                    true => {
                        rename_to_nothing(&temporary.path, aside).map_err(|it| denied(it.into()))
                    }
                    false => Err(StoreError::Changed),
                };
                if kept.is_err() {
                    exchange(&temporary.path, &self.path).map_err(io::Error::from)?;
                }
                kept?;
            }
            Err(error) if is_unsupported(error) => {
                fs::hard_link(&self.path, aside).map_err(denied)?;
                fs::rename(&temporary.path, &self.path).map_err(denied)?;
            }
            Err(error) => return Err(gone(error.into())),
        }
        self.sync();
        Ok(())
    }

    /// Creates a file.
    pub fn create(&self, text: &str) -> Result<(), StoreError> {
        let temporary = self.write(text, None)?;
        rename_over_nothing(&temporary.path, &self.path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists,
            _ => denied(error),
        })?;
        self.sync();
        Ok(())
    }

    /// Removes the file if it has this text.
    pub fn remove(&self, text: &str) -> Result<(), StoreError> {
        let aside = Temporary { path: self.hidden() };
        match rename_to_nothing(&self.path, &aside.path) {
            Ok(()) if is_text(&aside.path, text) => {}
            Ok(()) => {
                rename_to_nothing(&aside.path, &self.path).map_err(io::Error::from)?;
                return Err(StoreError::Changed);
            }
            Err(error) if is_unsupported(error) => {
                if !is_text(&self.path, text) {
                    return Err(StoreError::Changed);
                }
                fs::remove_file(&self.path).map_err(denied)?;
            }
            Err(error) => return Err(gone(error.into())),
        }
        drop(aside);
        self.sync();
        Ok(())
    }

    /// Compares the file that an exchange took out with the text to be replaced, and exchanges
    /// again if they differ.
    fn settle(&self, out: &Temporary, before: &str, after: &str) -> Result<(), StoreError> {
        if is_text(&out.path, before) {
            return Ok(());
        }
        exchange(&out.path, &self.path).map_err(io::Error::from)?;
        // An edit between the two exchanges is the newest text, so it wins.
        if !is_text(&out.path, after) {
            exchange(&out.path, &self.path).map_err(io::Error::from)?;
        }
        Err(StoreError::Changed)
    }

    /// For file systems that cannot exchange files: an edit between the comparison and the rename
    /// is lost.
    fn compare_and_rename(&self, new: &Temporary, before: &str) -> Result<(), StoreError> {
        if !is_text(&self.path, before) {
            return Err(StoreError::Changed);
        }
        fs::rename(&new.path, &self.path).map_err(denied)
    }

    /// Writes a new file beside this one to disk, with the mode and owner of `like`.
    fn write(&self, text: &str, like: Option<&Metadata>) -> Result<Temporary, StoreError> {
        let path = self.hidden();
        let mode = if like.is_some() { 0o600 } else { 0o666 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut file = file.map_err(denied)?;
        let temporary = Temporary { path };
        if let Some(like) = like {
            give(&file, like)?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(temporary)
    }

    /// A path beside this one that no `services` glob finds.
    fn hidden(&self) -> PathBuf {
        self.directory.join(hidden(".watershed-"))
    }

    fn sync(&self) {
        sync(&self.directory);
    }
}

/// A name that no other command uses at the same time.
pub fn hidden(prefix: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{prefix}{}-{}", std::process::id(), now.as_nanos())
}

/// What is in the directory is on the disk then. Where that cannot be had, the file is written all
/// the same, so it is no error.
pub fn sync(directory: &Path) {
    File::open(directory).and_then(|directory| directory.sync_all()).ok();
}

/// Removes a file when dropped.
struct Temporary {
    path: PathBuf,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Fails if the file was moved away, which is the normal case.
        fs::remove_file(&self.path).ok();
    }
}

/// Locks a directory, waiting for at most `patience`; `None` where its file system has no such locks.
pub fn lock(directory: &File, patience: Duration) -> Result<Option<File>, StoreError> {
    let directory = directory.try_clone()?;
    let deadline = Instant::now() + patience;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
            // NFS has no locks on directories. Other writers are noticed without a lock too.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}

/// Gives a new file the owner, group and mode of the old one.
fn give(file: &File, like: &Metadata) -> Result<(), StoreError> {
    let now = file.metadata()?;
    let (user, group) = (like.uid(), like.gid());
    if (now.uid(), now.gid()) != (user, group) {
        let owner = |error| StoreError::Owner { user, group, error };
        fchown(file, Some(user), Some(group)).map_err(owner)?;
    }
    // A file that its owner may not read would be one more that nobody can load.
    Ok(file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777 | 0o400))?)
}

fn exchange(one: &Path, other: &Path) -> Result<(), Errno> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
}

fn rename_to_nothing(from: &Path, to: &Path) -> Result<(), Errno> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

/// Moves a file to a name that is free. A file of that name is never replaced.
pub fn rename_over_nothing(from: &Path, to: &Path) -> io::Result<()> {
    match rename_to_nothing(from, to) {
        // A link is never put over a file either.
        Err(error) if is_unsupported(error) => fs::hard_link(from, to),
        moved => Ok(moved?),
    }
}

fn is_unsupported(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// Whether a file has exactly this text.
fn is_text(path: &Path, text: &str) -> bool {
    read_file(path, FILE_MAX).is_ok_and(|bytes| bytes == text.as_bytes())
}

/// A missing file was removed by another program.
fn gone(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => StoreError::Changed,
        _ => denied(error),
    }
}

fn denied(error: io::Error) -> StoreError {
    match error.kind() {
        // A file that is a mount point of its own is busy.
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::ResourceBusy => StoreError::Denied(error),
        _ => StoreError::Io(error),
    }
}

#[cfg(test)]
mod tests;
