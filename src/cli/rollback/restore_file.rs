//! `watershed rollback SERVICE --restore-file`: puts back what a service's file said when it was right last, where the
//! file is broken or gone. What the file says meanwhile is kept beside it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::common::Common;
use super::super::consent::ask;
use super::super::files::Files;
use super::super::json::write_json;
use super::super::process::Process;
use super::super::records::last_good;
use super::super::select;
use super::super::site::{Site, SiteError, here, is_same, load, running};
use super::super::summary::{Action, Summary};
use super::super::target::Target;
use super::super::{CliError, WOULD_CHANGE};
use super::Arguments;
use crate::api::{FileText, StatusDocument, StatusQuery, moment};
use crate::code::{Coded, ErrorCode};
use crate::config::{Digest, EnvironmentName};
use crate::history::{ROLLBACK, now};
use crate::rollout::{Done, Note, Refusal};
use crate::source::{BrokenFile, Loader, Proposal, PutBackFile, Settings};

/// Why a file does not get back its last good text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreFileError {
    #[error("nothing was done: {} is right", .path.display())]
    Right { service: String, path: PathBuf },
    #[error("nothing was done: {} says already what it said when it was right last", .path.display())]
    Same { path: PathBuf },
    #[error("nothing was done: what the file of {service} said when it was right is not known")]
    NoText { service: String },
}

impl Coded for RestoreFileError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Right { .. } | Self::Same { .. } => ErrorCode::FileNotBroken,
            Self::NoText { .. } => ErrorCode::NoGoodText,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Right { service, .. } => {
                format!("to go back to what was served before, use `watershed rollback {service}`")
            }
            Self::Same { .. } => {
                "something else has changed since: `watershed check` says what is wrong".to_owned()
            }
            Self::NoText { .. } => "mend the file by hand, as `watershed check` says; a process \
                                    keeps what a file says once it has read it and it is right"
                .to_owned(),
        })
    }
}

/// What `--json` prints for a dry run.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct Preview<'a> {
    outcome: &'static str,
    /// Whether there is anything to do: always.
    changes: bool,
    environment: &'a str,
    service: &'a str,
    file: &'a str,
    /// The lines that would change.
    change: String,
}

/// A broken file, and what it gets back.
struct Restoration {
    files: Files,
    process: Option<Process>,
    good: FileText,
    file: BrokenFile,
}

pub(super) fn restore_file(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, consent, common, remark, .. } = arguments;
    here(Loader::new(path).path(), common.admin.as_deref(), common.token_file.as_deref())?;
    let mut restoration = find(path, common, service.as_str())?;
    restoration.check()?;
    let stamp = moment::short(now()).replace(['-', ':'], "");
    let shown = restoration.shown();
    if consent.is_dry_run() {
        restoration.print(common.json)?;
        return Ok(ExitCode::from(WOULD_CHANGE));
    }
    if !consent.is_given() {
        ask(&shown, &format!("Put the file of {service} back"), common.json)?;
    }
    let Restoration { good, file, process, .. } = restoration;
    process.as_ref().map(Process::admits_changes).transpose()?;
    let PutBackFile { digest, aside } = file.put_back(&good.text, &stamp)?;
    let common = Common { environment: Some(good.environment), ..common.clone() };
    let note = Note {
        command: format!("{ROLLBACK}{service} --restore-file"),
        remark: remark.clone(),
        restores: None,
    };
    let told = announce(path, &common, service.as_str(), digest, note);
    let (target, done) = told.map_err(|why| half_done(&why, aside.as_deref()))?;
    let action = Action::FileRestored { aside: aside.as_deref() };
    Summary::new(&target, action, &done, common.json).print()
}

/// Has the process read the file, if one runs.
fn announce(
    path: &Path,
    common: &Common,
    service: &str,
    digest: Digest,
    note: Note,
) -> Result<(Target, Done), CliError> {
    // That the file is broken again is no reason to say that nothing was done.
    let mut target = Target::find(path, common, service).map_err(|error| match &error {
        CliError::Broken(broken) => broken.report().cloned().map_or(error, CliError::Config),
        _ => error,
    })?;
    let before = target.view().shares();
    let generation = target.announce(digest, note)?;
    Ok((target, Done { before, generation, is_change: true }))
}

/// The file is written by now, whatever goes wrong.
fn half_done(why: &CliError, aside: Option<&Path>) -> CliError {
    let kept = aside.map(|aside| format!("; what it said meanwhile is in {}", aside.display()));
    let left = format!("the file has its last good text again{}", kept.unwrap_or_default());
    Refusal::HalfDone { why: why.told(), fault: None, left }.into()
}

/// Finds the file by the service's name: the process or the state directory has both.
fn find(path: &Path, common: &Common, service: &str) -> Result<Restoration, CliError> {
    let loader = Loader::new(path);
    let Settings { admin, state, environments, .. } =
        loader.settings().map_err(CliError::Config)?;
    let process = running(loader.path(), &admin, common)?;
    if let Some(process) = &process {
        serves_these(process, loader.path())?;
    }
    let environment = common.environment.as_deref();
    let good = last_good(process.as_ref(), &state.directory, &environments, environment, service)?;
    let Some(good) = good else { return Err(unknown(loader, process, environment, service)) };
    let (service, path) = (service.to_owned(), PathBuf::from(&good.path));
    let files = Files::of(loader);
    if let Ok(environment) = EnvironmentName::new(&good.environment)
        && files.service(&environment, &path)?.is_some()
    {
        return Err(RestoreFileError::Right { service, path }.into());
    }
    let file = BrokenFile::open(&path)?;
    if !file.is_gone() && file.text() == Ok(good.text.clone()) {
        return Err(RestoreFileError::Same { path }.into());
    }
    Ok(Restoration { files, process, good, file })
}

/// Why nothing is known of what the file of a service said: there may be no such service.
fn unknown(
    mut loader: Loader,
    process: Option<Process>,
    environment: Option<&str>,
    service: &str,
) -> CliError {
    let no_text = RestoreFileError::NoText { service: service.to_owned() };
    let Ok(loaded) = load(&mut loader) else { return no_text.into() };
    let site = Site { loader, loaded, process };
    if site.wrong(environment, service).is_some() {
        return no_text.into();
    }
    let wrong = site.loaded.rejected.iter().map(|it| it.file.as_path());
    match select::service(&site.loaded.config, environment, service) {
        Ok(_) => no_text.into(),
        Err(error) => error.beside(wrong).into(),
    }
}

/// Whether the files that a process reads are those of this command: the process names the file that is written.
fn serves_these(process: &Process, main: &Path) -> Result<(), CliError> {
    let query = StatusQuery { process_alone: true, ..StatusQuery::default() };
    let status: StatusDocument = process.get(&query.path())?;
    match is_same(Path::new(&status.config), main) {
        true => Ok(()),
        false => {
            let (url, serves) = (process.url().to_owned(), status.config);
            Err(SiteError::OtherFiles { url, serves, main: main.to_owned() }.into())
        }
    }
}

impl Restoration {
    /// Whether the text would be right beside all other files.
    fn check(&mut self) -> Result<(), CliError> {
        let Self { files, process, good, file } = self;
        let (path, is_there) = (Path::new(&good.path), !file.is_gone());
        files.check(process.as_ref(), Proposal { path, is_there, text: &good.text })
    }

    /// What changes, for people.
    fn shown(&self) -> String {
        let Self { good, file, .. } = self;
        let path = &good.path;
        let lead = match (file.is_gone(), file.text()) {
            (true, _) => {
                format!("{path} is gone, and comes back as it was when it was right last:")
            }
            (false, Ok(_)) => format!("{path} gets back what it said when it was right last:"),
            (false, Err(why)) => format!(
                "{path} cannot be read ({why}), and gets back what it said when it was right last:"
            ),
        };
        let kept = match file.is_gone() {
            true => "",
            false => "what it says now is kept in a hidden file beside it\n",
        };
        format!("{lead}\n\n{}\n{kept}", file.change_to(&good.text))
    }

    /// Prints what would change, for a dry run.
    fn print(&self, json: bool) -> Result<(), CliError> {
        let mut out = anstream::stdout().lock();
        if !json {
            return Ok(write!(out, "{}", self.shown())?);
        }
        let FileText { environment, service, path: file, .. } = &self.good;
        let change = self.file.change_to(&self.good.text);
        let outcome = "would-restore-file";
        let document = Preview { outcome, changes: true, environment, service, file, change };
        Ok(write_json(&mut out, &document)?)
    }
}
