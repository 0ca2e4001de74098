//! Ten reloads a second among a thousand services, under load: no request fails, none sees two generations, and no old
//! generation stays.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Site, StopOnDrop, Watershed, greeter, split};

const SERVICES: usize = 1_000;
const EDITS: u32 = 30;
const PERIOD: Duration = Duration::from_millis(100);
const EDITED: &str = "services/s500.toml";
const HOST: &str = "s500.localhost";

/// All traffic to one of two versions, in turn.
fn service(turn: u32) -> String {
    let all = if turn.is_multiple_of(2) { "v1 = 100, v2 = 0" } else { "v1 = 0, v2 = 100" };
    greeter("v1") + &greeter("v2") + &split(all)
}

/// What a client saw of a generation: the version that answered.
type Seen = HashMap<u64, String>;

/// Sends requests until told to stop. Every response is complete, and a generation has one version only.
fn hammer(watershed: &Watershed, running: &AtomicBool) -> Seen {
    let mut client = watershed.http1();
    let (mut seen, mut last) = (Seen::new(), 0);
    while running.load(Ordering::Relaxed) {
        let response = client.get(HOST, "/");
        assert_eq!((response.status, response.complete), (200, true), "{response:?}");
        let version = response.header("watershed-version").unwrap().to_owned();
        assert_eq!(response.text(), format!("Hello from {version}!\n"));
        let generation = response.header("watershed-generation").unwrap().parse().unwrap();
        assert!(generation >= last, "{generation} after {last}");
        last = generation;
        let first = seen.entry(generation).or_insert_with(|| version.clone());
        assert_eq!(*first, version, "two versions in generation {generation}");
    }
    seen
}

#[test]
fn ten_reloads_a_second_of_a_thousand_services_fail_no_request() {
    let site = Site::new().server("expose = \"decision\"");
    for number in 0..SERVICES {
        site.write(&format!("services/s{number}.toml"), greeter("v1"));
    }
    site.write(EDITED, service(0));
    let watershed = site.start();
    let before = watershed.generation();
    let running = AtomicBool::new(true);
    let seen: Vec<Seen> = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|_| scope.spawn(|| hammer(&watershed, &running))).collect();
        let stop = StopOnDrop(&running);
        let started = Instant::now();
        for turn in 1..=EDITS {
            watershed.site.replace(EDITED, service(turn));
            thread::sleep((PERIOD * turn).saturating_sub(started.elapsed()));
        }
        drop(stop);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });

    let mut versions = Seen::new();
    for (generation, version) in seen.into_iter().flatten() {
        let first = versions.entry(generation).or_insert_with(|| version.clone());
        assert_eq!(*first, version, "two versions in generation {generation}");
    }
    let published = watershed.generation() - before;
    assert!(published >= u64::from(EDITS / 3), "only {published} generations of {EDITS} edits");
    assert!(versions.len() > 5, "{versions:?}");
    let last = &watershed.status()["last_reload"];
    assert_eq!(last["files_read"], 1, "one file was edited: {last}");
    watershed.await_metric("watershed_config_generations", &[], 1.0);
    watershed.await_metric("watershed_reloads_total", &[("outcome", "rejected")], 0.0);
}
