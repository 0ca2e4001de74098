//! Versions that an upstream serves, or served then.

use super::*;
use crate::config::{TargetAddress, UpstreamSpec};

const UPSTREAMS: &str = r#"[[versions]]
name = "v1"
[versions.upstream]
targets = ["127.0.0.1:9001", { address = "api.internal:9001", weight = 3 }] # both halls
protocol = "tls"
[versions.upstream.tls]
ca = "ca.pem" # ours

[[versions]]
name = "v2"
upstream = ["127.0.0.1:9002"]

[traffic]
split = { v1 = 100, v2 = 0 }
"#;

fn world() -> World {
    let mut world = World::new();
    world.write(UPSTREAMS);
    world
}

fn upstream(world: &World, version: &str) -> UpstreamSpec {
    let version = world.service.versions.iter().find(|spec| spec.name == name(version)).unwrap();
    version.upstream().unwrap().clone()
}

#[test]
fn settings_of_an_upstream_come_back_one_by_one() {
    let mut world = world();
    let before = upstream(&world, "v1");
    world.replace("protocol = \"tls\"", "protocol = \"tls\"\nbalance = \"hash\"");
    world.replace("weight = 3", "weight = 4");
    let found = world.back(&Aim::Generation(2)).unwrap();
    let rest = found.restoration().unwrap();
    assert_eq!(rest.lines().len(), 2, "{:?}", rest.lines());
    assert_eq!(rest.replaced(), [&name("v1")]);
    assert_eq!(upstream(&world, "v1"), before);
    let text = world.text();
    assert!(text.contains("# both halls") && text.contains("ca = \"ca.pem\" # ours"), "{text}");
}

#[test]
fn the_short_form_gets_room_for_what_comes_back() {
    let mut world = world();
    let long = "[versions.upstream]\ntargets = [\"127.0.0.1:9002\"]\nretry = { attempts = 0 }\n\
                tls = { certificate = \"c.pem\", key = \"c.key\" }";
    world.replace("upstream = [\"127.0.0.1:9002\"]", long);
    let aim = world.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100");
    let then = upstream(&world, "v2");
    world.replace(long, "upstream = [\"127.0.0.1:9003\"]");
    world.back(&Aim::Generation(aim)).unwrap();
    assert_eq!(upstream(&world, "v2"), then);
    let text = world.text();
    assert!(text.contains("certificate = \"c.pem\""), "relative paths: {text}");
    // Targets alone stay short.
    let mut world = self::world();
    let aim = world.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100");
    world.replace("[\"127.0.0.1:9002\"]", "[\"127.0.0.1:9003\"] # moved");
    world.back(&Aim::Generation(aim)).unwrap();
    assert!(world.text().contains("upstream = [\"127.0.0.1:9002\"] # moved"), "{}", world.text());
}

#[test]
fn a_deleted_upstream_is_declared_again_in_few_words() {
    let mut world = world();
    let aim = world.replace("v1 = 100, v2 = 0", "v1 = 50, v2 = 50");
    let (first, second) = (upstream(&world, "v1"), upstream(&world, "v2"));
    world.write("[[versions]]\nname = \"v3\"\ncomponent = \"a.wasm\"\n[traffic]\nsplit.v3 = 100\n");
    let found = world.back(&Aim::Generation(aim)).unwrap();
    let lines = found.restoration().unwrap().lines();
    let expected = "v1  is declared again, from 127.0.0.1:9001, api.internal:9001";
    assert_eq!(lines[0], expected);
    assert_eq!((upstream(&world, "v1"), upstream(&world, "v2")), (first, second));
    let text = world.text();
    assert!(text.contains("upstream = [\"127.0.0.1:9002\"]\n"), "{text}");
    assert!(text.contains("ca = \"ca.pem\"") && !text.contains("resolve"), "{text}");
}

/// A component and an upstream have no limit and no variable in common that the other one would refuse.
#[test]
fn a_version_changes_its_kind_and_back() {
    let mut world = World::new();
    let guest = world.service.versions[0].clone();
    let from = SHOP.find("component").unwrap();
    let keys = &SHOP[from..SHOP.find("\n\n# The second").unwrap()];
    let moved = world.replace(keys, "upstream = [\"legacy:80\"]\nlimits.wall-time = \"9s\"");
    world.back(&Aim::Generation(1)).unwrap();
    assert_eq!(world.service.versions[0].backend, guest.backend, "{}", world.text());
    world.back(&Aim::Generation(moved)).unwrap();
    let target = TargetAddress::Name("legacy".to_owned(), 80);
    assert_eq!(upstream(&world, "v1").targets[0].address, target);
    world.write(&world.text().replace("legacy:80", "other:80"));
    fs::write(world.path("a.wasm"), "other").unwrap();
    let refused = world.refused(&Aim::Generation(1));
    assert!(refused.contains("v1 is an upstream now, and its component"), "{refused}");
}

#[test]
fn who_rescues_comes_back_and_is_declared_again() {
    let mut world = world();
    let with =
        "[traffic]\nrescue = \"v2\"\nrescue-methods = [\"POST\"]\nwhen-unhealthy = \"others\"";
    let aim = world.replace("[traffic]", with);
    let rescue = world.service.policy.rescue.clone();
    let gone = "[[versions]]\nname = \"v2\"\nupstream = [\"127.0.0.1:9002\"]\n\n";
    world.write(&UPSTREAMS.replace(gone, "").replace(", v2 = 0", ""));
    world.back(&Aim::Generation(aim)).unwrap();
    assert_eq!(world.service.policy.rescue, rescue);
    assert_eq!(world.service.policy.when_unhealthy, crate::config::WhenUnhealthy::Others);
    assert_eq!(upstream(&world, "v2").targets.len(), 1);
}

#[test]
fn an_upstream_that_is_quarantined_since_does_not_come_back() {
    let mut world = world();
    let digest = upstream(&world, "v1").digest();
    let other =
        UPSTREAMS.replace("api.internal", "api.new").replace("127.0.0.1:9001\",", "10.0.0.1:1\",");
    world.write(&format!("{other}[[quarantine]]\ndigest = \"{digest}\"\nversion = \"v1\"\n"));
    let refused = world.refused(&Aim::Generation(2));
    assert!(refused.contains("quarantined"), "{refused}");
}
