//! What the user wrote, read and checked: [`load`] turns `watershed.toml` and the services' files
//! into a [`Config`] that cannot be wrong, or into a [`Report`] of everything that is. The command
//! line, the server and a reload call it. Rooms, in reading order: `raw` (the files' shapes),
//! `model` (what they mean, and every default), `document` (a file into its shape), `validate`
//! (shapes into the model), `report` (what is wrong), `schema` (the shapes for editors).

mod discover;
mod document;
pub mod model;
mod raw;
mod report;
mod schema;
mod shape;
mod source;
mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod validate;

pub use model::*;
pub use report::{Problem, Report};
pub use schema::schema;

use std::path::Path;

/// Reads the main file, the files of the services that it names, and checks them all.
///
/// # Errors
/// Every problem of every file at once, if there is any.
pub fn load(path: &Path) -> Result<Config, Report> {
    inspect(path).map_err(|rejected| rejected.report)
}

/// A configuration that has problems.
#[derive(Debug)]
pub struct Rejected {
    pub report: Report,
    /// What could be made of the files beside their problems: for looking at, not for serving.
    pub rest: Option<Box<Config>>,
}

/// The same for `check`, which looks on behind the first files that are wrong.
///
/// # Errors
/// Every problem, and what is left without them.
pub fn inspect(path: &Path) -> Result<Config, Rejected> {
    let path = match std::path::absolute(path) {
        Ok(path) => discover::absolute(Path::new("/"), &path),
        Err(error) => return Err(Rejected { report: no_path(path, &error), rest: None }),
    };
    let mut problems = Vec::new();
    let document = document::read(&path, &mut problems);
    let config = document.map(|document| validate::config(document, &mut problems));
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        rest => Err(Rejected { report: Report::new(problems), rest: rest.map(Box::new) }),
    }
}

fn no_path(path: &Path, error: &std::io::Error) -> Report {
    let message = format!("this is not a path: {error}");
    let help = "give the path of watershed.toml";
    Report::new(vec![Problem::of_file(path, message, help)])
}
