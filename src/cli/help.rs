//! What the help of all commands has in common. A command gives its examples and notes as `after_help`; the exit codes
//! are added here, once for all commands.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory};

use crate::config::{LABEL_HELP, LabelError, suggest};

use super::{Cli, FAILED, USAGE, WOULD_CHANGE};

/// No line of help is longer, in columns, however wide the terminal is.
pub(super) const WIDTH: usize = 80;

/// The exit codes, and what each means.
pub(super) const EXIT_CODES: [(u8, &str); 4] = [
    (0, "done, or nothing to do"),
    (FAILED, "refused or failed"),
    (WOULD_CHANGE, "something would change"),
    (USAGE, "wrong usage"),
];

/// Options that many commands share, in their order.
const SHARED: [&str; 5] = ["environment", "config", "admin", "token_file", "json"];

/// clap numbers a command's own options from 0 on, and puts `--help` last.
const AFTER_OWN: usize = 900;

/// A part of what the help of a command says after its options.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// What the lines after it are, as `Examples`.
    Title(&'a str),
    /// Lines that stay as they are, as those of examples.
    Lines(Vec<&'a str>),
    /// A paragraph, on one line.
    Text(String),
}

/// The command line, with the help of each command complete.
pub(super) fn command() -> Command {
    complete(Cli::command().max_term_width(WIDTH))
}

/// Adds the exit codes. The summary (`-h`) has the examples alone.
fn complete(command: Command) -> Command {
    let command = command.mut_subcommands(complete).mut_args(in_order);
    if command.is_hide_set() {
        return command;
    }
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let parts = parts(&notes);
    let codes: Vec<_> =
        exit_codes(&command).map(|(code, meaning)| format!("{code} {meaning}")).collect();
    let codes = format!("Exit codes: {}.", codes.join("; "));
    let long = [text(&parts), codes].join("\n\n");
    let examples = text(parts.get(..2).unwrap_or_default());
    command.after_help(examples).after_long_help(long.trim_start().to_owned())
}

/// A command's own options first, and then those that all commands share.
fn in_order(argument: Arg) -> Arg {
    let place = SHARED.iter().position(|name| argument.get_id() == name);
    match place {
        Some(place) => argument.display_order(AFTER_OWN + place),
        None => argument,
    }
}

/// The exit codes that a command has.
pub(super) fn exit_codes(command: &Command) -> impl Iterator<Item = (u8, &'static str)> {
    let may_change = may_change(command);
    EXIT_CODES.into_iter().filter(move |(code, _)| may_change || *code != WOULD_CHANGE)
}

/// Whether a command can say what would change.
fn may_change(command: &Command) -> bool {
    let mut arguments = command.get_arguments();
    command.get_name() == "plan"
        || arguments.any(|argument| argument.get_long() == Some("dry-run"))
        || command.get_subcommands().any(may_change)
}

/// The parts of a command's notes. Indented lines stay as they are, and other lines in a row are a paragraph.
pub(super) fn parts(notes: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut is_open = false;
    for line in notes.lines() {
        let is_indented = line.starts_with(' ');
        match (line, parts.last_mut().filter(|_| is_open)) {
            ("", _) => {}
            (line, Some(Part::Lines(lines))) if is_indented => lines.push(line),
            (line, Some(Part::Text(text))) if !is_indented => {
                text.push(' ');
                text.push_str(line);
            }
            (line, _) if is_indented => parts.push(Part::Lines(vec![line])),
            (line, _) => match line.strip_suffix(':') {
                Some(title) => parts.push(Part::Title(title)),
                None => parts.push(Part::Text(line.to_owned())),
            },
        }
        is_open = !line.is_empty();
    }
    parts
}

/// The parts as help shows them; the terminal's width breaks the paragraphs.
fn text(parts: &[Part<'_>]) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Title(title) => text.push_str(&format!("{title}:\n")),
            Part::Lines(lines) => text.push_str(&format!("{}\n\n", lines.join("\n"))),
            Part::Text(paragraph) => text.push_str(&format!("{paragraph}\n\n")),
        }
    }
    text.trim_end().to_owned()
}

/// Commands of other programs, and what they are called here.
const CALLED: [(&[&str], &str); 8] = [
    (&["start", "serve", "server", "up"], "run"),
    (&["validate", "verify", "lint", "test", "configtest"], "check"),
    (&["list", "ls", "ps", "get", "services", "top", "watch"], "status"),
    (&["diff", "preview"], "plan"),
    (&["undo", "revert"], "rollback"),
    (&["remove", "rm", "prune", "gc"], "delete"),
    (&["split", "canary", "shift", "set", "weight"], "traffic"),
    (&["add", "create", "push", "publish", "release"], "deploy"),
];

/// What to do about a wrong command line: the command that may be meant, where clap does not name it, and the help of
/// the command that the line names.
pub(super) fn advice(wrong: &clap::Error, words: impl IntoIterator<Item = OsString>) -> String {
    let unknown = match wrong.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) => Some(name),
        _ => None,
    };
    // clap names it after `watershed`, and not after `watershed help`.
    let unknown = unknown.filter(|_| wrong.get(ContextKind::SuggestedSubcommand).is_none());
    let root = command();
    let names = root.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<_> = names.map(Command::get_name).collect();
    let meant = unknown.and_then(|name| suggest::closest(name, &names));
    let meant = meant.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    let name = matches!(std::error::Error::source(wrong), Some(error) if error.is::<LabelError>());
    let allowed = if name { format!("{LABEL_HELP}; ") } else { String::new() };
    meant + &allowed + &hint(words)
}

/// An answer of clap without what it guesses wrongly: an unknown option is hardly meant as a value, and the commands of
/// other programs are not called what they are spelt like.
pub(super) fn corrected(mut answer: clap::Error) -> clap::Error {
    answer.remove(ContextKind::Suggested);
    let unknown = match answer.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) => name.as_str(),
        _ => return answer,
    };
    let called = CALLED.iter().find(|(words, _)| words.contains(&unknown));
    if let Some((_, called)) = called {
        let called = ContextValue::String((*called).to_owned());
        answer.insert(ContextKind::SuggestedSubcommand, called);
    }
    answer
}

/// Where to read on after a wrong command line: the help of the command that it names.
fn hint(words: impl IntoIterator<Item = OsString>) -> String {
    let root = command();
    let mut found = &root;
    let mut path = root.get_name().to_owned();
    for word in words.into_iter().skip(1) {
        if let Some(command) = found.find_subcommand(&word) {
            path = format!("{path} {}", command.get_name());
            found = command;
        }
    }
    format!("`{path} --help` shows its options and examples")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the help of a command begins with.
    const VERBS: [&str; 11] =
        ["Add", "Check", "Give", "Go", "List", "Print", "Say", "Serve", "Set", "Show", "Split"];

    fn every_command() -> Vec<Command> {
        fn add(command: Command, all: &mut Vec<Command>) {
            let below = command.get_subcommands();
            let is_own = |it: &&Command| it.get_name() != "help" && !it.is_hide_set();
            below.filter(is_own).for_each(|command| add(command.clone(), all));
            all.push(command);
        }
        let mut root = command();
        root.build();
        let mut all = Vec::new();
        add(root, &mut all);
        assert!(all.len() > 15, "{all:?}");
        all
    }

    #[test]
    fn the_help_of_every_command_begins_with_a_verb_and_has_examples_and_exit_codes() {
        for mut command in every_command() {
            let name = command.get_name().to_owned();
            let about = command.get_about().unwrap().to_string();
            let verb = about.split(' ').next().unwrap();
            assert!(
                VERBS.contains(&verb) || ["Replace", "Take", "Write"].contains(&verb),
                "{name}: {verb}"
            );
            let long = command.render_long_help().to_string();
            for part in ["Examples:", "Exit codes: 0 done", "64 wrong usage."] {
                assert_eq!(long.matches(part).count(), 1, "{name}: {part}\n{long}");
            }
            let short = command.render_help().to_string();
            assert!(short.contains("Examples:") && short.len() < long.len(), "{name}\n{short}");
        }
    }

    /// A longer line of an example would be broken, and could not be copied.
    #[test]
    fn lines_of_examples_fit_the_width() {
        for command in every_command() {
            let notes = command.get_after_long_help().unwrap().to_string();
            for part in parts(&notes) {
                let Part::Lines(lines) = part else { continue };
                for line in lines {
                    assert!(line.chars().count() <= WIDTH, "{}: {line}", command.get_name());
                }
            }
        }
    }

    #[test]
    fn only_what_can_say_that_something_would_change_has_the_code_for_it() {
        let has_it = |name: &str| {
            let root = command();
            let command = root.find_subcommand(name).unwrap();
            exit_codes(command).any(|(code, _)| code == WOULD_CHANGE)
        };
        assert!(has_it("plan") && !has_it("status"));
    }

    #[test]
    fn notes_are_read_as_they_are_written() {
        let notes = "Examples:\n  one\n      two\n\na note\nof two lines\n\nEnvironment:\n  X  y";
        let expected = [
            Part::Title("Examples"),
            Part::Lines(vec!["  one", "      two"]),
            Part::Text("a note of two lines".to_owned()),
            Part::Title("Environment"),
            Part::Lines(vec!["  X  y"]),
        ];
        assert_eq!(parts(notes), expected);
        assert_eq!(text(&expected), notes.replace("note\nof", "note of"));
    }

    #[test]
    fn the_command_that_is_meant_is_named_after_help_too() {
        let advice = |line: &str| {
            let words = || line.split(' ').map(OsString::from);
            advice(&command().try_get_matches_from(words()).unwrap_err(), words())
        };
        let expected = "did you mean `status`? `watershed --help` shows its options and examples";
        assert_eq!(advice("watershed help stauts"), expected);
        // clap has said it already.
        assert!(advice("watershed stauts").starts_with("`watershed --help`"));
        assert!(advice("watershed help nothing-like-it").starts_with("`watershed --help`"));
    }

    #[test]
    fn a_hint_names_the_command_that_was_meant() {
        let hint = |line: &str| hint(line.split(' ').map(OsString::from));
        assert!(hint("watershed --nonsense").starts_with("`watershed --help`"));
        assert!(hint("watershed --config x env list y").starts_with("`watershed env list --help`"));
        assert!(hint("watershed traffic status").starts_with("`watershed traffic --help`"));
    }
}
