//! What a request costs before and inside its sandbox: finding its service, deciding its version,
//! and a whole invocation of the greeter, or of a guest of WASI 0.3 that greets like it. `cargo bench --profile dist`; asserts nothing about time.

#![expect(clippy::expect_used, reason = "what cannot be set up cannot be measured")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use http::uri::Scheme;
use tokio::runtime::Runtime;
use watershed::config::Config;
use watershed::routing::{Asked, Part, RouteTable, RouteTableBuilder, Weighted};
use watershed::runtime::{Engine, Event, Grant, Guest, Invocation, PoolSize, Program, digest_of};
use watershed::server::pool_size;
use watershed::telemetry::Telemetry;
use watershed::versions::{
    Backend, GuestBackend, Preparer, ReadyVersion, Snapshot, Status, Statuses, declared,
};

fn request(host: &str) -> http::Request<()> {
    http::Request::get("/").header("host", host).body(()).expect("a request")
}

fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("find");
    for services in [10, 10_000] {
        let mut routes = RouteTableBuilder::default();
        for number in 0..services {
            routes.exact(&format!("service-{number}.localhost"), Part::WHOLE, number);
        }
        let routes: RouteTable<usize> = routes.build();
        let (parts, ()) = request(&format!("service-{}.localhost:8080", services / 2)).into_parts();
        group.bench_function(format!("{services} services"), |bencher| {
            bencher.iter(|| routes.find(black_box(&parts)));
        });
    }
    group.finish();
}

fn draw(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("draw");
    for versions in [2_u16, 10] {
        let split = Weighted::new((0..versions).map(|index| (index.into(), 10_000 / versions)));
        group.bench_function(format!("{versions} versions"), |bencher| {
            bencher.iter(|| black_box(&split).draw());
        });
    }
    group.finish();
}

/// The greeter service of the shipped configuration, as it is served.
fn greeter(runtime: &Runtime) -> (Snapshot, Arc<ReadyVersion>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config =
        watershed::source::load(&root.join("config/watershed.toml")).expect("the shipped files");
    let engine = Engine::new(pool_size(&config)).expect("an engine");
    let preparer = Preparer::new(engine, None, Telemetry::default());
    let candidates = runtime.block_on(candidates(&config, &preparer));
    let snapshot = Snapshot::after(&Snapshot::default(), &config, &candidates);
    let service = snapshot.services.first().expect("the greeter");
    let version = service.decider.shares().first().map(|(version, _)| (*version).clone());
    (snapshot, version.expect("a version with a share"))
}

async fn candidates(config: &Config, preparer: &Preparer) -> Statuses {
    let mut candidates = Statuses::new();
    for (key, _, spec) in declared(config) {
        let version = preparer.prepare(&key, spec).await.expect("a shipped component");
        candidates.entry(key).or_default().push(Status::Normal(version));
    }
    candidates
}

fn serve(criterion: &mut Criterion) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (snapshot, version) = greeter(&runtime);
    let (parts, ()) = request("greeter.localhost").into_parts();
    let now = Instant::now();
    criterion.bench_function("find and decide", |bencher| {
        bencher.iter(|| {
            let service = snapshot.routes.find(black_box(&parts)).expect("the greeter").target;
            let asked = Asked { parts: &parts, client: None, preview: None };
            black_box(service.decider.decide(asked, now));
        });
    });
    let greeter = match &version.backend {
        Backend::Guest(GuestBackend { guest, .. }) => Some(guest),
        Backend::Upstream(_) => None,
    };
    let greeter = greeter.expect("a component");
    let fresh = greeter.grant().reuse;
    let warm = fresh.saturating_add(u32::MAX);
    let programs = [("invoke", greeter.program().clone()), ("invoke 0.3", lab_p3())];
    for (world, program) in programs {
        for (name, reuse) in [("fresh", fresh), ("warm", warm)] {
            let guest = Arc::new(again(greeter, program.clone(), reuse));
            criterion.bench_function(&format!("{world}, {name} sandbox"), |bencher| {
                bencher.iter(|| runtime.block_on(invoke(&guest)));
            });
        }
    }
}

/// A guest of WASI 0.3 that greets at `/`.
fn lab_p3() -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/dist/lab-p3.wasm");
    let bytes = std::fs::read(path).expect("a shipped component");
    let size = PoolSize { sandboxes: 1, concurrency: 1, memory: 1 << 30 };
    let engine = Engine::new(size).expect("an engine");
    Program::compile(&engine, None, digest_of(&bytes), bytes).expect("a component")
}

/// A guest with the same grant, with sandboxes that serve `reuse` requests.
fn again(guest: &Guest, program: Program, reuse: NonZeroU32) -> Guest {
    let Grant { service, version, env, memory, cpu_time, wall_time, .. } = guest.grant();
    let grant = Grant::new(service.clone(), version.clone(), *memory, *cpu_time, *wall_time);
    Guest::new(program, grant.with_env(env.clone()).with_reuse(reuse))
}

async fn invoke(guest: &Arc<Guest>) {
    let place = guest.try_reserve().expect("an empty pool");
    let request = request("greeter.localhost");
    let mut invocation = Invocation::start(guest, place, &"bench".into(), Scheme::HTTP, request);
    let mut next = async || std::future::poll_fn(|context| invocation.poll_next(context)).await;
    while !matches!(next().await, Event::End | Event::Failed(_)) {}
    invocation.settle().await.expect("a greeting");
}

criterion_group!(benches, find, draw, serve);
criterion_main!(benches);
