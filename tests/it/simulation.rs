//! A simulation of a site that people edit for weeks: services are deployed to, split, ramped, closed,
//! quarantined and restarted, their components are built anew, break and come back, and requests come
//! all the time. The simulation drives the real path from declarations to what is served, reported and
//! planned, without files and sockets, and checks after every publish what must always hold ([`invariants`]).
//!
//! A seed is a run: `WATERSHED_SEEDS=7` repeats the run of seed 7, `WATERSHED_SEEDS=0..1000` makes a
//! thousand runs. A run that fails is repeated with fewer steps until each of them is needed. Then the
//! seed, these steps and the failure are printed.

mod invariants;
mod process;
mod site;
mod steps;

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use process::{Makes, Process};
use site::Site;
use steps::Step;

/// The runs of every test, some thousand steps.
const SEEDS: Range<u64> = 0..30;

/// How many steps a run has.
const STEPS: usize = 150;

/// Situations that must occur in some of the runs: without them, the invariants would prove little.
const SITUATIONS: [&str; 15] = [
    "a service by its latest version",
    "a service without any share, as it is meant",
    "a service of which nothing can be had",
    "a service that goes on as before",
    "a service that nothing changed",
    "a request by a rule",
    "a request by an override",
    "a request whose override is denied",
    "a request by a sticky key",
    "a request whose rule fails it",
    "a user who stays with a pinned version",
    "a plan of what is served next",
    "shares counted by all keys",
    "shares counted by all turns",
    "a main file that is wrong",
];

/// How often each situation was seen.
type Seen = BTreeMap<&'static str, usize>;

#[test]
fn whatever_is_edited_what_is_served_told_and_planned_is_one() {
    let makes = Makes::new();
    let seeds = seeds();
    let is_usual = seeds == SEEDS;
    let mut seen = Seen::new();
    for seed in seeds {
        let steps = steps::of_seed(seed, STEPS);
        if let Err(wrong) = run(&makes, &steps, &mut seen) {
            fail(&makes, seed, steps, wrong);
        }
    }
    let unseen = SITUATIONS.iter().filter(|it| seen.get(*it).is_none_or(|times| *times < 10));
    let unseen: Vec<_> = unseen.collect();
    assert!(!is_usual || unseen.is_empty(), "seen less than 10 times: {unseen:?} in {seen:#?}");
}

fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("WATERSHED_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse().expect("WATERSHED_SEEDS is like 7 or 0..1000");
    match asked.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&asked)..number(&asked) + 1,
    }
}

/// Does the steps one by one. Returns what is wrong after one of them, if anything is.
fn run(makes: &Makes, steps: &[Step], seen: &mut Seen) -> Result<(), String> {
    let run = || {
        let (mut site, mut process) = (Site::new(), Process::start(makes));
        process.take(&site, seen)?;
        for (number, step) in steps.iter().enumerate() {
            step.make(&mut site, &mut process, seen)
                .map_err(|wrong| format!("after step {number}, {step:?}: {wrong}"))?;
        }
        Ok(())
    };
    // The simulated code may panic; the message is printed by then.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

/// Leaves out steps that the failure does not need: long parts first, then short ones.
fn fail(makes: &Makes, seed: u64, mut steps: Vec<Step>, mut wrong: String) -> ! {
    let all = steps.len();
    let mut length = all / 2;
    while length > 0 {
        let mut from = 0;
        while from < steps.len() {
            let to = steps.len().min(from + length);
            let fewer: Vec<_> = steps[..from].iter().chain(&steps[to..]).copied().collect();
            match run(makes, &fewer, &mut Seen::new()) {
                Err(still) => (steps, wrong) = (fewer, still),
                Ok(()) => from = to,
            }
        }
        length /= 2;
    }
    let trace: String = steps.iter().map(|step| format!("  {step:?}\n")).collect();
    panic!("WATERSHED_SEEDS={seed}: of {all} steps, these are enough:\n{trace}{wrong}");
}
