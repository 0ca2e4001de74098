//! What an upgrade does to the traffic of a service, before anything is done: [`Shares`] by name, a
//! ramp of them, and what a rollback goes back to. Pure; the commands of `cli` ask the process and
//! the files, decide here, and write by `config::edit`.

mod rollback;
mod shares;
#[cfg(test)]
mod tests;

pub use rollback::{Passed, Rollback, RollbackError, Target, Versions, rollback};
pub use shares::{Shares, SharesError};
