//! Behaviours that fail outright, before the response head or after it.

use std::time::Duration;

use wasip2::http::types::{ErrorCode, ResponseOutparam};

use crate::call::{Call, Outcome, Reply, wait};

pub const PARTIAL: &[u8] = b"partial\n";

pub fn trap(_: Call) -> Outcome {
    core::arch::wasm32::unreachable()
}

pub fn panic(_: Call) -> Outcome {
    panic!("the lab was asked to panic")
}

pub fn late_trap(call: Call) -> Outcome {
    let pause = call.pause();
    send_partial(&call.stream()?, pause)?;
    core::arch::wasm32::unreachable()
}

/// The host refuses the end of a body that is shorter than it promised, and so does `finish`.
pub fn late_drop(call: Call) -> Outcome {
    let pause = call.pause();
    let reply = call.head(200, &[("content-type", b"text/plain"), ("content-length", b"100")])?;
    send_partial(&reply, pause)?;
    reply.finish(None)
}

pub fn no_finish(call: Call) -> Outcome {
    let pause = call.pause();
    send_partial(&call.stream()?, pause)
}

pub fn never(_: Call) -> Outcome {
    Ok(())
}

pub fn error(call: Call) -> Outcome {
    let code = ErrorCode::InternalError(Some(String::from("the lab was asked to fail")));
    ResponseOutparam::set(call.out, Err(code));
    Ok(())
}

pub fn exit(_: Call) -> Outcome {
    std::process::exit(1)
}

pub fn late_exit(call: Call) -> Outcome {
    let pause = call.pause();
    let reply = call.head(200, &[("content-length", b"17")])?;
    send_partial(&reply, pause)?;
    reply.write(b"complete\n")?;
    reply.finish(None)?;
    std::process::exit(1)
}

/// Sends a chunk, and waits until the host has taken it, and `ms` longer for a host that has yet to pass it on.
fn send_partial(reply: &Reply, pause: Duration) -> Outcome {
    reply.flush(PARTIAL)?;
    if !pause.is_zero() {
        wait(pause);
    }
    Ok(())
}
