//! What a process that starts with the files would not serve as they declare it: shares of versions that take none, a
//! latest version that is passed over, and rules that lead to unavailable versions.

use crate::config::{
    Config, Destination, Percent, Problem, Rule, Service, Traffic, VersionName, VersionSpec,
};
use crate::policy::{Base, Case, Obstacle, Serve, Standing, Verdict, rescue};
use crate::versions::{ServiceKey, declared};

/// The warnings of all services whose files are right; `standing` says where each version stands.
pub fn warnings(
    config: &Config,
    is_right: impl Fn(&Service) -> bool,
    standing: impl Fn(&ServiceKey, &VersionSpec) -> Standing,
) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let mut standings: Vec<Standing> = Vec::new();
    for (key, service, spec) in declared(config) {
        standings.push(standing(&key, spec));
        // The last version of a service: by now all are known.
        if standings.len() == service.versions.len() {
            let standings = std::mem::take(&mut standings);
            if is_right(service) {
                warnings.extend(of_service(service, &standings));
            }
        }
    }
    // Two environments may share a file.
    warnings.dedup();
    warnings
}

fn of_service(service: &Service, standings: &[Standing]) -> Vec<Problem> {
    let case = Case { service, standings, before: None };
    let verdict = case.verdict();
    let name = |index: usize| service.versions.get(index).map_or("", |spec| spec.name.as_str());
    let instead = instead(service, &verdict);
    let passed = case.passed_over().into_iter().map(|(index, obstacle)| {
        let version = name(index);
        let what = match &service.traffic {
            Traffic::Split(split) => format!("has {} % of the split, and", split.share_of(index)),
            Traffic::Latest => "cannot be the latest, since it".to_owned(),
        };
        let message = format!("{version} of {} {what} {obstacle}: {instead}", service.name);
        problem(service, index, message, help(&obstacle))
    });
    let rules =
        service.policy.rules.iter().filter_map(|rule| leads_nowhere(service, rule, &verdict));
    let mut warnings: Vec<Problem> = passed.chain(rules).collect();
    if let Some(why) = verdict.held.filter(|_| warnings.is_empty()) {
        let message = format!("nothing of {} would be served: {why}", service.name);
        warnings.push(Problem::of_file(&service.file, message, "give a version the reach `live`"));
    }
    warnings
}

/// What a start would serve instead of what the file says.
fn instead(service: &Service, verdict: &Verdict) -> String {
    let shares = verdict.shares.iter().map(|(name, share)| format!("{name} {share} %"));
    let shares = shares.collect::<Vec<_>>().join(", ");
    match &verdict.serve {
        Serve::Declared(Base::Nothing) | Serve::Before(_) => {
            let rescuer = verdict.stand_in.as_ref().map(VersionName::as_str);
            let what = match rescuer {
                Some(_) => "gives no version of",
                None => "serves nothing of",
            };
            let share = if rescuer.is_some() { " a share" } else { "" };
            format!("a start {what} {}{share}, and {}", service.name, rescue::answers(rescuer))
        }
        Serve::Declared(_) => format!("a start serves {shares}"),
    }
}

fn help(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Quarantined(_) => {
            "give its traffic to another version, or remove its `[[quarantine]]` entry".to_owned()
        }
        Obstacle::Error(fault) => fault.suggestion.clone(),
        Obstacle::Reach(_) | Obstacle::Creating => String::new(),
    }
}

/// Warns of a rule that leads to an unavailable version. A reach other than `live` is reported with the file.
fn leads_nowhere(service: &Service, rule: &Rule, verdict: &Verdict) -> Option<Problem> {
    let versions = match &rule.to {
        Destination::Version(index) => vec![*index],
        Destination::Split(split) => {
            let some = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
            some.map(|(index, _)| *index).collect()
        }
    };
    let is_told = |obstacle: &&Obstacle| !matches!(obstacle, Obstacle::Reach(_));
    let (index, obstacle) = versions
        .into_iter()
        .find_map(|index| Some((index, verdict.obstacle(index).filter(is_told)?)))?;
    let version = service.versions.get(index)?.name.as_str();
    let (rule, name) = (&rule.name, &service.name);
    let message = format!("rule `{rule}` of {name} leads to {version}, which {obstacle}");
    Some(problem(service, index, message, help(obstacle)))
}

/// A problem at the place of a version.
fn problem(service: &Service, version: usize, message: String, help: String) -> Problem {
    let place = service.versions.get(version).map(|spec| spec.place.clone());
    place.unwrap_or_default().problem(&service.file, message, help)
}
