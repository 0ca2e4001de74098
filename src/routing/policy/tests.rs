//! The order of decisions, on real requests.

use std::time::Duration;

use proptest::prelude::*;

use super::super::affinity::KeySource;
use super::super::buckets::Owner;
use super::super::matcher::Pattern;
use super::super::overrides::Lock;
use super::super::request::tests::{asked, parts};
use super::super::splitter::Ways;
use super::*;

const NAMES: [&str; 3] = ["v1", "v2", "v3"];

fn shares(shares: [u16; 3]) -> Arc<Splitter> {
    let owners = shares.into_iter().zip(NAMES).enumerate();
    let owners: Vec<_> =
        owners.map(|(index, (share, name))| Owner { name, share, index }).collect();
    Arc::new(Splitter::new(&owners, Ways { is_smooth: false, is_sticky: true }))
}

fn versions() -> Vec<KnownVersion> {
    let version = |(index, name): (usize, &str)| KnownVersion {
        index,
        name: name.to_owned(),
        hash: index as u64 + 1,
        keeps_pins: true,
        may_override: true,
    };
    NAMES.into_iter().enumerate().map(version).collect()
}

fn rule(name: &str, query: &str, to: Option<Destination>, fails: bool) -> Rule {
    let anything = Pattern::new([None]);
    let matcher = Matcher { query: vec![(query.to_owned(), anything)], ..Matcher::default() };
    Rule::new(name, matcher, to, fails)
}

fn sticky(pins: Option<Pins>) -> Option<Sticky> {
    let source = KeySource::Query("user".to_owned());
    Some(Sticky { affinity: Affinity::new(source, "default", "shop", false), pins })
}

fn policy(base: Base) -> Policy {
    Policy::plain(base, versions())
}

fn overrides(lock: Lock) -> Option<Overrides> {
    Some(Overrides { query: Some("v".to_owned()), lock, ..Overrides::default() })
}

/// The version, or what it failed with, and the reason.
fn decide_at(policy: &Policy, uri: &str, now: Instant) -> (String, String) {
    let parts = parts(uri, &[]);
    let choice = policy.decide(asked(&parts), now);
    let version = match choice.version {
        Ok(index) => NAMES[index].to_owned(),
        Err(refused) => format!("{refused:?}"),
    };
    (version, choice.reason.as_str().to_owned())
}

fn decide(policy: &Policy, uri: &str) -> (String, String) {
    decide_at(policy, uri, Instant::now())
}

#[track_caller]
fn assert_decides(policy: &Policy, uri: &str, version: &str, reason: &str) {
    assert_eq!(decide(policy, uri), (version.to_owned(), reason.to_owned()), "{uri}");
}

fn all() -> Policy {
    Policy {
        rules: vec![
            rule("gone", "a", None, false),
            rule("strict", "b", None, true),
            rule("beta", "a", Some(Destination::Version(1)), false),
            rule("some", "c", Some(Destination::Split(shares([0, 0, 10_000]))), false),
        ],
        overrides: overrides(Lock::Open),
        sticky: sticky(None),
        ..policy(Base::Split(shares([10_000, 0, 0])))
    }
}

#[test]
fn override_then_rule_then_stickiness_then_shares() {
    let policy = all();
    assert_decides(&policy, "/", "v1", "random");
    assert_decides(&policy, "/?user=1", "v1", "sticky");
    assert_decides(&policy, "/?user=1&a=1", "v2", "rule:beta");
    assert_decides(&policy, "/?user=1&c", "v3", "rule:some");
    assert_decides(&policy, "/?c", "v3", "rule:some");
    assert_decides(&policy, "/?user=1&a=1&v=v3", "v3", "override");
}

/// The version and the reason while `v2` yields.
fn decide_without_second(policy: &Policy, uri: &str) -> (Result<usize, Refused>, String, bool) {
    let parts = parts(uri, &[]);
    let choice = policy.decide_without(asked(&parts), Instant::now(), Some(&|index| index == 1));
    (choice.version, choice.reason.as_str().to_owned(), choice.is_drawn)
}

#[test]
fn a_version_that_yields_is_passed_over_except_by_overrides() {
    let pins = Pins::new(Duration::from_secs(60));
    let half = || shares([0, 5_000, 5_000]);
    let mut policy = all();
    policy.base = Base::Split(half());
    policy.rules.push(rule("halves", "h", Some(Destination::Split(half())), false));
    policy.rules.push(rule("insist", "i", Some(Destination::Version(1)), true));
    let is = |version, reason: &str| (Ok(version), reason.to_owned(), false);
    for _ in 0..32 {
        assert_eq!(decide_without_second(&policy, "/"), is(2, "random"));
        assert_eq!(decide_without_second(&policy, "/?h"), is(2, "rule:halves"));
    }
    assert_eq!(decide_without_second(&policy, "/?a"), is(2, "random"), "its rule is passed over");
    assert_eq!(decide_without_second(&policy, "/?i"), is(1, "rule:insist"), "the rule would fail");
    assert_eq!(decide_without_second(&policy, "/?v=v2"), is(1, "override"));
    let latest = Policy { base: Base::Latest(1), ..all() };
    assert_eq!(decide_without_second(&latest, "/"), is(1, "latest"), "there are no others");
    // A pin waits for its version.
    policy.sticky = sticky(Some(pins));
    let user = (0..).find(|user| decide(&policy, &format!("/?user={user}")).0 == "v2").unwrap();
    let uri = format!("/?user={user}");
    assert_eq!(decide_without_second(&policy, &uri), is(2, "sticky"));
    assert_decides(&policy, &uri, "v2", "sticky");
}

#[test]
fn a_rule_to_a_version_that_cannot_be_had_is_passed_over_or_fails() {
    assert_decides(&all(), "/?a", "v2", "rule:beta");
    assert_decides(&all(), "/?b", "NoVersion", "rule:strict");
}

#[test]
fn a_wish_that_is_not_granted_does_not_fail() {
    let mut policy = all();
    assert_decides(&policy, "/?v=v9", "v1", "override-unknown");
    assert_decides(&policy, "/?v=v9&a", "v2", "override-unknown");
    policy.versions[1].may_override = false;
    assert_decides(&policy, "/?v=v2", "v1", "override-denied");
    policy.overrides = overrides(Lock::of("secret"));
    assert_decides(&policy, "/?v=v3", "v1", "override-denied");
}

#[test]
fn only_overrides_reach_a_service_that_is_offline() {
    let policy = Policy { base: Base::Offline, ..all() };
    for uri in ["/", "/?user=1", "/?a"] {
        assert_decides(&policy, uri, "Offline", "random");
    }
    assert_decides(&policy, "/?v=v9", "Offline", "override-unknown");
    assert_decides(&policy, "/?v=v2", "v2", "override");
}

#[test]
fn where_nothing_can_be_had_rules_may_still_lead_somewhere() {
    let policy = Policy { base: Base::Nothing, ..all() };
    assert_decides(&policy, "/", "NoVersion", "random");
    assert_decides(&policy, "/?a", "v2", "rule:beta");
}

#[test]
fn the_latest_is_the_latest() {
    let policy = Policy { base: Base::Latest(2), ..all() };
    assert_decides(&policy, "/", "v3", "latest");
    assert_decides(&policy, "/?user=1", "v3", "latest");
}

#[test]
fn a_pinned_user_stays_until_his_time_is_over() {
    let hour = Duration::from_secs(3_600);
    let pins = Pins::new(hour);
    let with = |base, keeps_pins| {
        let mut policy = Policy { base, sticky: sticky(Some(pins.clone())), ..all() };
        policy.versions[0].keeps_pins = keeps_pins;
        policy
    };
    let at = |policy: &Policy, time| decide_at(policy, "/?user=1", time);
    let is = |version: &str, reason: &str| (version.to_owned(), reason.to_owned());
    let start = Instant::now();
    assert_eq!(at(&with(Base::Split(shares([10_000, 0, 0])), true), start), is("v1", "sticky"));
    let moved = with(Base::Split(shares([0, 10_000, 0])), true);
    assert_eq!(at(&moved, start + hour / 2), is("v1", "sticky"), "although it has 0 %");
    assert_eq!(at(&with(Base::Latest(2), true), start + hour / 2), is("v1", "sticky"));
    assert_eq!(decide_at(&moved, "/", start), is("v2", "random"), "nobody's request");
    assert_eq!(at(&moved, start + hour), is("v2", "sticky"));
    // He is with v2 now; who is cut off from it is with another from then on.
    let back = with(Base::Split(shares([10_000, 0, 0])), true);
    assert_eq!(at(&back, start + hour), is("v2", "sticky"));
    let mut cut = with(Base::Split(shares([10_000, 0, 0])), true);
    cut.versions[1].keeps_pins = false;
    assert_eq!(at(&cut, start + hour), is("v1", "sticky"));
    assert_eq!(at(&back, start + hour), is("v1", "sticky"));
}

/// While it is made anew, for example.
#[test]
fn whoever_is_pinned_to_a_version_that_cannot_be_had_now_comes_back_to_it() {
    let pins = Pins::new(Duration::from_secs(60));
    let with = |share: [u16; 3]| Policy {
        sticky: sticky(Some(pins.clone())),
        ..policy(Base::Split(shares(share)))
    };
    assert_decides(&with([10_000, 0, 0]), "/?user=7", "v1", "sticky");
    let mut without = with([0, 10_000, 0]);
    without.absent.push(without.versions.remove(0).hash);
    assert_decides(&without, "/?user=7", "v2", "sticky");
    assert_decides(&with([0, 10_000, 0]), "/?user=7", "v1", "sticky");
}

#[test]
fn whoever_is_pinned_to_the_latest_stays_with_it() {
    let pins = Pins::new(Duration::from_secs(60));
    let with = |base| Policy { base, sticky: sticky(Some(pins.clone())), ..all() };
    assert_decides(&with(Base::Latest(1)), "/?user=7", "v2", "sticky");
    assert_decides(&with(Base::Latest(2)), "/?user=7", "v2", "sticky");
    assert_decides(&with(Base::Latest(2)), "/?user=8", "v3", "sticky");
    assert_decides(&with(Base::Latest(2)), "/", "v3", "latest");
}

#[test]
fn a_key_is_made_for_whoever_has_none_and_decides_at_once() {
    let source = KeySource::Generated("id".to_owned());
    let affinity = Affinity::new(source, "default", "shop", false);
    let policy = Policy {
        sticky: Some(Sticky { affinity, pins: None }),
        ..policy(Base::Split(shares([5_000, 5_000, 0])))
    };
    let mut seen = [false; 2];
    for _ in 0..64 {
        let first = parts("/", &[]);
        let first = policy.decide(asked(&first), Instant::now());
        let id = first.made.unwrap().to_string();
        let again = parts("/", &[("cookie", &format!("id={id}"))]);
        let again = policy.decide(asked(&again), Instant::now());
        assert_eq!((first.version, again.made), (again.version, None));
        assert_eq!([first.reason.as_str(), again.reason.as_str()], ["sticky"; 2]);
        seen[first.version.unwrap()] = true;
    }
    // Once in 2⁶³ runs it does not.
    assert_eq!(seen, [true; 2]);
}

#[test]
fn only_draws_by_the_services_own_shares_are_counted_as_such() {
    let policy = all();
    let is_drawn = |uri: &str| {
        let parts = parts(uri, &[]);
        policy.decide(asked(&parts), Instant::now()).is_drawn
    };
    assert!(is_drawn("/"));
    for uri in ["/?user=1", "/?a", "/?c", "/?v=v2", "/?v=v9"] {
        assert!(!is_drawn(uri), "{uri}");
    }
}

proptest! {
    /// Whatever is asked, what is explained is what is decided.
    #[test]
    fn resolving_and_deciding_agree(query in "[abcv=&12u ser]{0,24}") {
        let policy = all();
        let parts = parts(&format!("/?{}", query.replace(' ', "+")), &[]);
        let now = Instant::now();
        let choice = policy.decide(asked(&parts), now);
        let resolved = policy.resolve(asked(&parts), now, || None, None, &mut ());
        prop_assert_eq!(choice.reason.as_str(), resolved.unmet.unwrap_or(resolved.reason).as_str());
        match (resolved.to, choice.version) {
            (To::Version(index), version) => prop_assert_eq!(version, Ok(index)),
            (To::Among(shares), Ok(index)) => {
                prop_assert!(shares.shares().iter().any(|(owner, share)| *owner == index && *share > 0));
            }
            (To::Failed, Err(Refused::NoVersion)) => {}
            (to, version) => prop_assert!(false, "{:?} {:?}", to, version),
        }
    }
}
