//! Behaviours that take more processor time, waiting time or memory than they should.

use std::hint::black_box;
use std::time::Duration;

use crate::call::{Call, Outcome, wait};
use crate::faults::PARTIAL;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MIB: usize = 1024 * 1024;

pub fn spin(_: Call) -> Outcome {
    compute_forever()
}

pub fn spin_late(call: Call) -> Outcome {
    let reply = call.stream()?;
    reply.flush(PARTIAL)?;
    compute_forever()
}

fn compute_forever() -> ! {
    let mut turn = 0_u64;
    loop {
        turn = black_box(turn.wrapping_add(1));
    }
}

/// Honest work: `k` thousand rounds, a tenth of a millisecond or so each, in this many turns with a pause between two.
pub fn work(call: Call) -> Outcome {
    let (turns, rounds, pause) = (call.number("turns"), call.number("k"), call.pause());
    for turn in 0..turns {
        if turn > 0 {
            wait(pause);
        }
        compute(rounds / turns * 1000);
    }
    call.answer(200, "worked\n")
}

fn compute(rounds: u64) {
    let mut sum = 0_u64;
    for round in 0..rounds {
        sum = black_box(sum.wrapping_add(round));
    }
}

pub fn hang(call: Call) -> Outcome {
    wait(DAY);
    call.answer(200, "a day has passed\n")
}

pub fn hang_late(call: Call) -> Outcome {
    let reply = call.stream()?;
    reply.flush(PARTIAL)?;
    wait(DAY);
    reply.finish(None)
}

pub fn after(call: Call) -> Outcome {
    let time = call.pause();
    call.answer(200, "answered\n")?;
    wait(time);
    println!("done after the answer");
    Ok(())
}

pub fn sleep(call: Call) -> Outcome {
    let time = call.pause();
    wait(time);
    call.answer(200, &format!("slept {} ms\n", time.as_millis()))
}

/// An allocation that fails aborts, as in any program that does not ask first.
pub fn hog(call: Call) -> Outcome {
    let held: Vec<Vec<u8>> = (0..call.number("mib")).map(|_| black_box(vec![1; MIB])).collect();
    call.answer(200, &format!("holding {} MiB\n", black_box(held).len()))
}

pub fn try_hog(call: Call) -> Outcome {
    let wanted = call.number("mib");
    let mut held = Vec::new();
    while (held.len() as u64) < wanted
        && let Some(block) = try_block()
        && held.try_reserve(1).is_ok()
    {
        held.push(block);
    }
    let got = black_box(&held).len();
    drop(held); // so that there is memory to say so
    call.answer(200, &format!("got {got} of {wanted} MiB\n"))
}

fn try_block() -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(MIB).ok()?;
    block.resize(MIB, 1);
    Some(black_box(block))
}
