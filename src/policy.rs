//! Who may serve, said once: from what a service declares and where its versions stand to what is
//! served, and to why a version takes nothing. Pure. A publish asks it, and so do `status`, `plan`,
//! `explain`, `check` and every command that writes shares, so that none of them can say something
//! else. Rooms, in reading order: `footing` (a version within its service; by itself it has a
//! [`Standing`]), `base` (what decides where nothing else does), `verdict` (the answer).

mod base;
mod compile;
pub mod explain;
mod footing;
#[cfg(test)]
mod tests;
mod verdict;

pub use base::Base;
pub use compile::{Declared, overrides};
pub use footing::{Footing, Made, Obstacle, closed};
pub use verdict::{Before, Case, Serve, Verdict};

pub use crate::api::{Fault, Standing};
