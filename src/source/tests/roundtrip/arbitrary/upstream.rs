//! Any upstream.

use super::*;

pub fn upstream() -> impl Strategy<Value = UpstreamSpec> {
    let settings = (protocol(), select(&Balance::ALL), host());
    let times = (millis(1_000, 86_400_000), millis(1, 60_000), millis(0, 3_600_000));
    let checks = (option::of(health()), option::of(eject()), retry());
    let any =
        (targets(), settings, times, checks).prop_map(|(targets, settings, times, checks)| {
            let (protocol, balance, host) = settings;
            let (resolve, connect_timeout, idle_timeout) = times;
            let (health, eject, retry) = checks;
            UpstreamSpec {
                targets,
                protocol,
                balance,
                host,
                resolve,
                connect_timeout,
                idle_timeout,
                health,
                eject,
                retry,
            }
        });
    prop_oneof![any, targets().prop_map(UpstreamSpec::new)]
}

fn targets() -> impl Strategy<Value = Vec<TargetSpec>> {
    let weight = prop_oneof![Just(1), 1..=1000_u32];
    let targets = btree_map(address(), weight, 1..4).prop_map(|targets| {
        let target = |(address, weight): (TargetAddress, u32)| TargetSpec {
            address,
            weight: weight.try_into().unwrap(),
        };
        targets.into_iter().map(target).collect::<Vec<_>>()
    });
    targets.prop_shuffle()
}

fn address() -> impl Strategy<Value = TargetAddress> {
    let ip = prop_oneof![ip(), any::<IpAddr>().prop_map(|ip| ip.to_canonical())];
    prop_oneof![
        (ip, 1..=u16::MAX).prop_map(|(ip, port)| TargetAddress::Address((ip, port).into())),
        (NAME, 1..=u16::MAX).prop_map(|(name, port)| TargetAddress::Name(name, port)),
    ]
}

/// A host name that is no number.
const NAME: &str = "([a-z0-9]{1,3}[.]){0,2}[a-z]([a-z0-9_-]{0,4}[a-z0-9])?";

fn host() -> impl Strategy<Value = HostHeader> {
    let name = NAME.prop_filter("a name", |name| !["keep", "target"].contains(&name.as_str()));
    prop_oneof![
        Just(HostHeader::Keep),
        Just(HostHeader::Target),
        name.prop_map(HostHeader::Name),
        address().prop_map(|address| HostHeader::Name(address.to_string())),
    ]
}

fn protocol() -> impl Strategy<Value = Protocol> {
    let name = option::of(prop_oneof![NAME, ip().prop_map(|ip| ip.to_string())]);
    let identity = (path(), path());
    let identity = identity.prop_map(|(certificate, key)| IdentitySpec { certificate, key });
    let tls = (name, option::of(path()), option::of(identity));
    let tls = tls.prop_map(|(server_name, ca, identity)| TlsSpec { server_name, ca, identity });
    prop_oneof![
        Just(Protocol::Http1),
        Just(Protocol::H2c),
        Just(Protocol::Tls(TlsSpec::default())),
        tls.prop_map(Protocol::Tls),
    ]
}

fn health() -> impl Strategy<Value = HealthSpec> {
    let status = (100..=599_u16, 100..=599_u16);
    let times = (millis(100, 3_600_000), millis(10, 60_000));
    let path = option::of("/[!\"$-~]{0,8}");
    (path, status, times, (1..=100_u32, 1..=100_u32)).prop_map(
        |(path, (one, other), (interval, timeout), (healthy, unhealthy))| HealthSpec {
            // Without a path there is no status.
            status: match path {
                Some(_) => one.min(other)..=one.max(other),
                None => HealthSpec::default().status,
            },
            path,
            interval,
            timeout,
            healthy: healthy.try_into().unwrap(),
            unhealthy: unhealthy.try_into().unwrap(),
        },
    )
}

fn eject() -> impl Strategy<Value = EjectSpec> {
    (1..=1000_u32, millis(100, 300_000), percent(1)).prop_map(|(failures, duration, at_most)| {
        EjectSpec { failures: failures.try_into().unwrap(), duration, at_most }
    })
}

fn retry() -> impl Strategy<Value = RetrySpec> {
    let statuses = btree_set(500..=599_u16, 0..3);
    (0..=10_u32, any::<(bool, bool)>(), statuses, percent(0)).prop_map(
        |(attempts, (connect, reset), statuses, budget)| RetrySpec {
            attempts,
            connect,
            reset,
            statuses: statuses.into_iter().collect(),
            budget,
        },
    )
}

fn percent(least: u16) -> impl Strategy<Value = Percent> {
    (least..=10_000_u16).prop_map(|hundredths| Percent::from_hundredths(hundredths).unwrap())
}
