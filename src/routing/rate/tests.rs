//! The limit holds whatever comes, and nothing of it is got back cheaply.

use std::collections::HashMap;

use http::HeaderName;
use proptest::prelude::*;

use super::super::request::tests::{asked, parts};
use super::table::KEYS;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(source: Option<KeySource>, requests: u32, per: u64, burst: u32) -> RateLimiter {
    let count = |number| NonZeroU32::new(number).unwrap();
    RateLimiter::new(source, count(requests), Duration::from_secs(per), count(burst))
}

fn by_query() -> Option<KeySource> {
    Some(KeySource::Query("k".into()))
}

fn take(limiter: &RateLimiter, key: &str, now: Instant) -> Result<Allowance, Allowance> {
    limiter.take(asked(&parts(&format!("/?k={key}"), &[])), now)
}

/// How many of so many requests at one time pass.
fn passed(limiter: &RateLimiter, key: &str, now: Instant, requests: usize) -> usize {
    (0..requests).filter(|_| take(limiter, key, now).is_ok()).count()
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let limiter = limiter(by_query(), 10, 1, 5);
    let start = Instant::now();
    assert_eq!(passed(&limiter, "a", start, 20), 5);
    assert_eq!(passed(&limiter, "b", start, 20), 5, "another key is another count");
    assert_eq!(passed(&limiter, "a", start + SECOND / 10, 20), 1);
    assert_eq!(passed(&limiter, "a", start + SECOND, 20), 5, "no more than a burst is saved up");
    assert_eq!(passed(&limiter, "a", start + 100 * SECOND, 20), 5);
}

/// redis-cell#56, tower-governor#65: whoever waits as long as it is told gets through, and is never told to wait 0 s.
#[test]
fn who_waits_as_told_gets_through() {
    for (requests, per, burst) in
        [(100, 1, 200), (3, 1, 1), (7, 60, 2), (5, 3_600, 5), (1, 3_600, 1)]
    {
        let limiter = limiter(by_query(), requests, per, burst);
        let mut now = Instant::now();
        for _ in 0..burst * 3 {
            if let Err(none) = take(&limiter, "a", now) {
                assert_eq!(none.left, 0);
                assert!(none.seconds >= 1);
                now += Duration::from_secs(none.seconds.into());
                assert!(take(&limiter, "a", now).is_ok(), "{requests}/{per} {burst}");
            }
        }
    }
}

#[test]
fn what_is_left_is_told_in_the_form_of_the_draft() {
    let limiter = limiter(by_query(), 100, 1, 200);
    let now = Instant::now();
    assert_eq!(limiter.policy(), "\"watershed\";q=200;w=2");
    assert_eq!(take(&limiter, "a", now).unwrap().field(), "\"watershed\";r=199;t=2");
    passed(&limiter, "a", now, 199);
    assert_eq!(take(&limiter, "a", now).unwrap_err().field(), "\"watershed\";r=0;t=1");
    let policies = [
        ((100, 1, 10), "\"watershed\";q=100;w=1"),
        ((10, 60, 3), "\"watershed\";q=3;w=18"),
        ((5, 3_600, 5), "\"watershed\";q=5;w=3600"),
        ((3, 1, 1), "\"watershed\";q=3;w=1"),
    ];
    for ((requests, per, burst), policy) in policies {
        assert_eq!(super::tests::limiter(None, requests, per, burst).policy(), policy);
    }
}

/// nginx lets requests without the key pass, Envoy too: whoever leaves it away is not limited.
#[test]
fn without_the_key_the_address_counts() {
    let header = KeySource::Header(HeaderName::from_static("x-key"));
    let limiter = limiter(Some(header), 1, 3_600, 1);
    let ask = |client: &str, headers: &[(&str, &str)]| {
        let parts = parts("/", headers);
        let asked = Asked { client: Some(client.parse().unwrap()), ..asked(&parts) };
        (limiter.take(asked, Instant::now()).is_ok(), limiter.has_key(asked))
    };
    assert_eq!(ask("10.0.0.1", &[]), (true, false));
    assert_eq!(ask("10.0.0.1", &[("x-key", "")]), (false, false), "an empty key is none");
    assert_eq!(ask("10.0.0.2", &[]), (true, false));
    assert_eq!(ask("10.0.0.1", &[("x-key", "ann")]), (true, true));
    assert_eq!(ask("10.0.0.2", &[("x-key", "ann")]), (false, true), "wherever it comes from");
}

#[test]
fn a_service_counts_all_together() {
    let limiter = limiter(None, 1, 3_600, 2);
    let now = Instant::now();
    let passed = ["a", "b", "c"].map(|key| take(&limiter, key, now).is_ok());
    assert_eq!(passed, [true, true, false]);
    assert!(!limiter.is_of_clients());
}

/// zulip#21544, actix-ratelimit#22: a /64 is one client. jellyfin-plugin-sso#194: behind NAT64 it is not.
#[test]
fn a_network_that_one_customer_has_is_one_client() {
    let counted = |client: &str| counted_as(client.parse().unwrap());
    for (one, other, is_same) in [
        ("2001:db8::1", "2001:db8::ffff:2", true),
        ("2001:db8:0:0:ffff::1", "2001:db8::1", true),
        ("2001:db8:0:1::1", "2001:db8::1", false),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false),
        ("64:ff9b::10.0.0.1", "10.0.0.1", true),
        ("64:ff9b::10.0.0.1", "64:ff9b::10.0.0.2", false),
        ("10.0.0.1", "10.0.0.2", false),
    ] {
        assert_eq!(counted(one) == counted(other), is_same, "{one} {other}");
    }
}

/// hookaido#239: a reload refilled every bucket. s3-orchestrator#84: new limits did not reach whom they were for.
#[test]
fn what_is_owed_outlives_an_edit_and_a_new_limit_holds_at_once() {
    let now = Instant::now();
    let first = limiter(by_query(), 1, 60, 10);
    assert_eq!(passed(&first, "a", now, 20), 10);
    let same = limiter(by_query(), 1, 60, 10).after(Some(&first));
    assert_eq!(passed(&same, "a", now, 20), 0);
    let smaller = limiter(by_query(), 1, 60, 2).after(Some(&same));
    assert_eq!(passed(&smaller, "a", now, 20), 0);
    assert_eq!(passed(&smaller, "a", now + 61 * SECOND, 20), 1, "it owes two minutes at most");
    let other = limiter(None, 1, 60, 10).after(Some(&smaller));
    assert_eq!(passed(&other, "a", now, 20), 10, "another key begins anew");
}

/// The clock of each request is a little older or newer than that of the one before; it never jumps far.
#[test]
fn a_clock_that_goes_back_gives_nothing() {
    let limiter = limiter(by_query(), 10, 1, 5);
    let now = Instant::now() + 10 * SECOND;
    assert_eq!(passed(&limiter, "a", now, 20), 5);
    assert_eq!(passed(&limiter, "a", now - 5 * SECOND, 20), 0);
    assert_eq!(passed(&limiter, "a", now - 20 * SECOND, 20), 0, "before the table was made");
    assert_eq!(passed(&limiter, "a", now + SECOND / 10, 20), 1);
}

/// traefik#13704: keys that owe nothing stayed for ever. governor#171: nothing bounds their number.
#[test]
fn keys_are_bounded_and_forgotten() {
    let limiter = limiter(by_query(), 1, 3_600, 2);
    let now = Instant::now();
    let keys = KEYS + KEYS / 8;
    let moment = limiter.table.moment(now);
    let key = |number: usize| (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for number in 0..keys {
        limiter.table.take(key(number), moment, limiter.pace.depth, limiter.pace.interval).unwrap();
    }
    assert_eq!(limiter.table.places(), KEYS);
    limiter.sweep(now + 1_800 * SECOND);
    assert_eq!(limiter.table.places(), KEYS, "they owe something");
    limiter.sweep(now + 3_600 * SECOND);
    assert_eq!(limiter.table.places(), 0);
    assert_eq!(passed(&limiter, "a", now + 3_600 * SECOND, 20), 2);
}

/// actor-ts#607: new keys pushed the counter of an offender out of a cache of the last used.
#[test]
fn new_keys_do_not_push_out_who_owes_more() {
    let limiter = limiter(by_query(), 1, 3_600, 3);
    let now = Instant::now();
    let offenders: Vec<_> = (0..100).map(|number| format!("offender-{number}")).collect();
    assert!(offenders.iter().all(|key| passed(&limiter, key, now, 9) == 3));
    let moment = limiter.table.moment(now);
    for number in 0..KEYS as u64 * 2 {
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555;
        limiter.table.take(key, moment, limiter.pace.depth, limiter.pace.interval).unwrap();
    }
    assert_eq!(limiter.table.places(), KEYS);
    assert!(offenders.iter().all(|key| passed(&limiter, key, now, 9) == 0));
}

#[test]
fn threads_do_not_get_more_together() {
    let limiter = limiter(by_query(), 1_000, 1, 500);
    let start = Instant::now();
    let passed: usize = std::thread::scope(|scope| {
        let threads = (0..8).map(|_| {
            let limiter = &limiter;
            scope.spawn(move || {
                (0..20_000).filter(|_| take(limiter, "a", Instant::now()).is_ok()).count()
            })
        });
        threads.collect::<Vec<_>>().into_iter().map(|it| it.join().unwrap()).sum()
    });
    let most = 500 + start.elapsed().as_micros() as usize / 1_000 + 1;
    assert!((500..=most).contains(&passed), "{passed} of {most}");
}

proptest! {
    /// In every stretch of time, a key gets at most its burst and its rate; and where it asks all the time, all of that
    /// but one.
    #[test]
    fn no_stretch_of_time_has_more_than_burst_and_rate(
        requests in 1_u32..50,
        burst in 1_u32..20,
        steps in prop::collection::vec((0_u64..200, 0_u8..3), 1..200),
    ) {
        let limiter = limiter(by_query(), requests, 1, burst);
        let start = Instant::now();
        let mut now = start;
        let mut passes: HashMap<u8, Vec<Instant>> = HashMap::new();
        for (step, key) in steps {
            now += Duration::from_millis(step);
            while take(&limiter, &key.to_string(), now).is_ok() {
                passes.entry(key).or_default().push(now);
            }
        }
        for times in passes.values() {
            for (index, from) in times.iter().enumerate() {
                for (count, until) in (1_u32..).zip(&times[index..]) {
                    let time = until.duration_since(*from).as_secs_f64();
                    let most = f64::from(burst) + f64::from(requests) * time;
                    prop_assert!(f64::from(count) <= most + 1e-6, "{count} of {most}");
                }
            }
            // Asked until it refuses, a key that had time to recover gets its burst at once.
            let first = times.iter().filter(|time| **time == times[0]).count();
            prop_assert_eq!(first, burst as usize);
        }
    }
}
