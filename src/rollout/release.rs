//! A quarantine that is lifted.

use super::change::Change;
use super::control::{Control, Edit, Step};
use crate::config::{Quarantined, VersionName};

/// Decides which entries of the quarantine go: those that keep a version from traffic or, of a version that
/// is not declared any more, those that name it. Nothing is to be done where there is none.
///
/// # Errors
///
/// Where there is no such version, and no entry names it.
pub fn plan_release<C: Control>(control: &C, version: &VersionName) -> Result<Change, C::Error> {
    let view = control.view();
    let spec = view.version(version);
    let digest = spec.and_then(|spec| view.digest(version).or_else(|| spec.declared_digest()));
    let is_its = |entry: &&Quarantined| match (spec, digest) {
        (Some(spec), Some(digest)) => entry.is_of(&digest, spec.env()),
        _ => entry.version == *version,
    };
    let entries: Vec<_> = view.service.quarantine.iter().filter(is_its).cloned().collect();
    if spec.is_none() && entries.is_empty() {
        return Err(view.unknown(version).into());
    }
    let edit = Edit(entries.into_iter().map(Step::Release).collect());
    Ok(Change { before: view.shares(), edit, wanted: None })
}
