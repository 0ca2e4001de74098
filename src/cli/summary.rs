//! What a command has done to a service, for people or as JSON.

use std::io::Write;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::CliError;
use super::json::{write_failed, write_json};
use super::rollback::text;
use super::target::Target;
use crate::api::{BackDocument, ChangeDocument, CopyDocument};
use crate::config::{Percent, VersionName};
use crate::delivery::{changes, instead, outcome};
use crate::rollout::{Back, Done, Shares};

/// What was done, beside the change of the shares.
#[derive(Clone, Debug)]
pub(super) enum Action<'a> {
    /// A version is deployed and normal.
    Normal(&'a VersionName),
    /// A version is in the file, and no process has made it.
    Declared(&'a VersionName),
    /// The shares have changed.
    Traffic,
    RolledBack {
        generation: Option<u64>,
        quarantined: &'a [VersionName],
        back: &'a Back,
    },
    /// A rollback has nothing to do.
    AlreadyServed(&'a Shares),
    Deleted(&'a [VersionName]),
    /// The file has its last good text again; what it said is kept aside.
    FileRestored {
        aside: Option<&'a Path>,
    },
}

impl Action<'_> {
    fn word(&self) -> &'static str {
        match self {
            Self::Normal(_) => "normal",
            Self::Declared(_) => "declared",
            Self::Traffic => "traffic",
            Self::RolledBack { .. } => "rolled-back",
            // It never changes anything.
            Self::AlreadyServed(_) => "unchanged",
            Self::Deleted(_) => "deleted",
            Self::FileRestored { .. } => "file-restored",
        }
    }

    fn versions(&self) -> Vec<VersionName> {
        match self {
            Self::Normal(version) | Self::Declared(version) => vec![(*version).clone()],
            Self::Traffic | Self::AlreadyServed(_) | Self::FileRestored { .. } => Vec::new(),
            Self::RolledBack { quarantined: versions, .. } | Self::Deleted(versions) => {
                versions.to_vec()
            }
        }
    }

    /// The service's present state, or only its file's where no process serves it.
    fn sentence(&self, service: &str, is_served: bool) -> Option<String> {
        Some(match self {
            Self::Normal(version) => format!("{version} of {service} is normal"),
            Self::Declared(version) => format!("{version} of {service} is declared"),
            Self::Traffic => return None,
            Self::AlreadyServed(shares) => {
                format!("{shares} is what is served already: nothing to do")
            }
            Self::RolledBack { generation, back, .. } => {
                let file = if is_served { "" } else { "the file of " };
                match generation {
                    Some(generation) if back.is_all() => {
                        format!("{file}{service} is back at what generation {generation} served")
                    }
                    Some(generation) => {
                        format!("{file}{service} has the shares of generation {generation} again")
                    }
                    None => format!("{file}{service} is rolled back"),
                }
            }
            Self::FileRestored { aside: None } => {
                format!("the file of {service} is there again, as it was when it was right last")
            }
            Self::FileRestored { aside: Some(aside) } => format!(
                "the file of {service} says again what it said when it was right last; what it said \
                 meanwhile is in {}",
                aside.display()
            ),
            Self::Deleted([]) => "nothing to delete".to_owned(),
            Self::Deleted(versions) => {
                let names: Vec<_> = versions.iter().map(VersionName::as_str).collect();
                format!("deleted from {service}: {}", names.join(", "))
            }
        })
    }
}

/// All that a command reports.
pub(super) struct Summary<'a> {
    target: &'a Target,
    action: Action<'a>,
    done: &'a Done,
    copies: &'a [CopyDocument],
    warnings: &'a [String],
    json: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    change: ChangeDocument,
    /// The admin listener of the process that serves it.
    process: Option<&'a str>,
    file: String,
    /// Where what a broken file said is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<&'a Path>,
    /// Copies of components whose versions are gone.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    copies: &'a [CopyDocument],
    /// What was found that need not be wrong: targets that do not answer from where the command runs.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(flatten)]
    back: Option<BackDocument>,
}

impl<'a> Summary<'a> {
    /// What became of `target`, which was looked at again after the edit.
    pub(super) fn new(target: &'a Target, action: Action<'a>, done: &'a Done, json: bool) -> Self {
        let (copies, warnings) = (&[], &[]);
        Self { target, action, done, copies, warnings, json }
    }

    /// Tells also of copies of components.
    pub(super) fn with_copies(self, copies: &'a [CopyDocument]) -> Self {
        Self { copies, ..self }
    }

    /// Tells scripts also of warnings, which people have been told of already.
    pub(super) fn with_warnings(self, warnings: &'a [String]) -> Self {
        Self { warnings, ..self }
    }

    /// Prints it.
    ///
    /// # Errors
    ///
    /// Where what is declared is not what is served.
    pub(super) fn print(&self) -> Result<std::process::ExitCode, CliError> {
        let mut out = anstream::stdout().lock();
        let held = self.held().map(|why| CliError::Held(self.instead(why)));
        match (held, self.json) {
            (None, true) => write_json(&mut out, &self.document())?,
            (None, false) => self.tell(&mut out)?,
            (Some(held), true) => {
                write_failed(&mut out, held.document(), &self.document())?;
                return Ok(held.exit_code());
            }
            (Some(held), false) => {
                self.tell(&mut out)?;
                return Err(held);
            }
        }
        Ok(std::process::ExitCode::SUCCESS)
    }

    /// What is served instead of what the file declares, and why.
    fn instead(&self, why: &str) -> String {
        instead(self.target.view(), why)
    }

    fn held(&self) -> Option<&str> {
        self.target.view().held()
    }

    fn tell(&self, out: &mut impl Write) -> std::io::Result<()> {
        let service = self.target.view().service.name.as_str();
        let is_served = self.target.server().is_some() && self.held().is_none();
        if let Some(sentence) = self.action.sentence(service, is_served) {
            writeln!(out, "{sentence}")?;
        }
        shares(out, service, &changes(self.target.view(), &self.done.before))?;
        self.copies.iter().try_for_each(|copy| writeln!(out, "{}", line(copy)))?;
        if let Action::RolledBack { quarantined, back, .. } = &self.action {
            back.asides().iter().try_for_each(|line| writeln!(out, "{line}"))?;
            text::tell(back, out)?;
            for version in *quarantined {
                // The version goes on under another environment or component.
                let what = if self.target.view().shares().of(version) == Percent::ZERO {
                    ""
                } else {
                    "what was "
                };
                writeln!(
                    out,
                    "{what}{version} is quarantined: it gets no traffic without `--force`"
                )?;
            }
        }
        match (self.done.generation, self.target.server()) {
            (Some(generation), Some(url)) => {
                writeln!(out, "generation {generation} is served at {url}")
            }
            // Nothing was edited, so no process had to be told.
            _ if matches!(self.action, Action::Deleted([]) | Action::AlreadyServed(_)) => Ok(()),
            _ => writeln!(out, "{}", self.target.nobody(self.done.is_change)),
        }
    }

    fn document(&self) -> Document<'_> {
        let view = self.target.view();
        Document {
            change: outcome(view, self.action.word(), &self.action.versions(), self.done),
            process: self.target.server(),
            file: view.service.file.display().to_string(),
            aside: match &self.action {
                Action::FileRestored { aside } => *aside,
                _ => None,
            },
            copies: self.copies,
            warnings: self.warnings,
            back: self.back(),
        }
    }

    fn back(&self) -> Option<BackDocument> {
        let Action::RolledBack { generation, back, .. } = &self.action else { return None };
        Some(BackDocument::of(back, *generation, self.held().is_some()))
    }
}

/// One line for people about a copy.
fn line(CopyDocument { file, why, .. }: &CopyDocument) -> String {
    match why {
        None => format!("deleted {}", file.display()),
        Some(why) => format!("{} stays: {why}", file.display()),
    }
}

/// Lines of `version  before → after`, under the service's name.
pub(super) fn shares(
    out: &mut impl Write,
    service: &str,
    changes: &[(&VersionName, Percent, Percent)],
) -> std::io::Result<()> {
    let width = changes.iter().map(|(name, ..)| name.as_str().len()).max().unwrap_or(0);
    let indent = " ".repeat(service.len());
    for (number, (version, before, after)) in changes.iter().enumerate() {
        let lead = if number == 0 { service } else { &indent };
        let version = version.as_str();
        let before = format!("{before} %");
        match before == format!("{after} %") {
            true => writeln!(out, "{lead}  {version:width$}  {before:>7}")?,
            false => writeln!(out, "{lead}  {version:width$}  {before:>7} → {after} %")?,
        }
    }
    Ok(())
}
