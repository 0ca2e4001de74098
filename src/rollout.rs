//! What an upgrade does to the traffic of a service, before anything is done: [`Shares`] by name, a
//! ramp of them, what a rollback goes back to (`rollback`), and what comes back with it (`restore`,
//! said in `text`). Pure; the commands of `cli` ask the process and the files, decide here, and write
//! by `edit`.

mod restore;
mod rollback;
mod shares;
#[cfg(test)]
mod tests;
mod text;

pub use restore::{Ground, Lost, Restoration};
pub use rollback::{Passed, Question, Rollback, RollbackError, State, Target, Versions, rollback};
pub use shares::{Shares, SharesError};
