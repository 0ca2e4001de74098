//! Decides which versions serve, in one place. Pure: nothing here reads a file, a clock or a socket.
//!
//! Given what a service declares, where its versions stand, and what it served before, this room
//! answers six questions:
//!
//! - Which versions may take requests, and why not the others? A [`Standing`] describes a version by
//!   itself (creating, normal, in error); `eligibility` judges it within its service, by its reach and
//!   the quarantine entries too.
//! - What is served: the declared split, the latest version, or what was served before? `base` has
//!   the possible answers, [`Case::verdict`] chooses one and says why it is not what is declared.
//! - How is each request decided? [`PolicyInputs::policy`] compiles the shares, with rules,
//!   stickiness and overrides, into a [`routing::Policy`](crate::routing::Policy).
//! - Who answers while no version has a share? `rescue` says it, and has the words for it.
//! - What would one request get, and why? `explain` asks the same policy and lists every step.
//! - How does a service do, in one word? `health` has the words, for lists of services.
//!
//! A publish asks these questions, and so do `status`, `plan`, `explain`, `check` and every command
//! that writes shares. So all of them agree with what requests get. To read the code, follow the
//! order of the list.

mod base;
mod compile;
mod eligibility;
pub mod explain;
pub mod health;
pub mod rescue;
#[cfg(test)]
mod tests;
mod verdict;

pub use base::Base;
pub use compile::{PolicyInputs, limit, overrides};
pub use eligibility::{Eligibility, Incumbent, Obstacle, closed};
pub use verdict::{Before, Case, Serve, Verdict};

pub use crate::api::{Fault, Standing};
