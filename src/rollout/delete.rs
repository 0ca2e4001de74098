//! Versions that are not needed any more.

use super::change::Change;
use super::control::{Control, Edit, Step, prove};
use super::refusal::Refusal;
use super::view::ServiceView;
use crate::config::{Percent, Traffic, VersionName};

/// Which versions are to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    These(Vec<VersionName>),
    /// The oldest without traffic, so many that this many versions are left.
    AllBut(usize),
}

/// Decides which versions leave the service's file: only versions without traffic, and maybe none.
///
/// # Errors
///
/// Where a version is not declared, is the only one, has traffic, or rescues.
pub fn plan_deletion<C: Control>(
    control: &mut C,
    deletion: &Deletion,
) -> Result<(Vec<VersionName>, Change), C::Error> {
    if control.view().service.traffic == Traffic::Latest {
        prove(control)?;
    }
    let view = control.view();
    let doomed = match deletion {
        Deletion::These(versions) => these(view, versions)?,
        Deletion::AllBut(keep) => surplus(view, *keep),
    };
    let edit = Edit(doomed.iter().cloned().map(Step::Remove).collect());
    Ok((doomed, Change { before: view.shares(), edit, wanted: None }))
}

/// Versions that may be removed together: at least one is left.
fn these(view: &ServiceView, versions: &[VersionName]) -> Result<Vec<VersionName>, Refusal> {
    let mut doomed: Vec<VersionName> = Vec::new();
    for version in versions {
        may_go(view, version)?;
        if !doomed.contains(version) {
            doomed.push(version.clone());
        }
    }
    match doomed.last().filter(|_| doomed.len() == view.names().count()) {
        Some(last) => {
            let (service, file) = (view.service.name.clone(), view.service.file.clone());
            Err(Refusal::OnlyVersion { service, version: last.clone(), file })
        }
        None => Ok(doomed),
    }
}

/// Whether a version may be removed.
pub(super) fn may_go(view: &ServiceView, version: &VersionName) -> Result<(), Refusal> {
    let (service, name) = (view.service.name.clone(), version.clone());
    if view.version(version).is_none() {
        return Err(view.unknown(version));
    }
    if view.names().count() == 1 {
        let file = view.service.file.clone();
        return Err(Refusal::OnlyVersion { service, version: name, file });
    }
    match view.most(version) {
        Percent::ZERO if rescues(view) == Some(version) => {
            let file = view.service.file.clone();
            Err(Refusal::Rescues { service, version: name, file })
        }
        Percent::ZERO => Ok(()),
        share => Err(Refusal::HasTraffic { service, version: name, share }),
    }
}

/// The oldest versions without traffic, so many that `keep` versions are left. The version that rescues stays.
fn surplus(view: &ServiceView, keep: usize) -> Vec<VersionName> {
    let total = view.names().count();
    let idle = view.names().filter(|version| view.most(version) == Percent::ZERO);
    let idle = idle.filter(|version| Some(*version) != rescues(view));
    idle.take(total.saturating_sub(keep)).cloned().collect()
}

/// The version that answers where others fail, if the service has one.
fn rescues(view: &ServiceView) -> Option<&VersionName> {
    let rescue = view.service.policy.rescue.as_ref()?;
    view.service.versions.get(rescue.version).map(|spec| &spec.name)
}
