//! A file that is being written is never served: not what a slow writer has written so far, not the emptiness before,
//! and not each of a thousand edits.

use std::fs::{self, File};
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    GREETER, Response, Site, Watershed, eventually, greeter, lab, plugin, split, while_requested,
    within,
};

const FILE: &str = "services/greeter.toml";

/// How long a slow writer pauses.
const PAUSE: Duration = Duration::from_millis(200);

const EVENTS: &str = "events";
const POLL: &str = "poll:200ms";

/// The first version, with which the file would be valid, and the rest of the file.
fn parts(shares: &str) -> (String, String) {
    (greeter("v0"), greeter("v1") + &greeter("v2") + &split(shares))
}

fn whole(shares: &str) -> String {
    let (start, rest) = parts(shares);
    start + &rest
}

fn serve(watch: &str) -> Watershed {
    let site = Site::new().server(&format!("watch = {watch:?}"));
    let watershed = site.service("greeter", &whole("v0 = 0, v1 = 100, v2 = 0")).start();
    assert!(is_v1_or_v2(&watershed.get(GREETER, "/")));
    watershed
}

fn is_v1_or_v2(response: &Response) -> bool {
    ["Hello from v1!\n", "Hello from v2!\n"].contains(&response.text().as_str())
}

fn loads(watershed: &Watershed, outcome: &str) -> f64 {
    watershed.metric("watershed_reloads_total", &[("outcome", outcome)])
}

/// Moves the traffic from v1 to v2 by a slow `write`, and asserts that nothing else was published.
#[track_caller]
fn assert_one_publish(watch: &str, write: impl FnOnce(&Site, &str, &str)) -> Watershed {
    let watershed = serve(watch);
    let (generation, published) = (watershed.generation(), loads(&watershed, "published"));
    while_requested(&watershed, is_v1_or_v2, || {
        let (start, rest) = parts("v0 = 0, v1 = 0, v2 = 100");
        write(&watershed.site, &start, &rest);
        watershed.await_greeting("Hello from v2!\n");
    });
    watershed.await_metric("watershed_reloads_total", &[("outcome", "published")], published + 1.0);
    assert_eq!(watershed.generation(), generation + 1);
    watershed
}

/// Empties the file, waits, writes a part, waits, and writes the rest before it closes the file.
fn through_one_open_file(site: &Site, start: &str, rest: &str) {
    let mut file = File::create(site.path(FILE)).unwrap();
    for part in [start, rest] {
        thread::sleep(PAUSE);
        file.write_all(part.as_bytes()).unwrap();
    }
}

#[test]
fn a_file_that_is_open_for_writing_is_not_read() {
    let watershed = assert_one_publish(EVENTS, through_one_open_file);
    assert!(loads(&watershed, "rejected") < 0.5, "it was read in between");
}

#[test]
fn a_file_that_still_changes_is_not_read_when_polled() {
    let watershed = assert_one_publish(POLL, through_one_open_file);
    assert!(loads(&watershed, "rejected") < 0.5, "it was read in between");
}

/// `: > file; sleep 0.2; cat new > file`
fn emptied_and_written_later(site: &Site, start: &str, rest: &str) {
    site.write(FILE, "");
    thread::sleep(PAUSE);
    site.write(FILE, format!("{start}{rest}"));
}

#[test]
fn a_file_that_was_emptied_declares_nothing() {
    assert_one_publish(EVENTS, emptied_and_written_later);
}

#[test]
fn a_file_that_was_emptied_declares_nothing_when_polled() {
    assert_one_publish(POLL, emptied_and_written_later);
}

#[test]
fn a_main_file_that_was_emptied_is_not_all_defaults() {
    let watershed = serve(EVENTS);
    let (generation, main) = (watershed.generation(), watershed.site.read("watershed.toml"));
    while_requested(&watershed, is_v1_or_v2, || {
        watershed.site.write("watershed.toml", "");
        eventually("a report", || watershed.status()["last_reload"]["outcome"] == "rejected");
        watershed.log_line(&["declares nothing"]);
        watershed.site.write("watershed.toml", &main);
        eventually("no report", || watershed.status()["last_reload"]["outcome"] != "rejected");
    });
    assert_eq!(watershed.generation(), generation);
}

/// A writer that never closes its file holds up no edit for long, neither its own nor others.
#[test]
fn a_file_that_is_never_closed_is_read_all_the_same() {
    let watershed = serve(EVENTS);
    let mut log = File::create(watershed.site.path("services/access.log")).unwrap();
    let mut file = File::create(watershed.site.path(FILE)).unwrap();
    file.write_all(whole("v0 = 0, v1 = 0, v2 = 100").as_bytes()).unwrap();
    within(Duration::from_secs(30), "v2", || {
        log.write_all(b"GET / 200\n").unwrap();
        watershed.get(GREETER, "/").text() == "Hello from v2!\n"
    });
}

/// A linker that writes over its last result.
fn assert_slow_build_is_awaited(watch: &str) {
    let site = Site::new().server(&format!("watch = {watch:?}"));
    site.write("bin/copy.wasm", fs::read(plugin("lab")).unwrap());
    let original = plugin("lab").display().to_string();
    let copy = site.path("bin/copy.wasm").display().to_string();
    let watershed = site.service("greeter", &lab("v1").replace(&original, &copy)).start();
    let greets = fs::read(plugin("greeter")).unwrap();
    while_requested(
        &watershed,
        |_| true,
        || {
            let mut file = File::create(watershed.site.path("bin/copy.wasm")).unwrap();
            for chunk in greets.chunks(greets.len() / 5) {
                thread::sleep(PAUSE);
                file.write_all(chunk).unwrap();
            }
            drop(file);
            watershed.await_greeting("Hello!\n");
        },
    );
    let log = watershed.stderr();
    assert!(!log.contains("ERROR"), "it was read in between: {log}");
}

#[test]
fn a_component_is_read_when_it_is_written() {
    assert_slow_build_is_awaited(EVENTS);
}

#[test]
fn a_component_is_read_when_it_is_written_when_polled() {
    assert_slow_build_is_awaited(POLL);
}

/// Edits without end cause at most one load in 400 ms; the rest is for what comes before and after them.
fn assert_burst_is_few_loads(watch: &str) {
    let watershed = serve(watch);
    let all = || watershed.metric("watershed_reloads_total", &[]);
    let (before, started) = (all(), Instant::now());
    while_requested(&watershed, is_v1_or_v2, || {
        for edit in 0..1_000 {
            let share = edit % 101;
            let shares = format!("v0 = 0, v1 = {share}, v2 = {}", 100 - share);
            watershed.site.write(FILE, whole(&shares));
            thread::sleep(Duration::from_millis(1));
        }
        watershed.site.write(FILE, whole("v0 = 0, v1 = 0, v2 = 100"));
        eventually("the last edit", || {
            let shares = &watershed.service("greeter")["versions"];
            (0..3).all(|version| shares[version]["share"] == if version == 2 { 100.0 } else { 0.0 })
        });
    });
    let most = started.elapsed().as_secs_f64() / 0.4 + 3.0;
    assert!(all() - before <= most, "{} loads in {:?}", all() - before, started.elapsed());
    assert_eq!(watershed.get(GREETER, "/").text(), "Hello from v2!\n");
}

#[test]
fn a_thousand_edits_are_a_few_loads() {
    assert_burst_is_few_loads(EVENTS);
}

#[test]
fn a_thousand_edits_are_a_few_loads_when_polled() {
    assert_burst_is_few_loads(POLL);
}
