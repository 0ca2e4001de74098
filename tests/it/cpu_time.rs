//! CPU time: cut when it is used up, and shared with the requests beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{LAB, Site, Watershed, assert_problem, lab, limits};

/// One worker thread, so that nothing gets out of a guest's way.
fn one_worker(cpu_time: &str) -> Watershed {
    let lines = format!("cpu-time = \"{cpu_time}\"");
    Site::new().server("threads = 1").service("lab", &(lab("v1") + &limits(&lines))).start()
}

/// The limit is enforced within 10 ms on a machine of its own; this one is shared.
#[test]
fn a_guest_that_computes_is_cut_when_its_time_is_up() {
    let watershed = one_worker("300ms");
    let mut client = watershed.http1();
    let took = [(); 3].map(|()| {
        let started = Instant::now();
        assert_problem(&client.get(LAB, "/loop"), 504, "cpu-time");
        started.elapsed()
    });
    assert!(took.iter().all(|took| *took >= Duration::from_millis(300)), "{took:?}");
    assert!(took.iter().any(|took| *took < Duration::from_millis(350)), "{took:?}");
}

/// Each would wait for a second if the guest did not make room. A few may be slow because the
/// machine gave its cores to others.
#[test]
fn requests_flow_past_a_guest_that_computes_on_their_worker() {
    let watershed = one_worker("1s");
    let looping = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                assert_problem(&watershed.get(LAB, "/loop"), 504, "cpu-time");
            }
            looping.store(false, Ordering::Relaxed);
        });
        let mut kept = watershed.http1();
        let (mut served, mut slow) = (0, Vec::new());
        while looping.load(Ordering::Relaxed) {
            let started = Instant::now();
            let response = match served % 2 {
                0 => kept.get(LAB, "/count"),
                _ => watershed.get(LAB, "/count"),
            };
            assert_eq!(response.text(), "1\n");
            let took = started.elapsed();
            slow.extend((took > Duration::from_millis(150)).then_some(took));
            served += 1;
        }
        assert!(served > 50 && slow.len() * 50 <= served, "of {served}, slow were {slow:?}");
    });
}

/// Time that a guest spends waiting is not CPU time.
#[test]
fn a_guest_that_waits_uses_no_cpu_time() {
    let watershed = one_worker("100ms");
    assert_eq!(watershed.get(LAB, "/sleep?ms=400").text(), "slept 400 ms\n");
}
