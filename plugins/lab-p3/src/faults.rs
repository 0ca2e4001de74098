//! Behaviours that fail, or take more time or memory than they should.

use std::hint::black_box;
use std::mem;

use wasip3::spawn_local;

use crate::Answer;
use crate::reply::{Body, Gone, answer, start, stream, wait};

const DAY: u64 = 24 * 60 * 60 * 1000;
const MIB: usize = 1024 * 1024;

async fn partial(body: &mut Body) -> Result<(), Gone> {
    body.write(b"partial\n".into()).await
}

pub fn trap() -> Answer {
    core::arch::wasm32::unreachable()
}

pub fn late_trap(pause: u64) -> Answer {
    stream(async move |mut body| {
        partial(&mut body).await?;
        wait(pause).await;
        core::arch::wasm32::unreachable()
    })
}

/// Promises 100 bytes, sends 8 and finishes.
pub fn late_drop(pause: u64) -> Answer {
    let (response, mut body, _) = start(&[("content-length", "100")])?;
    spawn_local(async move {
        if partial(&mut body).await.is_ok() {
            wait(pause).await;
            body.finish(None).await.ok();
        }
    });
    Ok(response)
}

/// Drops its body unfinished.
pub fn no_finish(pause: u64) -> Answer {
    stream(async move |mut body| {
        partial(&mut body).await?;
        wait(pause).await;
        Ok(())
    })
}

/// Ends, and leaves its body open for ever.
pub fn leak() -> Answer {
    stream(async move |mut body| {
        partial(&mut body).await?;
        mem::forget(body);
        Ok(())
    })
}

pub fn spin() -> Answer {
    compute_forever()
}

pub fn spin_late() -> Answer {
    stream(async move |mut body| {
        partial(&mut body).await?;
        compute_forever()
    })
}

fn compute_forever() -> ! {
    let mut turn = 0_u64;
    loop {
        turn = black_box(turn.wrapping_add(1));
    }
}

/// Honest work: `k` thousand rounds, in this many turns with a pause between two.
pub async fn work(turns: u64, rounds: u64, pause: u64) -> Answer {
    for turn in 0..turns {
        if turn > 0 {
            wait(pause).await;
        }
        compute(rounds / turns * 1000);
    }
    answer(200, "worked\n".into())
}

fn compute(rounds: u64) {
    let mut sum = 0_u64;
    for round in 0..rounds {
        sum = black_box(sum.wrapping_add(round));
    }
}

pub async fn hang() -> Answer {
    wait(DAY).await;
    answer(200, "a day has passed\n".into())
}

pub fn hang_late() -> Answer {
    stream(async move |mut body| {
        partial(&mut body).await?;
        wait(DAY).await;
        body.finish(None).await
    })
}

pub async fn sleep(pause: u64) -> Answer {
    wait(pause).await;
    answer(200, format!("slept {pause} ms\n"))
}

pub fn after(pause: u64) -> Answer {
    let response = answer(200, "answered\n".into());
    spawn_local(async move {
        wait(pause).await;
        println!("done after the answer");
    });
    response
}

/// An allocation that fails aborts, as in any program that does not ask first.
pub fn hog(mib: u64) -> Answer {
    let held: Vec<Vec<u8>> = (0..mib).map(|_| black_box(vec![1; MIB])).collect();
    answer(200, format!("holding {} MiB\n", black_box(held).len()))
}
