//! Changes a service's file as a person would: only what is meant changes, comments and order stay.
//! The commands that upgrade a service call it. A [`ServiceFile`] is opened, changed and saved;
//! before anything is written, the whole configuration is checked with the new text in the file's
//! place. Rooms, in reading order: `service` and `restore` (what a change is), `list`, `keys` and `row` (the ways
//! in which TOML lets it be written), `comments` (which of them go), `form` and `diff` (lines),
//! `store` (a file that is replaced in one step), `config_map`, `error`.

mod comments;
mod config_map;
mod diff;
mod error;
mod form;
mod keys;
mod list;
mod restore;
mod row;
mod service;
mod store;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml_edit::{DocumentMut, value};

pub use error::EditError;
pub use restore::PutRule;

use crate::config::{
    Digest, Percent, Problem, Quarantined, Report, ServiceName, VersionName, syntax,
};
use crate::source::{Objection, check_instead, raw_text};
use store::{PATIENCE, Place, StoreError};

/// A service's file that is being changed. Nobody else of us changes a file of its directory
/// meanwhile.
///
/// # Example
///
/// ```no_run
/// # use std::path::Path;
/// # use watershed::config::{Percent, VersionName};
/// # use watershed::edit::ServiceFile;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = ServiceFile::open(Path::new("config/services/greeter.toml"))?;
/// file.set_split(&[(VersionName::new("v2")?, Percent::ALL)]);
/// file.save(Path::new("config/watershed.toml"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServiceFile {
    /// Absolute, as the configuration names it.
    path: PathBuf,
    /// Where the file is that links lead to.
    place: Place,
    /// As it was read; none of a file that is to be created.
    before: Option<String>,
    /// What the document says if nothing is changed.
    unchanged: String,
    document: DocumentMut,
}

/// A version to write into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    pub name: VersionName,
    /// Absolute. Written relative to the file where both share a directory other than `/`.
    pub component: PathBuf,
    pub digest: Digest,
    /// All of it: what a replaced version has beside this goes. Where it is empty, a replaced version
    /// keeps what it has: secrets, which are files or variables, can be written by hand only.
    pub env: Vec<(String, String)>,
    pub remark: Option<String>,
}

/// What was written.
#[derive(Debug)]
pub struct Saved {
    /// Of the file's text now.
    pub digest: Digest,
    /// The file's text before; empty of a created file.
    pub before: String,
    path: PathBuf,
    place: PathBuf,
    after: String,
    /// Whether there was no file before.
    is_new: bool,
}

impl ServiceFile {
    /// Reads a file and takes its directory's lock, for which it waits 10 s at most. Links are
    /// followed: what they lead to is what is changed.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, is not TOML, or the lock is not to be had.
    pub fn open(path: &Path) -> Result<Self, EditError> {
        let path = absolute(path);
        let unreadable =
            |problems| EditError::Unreadable { path: path.clone(), report: Report::new(problems) };
        let target = fs::canonicalize(&path).map_err(|error| {
            let problem = raw_text(&path).err();
            unreadable(vec![problem.map_or_else(|| unknown(&path, &error), |problem| *problem)])
        })?;
        let place = Place::lock(&target, PATIENCE)
            .map_err(|error| EditError::of(error, &path, target.parent(), String::new))?;
        let before = raw_text(&path).map_err(|problem| unreadable(vec![*problem]))?;
        let plain = form::plain(&before);
        let document = plain.parse::<DocumentMut>().map_err(|error| {
            let problems = syntax(&path, &before);
            let text = || vec![Problem::of_file(&path, error.message(), "correct it first")];
            unreadable(if problems.is_empty() { text() } else { problems })
        })?;
        Ok(Self { path, place, before: Some(before), unchanged: document.to_string(), document })
    }

    /// Begins a file of a service without versions, in a directory that exists.
    ///
    /// # Errors
    ///
    /// Where there is such a file, or no such directory, or the lock is not to be had.
    pub fn create(path: &Path, name: &ServiceName, domains: &[String]) -> Result<Self, EditError> {
        let path = absolute(path);
        let parent = path.parent().unwrap_or(&path);
        let directory = fs::canonicalize(parent)
            .map_err(|_| EditError::NoDirectory { directory: parent.to_owned() })?;
        let target = directory.join(path.file_name().unwrap_or_default());
        let place = Place::lock(&target, PATIENCE)
            .map_err(|error| EditError::of(error, &path, Some(&directory), String::new))?;
        if fs::symlink_metadata(&target).is_ok() {
            return Err(EditError::Exists { path });
        }
        let mut document = DocumentMut::new();
        if path.file_stem().is_none_or(|stem| stem != name.as_str()) {
            document.insert("name", value(name.as_str()));
        }
        if !domains.is_empty() {
            document.insert("domains", value(domains.iter().collect::<toml_edit::Array>()));
        }
        Ok(Self { path, place, before: None, unchanged: String::new(), document })
    }

    /// Adds a version after the last one.
    pub fn add_version(&mut self, version: &NewVersion) {
        let directory = self.directory();
        self.edit(|document| service::add_version(document, &directory, version));
    }

    /// Replaces a version in its place, but for its limits. One that is not there is added.
    pub fn replace_version(&mut self, version: &NewVersion) {
        let directory = self.directory();
        self.edit(|document| service::replace_version(document, &directory, version));
    }

    /// Removes a version, with the comment right above it and its place in the split.
    pub fn remove_version(&mut self, name: &VersionName) {
        self.edit(|document| service::remove_version(document, name));
    }

    /// Gives each version its share, and all others nothing. Removes `latest`; what the split names
    /// already stays in its place.
    pub fn set_split(&mut self, shares: &[(VersionName, Percent)]) {
        self.edit(|document| service::set_split(document, shares));
    }

    /// Sets a key of a version, such as `env` and `GREETING`, or removes it. The value is in the words
    /// of the file, as [`VersionSpec::written`] has it; its paths are written relative to the file.
    ///
    /// [`VersionSpec::written`]: crate::config::VersionSpec::written
    pub fn set_in_version(
        &mut self,
        name: &VersionName,
        key: &[String],
        value: Option<&toml::Value>,
    ) {
        let directory = self.directory();
        self.edit(|document| restore::set_in_version(document, &directory, name, key, value));
    }

    /// Sets a key under `[traffic]`, or removes it.
    pub fn set_in_traffic(&mut self, key: &[String], value: Option<&toml::Value>) {
        let directory = self.directory();
        self.edit(|document| restore::set_in_traffic(document, &directory, key, value));
    }

    /// Makes the rules these, in this order.
    pub fn set_rules(&mut self, rules: &[PutRule]) {
        self.edit(|document| restore::set_rules(document, rules));
    }

    /// Adds a version after the last one, with all its keys.
    pub fn declare_version(&mut self, version: &toml::Table) {
        let directory = self.directory();
        self.edit(|document| restore::declare_version(document, &directory, version));
    }

    /// Keeps traffic from something, unless an entry does so already.
    pub fn quarantine(&mut self, entry: &Quarantined) {
        self.edit(|document| service::quarantine(document, entry));
    }

    /// Removes what keeps traffic from the digest and environment of an entry.
    pub fn release(&mut self, entry: &Quarantined) {
        self.edit(|document| service::release(document, entry));
    }

    /// The text as it would be saved now.
    pub fn text(&self) -> String {
        match &self.before {
            Some(before) if !self.is_changed() => before.clone(),
            before => form::as_before(before.as_deref().unwrap_or(""), &self.document.to_string()),
        }
    }

    /// Whether saving would write anything.
    pub fn is_changed(&self) -> bool {
        self.before.is_none() || self.document.to_string() != self.unchanged
    }

    /// Checks the whole configuration of `main` with this text in place of the file, then writes
    /// it, in one step and onto the disk. Files that were wrong before and have nothing to do with
    /// this one do not matter.
    ///
    /// # Errors
    ///
    /// Where the configuration would be wrong, somebody else changed the file, or it cannot be
    /// written. The file is as it was then.
    pub fn save(self, main: &Path) -> Result<Saved, EditError> {
        let after = self.text();
        self.check_unchanged()?;
        let is_new = self.before.is_none();
        check_instead(main, &self.path, !is_new, &after)
            .map_err(|objection| EditError::objection(objection, &self.path, main))?;
        let is_changed = self.is_changed();
        let before = self.before.unwrap_or_default();
        let change = || diff::show(&before, &after);
        if is_changed {
            if config_map::leads_through(&self.path) {
                return Err(EditError::ConfigMap { path: self.path, change: change() });
            }
            let stored = if is_new {
                self.place.create(&after)
            } else {
                self.place.replace(&before, &after)
            };
            let directory = Some(self.place.directory());
            stored.map_err(|error| EditError::of(error, &self.path, directory, change))?;
        }
        let digest = Digest::from_bytes(Sha256::digest(&after).into());
        let place = self.place.path().to_owned();
        Ok(Saved { digest, before, path: self.path, place, after, is_new })
    }

    /// Before minutes are spent on the check of something that will not be written.
    fn check_unchanged(&self) -> Result<(), EditError> {
        let Some(before) = &self.before else { return Ok(()) };
        let is_same = raw_text(&self.path).is_ok_and(|now| now == *before);
        if is_same { Ok(()) } else { Err(EditError::Changed { path: self.path.clone() }) }
    }

    fn directory(&self) -> PathBuf {
        self.path.parent().unwrap_or(&self.path).to_owned()
    }

    /// Changes the document, and reads it anew, so that every part of it has its place in the file.
    fn edit(&mut self, change: impl FnOnce(&mut DocumentMut)) {
        change(&mut self.document);
        if let Ok(document) = self.document.to_string().parse() {
            self.document = document;
        }
    }
}

impl Saved {
    /// Puts the old text back, or removes a file that was created.
    ///
    /// # Errors
    ///
    /// Where the file is not what was written any more, or cannot be written.
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
        let change = || diff::show(&after, &before);
        revert().map_err(|error| EditError::of(error, &path, place.parent(), change))
    }
}

/// By names, as the configuration reads paths.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    crate::config::absolute(Path::new("/"), &path)
}

fn unknown(path: &Path, error: &std::io::Error) -> Problem {
    Problem::of_file(path, format!("the file cannot be found: {error}"), "see that it is there")
}

impl EditError {
    /// Why the store did not take it. `change` says what was to be written.
    fn of(
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

    fn objection(objection: Objection, path: &Path, main: &Path) -> Self {
        match objection {
            Objection::Wrong(report) => Self::Invalid { report },
            Objection::WrongBefore(report) => Self::WrongBefore { report },
            Objection::NotFound(globs) => {
                Self::NotServed { path: path.to_owned(), main: main.to_owned(), globs }
            }
        }
    }
}
