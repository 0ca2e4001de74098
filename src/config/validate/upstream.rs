//! `[versions.upstream]`: the services on the network that serve a version, and how they are asked.

mod address;
mod checks;
mod retry;
mod tls;

pub use self::address::target;
pub use self::retry::{insert, status, twice};
pub use address::{parse_target, suspicion};

use std::collections::HashSet;
use std::net::SocketAddr;

use super::super::model::{Balance, HostHeader, Protocol, TargetAddress, TargetSpec, UpstreamSpec};
use super::super::raw::{
    Field, Located, RawTarget, RawTargets, RawUpstream, RawUpstreamTable, RawWeightedTarget,
};
use super::super::source::{Complaint, Findings};
use super::super::suggest;
use super::field;
use crate::plural::many;

/// How to write targets.
const TARGETS_HELP: &str = "give at least one, such as `targets = [\"127.0.0.1:9001\"]`";

/// Checks either form of an upstream, for a server with these addresses.
pub fn upstream(
    file: &mut Findings<'_>,
    raw: Located<RawUpstream>,
    listen: &[SocketAddr],
) -> Option<UpstreamSpec> {
    let (span, raw) = raw.into_parts();
    match raw {
        RawUpstream::Targets(raw) => {
            targets(file, Located::new(span, raw), listen).map(UpstreamSpec::new)
        }
        RawUpstream::Table(raw) => table(file, Located::new(span, *raw), listen),
    }
}

fn table(
    file: &mut Findings<'_>,
    raw: Located<RawUpstreamTable>,
    listen: &[SocketAddr],
) -> Option<UpstreamSpec> {
    let (table, raw) = raw.into_parts();
    let RawUpstreamTable {
        targets,
        protocol,
        balance,
        host,
        resolve,
        connect_timeout,
        idle_timeout,
        tls,
        health,
        eject,
        retry,
    } = raw;
    if targets.is_none() {
        let complaint = Complaint::new("`targets` is missing here", TARGETS_HELP);
        file.add_missing(table.clone(), "targets", complaint);
    }
    let targets = targets.and_then(|targets| self::targets(file, targets, listen));
    let protocol = tls::protocol(file, protocol, tls);
    let balance = file.text(balance, self::balance);
    let host = self::host(file, host);
    let resolve = file.duration("resolve", resolve, &UpstreamSpec::RESOLVE);
    let connect = UpstreamSpec::CONNECT_TIMEOUT;
    let connect = file.duration("connect-timeout", connect_timeout, &connect);
    let idle = file.duration("idle-timeout", idle_timeout, &UpstreamSpec::IDLE_TIMEOUT);
    let health = health.map(|health| checks::health(file, health));
    let eject = checks::eject(file, eject);
    let retry = retry::retry(file, retry);
    let default = UpstreamSpec::new(targets?);
    Some(UpstreamSpec {
        protocol: protocol.unwrap_or(Protocol::Http1),
        balance: balance.unwrap_or(default.balance),
        host: host.unwrap_or(default.host),
        resolve: resolve.unwrap_or(default.resolve),
        connect_timeout: connect.unwrap_or(default.connect_timeout),
        idle_timeout: idle.unwrap_or(default.idle_timeout),
        health,
        eject,
        retry,
        targets: default.targets,
    })
}

fn balance(text: &str) -> Result<Balance, Complaint> {
    field::word("balance", &Balance::ALL, Balance::as_str)(text).map_err(|complaint| {
        let plain = text.to_ascii_lowercase().replace(['_', ' '], "-");
        let meant = match plain.as_str() {
            "rr" | "wrr" | "weighted" | "weighted-round-robin" | "static-rr" => Balance::RoundRobin,
            "least-conn" | "leastconn" | "least-connections" | "p2c" | "ewma"
            | "least-outstanding" => Balance::LeastRequests,
            "ip-hash" | "ring-hash" | "maglev" | "consistent-hash" | "source"
            | "client-ip-hash" | "sticky" | "cookie" | "header" | "uri-hash" => Balance::Hash,
            _ => return complaint,
        };
        let help =
            format!("did you mean `{}`? {}", meant.as_str(), suggest::capital(&complaint.help));
        Complaint { help, ..complaint }
    })
}

fn host(file: &mut Findings<'_>, raw: Field<String>) -> Option<HostHeader> {
    let (span, text) = raw?.into_parts();
    match text.as_str() {
        HostHeader::KEEP => Some(HostHeader::Keep),
        HostHeader::TARGET => Some(HostHeader::Target),
        text => {
            let plain = text.to_ascii_lowercase();
            let word = match plain.as_str() {
                HostHeader::KEEP | "$host" | "$http_host" | "{host}" => HostHeader::KEEP,
                HostHeader::TARGET | "$proxy_host" | "{upstream_hostport}" => HostHeader::TARGET,
                _ => return file.check(span, address::host(text)).map(HostHeader::Name),
            };
            let message = format!("`host` cannot be {text:?}");
            file.add(span, Complaint::new(message, format!("write `{word}`")));
            None
        }
    }
}

/// The targets, as long as each of them is right.
fn targets(
    file: &mut Findings<'_>,
    raw: Located<RawTargets>,
    listen: &[SocketAddr],
) -> Option<Vec<TargetSpec>> {
    let (span, raw) = raw.into_parts();
    let (written, most) = (raw.len(), *UpstreamSpec::TARGETS.end());
    if written == 0 && !file.has_lost_any(&span) {
        file.add(span, Complaint::new("the upstream has no target", TARGETS_HELP));
        return None;
    }
    if written > most {
        let message = format!("the upstream has {}, more than {most}", many(written, "target"));
        let help =
            "give one name that stands for their addresses, or several versions a share each";
        file.add(span, Complaint::new(message, help));
        return None;
    }
    let mut seen = HashSet::new();
    let mut targets = Vec::with_capacity(written);
    for raw in raw {
        let span = raw.span();
        let Some(target) = target_of(file, raw, listen) else { continue };
        let TargetSpec { address, weight: _ } = &target;
        if !seen.insert(address.clone()) {
            let message = format!("the upstream has {address} twice");
            let help = "remove one of them; to give a target more requests, write `weight`";
            file.add(span, Complaint::new(message, help));
        }
        targets.push(target);
    }
    (targets.len() == written).then_some(targets)
}

fn target_of(
    file: &mut Findings<'_>,
    raw: Located<RawTarget>,
    listen: &[SocketAddr],
) -> Option<TargetSpec> {
    let (span, raw) = raw.into_parts();
    let (address, weight) = match raw {
        RawTarget::Address(text) => (Some((span, text)), None),
        RawTarget::Weighted(RawWeightedTarget { address, weight }) => {
            (file.required(&span, "address", address), weight)
        }
    };
    let weight = file.count("weight", weight, &TargetSpec::WEIGHT);
    let (span, text) = address?;
    let address: TargetAddress = file.check(span.clone(), target(&text))?;
    if let Some(complaint) = address::suspect(&address, listen) {
        file.warn(span, complaint);
    }
    let target = TargetSpec::new(address);
    Some(TargetSpec { weight: weight.unwrap_or(target.weight), ..target })
}
