//! A change that is decided and not made yet: whoever asks for it can be shown it first.

use super::control::{Control, Done, Edit, Edited, Note};
use super::shares::Shares;

/// What an edit will do to a service, and who gets what until then.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub before: Shares,
    /// Empty where nothing is to be done.
    pub edit: Edit,
}

impl Change {
    /// Makes the change, unless there is none to make.
    ///
    /// # Errors
    ///
    /// Where the edit fails, such as because the file has changed since the change was decided.
    pub fn carry_out<C: Control>(self, control: &mut C, note: Note) -> Result<Done, C::Error> {
        let Self { before, edit } = self;
        if edit.0.is_empty() {
            return Ok(Done { before, generation: None });
        }
        let Edited { generation, .. } = control.edit(&edit, note)?;
        Ok(Done { before, generation })
    }
}
