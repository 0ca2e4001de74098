//! What an edit leaves of a file: each form in which TOML lets a thing be written, whole sequences
//! of edits on the shipped files, and what becomes of the file itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::code::Coded;
use crate::config::{
    Config, Digest, GuestSpec, Percent, Quarantined, Service, ServiceName, Traffic, VersionName,
    VersionSpec,
};
use crate::edit::{NewBackend, NewVersion, PutRule, ServiceText};
use crate::source::{EditError, ServiceFile};

mod forms;
mod policy;
mod restore;
mod save;
mod sequences;
mod versions;

/// A configuration in a directory of its own, with one service, whose file is `shop.toml`.
struct Site(tempfile::TempDir);

impl Site {
    fn new(service: &str) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir(site.path("services")).unwrap();
        fs::write(site.path("watershed.toml"), "[server]\n").unwrap();
        fs::write(site.file(), service).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("services/shop.toml")
    }

    fn main(&self) -> PathBuf {
        self.path("watershed.toml")
    }

    fn open(&self) -> ServiceFile {
        ServiceFile::open(&self.file()).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn config(&self) -> Config {
        crate::source::load(&self.main()).unwrap_or_else(|report| panic!("{report}"))
    }

    /// The names in the directory of the services.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("services")).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

fn shares(shares: &[(&str, f64)]) -> Vec<(VersionName, Percent)> {
    shares
        .iter()
        .map(|(version, share)| (name(version), Percent::from_f64(*share).unwrap()))
        .collect()
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn version(text: &str, component: impl Into<PathBuf>) -> NewVersion {
    NewVersion {
        name: name(text),
        backend: NewBackend::Component { component: component.into(), env: Vec::new() },
        digest: digest(1),
        remark: None,
        limits: Vec::new(),
    }
}

/// The same version with these variables.
fn with_env(version: NewVersion, env: &[(&str, &str)]) -> NewVersion {
    let component = version.component().unwrap().to_owned();
    let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    NewVersion { backend: NewBackend::Component { component, env }, ..version }
}

/// What a version declares of its guest.
fn guest(spec: &VersionSpec) -> &GuestSpec {
    spec.guest().unwrap()
}

fn quarantined(version: &str, byte: u8) -> Quarantined {
    Quarantined { digest: digest(byte), env: None, version: name(version), remark: None }
}

/// The shares of a split, by name.
fn split_of(service: &Service) -> Option<Vec<(String, Percent)>> {
    let Traffic::Split(split) = &service.traffic else { return None };
    let share =
        |(index, share): &(usize, Percent)| (service.versions[*index].name.to_string(), *share);
    Some(split.shares().iter().map(share).collect())
}

/// The text after an edit, which the loader accepts and which is what is saved.
#[track_caller]
fn edited(before: &str, edit: impl FnOnce(&mut ServiceText)) -> (String, Arc<Service>) {
    let site = Site::new(before);
    let mut file = site.open();
    edit(&mut file.text);
    let text = file.text.to_string();
    file.save(&site.main()).unwrap_or_else(|error| panic!("{error}\n---\n{text}"));
    assert_eq!(site.text(), text);
    assert_eq!(site.names(), ["shop.toml"]);
    (text, site.config().environments[0].services[0].clone())
}

/// All that is told of an error.
fn said(error: &EditError) -> String {
    let report = error.report().map(ToString::to_string).unwrap_or_default();
    format!("{}\n\n{report}{}", error.line(), error.change().unwrap_or_default())
}
