//! Where documents and secrets come from: files. A [`Loader`] finds the files of a configuration,
//! reads them, and has `config` make a [`Config`] of their texts, again and again; a [`Watcher`] says
//! when that is worth while. The command line, the server and the reloader use it. Rooms, in reading
//! order: `fingerprint` (what a file looks like from outside), `discover` (which files a glob means),
//! `file` (reads a regular file), `secret` (what a file only points to), `text` (the text of a file of
//! the configuration), `loader` (all files, again and again), `watch` (when they change),
//! `service_file` (a file that a command changes), `store` (a file that is replaced in one step),
//! `config_map`, `edit_error` (why a file was not changed).

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

pub use discover::{Followed, Names};
pub use edit_error::EditError;
pub use file::{ReadError, read_file};
pub use fingerprint::{Fingerprint, Look};
pub use loader::{Loaded, Loader, Reading, Rejected, Rejection};
pub use secret::{Unavailable, secret_of, value_of};
pub use service_file::{Saved, ServiceFile};
pub use text::FILE_MAX;
#[cfg(test)]
pub use watch::Fake as FakeWatch;
pub use watch::{Follow, WatchError, Watcher};

use std::path::Path;

use crate::config::{Config, Report};

/// Reads the main file, the files of the services that it names, and checks them all.
///
/// # Errors
/// Every problem of every file at once, if there is any.
pub fn load(path: &Path) -> Result<Config, Report> {
    inspect(path).map_err(|rejected| rejected.report)
}

/// The same for `check`, which looks on behind the first files that are wrong.
///
/// # Errors
/// Every problem, and what is left without them.
pub fn inspect(path: &Path) -> Result<Config, Rejected> {
    Loader::new(path).inspect()
}
