//! Who may serve is said once: a property of the real snapshot, its decisions, its explanation, its
//! status, the plan and what the command line takes for served, over any service that is edited again
//! and again while its versions come and go. Beside it, the ways in which it once was not so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use watershed::admin::{description, service_document};
use watershed::api::{Description, ExplainQuery};
use watershed::config::{
    AdminSettings, Config, Destination, Digest, EnvValue, Environment, EnvironmentName, Glob,
    GuestSpec, Match, Otherwise, Overrides, Percent, Pick, PolicySpec, Quarantined, Reach, Rule,
    RuleName, ServerSettings, Service, ServiceName, Split, StateSettings, Sticky, StickyKey,
    StickyMode, Traffic, VersionName, VersionSpec,
};
use watershed::policy::explain::Question;
use watershed::policy::{Case, Standing};
use watershed::routing::Asked;
use watershed::runtime::{Engine, Grant, Guest, PoolSize, Program};
use watershed::telemetry::Telemetry;
use watershed::versions::{
    Backend, GuestBackend, ReadyVersion, ServiceEntry, Snapshot, Status, StatusCode, StatusError,
    Statuses,
};

use crate::support::plugin;

const NAMES: [&str; 4] = ["v1", "v2", "v3", "v4"];
const ROOT: &str = "/site";

/// A service as it is declared at some time, and where its versions stand.
#[derive(Clone, Debug)]
struct Moment {
    service: Arc<Service>,
    /// 0 and 1: normal, of one of two components; 2: creating; 3: in error.
    stands: Vec<u8>,
}

fn name(text: &str) -> VersionName {
    VersionName::new(text).unwrap()
}

fn digest(component: u8) -> Digest {
    Digest::from_bytes([component; 32])
}

/// Two names have one environment.
fn spec(text: &str) -> VersionSpec {
    let env = if text < "v3" { "old" } else { "new" };
    let env = vec![("AGE".to_owned(), EnvValue::Plain(env.to_owned()))];
    VersionSpec::new(name(text), GuestSpec { env, ..GuestSpec::new("/site/app.wasm") })
}

/// Shares of so many versions, by where a hundred is cut.
fn split(versions: usize) -> impl Strategy<Value = Split> {
    prop::collection::vec(0..=4_u16, versions - 1).prop_map(|cuts| {
        let mut ends: Vec<u16> = cuts.into_iter().map(|cut| cut * 2_500).collect();
        ends.extend([0, 10_000]);
        ends.sort_unstable();
        let shares = ends.windows(2).map(|pair| Percent::from_hundredths(pair[1] - pair[0]));
        Split::new(shares.map(Result::unwrap).enumerate().collect()).unwrap()
    })
}

fn offline(versions: usize) -> Split {
    Split::new((0..versions).map(|index| (index, Percent::ZERO)).collect()).unwrap()
}

fn rule(number: usize, versions: usize) -> impl Strategy<Value = Rule> {
    let to = prop_oneof![
        (0..versions).prop_map(Destination::Version),
        split(versions).prop_map(Destination::Split),
    ];
    let otherwise = prop::sample::select(vec![Otherwise::Next, Otherwise::Fail]);
    (to, otherwise).prop_map(move |(to, otherwise)| Rule {
        name: RuleName::new(&format!("rule-{number}")).unwrap(),
        matches: Match {
            header: vec![("x-rule".to_owned(), Glob::new(&number.to_string()).unwrap())],
            ..Match::default()
        },
        to,
        otherwise,
    })
}

fn sticky() -> impl Strategy<Value = Option<Sticky>> {
    let sticky = |mode| Some(Sticky { key: StickyKey::Header("x-user".to_owned()), mode });
    let pin = StickyMode::Pin { ttl: Duration::from_secs(3600) };
    prop_oneof![
        8 => Just(None),
        1 => Just(sticky(StickyMode::Hash)),
        1 => Just(sticky(pin)),
    ]
}

fn quarantine() -> impl Strategy<Value = Vec<Quarantined>> {
    let entry = (1..=2_u8, prop::option::of(prop::sample::select(vec!["v1", "v4"])));
    let entry = entry.prop_map(|(component, env)| Quarantined {
        digest: digest(component),
        env: env.map(|version| spec(version).env_digest()),
        version: name("v9"),
        remark: None,
    });
    prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(entry, 1..=1)]
}

fn moment() -> impl Strategy<Value = Moment> {
    (1..=NAMES.len()).prop_flat_map(|versions| {
        let traffic = prop_oneof![
            3 => Just(Traffic::Latest),
            6 => split(versions).prop_map(Traffic::Split),
            1 => Just(Traffic::Split(offline(versions))),
        ];
        let reach = prop_oneof![
            6 => Just(Reach::Live),
            1 => prop::sample::select(Reach::ALL.to_vec()),
        ];
        let stands = prop_oneof![5 => 0..=1_u8, 2 => 2..=3_u8];
        (
            // Which names there are: the first ones, or the last.
            any::<bool>(),
            traffic,
            prop::collection::vec(reach, versions),
            prop::collection::vec(stands, versions),
            quarantine(),
            (rule(1, versions), rule(2, versions)),
            sticky(),
            prop::sample::select(Pick::ALL.to_vec()),
        )
            .prop_map(
                move |(first, traffic, reach, stands, quarantine, rules, sticky, pick)| {
                    let names = if first { &NAMES[..versions] } else { &NAMES[4 - versions..] };
                    let overrides = Overrides {
                        header: true,
                        query: None,
                        cookie: None,
                        preview_domains: false,
                        secret: None,
                    };
                    let policy = PolicySpec {
                        pick,
                        propagate: false,
                        overrides: Some(overrides),
                        rules: vec![rules.0, rules.1],
                        sticky,
                        reach,
                    };
                    let service = Service {
                        name: ServiceName::new("shop").unwrap(),
                        domains: Vec::new(),
                        routes: Vec::new(),
                        versions: names.iter().map(|text| spec(text)).collect(),
                        traffic,
                        policy,
                        quarantine,
                        file: "/site/services/shop.toml".into(),
                    };
                    Moment { service: Arc::new(service), stands }
                },
            )
    })
}

/// Versions as they are made, each once.
struct Makes {
    programs: Vec<Program>,
    telemetry: Telemetry,
    made: BTreeMap<(String, u8), Arc<ReadyVersion>>,
}

impl Makes {
    fn new() -> Self {
        let size = PoolSize { sandboxes: 4, concurrency: 4, memory: 1 << 20 };
        let engine = Engine::new(size).unwrap();
        let bytes = fs::read(plugin("greeter")).unwrap();
        let program = |component: u8| {
            Program::compile(&engine, None, [component; 32], bytes.clone()).unwrap()
        };
        Self {
            programs: vec![program(1), program(2)],
            telemetry: Telemetry::default(),
            made: BTreeMap::new(),
        }
    }

    fn status(&mut self, spec: &VersionSpec, stands: u8) -> Status {
        match stands {
            0 | 1 => Status::Normal(self.entry(spec, stands)),
            2 => Status::Creating,
            _ => Status::Error(StatusError::new(StatusCode::NotFound, "there is no file")),
        }
    }

    fn entry(&mut self, spec: &VersionSpec, component: u8) -> Arc<ReadyVersion> {
        let Self { programs, telemetry, made } = self;
        let make = || {
            let program = programs[usize::from(component)].clone();
            let second = Duration::from_secs(1);
            let grant = Grant::new("shop", spec.name.as_str(), 1 << 20, second, second);
            let meter = telemetry.version("default", "shop", spec.name.as_str());
            let guest = GuestBackend::new(Guest::new(program, grant), Vec::new());
            Arc::new(ReadyVersion::new(spec.clone(), Backend::Guest(guest), meter))
        };
        made.entry((spec.name.to_string(), component)).or_insert_with(make).clone()
    }
}

fn config(service: &Arc<Service>) -> Config {
    Config {
        server: ServerSettings::default(),
        admin: AdminSettings::default(),
        state: StateSettings { directory: "/site/state".into() },
        environments: vec![Environment {
            name: EnvironmentName::new("default").unwrap(),
            domain: "localhost".to_owned(),
            services: vec![service.clone()],
        }],
        warnings: Vec::new(),
    }
}

fn shares(entry: &ServiceEntry) -> BTreeMap<String, u16> {
    let shares = entry.decider.shares().into_iter();
    shares.map(|(version, share)| (version.spec.name.to_string(), share.hundredths())).collect()
}

/// Hundredths of a percent, of those that have some.
fn hundredths(shares: impl IntoIterator<Item = (String, f64)>) -> BTreeMap<String, u16> {
    let hundredths = |share: f64| Percent::from_f64(share).unwrap().hundredths();
    let shares = shares.into_iter().map(|(name, share)| (name, hundredths(share)));
    shares.filter(|(_, share)| *share > 0).collect()
}

/// Whether the file closes what serves to everybody.
fn is_quarantined(service: &Service, version: &ReadyVersion) -> bool {
    service.quarantined_as(&version.digest(), version.spec.env()).is_some()
}

fn reach(service: &Service, version: &str) -> Reach {
    let index = service.versions.iter().position(|spec| spec.name.as_str() == version);
    index.map_or(Reach::Live, |index| service.policy.reach_of(index))
}

/// Who was with which version already.
type Users = BTreeSet<(String, String)>;

/// Many requests of every kind: nobody gets what is closed.
fn nobody_gets_what_is_closed(service: &Service, entry: &ServiceEntry, users: &mut Users) {
    for user in 0..12 {
        for rule in [None, Some("1"), Some("2")] {
            for wanted in [None, Some("v1"), Some("v4")] {
                let user = format!("user-{user}");
                let mut request = http::Request::get("/").header("x-user", &user);
                request = rule.iter().fold(request, |it, rule| it.header("x-rule", *rule));
                request =
                    wanted.iter().fold(request, |it, name| it.header("watershed-version", *name));
                let parts = request.body(()).unwrap().into_parts().0;
                let asked = Asked { parts: &parts, client: None, preview: None };
                let decided = entry.decider.decide(asked, Instant::now());
                let Ok(version) = decided.version else { continue };
                let (name, why) = (version.spec.name.as_str(), decided.decision.as_str());
                assert!(!is_quarantined(service, version), "{name} by {why} is quarantined");
                let is_pinned = users.contains(&(user.clone(), name.to_owned()));
                match reach(service, name) {
                    Reach::Live => {}
                    Reach::Pinned => {
                        assert!(why == "override" || is_pinned, "{name} by {why}: not pinned");
                    }
                    Reach::Override => assert_eq!(why, "override", "{name} is for overrides"),
                    Reach::Cutoff => panic!("{name} is cut off, and got by {why}"),
                }
                if why == "sticky" {
                    users.insert((user, name.to_owned()));
                }
            }
        }
    }
}

/// A request that nothing else decides gets an answer exactly if somebody has a share, and only of
/// those; the explanation, the status and the shares are one.
fn all_tell_the_same(snapshot: &Snapshot, entry: &ServiceEntry) {
    let shares = shares(entry);
    let sum: u32 = shares.values().map(|share| u32::from(*share)).sum();
    assert!(sum == 0 || sum == 10_000, "{shares:?}");
    let parts = http::Request::get("/").body(()).unwrap().into_parts().0;
    let mut smooth = BTreeSet::new();
    for _ in 0..40 {
        let asked = Asked { parts: &parts, client: None, preview: None };
        match entry.decider.decide(asked, Instant::now()).version {
            Ok(version) => {
                smooth.insert(version.spec.name.to_string());
                assert!(shares.contains_key(version.spec.name.as_str()), "{version:?}");
            }
            Err(refused) => assert!(shares.is_empty(), "{refused:?} with {shares:?}"),
        }
    }
    let explained =
        entry.explain(&Question::new(&ExplainQuery::default()).unwrap(), snapshot.generation);
    assert_eq!(explained.held, entry.held);
    let told = explained.distribution.iter().map(|it| (it.version.clone(), it.share));
    assert_eq!(hundredths(told), shares);
    let document = service_document(entry, &[], 80, Instant::now());
    let told = document.versions.iter().map(|it| (it.name.clone(), it.share));
    assert_eq!(hundredths(told), shares);
    if entry.held.is_none() {
        let declared = document.versions.iter().map(|it| (it.name.clone(), it.declared_share));
        assert_eq!(hundredths(declared), shares);
    }
}

/// Whoever was served by what may go on to serve is served.
fn nobody_is_left_alone(before: &ServiceEntry, entry: &ServiceEntry, service: &Service) {
    let left: BTreeSet<_> = before
        .decider
        .shares()
        .into_iter()
        .filter(|(version, _)| {
            let name = version.spec.name.as_str();
            !is_quarantined(service, version) && reach(service, name) == Reach::Live
        })
        .map(|(version, _)| version.spec.name.to_string())
        .collect();
    if entry.held.is_some() && !left.is_empty() {
        let serving: BTreeSet<_> = shares(entry).into_keys().collect();
        assert_eq!(serving, left, "{:?}", entry.held);
    }
}

/// What `plan` says of these files, asked of a process that serves `before`.
fn plan_says(before: &Snapshot, config: &Config, standings: &[Standing]) -> BTreeMap<String, u16> {
    let root = Path::new(ROOT);
    let served = description(before, root, config);
    let standing = |spec: &VersionSpec| {
        let service = &config.environments[0].services[0];
        let index = service.versions.iter().position(|it| it.name == spec.name).unwrap();
        standings[index].clone()
    };
    let after = Description::of_files(config, root, Some(&served), standing);
    let versions = after.environments[0].services[0].versions.iter();
    let shares = versions.map(|it| (it.name.clone(), f64::from(it.share.hundredths()) / 100.0));
    hundredths(shares)
}

/// Whether a description tells all of what is served: not which component takes the requests of what
/// is made anew, nor whether a service without any share is so on purpose, nor the environment of
/// what is declared no more.
fn is_described(before: &ServiceEntry, service: &Service) -> bool {
    let shares = shares(before);
    let is_told = |version: &&Arc<ReadyVersion>| {
        let view = before.versions.iter().find(|view| view.name == version.spec.name).unwrap();
        view.status.normal().is_some_and(|normal| Arc::ptr_eq(normal, version))
    };
    let is_offline = before.held.is_some() && shares.is_empty();
    let of_one = service.quarantine.iter().any(|entry| entry.env.is_some());
    let shares = before.decider.shares();
    !is_offline && shares.iter().all(|(version, _)| is_told(version)) && !of_one
}

fn follow(moments: &[Moment], makes: &mut Makes) {
    let (mut last, mut users) = (Snapshot::default(), Users::new());
    for Moment { service, stands } in moments {
        let config = config(service);
        let specs = service.versions.iter().zip(stands);
        let statuses: Vec<_> = specs.map(|(spec, stands)| makes.status(spec, *stands)).collect();
        let standings: Vec<_> = statuses.iter().map(Status::standing).collect();
        let key = watershed::versions::declared(&config).next().unwrap().0;
        let all = Statuses::from([(key, statuses)]);

        let snapshot = Snapshot::after(&last, &config, &all);
        let entry = &snapshot.services[0];
        nobody_gets_what_is_closed(service, entry, &mut users);
        all_tell_the_same(&snapshot, entry);
        if let Some(before) = last.services.first() {
            nobody_is_left_alone(before, entry, service);
            if is_described(before, service) {
                assert_eq!(plan_says(&last, &config, &standings), shares(entry));
            }
        }
        // What the commands take for served where no process runs is what a start serves.
        let start = Snapshot::after(&Snapshot::default(), &config, &all);
        let verdict = Case { service, standings: &standings, before: None }.verdict();
        let told =
            verdict.shares.iter().map(|(name, share)| (name.to_string(), share.hundredths()));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), shares(&start.services[0]));
        assert_eq!(verdict.held, start.services[0].held);
        all_tell_the_same(&start, &start.services[0]);
        last = snapshot;
    }
}

/// Thousands of edits, each on what came of those before it.
#[test]
fn who_may_serve_is_said_once() {
    let mut makes = Makes::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let makes = std::cell::RefCell::new(&mut makes);
    runner
        .run(&prop::collection::vec(moment(), 2..=4), |moments| {
            follow(&moments, &mut makes.borrow_mut());
            Ok(())
        })
        .unwrap();
}
