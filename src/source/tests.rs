//! Whole configurations: a valid one gives the values that it says, and every wrong one under
//! `tests/config/invalid` gives the report beside it. `WATERSHED_UPDATE_GOLDEN=1 cargo test source`
//! writes those reports anew.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::*;

mod edit;
mod hostile;
mod policy;
mod roundtrip;
mod schema;
mod wrong;

/// A configuration in a directory of its own, gone after the test.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = tree.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Config, Report> {
        load(&self.path("config/watershed.toml"))
    }

    fn messages(&self) -> Vec<String> {
        let report = self.load().unwrap_err();
        report.problems.into_iter().map(|problem| problem.message).collect()
    }
}

const WATERSHED: &str = r#"
[server]
listen = ["127.0.0.1:8081", "localhost:8082"]
threads = 2
sandboxes = 100
grace-period = "5s"
drain-delay = "15s"
expose = "decision"
watch = "poll:1500ms"
health-path = "/-/health"
proxy-protocol = "v1-v2"
trusted-proxies = ["10.0.0.0/8", "::1"]

[server.limits]
head = "16KiB"
headers = 100
head-time = "5s"
idle-time = "2m"
connections = 500
client-rate = "2KiB/s"
streams = 50
resets = 40

[server.tls]
listen = ["127.0.0.1:8443"]
minimum = "1.3"
redirect = true
hsts = "365d"
ticket-keys = "tickets.key"

[[server.tls.certificates]]
certificate = "certs/example.pem"
key = "certs/example.key"

[admin]
listen = "0.0.0.0:9091"
token-file = "token"
hosts = ["Ops.example.com", "watershed_1"]

[state]
directory = "/var/lib/watershed"

[defaults.limits]
memory = "64MiB"
cpu-time = "2s"

[[environments]]
name = "default"
domain = "LocalHost"
services = "services/*.toml"
"#;

const GREETER: &str = r#"
name = "greeter"
domains = ["Hello.example.com", "*.example.org"]

[[versions]]
name = "v1"
component = "../../plugins/dist/greeter.wasm"
digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
env = { GREETING = "Hello", TOKEN = { file = "../secrets/token" }, KEY = { from-env = "APP_KEY" } }
remark = "first release"
outbound = ["service:greeter", "HTTPS://api.example.com:443/"]

[versions.limits]
memory = 33554432
wall-time = "1m"
request-body = "1MB"
concurrency = 7
queue-time = "0s"
instance-reuse = 100
outbound-requests = 8

[[versions]]
name = "v2"
component = "/srv/greeter.wasm"

[traffic]
split = { v2 = 12.5, v1 = 87.5 }
"#;

fn valid() -> Tree {
    Tree::new(&[
        ("config/watershed.toml", WATERSHED),
        ("config/services/greeter.toml", GREETER),
        ("config/services/quiet.toml", "versions = []"),
    ])
}

#[test]
fn the_main_file_means_what_it_says() {
    let tree = valid();
    let config = tree.load().unwrap();
    let server = ServerSettings {
        listen: vec!["127.0.0.1:8081".parse().unwrap(), "127.0.0.1:8082".parse().unwrap()],
        threads: 2,
        sandboxes: NonZeroU32::new(100).unwrap(),
        grace_period: Duration::from_secs(5),
        drain_delay: Duration::from_secs(15),
        expose: Expose::Decision,
        watch: Watch::Poll(Duration::from_millis(1500)),
        health_path: Some("/-/health".into()),
        proxy_protocol: ProxyProtocol::V1V2,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        tls: Some(TlsSettings {
            listen: vec!["127.0.0.1:8443".parse().unwrap()],
            minimum: TlsVersion::V1_3,
            redirect: true,
            hsts: Some(Duration::from_secs(365 * 86_400)),
            ticket_keys: Some(tree.path("config/tickets.key").into()),
            certificates: vec![CertificateFiles {
                certificate: tree.path("config/certs/example.pem").into(),
                key: tree.path("config/certs/example.key").into(),
            }],
        }),
        limits: ConnectionLimits {
            head: ByteSize::kib(16),
            headers: NonZeroU32::new(100).unwrap(),
            head_time: Duration::from_secs(5),
            idle_time: Duration::from_secs(120),
            connections: NonZeroU32::new(500).unwrap(),
            client_rate: ByteSize::kib(2),
            streams: NonZeroU32::new(50).unwrap(),
            resets: NonZeroU32::new(40).unwrap(),
        },
    };
    assert_eq!(config.server, server);
    let admin = AdminSettings {
        listen: "0.0.0.0:9091".parse().unwrap(),
        token_file: Some(tree.path("config/token")),
        hosts: vec!["ops.example.com".into(), "watershed_1".into()],
    };
    assert_eq!(config.admin, admin);
    assert_eq!(config.state.directory, Path::new("/var/lib/watershed"));
    let [environment] = config.environments.as_slice() else {
        panic!("{:?}", config.environments);
    };
    assert_eq!(environment.name.as_str(), "default");
    assert_eq!(environment.domain, "localhost");
}

#[test]
fn a_configuration_leads_to_its_services_and_to_where_more_could_be() {
    let tree = valid();
    let loaded = Loader::new(&tree.path("config/watershed.toml")).load(Reading::Everything);
    let services = discover::services(&tree.path("config"), Environment::SERVICES).unwrap();
    let [directory] = services.directories.try_into().unwrap();
    let path = |name| Followed::Path(tree.path("config").join(name));
    let names = Followed::Names(directory.0, directory.1);
    let files = [path("services/greeter.toml"), path("services/quiet.toml")];
    assert_eq!(
        loaded.unwrap().changes.watch(),
        [[path("services"), names].as_slice(), &files].concat()
    );
}

#[test]
fn a_service_means_what_it_says() {
    let tree = valid();
    let config = tree.load().unwrap();
    let service = &config.environments[0].services[0];
    assert_eq!(service.name.as_str(), "greeter");
    assert_eq!(service.file, tree.path("config/services/greeter.toml"));
    let domains: Vec<String> = service.domains.iter().map(DomainPattern::to_string).collect();
    assert_eq!(domains, ["greeter.localhost", "hello.example.com", "*.example.org"]);
    let shares = vec![(0, Percent::from_f64(87.5).unwrap()), (1, Percent::from_f64(12.5).unwrap())];
    assert_eq!(service.traffic, Traffic::Split(Split::new(shares).unwrap()));
    assert_eq!(service.versions, [first_version(&tree), second_version()]);
}

fn first_version(tree: &Tree) -> VersionSpec {
    VersionSpec {
        name: VersionName::new("v1").unwrap(),
        remark: Some("first release".to_owned()),
        backend: BackendSpec::Guest(first_guest(tree)),
        place: Place::default(),
        limits: Limits {
            wall_time: Duration::from_secs(60),
            request_body: ByteSize::new(1_000_000),
            concurrency: 7.try_into().unwrap(),
            queue_time: Duration::ZERO,
            ..Limits::default()
        },
    }
}

fn first_guest(tree: &Tree) -> GuestSpec {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    GuestSpec {
        component: tree.path("plugins/dist/greeter.wasm"),
        digest: Some(digest.parse().unwrap()),
        env: vec![
            ("GREETING".to_owned(), EnvValue::Plain("Hello".to_owned())),
            ("KEY".to_owned(), EnvValue::Secret(SecretSource::FromEnv("APP_KEY".to_owned()))),
            (
                "TOKEN".to_owned(),
                EnvValue::Secret(SecretSource::File(tree.path("config/secrets/token"))),
            ),
        ],
        outbound: vec![
            "https://api.example.com".parse().unwrap(),
            "service:greeter".parse().unwrap(),
        ],
        limits: GuestLimits {
            memory: ByteSize::mib(32),
            cpu_time: Duration::from_secs(2),
            instance_reuse: 100.try_into().unwrap(),
            outbound_requests: 8.try_into().unwrap(),
            ..GuestLimits::default()
        },
    }
}

fn second_version() -> VersionSpec {
    let limits = GuestLimits {
        memory: ByteSize::mib(64),
        cpu_time: Duration::from_secs(2),
        ..GuestLimits::default()
    };
    let guest = GuestSpec { limits, ..GuestSpec::new("/srv/greeter.wasm") };
    VersionSpec::new(VersionName::new("v2").unwrap(), guest)
}

/// Neither the file of a secret nor the variable exists here.
#[test]
fn the_files_of_a_version_are_its_component_and_its_secrets() {
    let tree = valid();
    let config = tree.load().unwrap();
    let version = &config.environments[0].services[0].versions[0];
    let files: Vec<&Path> = version.files().collect();
    assert_eq!(files, [tree.path("plugins/dist/greeter.wasm"), tree.path("config/secrets/token")]);
}

#[test]
fn a_secret_may_be_written_in_every_way_in_which_toml_writes_a_table() {
    let version = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n";
    for env in [
        "env = { A = { from-env = \"B\" } }",
        "env.A.from-env = \"B\"",
        "[versions.env]\nA.from-env = \"B\"",
        "[versions.env.A]\nfrom-env = \"B\"",
    ] {
        let service = format!("{version}{env}\n");
        let tree = Tree::new(&[
            ("config/watershed.toml", "[server]"),
            ("config/services/s.toml", &service),
        ]);
        let config = tree.load().unwrap_or_else(|report| panic!("{report}"));
        let declared = &config.environments[0].services[0].versions[0].env();
        assert_eq!(
            *declared,
            [("A".to_owned(), EnvValue::Secret(SecretSource::FromEnv("B".to_owned())))]
        );
    }
}

#[test]
fn no_value_is_in_the_debug_output_of_a_configuration() {
    let shown = format!("{:?}", valid().load().unwrap());
    assert!(shown.contains("GREETING") && shown.contains("APP_KEY"), "{shown}");
    assert!(!shown.contains("Hello\""), "{shown}");
}

#[test]
fn a_service_without_versions_is_named_after_its_file() {
    let config = valid().load().unwrap();
    let quiet = &config.environments[0].services[1];
    assert_eq!(quiet.name.as_str(), "quiet");
    assert_eq!(quiet.domains, [DomainPattern::Exact("quiet.localhost".into())]);
    assert_eq!(quiet.versions, []);
    assert_eq!(quiet.traffic, Traffic::Latest);
}

#[test]
fn a_main_file_that_sets_nothing_is_all_defaults() {
    let tree = Tree::new(&[("config/watershed.toml", "[server]"), ("config/services/.keep", "")]);
    let config = tree.load().unwrap();
    assert_eq!(config.server.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.server.threads, 0);
    assert_eq!(config.server.sandboxes.get(), 1024);
    assert_eq!(config.server.grace_period, Duration::from_secs(10));
    assert_eq!(config.server.drain_delay, Duration::ZERO);
    assert_eq!(config.server.limits.head.to_string(), "64KiB");
    assert_eq!(config.server.limits.headers.get(), 128);
    assert_eq!(config.server.limits.head_time, Duration::from_secs(10));
    assert_eq!(config.server.limits.idle_time, Duration::from_secs(75));
    assert_eq!(config.server.expose, Expose::Version);
    assert_eq!(config.server.watch, Watch::Events);
    assert_eq!(config.admin.listen, "127.0.0.1:9090".parse().unwrap());
    assert_eq!(config.admin.token_file, None);
    assert_eq!(config.admin.hosts, [""; 0]);
    assert_eq!(config.state.directory, tree.path("state"));
    assert_eq!(config.components.directory, tree.path("config/components"));
    assert_eq!(config.environments[0].name, EnvironmentName::default());
    assert_eq!(config.environments[0].domain, "localhost");
    assert_eq!(config.environments[0].services, []);
    assert_eq!(GuestLimits::default().memory.to_string(), "128MiB");
    assert_eq!(Limits::default().concurrency.get(), 512);
}
