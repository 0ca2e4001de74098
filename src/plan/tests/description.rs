//! What a description says of files, and that it survives the way to another process.

use super::*;

/// A copy of a configuration says the same, wherever it is.
#[test]
fn paths_are_compared_from_the_main_file_on() {
    let value = |root: &str, path: &str| Value::path(Path::new(root), Path::new(path));
    let original = value("/site/config", "/site/bin/app.wasm");
    assert_eq!(original.relative.as_deref(), Some("../bin/app.wasm"));
    assert!(original.is_same(&value("/copy/of/config", "/copy/of/bin/app.wasm")));
    assert!(original.is_same(&value("/elsewhere", "/site/bin/app.wasm")));
    assert!(!original.is_same(&value("/site/config", "/site/bin/other.wasm")));
    assert!(!Value::text("a").is_same(&Value::text("b")));
}

#[test]
fn a_value_is_its_digest_and_a_reference_where_it_points() {
    let env = |key: &str, value: EnvValue| {
        let guest =
            GuestSpec { env: vec![(key.to_owned(), value)], ..GuestSpec::new("/site/app.wasm") };
        let spec = VersionSpec::new(VersionName::new("v1").unwrap(), guest);
        let version = VersionDescription::of(Path::new(ROOT), &spec, Percent::ALL, normal('a'));
        version.settings[&format!("env.{key}")].clone()
    };
    let plain = |key, text: &str| env(key, EnvValue::Plain(text.to_owned())).text;
    assert_eq!(plain("A", "hunter2").len(), "sha256:".len() + 12);
    assert_eq!(plain("A", "hunter2"), plain("A", "hunter2"));
    assert_ne!(plain("A", "hunter2"), plain("A", "hunter3"));
    assert_ne!(plain("A", "hunter2"), plain("B", "hunter2"), "that two are equal is not shown");
    let file = env("A", EnvValue::Secret(SecretSource::File("/site/secrets/token".into())));
    assert_eq!(file.text, "file:/site/secrets/token");
    assert_eq!(file.relative.as_deref(), Some("file:../secrets/token"));
    assert_eq!(
        env("A", EnvValue::Secret(SecretSource::FromEnv("KEY".to_owned()))).text,
        "from-env:KEY"
    );
    let description = shop(&[("v1", 100.0)]).0;
    assert!(!serde_json::to_string(&description).unwrap().contains("hunter2"));
}

#[test]
fn what_files_declare_is_what_would_be_served() {
    let quarantine = [digest('b'), digest('a')].map(|digest| Quarantined {
        digest,
        env: None,
        version: VersionName::new("v2").unwrap(),
        remark: None,
    });
    let service = |traffic, quarantine: &[Quarantined]| Service {
        name: ServiceName::new("shop").unwrap(),
        domains: Vec::new(),
        routes: Vec::new(),
        versions: vec![spec("v1"), spec("v2")],
        traffic,
        policy: Default::default(),
        quarantine: quarantine.to_vec(),
        file: "/site/config/services/shop.toml".into(),
    };
    let shares = |traffic, quarantine: &[Quarantined]| {
        let config = crate::config::Config {
            server: Default::default(),
            admin: Default::default(),
            state: crate::config::StateSettings { directory: "/site/state".into() },
            components: crate::config::ComponentSettings { directory: "/site/components".into() },
            environments: vec![crate::config::Environment {
                name: Default::default(),
                domain: "localhost".to_owned(),
                services: vec![service(traffic, quarantine).into()],
            }],
            warnings: Vec::new(),
        };
        let files = Description::of_files(&config, Path::new(ROOT), None, |spec| {
            normal(if spec.name.as_str() == "v1" { 'c' } else { 'a' })
        });
        assert_eq!(files.started_with["state.directory"].relative.as_deref(), Some("../state"));
        let versions = &files.environments[0].services[0].versions;
        versions.iter().map(|version| version.share).collect::<Vec<_>>()
    };
    assert_eq!(shares(Traffic::Latest, &[]), [Percent::ZERO, Percent::ALL], "the last one");
    let passed_over = shares(Traffic::Latest, &quarantine);
    assert_eq!(passed_over, [Percent::ALL, Percent::ZERO], "the last one that may");
    let split = Split::new(vec![(0, percent(99.5)), (1, percent(0.5))]).unwrap();
    assert_eq!(shares(Traffic::Split(split), &[]), [percent(99.5), percent(0.5)]);
}

#[test]
fn a_description_survives_the_way_over_the_wire() {
    let description = shop(&[("v1", 99.99), ("v2", 0.01)])
        .edit(|shop| {
            shop.held = Some("why".to_owned());
            shop.versions[1].standing = Standing::Error(fault());
            shop.versions
                .push(VersionDescription { standing: Standing::Creating, ..version("v3", 0.0) });
        })
        .0;
    let wire = serde_json::to_value(&description).unwrap();
    let [v1, v2, v3] = [0, 1, 2].map(|it| &wire["environments"][0]["services"][0]["versions"][it]);
    assert_eq!((&v1["status"], &v1["share"]), (&json!("normal"), &json!(99.99)));
    assert_eq!((&v2["status"], &v2["code"]), (&json!("error"), &json!("not-found")));
    assert_eq!(v3["status"], "creating");
    assert_eq!(v1["component"]["text"], "/site/bin/app.wasm");
    assert_eq!(serde_json::from_value::<Description>(wire).unwrap(), description);
}

/// An older command asks a newer process: keys that it does not know are passed over, and a backend
/// that it does not know is an error, since it cannot be compared.
#[test]
fn a_description_of_a_newer_process_is_read_as_far_as_it_is_known() {
    let description = shop(&[("v1", 100.0)]).0;
    let mut wire = serde_json::to_value(&description).unwrap();
    let version = &mut wire["environments"][0]["services"][0]["versions"][0];
    version["health"] = json!({"state": "new"});
    assert_eq!(serde_json::from_value::<Description>(wire.clone()).unwrap(), description);
    let version = wire["environments"][0]["services"][0]["versions"][0].as_object_mut().unwrap();
    let backend = version.remove("component").unwrap();
    version.insert("function".to_owned(), backend);
    serde_json::from_value::<Description>(wire).unwrap_err();
}
