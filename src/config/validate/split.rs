//! Shares: of all requests, or of those of a rule. Versions come in by their names, and go out as indexes.

use std::collections::BTreeMap;

use super::super::model::{Percent, Split, SplitError, gap, show_hundredths};
use super::super::raw::{Entries, Located, RawPercent, RawSplit};
use super::super::source::{Complaint, Findings};
use super::super::suggest;
use super::field;

/// The largest sum of shares, in hundredths of a percent, that is taken for one of weights.
const WEIGHTS_MAX: u32 = 2_000;

/// The largest number of versions whose shares a complaint shows.
const VERSIONS_SHOWN: usize = 6;

/// The names of the versions in the file, with their indexes.
pub struct Names {
    /// Whether there may be further versions, whose names could not be read.
    pub incomplete: bool,
    pub indexes: BTreeMap<String, usize>,
}

impl Names {
    /// The index of a version; `None` if the version may be one whose name could not be read, or is unknown, which is
    /// reported.
    pub fn find(&self, file: &mut Findings<'_>, version: &Located<String>) -> Option<usize> {
        let name = version.value();
        match self.indexes.get(name) {
            Some(index) => Some(*index),
            // The complaint lists all names.
            None if self.incomplete || file.is_full() => None,
            None => file.check(version.span(), Err(unknown_version(name, self))),
        }
    }
}

fn unknown_version(version: &str, names: &Names) -> Complaint {
    let declared: Vec<&str> = names.indexes.keys().map(String::as_str).collect();
    let meant = suggest::closest(version, &declared);
    let help = match declared.as_slice() {
        [] => format!("declare it with `[[versions]]` and `name = {version:?}`"),
        declared => {
            let list = format!("the declared versions are {}", suggest::list(declared));
            suggest::help(meant, &list)
        }
    };
    Complaint::new(format!("there is no version `{version}`"), help)
}

/// The split of a service.
pub fn of_service(file: &mut Findings<'_>, raw: Located<RawSplit>, names: &Names) -> Option<Split> {
    split(file, raw, names, of_service_error)
}

/// The split of a rule, which may not be offline.
pub fn of_rule(file: &mut Findings<'_>, raw: Located<RawSplit>, names: &Names) -> Option<Split> {
    let span = raw.span();
    let split = split(file, raw, names, of_rule_error)?;
    let led = (!split.is_offline()).then_some(split).ok_or_else(|| {
        let help = "give shares that add up to 100, or remove the rule";
        Complaint::new("the shares of this rule are all 0, so it leads nowhere", help)
    });
    file.check(span, led)
}

fn split(
    file: &mut Findings<'_>,
    raw: Located<RawSplit>,
    names: &Names,
    explain: impl Fn(&SplitError, Option<String>) -> Complaint,
) -> Option<Split> {
    let (span, Entries(raw)) = raw.into_parts();
    // Without all of its shares, the sum of a split says nothing.
    let mut complete = !file.has_lost_any(&span);
    let (mut shares, mut written) = (Vec::new(), Vec::new());
    for (version, percent) in raw {
        let share = share(file, &version, percent, names);
        complete &= share.is_some();
        shares.extend(share);
        written.extend(share.map(|(_, percent)| (version.into_parts().1, percent)));
    }
    if !complete {
        return None;
    }
    let split = Split::new(shares).map_err(|error| explain(&error, as_percentages(&written)));
    file.check(span, split)
}

fn share(
    file: &mut Findings<'_>,
    version: &Located<String>,
    percent: Located<RawPercent>,
    names: &Names,
) -> Option<(usize, Percent)> {
    let (value, RawPercent(percent)) = percent.into_parts();
    let index = names.find(file, version);
    let percent = file.check(value, field::percent(version.value(), percent));
    Some((index?, percent?))
}

fn of_service_error(error: &SplitError, meant: Option<String>) -> Complaint {
    explained(error, error.to_string(), meant)
}

fn of_rule_error(error: &SplitError, meant: Option<String>) -> Complaint {
    let message = match error {
        SplitError::Sum { hundredths } => {
            format!("the shares add up to {}, not 100", show_hundredths(*hundredths))
        }
        SplitError::Empty | SplitError::Twice(_) => error.to_string(),
    };
    explained(error, message, meant)
}

/// What weights are as percentages, if their sum is too far from 100 to be a slip.
fn as_percentages(written: &[(String, Percent)]) -> Option<String> {
    let sum: u32 = written.iter().map(|(_, share)| u32::from(share.hundredths())).sum();
    let is_weights = (1..=WEIGHTS_MAX).contains(&sum) && written.len() > 1;
    let percent = |share: &Percent| {
        let scaled = u64::from(share.hundredths()) * 10_000;
        let is_exact = scaled.checked_rem(u64::from(sum)) == Some(0);
        is_exact.then(|| show_hundredths(scaled / u64::from(sum)))
    };
    let mut parts = Vec::with_capacity(written.len().min(VERSIONS_SHOWN));
    for (name, share) in written.iter().filter(|_| is_weights && written.len() <= VERSIONS_SHOWN) {
        parts.push(format!("{name} = {}", percent(share)?));
    }
    (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(", ")))
}

fn explained(error: &SplitError, message: String, meant: Option<String>) -> Complaint {
    match error {
        SplitError::Sum { .. } if meant.is_some() => {
            let meant = meant.unwrap_or_default();
            Complaint::new(message, format!("write percentages, not weights: `{meant}`"))
        }
        SplitError::Sum { hundredths: 100 } => {
            Complaint::new(message, "write percentages: `90` is 90 %, and `0.9` is less than 1 %")
        }
        SplitError::Sum { hundredths } => {
            let help = format!("{}: change the shares until they add up", gap(*hundredths));
            Complaint::new(message, help)
        }
        SplitError::Empty | SplitError::Twice(_) => Complaint::new(
            format!("`split` cannot be used: {message}"),
            "name each version that gets a share once, such as `{ v1 = 90, v2 = 10 }`",
        ),
    }
}
