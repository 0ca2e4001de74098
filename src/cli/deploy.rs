//! `watershed deploy`: a new version beside those that serve, and traffic for it once it is normal.

mod arguments;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::CliError;
use super::consent::Intent;
use super::copies::{CopyDocument, Pending, copies_of, sweep, undo};
use super::site::Site;
use super::summary::{Action, Summary};
use super::target::Target;
use super::target::preview::Preview;
use crate::config::{self, Digest, Percent, VersionName, absolute};
use crate::edit::{NewVersion, ServiceText};
use crate::rollout::{self, Deployment, Done, Note, Portion};
use crate::source::{ComponentStore, ServiceFile};
use crate::versions::{StatusCode, StatusError, read_component};

pub(super) use arguments::{Arguments, patience};

pub(super) fn deploy(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if let Some(name) = twice(&arguments.env) {
        return Err(CliError::EnvTwice(name.to_owned()));
    }
    let component = Component::read(&arguments.component)?;
    let deployed = match arguments.new_service {
        true => create(path, arguments, component)?,
        false => add(path, arguments, component)?,
    };
    let (target, done, copies) = match deployed {
        ControlFlow::Continue(deployed) => deployed,
        ControlFlow::Break(code) => return Ok(code),
    };
    let action = match target.server() {
        Some(_) => Action::Normal(&arguments.version),
        None => Action::Declared(&arguments.version),
    };
    Summary::new(&target, action, &done, arguments.common.json).with_copies(&copies).print()
}

/// What became of a deployment; a dry run breaks off with its exit code.
type Deployed = ControlFlow<ExitCode, (Target, Done, Vec<CopyDocument>)>;

/// Adds the version to an existing service.
fn add(path: &Path, arguments: &Arguments, component: Component) -> Result<Deployed, CliError> {
    let found = Target::find(path, &arguments.common, arguments.service.as_str());
    let mut target = found.map_err(|error| match error {
        CliError::Select(error) => CliError::Select(error.or_new()),
        other => other,
    })?;
    let (version, pending) = arguments.new_version(component, target.store());
    target.copies(pending);
    let replaced = target.view().version(&version.name).filter(|_| arguments.replace).cloned();
    let portion = target.view().portion(arguments.traffic.unwrap_or(Portion::Hold));
    let deployment = arguments.deployment(version, portion);
    if let ControlFlow::Break(code) = settle(arguments, &mut target, &deployment)? {
        return Ok(ControlFlow::Break(code));
    }
    let done = rollout::deploy(&mut target, &deployment);
    let done = done.inspect_err(|_| forget(&target, &arguments.version))?;
    let copies = sweep(&target, &copies_of(target.store(), replaced.iter()));
    Ok(ControlFlow::Continue((target, done, copies)))
}

/// Deletes the copy that was made for a version that is not deployed, unless the version stays declared.
fn forget(target: &Target, version: &VersionName) {
    sweep(target, &Vec::from_iter(target.copied(version)));
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
fn create(path: &Path, arguments: &Arguments, component: Component) -> Result<Deployed, CliError> {
    let Arguments { service, domain, consent, common, .. } = arguments;
    let site = Site::open(path, common)?;
    let place = site.place(common.environment.as_deref(), service)?;
    let store = ComponentStore::new(&site.loaded.config.components.directory);
    let (version, mut pending) = arguments.new_version(component, &store);
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
    let locked = pending.as_mut().map(|it| it.keep(&store, file.directory())).transpose()?;
    let saved = file.save(site.main()).inspect_err(|_| undo(&store, pending.as_ref(), &locked))?;
    drop(locked);
    let mut target = Target::created(site, common, service.as_str())?;
    target.copies(pending);
    let deployment = arguments.deployment(version, Portion::All);
    let edited = target.published(saved, deployment.note.clone())?;
    let done = rollout::conclude(&mut target, &deployment, edited);
    let done = done.inspect_err(|_| forget(&target, &arguments.version))?;
    Ok(ControlFlow::Continue((target, done, Vec::new())))
}

/// The bytes that `--component` names. They are read once: the file may change meanwhile.
struct Component {
    /// Absolute.
    path: PathBuf,
    bytes: Vec<u8>,
    digest: Digest,
}

impl Component {
    fn read(path: &Path) -> Result<Self, CliError> {
        let given = path.display().to_string();
        let path = absolute(Path::new("/"), &std::path::absolute(path)?);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let bytes = runtime.block_on(read_component(&path));
        let bytes = bytes.map_err(|error| as_given(error, &given))?;
        let digest = Digest::of(&bytes);
        Ok(Self { path, bytes, digest })
    }
}

impl Arguments {
    /// The version to declare, and the copy to make for it, unless its component stays where it is.
    fn new_version(
        &self,
        component: Component,
        store: &ComponentStore,
    ) -> (NewVersion, Option<Pending>) {
        let Component { path, bytes, digest } = component;
        let place = store.place(&self.service, &self.version, &digest);
        let stays = self.in_place || store.has(&path, &digest);
        let version = NewVersion {
            name: self.version.clone(),
            component: if stays { path } else { place.clone() },
            digest,
            env: self.env.clone(),
            remark: self.remark.clone(),
        };
        (version, (!stays).then(|| Pending::new(bytes, place)))
    }

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
            keeps_failed: self.keep_failed,
            patience: self.timeout,
            note: Note { command, remark: self.remark.clone(), restores: None },
        }
    }
}

/// An error about a path as it was given on the command line.
fn as_given(error: StatusError, given: &str) -> StatusError {
    match (error.code, config::elsewhere(given)) {
        (StatusCode::NotFound, Some(detail)) => {
            let suggestion = "a component is a file: fetch it (from a registry with `wkg oci pull` or `oras pull`), and \
                              give its path";
            StatusError { detail, suggestion, ..error }
        }
        (StatusCode::NotFound, None) => {
            let suggestion =
                "build the component, or correct the path; it is relative to the current directory";
            StatusError { suggestion, ..error }
        }
        _ => error,
    }
}

/// Fails for a variable that is given more than once.
fn twice(env: &[(String, String)]) -> Option<&str> {
    let mut seen = HashSet::new();
    env.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
}
