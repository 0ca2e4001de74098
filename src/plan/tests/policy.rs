//! What decides before the shares do, compared and described.

use super::*;

fn rule(name: &str, to: Destination) -> Rule {
    let glob = |text| Glob::new(text).unwrap();
    let matches = Match {
        path: Some(glob("/app/*")),
        header: vec![("x-team".to_owned(), glob("core"))],
        ..Match::default()
    };
    let name = RuleName::new(name).unwrap();
    Rule { name, matches, to, otherwise: Otherwise::Fail }
}

/// A service of two versions with this policy, as files declare it.
fn decided(policy: PolicySpec, routes: &[&str]) -> Files {
    let route = |path: &&str| Route {
        domain: "shop.example.com".parse().unwrap(),
        path: (*path).to_owned(),
    };
    let declared = Service {
        name: ServiceName::new("shop").unwrap(),
        domains: Vec::new(),
        routes: routes.iter().map(route).collect(),
        versions: vec![spec("v1"), spec("v2")],
        traffic: Traffic::Latest,
        policy,
        quarantine: Vec::new(),
        file: "/site/config/services/shop.toml".into(),
    };
    let mut files = Files::new();
    files.0.push("default", ServiceDescription::of(Path::new(ROOT), &declared, None, Vec::new()));
    files
}

#[test]
fn a_rule_that_is_changed_is_shown_before_and_after() {
    let split = Split::new(vec![(0, percent(75.0)), (1, percent(25.0))]).unwrap();
    let policy = |rules, reach| PolicySpec { rules, reach, ..PolicySpec::default() };
    let before = policy(vec![rule("beta", Destination::Version(1))], vec![Reach::Live; 2]);
    let all = Rule { matches: Match::default(), ..rule("all", Destination::Version(0)) };
    let rules = vec![all, rule("beta", Destination::Split(split))];
    let after = policy(rules, vec![Reach::Live, Reach::Cutoff]);
    let change = only_service(decided(before, &["/"]), decided(after, &["/api"]));
    let keys = change.keys.iter().map(|change| {
        let text = |side: &Option<String>| side.clone().unwrap_or_default();
        (change.key.as_str(), text(&change.before), text(&change.after))
    });
    let keys: Vec<_> = keys.collect();
    let expected = [
        ("routes", "shop.example.com", ""),
        ("routes", "", "shop.example.com/api"),
        ("rules.all.otherwise", "", "fail"),
        ("rules.all.place", "", "1"),
        ("rules.all.version", "", "v1"),
        ("rules.beta.place", "1", "2"),
        ("rules.beta.split.v1", "", "75"),
        ("rules.beta.split.v2", "", "25"),
        ("rules.beta.version", "v2", ""),
        ("versions.v2.reach", "", "cutoff"),
    ];
    assert_eq!(keys, expected.map(|(key, old, new)| (key, old.to_owned(), new.to_owned())));
}

#[test]
fn what_decides_before_the_shares_is_described_without_its_secret() {
    let overrides = Overrides {
        header: true,
        query: Some("version".to_owned()),
        cookie: None,
        preview_domains: false,
        secret: Some(SecretSource::File("/site/config/key".into())),
    };
    let ttl = std::time::Duration::from_secs(3600);
    let sticky = Sticky { key: StickyKey::ClientAddress, mode: StickyMode::Pin { ttl } };
    let policy = PolicySpec {
        pick: Pick::Smooth,
        overrides: Some(overrides),
        sticky: Some(sticky),
        ..PolicySpec::default()
    };
    let files = decided(policy, &[]).0;
    let said = &files.environments[0].services[0].policy;
    let said: Vec<_> = said.iter().map(|(key, value)| (key.as_str(), &*value.text)).collect();
    let expected = [
        ("override.header", "true"),
        ("override.query", "version"),
        ("override.secret", "file:/site/config/key"),
        ("pick", "smooth"),
        ("sticky.key", "client-address"),
        ("sticky.mode", "pin"),
        ("sticky.ttl", "1h"),
    ];
    assert_eq!(said, expected);
    let wire = serde_json::to_value(&files).unwrap();
    assert_eq!(serde_json::from_value::<Description>(wire).unwrap(), files);
}

#[test]
fn the_description_of_an_older_process_is_read() {
    let files = shop(&[("v1", 100.0)]).0;
    let wire = serde_json::to_value(&files).unwrap();
    let service = &wire["environments"][0]["services"][0];
    assert_eq!((service.get("routes"), service.get("policy")), (None, None));
    assert_eq!(serde_json::from_value::<Description>(wire).unwrap(), files);
}
