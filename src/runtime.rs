//! Runs components in sandboxes. This is the only room that uses wasmtime, and the one for a
//! security review to read.
//!
//! [`Engine`] lives as long as the process, a [`Program`] as long as some version needs its bytes, a
//! [`Guest`] as long as its version, and a sandbox for one request, unless its [`Grant`] says more.
//! A guest may see and use what is in its grant, and nothing else.

mod artifact;
mod cache;
mod child;
mod compile;
mod cpu;
mod engine;
mod guest;
mod guest_env;
mod guest_log;
mod invoke;
mod length;
mod memory;
mod outbound;
mod p3;
mod pace;
mod program;
mod sandbox;
mod thread_clock;
mod ticker;
mod usage;
mod world;

pub use cache::{CacheError, CompileCache};
pub use child::compile_for;
pub use compile::Compiler;
pub use engine::{Engine, EngineError, PoolSize, Slot};
pub use guest::{Guest, Reservation};
pub use guest_env::GuestEnv;
pub use invoke::{Event, GuestFailure, Invocation};
pub use memory::{give_back_memory, share_freed_pages};
pub use outbound::{
    Answer, Call, CallBody, CallError, CallTimes, Caller, Chain, Outbound, Sending,
};
pub use program::{Program, ProgramError, digest_of};
pub use sandbox::Grant;
pub use usage::Usage;
pub use world::{World, outgoing_import};
