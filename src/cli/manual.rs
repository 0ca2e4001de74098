//! The manual pages, in the language of man(7). clap_mangen writes what clap knows of a command; the exit codes, and
//! what a command's notes say, are written here, so that the lines of examples stay lines.

use std::io;

use clap::Command;
use clap::builder::Resettable;
use clap_mangen::Man;

use super::help::{self, Part};

/// A manual page.
pub(super) struct Page {
    /// The name of its file, as `watershed-deploy.1`.
    pub name: String,
    pub text: String,
}

/// The page of every command, that of the program last.
///
/// # Errors
///
/// Never in practice: pages are written to memory.
pub(super) fn pages() -> io::Result<Vec<Page>> {
    let mut command = help::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        add(command, pages)?;
    }
    pages.push(page(command)?);
    Ok(())
}

fn page(command: &Command) -> io::Result<Page> {
    let notes = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let bare = command.clone().after_help(Resettable::Reset).after_long_help(Resettable::Reset);
    let man = Man::new(bare.override_usage(usage.trim_start_matches("Usage: ").to_owned()));
    let mut known = Vec::new();
    man.render(&mut known)?;
    let mut text = String::new();
    for line in String::from_utf8_lossy(&known).lines() {
        match line.starts_with(".TH ") {
            // clap_mangen leaves an empty date out, and what follows would be taken for it.
            true => text.push_str(&title(&man.get_filename())),
            false => text.push_str(&typeset(line)),
        }
    }
    text.push_str(".SH \"EXIT STATUS\"\n");
    for (code, meaning) in help::exit_codes(command) {
        text.push_str(&format!(".TP\n\\fB{code}\\fR\n{}\n", prose(meaning)));
    }
    text.push_str(&sections(&help::parts(&notes)));
    if command.get_name() != "watershed" {
        text.push_str(".SH \"SEE ALSO\"\n\\fBwatershed\\fR(1)\n");
    }
    Ok(Page { name: man.get_filename(), text })
}

/// The first line of a page, without a date: a build of the same source is the same.
fn title(file: &str) -> String {
    let name = escaped(file.trim_end_matches(".1"));
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {name} 1 \"\" \"watershed {version}\" \"Watershed Manual\"\n")
}

/// A section for what each title introduces, and one for the paragraphs, but for the exit codes.
fn sections(parts: &[Part<'_>]) -> String {
    let mut text = String::new();
    let mut paragraphs = Vec::new();
    for part in parts {
        match part {
            Part::Title(title) => text.push_str(&format!(".SH {}\n", title.to_uppercase())),
            Part::Lines(lines) => {
                let lines: String = lines.iter().map(|line| literal(line)).collect();
                text.push_str(&format!(".nf\n{lines}.fi\n"));
            }
            Part::Text(paragraph) if paragraph.starts_with("Exit codes:") => {}
            Part::Text(paragraph) => paragraphs.push(prose(paragraph) + "\n"),
        }
    }
    match paragraphs.is_empty() {
        true => text,
        false => format!(".SH NOTES\n{}{text}", paragraphs.join(".PP\n")),
    }
}

/// A line that is shown as it is. An empty first glyph keeps a dot or an apostrophe from being a request.
fn literal(line: &str) -> String {
    format!("\\&{}\n", escaped(line.strip_prefix("  ").unwrap_or(line)))
}

/// A paragraph; what stands between backquotes is bold.
fn prose(text: &str) -> String {
    let is_paired = text.matches('`').count().is_multiple_of(2);
    if !is_paired {
        return format!("\\&{}", escaped(text));
    }
    let spans = text.split('`').enumerate();
    let spans = spans.map(|(index, span)| match index % 2 {
        0 => escaped(span),
        _ => format!("\\fB{}\\fR", escaped(span)),
    });
    format!("\\&{}", spans.collect::<String>())
}

/// What has a meaning in roff, and what it would make typographic, by its name.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\(rs"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '`' => escaped.push_str("\\(ga"),
            _ => escaped.push_str(&named(character)),
        }
    }
    escaped
}

/// Carets and tildes become accents elsewhere, and not every roff reads UTF-8.
fn named(character: char) -> String {
    match character {
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        character if character.is_ascii() => character.to_string(),
        character => format!("\\[u{:04X}]", u32::from(character)),
    }
}

/// A line of clap_mangen, with bold type for what stands between backquotes.
fn typeset(line: &str) -> String {
    let spans: Vec<_> = line.split('`').collect();
    let line: String = match spans.len() % 2 {
        1 if !line.starts_with('.') => {
            let bold = |(index, span): (usize, &&str)| match index % 2 {
                0 => (*span).to_owned(),
                _ => format!("\\fB{span}\\fR"),
            };
            spans.iter().enumerate().map(bold).collect()
        }
        _ => line.to_owned(),
    };
    line.chars().map(named).collect::<String>() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_examples_stay_lines() {
        let pages = pages().unwrap();
        assert!(pages.len() > 15);
        for Page { name, text } in &pages {
            let examples = text
                .split(".SH EXAMPLES\n.nf\n")
                .nth(1)
                .unwrap_or_else(|| panic!("{name}: {text}"));
            let examples = examples.split(".fi\n").next().unwrap();
            assert!(examples.lines().all(|line| line.starts_with("\\&")), "{name}: {examples}");
            assert!(
                examples.starts_with("\\&watershed ") || name == "watershed-completions.1",
                "{name}: {examples}"
            );
            for once in [".SH NAME\n", ".SH SYNOPSIS\n", ".SH \"EXIT STATUS\"\n", ".SH EXAMPLES\n"]
            {
                assert_eq!(text.matches(once).count(), 1, "{name}: {once}");
            }
            assert_eq!(text.matches(".nf\n").count(), text.matches(".fi\n").count(), "{name}");
            assert!(text.is_ascii() && !text.contains('`'), "{name}: {text}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_roff_is_escaped() {
        assert_eq!(
            literal("  .it's `a` \\ --b ~^"),
            "\\&.it\\(aqs \\(gaa\\(ga \\(rs \\-\\-b \\(ti\\(ha\n"
        );
        assert_eq!(prose("run `a-b` → c"), "\\&run \\fBa\\-b\\fR \\[u2192] c");
        assert_eq!(prose("one ` alone"), "\\&one \\(ga alone");
    }
}
