//! The pool of sandboxes: how many there may be, what they cost while idle, and the error on a machine that is too
//! small for them.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::{
    Finished, GREETER, LAB, Site, Watershed, assert_problem, eventually, greeter, lab, limits,
    within,
};

/// Address space for a few sandboxes of 4 GiB in each world, in KiB.
const SMALL: u64 = 80 << 20;

/// The site's `run` in a process whose address space is small.
fn in_small_space(site: &Site) -> Command {
    let run = site.command(&["run"]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {SMALL} && exec \"$0\" \"$@\""));
    shell.arg(run.get_program()).args(run.get_args());
    shell
}

/// The number that the error suggests.
fn advised(said: &str) -> u32 {
    let (_, rest) = said.split_once("set `sandboxes = ").expect(said);
    rest.split('`').next().unwrap().parse().expect(said)
}

#[test]
fn a_pool_that_does_not_fit_is_refused_with_the_size_that_does() {
    let site = Site::new().service("greeter", &greeter("v1"));
    let refused = Finished::of(in_small_space(&site));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("address space of 1024 sandboxes"), "{refused:?}");
    let fits = advised(&refused.stderr);
    assert!((1..20).contains(&fits), "{refused:?}");

    let site = Site::new()
        .server(&format!("sandboxes = {fits}\nthreads = 1"))
        .service("greeter", &greeter("v1"));
    let command = in_small_space(&site);
    Watershed::spawn(site, command).assert_serves(GREETER, "/");
}

#[test]
fn a_pool_that_needs_too_many_mappings_is_refused_with_the_size_that_does() {
    let allowed: u32 =
        fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    if allowed > 130_000 {
        return; // No size that a file may say needs as many.
    }
    let site = Site::new().server("sandboxes = 10_000").service("greeter", &greeter("v1"));
    let refused = site.run(&["run"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("vm.max_map_count"), "{refused:?}");
    assert!(advised(&refused.stderr) < 10_000, "{refused:?}");
}

#[test]
fn requests_over_the_pool_wait_and_are_then_refused() {
    let site = Site::new().server("sandboxes = 1").service("lab", &lab("v1"));
    let watershed = site.start();
    let mut first = watershed.http1();
    first.send("GET /hang HTTP/1.1\r\nhost: lab.localhost\r\n\r\n");
    eventually("the first is in its sandbox", || watershed.get(LAB, "/count").status == 503);
    first.reset();
    eventually("a sandbox is free", || watershed.get(LAB, "/count").status == 200);
    assert_problem(&watershed.get(LAB, "/trap"), 500, "trap");
    watershed.assert_serves(LAB, "/count");
}

/// How often the thread that interrupts guests has slept.
fn naps(watershed: &Watershed) -> u64 {
    let tasks = format!("/proc/{}/task", watershed.pid());
    let of_thread = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let naps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        (name.trim() == "epoch").then(|| naps.trim().parse().unwrap())
    };
    fs::read_dir(tasks).unwrap().filter_map(Result::ok).find_map(of_thread).unwrap()
}

#[test]
fn no_clock_ticks_while_no_guest_runs_and_it_ticks_again_for_one_that_does() {
    let watershed =
        Site::new().service("lab", &(lab("v1") + &limits("cpu-time = \"100ms\""))).start();
    watershed.assert_serves(LAB, "/count");
    let mut before = naps(&watershed);
    within(Duration::from_secs(10), "the clock rests", || {
        thread::sleep(Duration::from_millis(300));
        let now = naps(&watershed);
        std::mem::replace(&mut before, now) == now
    });
    assert_problem(&watershed.get(LAB, "/loop"), 504, "cpu-time");
    assert!(naps(&watershed) > before + 10);
}
