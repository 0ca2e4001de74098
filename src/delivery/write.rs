//! Writes an edit into a service's file: under the lock of its directory, if the file still says what
//! was looked at, and if it would be right afterwards.

use std::sync::Arc;

use super::pending::Pending;
use crate::code::Told;
use crate::config::Service;
use crate::rollout::{Edit, Refusal, ServiceView};
use crate::source::{ComponentStore, ComponentStoreError, EditError, Proposal, Saved, ServiceFile};

/// Changes the file of the service in `view`. `is_as_decided` and `check` are asked of `files` while the
/// file is locked. A component that the edit names is copied into the store first, and stays locked until the
/// file names it.
///
/// # Errors
///
/// Those of the file and of the store, and what the two say. Nothing is changed then.
pub fn write<F, E: From<EditError> + From<ComponentStoreError>>(
    files: &mut F,
    (view, edit): (&ServiceView, &Edit),
    (store, mut copy): (&ComponentStore, Option<&mut Pending>),
    is_as_decided: impl FnOnce(&F) -> Result<(), E>,
    check: impl FnOnce(&mut F, Proposal<'_>) -> Result<(), E>,
) -> Result<Saved, E> {
    let mut file = ServiceFile::open(&view.service.file)?;
    is_as_decided(files)?;
    edit.apply(&mut file.text);
    let held = file.directory().to_owned();
    let locked = copy.as_mut().map(|copy| copy.keep(store, &held)).transpose()?;
    let saved = file.save_if(|proposal| check(files, proposal));
    if let (Err(_), Some((copy, locked))) = (&saved, copy.zip(locked.as_ref())) {
        copy.undo(store, locked);
    }
    saved
}

/// Whether a file, which says `now` (nothing where it is wrong), still says what was looked at.
///
/// # Errors
///
/// Where it says something else.
pub fn as_decided(view: &ServiceView, now: Option<Arc<Service>>) -> Result<(), Refusal> {
    match now {
        Some(now) if now == view.service => Ok(()),
        _ => Err(Refusal::Changed { file: view.service.file.clone() }),
    }
}

/// The file is written, and the process does not say what came of that.
pub fn half_told(why: Told, view: &ServiceView, saved: &Saved) -> Refusal {
    let file = view.service.file.display();
    let left = match saved.is_change() {
        true => format!("{file} is edited already: a process that serves it reads it"),
        false => format!("{file} said all of this before: it is not edited"),
    };
    Refusal::HalfDone { why, fault: None, left }
}
