//! `watershed deploy`: a new version beside those that serve, and traffic for it once it is normal.

mod arguments;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use super::CliError;
use super::consent::Intent;
use super::site::Site;
use super::summary::{Action, Summary};
use super::target::Target;
use super::target::preview::Preview;
use crate::config::{Digest, Percent};
use crate::edit::{NewVersion, ServiceText};
use crate::rollout::{self, Deployment, Done, Note, Portion};
use crate::source::ServiceFile;
use crate::versions::digest_at;

pub(super) use arguments::{Arguments, patience};

pub(super) fn deploy(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if let Some(name) = twice(&arguments.env) {
        return Err(CliError::EnvTwice(name.to_owned()));
    }
    let component = std::path::absolute(&arguments.component)?;
    let digest = digest_of(&component)?;
    let version = NewVersion {
        name: arguments.version.clone(),
        component,
        digest,
        env: arguments.env.clone(),
        remark: arguments.remark.clone(),
    };
    let deployed = match arguments.new_service {
        true => create(path, arguments, version)?,
        false => add(path, arguments, version)?,
    };
    let (target, done) = match deployed {
        ControlFlow::Continue(deployed) => deployed,
        ControlFlow::Break(code) => return Ok(code),
    };
    let action = match target.server() {
        Some(_) => Action::Normal(&arguments.version),
        None => Action::Declared(&arguments.version),
    };
    Summary::new(&target, action, &done, arguments.common.json).print()
}

/// What became of a deployment; a dry run breaks off with its exit code.
type Deployed = ControlFlow<ExitCode, (Target, Done)>;

/// Adds the version to an existing service.
fn add(path: &Path, arguments: &Arguments, version: NewVersion) -> Result<Deployed, CliError> {
    let found = Target::find(path, &arguments.common, arguments.service.as_str());
    let mut target = found.map_err(|error| match error {
        CliError::Select(error) => CliError::Select(error.or_new()),
        other => other,
    })?;
    let portion = target.view().portion(arguments.traffic.unwrap_or(Portion::Hold));
    let deployment = arguments.deployment(version, portion);
    if let ControlFlow::Break(code) = settle(arguments, &mut target, &deployment)? {
        return Ok(ControlFlow::Break(code));
    }
    let done = rollout::deploy(&mut target, &deployment)?;
    Ok(ControlFlow::Continue((target, done)))
}

/// Shows what the deployment does, and asks where it takes traffic from others or replaces a version that has some.
fn settle(
    arguments: &Arguments,
    target: &mut Target,
    deployment: &Deployment,
) -> Result<ControlFlow<ExitCode>, CliError> {
    let Arguments { consent, service, common, .. } = arguments;
    if consent.is_given() {
        return Ok(ControlFlow::Continue(()));
    }
    let edit = rollout::proposal(target, deployment)?;
    let question = format!("Deploy {} of {service}", deployment.version.name);
    let (command, json) = (deployment.note.command.as_str(), common.json);
    consent.settle(target, &Intent { edit: &edit, command, question: &question, json })
}

/// Creates a service with this one version.
fn create(path: &Path, arguments: &Arguments, version: NewVersion) -> Result<Deployed, CliError> {
    let Arguments { service, domain, consent, common, .. } = arguments;
    let site = Site::open(path, common)?;
    let place = site.place(common.environment.as_deref(), service)?;
    let fill = |text: &mut ServiceText| {
        text.add_version(&version);
        text.set_split(&[(version.name.clone(), Percent::ALL)]);
    };
    if consent.is_dry_run() {
        let text = ServiceFile::preview_new(&place, service, domain, fill)?;
        let digest = version.digest;
        let command = arguments.deployment(version, Portion::All).note.command;
        let preview = Preview::of_new(site, common, &place, &text, digest, &command)?;
        return Ok(ControlFlow::Break(preview.print(common.json)?));
    }
    let mut file = ServiceFile::create(&place, service, domain)?;
    fill(&mut file.text);
    let saved = file.save(site.main())?;
    let mut target = Target::created(site, common, service.as_str())?;
    let deployment = arguments.deployment(version, Portion::All);
    let edited = target.published(saved, deployment.note.clone())?;
    let done = rollout::conclude(&mut target, &deployment, edited)?;
    Ok(ControlFlow::Continue((target, done)))
}

impl Arguments {
    fn deployment(&self, version: NewVersion, portion: Portion) -> Deployment {
        let Self { service, replace, .. } = self;
        // Leaves out the environment's values, which may be secret.
        let how = match replace {
            true => "--replace".to_owned(),
            false => format!("--traffic {portion}"),
        };
        let command = format!("watershed deploy {service} {} {how}", version.name);
        Deployment {
            version,
            portion,
            replaces: *replace,
            creates: self.new_service,
            forced: self.force,
            patience: self.timeout,
            note: Note { command, remark: self.remark.clone(), restores: None },
        }
    }
}

/// Fails for a variable that is given more than once.
fn twice(env: &[(String, String)]) -> Option<&str> {
    let mut seen = HashSet::new();
    env.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
}

fn digest_of(component: &Path) -> Result<Digest, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(digest_at(component))?)
}
