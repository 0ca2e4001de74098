//! The history after restarts, kills and damage: it is kept, its numbers go on, and without it everything is served
//! nevertheless.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use watershed::history::{Author, History, HistoryError, Record};

use crate::support::{GREETER, Site, Watershed, eventually, greeter, one_version, split};

const FILE: &str = "services/greeter.toml";
const STATE: &str = "state/history.redb";
const NO_HISTORY: &str = "without a history";

/// How often the server is killed; each time costs a start, about a third of a second.
const KILLS: u64 = 20;

fn two_versions(first: u64) -> String {
    let shares = format!("v1 = {first}, v2 = {}", 100 - first);
    greeter("v1") + &greeter("v2") + &split(&shares)
}

fn served(record: &Record) -> Vec<f64> {
    record.after.iter().map(|share| share.share).collect()
}

fn authors(records: &[Record]) -> Vec<&Author> {
    records.iter().map(|record| &record.author).collect()
}

#[test]
fn generations_and_records_go_on_after_a_restart() {
    let site = Site::new().server("expose = \"decision\"").service("greeter", &two_versions(90));
    let watershed = site.service("other", &greeter("v1")).service("gone", &greeter("v1")).start();
    watershed.site.write(FILE, two_versions(80));
    eventually("the edit", || watershed.history("greeter").len() == 2);
    let (last, records) = (watershed.generation(), watershed.history("greeter"));

    let watershed = watershed.restart();
    assert!(watershed.generation() > last);
    assert_eq!(watershed.history("greeter"), records, "nothing is different");
    assert_eq!(watershed.history("other").len(), 1);
    let response = watershed.get(GREETER, "/");
    let shown = watershed.generation().to_string();
    assert_eq!(response.header("watershed-generation"), Some(shown.as_str()));

    let last = watershed.generation();
    watershed.site.write(FILE, two_versions(70));
    eventually("the edit", || watershed.generation() > last);
    // No client is there to see these generations.
    let mut watershed = watershed;
    watershed.kill();
    watershed.site.write("services/other.toml", two_versions(60));
    fs::remove_file(watershed.site.path("services/gone.toml")).unwrap();
    let watershed = watershed.restart();
    let other = watershed.history("other");
    assert_eq!(authors(&other), [&Author::Start; 2]);
    assert_eq!((served(&other[0]), &other[0].before), (vec![60.0, 40.0], &other[1].after));
    let gone = watershed.history("gone");
    assert_eq!((gone.len(), gone[0].after.len(), gone[0].is_removal()), (2, 0, true));
    assert_eq!(authors(&watershed.history("greeter"))[0], &Author::FileEdit);
    assert!(watershed.restart().history("gone").len() == 2, "it is gone once");
}

#[test]
fn a_generation_that_changed_no_service_is_never_given_again() {
    let watershed = Site::new().service("greeter", &one_version("v1")).start();
    let last = watershed.generation();
    let main = watershed.site.read("watershed.toml");
    watershed.site.write("watershed.toml", main.replace("[server]", "[server]\nexpose = \"none\""));
    eventually("a generation", || watershed.generation() > last);
    let last = watershed.generation();
    assert_eq!(watershed.history("greeter").len(), 1);
    assert!(watershed.restart().generation() > last);
}

/// Edits until the server is gone. Returns every generation that the server reported as served, and v1's share in it.
fn edit_until_killed(site: &Site, reload: &str, first: u64) -> Vec<(u64, u64)> {
    let mut seen = Vec::new();
    for share in (1..100).cycle().skip(usize::try_from(first).unwrap()) {
        site.replace(FILE, two_versions(share));
        let answer = ureq::post(reload).send_empty();
        let document = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        let Ok(document) = document else { break };
        let document: Value = serde_json::from_str(&document).unwrap();
        seen.push((document["generation"].as_u64().unwrap(), share));
    }
    seen
}

#[test]
fn a_kill_loses_nothing_that_was_served() {
    let mut watershed = Site::new().service("greeter", &two_versions(50)).start();
    let (mut first, mut last) = (0, 0);
    for kill in 0..KILLS {
        let reload = format!("http://{}/api/v1/reload", watershed.admin_address());
        let moment = Duration::from_millis(40 + kill * 37 % 200);
        let site = std::mem::replace(&mut watershed.site, Site::new());
        let seen = thread::scope(|scope| {
            let editing = scope.spawn(|| edit_until_killed(&site, &reload, first));
            thread::sleep(moment);
            watershed.kill();
            editing.join().unwrap()
        });
        watershed.site = site;
        watershed = watershed.restart();
        let records = watershed.history("greeter");
        for (generation, share) in &seen {
            let record = records.iter().find(|record| record.generation == *generation);
            let record = record.unwrap_or_else(|| panic!("no {generation}: {records:#?}"));
            let percent = u32::try_from(*share).unwrap();
            assert_eq!(served(record)[0], f64::from(percent), "{record:?}");
        }
        last = seen.iter().map(|(generation, _)| *generation).max().unwrap_or(last);
        assert!(watershed.generation() > last);
        first += u64::try_from(seen.len()).unwrap() + 1;
    }
    assert!(first > 2 * KILLS, "{first} edits are too few to say much");
    let state = fs::read_dir(watershed.site.path("state")).unwrap();
    let damaged = state
        .filter(|file| file.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
    assert_eq!(damaged.count(), 0);
}

/// As in a rolling restart: the second process serves from the start, and records once the first has ended.
#[test]
fn a_second_process_records_when_the_first_has_ended() {
    let mut first = Site::new().service("greeter", &two_versions(90)).start();
    let site = Site::new().service("greeter", &two_versions(80)).service("other", &greeter("v1"));
    let main = site.read("watershed.toml");
    let state = first.site.path("state").display().to_string();
    site.write("watershed.toml", main.replace("\"state\"", &format!("{state:?}")));
    let second = site.start();
    second.assert_serves(GREETER, "/");
    second.log_line(&[NO_HISTORY, "another process", &state]);
    let answer = second.admin("/api/v1/history?service=greeter");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text().contains("another process"), "{answer:?}");
    assert!(second.metric("watershed_history_errors_total", &[]) > 0.5);
    let error = History::read(&first.site.path("state")).unwrap_err();
    assert!(matches!(error, HistoryError::InUse { .. }), "{error}");

    first.site.write(FILE, two_versions(85));
    eventually("the edit", || first.history("greeter").len() == 2);
    let last = first.generation();
    first.kill();
    let before = second.generation();
    second.site.write(FILE, two_versions(70));
    eventually("the next publish", || second.generation() > before);
    assert!(second.generation() > last);
    let records = second.history("greeter");
    assert_eq!(authors(&records), [&Author::FileEdit, &Author::FileEdit, &Author::Start]);
    assert_eq!(served(&records[0]), [70.0, 30.0]);
    assert_eq!(authors(&second.history("other")), [&Author::Start], "what was missed is caught up");
    let warnings = second.stderr().lines().filter(|line| line.contains(NO_HISTORY)).count();
    assert_eq!(warnings, 1);
}

#[test]
fn a_damaged_history_is_moved_aside_and_served_on() {
    let site = Site::new().service("greeter", &one_version("v1"));
    site.write(STATE, "this was a history ".repeat(1000));
    let watershed = site.start();
    watershed.log_line(&["is damaged", "history.redb ", "history.redb.damaged-1"]);
    assert_eq!(authors(&watershed.history("greeter")), [&Author::Start]);
    assert!(watershed.site.path("state/history.redb.damaged-1").exists());
    watershed.assert_serves(GREETER, "/");
}

/// Waits for the log line that says that the history was written anew.
fn await_restored(watershed: &Watershed, how: &str) {
    watershed.log_line(&["the history's file", how, "anew"]);
    watershed.await_metric("watershed_history_restored_total", &[], 1.0);
    eventually("the file", || watershed.site.path(STATE).exists());
}

/// A process whose history has the three generations of two edits, and these.
fn edited() -> (Watershed, Vec<Record>) {
    let watershed = Site::new().service("greeter", &two_versions(90)).start();
    for share in [80, 70] {
        let last = watershed.generation();
        watershed.site.write(FILE, two_versions(share));
        eventually("the edit", || watershed.generation() > last);
    }
    let records = watershed.history("greeter");
    assert_eq!(records.len(), 3);
    (watershed, records)
}

#[test]
fn a_state_directory_that_is_removed_is_made_again_with_all_that_was_in_it() {
    let (watershed, records) = edited();
    let last = watershed.generation();
    fs::remove_dir_all(watershed.site.path("state")).unwrap();
    await_restored(&watershed, "was removed");
    assert_eq!(watershed.history("greeter"), records);
    // A kill right after that, without another publish.
    let watershed = watershed.restart();
    assert!(watershed.generation() > last, "a number is never given twice");
    assert_eq!(watershed.history("greeter"), records);
}

/// Faster than a look at the file could notice.
#[test]
fn an_edit_right_after_the_file_was_removed_is_recorded() {
    let (watershed, records) = edited();
    fs::remove_file(watershed.site.path(STATE)).unwrap();
    let last = watershed.generation();
    watershed.site.write(FILE, two_versions(60));
    eventually("the edit", || watershed.generation() > last);
    await_restored(&watershed, "was removed");
    let last = watershed.generation();
    let watershed = watershed.restart();
    assert!(watershed.generation() > last);
    let after = watershed.history("greeter");
    assert_eq!((after.len(), &after[1..]), (4, &records[..]));
    assert_eq!((served(&after[0])[0], &after[0].author), (60.0, &Author::FileEdit));
}

#[test]
fn a_state_directory_that_takes_anothers_place_is_gone_on_with() {
    let (watershed, records) = edited();
    let path = |name| watershed.site.path(name);
    let other = Site::new().service("other", &one_version("v1")).start();
    fs::create_dir(path("backup")).unwrap();
    let from = other.site.path(STATE);
    drop_process(other, || fs::copy(&from, path("backup/history.redb")).map(drop).unwrap());
    fs::rename(path("state"), path("old")).unwrap();
    fs::rename(path("backup"), path("state")).unwrap();
    await_restored(&watershed, "was removed or replaced");
    assert_eq!(watershed.history("greeter"), records);
    assert_eq!(watershed.history("other").last().unwrap().author, Author::Start);
}

/// Ends a process, and does something before its site is removed.
fn drop_process(mut watershed: Watershed, work: impl FnOnce()) {
    watershed.kill();
    work();
}

#[test]
fn a_file_that_is_cut_off_is_moved_aside_and_begun_anew() {
    let (watershed, _) = edited();
    let last = watershed.generation();
    let file = fs::OpenOptions::new().write(true).open(watershed.site.path(STATE)).unwrap();
    file.set_len(5000).unwrap();
    await_restored(&watershed, "was cut off");
    assert!(watershed.site.path("state/history.redb.damaged-1").exists());
    eventually("what is served", || !watershed.history("greeter").is_empty());
    assert_eq!(served(&watershed.history("greeter")[0]), [70.0, 30.0]);
    watershed.assert_serves(GREETER, "/");
    assert!(watershed.restart().generation() > last, "a number is never given twice");
}

#[test]
fn without_a_place_for_it_everything_is_served_without_a_history() {
    let site = Site::new().service("greeter", &one_version("v1"));
    site.write("state", "a file where a directory should be");
    let watershed = site.start();
    watershed.log_line(&[NO_HISTORY, "state/history.redb", "[state]"]);
    watershed.site.write(FILE, one_version("v2"));
    watershed.await_greeting("Hello from v2!\n");
    assert_eq!(watershed.admin("/api/v1/history?service=greeter").status, 503);
    fs::remove_file(watershed.site.path("state")).unwrap();
    watershed.site.write(FILE, one_version("v3"));
    watershed.await_greeting("Hello from v3!\n");
    assert_eq!(authors(&watershed.history("greeter")), [&Author::FileEdit]);
}
