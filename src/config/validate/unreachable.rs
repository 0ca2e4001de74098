//! Warnings about a file that is right: rules that never match, and rules that lead to versions which they cannot
//! reach. `policy` asks when nothing is wrong.

use ipnet::IpNet;

use super::super::model::{Destination, Glob, Match, Otherwise, Percent, Reach, Rule};
use super::super::report::Problem;
use super::super::source::{Complaint, PROBLEMS_MAX, Source};
use super::super::suggest;
use super::rules::Placed;
use super::split::Names;

/// How many rules of a file are compared with each other. Nobody writes more by hand, and the time grows with the
/// square of their number.
const COMPARED_MAX: usize = 200;

/// The warnings of the rules of a file, in their order.
pub fn warnings(source: &Source, rules: &[Placed], names: &Names, reach: &[Reach]) -> Vec<Problem> {
    let file = File { source, names, reach };
    let each = rules.iter().enumerate().flat_map(|(index, placed)| {
        let earlier = rules.get(..index.min(COMPARED_MAX)).unwrap_or_default();
        let compared = if index < COMPARED_MAX { earlier } else { &[] };
        let hidden = compared.iter().find(|earlier| file.hides(earlier, placed));
        let hidden = hidden.map(|earlier| file.never_matches(placed, earlier));
        hidden.into_iter().chain(file.leads_nowhere(placed))
    });
    each.take(PROBLEMS_MAX).collect()
}

/// What the warnings are derived from.
struct File<'a> {
    source: &'a Source,
    names: &'a Names,
    reach: &'a [Reach],
}

impl File<'_> {
    /// Whether an earlier rule decides every request that a later rule matches.
    fn hides(&self, earlier: &Placed, later: &Placed) -> bool {
        let (earlier, later) = (&earlier.rule, &later.rule);
        self.keeps(earlier) && covers(&earlier.matches, &later.matches)
    }

    /// Whether a rule decides every request that it matches, so that none reaches a later rule.
    fn keeps(&self, rule: &Rule) -> bool {
        let is_live = |version: &usize| self.reach_of(*version) == Reach::Live;
        rule.otherwise == Otherwise::Fail || versions(&rule.to).iter().all(is_live)
    }

    fn reach_of(&self, version: usize) -> Reach {
        self.reach.get(version).copied().unwrap_or_default()
    }

    fn never_matches(&self, later: &Placed, earlier: &Placed) -> Problem {
        let (name, other) = (&later.rule.name, &earlier.rule.name);
        let line = self.source.line_of(earlier.name.start);
        let message = format!(
            "rule `{name}` can never match: rule `{other}`, on line {line}, matches all that it does"
        );
        let help = format!("put it before `{other}`, or remove it");
        self.source.spot(later.name.clone()).problem(Complaint::new(message, help))
    }

    /// Warns of a rule that leads only to versions whose reach is not live.
    fn leads_nowhere(&self, placed: &Placed) -> Option<Problem> {
        let Placed { rule, name: _, to } = placed;
        let versions = versions(&rule.to);
        if versions.iter().any(|version| self.reach_of(*version) == Reach::Live) {
            return None;
        }
        let list: Vec<&str> = versions.iter().filter_map(|index| self.name_of(*index)).collect();
        let (leads, list) = (&rule.name, suggest::list(&list));
        let message = format!("rule `{leads}` leads to {list}, whose reach is not `live`");
        let becomes = match rule.otherwise {
            Otherwise::Next => "is decided as if it had not matched",
            Otherwise::Fail => "fails",
        };
        let help = format!(
            "a request that may not reach the version {becomes}: set `reach = \"live\"`, or remove the rule"
        );
        Some(self.source.spot(to.clone()).problem(Complaint::new(message, help)))
    }

    fn name_of(&self, version: usize) -> Option<&str> {
        let found = self.names.indexes.iter().find(|(_, index)| **index == version);
        found.map(|(name, _)| name.as_str())
    }
}

/// The versions that a rule may lead to.
fn versions(to: &Destination) -> Vec<usize> {
    match to {
        Destination::Version(version) => vec![*version],
        Destination::Split(split) => {
            let some = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
            some.map(|(version, _)| *version).collect()
        }
    }
}

/// Whether the earlier rule matches every request that the later one matches. Answers no where the answer is hard to
/// find.
fn covers(earlier: &Match, later: &Match) -> bool {
    let Match { path, method, header, query, cookie, client } = earlier;
    all(path.as_ref(), later.path.as_ref(), Glob::covers)
        && all(method.as_ref(), later.method.as_ref(), String::eq)
        && all(client.as_ref(), later.client.as_ref(), |net: &IpNet, other| net.contains(other))
        && each(header, &later.header)
        && each(query, &later.query)
        && each(cookie, &later.cookie)
}

/// Whether one condition follows from another; `None` is no condition.
fn all<T>(earlier: Option<&T>, later: Option<&T>, covers: impl Fn(&T, &T) -> bool) -> bool {
    match (earlier, later) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(earlier), Some(later)) => covers(earlier, later),
    }
}

fn each(earlier: &[(String, Glob)], later: &[(String, Glob)]) -> bool {
    let follows = |(name, glob): &(String, Glob)| {
        let mut same = later.iter().filter(|(other, _)| other == name);
        same.any(|(_, other)| glob.covers(other))
    };
    earlier.iter().all(follows)
}
