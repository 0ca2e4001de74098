//! Where documents and secrets come from: files. A [`Loader`] finds the files of a configuration,
//! reads them, and has `config` make a [`Config`] of their texts, again after each change; a
//! [`Watcher`] says when files have changed. The command line, the server and the reloader use it.
//! Files, in reading order: `fingerprint` (how a file looks from outside), `discover` (which files
//! a glob means), `file` (reads a regular file), `secret` (a secret that a configuration points
//! to), `text` (the text of a configuration file), `loader` (loads all files), `watch` (waits for
//! changes), `service_file` (a file that a command changes), `broken_file` (a file that gets back
//! what it said), `store` (replaces a file in one step), `component_store` (keeps copies of
//! components), `config_map` (finds files of a Kubernetes ConfigMap), `edit_error` (why a file was not
//! changed).

mod broken_file;
mod component_store;
mod config_map;
mod discover;
mod edit_error;
mod file;
mod fingerprint;
mod loader;
mod secret;
mod service_file;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod watch;

pub use broken_file::{BrokenFile, PutBackFile};
pub use component_store::{
    ComponentCopy, ComponentStore, ComponentStoreError, LARGEST_COMPONENT, Locked,
};
pub use discover::{Followed, Names};
pub use edit_error::EditError;
pub use file::{ReadError, is_same, read_file};
pub use fingerprint::{Fingerprint, Look, has_other_names};
pub use loader::{
    Changed, Changes, GoodFile, Loaded, Loader, Objection, Reading, Rejected, Rejection, Settings,
    TextDigests,
};
pub use secret::{Unavailable, secret_of, value_of};
pub use service_file::{Proposal, Saved, ServiceFile};
pub use text::FILE_MAX;
#[cfg(test)]
pub use watch::Fake as FakeWatch;
pub use watch::{Follow, WatchError, Watcher};

use std::path::Path;

use crate::config::{Config, Report};

/// Reads and checks the main file and the service files that it leads to.
///
/// # Errors Every problem of every file.
pub fn load(path: &Path) -> Result<Config, Report> {
    inspect(path).map_err(|rejected| rejected.report)
}

/// As [`load`], for `check`, which also looks at what is left when wrong files are left out.
///
/// # Errors Every problem, and the configuration without the wrong parts.
pub fn inspect(path: &Path) -> Result<Config, Rejected> {
    Loader::new(path).inspect()
}
