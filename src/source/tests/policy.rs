//! What decides before the shares do: a file means what it says, and what can hardly be meant is
//! warned of.

use super::*;

const VERSIONS: &str = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n\
                        [[versions]]\nname = \"v2\"\ncomponent = \"b.wasm\"\n";

fn site(service: &str) -> Tree {
    let service = ("config/services/s.toml", service);
    Tree::new(&[("config/watershed.toml", "[server]"), service])
}

fn loaded(rest: &str) -> Config {
    let tree = site(&format!("{VERSIONS}{rest}"));
    tree.load().unwrap_or_else(|report| panic!("{report}\n---\n{rest}"))
}

fn service(rest: &str) -> Service {
    Service::clone(&loaded(rest).environments[0].services[0])
}

fn warnings(rest: &str) -> Vec<String> {
    loaded(rest).warnings.into_iter().map(|warning| warning.message).collect()
}

/// Rules that lead to `v2`, each with what it matches.
fn rules(matches: &[&str]) -> String {
    let rule = |(index, matches): (usize, &&str)| {
        format!(
            "[[traffic.rules]]\nname = \"r{index}\"\nversion = \"v2\"\nmatch = {{ {matches} }}\n"
        )
    };
    matches.iter().enumerate().map(rule).collect()
}

fn globs(pairs: &[(&str, &str)]) -> Vec<(String, Glob)> {
    let glob = |(name, glob): &(&str, &str)| ((*name).to_owned(), Glob::new(glob).unwrap());
    pairs.iter().map(glob).collect()
}

#[test]
fn a_rule_means_what_it_says() {
    let service = service(
        r#"
[[traffic.rules]]
name = "beta"
match = { path = "/app/*", method = "GET", query = { gray = "1*" }, header = { X-Team = "core", "a" = "*" }, cookie = { lane = "*" }, client = "10.0.0.0/8" }
version = "v2"
otherwise = "fail"

[[traffic.rules]]
name = "half"
split = { v2 = 50, v1 = 50 }
"#,
    );
    assert_eq!(service.traffic, Traffic::Latest);
    let half = Percent::from_hundredths(5_000).unwrap();
    let beta = Rule {
        name: RuleName::new("beta").unwrap(),
        matches: Match {
            path: Some(Glob::new("/app/*").unwrap()),
            method: Some("GET".to_owned()),
            header: globs(&[("a", "*"), ("x-team", "core")]),
            query: globs(&[("gray", "1*")]),
            cookie: globs(&[("lane", "*")]),
            client: Some("10.0.0.0/8".parse().unwrap()),
        },
        to: Destination::Version(1),
        otherwise: Otherwise::Fail,
    };
    let half = Rule {
        name: RuleName::new("half").unwrap(),
        matches: Match::default(),
        to: Destination::Split(Split::new(vec![(0, half), (1, half)]).unwrap()),
        otherwise: Otherwise::Next,
    };
    assert_eq!(service.policy.rules, [beta, half]);
}

#[test]
fn an_address_is_a_network_of_one() {
    for (text, network) in [("10.1.2.3", "10.1.2.3/32"), ("fd00::1", "fd00::1/128")] {
        let service = service(&rules(&[&format!("client = {text:?}")]));
        assert_eq!(service.policy.rules[0].matches.client, Some(network.parse().unwrap()));
    }
}

#[test]
fn stickiness_means_what_it_says() {
    let sticky = |text: &str| service(&format!("[traffic.sticky]\n{text}")).policy.sticky.unwrap();
    let keys = [
        ("header:X-User", StickyKey::Header("x-user".to_owned())),
        ("cookie:User", StickyKey::Cookie("User".to_owned())),
        ("query:u v", StickyKey::Query("u v".to_owned())),
        ("client-address", StickyKey::ClientAddress),
        ("generated", StickyKey::Generated(CookieSettings::default())),
    ];
    for (text, key) in keys {
        assert_eq!(sticky(&format!("key = {text:?}")), Sticky { key, mode: StickyMode::Hash });
    }
    let pin = sticky("key = \"generated\"\nmode = \"pin\"\n[traffic.sticky.cookie]\nttl = \"1h\"");
    assert_eq!(pin.mode, StickyMode::Pin { ttl: Sticky::DEFAULT_TTL });
    let ttl = Duration::from_secs(3600);
    let cookie = CookieSettings { ttl, ..CookieSettings::default() };
    assert_eq!(pin.key, StickyKey::Generated(cookie));
}

#[test]
fn overrides_mean_what_they_say() {
    let tree = site(&format!(
        "{VERSIONS}[traffic]\npick = \"smooth\"\npropagate = true\n[traffic.override]\n\
         header = true\nquery = \"version\"\nsecret = {{ file = \"key\" }}\n"
    ));
    let config = tree.load().unwrap();
    let PolicySpec { pick, propagate, overrides, .. } = &config.environments[0].services[0].policy;
    assert_eq!((*pick, *propagate), (Pick::Smooth, true));
    let expected = Overrides {
        header: true,
        query: Some("version".to_owned()),
        cookie: None,
        preview_domains: false,
        secret: Some(SecretSource::File(tree.path("config/services/key"))),
    };
    assert_eq!(*overrides, Some(expected));
}

#[test]
fn a_route_is_a_prefix_without_a_slash_at_its_end() {
    let route = |path| format!("[[routes]]\ndomain = \"Shop.example.com\"\npath = {path:?}\n");
    let whole = "[[routes]]\ndomain = \"*.example.org\"\n";
    let service = service(&(route("/api/") + &route("/a/b") + whole));
    let routes: Vec<String> = service.routes.iter().map(ToString::to_string).collect();
    assert_eq!(routes, ["shop.example.com/api", "shop.example.com/a/b", "*.example.org"]);
    assert_eq!(service.routes[2].path, Route::WHOLE);
}

#[test]
fn every_version_has_its_reach() {
    let text = VERSIONS.replace("b.wasm\"", "b.wasm\"\nreach = \"pinned\"");
    let config = site(&text).load().unwrap();
    let policy = &config.environments[0].services[0].policy;
    assert_eq!(policy.reach, [Reach::Live, Reach::Pinned]);
}

#[test]
fn a_rule_behind_one_that_matches_all_it_does_is_warned_of() {
    for (earlier, later) in [
        ("", ""),
        ("", "path = \"/a\""),
        ("path = \"/a/*\"", "path = \"/a/b/*\", method = \"GET\""),
        ("method = \"GET\"", "method = \"GET\", client = \"10.1.2.3\""),
        ("client = \"10.0.0.0/8\"", "client = \"10.1.0.0/16\""),
        ("header = { X-A = \"*\" }", "header = { x-a = \"1\", b = \"2\" }"),
        (
            "query = { a = \"1*\" }, cookie = { c = \"*\" }",
            "query = { a = \"12\" }, cookie = { c = \"x\" }",
        ),
    ] {
        let expected = "rule `r1` can never match: rule `r0`, on line 8, matches all that it does";
        assert_eq!(warnings(&rules(&[earlier, later])), [expected], "{earlier} {later}");
    }
}

#[test]
fn a_rule_that_may_match_is_not_warned_of() {
    for (earlier, later) in [
        ("path = \"/a\"", ""),
        ("path = \"/a/b/*\"", "path = \"/a/*\""),
        ("method = \"GET\"", "method = \"get-it\""),
        ("client = \"10.1.0.0/16\"", "client = \"10.0.0.0/8\""),
        ("client = \"10.0.0.0/8\"", "client = \"fd00::/8\""),
        ("header = { a = \"*\" }", "cookie = { a = \"*\" }"),
        ("header = { a = \"*\" }", "header = { b = \"*\" }"),
    ] {
        assert_eq!(warnings(&rules(&[earlier, later])), <[&str; 0]>::default());
    }
}

#[test]
fn a_rule_to_a_version_that_it_cannot_reach_is_warned_of_and_hides_no_other() {
    let text = VERSIONS.replace("b.wasm\"", "b.wasm\"\nreach = \"override\"") + &rules(&["", ""]);
    let config = site(&text).load().unwrap();
    let messages: Vec<_> = config.warnings.iter().map(|warning| &warning.message).collect();
    let expected =
        ["r0", "r1"].map(|rule| format!("rule `{rule}` leads to `v2`, whose reach is not `live`"));
    assert_eq!(messages, expected.iter().collect::<Vec<_>>());
    let shown = Warnings(&config.warnings).to_string();
    assert!(shown.starts_with("warning: rule `r0` leads to"), "{shown}");
    assert!(!shown.contains("error"), "{shown}");
    // Whoever is turned away does not come to the next rule.
    let fails = text.replacen("match = {  }", "match = {  }\notherwise = \"fail\"", 1);
    let config = site(&fails).load().unwrap();
    assert_eq!(config.warnings.len(), 3);
}

#[test]
fn two_environments_warn_of_a_shared_file_once() {
    let main = "[[environments]]\nname = \"a\"\ndomain = \"a.org\"\n\
                [[environments]]\nname = \"b\"\ndomain = \"b.org\"\n";
    let service = format!("{VERSIONS}{}", rules(&["", ""]));
    let tree = Tree::new(&[("config/watershed.toml", main), ("config/services/s.toml", &service)]);
    assert_eq!(tree.load().unwrap().warnings.len(), 1);
}

#[test]
fn a_warning_that_moves_changes_nothing_that_is_served() {
    let text = format!("{VERSIONS}{}", rules(&["", ""]));
    let tree = site(&text);
    let before = tree.load().unwrap();
    fs::write(tree.path("config/services/s.toml"), format!("# A comment.\n{text}")).unwrap();
    let after = tree.load().unwrap();
    assert_ne!(before, after);
    assert!(after.is_served_like(&before));
}
