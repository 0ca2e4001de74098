//! Changes the text of a service's file as a person would: only what is meant changes, and comments and order stay. A
//! [`ServiceText`] is parsed, changed and written out; it knows no file system. `source` reads and writes the file, and
//! the commands that upgrade a service say what changes.
//!
//! Files, in reading order: `service` and `restore` (the changes), `list`, `keys` and `bracketed` (the forms in which TOML
//! may be written), `comments` (which comments go), `form` and `diff` (lines).

mod bracketed;
mod comments;
mod diff;
mod form;
mod keys;
mod list;
mod restore;
mod service;

use std::fmt;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, value};

pub(crate) use diff::show as show_change;
pub use restore::PutRule;

use crate::config::{
    Digest, Percent, Problem, Quarantined, ServiceName, TargetAddress, VersionName, syntax_of,
};

/// The text of a service's file that is being changed.
///
/// # Example
///
/// ```
/// # use std::path::Path;
/// # use watershed::config::{Percent, VersionName};
/// # use watershed::edit::ServiceText;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let before = "[traffic]\nlatest = true # for now\n";
/// let mut text = ServiceText::parse(Path::new("/services/greeter.toml"), before.to_owned())
///     .map_err(|problems| problems[0].message.clone())?;
/// text.set_split(&[(VersionName::new("v2")?, Percent::ALL)]);
/// assert_eq!(text.to_string(), "[traffic]\nsplit = { v2 = 100 } # for now\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ServiceText {
    /// The directory from which relative paths in the text start; absolute.
    directory: PathBuf,
    /// The text as it was read; `None` for a new file.
    before: Option<String>,
    /// The document's text if nothing is changed.
    unchanged: String,
    document: DocumentMut,
}

/// A version to write into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewVersion {
    pub name: VersionName,
    pub backend: NewBackend,
    /// Of what serves the version: of a component, its file's; of an upstream, its declaration's.
    pub digest: Digest,
    pub remark: Option<String>,
    /// Its own limits, by their keys; of a replaced version, all that it keeps where these are empty.
    pub limits: Vec<(String, LimitText)>,
}

/// A limit as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitText {
    Number(i64),
    Text(String),
}

/// What is to serve a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewBackend {
    Component {
        /// Absolute. Written relative to the file where both share a directory other than `/`.
        component: PathBuf,
        /// The whole environment: the other variables of a replaced version go. Where it is empty, a replaced version
        /// keeps its variables: secrets, which are files or variables of watershed's own environment, can be written by
        /// hand only.
        env: Vec<(String, String)>,
    },
    /// These targets. A replaced upstream keeps its other settings.
    Upstream(Vec<TargetAddress>),
}

impl NewVersion {
    /// The component that is to serve it, if one is.
    pub fn component(&self) -> Option<&Path> {
        match &self.backend {
            NewBackend::Component { component, .. } => Some(component),
            NewBackend::Upstream(_) => None,
        }
    }

    /// The variables that are given; empty where the backend has none.
    pub fn env(&self) -> &[(String, String)] {
        match &self.backend {
            NewBackend::Component { env, .. } => env,
            NewBackend::Upstream(_) => &[],
        }
    }
}

impl ServiceText {
    /// The text of the file at `path`, which is absolute.
    ///
    /// # Errors
    ///
    /// Why the text is not TOML.
    pub fn parse(path: &Path, before: String) -> Result<Self, Vec<Problem>> {
        let document = form::plain(&before).parse::<DocumentMut>().map_err(|error| {
            let problems = syntax_of(path, &before);
            let text = || vec![Problem::of_file(path, error.message(), "correct it first")];
            if problems.is_empty() { text() } else { problems }
        })?;
        let directory = directory_of(path);
        Ok(Self { directory, before: Some(before), unchanged: document.to_string(), document })
    }

    /// The text of a new file at `path`, which is absolute: a service without versions.
    pub fn new(path: &Path, name: &ServiceName, domains: &[String]) -> Self {
        let mut document = DocumentMut::new();
        if path.file_stem().is_none_or(|stem| stem != name.as_str()) {
            document.insert("name", value(name.as_str()));
        }
        if !domains.is_empty() {
            document.insert("domains", value(domains.iter().collect::<toml_edit::Array>()));
        }
        let directory = directory_of(path);
        Self { directory, before: None, unchanged: String::new(), document }
    }

    /// Adds a version after the last one.
    pub fn add_version(&mut self, version: &NewVersion) {
        let directory = self.directory.clone();
        self.edit(|document| service::add_version(document, &directory, version));
    }

    /// Replaces a version in its place, and keeps its limits, its reach, and its remark where none is given. What only a
    /// component has goes where an upstream takes its place. A version that does not exist is added.
    pub fn replace_version(&mut self, version: &NewVersion) {
        let directory = self.directory.clone();
        self.edit(|document| service::replace_version(document, &directory, version));
    }

    /// Removes a version, with the comment right above it and its place in the split.
    pub fn remove_version(&mut self, name: &VersionName) {
        self.edit(|document| service::remove_version(document, name));
    }

    /// Gives each version its share, and all others nothing. Removes `latest`; versions that the split names already
    /// stay in their places.
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
        let directory = self.directory.clone();
        self.edit(|document| restore::set_in_version(document, &directory, name, key, value));
    }

    /// Sets a key under `[traffic]`, or removes it.
    pub fn set_in_traffic(&mut self, key: &[String], value: Option<&toml::Value>) {
        let directory = self.directory.clone();
        self.edit(|document| restore::set_in_traffic(document, &directory, key, value));
    }

    /// Makes the rules exactly these, in this order.
    pub fn set_rules(&mut self, rules: &[PutRule]) {
        self.edit(|document| restore::set_rules(document, rules));
    }

    /// Adds a version after the last one, with all its keys.
    pub fn declare_version(&mut self, version: &toml::Table) {
        let directory = self.directory.clone();
        self.edit(|document| restore::declare_version(document, &directory, version));
    }

    /// Adds a quarantine entry, unless one does the same already.
    pub fn quarantine(&mut self, entry: &Quarantined) {
        self.edit(|document| service::quarantine(document, entry));
    }

    /// Removes every quarantine entry with the digest and environment of `entry`.
    pub fn release(&mut self, entry: &Quarantined) {
        self.edit(|document| service::release(document, entry));
    }

    /// The text that was parsed; `None` for a new file.
    pub fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// Whether the text differs from the one that was parsed.
    pub fn is_changed(&self) -> bool {
        self.before.is_none() || self.document.to_string() != self.unchanged
    }

    /// Changes the document, and parses it again, so that every part has its place in the text.
    fn edit(&mut self, change: impl FnOnce(&mut DocumentMut)) {
        change(&mut self.document);
        if let Ok(document) = self.document.to_string().parse() {
            self.document = document;
        }
    }
}

/// The text as it is now, with its original line ends.
impl fmt::Display for ServiceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.before {
            Some(before) if !self.is_changed() => f.write_str(before),
            before => {
                let before = before.as_deref().unwrap_or("");
                f.write_str(&form::as_before(before, &self.document.to_string()))
            }
        }
    }
}

fn directory_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}
