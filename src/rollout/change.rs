//! A change that is decided and not made yet: whoever asks for it can be shown it first.

use super::control::{Control, Done, Edit, Edited, Note};
use super::refusal::Refusal;
use super::shares::Shares;
use super::view::ServiceView;

/// What an edit will do to a service, and who gets what until then.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub before: Shares,
    /// Empty where nothing is to be done.
    pub edit: Edit,
    /// The shares that the file is to say, if they are what is changed.
    pub(super) wanted: Option<Shares>,
}

impl Change {
    /// Makes the change, unless there is none to make.
    ///
    /// # Errors
    ///
    /// Where the edit fails, such as because the file has changed since the change was decided. Where
    /// somebody else has changed the shares right after it: the edit was made, and does not count any
    /// more.
    pub fn carry_out<C: Control>(self, control: &mut C, note: Note) -> Result<Done, C::Error> {
        let Self { before, edit, wanted } = self;
        if edit.0.is_empty() {
            return Ok(Done { before, generation: None, is_change: false });
        }
        let Edited { generation, is_change, .. } = control.edit(&edit, note)?;
        if let Some(wanted) = wanted {
            still_counts(control, wanted)?;
        }
        Ok(Done { before, generation, is_change })
    }
}

/// Whether the file still says the shares that were written. Other shares may be served because the file does not say
/// them any more, also since it was read last.
fn still_counts<C: Control>(control: &mut C, wanted: Shares) -> Result<(), C::Error> {
    let view = control.view();
    if view.held().is_none() && !view.shares().is_same(&wanted) {
        control.reread()?;
    }
    let ServiceView { service, .. } = control.view();
    match Shares::declared(service) {
        Some(now) if now.is_same(&wanted) => Ok(()),
        now => {
            let service = service.name.clone();
            Err(Refusal::Overtaken { service, written: wanted, now }.into())
        }
    }
}
