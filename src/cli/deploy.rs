//! `watershed deploy`: a new version beside those that serve, and traffic for it once it is normal.

mod arguments;

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;

use super::CliError;
use super::site::Site;
use super::summary::{Action, Summary};
use super::target::Target;
use crate::config::{Digest, Percent};
use crate::edit::NewVersion;
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
    let (target, done) = match arguments.new_service {
        true => create(path, arguments, version)?,
        false => add(path, arguments, version)?,
    };
    let action = match target.server() {
        Some(_) => Action::Normal(&arguments.version),
        None => Action::Declared(&arguments.version),
    };
    Summary::new(&target, action, &done, arguments.common.json).print()
}

/// Adds the version to an existing service.
fn add(
    path: &Path,
    arguments: &Arguments,
    version: NewVersion,
) -> Result<(Target, Done), CliError> {
    let mut target = Target::find(path, &arguments.common, arguments.service.as_str())?;
    let portion = target.view().portion(arguments.traffic.unwrap_or(Portion::Hold));
    let done = rollout::deploy(&mut target, &arguments.deployment(version, portion))?;
    Ok((target, done))
}

/// Creates a service with this one version.
fn create(
    path: &Path,
    arguments: &Arguments,
    version: NewVersion,
) -> Result<(Target, Done), CliError> {
    let site = Site::open(path, &arguments.common)?;
    let place = site.place(arguments.common.environment.as_deref(), &arguments.service)?;
    let mut file = ServiceFile::create(&place, &arguments.service, &arguments.domain)?;
    file.text.add_version(&version);
    file.text.set_split(&[(version.name.clone(), Percent::ALL)]);
    let saved = file.save(site.main())?;
    let mut target = Target::created(site, &arguments.common, arguments.service.as_str())?;
    let deployment = arguments.deployment(version, Portion::All);
    let edited = target.published(saved, deployment.note.clone())?;
    let done = rollout::conclude(&mut target, &deployment, edited)?;
    Ok((target, done))
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
