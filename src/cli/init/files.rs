//! Files that appear whole or not at all, and never replace another one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Paths and the content of each.
pub(super) struct Tree(pub(super) Vec<(PathBuf, Vec<u8>)>);

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// A file with exactly the content that it should have.
    TheSame,
    /// Anything else, a dangling link included.
    Another,
}

impl Tree {
    /// What is at each path now.
    ///
    /// # Errors
    ///
    /// The first path that cannot be looked at: a part of it is no directory, or may not be read.
    pub(super) fn look(&self) -> Result<Vec<(&Path, Found)>, (PathBuf, io::Error)> {
        let look = |(path, bytes): &'_ (PathBuf, Vec<u8>)| match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err((path.clone(), error)),
            // A file of another length is not opened: it may be a pipe.
            Ok(there) if there.is_file() && there.len() == bytes.len() as u64 => {
                match says(path, bytes) {
                    true => Ok(Found::TheSame),
                    false => Ok(Found::Another),
                }
            }
            Ok(_) => Ok(Found::Another),
        };
        self.0.iter().map(|file| Ok((file.0.as_path(), look(file)?))).collect()
    }

    /// The files that do not exist yet.
    pub(super) fn missing<'a>(
        &'a self,
        found: &'a [(&Path, Found)],
    ) -> impl Iterator<Item = (&'a Path, &'a [u8])> {
        let files = self.0.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice()));
        let files = files.zip(found).filter(|(_, (_, found))| *found == Found::Nothing);
        files.map(|(file, _)| file)
    }
}

/// What was created, so that it can be removed again.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Made {
    /// Creates a file where there is none, and the directories that lead to it.
    ///
    /// # Errors
    ///
    /// Also where somebody else created the file first. Then nothing of ours is left.
    pub(super) fn file(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new(""));
        self.directory(directory)?;
        let aside = directory.join(format!(".watershed-init-{}", std::process::id()));
        let written = write(&aside, bytes).and_then(|()| appear(&aside, path));
        // After a rename, the temporary file no longer exists.
        fs::remove_file(&aside).ok();
        match written {
            Ok(()) => self.files.push(path.to_owned()),
            // Another `init` runs at the same time.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && says(path, bytes) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path) -> io::Result<()> {
        let mut missing: Vec<_> = path.ancestors().take_while(|it| is_missing(it)).collect();
        while let Some(directory) = missing.pop() {
            match DirBuilder::new().create(directory) {
                Ok(()) => self.directories.push(directory.to_owned()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes what was created, the last first, and returns the files that could not be removed.
    pub(super) fn undo(self) -> Vec<PathBuf> {
        let removed = |path: &PathBuf| fs::remove_file(path).is_err();
        let left = self.files.into_iter().rev().filter(removed).collect();
        for directory in self.directories.iter().rev() {
            // Somebody else may have put a file into the directory.
            fs::remove_dir(directory).ok();
        }
        left
    }
}

/// Whether a directory must be created. Anything else at this path fails when a file is created in it.
fn is_missing(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn says(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).is_ok_and(|said| said == bytes)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file its final name, unless that name is taken.
fn appear(aside: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, aside, CWD, path, RenameFlags::NOREPLACE) {
        // A link does not replace another file either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(aside, path),
        renamed => Ok(renamed?),
    }
}
