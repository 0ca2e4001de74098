//! Compares two descriptions.

use std::collections::{HashMap, HashSet};

use crate::api::{
    BackendDescription, ChangeKind, Compilation, Description, KeyChange, Plan,
    QuarantineDescription, ServiceChange, ServiceDescription, Settings, ShareChange, Standing,
    TrafficKind, VersionChange, VersionDescription, VersionFault, VersionRef,
};
use crate::config::Percent;

impl Plan {
    /// What turns `before` into `after`.
    pub fn between(before: &Description, after: &Description) -> Self {
        Self {
            services: services(before, after),
            settings: changes(&before.settings, &after.settings),
            restart: changes(&before.started_with, &after.started_with),
            compile: compile(before, after),
            errors: faults(after).collect(),
            in_error: in_error(before, after),
        }
    }
}

/// A service's name over all environments.
type Key<'a> = (&'a str, &'a str);

impl Description {
    fn services(&self) -> impl Iterator<Item = (Key<'_>, &ServiceDescription)> {
        self.environments.iter().flat_map(|environment| {
            let key = |service| (environment.name.as_str(), service);
            let services = environment.services.iter();
            services.map(move |service| (key(service.name.as_str()), service))
        })
    }

    pub fn versions(&self) -> impl Iterator<Item = (Key<'_>, &VersionDescription)> {
        self.services()
            .flat_map(|(key, service)| service.versions.iter().map(move |version| (key, version)))
    }
}

impl VersionRef {
    fn new((environment, service): Key<'_>, version: &VersionDescription) -> Self {
        Self {
            environment: environment.to_owned(),
            service: service.to_owned(),
            version: version.name.clone(),
        }
    }
}

fn services(before: &Description, after: &Description) -> Vec<ServiceChange> {
    let old: HashMap<_, _> = before.services().collect();
    let new: HashSet<_> = after.services().map(|(key, _)| key).collect();
    let kept = after.services().map(|(key, service)| (key, old.get(&key).copied(), Some(service)));
    let gone = before.services().filter(|(key, _)| !new.contains(key));
    let gone = gone.map(|(key, service)| (key, Some(service), None));
    kept.chain(gone).filter_map(|(key, old, new)| service(key, old, new)).collect()
}

/// What becomes of a service; `None` if nothing does.
fn service(
    (environment, name): Key<'_>,
    before: Option<&ServiceDescription>,
    after: Option<&ServiceDescription>,
) -> Option<ServiceChange> {
    let change = what(before, after)?;
    let keys = keys(before, after);
    let [old, new] = [before, after].map(|service| service.map_or(&[][..], |it| &it.versions));
    let versions = versions(old, new);
    let shares = shares(old, new);
    let held = before.and_then(|service| service.held.clone());
    let waits = after.and_then(|service| service.held.clone()).filter(|_| held.is_none());
    let is_same = keys.is_empty() && versions.is_empty() && shares.is_empty() && waits.is_none();
    if change == ChangeKind::Changed && is_same {
        return None;
    }
    let nobody = |after: &ServiceDescription| {
        after.versions.iter().all(|version| version.share == Percent::ZERO)
    };
    let is_lost =
        |share: &&ShareChange| share.before > Percent::ZERO && share.after == Percent::ZERO;
    let lost = shares.iter().filter(is_lost);
    Some(ServiceChange {
        environment: environment.to_owned(),
        service: name.to_owned(),
        change,
        keys,
        versions,
        moves: if change == ChangeKind::Added { Percent::ZERO } else { moves(&shares) },
        unreachable: lost.map(|share| share.version.clone()).collect(),
        shares,
        serves_nothing: after.is_some_and(nobody),
        rescuer: after.and_then(|service| service.rescuer.clone()),
        held,
        waits,
    })
}

fn what<T>(before: Option<&T>, after: Option<&T>) -> Option<ChangeKind> {
    match (before, after) {
        (None, Some(_)) => Some(ChangeKind::Added),
        (Some(_), Some(_)) => Some(ChangeKind::Changed),
        (Some(_), None) => Some(ChangeKind::Removed),
        (None, None) => None,
    }
}

/// Domains, routes and quarantines are added and removed one by one. Whether traffic is split or goes
/// to the latest version is compared only where both sides have the service.
fn keys(before: Option<&ServiceDescription>, after: Option<&ServiceDescription>) -> Vec<KeyChange> {
    let both = [before, after];
    let domains = both.map(|service| service.map_or(&[][..], |it| &it.domains));
    let routes = both.map(|service| service.map_or(&[][..], |it| &it.routes));
    let nothing = Settings::new();
    let [old, new] = both.map(|service| service.map_or(&nothing, |it| &it.policy));
    let quarantine = both.map(|service| service.map_or(&[][..], |it| &it.quarantined));
    let kinds = before.zip(after).map(|(before, after)| (before.traffic, after.traffic));
    let kind = kinds.filter(|(before, after)| before != after).map(|(before, after)| KeyChange {
        key: "traffic".to_owned(),
        before: Some(before.word().to_owned()),
        after: Some(after.word().to_owned()),
    });
    let listed = come_and_gone("domains", domains)
        .chain(come_and_gone("routes", routes))
        .chain(quarantines(quarantine));
    listed.chain(kind).chain(changes(old, new)).collect()
}

/// Items that only one of two lists has, as changes of a key.
fn come_and_gone<'a>(
    key: &'a str,
    lists: [&'a [String]; 2],
) -> impl Iterator<Item = KeyChange> + 'a {
    let change = |(before, after): (Option<&String>, Option<&String>)| KeyChange {
        key: key.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    };
    apart(lists).map(change)
}

/// An item before or after.
type Apart<'a, T> = (Option<&'a T>, Option<&'a T>);

/// What only one of two lists has: on the side where it is.
fn apart<'a, T: PartialEq>([old, new]: [&'a [T]; 2]) -> impl Iterator<Item = Apart<'a, T>> {
    let gone = old.iter().filter(|item| !new.contains(item)).map(|item| (Some(item), None));
    gone.chain(new.iter().filter(|item| !old.contains(item)).map(|item| (None, Some(item))))
}

/// Under the name of the version: its digest and, if it matters, that of its environment.
fn quarantines(lists: [&[QuarantineDescription]; 2]) -> Vec<KeyChange> {
    let keys =
        |(before, after): (Option<&QuarantineDescription>, Option<&QuarantineDescription>)| {
            let name = before.or(after).map_or("", |entry| &entry.version);
            let digest = |entry: &QuarantineDescription| entry.digest.clone();
            let env = |entry: &QuarantineDescription| entry.env.clone();
            let digest = KeyChange {
                key: format!("quarantine.{name}"),
                before: before.map(digest),
                after: after.map(digest),
            };
            let env = KeyChange {
                key: format!("quarantine.{name}.env"),
                before: before.and_then(env),
                after: after.and_then(env),
            };
            [Some(digest), Some(env).filter(|it| it.before.is_some() || it.after.is_some())]
        };
    apart(lists).flat_map(keys).flatten().collect()
}

impl TrafficKind {
    /// The key under `[traffic]` that says it.
    fn word(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Split => "split",
        }
    }
}

/// Every version of one side or both, those of the second side first.
fn pairs<'a>(
    before: &'a [VersionDescription],
    after: &'a [VersionDescription],
) -> impl Iterator<Item = (Option<&'a VersionDescription>, Option<&'a VersionDescription>)> {
    let find = |versions: &'a [VersionDescription], name: &str| {
        versions.iter().find(|version| version.name == name)
    };
    let kept = after.iter().map(move |version| (find(before, &version.name), Some(version)));
    let gone = before.iter().filter(move |version| find(after, &version.name).is_none());
    kept.chain(gone.map(|version| (Some(version), None)))
}

fn versions(before: &[VersionDescription], after: &[VersionDescription]) -> Vec<VersionChange> {
    let change = |(before, after): (Option<&VersionDescription>, Option<&VersionDescription>)| {
        let change = what(before, after)?;
        let keys = match (before, after) {
            (Some(before), Some(after)) => version_keys(before, after),
            (None, Some(after)) => backends(None, Some(&after.backend)),
            _ => Vec::new(),
        };
        let version = after.or(before)?.name.clone();
        let is_change = change != ChangeKind::Changed || !keys.is_empty();
        is_change.then_some(VersionChange { version, change, keys })
    };
    pairs(before, after).filter_map(change).collect()
}

fn version_keys(before: &VersionDescription, after: &VersionDescription) -> Vec<KeyChange> {
    let (old, new) = (before.backend.entry(), after.backend.entry());
    let backend = if old.0 == new.0 && old.1.is_same(new.1) {
        rebuilt(before, after).into_iter().collect()
    } else {
        backends(Some(&before.backend), Some(&after.backend))
    };
    backend.into_iter().chain(changes(&before.settings, &after.settings)).collect()
}

/// The change of a component whose file has other content at the same path.
fn rebuilt(before: &VersionDescription, after: &VersionDescription) -> Option<KeyChange> {
    match after.backend {
        BackendDescription::Component(_) => {
            let (old, new) = before.digest().zip(after.digest())?;
            let (key, _) = after.backend.entry();
            let change = change(key, Some(&old.to_string()), Some(&new.to_string()));
            (old != new).then_some(change)
        }
        BackendDescription::Upstream(_) => None,
    }
}

/// What serves a version, before and after: one change where both are under one key, and else a key
/// that goes and one that comes.
fn backends(
    before: Option<&BackendDescription>,
    after: Option<&BackendDescription>,
) -> Vec<KeyChange> {
    let [old, new] = [before, after].map(|backend| backend.map(BackendDescription::entry));
    match (old, new) {
        (Some((key, before)), Some((same, after))) if key == same => {
            vec![change(key, Some(&before.text), Some(&after.text))]
        }
        (old, new) => {
            let gone = old.map(|(key, value)| change(key, Some(&value.text), None));
            let come = new.map(|(key, value)| change(key, None, Some(&value.text)));
            gone.into_iter().chain(come).collect()
        }
    }
}

fn change(key: &str, before: Option<&str>, after: Option<&str>) -> KeyChange {
    KeyChange {
        key: key.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    }
}

fn changes(before: &Settings, after: &Settings) -> Vec<KeyChange> {
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = |key: &&String| match (before.get(*key), after.get(*key)) {
        (Some(before), Some(after)) => !before.is_same(after),
        _ => true,
    };
    let text = |settings: &Settings, key| settings.get(key).map(|value| value.text.clone());
    let changes = keys.into_iter().filter(differs).map(|key| KeyChange {
        key: key.clone(),
        before: text(before, key),
        after: text(after, key),
    });
    changes.collect()
}

/// The share of every version that has one, if any changes.
fn shares(before: &[VersionDescription], after: &[VersionDescription]) -> Vec<ShareChange> {
    let of = |version: Option<&VersionDescription>| version.map_or(Percent::ZERO, |it| it.share);
    let share = |(before, after): (Option<&VersionDescription>, Option<&VersionDescription>)| {
        let version = after.or(before)?.name.clone();
        let share = ShareChange { version, before: of(before), after: of(after) };
        (share.before.max(share.after) > Percent::ZERO).then_some(share)
    };
    let shares: Vec<_> = pairs(before, after).filter_map(share).collect();
    let differs = shares.iter().any(|share| share.before != share.after);
    if differs { shares } else { Vec::new() }
}

/// Half the sum of |after − before|. Where one side does not add up to 100, because nobody is
/// served, that is the larger of what versions win and what they lose.
fn moves(shares: &[ShareChange]) -> Percent {
    let (mut won, mut lost) = (0_u16, 0_u16);
    for ShareChange { before, after, .. } in shares {
        let (before, after) = (before.hundredths(), after.hundredths());
        won = won.saturating_add(after.saturating_sub(before));
        lost = lost.saturating_add(before.saturating_sub(after));
    }
    Percent::from_hundredths(won.max(lost)).unwrap_or(Percent::ALL)
}

fn compile(before: &Description, after: &Description) -> Vec<Compilation> {
    let compiled: HashSet<_> =
        before.versions().filter_map(|(_, version)| version.digest()).collect();
    let mut compile: Vec<Compilation> = Vec::new();
    for (key, version) in after.versions() {
        let BackendDescription::Component(component) = &version.backend else { continue };
        if is_tried(before, key, version) {
            continue;
        }
        let Some(digest) = version.digest().filter(|digest| !compiled.contains(digest)) else {
            continue;
        };
        let name = VersionRef::new(key, version);
        let digest = digest.to_string();
        match compile.iter_mut().find(|known| known.digest == digest) {
            Some(known) => known.versions.push(name),
            None => compile.push(Compilation {
                digest,
                component: component.text.clone(),
                versions: vec![name],
            }),
        }
    }
    compile
}

/// Whether a process has tried to make a version as it is declared after too, and does not try again.
fn is_tried(before: &Description, key: Key<'_>, version: &VersionDescription) -> bool {
    let last = before.service(key.0, key.1).filter(|_| before.generation.is_some());
    let last = last.and_then(|last| last.versions.iter().find(|it| it.name == version.name));
    last.is_some_and(|last| last.fault().is_some() && version_keys(last, version).is_empty())
}

fn faults(description: &Description) -> impl Iterator<Item = VersionFault> {
    description.versions().filter_map(|(key, version)| {
        let fault = version.fault()?.clone();
        Some(VersionFault { version: VersionRef::new(key, version), fault })
    })
}

/// Versions that are in error before and still declared after. Versions whose files are wrong after
/// are among the errors already.
fn in_error(before: &Description, after: &Description) -> Vec<VersionFault> {
    let declared: HashMap<_, _> = after
        .versions()
        .map(|((environment, service), it)| ((environment, service, it.name.as_str()), it))
        .collect();
    let stays = |fault: &VersionFault| {
        let VersionRef { environment, service, version } = &fault.version;
        let after = declared.get(&(environment.as_str(), service.as_str(), version.as_str()));
        after.is_some_and(|after| !matches!(after.standing, Standing::Error(_)))
    };
    faults(before).filter(stays).collect()
}
