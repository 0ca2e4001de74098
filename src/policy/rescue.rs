//! Which version answers while none has a share, and how every room says it.

use super::{Base, Eligibility};
use crate::config::Service;

/// The rescue version, by its index, where it answers the requests of a service whose versions can serve none of the
/// traffic. Requests that ask for a version by its name get that one or none, and a rule with `otherwise = "fail"` fails.
pub fn stand_in(service: &Service, eligibilities: &[Eligibility], base: &Base) -> Option<usize> {
    let rescue = service.policy.rescue.as_ref().filter(|_| *base == Base::Nothing)?;
    let eligibility = eligibilities.get(rescue.version)?;
    eligibility.takes_rules().then_some(rescue.version)
}

/// What requests get while no version has a share; `rescuer` is the version that [`stand_in`] finds.
pub fn answers(rescuer: Option<&str>) -> String {
    match rescuer {
        Some(name) => format!("the rescue version {name} answers requests"),
        None => "requests get 503 `no-version`".to_owned(),
    }
}

/// The same as a sentence of its own.
pub fn instead(rescuer: Option<&str>) -> String {
    let what = if rescuer.is_some() { "no version has a share" } else { "nothing is served" };
    format!("{what}, and {}", answers(rescuer))
}
