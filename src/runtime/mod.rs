//! Components, sandboxed: the only place that uses wasmtime, and the surface of a security review.
//!
//! [`Engine`] lives as long as the process, a [`Program`] as long as some version needs its bytes,
//! and a sandbox (private, made by [`Invocation::start`]) for one request. What a guest may see and
//! use is in its [`Grant`], and nowhere else.

mod cpu;
mod engine;
mod guest_log;
mod invoke;
mod program;
mod sandbox;

pub use engine::{EPOCH_TICK, Engine, EngineError, Slot};
pub use invoke::{BodyFeed, Event, GuestFailure, Invocation};
pub use program::{Program, ProgramError, digest_of};
pub use sandbox::Grant;
