//! A plan for people: what changes, service by service, then what it takes.

use std::fmt;
use std::path::Path;

use crate::api::{
    ChangeKind, Compilation, KeyChange, Plan, ServiceChange, VersionChange, VersionFault,
};
use crate::config::Percent;
use crate::policy::rescue;

/// Characters of a digest that tell it from others: `sha256:` and 12 digits.
const DIGEST_SHOWN: usize = 19;
/// Characters of a whole digest.
const DIGEST: usize = 71;

/// A plan as text. Paths below `base` are shown from there on.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub plan: &'a Plan,
    pub base: &'a Path,
}

/// A line in two columns; what belongs to one label stands below it, without the label.
struct Row {
    label: String,
    text: String,
}

impl Row {
    fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self { label: label.into(), text: text.into() }
    }
}

/// Rows under a title.
struct Section {
    title: String,
    rows: Vec<Row>,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { services, settings, restart, compile, errors, in_error } = self.plan;
        let services: Vec<_> = services.iter().map(|service| self.service(service)).collect();
        write_sections(f, &services)?;
        let rest = [
            self.section("to compile", compile, Self::compilation),
            self.section("settings", settings, Self::setting),
            self.section("after a restart", restart, Self::setting),
            self.section("in error now", in_error, |_, fault| in_error_now(fault)),
        ];
        for section in rest.into_iter().filter(|section| !section.rows.is_empty()) {
            write_sections(f, &[section])?;
        }
        for error in errors {
            write_error(f, error)?;
        }
        writeln!(f, "{}", self.plan.summary())
    }
}

/// All of them aligned.
fn write_sections(f: &mut fmt::Formatter<'_>, sections: &[Section]) -> fmt::Result {
    let labels = sections.iter().flat_map(|section| &section.rows);
    let width = labels.map(|row| row.label.chars().count()).max().unwrap_or(0);
    for Section { title, rows } in sections {
        writeln!(f, "{title}")?;
        for Row { label, text } in rows {
            let line = format!("  {label:width$}  {text}");
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn write_error(f: &mut fmt::Formatter<'_>, error: &VersionFault) -> fmt::Result {
    let VersionFault { version, fault } = error;
    let (service, version) = (&version.service, &version.version);
    writeln!(f, "error[{}]: version {version} of service {service}: {}", fault.code, fault.detail)?;
    writeln!(f, "  help: {}\n", fault.suggestion)
}

fn in_error_now(error: &VersionFault) -> Row {
    let VersionFault { version, fault } = error;
    let name = format!("{}/{} {}", version.environment, version.service, version.version);
    Row::new(name, format!("{}: {}", fault.code, fault.detail))
}

impl ChangeKind {
    fn mark(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
        }
    }
}

impl Text<'_> {
    fn section<T>(&self, title: &str, items: &[T], row: impl Fn(&Self, &T) -> Row) -> Section {
        let rows = items.iter().map(|item| row(self, item)).collect();
        Section { title: title.to_owned(), rows }
    }

    fn service(&self, service: &ServiceChange) -> Section {
        let ServiceChange { environment, service: name, change, keys, versions, .. } = service;
        let title = format!("{} service {environment}/{name}", change.mark());
        let own = keys.iter().map(|change| Row::new(&change.key, self.difference(change)));
        let mut rows: Vec<Row> = own.collect();
        rows.extend(versions.iter().flat_map(|version| self.version(version)));
        rows.extend(traffic(service));
        for row in &mut rows {
            // Beside the marks of versions.
            if !row.label.starts_with(['+', '~', '-']) {
                row.label.insert_str(0, "  ");
            }
        }
        below_each_other(&mut rows);
        Section { title, rows }
    }

    fn version(&self, version: &VersionChange) -> Vec<Row> {
        let VersionChange { version, change, keys } = version;
        let label = format!("{} version {version}", change.mark());
        let mut texts: Vec<String> = match change {
            ChangeKind::Added => {
                keys.iter().filter_map(|key| Some(self.short(key.after.as_deref()?))).collect()
            }
            ChangeKind::Changed | ChangeKind::Removed => {
                keys.iter().map(|key| self.keyed(key)).collect()
            }
        };
        if texts.is_empty() {
            texts.push(String::new());
        }
        texts.into_iter().map(|text| Row::new(&label, text)).collect()
    }

    fn compilation(&self, compilation: &Compilation) -> Row {
        let Compilation { digest, component, versions } = compilation;
        let names =
            versions.iter().map(|it| format!("{}/{} {}", it.environment, it.service, it.version));
        let names: Vec<_> = names.collect();
        let text = format!("{}, for {}", self.short(component), names.join(", "));
        Row::new(self.short(digest), text)
    }

    fn setting(&self, change: &KeyChange) -> Row {
        Row::new(&change.key, self.difference(change))
    }

    /// A key and what it says, before and after.
    fn keyed(&self, change: &KeyChange) -> String {
        let key = &change.key;
        let is_hidden = |text: &&String| key.starts_with("env.") && text.starts_with("sha256:");
        match (&change.before, &change.after) {
            (None, Some(after)) if is_hidden(&after) => format!("+ {key}"),
            (None, Some(after)) => format!("+ {key} {}", self.short(after)),
            (_, None) => format!("- {key}"),
            (Some(before), Some(after)) if is_hidden(&before) && is_hidden(&after) => {
                format!("{key} (another value)")
            }
            (Some(before), Some(after)) => {
                let show =
                    |text| if is_hidden(&text) { "(a value)".to_owned() } else { self.short(text) };
                format!("{key} {} → {}", show(before), show(after))
            }
        }
    }

    fn difference(&self, change: &KeyChange) -> String {
        match (&change.before, &change.after) {
            (Some(before), Some(after)) => {
                format!("{} → {}", self.short(before), self.short(after))
            }
            (None, Some(after)) => format!("+ {}", self.short(after)),
            (Some(before), None) => format!("- {}", self.short(before)),
            (None, None) => String::new(),
        }
    }

    /// A digest's beginning, a path from the base on, and nothing that a terminal would obey.
    fn short(&self, text: &str) -> String {
        if text.contains(" sha256:") {
            let words = text.split(' ').map(|word| self.short(word));
            return words.collect::<Vec<_>>().join(" ");
        }
        if text.len() == DIGEST && text.starts_with("sha256:") {
            return text.chars().take(DIGEST_SHOWN).collect();
        }
        let (kind, path) = match text.strip_prefix("file:") {
            Some(path) => ("file:", path),
            None => ("", text),
        };
        let below = Path::new(path).strip_prefix(self.base).ok();
        let below = below.filter(|below| *below != Path::new(""));
        let path = below.map_or_else(|| path.to_owned(), |below| below.display().to_string());
        let shown = if path.is_empty() { "\"\"" } else { &path };
        let clean = |character: char| match character.is_control() {
            true => character.escape_default().to_string(),
            false => character.to_string(),
        };
        shown.chars().fold(kind.to_owned(), |text, character| text + &clean(character))
    }
}

/// A label is said once.
fn below_each_other(rows: &mut [Row]) {
    let mut last = String::new();
    for row in rows {
        if row.label == last {
            row.label.clear();
        } else {
            last.clone_from(&row.label);
        }
    }
}

fn traffic(service: &ServiceChange) -> Vec<Row> {
    let ServiceChange {
        change,
        shares,
        moves,
        unreachable,
        serves_nothing,
        rescuer,
        held,
        waits,
        ..
    } = service;
    let share = |share: Percent| format!("{share} %");
    let split = shares.iter().map(|it| match change {
        ChangeKind::Added => Row::new("split", format!("{} {}", it.version, share(it.after))),
        _ if it.before == it.after => {
            Row::new("split", format!("{} {}", it.version, share(it.after)))
        }
        _ => {
            let (before, after) = (share(it.before), share(it.after));
            Row::new("split", format!("{} {before} → {after}", it.version))
        }
    });
    let mut rows: Vec<Row> = split.collect();
    if *moves > Percent::ZERO {
        rows.push(Row::new("moves", share(*moves)));
    }
    if !unreachable.is_empty() {
        rows.push(Row::new("unreachable", unreachable.join(", ")));
    }
    match rescuer {
        Some(_) => rows.push(Row::new("serves", rescue::answers(rescuer.as_deref()))),
        None if *serves_nothing => rows.push(Row::new("serves", "nothing: requests get 503")),
        None => {}
    }
    rows.extend(held.iter().map(|why| Row::new("held now", why)));
    rows.extend(waits.iter().map(|why| Row::new("would be held", why)));
    rows
}

impl Plan {
    fn summary(&self) -> String {
        if self.is_empty() {
            return "nothing to do".to_owned();
        }
        let Self { services, settings, restart, compile, errors, in_error: _ } = self;
        let restart: Vec<_> = restart.iter().map(|change| change.key.as_str()).collect();
        let parts = [
            counted(services.len(), "service changes", "services change"),
            counted(settings.len(), "setting changes", "settings change"),
            counted(compile.len(), "component to compile", "components to compile"),
            (!restart.is_empty()).then(|| format!("restart to apply {}", restart.join(", "))),
            counted(errors.len(), "version cannot be normal", "versions cannot be normal"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

fn counted(count: usize, one: &str, many: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {many}")),
    }
}
