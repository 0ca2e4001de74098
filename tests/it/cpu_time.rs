//! CPU time: a guest is stopped when it has used up its limit, and shares the processor with other requests.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{LAB, LABS, Site, Watershed, assert_problem, in_both_worlds, limits};

/// One worker thread, so that nothing can make room for a guest, and the lab of each release of WASI.
fn with_one_worker(cpu_time: &str, test: impl Fn(&Watershed)) {
    let limits = limits(&format!("cpu-time = \"{cpu_time}\""));
    for lab in LABS {
        let site = Site::new().server("threads = 1").service("lab", &(lab("v1") + &limits));
        test(&site.start());
    }
}

/// What the process has used of the cores. The kernel counts it in hundredths of a second.
fn cpu_time(watershed: &Watershed) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", watershed.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 =
        fields.split(' ').skip(12).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// A busy machine takes longer, but not more CPU time. The limit is enforced within a few milliseconds; no guest may
/// use twice the limit on any machine.
#[test]
fn a_guest_that_computes_is_cut_when_its_time_is_up() {
    let limit = Duration::from_millis(300);
    with_one_worker("300ms", |watershed| {
        let mut client = watershed.http1();
        for _ in 0..3 {
            let (started, before) = (Instant::now(), cpu_time(watershed));
            assert_problem(&client.get(LAB, "/loop"), 504, "cpu-time");
            let (wall, cpu) = (started.elapsed(), cpu_time(watershed) - before);
            assert!(wall >= limit && cpu < 2 * limit, "{wall:?}, and {cpu:?} of the cores");
        }
    });
}

/// Between two turns, no epoch may have ended.
#[test]
fn a_guest_that_computes_in_short_turns_is_cut_too() {
    in_both_worlds("cpu-time = \"100ms\"", |watershed| {
        let before = cpu_time(watershed);
        // Each of 10,000 turns takes some tenths of a millisecond.
        let response = watershed.get(LAB, "/work?turns=10000&k=2000000&ms=1");
        assert_problem(&response, 504, "cpu-time");
        let used = cpu_time(watershed) - before;
        // Up to 250 µs of each turn are charged by wall time, so the guest may have used less than its limit. All turns
        // together take some seconds.
        let (least, most) = (Duration::from_millis(60), Duration::from_millis(600));
        assert!(used > least && used < most, "{used:?}");
    });
}

/// While it lives, stops the process for 90 of each 100 ms, as a quota of a tenth of a core does.
struct Throttle<'a> {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    watershed: &'a Watershed,
}

impl<'a> Throttle<'a> {
    fn new(watershed: &'a Watershed) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (ended, pid) = (over.clone(), Pid::from_raw(watershed.pid().try_into().unwrap()));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                kill(pid, Signal::SIGSTOP).unwrap();
                thread::sleep(Duration::from_millis(90));
                kill(pid, Signal::SIGCONT).unwrap();
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self { over, thread: Some(thread), watershed }
    }
}

impl Drop for Throttle<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
        self.watershed.signal(Signal::SIGCONT);
    }
}

/// Time in which the kernel runs other processes is not charged to the guest.
#[test]
fn a_throttled_process_fails_no_honest_request_and_still_cuts_the_others() {
    in_both_worlds("cpu-time = \"50ms\"", |watershed| {
        let throttle = Throttle::new(watershed);
        let mut client = watershed.http1();
        for request in 0..30 {
            // Some milliseconds of work, so that the process is stopped in most requests.
            let response = client.get(LAB, "/work?k=3000");
            assert_eq!(response.text(), "worked\n", "request {request}: {response:?}");
        }
        assert_problem(&client.get(LAB, "/loop"), 504, "cpu-time");
        drop(throttle);
    });
}

/// If the guests did not make room, each request would wait until a guest has used up its second, and there would be
/// two requests for two guests.
#[test]
fn requests_flow_past_a_guest_that_computes_on_their_worker() {
    with_one_worker("1s", |watershed| {
        let looping = AtomicBool::new(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..2 {
                    assert_problem(&watershed.get(LAB, "/loop"), 504, "cpu-time");
                }
                looping.store(false, Ordering::Relaxed);
            });
            let mut kept = watershed.http1();
            let mut served = 0;
            while looping.load(Ordering::Relaxed) {
                let response = match served % 2 {
                    0 => kept.get(LAB, "/count"),
                    _ => watershed.get(LAB, "/count"),
                };
                assert_eq!(response.text(), "1\n");
                served += 1;
            }
            assert!(served > 50, "{served}");
        });
    });
}

/// Time that a guest spends waiting is not CPU time.
#[test]
fn a_guest_that_waits_uses_no_cpu_time() {
    with_one_worker("100ms", |watershed| {
        assert_eq!(watershed.get(LAB, "/sleep?ms=400").text(), "slept 400 ms\n");
    });
}
