//! What there is to look at of a version that is reached over the network.

use super::super::figures::age;
use super::super::page::{WAITING, WRONG};
use super::Finding;
use crate::api::{TargetDocument, UnresolvedDocument, UpstreamDocument, VersionDocument};
use crate::plural::noun;

/// Targets that are named; of more, only their number is said.
const NAMED: usize = 3;

/// Targets that take no requests, and names that are not found now.
pub fn of_version(version: &VersionDocument) -> Vec<Finding> {
    let Some(upstream) = &version.upstream else { return Vec::new() };
    let unresolved = upstream.unresolved.iter().map(|it| unresolved(version, it));
    targets(version, upstream).into_iter().chain(unresolved).collect()
}

fn targets(version: &VersionDocument, upstream: &UpstreamDocument) -> Option<Finding> {
    let VersionDocument { name, share, unhealthy, .. } = version;
    let UpstreamDocument { targets, .. } = upstream;
    let ill: Vec<_> = targets.iter().filter(|target| !target.is_healthy()).collect();
    if ill.is_empty() {
        return None;
    }
    let (count, of) = (ill.len(), noun(&targets.len().min(2).try_into().unwrap_or(2_u8), "target"));
    let verb = if count == 1 { "is" } else { "are" };
    let named: Vec<_> = ill.iter().take(NAMED).map(|target| told(target)).collect();
    let more = match count.saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let each = named.join("; ") + &more;
    let counts = format!("version {name}: {count} of {} {of} {verb} unhealthy", targets.len());
    let finding = match unhealthy {
        true if *share > 0.0 => {
            let text = format!("{counts}, and {share} % of the requests are for it: {each}");
            Finding::new(WRONG, "unhealthy", text)
        }
        true => Finding::new(WRONG, "unhealthy", format!("{counts}: {each}")),
        false => Finding::new(WAITING, "targets", format!("{counts}: {each}")),
    };
    Some(finding)
}

/// `10.0.0.7:9001 is unhealthy for 5 min (connection refused)`.
fn told(target: &TargetDocument) -> String {
    let TargetDocument { address, name, health, age_seconds, reason, .. } = target;
    let name = name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{address}{name} {health} for {}{why}", age(*age_seconds))
}

fn unresolved(version: &VersionDocument, it: &UnresolvedDocument) -> Finding {
    let UnresolvedDocument { name, reason } = it;
    let text = format!(
        "version {}: {name} is not found now, and the addresses that it had go on until the process ends: \
         {reason}",
        version.name
    );
    Finding::new(WAITING, "names", text)
}
