//! A service file that a command changes. A [`ServiceFile`] is opened under the lock of its
//! directory, its text is changed, and it is saved in one step. Before anything is written, the
//! whole configuration is checked with the new text.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::config_map;
use super::edit_error::EditError;
use super::loader::{Objection, check_instead};
use super::store::{PATIENCE, Place, StoreError};
use super::text::raw_text;
use crate::config::{Digest, Problem, Report, ServiceName, absolute};
use crate::edit::{ServiceText, show_change};

/// A service file that is being changed. Meanwhile, no other command changes a file of its
/// directory.
///
/// # Example
///
/// ```no_run
/// # use std::path::Path;
/// # use watershed::config::{Percent, VersionName};
/// # use watershed::source::ServiceFile;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = ServiceFile::open(Path::new("config/services/greeter.toml"))?;
/// file.text.set_split(&[(VersionName::new("v2")?, Percent::ALL)]);
/// file.save(Path::new("config/watershed.toml"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServiceFile {
    /// Its text, to be changed by the caller.
    pub text: ServiceText,
    /// Absolute, as the configuration names it.
    path: PathBuf,
    /// The path of the file itself, behind any links.
    place: Place,
}

/// A text to be written, for the check.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// Absolute, as the configuration names the file.
    pub path: &'a Path,
    /// Whether the file exists; else it will be created.
    pub is_there: bool,
    /// The whole new text of the file.
    pub text: &'a str,
}

/// What was written.
#[derive(Debug)]
pub struct Saved {
    /// The digest of the new text.
    pub digest: Digest,
    /// The text before; empty for a created file.
    pub before: String,
    path: PathBuf,
    place: PathBuf,
    after: String,
    /// Whether the file was created.
    is_new: bool,
}

impl ServiceFile {
    /// Reads a file and takes the lock of its directory, waiting for at most 10 s. Links are
    /// followed, and the file that they lead to is changed.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or is not TOML, or another command holds the lock.
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let path = by_names(path);
        let unreadable =
            |problems| EditError::Unreadable { path: path.clone(), report: Report::new(problems) };
        let target = fs::canonicalize(&path).map_err(|error| {
            let problem = raw_text(&path).err();
            unreadable(vec![problem.map_or_else(|| unknown(&path, &error), |problem| *problem)])
        })?;
        let place = Place::lock(&target, PATIENCE)
            .map_err(|error| EditError::of(error, &path, target.parent(), String::new))?;
        let text = Self::look(&path)?;
        Ok(Self { text, path, place })
    }

    /// The text that a change would make of a file. It takes no lock, and writes nothing.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or is not TOML, or no edit of it would last.
    pub fn preview(
        path: &Path,
        change: impl FnOnce(&mut ServiceText),
    ) -> Result<String, EditError> {
        let path = by_names(path);
        let mut text = Self::look(&path)?;
        change(&mut text);
        let after = text.to_string();
        if text.is_changed() && config_map::leads_through(&path) {
            let change = show_change(text.before().unwrap_or_default(), &after);
            return Err(EditError::ConfigMap { path, change });
        }
        Ok(after)
    }

    /// The text of a new file. It takes no lock, and writes nothing.
    ///
    /// # Errors
    ///
    /// Where the file exists, or its directory does not.
    pub fn preview_new(
        path: &Path,
        name: &ServiceName,
        domains: &[String],
        fill: impl FnOnce(&mut ServiceText),
    ) -> Result<String, EditError> {
        let path = by_names(path);
        let directory = path.parent().unwrap_or(&path);
        match (fs::symlink_metadata(&path), directory.is_dir()) {
            (Ok(_), _) => Err(EditError::Exists { path }),
            (Err(_), false) => Err(EditError::NoDirectory { directory: directory.to_owned() }),
            (Err(_), true) => {
                let mut text = ServiceText::new(&path, name, domains);
                fill(&mut text);
                Ok(text.to_string())
            }
        }
    }

    fn look(path: &Path) -> Result<ServiceText, EditError> {
        let unreadable = |problems| EditError::Unreadable {
            path: path.to_owned(),
            report: Report::new(problems),
        };
        let before = raw_text(path).map_err(|problem| unreadable(vec![*problem]))?;
        ServiceText::parse(path, before).map_err(unreadable)
    }

    /// Begins a file of a service without versions, in a directory that exists.
    ///
    /// # Errors
    ///
    /// Where the file exists, the directory does not, or another command holds the lock.
    pub fn create(path: &Path, name: &ServiceName, domains: &[String]) -> Result<Self, EditError> {
        let path = by_names(path);
        let parent = path.parent().unwrap_or(&path);
        let directory = fs::canonicalize(parent)
            .map_err(|_| EditError::NoDirectory { directory: parent.to_owned() })?;
        let target = directory.join(path.file_name().unwrap_or_default());
        let place = Place::lock(&target, PATIENCE)
            .map_err(|error| EditError::of(error, &path, Some(&directory), String::new))?;
        if fs::symlink_metadata(&target).is_ok() {
            return Err(EditError::Exists { path });
        }
        Ok(Self { text: ServiceText::new(&path, name, domains), path, place })
    }

    /// The directory of the file itself, which is locked.
    pub fn directory(&self) -> &Path {
        self.place.directory()
    }

    /// Checks the whole configuration of `main` with the new text in place of the file, then writes
    /// the file to disk in one step. Existing problems of unrelated files do not count.
    ///
    /// # Errors
    ///
    /// Where the configuration would be wrong, the file was changed meanwhile, or it cannot be
    /// written. The file is then unchanged.
    pub fn save(self, main: &Path) -> Result<Saved, EditError> {
        self.save_if(|Proposal { path, is_there, text }| {
            check_instead(main, path, is_there, text)
                .map_err(|objection| EditError::objection(objection, path, main))
        })
    }

    /// As [`save`](Self::save), with a check by a process that has already loaded the
    /// configuration.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save), and the errors of the check.
    pub fn save_if<E: From<EditError>>(
        self,
        check: impl FnOnce(Proposal<'_>) -> Result<(), E>,
    ) -> Result<Saved, E> {
        self.check_unchanged()?;
        let (after, is_there) = (self.text.to_string(), self.text.before().is_some());
        check(Proposal { path: &self.path, is_there, text: &after })?;
        Ok(self.write(after)?)
    }

    fn write(self, after: String) -> Result<Saved, EditError> {
        let Self { text, path, place } = self;
        let is_new = text.before().is_none();
        let before = text.before().unwrap_or_default().to_owned();
        let change = || show_change(&before, &after);
        if text.is_changed() {
            if config_map::leads_through(&path) {
                return Err(EditError::ConfigMap { path, change: change() });
            }
            let stored = if is_new { place.create(&after) } else { place.replace(&before, &after) };
            let directory = Some(place.directory());
            stored.map_err(|error| EditError::of(error, &path, directory, change))?;
        }
        let digest = Digest::from_bytes(Sha256::digest(&after).into());
        let place = place.path().to_owned();
        Ok(Saved { digest, before, path, place, after, is_new })
    }

    /// Checked first: the configuration check takes longer.
    fn check_unchanged(&self) -> Result<(), EditError> {
        let Some(before) = self.text.before() else { return Ok(()) };
        let is_same = raw_text(&self.path).is_ok_and(|now| now == *before);
        if is_same { Ok(()) } else { Err(EditError::Changed { path: self.path.clone() }) }
    }
}

impl Saved {
    /// Whether the file says something else than before.
    pub fn is_change(&self) -> bool {
        self.is_new || self.before != self.after
    }

    /// Puts the old text back, or removes a file that was created.
    ///
    /// # Errors
    ///
    /// Where the file has changed since it was written, or cannot be written.
    pub fn revert(self) -> Result<(), EditError> {
        let Self { before, path, place, after, is_new, .. } = self;
        let revert = || {
            let place = Place::lock(&place, PATIENCE)?;
            match is_new {
                true => place.remove(&after),
                false if before == after => Ok(()),
                false => place.replace(&after, &before),
            }
        };
        let change = || show_change(&after, &before);
        revert().map_err(|error| EditError::of(error, &path, place.parent(), change))
    }
}

/// By names, as the configuration reads paths.
fn by_names(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute(Path::new("/"), &path)
}

fn unknown(path: &Path, error: &std::io::Error) -> Problem {
    Problem::of_file(path, format!("the file cannot be found: {error}"), "check that it exists")
}

impl EditError {
    /// Translates an error of the store. `change` is the change that was to be written.
    pub(super) fn of(
        error: StoreError,
        path: &Path,
        directory: Option<&Path>,
        change: impl FnOnce() -> String,
    ) -> Self {
        let path = path.to_owned();
        let directory = directory.unwrap_or(&path).to_owned();
        match error {
            StoreError::Busy => Self::Busy { directory, seconds: PATIENCE.as_secs() },
            StoreError::Changed => Self::Changed { path },
            StoreError::Exists => Self::Exists { path },
            StoreError::Denied(error) => {
                Self::ReadOnly { path, directory, error, change: change() }
            }
            StoreError::Owner { user, group, error } => {
                Self::Owner { path, user, group, error, change: change() }
            }
            StoreError::Io(error) => Self::Unwritable { path, error },
        }
    }

    /// Translates an objection into the error to report, for the configuration of `main`.
    pub fn objection(objection: Objection, path: &Path, main: &Path) -> Self {
        match objection {
            Objection::Wrong(report) => Self::Invalid { report },
            Objection::WrongBefore(report) => Self::WrongBefore { report },
            Objection::NotFound(globs) => {
                Self::NotServed { path: path.to_owned(), main: main.to_owned(), globs }
            }
        }
    }
}
