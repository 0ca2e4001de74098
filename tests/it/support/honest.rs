//! An honest client beside a hostile one.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::watershed::Watershed;
use super::{DEADLINE, LAB};

/// What a hostile connection may add to the memory of the process.
const ROOM: usize = 24 << 20;

/// The resident memory of the process.
fn resident(watershed: &Watershed) -> usize {
    let statm = fs::read_to_string(format!("/proc/{}/statm", watershed.pid())).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Attacks while an honest client goes on: it is answered each time, and the memory stays within bounds.
#[track_caller]
pub fn beside_an_honest_client(watershed: &Watershed, what: &str, attack: impl FnOnce() + Send) {
    beside_an_honest_client_within(ROOM, watershed, what, attack);
}

/// The same for an attack that has requests served, which take memory themselves.
#[track_caller]
pub fn beside_an_honest_client_within(
    room: usize,
    watershed: &Watershed,
    what: &str,
    attack: impl FnOnce() + Send,
) {
    let honest = watershed.http2();
    for _ in 0..20 {
        assert_eq!(honest.get(LAB, "/count").status, 200);
    }
    let before = resident(watershed);
    let (mut most, mut slowest) = (before, Duration::ZERO);
    thread::scope(|scope| {
        let attacking = scope.spawn(attack);
        while !attacking.is_finished() {
            let began = Instant::now();
            assert_eq!(honest.get(LAB, "/count").status, 200, "{what}");
            slowest = slowest.max(began.elapsed());
            most = most.max(resident(watershed));
        }
        if let Err(panic) = attacking.join() {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(watershed.http1().get(LAB, "/count").status, 200, "{what}");
    assert!(most - before < room, "{what}: {} MiB", (most - before) >> 20);
    assert!(slowest < DEADLINE / 2, "{what}: {slowest:?}");
}
