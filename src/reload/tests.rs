//! When the reloader loads, publishes and tries again: each timing rule by a clock that stands still
//! while anything happens, and jumps to the next timer while nothing does. Files and the history are
//! real; changes and preparations are told by the test.

use std::collections::HashMap;
use std::fs;
use std::future::Future;
use std::os::unix::fs::symlink;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::candidates::Prepare;
use super::*;
use crate::config::VersionSpec;
use crate::runtime::{Engine, Grant, Guest, PoolSize, Program};
use crate::source::{FakeWatch, Loaded};
use crate::versions::{
    Backend, GuestBackend, ReadyVersion, ServiceKey, Status, StatusCode, StatusError,
};

/// How a version is prepared from now on.
#[derive(Clone, Copy)]
enum Plan {
    /// It is normal after so many milliseconds.
    After(u64),
    /// A transient error, after so many milliseconds.
    Held(u64),
}

/// Prepares versions as it is told.
struct Stage {
    program: Program,
    telemetry: Telemetry,
    plans: Mutex<HashMap<String, Plan>>,
    /// Which versions were tried, and when.
    tries: Mutex<Vec<(String, Instant)>>,
}

#[async_trait]
impl Prepare for Stage {
    async fn prepare(
        &self,
        key: &ServiceKey,
        spec: &VersionSpec,
    ) -> Result<Arc<ReadyVersion>, StatusError> {
        let name = spec.name.to_string();
        self.tries.lock().unwrap().push((name.clone(), Instant::now()));
        let plan = self.plans.lock().unwrap().get(&name).copied().unwrap_or(Plan::After(0));
        match plan {
            Plan::After(wait) => {
                sleep(Duration::from_millis(wait)).await;
                let (service, second) = (key.service.as_str(), Duration::from_secs(1));
                let grant = Grant::new(service, name.as_str(), 1 << 20, second, second);
                let meter = self.telemetry.version("default", service, &name);
                let guest = Guest::new(self.program.clone(), grant);
                let backend = Backend::Guest(GuestBackend::new(guest, Vec::new()));
                Ok(Arc::new(ReadyVersion::new(spec.clone(), backend, meter)))
            }
            Plan::Held(wait) => {
                sleep(Duration::from_millis(wait)).await;
                let error = std::io::Error::from_raw_os_error(nix::libc::EIO);
                Err(StatusError::transient(StatusCode::Unreadable, "for now", &error))
            }
        }
    }

    fn keep_only(&self, _: &[&Backend]) {}

    fn forget_failed(&self) {}
}

/// A site with one service, `shop`, and what reloads it.
struct Bench {
    directory: tempfile::TempDir,
    stage: Arc<Stage>,
    watch: Arc<FakeWatch>,
    live: Arc<Live>,
    reloads: Arc<ReloadHandle>,
    began: Instant,
}

fn versions(names: &[&str]) -> String {
    let version =
        |name: &&str| format!("[[versions]]\nname = \"{name}\"\ncomponent = \"../app.wasm\"\n");
    names.iter().map(version).collect::<String>() + "[traffic]\nlatest = true\n"
}

impl Bench {
    /// The bench, and a reloader that has not run yet.
    fn new(names: &[&str], plans: &[(&str, Plan)]) -> (Self, Reloader) {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("watershed.toml");
        fs::write(&main, "[server]\nlisten = [\"127.0.0.1:0\"]\n[state]\ndirectory = \"state\"\n")
            .unwrap();
        fs::create_dir(directory.path().join("services")).unwrap();
        fs::write(directory.path().join("services/shop.toml"), versions(names)).unwrap();
        let mut loader = Loader::new(&main);
        let loaded = loader.load(Reading::Everything).unwrap_or_else(|it| panic!("{}", it.report));
        loader.keep(&loaded);

        let size = PoolSize { sandboxes: 2, concurrency: 2, memory: 1 << 20 };
        let engine = Engine::new(size).unwrap();
        let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/dist/greeter.wasm");
        let program = Program::compile(&engine, None, [1; 32], fs::read(guest).unwrap()).unwrap();
        let telemetry = Telemetry::default();
        let plans = plans.iter().map(|(name, plan)| ((*name).to_owned(), *plan)).collect();
        let stage = Arc::new(Stage {
            program,
            telemetry: telemetry.clone(),
            plans: Mutex::new(plans),
            tries: Mutex::default(),
        });
        let (live, reloads) = <(Arc<Live>, Arc<ReloadHandle>)>::default();
        let preparer = Preparer::new(engine, None, telemetry.clone());
        let Loaded { config, rejected, changes, .. } = loaded;
        let read = (config, changes.watch().to_vec(), rejected);
        let mut reloader =
            Reloader::new(loader, read, preparer, live.clone(), reloads.clone(), telemetry);
        reloader.versions = Versions::new(stage.clone());
        let watch = Arc::default();
        let began = Instant::now();
        (Self { directory, stage, watch, live, reloads, began }, reloader)
    }

    /// The bench, and what runs its reloader.
    fn run(names: &[&str], plans: &[(&str, Plan)]) -> (Self, JoinHandle<()>) {
        let (bench, mut reloader) = Self::new(names, plans);
        let mut watcher = bench.watcher();
        (bench, tokio::spawn(async move { reloader.run(&mut watcher).await }))
    }

    fn watcher(&self) -> Watcher {
        Watcher::fake(self.watch.clone())
    }

    fn plan(&self, name: &str, plan: Plan) {
        self.stage.plans.lock().unwrap().insert(name.to_owned(), plan);
    }

    fn edit(&self, names: &[&str]) {
        fs::write(self.directory.path().join("services/shop.toml"), versions(names)).unwrap();
    }

    /// When each try of a version was, in milliseconds since the start.
    fn tries(&self, name: &str) -> Vec<u128> {
        let tries = self.stage.tries.lock().unwrap();
        let of_it = tries.iter().filter(|(tried, _)| tried == name);
        of_it.map(|(_, at)| (*at - self.began).as_millis()).collect()
    }

    /// What takes the traffic.
    fn served(&self) -> Vec<String> {
        let snapshot = self.live.load();
        let shares = snapshot.services.iter().flat_map(|service| service.decider.shares());
        shares.map(|(version, _)| version.spec.name.to_string()).collect()
    }

    fn status(&self, name: &str) -> Option<Status> {
        let snapshot = self.live.load();
        let mut views = snapshot.services.iter().flat_map(|service| &service.versions);
        let view = views.find(|view| view.name.as_str() == name);
        view.map(|view| view.status.clone())
    }

    /// Lets so many milliseconds pass. Each generation that is published, and when, in milliseconds
    /// since the start. It is looked for between the tens of milliseconds at which things happen.
    async fn pass(&self, milliseconds: u64) -> Vec<(u64, u128)> {
        let (mut published, mut last) = (Vec::new(), self.live.load().generation);
        for _ in 0..milliseconds / 10 {
            sleep(Duration::from_millis(5)).await;
            let generation = self.live.load().generation;
            if generation > last {
                published.push((generation, self.began.elapsed().as_millis() / 10 * 10));
            }
            last = generation;
            sleep(Duration::from_millis(5)).await;
        }
        published
    }
}

/// An end that comes in time, by the clock that jumps.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_nearly_ready_is_in_the_same_generation() {
    let (bench, _running) = Bench::run(&["v1"], &[("v1", Plan::After(140))]);
    assert_eq!(bench.pass(1_000).await, [(1, 140)]);
    assert_eq!(bench.served(), ["v1"]);
}

#[tokio::test(start_paused = true)]
async fn a_publish_waits_for_150_ms_and_what_is_ready_later_is_another_generation() {
    let (bench, _running) = Bench::run(&["v1"], &[("v1", Plan::After(400))]);
    assert_eq!(bench.pass(300).await, [(1, 150)]);
    assert_eq!(bench.status("v1"), Some(Status::Creating));
    assert!(bench.served().is_empty());
    assert_eq!(bench.pass(700).await, [(2, 400)]);
    assert_eq!(bench.served(), ["v1"]);
}

/// Of versions that become ready one after another, each publish waits for the next once more.
#[tokio::test(start_paused = true)]
async fn versions_that_become_ready_together_are_one_generation() {
    let plans = [("v1", Plan::After(300)), ("v2", Plan::After(420)), ("v3", Plan::After(800))];
    let (bench, _running) = Bench::run(&["v1", "v2", "v3"], &plans);
    assert_eq!(bench.pass(1_000).await, [(1, 150), (2, 450), (3, 800)]);
    assert_eq!(bench.served(), ["v3"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_served_with_its_version_and_a_version_of_before_is_not_made_again() {
    let (bench, _running) = Bench::run(&["v1"], &[("v2", Plan::After(100))]);
    bench.pass(1_000).await;
    bench.edit(&["v1", "v2"]);
    bench.watch.change();
    assert_eq!(bench.pass(1_000).await, [(2, 1_100)]);
    assert_eq!(bench.served(), ["v2"]);
    assert_eq!((bench.tries("v1").len(), bench.tries("v2")), (1, vec![1_000]));
}

#[tokio::test(start_paused = true)]
async fn what_an_error_of_a_moment_is_in_the_way_of_is_tried_more_and_more_rarely() {
    let (bench, _running) = Bench::run(&["v1"], &[("v1", Plan::Held(0))]);
    assert_eq!(bench.pass(23_000).await, [(1, 0)], "tries publish nothing");
    let tries = [0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300, 21_300];
    assert_eq!(bench.tries("v1"), tries);
    bench.plan("v1", Plan::After(0));
    let served = bench.pass(4_000).await;
    assert_eq!((served.as_slice(), bench.served()), (&[(2, 26_300)][..], vec!["v1".to_owned()]));
    // It is over: the next error begins with the first pause again.
    bench.plan("v2", Plan::Held(0));
    bench.edit(&["v1", "v2"]);
    bench.watch.change();
    bench.pass(1_000).await;
    let tries = bench.tries("v2");
    assert_eq!(tries.iter().map(|at| at - tries[0]).collect::<Vec<_>>(), [0, 100, 300, 700]);
    assert_eq!(bench.served(), ["v1"]);
}

/// A try that takes longer than a pause is not begun twice; the pauses go on to grow meanwhile.
#[tokio::test(start_paused = true)]
async fn a_try_is_over_before_the_next_one_begins() {
    let (bench, _running) = Bench::run(&["v1"], &[("v1", Plan::Held(1_000))]);
    bench.pass(4_500).await;
    assert_eq!(bench.tries("v1"), [0, 1_100, 2_500, 4_100]);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_a_change_disturbs_is_thrown_away() {
    let (bench, _running) = Bench::run(&["v1"], &[]);
    assert_eq!(bench.pass(100).await, [(1, 0)]);
    bench.watch.disturb(3);
    bench.edit(&["v1", "v2"]);
    bench.watch.change();
    assert_eq!(bench.pass(100).await, [(2, 100)]);
    assert_eq!((bench.watch.loads(), bench.served()), (4, vec!["v2".to_owned()]));
}

/// Whoever asks is told of a load that nothing disturbed.
#[tokio::test(start_paused = true)]
async fn who_asks_is_answered_by_a_load_that_is_not_thrown_away() {
    let (bench, _running) = Bench::run(&["v1"], &[]);
    bench.pass(100).await;
    bench.watch.disturb(3);
    bench.edit(&["v1", "v2"]);
    let reload = soon(bench.reloads.request()).await.unwrap();
    assert_eq!((&reload.outcome, reload.generation), (&Outcome::Published, 2));
    assert!(bench.watch.loads() >= 4, "{} loads", bench.watch.loads());
    assert_eq!(bench.served(), ["v2"]);
}

/// However many ask at once: one load begins after they all have asked, and one may have before.
#[tokio::test(start_paused = true)]
async fn all_who_ask_at_once_are_answered_by_two_loads_at_most() {
    let (bench, _running) = Bench::run(&["v1"], &[]);
    bench.pass(100).await;
    let asking = (0..20).map(|_| {
        let reloads = bench.reloads.clone();
        tokio::spawn(async move { reloads.request().await })
    });
    for asking in asking.collect::<Vec<_>>() {
        let answer = soon(asking).await.unwrap();
        assert_eq!(answer.unwrap().outcome, Outcome::Unchanged);
    }
    assert!((1..=2).contains(&bench.watch.loads()), "{} loads", bench.watch.loads());
}

/// A file that cannot be read for a moment is tried for a second before it is told so.
#[tokio::test(start_paused = true)]
async fn who_asks_waits_for_an_error_of_a_moment_but_not_for_ever() {
    let (bench, _running) = Bench::run(&["v1"], &[]);
    bench.pass(100).await;
    let file = bench.directory.path().join("services/shop.toml");
    fs::remove_file(&file).unwrap();
    symlink("/proc/self/mem", &file).unwrap();
    let began = Instant::now();
    let reload = soon(bench.reloads.request()).await.unwrap();
    // After 100, 200, 400 and 800 ms.
    assert_eq!((&reload.outcome, began.elapsed().as_millis()), (&Outcome::Postponed, 1_500));
    assert_eq!(bench.watch.loads(), 5);
    assert_eq!(bench.served(), ["v1"]);
    // It goes on to be tried, without anybody who asks.
    fs::remove_file(&file).unwrap();
    bench.edit(&["v1", "v2"]);
    bench.pass(1_000).await;
    assert_eq!(bench.served(), ["v2"]);
}

/// A run may end at any point, and the next one goes on: whoever waits is answered, and a version on
/// its way is made anew, since its end may be lost.
#[tokio::test(start_paused = true)]
async fn a_run_that_ends_in_between_is_gone_on_with() {
    let (bench, mut reloader) = Bench::new(&["v1"], &[("v1", Plan::After(120))]);
    let mut watcher = bench.watcher();
    for milliseconds in [50, 10, 119] {
        let run = reloader.run(&mut watcher);
        timeout(Duration::from_millis(milliseconds), run).await.unwrap_err();
        assert_eq!(bench.live.load().generation, 0, "nothing is ready");
    }
    let asking = tokio::spawn({
        let reloads = bench.reloads.clone();
        async move { reloads.request().await }
    });
    timeout(Duration::from_secs(1), reloader.run(&mut watcher)).await.unwrap_err();
    assert_eq!(bench.served(), ["v1"]);
    assert!(soon(asking).await.unwrap().is_some());
    // What ended was recorded, and nothing twice.
    let history = bench.reloads.history().unwrap();
    assert!(history.last_generation().unwrap() <= bench.live.load().generation);
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_removed_is_made_again_within_two_seconds() {
    let (bench, _running) = Bench::run(&["v1"], &[]);
    bench.pass(100).await;
    let file = bench.directory.path().join("state/history.redb");
    fs::remove_file(&file).unwrap();
    bench.pass(2_000).await;
    assert!(file.exists());
    let history = bench.reloads.history().unwrap();
    assert_eq!(history.last_generation().unwrap(), bench.live.load().generation);
}
