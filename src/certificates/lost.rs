//! What clients get from a process, and would not get from the next one, which has nothing but the files.

use std::time::SystemTime;

use super::state::{CertificateState, named};
use super::store::CertificateStore;
use crate::config::{CertificateFiles, Problem};

/// Which of the certificates that `before` serves a process that starts with `wanted` would not replace by ones that are
/// just as good, and why. Reads the files, and waits a moment for those that somebody may be writing.
pub fn lost(
    before: &[CertificateState],
    wanted: &[CertificateFiles],
    now: SystemTime,
) -> Vec<Problem> {
    let served: Vec<_> = before.iter().filter(|state| state.served.is_some()).collect();
    let next = CertificateStore::read(wanted).states();
    let of = |files: &CertificateFiles| next.iter().find(|state| state.files == *files);
    let is_new = |state: &&CertificateState| !served.iter().any(|it| it.files == state.files);
    // What is named no more may be served until what replaces it can be.
    let replaces = || next.iter().filter(is_new).find_map(CertificateState::problem);
    let mut lost: Vec<Problem> = Vec::new();
    for state in &served {
        let problem = match of(&state.files) {
            Some(next) => worse(state, next, now),
            None => replaces(),
        };
        lost.extend(problem.filter(|problem| !lost.contains(problem)));
    }
    lost
}

/// Why clients would be worse off with what the files give now.
fn worse(before: &CertificateState, next: &CertificateState, now: SystemTime) -> Option<Problem> {
    if let Some(problem) = next.problem() {
        return Some(problem);
    }
    let (before, facts) = (before.served.as_ref()?, next.served.as_ref()?);
    let validity = facts.validity(now);
    if validity.is_valid() || !before.validity(now).is_valid() {
        return None;
    }
    let message = format!(
        "the certificate of {} {}, and the one before, which is served, is valid",
        named(&facts.names),
        validity.state()?
    );
    Some(next.files.certificate.problem(message, validity.help()))
}
