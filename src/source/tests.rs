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

[server.limits]
head = "16KiB"
headers = 100
head-time = "5s"
idle-time = "2m"

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

[versions.limits]
memory = 33554432
wall-time = "1m"
request-body = "1MB"
concurrency = 7
queue-time = "0s"
instance-reuse = 100

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
        limits: ConnectionLimits {
            head: ByteSize::kib(16),
            headers: NonZeroU32::new(100).unwrap(),
            head_time: Duration::from_secs(5),
            idle_time: Duration::from_secs(120),
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
    assert_eq!(loaded.unwrap().watch, [[path("services"), names].as_slice(), &files].concat());
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
        limits: Limits {
            wall_time: Duration::from_secs(60),
            request_body: ByteSize::new(1_000_000),
            concurrency: 7.try_into().unwrap(),
            queue_time: Duration::ZERO,
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
        limits: GuestLimits {
            memory: ByteSize::mib(32),
            cpu_time: Duration::from_secs(2),
            instance_reuse: 100.try_into().unwrap(),
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
    assert_eq!(config.environments[0].name, EnvironmentName::default());
    assert_eq!(config.environments[0].domain, "localhost");
    assert_eq!(config.environments[0].services, []);
    assert_eq!(GuestLimits::default().memory.to_string(), "128MiB");
    assert_eq!(Limits::default().concurrency.get(), 512);
}

/// A file that was emptied to be written anew, seen in between.
#[test]
fn a_file_that_declares_nothing_is_a_problem() {
    for blank in ["", " \n\t\n", "# written by hand\n\n#:schema x.json"] {
        let main = Tree::new(&[("config/watershed.toml", blank), ("config/services/.keep", "")]);
        assert_eq!(main.messages(), ["the file declares nothing"]);
        let service = ("config/services/s.toml", blank);
        let service = Tree::new(&[("config/watershed.toml", "[server]"), service]);
        assert_eq!(service.messages(), ["the file declares nothing"]);
    }
}

#[test]
fn two_environments_may_share_files_and_a_problem_in_them_is_told_once() {
    let main = "[[environments]]\nname = \"a\"\ndomain = \"a.org\"\n\
                [[environments]]\nname = \"b\"\ndomain = \"b.org\"\n";
    let good =
        Tree::new(&[("config/watershed.toml", main), ("config/services/s.toml", "domains = []")]);
    let config = good.load().unwrap();
    let domains = config.environments.iter().map(|e| e.services[0].domains[0].to_string());
    assert_eq!(domains.collect::<Vec<_>>(), ["s.a.org", "s.b.org"]);
    let wrong = Tree::new(&[("config/watershed.toml", main), ("config/services/s.toml", "x = 1")]);
    assert_eq!(wrong.messages(), ["there is no key `x` at the top of the file"]);
}

#[test]
fn text_that_is_not_utf_8_is_a_problem_with_a_line() {
    let tree = Tree::new(&[("config/services/.keep", "")]);
    fs::write(tree.path("config/watershed.toml"), b"[server]\n# \xff\n").unwrap();
    let report = tree.load().unwrap_err();
    assert_eq!(report.problems[0].line, Some(2));
    assert_eq!(report.problems[0].message, "byte 12 is not UTF-8");
    assert!(report.to_string().contains("watershed.toml:2"), "{report}");
}

#[test]
fn a_missing_main_file_is_a_problem_without_a_line() {
    let report = load(Path::new("/nowhere/watershed.toml")).unwrap_err();
    let help = "create it, or give the path of the file you mean";
    let problem = Problem::of_file("/nowhere/watershed.toml", "there is no such file", help);
    assert_eq!(report.problems, [problem]);
}

#[test]
fn a_file_of_nothing_but_misfits_ends() {
    let keys: String = (0..300).map(|n| format!("k{n} = {n}\n")).collect();
    let tree = Tree::new(&[("config/watershed.toml", &keys), ("config/services/.keep", "")]);
    assert_eq!(tree.messages().len(), 101);
}

#[test]
fn an_array_is_no_table() {
    let main = "admin = [\"127.0.0.1:9090\", \"token\"]";
    let tree = Tree::new(&[("config/watershed.toml", main), ("config/services/.keep", "")]);
    assert_eq!(tree.messages(), ["`admin` must be a table, not an array"]);
}

#[test]
fn a_problem_is_machine_readable() {
    let tree = Tree::new(&[
        ("config/watershed.toml", "[server]\nthreads = \"zwölf\""),
        ("config/services/.keep", ""),
    ]);
    let report = serde_json::to_value(tree.load().unwrap_err()).unwrap();
    let expected = serde_json::json!({ "problems": [{
        "file": tree.path("config/watershed.toml"),
        "line": 2,
        "column": 11,
        "width": 7,
        "source": "threads = \"zwölf\"",
        "message": "`threads` must be a whole number, not the string \"zwölf\"",
        "help": "write digits only, without quotation marks",
    }]});
    assert_eq!(report, expected);
}

proptest! {
    #[test]
    fn damage_is_reported_and_shown(
        at in 0..WATERSHED.len(),
        length in 0..40_usize,
        patch in "[\\PC\n\r\t\0\\[\\]{}=\".#é]{0,6}",
        main: bool,
    ) {
        let (before, after) = if main { (WATERSHED, GREETER) } else { (GREETER, WATERSHED) };
        let start = at.min(before.len());
        let end = (start + length).min(before.len());
        let damaged = format!("{}{patch}{}", &before[..start], &before[end..]);
        let (watershed, greeter) = if main { (&*damaged, after) } else { (after, &*damaged) };
        let tree = Tree::new(&[
            ("config/watershed.toml", watershed),
            ("config/services/greeter.toml", greeter),
        ]);
        if let Err(report) = tree.load() {
            prop_assert!(!report.problems.is_empty());
            prop_assert!(report.to_string().contains("--> "));
        }
    }
}

#[test]
fn the_schema_knows_every_key_and_every_default() {
    let (watershed, service) = schema();
    let server = &watershed["properties"]["server"]["properties"];
    assert_eq!(server["grace-period"]["default"], "10s");
    assert_eq!(server["listen"]["default"][0], "127.0.0.1:8080");
    assert_eq!(server["listen"]["items"]["type"], "string");
    assert_eq!(server["watch"]["default"], "events");
    let limits = &server["limits"]["properties"];
    assert_eq!(
        (&limits["head"]["default"], &limits["headers"]["default"]),
        (&"64KiB".into(), &128.into())
    );
    let limits = &watershed["properties"]["defaults"]["properties"]["limits"]["properties"];
    assert_eq!(limits["memory"]["default"], "128MiB");
    assert_eq!(limits["memory"]["anyOf"][0]["type"], "integer");
    assert_eq!(watershed["title"], "watershed.toml");
    let version = &service["properties"]["versions"]["items"];
    assert_eq!(version["required"], serde_json::json!(["name", "component"]));
    assert_eq!(version.get("description"), None);
    assert_eq!(version["additionalProperties"], false);
    let env = &version["properties"]["env"];
    assert_eq!(env["type"], "object");
    assert_eq!(env["additionalProperties"]["anyOf"][0]["type"], "string");
    let secret = &env["additionalProperties"]["anyOf"][1];
    assert_eq!(secret["additionalProperties"], false);
    assert_eq!(secret["properties"]["from-env"]["type"], "string");
    assert_eq!((&secret["minProperties"], &secret["maxProperties"]), (&1.into(), &1.into()));
    let split = &service["properties"]["traffic"]["properties"]["split"];
    assert_eq!(split["additionalProperties"]["maximum"], 100);
    let traffic = &service["properties"]["traffic"]["properties"];
    let rule = &traffic["rules"]["items"];
    assert_eq!(rule["required"], serde_json::json!(["name"]));
    assert_eq!(rule["oneOf"][1]["required"], serde_json::json!(["split"]));
    assert_eq!(rule["properties"]["otherwise"]["default"], "next");
    assert_eq!(traffic["sticky"]["properties"]["cookie"]["properties"]["ttl"]["default"], "720h");
    assert_eq!(version["properties"]["reach"]["default"], "live");
    for schema in [watershed, service] {
        let text = schema.to_string();
        assert!(!text.contains("null"), "{text}");
    }
}

#[test]
fn the_schemas_words_are_the_models() {
    let (_, service) = schema();
    let properties = &service["properties"];
    let traffic = &properties["traffic"]["properties"];
    let sticky = &traffic["sticky"]["properties"];
    let same_site = &sticky["cookie"]["properties"]["same-site"];
    let reach = &properties["versions"]["items"]["properties"]["reach"];
    let otherwise = &traffic["rules"]["items"]["properties"]["otherwise"];
    let words = |schema: &serde_json::Value| schema["enum"].clone();
    assert_eq!(words(reach), serde_json::json!(Reach::ALL.map(Reach::as_str)));
    assert_eq!(words(&traffic["pick"]), serde_json::json!(Pick::ALL.map(Pick::as_str)));
    assert_eq!(words(otherwise), serde_json::json!(Otherwise::ALL.map(Otherwise::as_str)));
    assert_eq!(words(same_site), serde_json::json!(SameSite::ALL.map(SameSite::as_str)));
    let modes = [StickyMode::HASH, StickyMode::PIN];
    assert_eq!(words(&sticky["mode"]), serde_json::json!(modes));
}

#[test]
fn the_schemas_bounds_are_the_models() {
    let (watershed, service) = schema();
    let bounds = |schema: &serde_json::Value| {
        schema["minimum"].as_i64().unwrap()..=schema["maximum"].as_i64().unwrap()
    };
    let server = &watershed["properties"]["server"]["properties"];
    assert_eq!(bounds(&server["threads"]), ServerSettings::THREADS);
    let headers = &server["limits"]["properties"]["headers"];
    assert_eq!(bounds(headers), ConnectionLimits::HEADERS);
    let version = &service["properties"]["versions"]["items"]["properties"];
    let limits = &version["limits"]["properties"];
    assert_eq!(bounds(&limits["concurrency"]), Limits::CONCURRENCY);
    assert_eq!(bounds(&limits["instance-reuse"]), GuestLimits::INSTANCE_REUSE);
}

#[test]
fn every_wrong_configuration_has_its_expected_report() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/invalid");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 68, "only {} cases", cases.len());
    let wrong: Vec<String> = cases.iter().filter_map(|case| golden(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What differs from the expected report of a case, if anything.
fn golden(case: &Path) -> Option<String> {
    let actual = match load(&case.join("watershed.toml")) {
        Ok(config) => return Some(format!("{} is valid: {config:?}", case.display())),
        Err(report) => without_directory(&report, case),
    };
    let expected = case.join("expected.txt");
    if env::var_os("WATERSHED_UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &actual).unwrap();
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    (actual != wanted).then(|| {
        let case = case.display();
        format!("{case}\n--- expected\n{wanted}\n--- actual\n{actual}")
    })
}

fn without_directory(report: &Report, case: &Path) -> String {
    let short = short_path(case).display().to_string();
    let text = report.to_string().replace(&format!("{}/", case.display()), "");
    text.replace(&format!("{short}/"), "") + "\n"
}

#[test]
fn a_link_to_nowhere_among_the_services_is_told() {
    let main = ("config/watershed.toml", "[server]");
    let tree = Tree::new(&[main, ("config/services/s.toml", "domains = []")]);
    let link = tree.path("config/services/gone.toml");
    std::os::unix::fs::symlink("nowhere.toml", link).unwrap();
    assert_eq!(tree.messages(), ["there is no such file"]);
}
