//! Any configuration that the model can hold.

mod policy;
mod upstream;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use ipnet::IpNet;
use prop::collection::{btree_map, btree_set, vec};
use prop::option;
use prop::sample::select;

use super::*;

use policy::{Said, network_of, said};

/// A configuration, and the limits that versions have which set none.
#[derive(Clone, Debug)]
pub struct Meant {
    pub config: Config,
    pub defaults: AllLimits,
}

pub fn meant() -> impl Strategy<Value = Meant> {
    (limits(), doors(), (path(), path())).prop_flat_map(|(defaults, (server, admin), paths)| {
        let limits = prop_oneof![Just(defaults.clone()), limits()].boxed();
        environments(limits).prop_map(move |environments| {
            let state = StateSettings { directory: paths.0.clone() };
            let components = ComponentSettings { directory: paths.1.clone() };
            let (server, admin) = (server.clone(), admin.clone());
            let warnings = Vec::new();
            let config = Config { server, admin, state, components, environments, warnings };
            Meant { config, defaults: defaults.clone() }
        })
    })
}

/// No two listen on the same address.
fn doors() -> impl Strategy<Value = (ServerSettings, AdminSettings)> {
    let addresses = btree_set((ip(), 1..=u16::MAX), 2..5).prop_shuffle_set();
    let times = (millis(0, 3_600_000), millis(0, 600_000));
    let server = (
        0..=1024_usize,
        1..=10_000_u32,
        times,
        select(&Expose::ALL),
        watch(),
        connections(),
        https(),
    );
    let hosts = btree_set("[a-z]{1,3}(_[a-z]{1,3})?([.][a-z]{1,3}){0,2}", 0..3);
    (addresses, server, (path(), hosts), any::<bool>()).prop_map(
        |(mut addresses, server, (token, hosts), is_open)| {
            let (threads, sandboxes, (grace_period, drain_delay), expose, watch, limits, tls) =
                server;
            let (health_path, trusted_proxies, tls) = tls;
            let proxy_protocol = match trusted_proxies.is_empty() {
                true => ProxyProtocol::Off,
                false => ProxyProtocol::V1V2,
            };
            let admin = addresses.pop().unwrap();
            let has_token = is_open || !admin.ip().is_loopback();
            let settings = ServerSettings {
                listen: addresses,
                threads,
                sandboxes: sandboxes.try_into().unwrap(),
                grace_period,
                drain_delay,
                expose,
                watch,
                health_path,
                proxy_protocol,
                trusted_proxies,
                tls,
                limits,
            };
            let hosts = hosts.into_iter().collect();
            let token_file = has_token.then_some(token);
            (settings, AdminSettings { listen: admin, token_file, hosts })
        },
    )
}

fn connections() -> impl Strategy<Value = ConnectionLimits> {
    let head = ConnectionLimits::HEAD;
    let head = head.start().bytes()..=head.end().bytes();
    let times = (millis(1_000, 300_000), millis(1_000, 3_600_000));
    let counts = (1..=1_000_000_u32, 0..=1_048_576_u64, 1..=10_000_u32, 1..=100_000_u32);
    (head, 1..=256_u32, times, counts).prop_map(
        |(head, headers, (head_time, idle_time), (connections, client_rate, streams, resets))| {
            ConnectionLimits {
                head: ByteSize::new(head),
                headers: headers.try_into().unwrap(),
                head_time,
                idle_time,
                connections: connections.try_into().unwrap(),
                client_rate: ByteSize::new(client_rate),
                streams: streams.try_into().unwrap(),
                resets: resets.try_into().unwrap(),
            }
        },
    )
}

/// The health path, the trusted proxies, and HTTPS. Its addresses are those of no other listener.
fn https() -> impl Strategy<Value = (Option<String>, Vec<IpNet>, Option<TlsSettings>)> {
    let health = option::of("/[a-z/-]{0,8}");
    let networks = btree_set((ip(), 1..=32_u8), 0..3).prop_map(|networks| {
        let network = |(ip, bits)| network_of(ip, bits);
        let networks: std::collections::BTreeSet<_> = networks.into_iter().map(network).collect();
        networks.into_iter().collect()
    });
    let pairs = (btree_set(path(), 1..4), path()).prop_map(|(certificates, key)| {
        let files = |certificate: PathBuf| CertificateFiles {
            certificate: certificate.into(),
            key: key.clone().into(),
        };
        certificates.into_iter().map(files).collect()
    });
    let times = option::of((0..=730 * 86_400_u64).prop_map(Duration::from_secs));
    let tls = (select(&TlsVersion::ALL), any::<bool>(), times, option::of(path()), pairs);
    let tls = tls.prop_map(|(minimum, redirect, hsts, ticket_keys, certificates)| TlsSettings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        minimum,
        redirect,
        hsts,
        ticket_keys: ticket_keys.map(Into::into),
        certificates,
    });
    (health, networks, option::of(tls))
}

fn watch() -> impl Strategy<Value = Watch> {
    prop_oneof![Just(Watch::Events), millis(100, 3_600_000).prop_map(Watch::Poll)]
}

fn env_value() -> impl Strategy<Value = EnvValue> {
    prop_oneof!["[^\0]{0,12}".prop_map(EnvValue::Plain), secret_source().prop_map(EnvValue::Secret),]
}

fn secret_source() -> impl Strategy<Value = SecretSource> {
    prop_oneof![path().prop_map(SecretSource::File), "[^=\0]{1,6}".prop_map(SecretSource::FromEnv),]
}

trait Shuffled: Strategy {
    /// As addresses, in any order.
    fn prop_shuffle_set(self) -> BoxedStrategy<Vec<SocketAddr>>;
}

impl<S> Shuffled for S
where
    S: Strategy<Value = std::collections::BTreeSet<(IpAddr, u16)>> + 'static,
{
    fn prop_shuffle_set(self) -> BoxedStrategy<Vec<SocketAddr>> {
        let addresses =
            |set: Self::Value| set.into_iter().map(SocketAddr::from).collect::<Vec<_>>();
        self.prop_map(addresses).prop_shuffle().boxed()
    }
}

fn ip() -> impl Strategy<Value = IpAddr> {
    select(vec!["127.0.0.1", "0.0.0.0", "::1", "10.1.2.3", "2001:db8::1"])
        .prop_map(|ip| ip.parse().unwrap())
}

fn environments(limits: BoxedStrategy<AllLimits>) -> impl Strategy<Value = Vec<Environment>> {
    let services = btree_map(label(), draft(limits), 0..4);
    btree_map(label(), services, 0..3).prop_map(|environments| {
        let each = environments.into_iter().enumerate();
        let each = each.map(|(index, (name, services))| environment(index, &name, services));
        each.collect()
    })
}

fn environment(index: usize, name: &str, services: BTreeMap<String, Draft>) -> Environment {
    let domain = format!("e{index}.test");
    let services = services.into_iter().enumerate().map(|(number, (name, draft))| {
        let Draft { domains, routes, versions, said, quarantine } = draft;
        let Said { traffic, policy } = said;
        let default = DomainPattern::Exact(format!("{name}.{domain}"));
        let others = domains.into_iter().map(|(label, is_wildcard)| {
            domain_pattern(format!("{label}.s{number}.e{index}.example.org"), is_wildcard)
        });
        Arc::new(Service {
            name: ServiceName::new(&name).unwrap(),
            domains: [default].into_iter().chain(others).collect(),
            routes: self::routes(&format!("s{number}.e{index}.example.net"), routes),
            versions,
            traffic,
            policy,
            quarantine,
            file: PathBuf::new(),
        })
    });
    let services = services.collect();
    Environment { name: EnvironmentName::new(name).unwrap(), domain, services }
}

fn domain_pattern(name: String, is_wildcard: bool) -> DomainPattern {
    if is_wildcard { DomainPattern::Wildcard(name) } else { DomainPattern::Exact(name) }
}

fn routes(domain: &str, routes: BTreeMap<(String, String), bool>) -> Vec<Route> {
    let route = |((label, path), is_wildcard): ((String, String), bool)| {
        let path = if path.is_empty() { Route::WHOLE.to_owned() } else { path };
        Route { domain: domain_pattern(format!("{label}.{domain}"), is_wildcard), path }
    };
    routes.into_iter().map(route).collect()
}

/// A service that does not know its environment.
#[derive(Clone, Debug)]
struct Draft {
    domains: BTreeMap<String, bool>,
    routes: BTreeMap<(String, String), bool>,
    versions: Vec<VersionSpec>,
    said: Said,
    quarantine: Vec<Quarantined>,
}

fn draft(limits: BoxedStrategy<AllLimits>) -> impl Strategy<Value = Draft> {
    let domains = btree_map(label(), any::<bool>(), 0..3);
    let routes = btree_map((label(), "(/[a-z~é-]{1,4}){0,2}"), any::<bool>(), 0..3);
    let versions = btree_map(version_label(), version(limits), 0..4);
    let versions = versions.prop_map(|versions| {
        let name = |(name, version): (String, VersionSpec)| VersionSpec {
            name: VersionName::new(&name).unwrap(),
            ..version
        };
        versions.into_iter().map(name).collect::<Vec<_>>()
    });
    let quarantine = vec(quarantined(), 0..3);
    ((domains, routes), versions.prop_shuffle(), quarantine).prop_flat_map(
        |((domains, routes), versions, quarantine)| {
            said(versions.len()).prop_map(move |said| Draft {
                domains: domains.clone(),
                routes: routes.clone(),
                versions: versions.clone(),
                said,
                quarantine: quarantine.clone(),
            })
        },
    )
}

fn quarantined() -> impl Strategy<Value = Quarantined> {
    let digest = || any::<[u8; 32]>().prop_map(Digest::from_bytes);
    (digest(), option::of(digest()), version_label(), option::of("(?s).{0,12}")).prop_map(
        |(digest, env, version, remark)| Quarantined {
            digest,
            env,
            version: VersionName::new(&version).unwrap(),
            remark,
        },
    )
}

fn version(limits: BoxedStrategy<AllLimits>) -> impl Strategy<Value = VersionSpec> {
    let backend = prop_oneof![
        guest().prop_map(BackendSpec::Guest),
        upstream::upstream().prop_map(BackendSpec::from)
    ];
    (backend, option::of("(?s).{0,12}"), limits).prop_map(
        |(mut backend, remark, AllLimits { version: limits, guest })| {
            if let BackendSpec::Guest(spec) = &mut backend {
                spec.limits = guest;
            }
            let name = VersionName::new("later").unwrap();
            VersionSpec { name, remark, backend, limits, place: Place::default() }
        },
    )
}

fn guest() -> impl Strategy<Value = GuestSpec> {
    let digest = option::of(any::<[u8; 32]>().prop_map(Digest::from_bytes));
    let env = btree_map("[^=\0]{1,6}", env_value(), 0..4);
    let outbound = btree_set(origin(), 0..4);
    (path(), digest, env, outbound).prop_map(|(component, digest, env, outbound)| GuestSpec {
        digest,
        env: env.into_iter().collect(),
        outbound: outbound.into_iter().collect(),
        ..GuestSpec::new(component)
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    let scheme = prop_oneof![Just(OriginScheme::Http), Just(OriginScheme::Https)];
    let name = "[a-z]{1,6}(\\.[a-z]{1,6}){0,2}";
    let address = any::<IpAddr>().prop_map(|it| it.to_canonical());
    let host = prop_oneof![
        name.prop_map(OriginHost::Exact),
        name.prop_map(OriginHost::Wildcard),
        address.prop_map(OriginHost::Address),
    ];
    let url = (scheme, host, 1..=u16::MAX);
    // Networks of addresses that no guest may reach are refused.
    let network = (Just(Ipv4Addr::new(10, 1, 2, 3)), 1..=32_u8);
    let service = (option::of(label()), label());
    prop_oneof![
        url.prop_map(|(scheme, host, port)| Origin::Url { scheme, host, port }),
        network.prop_map(|(address, length)| {
            Origin::Network(IpNet::new(address.into(), length).unwrap().trunc())
        }),
        service.prop_map(|(environment, name)| Origin::Service {
            environment: environment.map(|it| EnvironmentName::new(&it).unwrap()),
            name: ServiceName::new(&name).unwrap(),
        }),
    ]
}

fn limits() -> impl Strategy<Value = AllLimits> {
    let (memory, body) = (GuestLimits::MEMORY, Limits::REQUEST_BODY);
    let sizes =
        (memory.start().bytes()..=memory.end().bytes(), body.start().bytes()..=body.end().bytes());
    let times = (millis(1, 3_600_000), millis(1, 86_400_000), millis(0, 60_000));
    let counts = (1..=100_000_u32, 1..=u32::MAX, 1..=100_000_u32, 1..=100_000_u32);
    (sizes, times, counts, idle_time()).prop_map(|(sizes, times, counts, idle)| AllLimits {
        version: Limits {
            wall_time: times.1,
            idle_time: if idle == IdleTime::After(times.1) { IdleTime::WallTime } else { idle },
            request_body: ByteSize::new(sizes.1),
            concurrency: counts.0.try_into().unwrap(),
            queue_time: times.2,
        },
        guest: GuestLimits {
            memory: ByteSize::new(sizes.0),
            cpu_time: times.0,
            instance_reuse: counts.1.try_into().unwrap(),
            outbound_requests: counts.2.try_into().unwrap(),
            outbound_concurrency: counts.3.try_into().unwrap(),
        },
    })
}

fn idle_time() -> impl Strategy<Value = IdleTime> {
    let after = millis(1, 86_400_000).prop_map(IdleTime::After);
    prop_oneof![Just(IdleTime::WallTime), Just(IdleTime::Never), after]
}

fn millis(least: u64, most: u64) -> impl Strategy<Value = Duration> {
    (least..=most).prop_map(Duration::from_millis)
}

fn label() -> &'static str {
    "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?"
}

fn version_label() -> &'static str {
    "[a-z0-9]{1,4}(-[a-z0-9]{1,3}){0,2}"
}

/// Absolute, and no name in it means another directory.
fn path() -> impl Strategy<Value = PathBuf> {
    let name = "[^/\0]{1,8}".prop_filter("a name", |name| name != "." && name != "..");
    let bases = select(vec!["/", HERE]);
    let some =
        (bases, vec(name, 1..4)).prop_map(|(base, names)| Path::new(base).join(names.join("/")));
    prop_oneof![4 => some, 1 => Just(Path::new(HERE).join("state"))]
}
