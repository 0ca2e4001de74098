//! The history's file: opened by one process at a time, mended after a kill, moved aside if it is
//! damaged.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{Builder, Database};
use rustix::fs::{FlockOperation, flock};

use super::{History, make_tables};
use crate::code::{Coded, ErrorCode};

/// Bytes of the file that are kept in memory. Its newest pages are what is asked for.
const CACHE: usize = 8 << 20;

/// The history cannot be used. A server works without.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error(
        "another process has the history in {} open", .path.display()
    )]
    InUse { path: PathBuf },
    #[error(
        "cannot use the history in {}: {reason}", .path.display()
    )]
    Unusable { path: PathBuf, reason: io::Error },
    #[error(
        "the history in {} is damaged: {reason}", .path.display()
    )]
    Damaged { path: PathBuf, reason: Box<redb::Error> },
    #[error("the history in {} cannot be read or written: {reason}", .path.display())]
    Failed { path: PathBuf, reason: Box<redb::Error> },
    #[error(
        "a record of the history in {} is not as expected: {reason}", .path.display()
    )]
    Record { path: PathBuf, reason: serde_json::Error },
}

impl Coded for HistoryError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. } => ErrorCode::HistoryInUse,
            Self::Unusable { .. } => ErrorCode::HistoryUnusable,
            Self::Damaged { .. } => ErrorCode::HistoryDamaged,
            Self::Failed { .. } | Self::Record { .. } => ErrorCode::HistoryFailed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::InUse { .. } => "ask that one for it, or end it first",
            Self::Unusable { .. } => {
                "let the user that runs watershed write there, or set `directory` under [state]"
            }
            Self::Damaged { .. } => "`watershed run` moves the file aside and begins a new one",
            Self::Failed { .. } => "see whether the disk is full or gone",
            Self::Record { .. } => "use the newer watershed that wrote it",
        };
        Some(help.to_owned())
    }
}

impl HistoryError {
    pub(super) fn of(path: &Path, reason: redb::Error) -> Self {
        use redb::Error as E;
        let path = path.to_owned();
        match reason {
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => Self::InUse { path },
            E::Corrupted(_)
            | E::UpgradeRequired(_)
            | E::TableTypeMismatch { .. }
            | E::TypeDefinitionChanged { .. }
            | E::TableIsMultimap(_) => Self::Damaged { path, reason: Box::new(reason) },
            E::Io(ref error) if tells_of_damage(error) => {
                Self::Damaged { path, reason: Box::new(reason) }
            }
            reason => Self::Failed { path, reason: Box::new(reason) },
        }
    }
}

/// redb reports a file that is not its own, or that ends too early, by these kinds.
fn tells_of_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Which file a history has open, and how long it was when we last wrote to it.
#[derive(Debug)]
pub struct Opened {
    device: u64,
    inode: u64,
    length: AtomicU64,
}

/// What somebody else has done to the file that a history has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// The file is where it was, as far as can be told.
    There,
    /// The file's name is gone, or another file has it: what is written into the file is lost.
    Gone,
    /// The file is shorter than it was: some of its records are lost.
    CutOff,
}

impl Opened {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let length = AtomicU64::new(found.len());
        Ok(Self { device: found.dev(), inode: found.ino(), length })
    }

    /// We have written to it: its length is what we made it.
    pub fn note_length(&self, path: &Path) {
        if let Some(found) = fs::metadata(path).ok().filter(|found| self.is_it(found)) {
            self.length.store(found.len(), Ordering::Relaxed);
        }
    }

    /// What somebody else has done to the file. Must not run while this process writes.
    pub fn file_state(&self, path: &Path) -> FileState {
        match fs::metadata(path) {
            Ok(found) if !self.is_it(&found) => FileState::Gone,
            Ok(found) if found.len() < self.length.load(Ordering::Relaxed) => FileState::CutOff,
            Err(error) if is_gone(&error) => FileState::Gone,
            // A file that cannot be looked at now is taken for unchanged.
            Ok(_) | Err(_) => FileState::There,
        }
    }

    fn is_it(&self, found: &Metadata) -> bool {
        (found.dev(), found.ino()) == (self.device, self.inode)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Opens the file in a state directory, or a new one.
pub fn open(directory: &Path) -> Result<(PathBuf, Database, Opened), HistoryError> {
    let path = directory.join(History::FILE);
    let unusable = |reason| HistoryError::Unusable { path: path.clone(), reason };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unusable)?;
    let turn = File::open(directory).map_err(unusable)?;
    // Between two that find the same file damaged, the second must not move away the new one. Where
    // a file system has no locks of directories, that is a matter of milliseconds.
    flock(&turn, FlockOperation::LockExclusive).ok();
    let database = match database(&path) {
        Err(HistoryError::Damaged { reason, .. }) => {
            let aside = move_aside(&path).map_err(unusable)?;
            let (path, aside) = (path.display(), aside.display());
            tracing::warn!("{path} is damaged ({reason}): moved to {aside}, a new one is begun");
            self::database(&directory.join(History::FILE))?
        }
        opened => opened?,
    };
    // Its name must be on disk before anything that is in it counts.
    turn.sync_all().map_err(unusable)?;
    let (database, opened) = database;
    Ok((path, database, opened))
}

/// Opens a file, and mends what a kill has left in it.
///
/// Every page is checked each time: a file is found damaged here or not at all, and not in the middle
/// of a publish. That is also why a commit does not keep what would make mending quicker, which costs
/// a second fsync each time.
pub fn database(path: &Path) -> Result<(Database, Opened), HistoryError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // It says who works here, and on what.
        .mode(0o600)
        .open(path)
        .map_err(|reason| HistoryError::Unusable { path: path.to_owned(), reason })?;
    let open = || {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        let database = builder.create_with_backend(FileBackend::new(file)?)?;
        make_tables(&database)?;
        Ok((database, Opened::of(path)?))
    };
    open().map_err(|reason| HistoryError::of(path, reason))
}

/// Gives a file the first name that is free.
pub fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1u32;
    loop {
        let aside = path.with_added_extension(format!("damaged-{number}"));
        if !aside.try_exists()? {
            fs::rename(path, &aside)?;
            return Ok(aside);
        }
        number += 1;
    }
}
