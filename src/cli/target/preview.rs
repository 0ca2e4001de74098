//! What an edit would change, before it is made: the plan of `watershed plan` for the text that the edit would write.
//! Nothing is written and no process is told; a process that runs is asked what it serves, and whether the text would be
//! right beside all other files.

use std::path::Path;
use std::process::ExitCode;

use super::Target;
use crate::api::{
    ChangeKind, Compilation, ConfigQuery, Description, KeyChange, Plan, ServiceChange,
    ServiceDescription, Settings, Standing, VersionDescription,
};
use crate::cli::common::Common;
use crate::cli::files::Files;
use crate::cli::plan::{self, Beside, Place};
use crate::cli::process::{Process, ProcessError};
use crate::cli::site::Site;
use crate::cli::{CliError, components};
use crate::config::{Destination, Digest, EnvironmentName, Percent, Service, VersionSpec};
use crate::rollout::{Edit, ServiceView, Step};
use crate::source::{Proposal, ServiceFile};

/// The plan of an edit.
#[derive(Debug)]
pub struct Preview {
    plan: Plan,
    /// What is served before, and by which command it would change.
    before: Place,
    after: Place,
    /// The versions that get requests now.
    taking: Vec<String>,
}

impl Target {
    /// What the edit of a command would change. What it costs does not depend on the number of services.
    ///
    /// # Errors
    ///
    /// Where the edit would be refused.
    pub fn preview(&mut self, edit: &Edit, command: &str) -> Result<Preview, CliError> {
        let path = self.view.service.file.clone();
        self.is_as_decided()?;
        let text = ServiceFile::preview(&path, |text| edit.apply(text))?;
        let Self { files, process, view, .. } = self;
        files.check(process.as_ref(), Proposal { path: &path, is_there: true, text: &text })?;
        let after = files.with_text(&view.environment, &path, &text)?;
        let (before, name) = self.described()?;
        let plan = self.plan(&before, &after, edit);
        let taking = taking(&self.view.service, self.served(&before));
        Ok(Preview { plan, before: name, after: Place::command(command), taking })
    }

    /// What is served now, or would be by a start, and by whom.
    fn described(&self) -> Result<(Description, Place), CliError> {
        if let Some(process) = &self.process {
            return Ok(self.described_by(process)?);
        }
        let view = &self.view;
        let standing = |spec: &VersionSpec| self.standing(spec, &Edit::default());
        let root = self.files.directory();
        let mut description = nothing(root);
        let service = ServiceDescription::declared(root, &view.service, None, standing);
        description.push(view.environment.as_str(), service);
        Ok((description, Place::files(&view.service.file)))
    }

    /// What a process serves of the service.
    fn described_by(&self, process: &Process) -> Result<(Description, Place), ProcessError> {
        let ServiceView { environment, service, .. } = &self.view;
        let query = ConfigQuery {
            environment: Some(environment.to_string()),
            service: Some(service.name.to_string()),
        };
        match plan::described(process, &query) {
            // It may not serve the service yet.
            Err(error) if error.is_unknown() => plan::described(process, &ConfigQuery::default()),
            described => described,
        }
    }

    /// The same preview without compilations of what versions of other services are made of already. Asks the process
    /// for all of them, so only who shows the preview does.
    ///
    /// # Errors
    ///
    /// Where the process does not answer.
    pub fn beside_others(&self, mut preview: Preview) -> Result<Preview, CliError> {
        if let Some(process) = self.process.as_ref().filter(|_| !preview.plan.compile.is_empty()) {
            let (all, _) = plan::described(process, &ConfigQuery::default())?;
            preview.plan.compile.retain(|compilation| !is_made(&all, compilation));
        }
        Ok(preview)
    }

    /// The service in a description.
    fn served<'a>(&self, description: &'a Description) -> Option<&'a ServiceDescription> {
        let ServiceView { environment, service, .. } = &self.view;
        description.service(environment.as_str(), service.name.as_str())
    }

    /// The plan of the service alone.
    fn plan(&self, before: &Description, after: &Service, edit: &Edit) -> Plan {
        let last = self.served(before);
        let standing = |spec: &VersionSpec| self.standing(spec, edit);
        let served = last.filter(|_| self.process.is_some());
        let root = self.files.directory();
        let after = ServiceDescription::declared(root, after, served, standing);
        let mut plan = between(root, &self.view.environment, last, after);
        plan.compile.retain(|compilation| !is_made(before, compilation));
        plan
    }

    /// Where a version will stand: as it does now, unless the edit changes it.
    fn standing(&self, spec: &VersionSpec, edit: &Edit) -> Standing {
        let new = edit.0.iter().find_map(|step| match step {
            Step::Add(new) | Step::Replace(new) if new.name == spec.name => Some(new.digest),
            _ => None,
        });
        let is_known = self.view.version(&spec.name) == Some(spec);
        let known = self.view.standing(&spec.name).filter(|_| is_known).cloned();
        match (new, known) {
            // Its component has been read.
            (Some(digest), _) => Standing::Normal { digest },
            (None, Some(known)) => known,
            (None, None) => components::standing(&self.view.service.name, spec, &self.elsewhere),
        }
    }
}

/// A description without services and settings.
fn nothing(root: &Path) -> Description {
    Description::new(root, Settings::new(), Settings::new(), None)
}

/// The plan of one service.
fn between(
    root: &Path,
    environment: &EnvironmentName,
    before: Option<&ServiceDescription>,
    after: ServiceDescription,
) -> Plan {
    let (mut old, mut new) = (nothing(root), nothing(root));
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

impl Preview {
    /// What the file of a new service would change, at `place` in the environment that is given or is the only one. Its
    /// version is made of the component with `digest`.
    ///
    /// # Errors
    ///
    /// Where the file would be refused.
    pub fn of_new(
        site: Site,
        common: &Common,
        place: &Path,
        text: &str,
        digest: Digest,
        command: &str,
    ) -> Result<Self, CliError> {
        let environment = site.environment(common.environment.as_deref())?.name.clone();
        let Site { loader, loaded: _, process } = site;
        let mut files = Files::of(loader);
        files.check(process.as_ref(), Proposal { path: place, is_there: false, text })?;
        let service = files.with_text(&environment, place, text)?;
        let root = files.directory();
        // Its component has been read.
        let standing = |_: &VersionSpec| Standing::Normal { digest };
        let after = ServiceDescription::declared(root, &service, None, standing);
        let mut plan = between(root, &environment, None, after);
        let before = match &process {
            Some(process) => {
                let (before, name) = plan::described(process, &ConfigQuery::default())?;
                plan.compile.retain(|compilation| !is_made(&before, compilation));
                name
            }
            None => Place::files(root),
        };
        Ok(Self { plan, before, after: Place::command(command), taking: Vec::new() })
    }

    /// As `watershed plan` prints it.
    pub fn text(&self) -> String {
        plan::text(&self.plan)
    }

    /// Prints it for `--dry-run`. The exit code says whether there is something to do.
    pub fn print(&self, json: bool) -> Result<ExitCode, CliError> {
        self.print_beside(Beside::default(), json)
    }

    /// The same, with what a script is told beside it.
    pub fn print_beside(&self, beside: Beside<'_>, json: bool) -> Result<ExitCode, CliError> {
        let Self { plan, before, after, .. } = self;
        plan::print(plan, before, after, beside, json)
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

/// Whether a key that changes may keep requests from where they went. `latest` and a split say the same where the shares
/// do, and a quarantine that goes keeps nobody from anything.
fn decides(change: &KeyChange) -> bool {
    match change.key.as_str() {
        "traffic" => false,
        "quarantine" => change.after.is_some(),
        _ => true,
    }
}
