//! How the certificates of HTTPS stand, for the status and the metrics.

use std::time::SystemTime;

use super::milliseconds_since_1970;
use crate::api::{CertificateDocument, moment};
use crate::certificates::{CertificateState, Validity};

/// The document of one certificate at a moment.
pub fn document(state: &CertificateState, now: SystemTime) -> CertificateDocument {
    let served = state.served.as_ref();
    let text = |at: SystemTime| moment::text(milliseconds_since_1970(at));
    CertificateDocument {
        certificate: state.files.certificate.path.display().to_string(),
        key: state.files.key.path.display().to_string(),
        names: served.map_or_else(Vec::new, |facts| facts.names.clone()),
        issuer: served.map(|facts| facts.issuer.clone()),
        not_before: served.map(|facts| text(facts.not_before)),
        not_after: served.map(|facts| text(facts.not_after)),
        days_left: served.map(|facts| Validity::days_left(facts.not_after, now)),
        default: state.is_default,
        retired: !state.is_declared,
        problem: state.problem(),
        warnings: state.warnings(now),
    }
}
