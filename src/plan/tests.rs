//! Two descriptions, and what is different between them: each kind of change, and the text of a rich one.

mod description;
mod policy;

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::api::{
    ChangeKind, Description, Fault, KeyChange, QuarantineDescription, ServiceChange,
    ServiceDescription, Settings, Standing, TrafficKind, Value, VersionDescription,
};
use crate::config::{
    ByteSize, ConnectionLimits, Destination, Digest, EnvValue, Expose, Glob, GuestLimits,
    GuestSpec, Limits, Match, Otherwise, Overrides, Percent, Pick, PolicySpec, Quarantined, Reach,
    Route, Rule, RuleName, SecretSource, ServerSettings, Service, ServiceName, Split, Sticky,
    StickyKey, StickyMode, Traffic, VersionName, VersionSpec,
};

const ROOT: &str = "/site/config";

/// A site in the making: the services of the environment `default`.
struct Files(Description);

impl Files {
    fn new() -> Self {
        Self(Description::new(Path::new(ROOT), Settings::new(), Settings::new(), None))
    }

    fn service(mut self, name: &str, shares: &[(&str, f64)]) -> Self {
        let versions: Vec<_> = shares.iter().map(|(name, share)| version(name, *share)).collect();
        self.0.push("default", service(name, versions));
        self
    }

    fn edit(mut self, edit: impl FnOnce(&mut ServiceDescription)) -> Self {
        let last = self.0.environments.last_mut().and_then(|it| it.services.last_mut());
        edit(last.unwrap());
        self
    }
}

fn percent(share: f64) -> Percent {
    Percent::from_f64(share).unwrap()
}

fn service(name: &str, versions: Vec<VersionDescription>) -> ServiceDescription {
    ServiceDescription {
        name: name.to_owned(),
        file: format!("{ROOT}/services/{name}.toml").into(),
        domains: vec![format!("{name}.localhost")],
        routes: Vec::new(),
        policy: Settings::new(),
        traffic: TrafficKind::Split,
        held: None,
        rescuer: None,
        quarantined: Vec::new(),
        versions,
    }
}

fn digest(letter: char) -> Digest {
    format!("sha256:{}", String::from(letter).repeat(64)).parse().unwrap()
}

fn normal(letter: char) -> Standing {
    Standing::Normal { digest: digest(letter) }
}

fn fault() -> Fault {
    let (code, detail) = ("not-found".into(), "there is no file".into());
    Fault { code, detail, suggestion: "fix".into(), may_pass: false }
}

fn version(name: &str, share: f64) -> VersionDescription {
    VersionDescription::of(Path::new(ROOT), &spec(name), percent(share), normal('a'))
}

fn spec(name: &str) -> VersionSpec {
    let env = vec![("KEY".to_owned(), EnvValue::Plain("hunter2".to_owned()))];
    let guest = GuestSpec { env, ..GuestSpec::new("/site/bin/app.wasm") };
    VersionSpec::new(VersionName::new(name).unwrap(), guest)
}

fn shop(shares: &[(&str, f64)]) -> Files {
    Files::new().service("shop", shares)
}

#[track_caller]
fn only_service(before: Files, after: Files) -> ServiceChange {
    let plan = Plan::between(&before.0, &after.0);
    let [change] = &plan.services[..] else { panic!("{plan:#?}") };
    assert!(!plan.is_empty());
    change.clone()
}

#[test]
fn the_same_twice_is_nothing_to_do() {
    let files = || shop(&[("v1", 90.0), ("v2", 10.0)]).0;
    let plan = Plan::between(&files(), &files());
    assert_eq!(plan, Plan::default());
    assert!(plan.is_empty());
    let text = Text { plan: &plan, base: Path::new("/") }.to_string();
    assert_eq!(text, "nothing to do\n");
}

#[test]
fn a_new_service_has_no_traffic_that_could_move() {
    let change = only_service(Files::new(), shop(&[("v1", 100.0)]));
    assert_eq!((change.change, change.moves), (ChangeKind::Added, Percent::ZERO));
    let version = &change.versions[0];
    assert_eq!((version.version.as_str(), version.change), ("v1", ChangeKind::Added));
    assert_eq!(version.keys[0].after.as_deref(), Some("/site/bin/app.wasm"));
    assert_eq!(change.keys[0].after.as_deref(), Some("shop.localhost"));
    let share = &change.shares[0];
    assert_eq!((share.before, share.after), (Percent::ZERO, Percent::ALL));
}

#[test]
fn a_removed_service_leaves_its_versions_unreachable() {
    let change = only_service(shop(&[("v1", 75.0), ("v2", 25.0), ("v3", 0.0)]), Files::new());
    assert_eq!((change.change, change.moves), (ChangeKind::Removed, Percent::ALL));
    assert_eq!(change.unreachable, ["v1", "v2"]);
    assert!(change.versions.iter().all(|version| version.change == ChangeKind::Removed));
    assert_eq!(change.versions.len(), 3);
}

#[test]
fn traffic_that_moves_is_half_of_what_differs() {
    let change = only_service(
        shop(&[("v1", 60.0), ("v2", 30.0), ("v3", 10.0)]),
        shop(&[("v1", 20.0), ("v2", 50.0), ("v3", 30.0)]),
    );
    assert_eq!(change.moves, percent(40.0));
    assert_eq!(change.shares.len(), 3);
    assert!(change.versions.is_empty() && change.unreachable.is_empty());
    let change = only_service(shop(&[("v1", 100.0)]), shop(&[("v1", 99.99), ("v2", 0.01)]));
    assert_eq!(change.moves, percent(0.01));
}

#[test]
fn offline_moves_everything() {
    let (serves, offline) = (|| shop(&[("v1", 100.0)]), || shop(&[("v1", 0.0)]));
    let change = only_service(serves(), offline());
    assert_eq!((change.moves, &change.unreachable[..]), (Percent::ALL, &["v1".to_owned()][..]));
    assert_eq!(only_service(offline(), serves()).moves, Percent::ALL);
}

#[test]
fn a_version_that_is_removed_with_traffic_is_unreachable() {
    let change =
        only_service(shop(&[("v1", 90.0), ("v2", 10.0), ("v3", 0.0)]), shop(&[("v1", 100.0)]));
    assert_eq!(change.unreachable, ["v2"]);
    let removed: Vec<_> = change.versions.iter().map(|version| version.version.as_str()).collect();
    assert_eq!(removed, ["v2", "v3"]);
    assert_eq!(change.moves, percent(10.0));
}

#[test]
fn a_split_that_stays_is_not_listed() {
    let shares = &[("v1", 90.0), ("v2", 10.0)];
    let after = shop(shares).edit(|shop| shop.domains.push("shop.example".to_owned()));
    let change = only_service(shop(shares), after);
    assert_eq!(change.shares, []);
    assert_eq!(change.keys.len(), 1);
    assert_eq!(change.keys[0].after.as_deref(), Some("shop.example"));
    assert_eq!(change.keys[0].before, None);
}

#[test]
fn who_gets_what_may_be_said_in_another_way() {
    let after = shop(&[("v1", 100.0)]).edit(|shop| shop.traffic = TrafficKind::Latest);
    let change = only_service(shop(&[("v1", 100.0)]), after);
    let text = |text: &str| Some(text.to_owned());
    let key = KeyChange { key: "traffic".into(), before: text("split"), after: text("latest") };
    assert_eq!((change.keys, change.shares), (vec![key], Vec::new()));
}

#[test]
fn what_is_quarantined_comes_and_goes() {
    let env = digest('e').to_string();
    let entry = |letter| QuarantineDescription {
        version: "v2".to_owned(),
        digest: digest(letter).to_string(),
        env: (letter == 'c').then(|| env.clone()),
    };
    let with = |letters: &[char]| {
        shop(&[("v1", 100.0)])
            .edit(|shop| shop.quarantined = letters.iter().map(|letter| entry(*letter)).collect())
    };
    let change = only_service(with(&['a', 'b']), with(&['b', 'c']));
    let text = |letter| Some(digest(letter).to_string());
    let key = |key: &str, before, after| KeyChange { key: key.to_owned(), before, after };
    let expected = [
        key("quarantine.v2", text('a'), None),
        key("quarantine.v2", None, text('c')),
        key("quarantine.v2.env", None, text('e')),
    ];
    assert_eq!(change.keys, expected);
    let plan = Plan::between(&with(&[]).0, &with(&['a']).0);
    let text = Text { plan: &plan, base: Path::new("/") }.to_string();
    assert!(text.contains("quarantine.v2  + sha256:aaaaaaaaaaaa\n"), "{text}");
}

#[test]
fn every_key_of_a_version_is_compared() {
    let guest = GuestSpec {
        digest: Some(digest('b')),
        component: "/site/bin/new.wasm".into(),
        env: vec![(
            "OTHER".to_owned(),
            EnvValue::Secret(SecretSource::FromEnv("VARIABLE".to_owned())),
        )],
        outbound: vec!["https://api.example.com".parse().unwrap()],
        limits: GuestLimits { memory: ByteSize::mib(64), ..GuestLimits::default() },
    };
    let changed = VersionSpec {
        remark: Some("better".to_owned()),
        backend: guest.into(),
        limits: Limits { wall_time: Duration::from_secs(9), ..Limits::default() },
        ..spec("v1")
    };
    let changed = VersionDescription::of(Path::new(ROOT), &changed, Percent::ALL, normal('b'));
    let after = shop(&[]).edit(|shop| shop.versions = vec![changed]);
    let change = only_service(shop(&[("v1", 100.0)]), after);
    let keys: Vec<_> = change.versions[0].keys.iter().map(|change| change.key.as_str()).collect();
    let expected = [
        "component",
        "digest",
        "env.KEY",
        "env.OTHER",
        "limits.memory",
        "limits.wall-time",
        "outbound.https://api.example.com",
        "remark",
    ];
    assert_eq!(keys, expected);
    let memory = &change.versions[0].keys[4];
    assert_eq!(memory.before.as_deref().zip(memory.after.as_deref()), Some(("128MiB", "64MiB")));
}

#[test]
fn what_no_normal_version_was_made_of_is_to_be_compiled() {
    let before = shop(&[("v1", 100.0), ("v2", 0.0)]).edit(|shop| {
        shop.versions[1].standing = Standing::Error(fault());
    });
    let after = shop(&[("v1", 100.0), ("v2", 0.0), ("v3", 0.0)]).edit(|shop| {
        shop.versions[1].standing = normal('b');
        shop.versions[2].standing = normal('b');
    });
    let plan = Plan::between(&before.0, &after.0);
    let [compilation] = &plan.compile[..] else { panic!("{plan:#?}") };
    assert_eq!(compilation.digest, digest('b').to_string());
    let names: Vec<_> = compilation.versions.iter().map(|it| it.version.as_str()).collect();
    assert_eq!(names, ["v2", "v3"]);
    assert_eq!(plan.in_error[0].version.version, "v2");
    assert!(plan.errors.is_empty());
}

#[test]
fn a_component_rebuilt_in_place_changes_its_version() {
    let after = shop(&[("v1", 100.0)]).edit(|shop| shop.versions[0].standing = normal('b'));
    let plan = Plan::between(&shop(&[("v1", 100.0)]).0, &after.0);
    let key = &plan.services[0].versions[0].keys[0];
    assert_eq!((key.key.as_str(), key.after.clone()), ("component", Some(digest('b').to_string())));
    assert_eq!(plan.compile.len(), 1);
}

#[test]
fn a_file_that_is_missing_is_an_error_and_nothing_else() {
    let missing = || {
        shop(&[("v1", 100.0)]).edit(|shop| shop.versions[0].standing = Standing::Error(fault())).0
    };
    for before in [shop(&[("v1", 100.0)]).0, missing()] {
        let plan = Plan::between(&before, &missing());
        assert!(!plan.is_empty());
        assert_eq!(plan.errors[0].fault, fault());
        assert!(plan.services.is_empty() && plan.compile.is_empty() && plan.in_error.is_empty());
    }
}

#[test]
fn settings_are_told_by_what_applies_them() {
    let set = |threads: &str, expose, head| {
        let started = [("server.threads".to_owned(), Value::text(threads))];
        let limits = ConnectionLimits { head, ..ConnectionLimits::default() };
        let server = ServerSettings { expose, limits, ..ServerSettings::default() };
        let applied = applied(Path::new(ROOT), &server);
        Description::new(Path::new(ROOT), applied, Settings::from(started), Some(1))
    };
    let before = set("0", Expose::Version, ByteSize::kib(64));
    let plan = Plan::between(&before, &set("4", Expose::None, ByteSize::kib(8)));
    let keys = |changes: &[KeyChange]| changes.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&plan.settings), ["server.expose", "server.limits.head"]);
    assert_eq!(keys(&plan.restart), ["server.threads"]);
    assert!(!plan.is_empty());
}

#[test]
fn nothing_that_a_terminal_would_obey_is_shown() {
    let remarked = |remark: &str| {
        let spec = VersionSpec { remark: Some(remark.to_owned()), ..spec("v1") };
        let version = VersionDescription::of(Path::new(ROOT), &spec, Percent::ALL, normal('a'));
        shop(&[]).edit(|shop| shop.versions = vec![version]).0
    };
    let plan = Plan::between(&remarked(""), &remarked("\u{1b}[2Jgone"));
    let text = Text { plan: &plan, base: Path::new("/") }.to_string();
    assert!(text.contains("remark \"\" → \\u{1b}[2Jgone"), "{text}");
}
