//! Rules: conditions for requests, and where matching requests go. `unreachable` looks for rules that never match, once
//! all of the file is known to be right.

use std::ops::Range;

use super::super::model::{Destination, Otherwise, Rule};
use super::super::raw::{Field, Located, RawRule, RawSplit};
use super::super::source::{Complaint, Findings};
use super::claims::{Claims, NameKind};
use super::field;
use super::matches::matches;
use super::split::{self, Names};

/// A rule, and its place in the file.
pub struct Placed {
    pub rule: Rule,
    /// Its name.
    pub name: Range<usize>,
    /// The version or the shares that the rule leads to.
    pub to: Range<usize>,
}

/// The rules that are right, in order.
pub fn rules(
    file: &mut Findings<'_>,
    raw: Option<Vec<Located<RawRule>>>,
    names: &Names,
) -> Vec<Placed> {
    let mut claims = Claims::default();
    let rule = |raw: Located<RawRule>| {
        let (table, raw) = raw.into_parts();
        rule(file, &table, raw, names, &mut claims)
    };
    raw.into_iter().flatten().filter_map(rule).collect()
}

fn rule(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawRule,
    names: &Names,
    claims: &mut Claims,
) -> Option<Placed> {
    let RawRule { name, matches: raw_matches, version, split, otherwise } = raw;
    let name = file.required(table, "name", name).and_then(|(span, text)| {
        let name = file.check(span.clone(), field::rule_name(&text))?;
        claims.take(file, span.clone(), &text, NameKind::Rule);
        Some((name, span))
    });
    let raw_matches = raw_matches.map(Located::into_parts);
    let matches = raw_matches.map(|(_, raw)| matches(file, raw)).unwrap_or_default();
    let to = destination(file, table, version, split, names);
    let otherwise =
        file.text(otherwise, field::word("otherwise", &Otherwise::ALL, Otherwise::as_str));
    let ((name, name_span), (to, to_span)) = name.zip(to)?;
    let rule = Rule { name, matches, to, otherwise: otherwise.unwrap_or_default() };
    Some(Placed { rule, name: name_span, to: to_span })
}

fn destination(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    version: Field<String>,
    split: Field<RawSplit>,
    names: &Names,
) -> Option<(Destination, Range<usize>)> {
    match (version, split) {
        (Some(version), None) => {
            let index = names.find(file, &version)?;
            Some((Destination::Version(index), version.span()))
        }
        (None, Some(split)) => {
            let span = split.span();
            let split = split::of_rule(file, split, names)?;
            Some((Destination::Split(split), span))
        }
        (Some(_), Some(split)) => {
            let message = "this rule has both `version` and `split`";
            file.add(
                split.span(),
                Complaint::new(message, "keep the one that says where it leads"),
            );
            None
        }
        (None, None) => {
            if !file.has_lost(Some(table), "version") && !file.has_lost(Some(table), "split") {
                let message = "this rule has neither `version` nor `split`";
                let help = "add `version = \"…\"` below this line, or shares as a `split`";
                file.add(table.clone(), Complaint::new(message, help));
            }
            None
        }
    }
}
