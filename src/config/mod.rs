//! What the user wrote, read and checked: a [`Loader`] turns `watershed.toml` and the services'
//! files into a [`Config`] that cannot be wrong, beside a [`Report`] of whatever is. The command
//! line, the server and a reload use it. Rooms, in reading order: `raw` (the files as they are
//! written), `model` (what they mean, and every default), `document` (a text into `raw`, with
//! `syntax` for what is not TOML and `read` for what does not fit), `validate` (one file's `raw` into
//! the model), `arbitrate` (names that several files want), `loader` (all
//! files, again and again), `edit` (changes a service's file), `report` (what is wrong), `restart` (what only a restart changes),
//! `schema` (the shapes for editors).

mod arbitrate;
mod discover;
mod document;
pub mod edit;
mod fingerprint;
mod loader;
pub mod model;
mod raw;
mod read;
mod report;
mod restart;
mod schema;
mod source;
pub mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod validate;

pub use discover::{Followed, Names};
pub use fingerprint::{Fingerprint, Look};
pub use loader::{Loaded, Loader, Reading, Rejected, Rejection};
pub use model::*;
pub use report::{Problem, Report, Warnings};
pub use restart::{Setting, restart_keys};
pub use schema::schema;

use std::path::Path;

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
