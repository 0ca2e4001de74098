//! A service's file that is broken or gone, and that gets back a text that was right. Whatever it says meanwhile is
//! kept in a hidden file beside it: no `services` glob finds that, and nothing that somebody wrote is lost.

use std::fs;
use std::path::{Path, PathBuf};

use super::config_map;
use super::edit_error::EditError;
use super::file::{ReadError, read_file};
use super::store::{PATIENCE, Place};
use super::text::{FILE_MAX, raw_text};
use crate::config::{Digest, Problem, Report};
use crate::edit::show_change;

/// How many names are tried for the file that is kept.
const NAMES: u32 = 100;

/// A file as it was found.
#[derive(Debug)]
pub struct BrokenFile {
    path: PathBuf,
    found: Found,
}

/// What is at the path of a service's file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Bytes(Vec<u8>),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// What was written.
#[derive(Debug)]
pub struct PutBackFile {
    /// The digest of the file's text.
    pub digest: Digest,
    /// Where what the file said is kept; `None` where it was gone.
    pub aside: Option<PathBuf>,
}

impl BrokenFile {
    /// Looks at a file, by its absolute path.
    ///
    /// # Errors
    ///
    /// Where something else than a file is there.
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let found = look(path).map_err(|problem| EditError::Unreadable {
            path: path.to_owned(),
            report: Report::new(vec![*problem]),
        })?;
        Ok(Self { path: path.to_owned(), found })
    }

    /// Whether nothing is there.
    pub fn is_gone(&self) -> bool {
        self.found == Found::Nothing
    }

    /// What the file says, without what is not UTF-8.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn text(&self) -> Result<String, &str> {
        match &self.found {
            Found::Nothing => Ok(String::new()),
            Found::Bytes(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            Found::Unreadable(why) => Err(why),
        }
    }

    /// The lines that change with a text.
    pub fn change_to(&self, text: &str) -> String {
        show_change(&self.text().unwrap_or_default(), text)
    }

    /// Gives the file this text, if it is still as it was found. `stamp` becomes part of the name of what is kept.
    ///
    /// # Errors
    ///
    /// Where the file was changed meanwhile, or cannot be written: it is as it was then.
    pub fn put_back(self, text: &str, stamp: &str) -> Result<PutBackFile, EditError> {
        let (path, digest) = (self.path.clone(), Digest::of(text));
        let change = || self.change_to(text);
        if config_map::leads_through(&path) {
            return Err(EditError::ConfigMap { change: change(), path });
        }
        let parent = path.parent().unwrap_or(&path);
        let target = match self.is_gone() {
            true => {
                fs::canonicalize(parent).map(|it| it.join(path.file_name().unwrap_or_default()))
            }
            false => fs::canonicalize(&path),
        };
        let target = target.map_err(|_| EditError::NoDirectory { directory: parent.to_owned() })?;
        let error = |error| EditError::of(error, &path, target.parent(), change);
        let place = Place::lock(&target, PATIENCE).map_err(error)?;
        let aside = match self.is_gone() {
            true => {
                place.create(text).map_err(error)?;
                None
            }
            false => {
                let aside = aside(&target, stamp);
                let is_it = |path: &Path| self.found.is_at(path);
                place.replace_and_keep(text, is_it, &aside).map_err(error)?;
                Some(aside)
            }
        };
        Ok(PutBackFile { digest, aside })
    }
}

impl Found {
    /// Whether this is what is at a path. Of what cannot be read, that is not known: it is kept all the same.
    fn is_at(&self, path: &Path) -> bool {
        match (self, look(path)) {
            (Self::Unreadable(_), Ok(Self::Unreadable(_))) => true,
            (one, Ok(other)) => *one == other,
            (_, Err(_)) => false,
        }
    }
}

fn look(path: &Path) -> Result<Found, Box<Problem>> {
    match read_file(path, FILE_MAX) {
        Ok(bytes) => Ok(Found::Bytes(bytes)),
        // A link that leads nowhere is there, and what it should lead to is not ours to make.
        Err(error) if error.is_missing() && fs::symlink_metadata(path).is_err() => {
            Ok(Found::Nothing)
        }
        Err(error @ (ReadError::Directory | ReadError::NotRegular)) => Err(explained(path, &error)),
        Err(error) if error.is_missing() => Err(explained(path, &error)),
        Err(error) => Ok(Found::Unreadable(error.to_string())),
    }
}

fn explained(path: &Path, error: &ReadError) -> Box<Problem> {
    let unknown = || Box::new(Problem::of_file(path, error.to_string(), "look at it"));
    raw_text(path).err().unwrap_or_else(unknown)
}

/// A free name for what a file said.
fn aside(target: &Path, stamp: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let named = |number: u32| {
        let more = if number == 1 { String::new() } else { format!("-{number}") };
        target.with_file_name(format!(".{name}.broken-{stamp}{more}"))
    };
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err();
    (1..=NAMES).map(named).find(is_free).unwrap_or_else(|| named(NAMES))
}
