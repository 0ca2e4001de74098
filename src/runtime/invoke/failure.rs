//! How guests fail requests, and how errors of wasmtime translate to that.

use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi::I32Exit;

use super::super::cpu::CpuTimeUsedUp;
use super::super::p3::NoHead;

/// How a guest failed a request. The messages are for the log, never for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFailure {
    #[error("the guest trapped: {0}")]
    Trap(String),
    #[error("the guest exceeded its memory limit: {0}")]
    Memory(String),
    #[error("the guest used up its CPU time")]
    CpuTime,
    #[error("the guest used up its wall time")]
    WallTime,
    #[error("the guest's response paused for longer than its idle time")]
    IdleTime,
    #[error("the guest gave no response: {0}")]
    NoResponse(String),
    #[error("the guest broke off its response body: {0}")]
    Truncated(String),
    #[error("the guest gave an invalid response: {0}")]
    BadResponse(String),
    #[error("no sandbox is free: {0}")]
    PoolExhausted(String),
}

pub(super) fn explain(error: &wasmtime::Error, memory_denied: bool) -> GuestFailure {
    tracing::debug!(target: "watershed::runtime::invoke", "{error:?}");
    let text = || error.root_cause().to_string();
    if error.is::<CpuTimeUsedUp>() {
        GuestFailure::CpuTime
    } else if error.is::<PoolConcurrencyLimitError>() {
        GuestFailure::PoolExhausted(text())
    } else if memory_denied {
        GuestFailure::Memory(text())
    } else if let Some(I32Exit(code)) = error.downcast_ref() {
        GuestFailure::NoResponse(format!("it exited with code {code}"))
    } else if let Some(no_head) = error.downcast_ref::<NoHead>() {
        GuestFailure::NoResponse(no_head.to_string())
    } else {
        GuestFailure::Trap(text())
    }
}
