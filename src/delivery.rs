//! What a change of a service takes beside its decision, the same for the command line and for the
//! admin listener: what is shown before (`preview`), what is given to serve a new version (`given`), how
//! the file is written (`write`), which component is copied with it (`pending`), which copies go (`copies`), and what is told afterwards (`outcome`).
//!
//! `rollout` decides, and reads and writes through its `Control`. Who fulfils that uses this room.

mod copies;
mod given;
mod outcome;
mod pending;
mod preview;
mod write;

pub use copies::{Inventory, copies_of, sweep};
pub use given::{Component, Declared, Given, takes, twice};
pub use outcome::{changes, instead, outcome, way};
pub use pending::Pending;
pub use preview::{Preview, standing};
pub use write::{as_decided, half_told, write};
