//! Finding a service and deciding its version allocate nothing, however many there are; nor does
//! counting a request.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use http::{HeaderName, StatusCode};
use watershed::config::Config;
use watershed::routing::{
    Affinity, Asked, Base, Destination, KeySource, KnownVersion, Lock, Matcher, Network, Overrides,
    Owner, Part, Pattern, Pins, Policy, RateLimiter, RouteTableBuilder, Rule, Splitter, Sticky,
    Ways, Weighted,
};
use watershed::runtime::Engine;
use watershed::server::pool_size;
use watershed::telemetry::{Ending, RequestRecord, Telemetry};
use watershed::versions::{Preparer, Snapshot, Status, Statuses, declared};

fn request(host: &str) -> http::request::Parts {
    http::Request::get("/").header("host", host).body(()).unwrap().into_parts().0
}

#[track_caller]
fn assert_no_allocation(mut work: impl FnMut()) {
    // The first call makes the thread's random generator.
    work();
    let counted = allocation_counter::measure(work);
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn finding_a_service_allocates_nothing() {
    let mut routes = RouteTableBuilder::default();
    for number in 0..10_000 {
        routes.exact(&format!("service-{number}.localhost"), Part::WHOLE, number);
    }
    routes.wildcard("example.org", Part::WHOLE, 10_000);
    let routes = routes.build();
    for (host, target) in [
        ("service-9999.localhost:8080", Some(&9_999)),
        ("SERVICE-7.LOCALHOST.", Some(&7)),
        ("any.example.org", Some(&10_000)),
        ("nobody.localhost", None),
    ] {
        let parts = request(host);
        let find = || routes.find(&parts).map(|found| found.target);
        assert_eq!(find(), target);
        assert_no_allocation(|| assert_eq!(find(), target));
    }
}

#[test]
fn drawing_from_ten_versions_allocates_nothing() {
    let split = Weighted::new((0..10).map(|index| (index, 1_000)));
    assert_no_allocation(|| assert!(split.draw().is_some()));
}

/// Rules of every kind that come to nothing at their last condition, and every kind of key.
#[test]
fn deciding_by_rules_and_stickiness_allocates_nothing() {
    let request = http::Request::get("/shop/c%61rt?item=7&gray=%31+2&user=b%20c")
        .header("cookie", "lane=a; user=\"ann\"")
        .header("x-user", "ann")
        .header("watershed-key", "secret");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let asked = Asked { parts: &parts, client: Some([192, 0, 2, 7].into()), preview: Some("V1") };
    let name = HeaderName::from_static("x-user");
    let keys = [
        (KeySource::Header(name), None),
        (KeySource::Cookie("user".to_owned()), Some(Duration::from_secs(60))),
        (KeySource::Query("user".to_owned()), None),
        (KeySource::ClientAddress, Some(Duration::from_secs(60))),
        // Its cookie is allocated by whoever sends it.
        (KeySource::Generated("id".to_owned()), None),
    ];
    for (key, ttl) in keys {
        let policy = policy(key, ttl.map(Pins::new));
        let now = Instant::now();
        let decide = || policy.decide(asked, now).reason.as_str();
        assert_eq!(decide(), "sticky");
        assert_no_allocation(|| assert_eq!(decide(), "sticky"));
        let wanted = Policy { overrides: Some(overrides("secret")), ..policy };
        let decide = || wanted.decide(asked, now).reason.as_str();
        assert_no_allocation(|| assert_eq!(decide(), "override"));
        let denied = Policy { overrides: Some(overrides("other")), ..wanted };
        let decide = || denied.decide(asked, now).reason.as_str();
        assert_no_allocation(|| assert_eq!(decide(), "override-denied"));
    }
}

#[test]
fn a_limit_allocates_nothing_for_a_known_key() {
    let (parts, ()) = http::Request::get("/?user=%61nn").body(()).unwrap().into_parts();
    let asked = Asked { parts: &parts, client: Some([192, 0, 2, 7].into()), preview: None };
    let (count, now) = (NonZeroU32::MAX, Instant::now());
    for source in [None, Some(KeySource::ClientAddress), Some(KeySource::Query("user".to_owned()))]
    {
        let limiter = RateLimiter::new(source, count, Duration::from_secs(1), count);
        assert!(limiter.take(asked, now).is_ok());
        assert_no_allocation(|| assert!(limiter.take(asked, now).is_ok()));
    }
}

fn overrides(secret: &str) -> Overrides {
    Overrides { domain: true, lock: Lock::of(secret), ..Overrides::default() }
}

fn policy(key: KeySource, pins: Option<Pins>) -> Policy {
    let names = ["v0", "v1"];
    let owner = |(index, name)| Owner { name, share: 5_000, index };
    let owners: Vec<_> = names.into_iter().enumerate().map(owner).collect();
    let ways = Ways { is_sticky: true, is_smooth: true };
    let candidate = |(index, name): (usize, &str)| KnownVersion {
        index,
        name: name.to_owned(),
        hash: index as u64,
        keeps_pins: true,
        may_override: true,
    };
    let affinity = Affinity::new(key, "default", "greeter", true);
    Policy {
        base: Base::Split(Splitter::new(&owners, ways).into()),
        rules: (0..20).map(rule).collect(),
        overrides: None,
        sticky: Some(Sticky { affinity, pins }),
        versions: names.into_iter().enumerate().map(candidate).collect(),
        absent: Vec::new(),
        limit: None,
    }
}

fn network(text: &str) -> Option<Network> {
    text.parse::<ipnet::IpNet>().ok().map(Network::from)
}

fn rule(number: usize) -> Rule {
    let glob = |text: &str| Pattern::new(text.bytes().map(|byte| (byte != b'*').then_some(byte)));
    let mut matcher = Matcher::default();
    match number % 5 {
        0 => matcher.path = Some(glob("/shop/*x*")),
        1 => matcher.headers.push((HeaderName::from_static("x-team"), glob("core"))),
        2 => matcher.query.push(("gray".to_owned(), glob("1*3"))),
        3 => matcher.cookies.push(("lane".to_owned(), glob("*b"))),
        _ => matcher.client = network("10.0.0.0/8"),
    }
    Rule::new(&format!("r{number}"), matcher, Some(Destination::Version(1)), false)
}

#[test]
fn counting_a_request_allocates_nothing() {
    let telemetry = Telemetry::default();
    let meter = telemetry.version("default", "greeter", "v1");
    let client = "192.0.2.7:4711".parse().unwrap();
    let unread = RequestRecord::unread(Instant::now(), client, Ending::Answered);
    let record = RequestRecord { status: Some(StatusCode::OK), decision: "random", ..unread };
    assert_no_allocation(|| {
        let _in_flight = meter.enter();
        telemetry.record(&record, Some(&meter));
    });
}

#[test]
fn deciding_on_the_shipped_configuration_allocates_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = watershed::source::load(&root.join("config/watershed.toml")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let candidates = runtime.block_on(candidates(&config));
    let snapshot = Snapshot::after(&Snapshot::default(), &config, &candidates);
    let parts = request("greeter.localhost");
    let now = Instant::now();
    assert_no_allocation(|| {
        let service = snapshot.routes.find(&parts).unwrap().target;
        let asked = Asked { parts: &parts, client: None, preview: None };
        assert!(service.decider.decide(asked, now).version.is_ok());
    });
}

async fn candidates(config: &Config) -> Statuses {
    let preparer =
        Preparer::new(Engine::new(pool_size(config)).unwrap(), None, Telemetry::default());
    let mut candidates = Statuses::new();
    for (key, _, spec) in declared(config) {
        let version = preparer.prepare(&key, spec).await.unwrap();
        candidates.entry(key).or_default().push(Status::Normal(version));
    }
    candidates
}
