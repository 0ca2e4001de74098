//! Upgrade commands for the greeter, against a process that serves.

use super::watershed::{Finished, Watershed};

const FILE: &str = "services/greeter.toml";

/// The commands that ask before they take traffic away.
const ASKING: [&str; 5] = ["deploy", "traffic", "promote", "rollback", "delete"];

/// Runs a command against a process. Nobody is at a terminal, so what would be asked is agreed to.
pub fn tell(watershed: &Watershed, arguments: &[&str]) -> Finished {
    let admin = format!("http://{}", watershed.admin_address());
    watershed.site.run(&[&agreed(arguments)[..], &["--admin", &admin]].concat())
}

/// A command with `--yes`, if it is one that asks.
pub fn agreed<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let asks = arguments.first().is_some_and(|command| ASKING.contains(command));
    arguments.iter().copied().chain(asks.then_some("--yes")).collect()
}

/// Runs a command that must succeed.
#[track_caller]
pub fn done(watershed: &Watershed, arguments: &[&str]) -> String {
    let finished = tell(watershed, arguments);
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout
}

/// Runs a command that must be refused with these words, and change nothing.
#[track_caller]
pub fn refused(watershed: &Watershed, arguments: &[&str], words: &[&str]) {
    let before = watershed.site.read(FILE);
    let finished = tell(watershed, arguments);
    assert_eq!(finished.code, Some(1), "{arguments:?}: {finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not in {finished:?}");
    }
    assert_eq!(watershed.site.read(FILE), before, "{arguments:?}");
}
