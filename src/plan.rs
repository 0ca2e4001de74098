//! Says what a reload would do. A [`Plan`] is the difference between two
//! [`Description`](crate::api::Description)s: of what a process serves, or files declare, and of what
//! other files declare. `watershed plan` makes plans; the admin listener gives out the description of
//! its process. Nothing here reads files or asks a process. Rooms, in reading order:
//! `description` (with `policy` and `upstream`), `compare` (two of them into a plan), `text` (a plan for people).

mod compare;
mod description;
mod policy;
#[cfg(test)]
mod tests;
mod text;
mod upstream;

pub use description::{applied, started_with};
pub use text::Text;

use crate::api::Plan;

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        let Self { services, settings, restart, compile, errors, in_error: _ } = self;
        services.is_empty()
            && settings.is_empty()
            && restart.is_empty()
            && compile.is_empty()
            && errors.is_empty()
    }
}
