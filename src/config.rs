//! What the user wrote, read and checked: texts become a [`Config`] that cannot be wrong, or a [`Report`] of everything
//! that is wrong. This room knows no file system: `source` finds and reads the files, and calls this room for each.
//!
//! Files, in reading order: `raw` (what is written), `model` (what it means, and every default), `document` (a text
//! into `raw`, with `syntax` for what is not TOML and `read` for what does not fit), `validate` (one file's `raw` into
//! the model), `arbitrate` (names that several files claim), `path` (paths by their names), `report` (what is wrong),
//! `restart` (settings that only a restart changes), `schema` (the keys, for editors).

mod arbitrate;
mod document;
pub mod model;
mod path;
mod raw;
mod read;
mod report;
mod restart;
mod schema;
mod source;
pub mod suggest;
mod syntax;
mod validate;

pub(crate) use arbitrate::{Choice, Claimed, Contender, Verdict, arbitrate};
pub(crate) use document::syntax_of;
pub use model::*;
pub use path::absolute;
#[cfg(test)]
pub(crate) use report::short_path;
pub use report::{Problem, Report, Warnings};
pub use restart::{RestartChange, Setting, restart_changes};
pub use schema::schema;
pub(crate) use source::{Complaint, Source, Spot};
pub(crate) use validate::service::{Draft, Surroundings};
pub use validate::{LABEL_HELP, elsewhere, parse_target, suspicion};
pub(crate) use validate::{Main, Plan};

use validate::{EMPTY_MAIN, EMPTY_SERVICE};

/// What the main file says; `None` if the text cannot be understood at all. The result counts only if nothing was added
/// to `problems`.
pub(crate) fn read_main(source: Source, problems: &mut Vec<Problem>) -> Option<Main> {
    let document = document::of(source, EMPTY_MAIN, problems)?;
    Some(validate::main(document, problems))
}

/// What a service's file says by itself; `None` if the text cannot be understood at all. The result counts only if
/// nothing was added to `problems`.
pub(crate) fn read_service(
    source: Source,
    around: &Surroundings,
    problems: &mut Vec<Problem>,
) -> Option<Draft> {
    let document = document::of(source, EMPTY_SERVICE, problems)?;
    validate::service::draft(document, around, problems)
}
