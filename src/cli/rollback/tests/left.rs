//! What somebody left by a rollback, and what the next rollbacks make of it.

use proptest::prelude::*;

use super::*;
use crate::code::Coded;
use crate::history::{Author, Record};
use crate::rollout::{State, Why};

/// Gives v2 this percent of the traffic, and v1 the rest.
fn split(world: &mut World, second: u16) -> u64 {
    let text = world.text();
    let at = text.find("split = ").unwrap();
    let end = at + text[at..].find('\n').unwrap_or(text.len() - at);
    let now = format!("split = {{ v1 = {}, v2 = {second} }}", 100 - second);
    world.write(&(text[..at].to_owned() + &now + &text[end..]))
}

/// Rolls back, and returns the percent of v2 that is served then.
fn back(world: &mut World) -> u16 {
    let found = world.back(&Aim::Previous).unwrap();
    found.to.of(&name("v2")).hundredths() / 100
}

/// As it was seen: promote, roll back, promote another, roll back, roll back.
#[test]
fn repeated_rollbacks_never_lead_back_to_what_was_rolled_back_from() {
    let mut world = World::new();
    let first = split(&mut world, 100);
    assert_eq!(back(&mut world), 0);
    split(&mut world, 50);
    assert_eq!(back(&mut world), 0);
    let refused = world.decide(&Aim::Previous, false).unwrap_err();
    let RollbackError::NothingLeft { passed, .. } = &refused else { panic!("{refused}") };
    let left: Vec<_> = passed.iter().map(|it| (it.generation, it.why.clone())).collect();
    let by = |by| Why::Left { at: 0, by };
    assert_eq!(left, [(first + 2, by(first + 3)), (first, by(first + 1))]);
    let refused = refused.line();
    for words in [
        "generation 2 served v2 100 %",
        "somebody rolled back from it at 1970-01-01T00:00:00Z (generation 3)",
        "`--to GENERATION`",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    // By its number it is meant.
    let found = world.back(&Aim::Generation(first)).unwrap();
    assert!(found.to.is_same(&all("v2")) && found.passed.is_empty());
}

#[test]
fn what_was_left_is_passed_over_on_the_way_to_what_was_not() {
    let mut world = World::new();
    split(&mut world, 30);
    let left = split(&mut world, 100);
    assert_eq!(back(&mut world), 30);
    split(&mut world, 60);
    assert_eq!(back(&mut world), 30);
    let found = world.back(&Aim::Previous).unwrap();
    assert!(found.to.is_same(&all("v1")), "{found:?}");
    let passed: Vec<_> = found.passed.iter().map(|it| (it.generation, it.shares.clone())).collect();
    assert_eq!(passed, [(left, all("v2"))]);
}

/// Each step of a ramp is a state of its own: rollbacks go down by steps, and never up again.
#[test]
fn a_ramp_is_left_step_by_step() {
    let mut world = World::new();
    for second in [10, 50, 100] {
        split(&mut world, second);
    }
    assert_eq!([back(&mut world), back(&mut world), back(&mut world)], [50, 10, 0]);
    let refused = world.refused(&Aim::Previous);
    assert!(refused.contains("rolled back from it"), "{refused}");
    split(&mut world, 5);
    assert_eq!(back(&mut world), 0);
    let refused = world.refused(&Aim::Previous);
    assert!(refused.contains("rolled back from it"), "{refused}");
}

/// Whoever serves it again by hand, or by its number, means it.
#[test]
fn what_is_served_again_on_purpose_may_be_gone_back_to() {
    let mut world = World::new();
    let left = split(&mut world, 100);
    assert_eq!(back(&mut world), 0);
    split(&mut world, 100);
    split(&mut world, 20);
    assert_eq!(back(&mut world), 100);

    let mut world = World::new();
    split(&mut world, 100);
    assert_eq!(back(&mut world), 0);
    world.back(&Aim::Generation(left)).unwrap();
    split(&mut world, 20);
    assert_eq!(back(&mut world), 100);
}

/// All to one version is no generation, and yet a rollback.
#[test]
fn a_rollback_to_a_version_leaves_what_it_was_called_at() {
    let mut world = World::new();
    split(&mut world, 40);
    split(&mut world, 100);
    let found = world.decide(&Aim::Version(name("v1")), false).unwrap();
    assert_eq!(found.generation, None);
    split(&mut world, 0);
    world.records[0].author = Author::Command {
        user: "ada".to_owned(),
        command: "watershed rollback shop --to v1".to_owned(),
    };
    assert_eq!(back(&mut world), 40);
    assert!(world.refused(&Aim::Previous).contains("generation 3 served v2 100 %"));
    // What a rollback wrote and put back is no rollback.
    world.records[1].author = Author::Command {
        user: "ada".to_owned(),
        command: "watershed rollback shop --to v1 (put back)".to_owned(),
    };
    assert!(!world.records[1].is_rollback());
}

/// A version that has to be made is served later: until then, what is left goes on.
#[test]
fn a_rollback_with_several_records_leaves_one_state() {
    let mut world = World::new();
    world.replace("\"Hello\"", "\"bad\"");
    world.back(&Aim::Previous).unwrap();
    let mut held = world.records[1].clone();
    let back = &world.records[0];
    (held.generation, held.restores, held.author) = (3, back.restores, back.author.clone());
    world.records[0].generation = 4;
    world.records.insert(1, held);
    assert!(world.refused(&Aim::Previous).contains("(generation 4)"));
}

/// The shares alone would bring an environment back into traffic that was left.
#[test]
fn the_shares_alone_do_not_lead_back_either() {
    let mut world = World::new();
    world.replace("\"Hello\"", "\"bad\"");
    world.back(&Aim::Previous).unwrap();
    split(&mut world, 100);
    world.replace("\"Hello\"", "\"bad\"");
    let refused = world.decide_on(&Aim::Previous, false, true).unwrap_err().to_string();
    assert!(refused.contains("rolled back from it"), "{refused}");
    assert_eq!(back(&mut world), 0);
    assert_eq!(world.env("v1", "GREETING"), Some(plain("Hello")));
}

/// Of what the history has no longer, nothing is left.
#[test]
fn a_history_that_was_cut_off_says_only_what_it_has() {
    let mut world = World::new();
    split(&mut world, 100);
    back(&mut world);
    world.records.truncate(1);
    assert_eq!(
        world.decide(&Aim::Previous, false).unwrap_err(),
        RollbackError::NothingBefore("shop".to_owned())
    );
    split(&mut world, 70);
    assert_eq!(back(&mut world), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Split(u16),
    Env(bool),
    Back { traffic_only: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..4_u16).prop_map(|quarter| Step::Split(quarter * 25)),
        1 => any::<bool>().prop_map(Step::Env),
        3 => prop::bool::weighted(0.2).prop_map(|traffic_only| Step::Back { traffic_only }),
    ]
}

/// Whether the newest record serves what another does.
fn is_served_again(world: &World, other: &Record) -> bool {
    State::of(&world.records[0], &world.parts).is_like(&State::of(other, &world.parts))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// No rollback without `--to` serves what a rollback has left before, unless somebody has served it
    /// again by hand; and repeated rollbacks come to an end that says what they passed over.
    #[test]
    fn rollbacks_never_go_back_to_what_was_left(steps in prop::collection::vec(step(), 1..14)) {
        let mut world = World::new();
        let mut left: Vec<Record> = Vec::new();
        for step in steps.into_iter().chain(vec![Step::Back { traffic_only: false }; 16]) {
            let before = world.records[0].clone();
            match step {
                Step::Split(second) => { split(&mut world, second); }
                Step::Env(is_bad) => {
                    let (from, to) = if is_bad { ("\"Hello\"", "\"bad\"") } else { ("\"bad\"", "\"Hello\"") };
                    world.write(&world.text().replace(from, to));
                }
                Step::Back { traffic_only } => {
                    if world.back_by(&Aim::Previous, traffic_only).is_err() {
                        continue;
                    }
                    for left in &left {
                        prop_assert!(!is_served_again(&world, left), "{left:#?}\n{}", world.text());
                    }
                    left.push(before);
                    continue;
                }
            }
            left.retain(|left| !is_served_again(&world, left));
        }
        let refused = world.refused(&Aim::Previous);
        let is_plain = refused.contains("nothing of shop before");
        prop_assert!(is_plain || refused.contains("somebody rolled back from it at"), "{refused}");
    }
}
