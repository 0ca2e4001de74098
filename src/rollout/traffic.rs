//! Shares that are set by hand.

use super::change::Change;
use super::control::{Control, Edit, Step};
use super::refusal::Refusal;
use super::shares::Shares;
use crate::config::{Percent, VersionName};

/// Decides how versions get their shares. Versions that are not named get nothing. A quarantined
/// version gets its share only if that is `forced`, and its quarantine is removed then. Neither gets one that the process
/// knows to be unhealthy more than it has.
///
/// # Errors
///
/// Where a version is not declared or takes no traffic.
pub fn plan_traffic<C: Control>(
    control: &mut C,
    wanted: &Shares,
    forced: bool,
) -> Result<Change, C::Error> {
    let view = control.view();
    if let Some(unknown) = wanted.names().find(|name| view.version(name).is_none()) {
        return Err(view.unknown(unknown).into());
    }
    for (version, share) in wanted.takers() {
        may_take(control, version, forced)?;
        let view = control.view();
        // What moves traffic away from an unhealthy version must go on.
        let is_given_more = share > view.shares().of(version);
        if is_given_more && !forced && view.is_unhealthy(version) {
            let service = view.service.name.clone();
            return Err(Refusal::Unhealthy { service, version: version.clone() }.into());
        }
    }
    let view = control.view();
    let released = wanted.takers().filter_map(|(version, _)| view.quarantine(version));
    let split = Step::Split(wanted.over(view.names()));
    let edit = Edit([split].into_iter().chain(released.map(Step::Release)).collect());
    Ok(Change { before: view.shares(), edit, wanted: Some(wanted.clone()) })
}

/// Whether a version may have traffic. Where no process runs that would know, one that has none yet is
/// tried out: its file may be there and yet be no component that could be made.
fn may_take<C: Control>(
    control: &mut C,
    version: &VersionName,
    forced: bool,
) -> Result<(), C::Error> {
    let view = control.view();
    view.may_take(version, forced)?;
    let declared = Shares::declared(&view.service).unwrap_or_else(Shares::offline);
    if !view.has_process() && declared.of(version) == Percent::ZERO {
        control.try_out(version)?;
        control.view().may_take(version, forced)?;
    }
    Ok(())
}
