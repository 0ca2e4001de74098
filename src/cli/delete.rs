//! `watershed delete`: removes versions that are no longer needed.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use clap::ArgGroup;

use super::arguments::at_least_one;
use super::common::Common;
use super::consent::{Consent, Intent};
use super::summary::{Action, Summary};
use super::target::Target;
use super::{CliError, complete};
use crate::config::{ServiceName, VersionName};
use crate::delivery::{Inventory as _, copies_of, sweep};
use crate::rollout::{self, Deletion, Note};

const EXAMPLES: &str = "\
Examples:
  watershed delete greeter v1        one version, which has no traffic
  watershed delete greeter --keep 3  all but the three newest, and but those
                                     that have traffic

A deletion asks first, also of a version that nobody gets, and without a terminal it refuses unless
`--yes`. The file loses its entry. The copy that `deploy` made of the component goes too, unless
something names it or a rollback may need it; other files stay.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(override_usage = "watershed delete [OPTIONS] <SERVICE> <VERSION | --keep <N>>")]
#[command(group = ArgGroup::new("which").required(true).args(["version", "keep"]))]
pub(super) struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    service: ServiceName,
    /// The version.
    #[arg(add = complete::versions())]
    version: Option<VersionName>,
    /// Delete the oldest versions without traffic until this many are left, at least 1; versions with traffic always stay.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    keep: Option<std::num::NonZeroUsize>,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    common: Common,
}

pub(super) fn delete(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, version, keep, consent, common } = arguments;
    let mut target = Target::find(path, common, service.as_str())?;
    let (deletion, words) = match (version, keep) {
        (Some(version), _) => (Deletion::These(vec![version.clone()]), version.to_string()),
        (None, keep) => {
            let keep = keep.map_or(usize::MAX, std::num::NonZeroUsize::get);
            (Deletion::AllBut(keep), format!("--keep {keep}"))
        }
    };
    let command = format!("watershed delete {service} {words}");
    let (deleted, change) = rollout::plan_deletion(&mut target, &deletion)?;
    let question = format!("Delete {} from {service}", listed(&deleted));
    let (edit, json) = (&change.edit, common.json);
    let intent = Intent { edit, command: &command, question: &question, json };
    if let ControlFlow::Break(code) = consent.settle(&mut target, &intent)? {
        return Ok(code);
    }
    let note = Note { command, ..Note::default() };
    let declared = target.view().service.clone();
    let done = change.carry_out(&mut target, note)?;
    let gone = declared.versions.iter().filter(|spec| deleted.contains(&spec.name));
    let copies = sweep(&target, &copies_of(target.store(), gone));
    let summary = Summary::new(&target, Action::Deleted(&deleted), &done, common.json);
    summary.with_copies(&copies).print()
}

fn listed(versions: &[VersionName]) -> String {
    versions.iter().map(VersionName::as_str).collect::<Vec<_>>().join(", ")
}
