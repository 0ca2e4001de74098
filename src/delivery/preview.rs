//! What an edit would change, before it is made: the plan for the text that the edit would write.

use std::path::Path;

use crate::api::{
    ChangeKind, Compilation, Description, KeyChange, Plan, ServiceChange, ServiceDescription,
    Settings, Standing, VersionDescription,
};
use crate::config::{Destination, Digest, EnvironmentName, Percent, Service, VersionSpec};
use crate::rollout::{Edit, ServiceView, Step};

/// The plan of an edit of one service.
#[derive(Debug)]
pub struct Preview {
    pub plan: Plan,
    /// The versions that get requests now.
    taking: Vec<String>,
}

impl Preview {
    /// What it changes that a service is `after`. `before` describes what is served now, or would be by a
    /// start; `root` is the directory of the main file; `standing` says where each version will stand.
    pub fn of(
        view: &ServiceView,
        root: &Path,
        before: &Description,
        after: &Service,
        standing: impl Fn(&VersionSpec) -> Standing,
    ) -> Self {
        let ServiceView { environment, service, .. } = view;
        let last = before.service(environment.as_str(), service.name.as_str());
        let served = last.filter(|_| view.has_process());
        let after = ServiceDescription::declared(root, after, served, standing);
        let mut preview =
            Self { plan: between(root, environment, last, after), taking: taking(service, last) };
        preview.without_made(before);
        preview
    }

    /// What it changes that there is a new service. Its version is made of the component with `digest`.
    pub fn of_new(
        environment: &EnvironmentName,
        root: &Path,
        service: &Service,
        digest: Digest,
    ) -> Self {
        // Its component has been read.
        let standing = |_: &VersionSpec| Standing::Normal { digest };
        let after = ServiceDescription::declared(root, service, None, standing);
        Self { plan: between(root, environment, None, after), taking: Vec::new() }
    }

    /// Takes out compilations of what versions are made of already.
    pub fn without_made(&mut self, served: &Description) {
        self.plan.compile.retain(|compilation| !is_made(served, compilation));
    }

    /// Whether a version loses traffic or the way to get some: its share falls, it is removed or quarantined, it is
    /// another one under its name while it has traffic, or rules and other keys that decide change.
    pub fn takes_away(&self) -> bool {
        self.plan.services.iter().any(|service| self.takes_from(service))
    }

    fn takes_from(&self, service: &ServiceChange) -> bool {
        let ServiceChange { keys, versions, shares, .. } = service;
        let loses = shares.iter().any(|share| share.after < share.before);
        let goes = versions.iter().any(|version| match version.change {
            ChangeKind::Added => false,
            ChangeKind::Changed => self.taking.contains(&version.version),
            ChangeKind::Removed => true,
        });
        loses || goes || keys.iter().any(decides)
    }
}

/// Where a version will stand after an edit: as it does now, unless the edit changes it. `by_files` says
/// it of versions that nobody has made.
pub fn standing(
    view: &ServiceView,
    edit: &Edit,
    spec: &VersionSpec,
    by_files: impl FnOnce() -> Standing,
) -> Standing {
    let new = edit.0.iter().find_map(|step| match step {
        Step::Add(new) | Step::Replace(new) if new.name == spec.name => Some(new.digest),
        _ => None,
    });
    let is_known = view.version(&spec.name) == Some(spec);
    let known = view.standing(&spec.name).filter(|_| is_known).cloned();
    match (new, known) {
        // Its component has been read.
        (Some(digest), _) => Standing::Normal { digest },
        (None, Some(known)) => known,
        (None, None) => by_files(),
    }
}

/// The plan of one service.
fn between(
    root: &Path,
    environment: &EnvironmentName,
    before: Option<&ServiceDescription>,
    after: ServiceDescription,
) -> Plan {
    let nothing = || Description::new(root, Settings::new(), Settings::new(), None);
    let (mut old, mut new) = (nothing(), nothing());
    new.push(environment.as_str(), after);
    if let Some(before) = before {
        old.push(environment.as_str(), before.clone());
    }
    let mut plan = Plan::between(&old, &new);
    // What is in error already is no reason against the edit.
    let was_in_error = |name: &str| {
        let mut versions = before.iter().flat_map(|before| &before.versions);
        versions.any(|version| version.name == name && version.fault().is_some())
    };
    let errors = std::mem::take(&mut plan.errors).into_iter();
    let (known, new): (Vec<_>, _) = errors.partition(|error| was_in_error(&error.version.version));
    plan.errors = new;
    plan.in_error.extend(known);
    plan
}

/// Whether a version of any service is made of a component already.
fn is_made(served: &Description, compilation: &Compilation) -> bool {
    let services = served.environments.iter().flat_map(|environment| &environment.services);
    let digests =
        services.flat_map(|service| &service.versions).filter_map(VersionDescription::digest);
    digests.map(|digest| digest.to_string()).any(|digest| digest == compilation.digest)
}

/// The versions that get requests: by their shares, or by rules.
fn taking(service: &Service, served: Option<&ServiceDescription>) -> Vec<String> {
    let served = served.iter().flat_map(|served| &served.versions);
    let by_share = served.filter(|version| version.share > Percent::ZERO);
    let named = service.policy.rules.iter().flat_map(|rule| match &rule.to {
        Destination::Version(index) => vec![*index],
        Destination::Split(split) => split.shares().iter().map(|(index, _)| *index).collect(),
    });
    let by_rule = named.filter_map(|index| service.versions.get(index));
    let by_rule = by_rule.map(|spec| spec.name.to_string());
    by_share.map(|version| version.name.clone()).chain(by_rule).collect()
}

/// Whether a key that changes may keep requests from where they went. `latest` and a split say the same where the shares
/// do, and a quarantine that goes keeps nobody from anything.
fn decides(change: &KeyChange) -> bool {
    let key = change.key.as_str();
    match key.split_once('.').map_or(key, |(first, _)| first) {
        "traffic" => false,
        // Each entry is a key of its own, such as `quarantine.v2`.
        "quarantine" => change.after.is_some(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarantine_that_goes_keeps_nobody_from_anything() {
        let text = || Some("sha256:aa".to_owned());
        for (key, before, after, takes) in [
            ("quarantine.v2", None, text(), true),
            ("quarantine.v2.env", None, text(), true),
            ("quarantine.v2", text(), None, false),
            ("quarantine.v2.env", text(), None, false),
            ("traffic", text(), text(), false),
            ("rules", text(), None, true),
        ] {
            let change = KeyChange { key: key.to_owned(), before, after };
            assert_eq!(decides(&change), takes, "{change:?}");
        }
    }
}
