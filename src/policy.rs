//! Who may serve, said once. Pure: nothing here reads a file, a clock or a socket.
//!
//! Given what a service declares, where its versions stand, and what it served before, this room
//! answers four questions:
//!
//! - Which versions may take requests, and why not the others? a [`Standing`] tells of a version by
//!   itself (creating, normal, in error), `eligibility` of a version within its service, where its
//!   reach and quarantine entries count too.
//! - What is served: the declared split, the latest version, or what was served before? `base` has
//!   the possible answers, [`Case::verdict`] chooses one and says why it is not what is declared.
//! - How is that decided for each request? [`PolicyInputs::policy`] compiles it, with rules,
//!   stickiness and overrides, into a [`routing::Policy`](crate::routing::Policy).
//! - What would one request get, and why? `explain` asks the same policy and tells every step.
//!
//! A publish asks, and so do `status`, `plan`, `explain`, `check` and every command that writes
//! shares. So none of them can say something else than what requests get. To read the code, follow
//! the order of the list.

mod base;
mod compile;
mod eligibility;
pub mod explain;
#[cfg(test)]
mod tests;
mod verdict;

pub use base::Base;
pub use compile::{PolicyInputs, overrides};
pub use eligibility::{Eligibility, Incumbent, Obstacle, closed};
pub use verdict::{Before, Case, Serve, Verdict};

pub use crate::api::{Fault, Standing};
