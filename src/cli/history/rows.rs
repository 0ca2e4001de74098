//! The table of `watershed history`: one line a record, whatever a remark or a name holds. On a terminal the table is
//! as wide as that, where it can be.

use super::super::status::{cut, width};
use super::super::table::{self, Align, harmless};
use super::Row;
use crate::api::{Author, Record, RecordOutcome, Share, moment};

/// Columns that traffic, author and note take at most where nobody looks at a terminal, and that they keep at least
/// where one is narrow.
const MOST: [usize; 3] = [48, 56, 120];
const LEAST: [usize; 3] = [16, 12, 8];

/// Which of these is cut first.
const CUT_FIRST: [usize; 3] = [2, 1, 0];

/// Columns between two cells.
const GAP: usize = 2;

/// What is in the table beside the records.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The columns of the terminal, if it is one.
    pub columns: Option<usize>,
    /// Whether records of several services are shown.
    pub has_services: bool,
}

/// The lines of the table, the newest record first.
pub fn lines(rows: &[Row<'_>], look: Look) -> Vec<String> {
    let first = rows.first().map_or("default", |row| row.record.environment.as_str());
    let several = first != "default" || rows.iter().any(|row| row.record.environment != first);
    let lead: Vec<_> = rows.iter().map(|row| Lead::of(row.record, several)).collect();
    let cells = rows
        .iter()
        .map(|row| [traffic(row.record), who(row.record), note(row)].map(|text| harmless(&text)));
    let cells: Vec<_> = cells.collect();
    let widths = fitted(&cells, &lead, look);
    let cut_to = |[a, b, c]: [String; 3]| {
        let [x, y, z] = widths;
        [cut(&a, x), cut(&b, y), cut(&c, z)]
    };
    let rows = lead.into_iter().zip(cells.into_iter().map(cut_to));
    let left = |title| (title, Align::Left);
    let [generation, when] = [("GEN", Align::Right), left("WHEN (UTC)")];
    let [traffic, who, note] = [left("TRAFFIC"), left("WHO"), left("NOTE")];
    if look.has_services {
        let header = [generation, when, left("SERVICE"), traffic, who, note];
        let row = |(lead, [a, b, c]): (Lead, [String; 3])| {
            [lead.generation, lead.when, lead.service, a, b, c]
        };
        return table::lines(header, rows.map(row));
    }
    let header = [generation, when, traffic, who, note];
    table::lines(header, rows.map(|(lead, [a, b, c])| [lead.generation, lead.when, a, b, c]))
}

/// What is never cut.
struct Lead {
    generation: String,
    when: String,
    service: String,
}

impl Lead {
    /// `several` says whether the records are of several environments, or of another one than `default`.
    fn of(record: &Record, several: bool) -> Self {
        let Record { generation, at, environment, service, .. } = record;
        let service = match several {
            false => service.clone(),
            true => format!("{environment}/{service}"),
        };
        Self {
            generation: generation.to_string(),
            when: moment::short(*at),
            service: harmless(&service),
        }
    }
}

/// The columns of traffic, author and note.
fn fitted(
    cells: &[[String; 3]],
    lead: &[Lead],
    Look { columns, has_services }: Look,
) -> [usize; 3] {
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(width).max().unwrap_or(0);
    let mut widths = MOST;
    let Some(columns) = columns else { return widths };
    for (index, own) in widths.iter_mut().enumerate() {
        *own = widest(&mut cells.iter().filter_map(|cells| cells.get(index)).map(String::as_str));
    }
    let generation = widest(&mut lead.iter().map(|lead| lead.generation.as_str())).max("GEN".len());
    let when = widest(&mut lead.iter().map(|lead| lead.when.as_str()));
    let service = widest(&mut lead.iter().map(|lead| lead.service.as_str())).max("SERVICE".len());
    let service = if has_services { service + GAP } else { 0 };
    let taken = generation + when + service + 4 * GAP;
    for index in CUT_FIRST {
        let over = (taken + widths.iter().sum::<usize>()).saturating_sub(columns);
        if let (Some(own), Some(least)) = (widths.get_mut(index), LEAST.get(index)) {
            *own = own.saturating_sub(over).max(*least);
        }
    }
    widths
}

fn traffic(record: &Record) -> String {
    let (before, after) = (shares(&record.before), shares(&record.after));
    if before == after { after } else { format!("{before} → {after}") }
}

fn shares(shares: &[Share]) -> String {
    let each = |Share { version, share }: &Share| format!("{version} {share} %");
    match shares {
        [] => "nothing".to_owned(),
        shares => shares.iter().map(each).collect::<Vec<_>>().join(", "),
    }
}

/// The author; of a command, what is not said by the table already.
fn who(Record { author, service, .. }: &Record) -> String {
    match author {
        Author::Start => "start".to_owned(),
        Author::FileEdit => "file edit".to_owned(),
        Author::Command { user, command } => {
            let words = command.split(' ').enumerate();
            let is_said = |(index, word): &(usize, &str)| match index {
                0 => *word == "watershed",
                2 => word == service,
                _ => false,
            };
            let words: Vec<_> = words.filter(|word| !is_said(word)).map(|(_, word)| word).collect();
            format!("{user}: {}", words.join(" "))
        }
    }
}

fn note(Row { record, changed }: &Row<'_>) -> String {
    let versions = record.versions.iter().filter(|version| version.status != "normal");
    let standing = versions.map(|version| match version.status.as_str() {
        "error" => format!("{} is in error", version.name),
        status => format!("{} is {status}", version.name),
    });
    let held = match &record.outcome {
        RecordOutcome::Published => None,
        RecordOutcome::Held { why } => Some(format!("held: {why}")),
    };
    let back = record.restores.map(|generation| format!("back to generation {generation}"));
    let changed: Vec<_> = changed.iter().map(ToString::to_string).collect();
    let changed = (!changed.is_empty()).then(|| changed.join(", "));
    let said = back.into_iter().chain(record.remark.iter().cloned()).chain(changed);
    let notes: Vec<String> = said.chain(standing).chain(held).collect();
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(remark: &str, command: &str) -> Record {
        let record = serde_json::json!({
            "generation": 1234, "at": 1_795_666_596_123_u64, "environment": "default", "service": "shop",
            "author": { "kind": "command", "user": "ana", "command": command },
            "before": [{ "version": "v1", "share": 90.0 }], "after": [{ "version": "v2", "share": 100.0 }],
            "versions": [], "remark": remark, "outcome": { "kind": "published" },
        });
        serde_json::from_value(record).unwrap()
    }

    fn shown(record: &Record, columns: Option<usize>, has_services: bool) -> Vec<String> {
        lines(&[Row { record, changed: Vec::new() }], Look { columns, has_services })
    }

    #[test]
    fn a_record_is_one_line_whatever_its_remark_holds() {
        let remark =
            "two\nlines\tand \u{1b}[31mred\u{202e} 版本".to_owned() + &" very long".repeat(900);
        for columns in [None, Some(80), Some(20), Some(300)] {
            let lines = shown(&record(&remark, "watershed promote shop v2"), columns, false);
            assert_eq!(lines.len(), 2, "{lines:#?}");
            assert!(
                lines[1].starts_with("1234  2026-11-26T04:16:36Z  v1 90 % → v2 1"),
                "{lines:#?}"
            );
            assert!(lines[1].ends_with('…') && !lines[1].contains(char::is_control), "{lines:#?}");
        }
        let lines = shown(&record(&remark, "watershed promote shop v2"), None, false);
        assert!(
            lines[1].contains("ana: promote v2  two\\nlines\\tand \\u{1b}[31mred\\u{202e} 版本"),
            "{lines:#?}"
        );
    }

    /// A service without its environment would look like one of all environments.
    #[test]
    fn services_of_several_environments_are_told_with_them() {
        let one = record("", "watershed promote shop v2");
        let other = Record { environment: "prod".to_owned(), ..one.clone() };
        let row = |record| Row { record, changed: Vec::new() };
        let look = Look { columns: None, has_services: true };
        let told = lines(&[row(&one), row(&other)], look);
        assert!(told[1].contains("default/shop") && told[2].contains("prod/shop"), "{told:#?}");
        assert!(!lines(&[row(&one)], look)[1].contains("default/"));
    }

    #[test]
    fn a_table_fits_the_terminal_where_it_can() {
        let record =
            record("greets in Spanish, and in many other words", "watershed promote shop v2");
        for (columns, has_services) in [(80, false), (80, true), (100, false), (120, true)] {
            let lines = shown(&record, Some(columns), has_services);
            assert!(lines.iter().all(|line| width(line) <= columns), "{lines:#?}");
            assert!(
                lines[1].contains("v1 90 % → v2 100 %") && lines[1].contains("greets"),
                "{lines:#?}"
            );
        }
        let lines = shown(&record, Some(80), true);
        assert_eq!(lines[0].split_whitespace().nth(3), Some("SERVICE"), "{lines:#?}");
    }
}
