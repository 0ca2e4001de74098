//! Changes who gets a service's traffic, step by step: deploys, promotes, rolls back, deletes. Every
//! decision is made here, on a [`ServiceView`]; what is read and written goes through [`Control`],
//! which the command line fulfils with files and HTTP, and which a controller inside the process can
//! fulfil directly.
//!
//! Rooms, in reading order: `shares` (who gets what, by names), `view` (a service as it was seen
//! last), `control` (what a rollout can read and do), `deploy`, `change`, `traffic`, `delete`
//! and `release` (the changes by hand), `needs` (what a rollback may need), `rollback` (what a rollback goes back to, and
//! how it gets there), `restore` (what comes back beside the shares, said in `text`), `refusal` (why
//! nothing is done, or what is left half done).

mod change;
mod control;
mod delete;
mod deploy;
mod needs;
mod refusal;
mod release;
mod restore;
mod rollback;
mod shares;
#[cfg(test)]
mod tests;
mod text;
mod traffic;
mod view;

pub use change::Change;
pub use control::{Control, Done, Edit, Edited, Note, PutBack, Step, look_until_settled};
pub use delete::{Deletion, plan_deletion};
pub use deploy::{Deployment, Portion, conclude, deploy, proposal};
pub use needs::served_in;
pub use refusal::Refusal;
pub use release::plan_release;
pub use restore::{Ground, Lost, Restoration};
pub use rollback::{
    Aim, Back, Passed, Plan, Question, Request, Rollback, RollbackError, RolledBack, State, Why,
    carry_out, plan, rollback,
};
pub use shares::{Shares, SharesError};
pub use traffic::plan_traffic;
pub use view::ServiceView;
