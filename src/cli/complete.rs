//! What a shell offers at the Tab key: names in the files, and what the process that serves them knows. Nobody would
//! read an error, so every failure offers less. A shell waits, so all that is known within a moment is offered.

mod line;
mod names;

use std::ffi::OsStr;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use line::Line;
use names::Names;

use super::table::harmless;

/// How long files and processes may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a new version may get, beside any other percentage.
const PORTIONS: [&str; 7] = ["hold", "all", "1", "5", "10", "25", "50"];

/// The percentages that are offered where the other versions leave it open.
const SHARES: [u32; 6] = [1, 5, 10, 25, 50, 100];

/// What is offered, and what it means.
type Offer = (String, Option<String>);

/// Finds what is offered, and sends it part by part: what is sent is offered, even if the rest takes too long.
type Find = fn(&Names, &Sender<Vec<Offer>>);

/// The services of all environments, or of the one that the line names.
pub(super) fn services() -> ArgValueCompleter {
    offering(|names, found| send(found, names.services()))
}

/// The versions of the service that the line names.
pub(super) fn versions() -> ArgValueCompleter {
    offering(|names, found| send(found, names.versions()))
}

/// What a rollback may go back to: the versions of the service, and its generations, the newest first.
pub(super) fn aims() -> ArgValueCompleter {
    offering(|names, found| {
        send(found, names.versions());
        found.send(names.generations()).ok();
    })
}

/// The versions that have no share on the line yet, each with a `=`. After a `=`, percentages: what the others leave
/// of 100, if they have theirs.
pub(super) fn shares() -> ArgValueCompleter {
    offering(|names, found| send(found, shares_of(&names.line, names.versions())))
}

/// The versions, each with the whole range of its shares.
pub(super) fn ramps() -> ArgValueCompleter {
    offering(|names, found| {
        let versions = names.versions().into_iter();
        send(found, versions.map(|version| format!("{version}=0..100")).collect());
    })
}

/// What a new version may get.
pub(super) fn portions() -> ArgValueCompleter {
    offering(|_, found| send(found, PORTIONS.map(str::to_owned).to_vec()))
}

/// The environments.
pub(super) fn environments() -> ArgValueCompleter {
    offering(|names, found| send(found, names.environments()))
}

/// The admin listener of the files.
pub(super) fn admins() -> ArgValueCompleter {
    offering(|names, found| send(found, names.admin().into_iter().collect()))
}

fn offering(find: Find) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| offer(current, in_time(find)))
}

fn send(found: &Sender<Vec<Offer>>, names: Vec<String>) {
    // Nobody waits any more where it took too long.
    found.send(names.into_iter().map(|name| (name, None)).collect()).ok();
}

/// What is found before the patience ends. A file system or a process that does not answer is left behind: the
/// program ends after this.
fn in_time(find: Find) -> Vec<Offer> {
    let (sender, found) = mpsc::channel();
    let search = move || find(&Names::of(Line::typed()), &sender);
    if thread::Builder::new().spawn(search).is_err() {
        return Vec::new();
    }
    let deadline = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    while let Ok(some) = found.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        all.extend(some);
    }
    all
}

/// The offers that continue what is typed, in their order.
fn offer(current: &OsStr, offers: Vec<Offer>) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    let fitting = offers
        .into_iter()
        .filter(|(value, _)| value.starts_with(begun.as_ref()) && value.chars().all(is_plain));
    let candidate = |(order, (value, meaning)): (usize, Offer)| {
        let meaning = meaning.map(|meaning| harmless(&meaning).into());
        let candidate = CompletionCandidate::new(value).help(meaning);
        candidate.display_order(Some(order))
    };
    fitting.enumerate().map(candidate).collect()
}

/// Whether a shell takes a character as it is. What comes from a process or a file's name could be a command.
fn is_plain(char: char) -> bool {
    char.is_alphanumeric() || "-_.:/=[]".contains(char)
}

fn shares_of(line: &Line, versions: Vec<String>) -> Vec<String> {
    let given: Vec<_> = line.shares().collect();
    let (Some((version, _)), true) = (given.last(), line.is_in_share()) else {
        let is_left = |version: &String| given.iter().all(|(given, _)| given != version);
        return versions.into_iter().filter(is_left).map(|version| format!("{version}=")).collect();
    };
    let others: Vec<f64> =
        given.iter().rev().skip(1).filter_map(|(_, share)| share.parse().ok()).collect();
    let rest = 100.0 - others.iter().sum::<f64>();
    match others.is_empty() {
        true => SHARES.map(|share| format!("{version}={share}")).to_vec(),
        false if rest > 0.0 => vec![format!("{version}={}", (rest * 100.0).round() / 100.0)],
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_completed_to_a_hundred() {
        let shares = |words: &str| {
            let words = words.split(' ').map(ToOwned::to_owned).collect();
            let versions = ["v1", "v2", "v3"].map(str::to_owned).to_vec();
            shares_of(&Line::of(words), versions).join(" ")
        };
        assert_eq!(shares("traffic greeter "), "v1= v2= v3=");
        assert_eq!(shares("traffic greeter v1=90 v"), "v2= v3=");
        assert_eq!(shares("traffic greeter v1=90 v2="), "v2=10");
        assert_eq!(shares("traffic greeter v1=90 v2=0.5 v3="), "v3=9.5");
        assert_eq!(shares("traffic greeter v1=90 v2=20 v3="), "");
        assert_eq!(shares("traffic greeter v1="), "v1=1 v1=5 v1=10 v1=25 v1=50 v1=100");
    }

    #[test]
    fn nothing_is_offered_that_a_shell_or_a_terminal_would_obey() {
        let offers =
            ["v1", "1.2.3", "v$(reboot)", "v`id`", "v;id", "v\n", "v\u{1b}[2J", "v\u{202e}"];
        let offers = offers.map(|value| (value.to_owned(), Some("a\u{1b}[2J\nb".to_owned())));
        let offered = offer(OsStr::new(""), offers.to_vec());
        let values: Vec<_> = offered.iter().map(CompletionCandidate::get_value).collect();
        assert_eq!(values, ["v1", "1.2.3"]);
        let meaning = offered[0].get_help().unwrap().to_string();
        assert_eq!(meaning, "a\\u{1b}[2J\\nb");
        assert!("http://[::1]:9090=0..100 v-1_a".split(' ').all(|it| it.chars().all(is_plain)));
    }

    #[test]
    fn what_takes_too_long_is_left_out() {
        let started = Instant::now();
        let found = in_time(|_, found| {
            send(found, vec!["v1".to_owned()]);
            thread::sleep(Duration::from_secs(60));
            send(found, vec!["v2".to_owned()]);
        });
        assert_eq!(found, [("v1".to_owned(), None)]);
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
