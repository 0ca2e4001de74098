//! What decides before the shares do stays as it is written, whatever else is edited.

use super::*;

const SHOP: &str = r#"domains = []

# Beside the old shop.
[[routes]]
domain = "shop.example.com"
path = "/api" # and below

[[versions]]
name = "v1"
component = "a.wasm"
reach = "live" # for now

[traffic]
split = { v1 = 100 }
pick = "smooth"

# Whoever wants to see it first.
[[traffic.rules]]
name = "beta"
match = { header = { x-team = "core" }, path = "/app/*" } # ours
version = "v1"
otherwise = "fail"

[traffic.sticky]
key = "generated"

[traffic.sticky.cookie]
name = "lane"

[traffic.override]
header = true
secret = { from-env = "KEY" }
"#;

#[test]
fn an_edit_keeps_what_decides_before_the_shares() {
    let before = Site::new(SHOP).config().environments[0].services[0].clone();
    let (text, after) = edited(SHOP, |file| {
        file.add_version(&version("v2", "/srv/b.wasm"));
        file.set_split(&shares(&[("v1", 90.0), ("v2", 10.0)]));
        file.quarantine(&quarantined("v0", 7));
    });
    for line in SHOP.lines().filter(|line| !line.starts_with("split = ")) {
        assert!(text.lines().any(|other| other == line), "{line} is gone:\n{text}");
    }
    assert_eq!(after.routes, before.routes);
    assert_eq!(after.policy.rules, before.policy.rules);
    assert_eq!(after.policy.sticky, before.policy.sticky);
    assert_eq!(after.policy.overrides, before.policy.overrides);
    assert_eq!(after.policy.pick, before.policy.pick);
    assert_eq!(after.versions.len(), 2);
    assert_eq!(after.quarantine.len(), 1);
}

#[test]
fn a_split_is_set_where_only_rules_are_written() {
    let rule = "[[traffic.rules]]\nname = \"beta\"\nversion = \"v1\"\n";
    let versions = "[[versions]]\nname = \"v1\"\ncomponent = \"a.wasm\"\n\n";
    let (text, after) = edited(&format!("{versions}{rule}"), |file| {
        file.set_split(&shares(&[("v1", 100.0)]));
    });
    assert_eq!(after.policy.rules.len(), 1, "{text}");
    assert!(split_of(&after).is_some(), "{text}");
}
