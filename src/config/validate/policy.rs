//! Which version requests get: shares, and what decides before them.

use std::ops::Range;

use super::super::model::{
    Destination, Percent, Pick, PolicySpec, Reach, Rule, Split, Sticky, Traffic, WhenUnhealthy,
};
use super::super::raw::{Field, Located, RawSplit, RawTraffic};
use super::super::report::Problem;
use super::super::source::{Complaint, Findings};
use super::overrides::overrides;
use super::rate_limit::rate_limit;
use super::rescue::{RawRescue, rescue};
use super::rules::{Placed, rules};
use super::split::{self, Names};
use super::sticky::sticky;
use super::{field, unreachable};

/// A file's decision about which version requests get.
#[derive(Default)]
pub struct Decided {
    pub traffic: Traffic,
    pub policy: PolicySpec,
    /// Warnings: what is right and yet can hardly be meant.
    pub warnings: Vec<Problem>,
}

/// Checks `[traffic]`, for versions with these names and reaches.
pub fn decided(
    file: &mut Findings<'_>,
    raw: Field<RawTraffic>,
    names: &Names,
    reach: Vec<Reach>,
) -> Decided {
    let Some(raw) = raw else {
        let policy = PolicySpec { reach, ..PolicySpec::default() };
        return Decided { policy, ..Decided::default() };
    };
    let (table, raw) = raw.into_parts();
    let RawTraffic {
        split,
        latest,
        pick,
        propagate,
        rules: raw_rules,
        sticky,
        overrides,
        rescue,
        rescue_buffer,
        rescue_methods,
        rescue_statuses,
        when_unhealthy,
        rate_limit,
    } = raw;
    let is_lost = |key| file.has_lost(Some(&table), key);
    let (is_split_lost, is_rescue_lost) = (is_lost("split"), is_lost("rescue"));
    let traffic = traffic(file, split, latest, is_split_lost, names, &reach);
    let rescue = RawRescue {
        version: rescue,
        buffer: rescue_buffer,
        methods: rescue_methods,
        statuses: rescue_statuses,
    };
    let rescue = self::rescue(file, rescue, is_rescue_lost, names, &reach);
    let when = field::word("when-unhealthy", &WhenUnhealthy::ALL, WhenUnhealthy::as_str);
    let when_unhealthy = file.text(when_unhealthy, when).unwrap_or_default();
    let span = sticky.as_ref().map(Located::span);
    let pick = file.text(pick, field::word("pick", &Pick::ALL, Pick::as_str));
    let placed = rules(file, raw_rules, names);
    let policy = PolicySpec {
        pick: pick.unwrap_or_default(),
        propagate: propagate.is_some_and(|propagate| *propagate.value()),
        overrides: self::overrides(file, overrides),
        rules: placed.iter().map(|placed| placed.rule.clone()).collect(),
        sticky: self::sticky(file, sticky),
        reach,
        rescue,
        when_unhealthy,
        rate_limit: self::rate_limit(file, rate_limit),
    };
    if let Some(span) = span.filter(|_| policy.sticky.is_some()) {
        check_versions(file, span, &traffic, &policy.rules);
    }
    let warnings = warnings(file, &placed, names, &policy.reach);
    Decided { traffic, policy, warnings }
}

/// A table with a wrong part says less than it was meant to say, so warnings would mislead.
fn warnings(
    file: &Findings<'_>,
    placed: &[Placed],
    names: &Names,
    reach: &[Reach],
) -> Vec<Problem> {
    if !file.problems.is_empty() {
        return Vec::new();
    }
    unreachable::warnings(file.source, placed, names, reach)
}

fn traffic(
    file: &mut Findings<'_>,
    split: Field<RawSplit>,
    latest: Field<bool>,
    is_split_lost: bool,
    names: &Names,
    reach: &[Reach],
) -> Traffic {
    match (latest.map(Located::into_parts), &split) {
        (Some((span, true)), Some(_)) => {
            let message = "`latest = true` and `split` contradict each other";
            let help = "keep `latest` for a full upgrade, or `split` for a gray one";
            file.add(span, Complaint::new(message, help));
        }
        (Some((span, false)), None) if !is_split_lost => {
            let message = "`latest = false` does not say which version gets what";
            let help = "add a `split`, or write `latest = true`";
            file.add(span, Complaint::new(message, help));
        }
        _ => {}
    }
    let Some(split) = split else {
        return Traffic::Latest;
    };
    check_reach(file, &split, names, reach);
    split::of_service(file, split, names).map_or(Traffic::Latest, Traffic::Split)
}

/// Users can stick only to a limited number of versions.
fn check_versions(
    file: &mut Findings<'_>,
    sticky: Range<usize>,
    traffic: &Traffic,
    rules: &[Rule],
) {
    let own = match traffic {
        Traffic::Split(split) => Some(split),
        Traffic::Latest => None,
    };
    let of_rules = rules.iter().filter_map(|rule| match &rule.to {
        Destination::Split(split) => Some(split),
        Destination::Version(_) => None,
    });
    let takers =
        |split: &Split| split.shares().iter().filter(|(_, share)| *share > Percent::ZERO).count();
    let most = own.into_iter().chain(of_rules).map(takers).max().unwrap_or(0);
    if most > Sticky::VERSIONS_MAX {
        let max = Sticky::VERSIONS_MAX;
        let message =
            format!("users can stay with {max} versions of a split at most, not with {most}");
        let help = "give fewer versions a share, or remove `[traffic.sticky]`";
        file.add(sticky, Complaint::new(message, help));
    }
}

/// A version with a share must be for everybody.
fn check_reach(file: &mut Findings<'_>, split: &Located<RawSplit>, names: &Names, reach: &[Reach]) {
    for (version, share) in &split.value().0 {
        let name = version.value();
        let index = names.indexes.get(name).copied();
        let reach = index.and_then(|index| reach.get(index)).copied().unwrap_or_default();
        let percent = Percent::from_f64(share.value().0).unwrap_or_default();
        if reach != Reach::Live && percent > Percent::ZERO {
            let reach = reach.as_str();
            let message = format!("{name} gets {percent} %, and its reach is `{reach}`");
            let help = "give its share to another version, or set `reach = \"live\"`";
            file.add(share.span(), Complaint::new(message, help));
        }
    }
}
