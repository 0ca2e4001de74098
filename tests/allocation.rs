//! Finding a service and deciding its version allocate nothing, however many there are; nor does
//! counting a request.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::path::Path;
use std::time::Duration;

use watershed::config::{self, Config};
use watershed::registry::{Decided, Programs, Snapshot, Status, Statuses, declared};
use watershed::routing::{RouteTableBuilder, Weighted};
use watershed::runtime::Engine;
use watershed::server::pool_size;
use watershed::telemetry::{Outcome, StatusClass, Telemetry};

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
        routes.exact(&format!("service-{number}.localhost"), number);
    }
    routes.wildcard("example.org", 10_000);
    let routes = routes.build();
    for (host, target) in [
        ("service-9999.localhost:8080", Some(&9_999)),
        ("SERVICE-7.LOCALHOST.", Some(&7)),
        ("any.example.org", Some(&10_000)),
        ("nobody.localhost", None),
    ] {
        let parts = request(host);
        assert_eq!(routes.find(&parts), target);
        assert_no_allocation(|| assert_eq!(routes.find(&parts), target));
    }
}

#[test]
fn drawing_from_ten_versions_allocates_nothing() {
    let split = Weighted::new((0..10).map(|index| (index, 1_000)));
    assert_no_allocation(|| assert!(split.draw().is_some()));
}

#[test]
fn counting_a_request_allocates_nothing() {
    let meter = Telemetry::default().version("default", "greeter", "v1");
    let outcome = Outcome::Answered(StatusClass::Success);
    assert_no_allocation(|| {
        let _in_flight = meter.enter();
        meter.record("random", outcome, Duration::from_micros(100));
    });
}

#[test]
fn deciding_on_the_shipped_configuration_allocates_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = config::load(&root.join("config/watershed.toml")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let candidates = runtime.block_on(candidates(&config));
    let snapshot = Snapshot::after(&Snapshot::default(), &config, &candidates);
    let parts = request("greeter.localhost");
    assert_no_allocation(|| {
        let service = snapshot.routes.find(&parts).unwrap();
        assert!(matches!(service.serving.decide(), Decided::Version(..)));
    });
}

async fn candidates(config: &Config) -> Statuses {
    let programs =
        Programs::new(Engine::new(pool_size(config)).unwrap(), None, Telemetry::default());
    let mut candidates = Statuses::new();
    for (key, _, spec) in declared(config) {
        let version = programs.prepare(&key, spec).await.unwrap();
        candidates.entry(key).or_default().push(Status::Normal(version));
    }
    candidates
}
