//! Whom requests go to, with health and failures set by hand.

use std::collections::HashMap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::target::Settings;
use super::*;
use crate::config::{EjectSpec, HealthSpec, HostHeader, Protocol, TargetAddress};

fn address(index: usize) -> SocketAddr {
    format!("10.0.0.{}:80", index + 1).parse().unwrap()
}

fn target(index: usize) -> Arc<Target> {
    let settings = Settings {
        protocol: Protocol::Http1,
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(60),
        tls: None,
    };
    Arc::new(Target::new(TargetAddress::Address(address(index)), address(index), settings))
}

/// Healthy targets of these weights, with checks and ejections.
fn set(balance: Balance, weights: &[u32]) -> TargetSet {
    let member = |(index, weight): (usize, &u32)| {
        let target = target(index);
        let checks = target.checks(&HealthSpec::default(), &HostHeader::Keep);
        checks.note(&target, Ok(()), Instant::now());
        let ejection = target.ejection(&EjectSpec::default());
        Member::new(target, *weight, Some(checks), Some(ejection))
    };
    TargetSet::new(weights.iter().enumerate().map(member).collect(), balance)
}

impl TargetSet {
    fn fail(&self, index: usize) {
        let member = &self.members[index];
        for _ in 0..3 {
            let checks = member.checks.as_ref().unwrap();
            checks.note(&member.target, Err("refused".to_owned()), Instant::now());
        }
    }

    fn heal(&self, index: usize, now: Instant) {
        let member = &self.members[index];
        for _ in 0..2 {
            member.checks.as_ref().unwrap().note(&member.target, Ok(()), now);
        }
    }

    fn eject(&self, index: usize, now: Instant) -> Duration {
        self.members[index].ejection.as_ref().unwrap().eject(now, "reset")
    }

    fn index(&self, attempt: &Attempt<'_>, now: Instant) -> Option<usize> {
        let picked = self.pick(attempt, now)?;
        self.members.iter().position(|member| std::ptr::eq(member, picked))
    }

    /// How many of some requests each target gets.
    fn counts(&self, requests: usize, now: Instant) -> Vec<usize> {
        let mut counts = vec![0; self.members.len()];
        for request in 0..requests {
            let hash = mixed(request);
            counts[self.index(&Attempt { hash, ..Attempt::default() }, now).unwrap()] += 1;
        }
        counts
    }
}

fn mixed(request: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&request.to_le_bytes())
}

const ALL: [Balance; 4] = Balance::ALL;

/// Six standard deviations of a binomial: wrong once in 10⁹ runs.
#[track_caller]
fn assert_shares(counts: &[usize], weights: &[u32]) {
    let all: usize = counts.iter().sum();
    let weight: u32 = weights.iter().sum();
    for (count, own) in counts.iter().zip(weights) {
        let share = f64::from(*own) / f64::from(weight);
        let deviation = (all as f64 * share * (1.0 - share)).sqrt();
        let off = (*count as f64 - all as f64 * share).abs();
        assert!(off <= 6.0 * deviation + 1.0, "{counts:?} for {weights:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_balance_gives_shares_by_weight() {
    for balance in ALL {
        let set = set(balance, &[5, 1, 2]);
        assert_shares(&set.counts(16_000, Instant::now()), &[5, 1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_is_exact() {
    let set = set(Balance::RoundRobin, &[5, 1, 2]);
    assert_eq!(set.counts(800, Instant::now()), [500, 100, 200]);
}

/// The others get its share in proportion, and not its neighbour alone.
#[tokio::test(start_paused = true)]
async fn what_is_unhealthy_or_ejected_leaves_its_share_to_the_others_in_proportion() {
    for balance in ALL {
        let now = Instant::now();
        let failed = set(balance, &[4, 2, 1, 1]);
        failed.fail(1);
        assert_shares(&failed.counts(12_000, now), &[4, 0, 1, 1]);
        let ejected = set(balance, &[4, 2, 1, 1]);
        ejected.eject(0, now);
        assert_shares(&ejected.counts(12_000, now), &[0, 2, 1, 1]);
    }
    let exact = set(Balance::RoundRobin, &[1, 1, 1]);
    exact.fail(1);
    assert_eq!(exact.counts(1_000, Instant::now()), [500, 0, 500]);
}

#[tokio::test(start_paused = true)]
async fn what_failed_a_request_gets_it_again_only_if_there_is_no_other() {
    for balance in ALL {
        let set = set(balance, &[1, 1_000, 1]);
        let now = Instant::now();
        let targets: Vec<_> = set.members.iter().map(|member| member.target.clone()).collect();
        for hash in 0..200 {
            let attempt = |tried| Attempt { hash, tried, on_new_connection: false };
            let left = set.index(&attempt(&targets[..2]), now);
            assert_eq!(left, Some(2), "{balance:?}");
            assert!(set.index(&attempt(&targets), now).is_some());
        }
        set.fail(2);
        set.eject(1, now);
        let attempt = Attempt { hash: 1, tried: &targets[..1], on_new_connection: false };
        assert_eq!(set.index(&attempt, now), Some(1), "an ejected one may be well by now");
    }
}

#[tokio::test(start_paused = true)]
async fn an_ejection_never_takes_the_last_target_but_checks_do() {
    for balance in ALL {
        let set = set(balance, &[1, 1]);
        let now = Instant::now();
        let [_, _] = [0, 1].map(|index| set.eject(index, now));
        assert!(set.index(&Attempt::default(), now).is_some(), "as by another upstream");
        set.fail(0);
        assert_eq!(set.index(&Attempt::default(), now), Some(1));
        assert!(set.is_healthy());
        set.fail(1);
        assert_eq!(set.index(&Attempt::default(), now), None);
        assert!(!set.is_healthy());
    }
}

/// [Envoy #26877](https://github.com/envoyproxy/envoy/issues/26877),
/// [#27066](https://github.com/envoyproxy/envoy/issues/27066) and
/// [#3263](https://github.com/envoyproxy/envoy/issues/3263): the limit was compared before the ejection, and one was
/// ejected whatever it said.
#[tokio::test(start_paused = true)]
async fn ejections_stay_within_their_limit() {
    let ejected_of = |count: usize, percent: f64| {
        let set = set(Balance::RoundRobin, &vec![1; count]);
        let (now, at_most) = (Instant::now(), Percent::from_f64(percent).unwrap());
        for index in 0..count {
            if set.may_eject(&set.members[index].target.clone(), at_most, now) {
                set.eject(index, now);
                assert!(!set.may_eject(&set.members[index].target.clone(), at_most, now));
            }
        }
        set.members.iter().filter(|member| member.is_ejected(now)).count()
    };
    assert_eq!(ejected_of(3, 50.0), 1);
    assert_eq!(ejected_of(3, 67.0), 2);
    assert_eq!(ejected_of(3, 100.0), 2, "never the last");
    assert_eq!(ejected_of(4, 50.0), 2);
    assert_eq!(ejected_of(2, 50.0), 1);
    assert_eq!(ejected_of(1, 100.0), 0);
    assert_eq!(ejected_of(10, 5.0), 0);
    let set = set(Balance::RoundRobin, &[1; 3]);
    set.fail(0);
    set.fail(1);
    let last = set.members[2].target.clone();
    assert!(!set.may_eject(&last, Percent::ALL, Instant::now()), "the others are unhealthy");
}

/// Where two targets are restarted one after the other, the second one fails while the first one is ejected.
#[tokio::test(start_paused = true)]
async fn a_target_that_fails_takes_the_place_of_the_one_that_was_ejected_first() {
    let set = set(Balance::RoundRobin, &[1; 4]);
    let now = Instant::now();
    set.eject(2, now);
    set.eject(1, now + RESPITE);
    let returns = |index: usize, now| {
        let member = set.to_return(&set.members[index].target.clone(), now)?;
        set.members.iter().position(|it| std::ptr::eq(it, member))
    };
    assert_eq!(returns(0, now + RESPITE / 2), None, "not at once");
    let now = now + RESPITE * 2;
    assert_eq!((returns(0, now), returns(1, now)), (Some(2), None));
    set.members[2].ejection.as_ref().unwrap().end(now);
    assert_eq!((returns(0, now), returns(2, now)), (Some(1), Some(1)));
    set.fail(1);
    assert_eq!(returns(0, now), None, "its checks fail");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_gets_a_growing_part_of_its_share() {
    for balance in ALL {
        for is_checked in [true, false] {
            let set = set(balance, &[1, 1]);
            let mut now = Instant::now();
            if is_checked {
                set.fail(1);
                set.heal(1, now);
            } else {
                now += set.eject(1, now);
            }
            // Of two, a tenth of a half, or a tenth of the weight: an eleventh.
            let share = |after| set.counts(10_000, now + after)[1] as f64 / 10_000.0;
            let at = [Duration::ZERO, RETURN / 2, RETURN];
            let [first, middle, last] = at.map(share);
            assert!((0.02..0.13).contains(&first), "{balance:?}: {first}");
            assert!((0.22..0.42).contains(&middle), "{balance:?}: {middle}");
            assert!((0.45..0.55).contains(&last), "{balance:?}: {last}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_back_stays() {
    let set = set(Balance::Hash, &[1, 1, 1]);
    let now = Instant::now();
    set.fail(1);
    set.heal(1, now);
    for hash in (0..500).map(mixed) {
        let at = |tenth| now + RETURN / 10 * tenth;
        let owners: Vec<_> = (0..=10)
            .map(|tenth| set.index(&Attempt { hash, ..Attempt::default() }, at(tenth)).unwrap())
            .collect();
        let moves = owners.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(moves <= 1, "{owners:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_come_back_all_are_asked() {
    let set = set(Balance::RoundRobin, &[1, 1]);
    let now = Instant::now();
    for index in 0..2 {
        set.fail(index);
        set.heal(index, now);
    }
    assert_shares(&set.counts(4_000, now), &[1, 1]);
}

#[tokio::test(start_paused = true)]
async fn least_requests_spares_who_is_busy_for_its_weight() {
    let set = set(Balance::LeastRequests, &[1, 1, 4]);
    let now = Instant::now();
    (0..8).for_each(|_| set.members[0].target.counters().begin());
    // The busy one is chosen where both draws find it, which two different draws cannot.
    assert_eq!(set.counts(2_000, now)[0], 0);
    (0..8).for_each(|_| set.members[1].target.counters().begin());
    (0..16).for_each(|_| set.members[2].target.counters().begin());
    let counts = set.counts(2_000, now);
    assert_eq!((counts[0] + counts[1] > 0, counts[2] > counts[0]), (true, true), "{counts:?}");
}

/// Requests that last as long as their target is slow.
#[tokio::test(start_paused = true)]
async fn least_requests_keeps_every_queue_short() {
    let set = set(Balance::LeastRequests, &[1; 10]);
    let now = Instant::now();
    for _ in 0..1_000 {
        set.pick(&Attempt::default(), now).unwrap().target.counters().begin();
    }
    let in_flight = set.members.iter().map(|member| member.target.counters().in_flight());
    let (least, most) = (in_flight.clone().min().unwrap(), in_flight.max().unwrap());
    // By chance alone, they would differ by about 30.
    assert!(most - least <= 10, "from {least} to {most}");
}

fn owners(weights: &[(usize, u32)], keys: usize) -> HashMap<u64, usize> {
    let member = |(index, weight): &(usize, u32)| Member::new(target(*index), *weight, None, None);
    let set = TargetSet::new(weights.iter().map(member).collect(), Balance::Hash);
    let now = Instant::now();
    let owner = |hash| weights[set.index(&Attempt { hash, ..Attempt::default() }, now).unwrap()].0;
    (0..keys).map(mixed).map(|hash| (hash, owner(hash))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_target_that_goes_moves_only_its_own_keys(
        weights in prop::collection::vec(1..100_u32, 2..9), gone in 0..8_usize,
    ) {
        let all: Vec<_> = weights.into_iter().enumerate().collect();
        let gone = gone % all.len();
        let left: Vec<_> = all.iter().copied().filter(|(index, _)| *index != gone).collect();
        let (before, after) = (owners(&all, 300), owners(&left, 300));
        for (key, owner) in before {
            prop_assert!(owner == gone || owner == after[&key]);
        }
    }

    #[test]
    fn a_target_that_gains_weight_only_takes(
        weights in prop::collection::vec(1..100_u32, 2..9), gaining in 0..8_usize, more in 1..100_u32,
    ) {
        let all: Vec<_> = weights.into_iter().enumerate().collect();
        let gaining = gaining % all.len();
        let mut heavier = all.clone();
        heavier[gaining].1 += more;
        let (before, after) = (owners(&all, 300), owners(&heavier, 300));
        for (key, owner) in before {
            prop_assert!(after[&key] == owner || after[&key] == gaining);
        }
    }
}

/// A change here moves the keys of every replica that is upgraded.
#[test]
fn keys_belong_to_the_same_targets_for_ever() {
    let owners = owners(&[(0, 1), (1, 2), (2, 3)], 16);
    let owners: String = (0..16).map(|key| owners[&mixed(key)].to_string()).collect();
    assert_eq!(owners, "2221222121122202");
}
