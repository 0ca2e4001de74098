//! What HTTPS would be served with: whether certificates, keys and ticket keys can be used, and how much longer.

use std::time::SystemTime;

use crate::certificates::CertificateStore;
use crate::config::{Config, Problem};
use crate::reload::ticket_keys;
use crate::source::Reading;

/// What is wrong with the files, and what can hardly be meant.
pub fn findings(config: &Config) -> (Vec<Problem>, Vec<Problem>) {
    let Some(tls) = &config.server.tls else { return Default::default() };
    let (mut store, now) = (CertificateStore::default(), SystemTime::now());
    store.load(&tls.certificates, Reading::Everything, now);
    let tickets = tls.ticket_keys.as_ref().map(ticket_keys);
    let tickets = tickets.and_then(Result::err).map(|wrong| *wrong);
    let problems = store.problems().into_iter().chain(tickets).collect();
    let warnings = store.states().iter().flat_map(|state| state.warnings(now)).collect();
    (problems, warnings)
}
