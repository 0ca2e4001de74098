//! Replaces the process while it serves. The *predecessor* starts the program anew and gives the
//! *successor* its listening sockets. Once the successor is ready, it takes over: the history first,
//! then the connections. If anything fails before that, the predecessor goes on as if nothing had been.
//!
//! This room has what both sides share, and knows nothing of what they serve: `link` is the socket
//! between the two, `message` what they say there, `program` how the process was started, `successor`
//! and `predecessor` the two ends, and `state` how a restart stands, for whoever asks or looks.

mod link;
mod message;
mod predecessor;
mod program;
mod state;
mod successor;

pub use message::{Door, Given, Readiness, SocketLabel, ToPredecessor, ToSuccessor};
pub use predecessor::{HandoverError, Predecessor, Voice};
pub use program::Program;
pub use state::{Failure, Phase, Refused, RestartState, Restarts, Wanted};
pub use successor::{Successor, Waited};

/// How long a successor may take from one sign of life to the next, unless somebody says otherwise.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
