//! What serves a version: a component or an upstream. Keys that only the other one has are refused with the reason.

use std::ops::Range;
use std::path::PathBuf;

use super::super::model::{AllLimits, BackendSpec, GuestSpec, Limits, Place};
use super::super::raw::{Entries, Field, Located, RawEnvValue, RawLimits, RawUpstream};
use super::super::source::{Complaint, Findings};
use super::service::Surroundings;
use super::{env, field, limits, outbound, suspect, upstream};

/// The keys of a version that depend on what serves it.
pub struct RawBackend {
    pub component: Field<String>,
    pub upstream: Field<RawUpstream>,
    pub digest: Field<String>,
    pub env: Field<Entries<RawEnvValue>>,
    pub outbound: Field<Vec<Located<String>>>,
    pub limits: Option<RawLimits>,
}

/// What serves a version, how far, and where the file says so.
pub struct Served {
    pub backend: BackendSpec,
    pub limits: Limits,
    pub place: Place,
}

/// Checks the keys of the version at `table`, in these surroundings.
pub fn backend(
    file: &mut Findings<'_>,
    table: &Range<usize>,
    raw: RawBackend,
    around: &Surroundings,
) -> Option<Served> {
    check_kind(file, table, &raw);
    match raw.upstream.is_some() && raw.component.is_none() {
        true => of_upstream(file, raw, around),
        false => of_guest(file, raw, around),
    }
}

fn check_kind(file: &mut Findings<'_>, table: &Range<usize>, raw: &RawBackend) {
    let is_lost = ["component", "upstream"].map(|key| file.has_lost(Some(table), key));
    match (&raw.component, &raw.upstream) {
        (Some(_), Some(upstream)) => {
            let message = "a version has either a `component` or an `upstream`, not both";
            let help = "keep one of them here, and give the other one a `[[versions]]` of its own";
            file.add(upstream.span(), Complaint::new(message, help));
        }
        (None, None) if is_lost == [false, false] => {
            let message = "`component` or `upstream` is missing here";
            let help = "add `component = \"…\"` with the file of a WebAssembly component, or \
                        `upstream = [\"127.0.0.1:9001\"]` with the addresses of an HTTP service, below this line";
            file.add(table.clone(), Complaint::new(message, help));
        }
        _ => {}
    }
}

fn of_guest(file: &mut Findings<'_>, raw: RawBackend, around: &Surroundings) -> Option<Served> {
    let RawBackend { component, upstream, digest, env, outbound, limits } = raw;
    if let Some(upstream) = upstream {
        upstream::upstream(file, upstream, &around.listen);
    }
    let component = component.map(Located::into_parts);
    let component = component.and_then(|(span, text)| component_at(file, span, &text));
    let digest = file.text(digest, field::digest);
    let env = env::env(file, env.map(|env| env.into_parts().1));
    let outbound = outbound::outbound(file, outbound.map(|outbound| outbound.into_parts().1));
    let AllLimits { version: limits, guest } = limits::of_version(file, limits, &around.limits);
    let (place, component) = component?;
    let guest = GuestSpec { component, digest, env, outbound, limits: guest };
    Some(Served { backend: guest.into(), limits, place })
}

/// The path of a component, and where it is written.
fn component_at(
    file: &mut Findings<'_>,
    span: Range<usize>,
    text: &str,
) -> Option<(Place, PathBuf)> {
    if let Some(complaint) = suspect::address(text) {
        file.add(span, complaint);
        return None;
    }
    if let Some(complaint) = suspect::image(text).or_else(|| suspect::service(text)) {
        file.warn(span.clone(), complaint);
    }
    let place = Place::of(file.source.spot(span.clone()));
    Some((place, file.path_at("component", span, text)?))
}

fn of_upstream(file: &mut Findings<'_>, raw: RawBackend, around: &Surroundings) -> Option<Served> {
    let RawBackend { component: _, upstream, digest, env, outbound, limits } = raw;
    if let Some(digest) = digest {
        let message = "`digest` is that of a component, and this version has none";
        let help = "remove it: what runs at the addresses of an upstream is not known here";
        file.add(digest.span(), Complaint::new(message, help));
    }
    if let Some(env) = env {
        let message = "`env` is what a component sees, and this version has none";
        let help = "remove it: set variables where the upstream is started";
        file.add(env.span(), Complaint::new(message, help));
    }
    if let Some(outbound) = outbound {
        let message = "`outbound` is what a component may reach, and this version has none";
        let help = "remove it: what an upstream calls does not pass through watershed";
        file.add(outbound.span(), Complaint::new(message, help));
    }
    if let Some(limits) = &limits {
        check_limits(file, limits);
    }
    let limits = limits::of_version(file, limits, &around.limits).version;
    let upstream = upstream?;
    let place = Place::of(file.source.spot(upstream.span()));
    let backend = upstream::upstream(file, upstream, &around.listen)?.into();
    Some(Served { backend, limits, place })
}

/// An upstream has no sandbox that could be bounded.
fn check_limits(file: &mut Findings<'_>, limits: &RawLimits) {
    let spans = [
        ("memory", limits.memory.as_ref().map(Located::span)),
        ("cpu-time", limits.cpu_time.as_ref().map(Located::span)),
        ("instance-reuse", limits.instance_reuse.as_ref().map(Located::span)),
        ("outbound-requests", limits.outbound_requests.as_ref().map(Located::span)),
        ("outbound-concurrency", limits.outbound_concurrency.as_ref().map(Located::span)),
    ];
    for (key, span) in spans {
        let Some(span) = span else { continue };
        let message = format!("`{key}` bounds a component, and this version has none");
        let help = "remove it: an upstream is bounded by `wall-time`, `idle-time`, `request-body`, `concurrency` and \
                    `queue-time`";
        file.add(span, Complaint::new(message, help));
    }
}
