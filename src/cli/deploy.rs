//! `watershed deploy`: a new version beside those that serve, and traffic for it once it is normal. `given` is what is to
//! serve it.

mod arguments;
mod given;

use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use super::CliError;
use super::consent::Intent;
use super::plan::Beside;
use super::process::Process;
use super::site::Site;
use super::summary::{Action, Summary};
use super::target::Target;
use super::target::preview::Preview;
use crate::api::CopyDocument;
use crate::config::{Percent, Problem, VersionName};
use crate::delivery::{Given, Inventory as _, copies_of, sweep, takes};
use crate::edit::{NewVersion, ServiceText};
use crate::rollout::{self, Deployment, Done, Note, Portion};
use crate::source::{ComponentStore, ServiceFile};
use crate::upstream::Silent;
use given::given;

pub(super) use arguments::{Arguments, patience};

pub(super) fn deploy(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if let Some(name) = twice(&arguments.env) {
        return Err(CliError::EnvTwice(name.to_owned()));
    }
    let given = given(arguments)?;
    let silent = given.silent()?;
    // What is told of targets does not hold the command up, so it does not matter whether somebody reads it. A script
    // finds it in what was done.
    let warnings = given.warnings(&silent);
    let told = warnings.iter().filter(|_| !arguments.common.json);
    told.for_each(|it| drop(writeln!(std::io::stderr(), "warning: {it}")));
    let deployed = match arguments.new_service {
        true => create(path, arguments, given, &warnings)?,
        false => add(path, arguments, given, &silent, &warnings)?,
    };
    let (target, done, copies) = match deployed {
        ControlFlow::Continue(deployed) => deployed,
        ControlFlow::Break(code) => return Ok(code),
    };
    let action = match target.server() {
        Some(_) => Action::Normal(&arguments.version),
        None => Action::Declared(&arguments.version),
    };
    let summary = Summary::new(&target, action, &done, arguments.common.json);
    summary.with_copies(&copies).with_warnings(&warnings).print()
}

/// What became of a deployment; a dry run breaks off with its exit code.
type Deployed = ControlFlow<ExitCode, (Target, Done, Vec<CopyDocument>)>;

/// Adds the version to an existing service.
fn add(
    path: &Path,
    arguments: &Arguments,
    given: Given,
    silent: &[Silent],
    warnings: &[String],
) -> Result<Deployed, CliError> {
    let found = Target::find(path, &arguments.common, arguments.service.as_str());
    let mut target = found.map_err(|error| match error {
        CliError::Select(error) => CliError::Select(error.or_new()),
        other => other,
    })?;
    let replaced = target.view().version(&arguments.version).filter(|_| arguments.replace).cloned();
    let portion = target.view().portion(arguments.traffic.unwrap_or(Portion::Hold));
    if given.is_dead(silent) && !arguments.force && arguments.takes(&target, portion) {
        let version = arguments.version.to_string();
        let silent = silent.iter().map(Silent::to_string).collect();
        return Err(CliError::NoTargetAnswers { version, silent });
    }
    let (version, pending) = given.version(arguments.declared(), target.store(), replaced.as_ref());
    target.copies(pending);
    let deployment = arguments.deployment(version, portion);
    if let ControlFlow::Break(code) = settle(arguments, &mut target, &deployment, warnings)? {
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
    warnings: &[String],
) -> Result<ControlFlow<ExitCode>, CliError> {
    let Arguments { consent, service, common, .. } = arguments;
    if consent.is_given() {
        return Ok(ControlFlow::Continue(()));
    }
    let edit = rollout::proposal(target, deployment)?;
    let question = format!("Deploy {} of {service}", deployment.version.name);
    let (command, json) = (deployment.note.command.as_str(), common.json);
    if consent.is_dry_run() && json {
        let told = problems(&target.view().service.file, warnings);
        let preview = target.preview(&edit, command)?;
        let beside = Beside { warnings: &told, ..Beside::default() };
        return Ok(ControlFlow::Break(target.beside_others(preview)?.print_beside(beside, json)?));
    }
    consent.settle(target, &Intent { edit: &edit, command, question: &question, json })
}

/// What people are warned of on standard error, as a script finds it beside a plan.
fn problems(file: &Path, warnings: &[String]) -> Vec<Problem> {
    warnings.iter().map(|warning| Problem::of_file(file, warning, "")).collect()
}

/// Creates a service with this one version.
fn create(
    path: &Path,
    arguments: &Arguments,
    given: Given,
    warnings: &[String],
) -> Result<Deployed, CliError> {
    let Arguments { service, domain, consent, common, .. } = arguments;
    let site = Site::open(path, common)?;
    let place = site.place(common.environment.as_deref(), service)?;
    let store = ComponentStore::new(&site.loaded.config.components.directory);
    let (version, mut pending) = given.version(arguments.declared(), &store, None);
    let fill = |text: &mut ServiceText| {
        text.add_version(&version);
        text.set_split(&[(version.name.clone(), Percent::ALL)]);
    };
    if consent.is_dry_run() {
        let text = ServiceFile::preview_new(&place, service, domain, fill)?;
        let digest = version.digest;
        let command = arguments.deployment(version, Portion::All).note.command;
        let preview = Preview::of_new(site, common, &place, &text, digest, &command)?;
        let told = if common.json { problems(&place, warnings) } else { Vec::new() };
        let beside = Beside { warnings: &told, ..Beside::default() };
        return Ok(ControlFlow::Break(preview.print_beside(beside, common.json)?));
    }
    site.process.as_ref().map(Process::admits_changes).transpose()?;
    let mut file = ServiceFile::create(&place, service, domain)?;
    fill(&mut file.text);
    let locked = pending.as_mut().map(|it| it.keep(&store, file.directory())).transpose()?;
    let saved = file.save(site.main()).inspect_err(|_| {
        if let Some((pending, locked)) = pending.as_ref().zip(locked.as_ref()) {
            pending.undo(&store, locked);
        }
    })?;
    drop(locked);
    let mut target = Target::created(site, common, service.as_str())?;
    target.copies(pending);
    let deployment = arguments.deployment(version, Portion::All);
    let edited = target.published(saved, deployment.note.clone())?;
    let done = rollout::conclude(&mut target, &deployment, edited);
    let done = done.inspect_err(|_| forget(&target, &arguments.version))?;
    Ok(ControlFlow::Continue((target, done, Vec::new())))
}

impl Arguments {
    fn takes(&self, target: &Target, portion: Portion) -> bool {
        takes(target.view(), portion, self.replace.then_some(&self.version))
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

/// Fails for a variable that is given more than once.
fn twice(env: &[(String, String)]) -> Option<&str> {
    let mut seen = HashSet::new();
    env.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
}
