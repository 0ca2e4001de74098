//! What a rollback decides and writes, on real files: single steps, and any sequence of edits.

mod left;
mod sequences;
mod upstreams;
mod world;

use std::fs;

use crate::config::{Digest, EnvValue, Reach, SecretSource};
use crate::rollout::{Aim, Ground, RollbackError};
use world::{SHOP, World, all, name, share};

fn plain(text: &str) -> EnvValue {
    EnvValue::Plain(text.to_owned())
}

/// R11: the environment is part of what was served.
#[test]
fn an_environment_comes_back() {
    let mut world = World::new();
    let before = world.text();
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Aim::Previous).unwrap();
    let rest = found.restoration().unwrap();
    assert_eq!(rest.lines(), ["v1  env.GREETING `bad` → `Hello`"]);
    assert_eq!(rest.remade(), [&name("v1")]);
    assert_eq!(world.text(), before, "comments, order and all");
    assert!(
        world.refused(&Aim::Previous).contains("generation 2 served v1 100 %, and somebody rolled")
    );
}

#[test]
fn a_rollback_to_a_generation_brings_back_its_environment_with_its_shares() {
    let mut world = World::new();
    world.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100");
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Aim::Generation(1)).unwrap();
    assert!(found.to.is_same(&all("v1")));
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
    // Versions that did not serve then are left alone.
    world.replace("\"Hi\"", "\"Hey\"");
    world.replace("v1 = 100, v2 = 0", "v1 = 50, v2 = 50");
    world.back(&Aim::Generation(1)).unwrap();
    assert_eq!(world.env("v2", "GREETING"), Some(plain("Hey")));
}

#[test]
fn what_came_since_is_taken_out_and_what_went_comes_back() {
    let mut world = World::new();
    world.replace("GREETING = \"Hello\", ", "DEBUG = \"1\", ");
    world.replace("limits.memory = \"128MiB\"", "limits.memory = \"64MiB\"");
    let found = world.back(&Aim::Generation(1)).unwrap();
    assert_eq!(
        found.restoration().unwrap().lines(),
        [
            "v1  env.GREETING `Hello` comes back",
            "v1  env.DEBUG `1` is taken out",
            "v1  limits.memory 64MiB → 128MiB",
        ]
    );
    assert_eq!(world.env("v1", "DEBUG"), None);
}

#[test]
fn rules_stickiness_and_overrides_come_back() {
    let mut world = World::new();
    let policy = "pick = \"smooth\"\nsticky = { key = \"header:x-user\" }\n\
                  override = { header = true }\n[[traffic.rules]]\nname = \"beta\"\nversion = \"v2\"\n";
    world.write(&(SHOP.to_owned() + policy));
    let decided = world.description();
    let found = world.back(&Aim::Previous).unwrap();
    let lines = found.restoration().unwrap().lines();
    for line in ["pick smooth → random", "rule beta: taken out"] {
        assert!(lines.iter().any(|it| it == line), "{lines:?}");
    }
    assert!(lines.iter().any(|it| it.starts_with("sticky ")), "{lines:?}");
    assert!(world.service.policy.rules.is_empty() && world.service.policy.sticky.is_none());
    world.back(&Aim::Generation(2)).unwrap();
    assert_eq!(world.description(), decided);
}

#[test]
fn a_component_comes_back_from_where_it_was() {
    let mut world = World::new();
    world.replace("component = \"a.wasm\"", "component = \"c.wasm\"");
    let found = world.back(&Aim::Previous).unwrap();
    let lines = found.restoration().unwrap().lines();
    assert!(lines[0].starts_with("v1  component /"), "{lines:?}");
    assert!(world.text().contains("component = \"a.wasm\" # built by hand"), "{}", world.text());
    // A version whose bytes have moved to another path is what it was.
    fs::rename(world.path("a.wasm"), world.path("moved.wasm")).unwrap();
    world.replace("component = \"a.wasm\"", "component = \"moved.wasm\"");
    assert!(matches!(world.decide(&Aim::Generation(1), false), Err(RollbackError::Same(_))));
}

#[test]
fn a_component_that_is_gone_is_told() {
    let mut world = World::new();
    fs::write(world.path("a.wasm"), "a new build").unwrap();
    world.publish();
    let refused = world.refused(&Aim::Generation(1));
    assert!(refused.contains("the component of v1 was sha256:"), "{refused}");
    assert!(refused.contains("a.wasm has the digest sha256:"), "{refused}");
    fs::remove_file(world.path("a.wasm")).unwrap();
    assert!(world.refused(&Aim::Generation(1)).contains("No such file"));
}

/// What `deploy` copied comes back, whatever became of the path that the version had.
#[test]
fn a_copy_in_the_store_takes_the_place_of_a_component_that_is_gone() {
    let mut world = World::new();
    world.keep("v1", b"a");
    fs::write(world.path("a.wasm"), "a new build").unwrap();
    world.publish();
    let found = world.back(&Aim::Generation(1)).unwrap();
    let lines = found.restoration().unwrap().lines();
    assert!(lines[0].contains("components/shop/v1-"), "{lines:?}");
    let text = world.text();
    assert!(text.contains("component = \"../components/shop/v1-"), "{text}");
    assert!(text.contains(&format!("digest = \"{}\"", Digest::of("a"))), "{text}");
    // So does a version that was deleted.
    let mut world = World::new();
    world.keep("v1", b"a");
    let only_two = SHOP.find("# The second.").map(|at| &SHOP[at..]).unwrap();
    world.write(&only_two.replace("v1 = 100, v2 = 0", "v2 = 100"));
    fs::remove_file(world.path("a.wasm")).unwrap();
    world.back(&Aim::Generation(1)).unwrap();
    assert!(world.text().contains("../components/shop/v1-"), "{}", world.text());
    assert!(world.shares().is_same(&all("v1")));
}

#[test]
fn another_secret_is_told_and_never_written() {
    let mut world = World::new();
    world.replace("\"Hello\"", "\"bad\"");
    fs::write(world.path("token"), "two").unwrap();
    world.publish();
    let refused = world.refused(&Aim::Generation(1));
    assert!(refused.contains("env.TOKEN of v1 (file /") && refused.contains("another secret"));
    assert!(refused.contains("--traffic-only") && !refused.contains("two"), "{refused}");
    // A rotation is a step by itself: older versions would have the old secret too.
    let refused = world.refused(&Aim::Previous);
    assert!(refused.starts_with("generation 2 served"), "{refused}");
    let found = world.decide_on(&Aim::Generation(1), false, true);
    assert!(matches!(found, Err(RollbackError::Same(_))), "{found:?}");
    // The same value at another place is the same secret.
    fs::write(world.path("old"), "one\n").unwrap();
    world.replace("file = \"token\"", "file = \"old\"");
    world.back(&Aim::Generation(1)).unwrap();
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
    assert!(world.text().contains("file = \"old\""), "{}", world.text());
    let json = serde_json::to_string(&world.parts).unwrap();
    assert!(!json.contains("\"one") && !json.contains("\"two"), "{json}");
}

#[test]
fn a_deleted_version_is_declared_again() {
    let mut world = World::new();
    let only_two = SHOP.find("# The second.").map(|at| &SHOP[at..]).unwrap();
    world.write(&only_two.replace("v1 = 100, v2 = 0", "v2 = 100"));
    let found = world.back(&Aim::Generation(1)).unwrap();
    let rest = found.restoration().unwrap();
    assert!(rest.lines()[0].starts_with("v1  is declared again, from /"), "{:?}", rest.lines());
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
    assert!(matches!(world.env("v1", "TOKEN"), Some(EnvValue::Secret(SecretSource::File(_)))));
    assert!(world.shares().is_same(&all("v1")));
    world.write(&only_two.replace("v1 = 100, v2 = 0", "v2 = 100"));
    fs::write(world.path("a.wasm"), "other").unwrap();
    let refused = world.refused(&Aim::Generation(1));
    assert!(refused.contains("v1 was deleted since"), "{refused}");
}

#[test]
fn nobody_is_let_in_again() {
    let mut world = World::new();
    world.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100");
    world.replace("component = \"a.wasm\"", "reach = \"cutoff\"\ncomponent = \"a.wasm\"");
    let refused = world.refused(&Aim::Generation(1));
    assert!(refused.contains("v1 has the reach `cutoff` now"), "{refused}");
    // What did not serve then stays cut off, and the outcome says so.
    world.write(
        &SHOP.replace("component = \"b.wasm\"", "component = \"b.wasm\"\nreach = \"cutoff\""),
    );
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Aim::Generation(1)).unwrap();
    assert_eq!(
        found.restoration().unwrap().kept,
        ["v2  reach cutoff, and live then: it is not widened"]
    );
    assert_eq!(world.service.policy.reach_of(1), Reach::Cutoff);
}

#[test]
fn what_is_quarantined_since_does_not_come_back() {
    let mut world = World::new();
    let bad = world.made_of(&world.service.versions[0]).unwrap();
    let entry = format!("\n[[quarantine]]\ndigest = \"{bad}\"\nversion = \"v1\"\n");
    world.write(&(SHOP.replace("v1 = 100, v2 = 0", "v1 = 0, v2 = 100") + &entry));
    let refused = world.refused(&Aim::Generation(1));
    assert!(refused.contains("v1 as it was is quarantined"), "{refused}");
}

#[test]
fn the_secret_of_overrides_stays() {
    let mut world = World::new();
    world.write(&(SHOP.to_owned() + "override = { header = true }\n"));
    let secret = "override = { header = true, query = \"v\", secret = { file = \"token\" } }\n";
    world.write(&(SHOP.to_owned() + secret));
    let found = world.back(&Aim::Generation(2)).unwrap();
    assert_eq!(found.restoration().unwrap().kept, ["override.secret  stays as it is now"]);
    let overrides = world.service.policy.overrides.clone().unwrap();
    assert!(overrides.secret.is_some() && overrides.query.is_none());
}

/// A version may have been replaced by a bad one, though its share stays.
#[test]
fn a_replaced_environment_can_be_what_is_bad() {
    let mut world = World::new();
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.decide(&Aim::Previous, true).unwrap();
    assert_eq!(found.losers(&world.shares()), [name("v1")]);
    let mut world = World::new();
    world.replace("\"128MiB\"", "\"64MiB\"");
    let refused = world.decide(&Aim::Generation(1), true).unwrap_err();
    assert!(matches!(refused, RollbackError::NoneBad { .. }), "a limit is not what is bad");
    let refused = world.decide(&Aim::Previous, true).unwrap_err();
    assert!(
        matches!(refused, RollbackError::NoneBad { .. }),
        "there is something before: {refused}"
    );
}

#[test]
fn notes_and_domains_are_no_step_back() {
    let mut world = World::new();
    world.write(&format!("domains = [\"shop.example.com\"]\n{SHOP}"));
    world.replace("limits.memory", "remark = \"the first\"\nlimits.memory");
    let refused = world.decide(&Aim::Previous, false).unwrap_err();
    assert_eq!(refused, RollbackError::NothingBefore("shop".to_owned()));
    world.replace("\"Hello\"", "\"bad\"");
    let found = world.back(&Aim::Generation(1)).unwrap();
    let kept = &found.restoration().unwrap().kept;
    assert!(kept[0].starts_with("domains  stay "), "{kept:?}");
    assert!(world.text().starts_with("domains = [\"shop.example.com\"]"));
}
