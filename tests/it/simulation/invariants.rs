//! What must hold after each publish, whatever was done before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use watershed::admin::{description, service_document};
use watershed::api::{Description, ExplainQuery, Explanation, Plan, ServiceDescription};
use watershed::config::{Config, Otherwise, Percent, Pick, Reach, Service, Traffic};
use watershed::policy::explain::Question;
use watershed::policy::{Case, Standing};
use watershed::routing::{Asked, Refused, bucket};
use watershed::versions::{ReadyVersion, ServiceEntry, Snapshot, Statuses};

use super::Seen;
use super::site::NAMES;

const ROOT: &str = "/site";
const USERS: usize = 4;

/// How often the slow invariants are checked.
const SELDOM: u64 = 8;

/// Fails with a message unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($wrong:tt)+) => {
        if !$holds {
            return Err(format!($($wrong)+));
        }
    };
}

/// Counts that a situation was seen.
pub fn see(seen: &mut Seen, situation: &'static str) {
    *seen.entry(situation).or_default() += 1;
}

/// The requests that are decided after each publish.
pub struct Probes {
    all: Vec<Probe>,
    /// A request for each bucket of each service.
    of_buckets: HashMap<&'static str, Vec<Question>>,
}

struct Probe {
    user: Option<usize>,
    /// The rule that the request matches, from 0.
    rule: Option<usize>,
    /// The version that the request asks for.
    wish: Option<&'static str>,
    question: Question,
}

impl Probe {
    fn new(user: Option<usize>, rule: Option<usize>, wish: Option<&'static str>) -> Self {
        let user_header = user.map(|user| format!("x-user:{user}"));
        let rule_header = rule.map(|rule| format!("x-rule:{}", rule + 1));
        let wish_header = wish.map(|wish| format!("watershed-version:{wish}"));
        let headers = user_header.into_iter().chain(rule_header).chain(wish_header).collect();
        let question = question(headers);
        Self { user, rule, wish, question }
    }

    fn asked(&self) -> Asked<'_> {
        Asked { parts: self.question.parts(), client: None, preview: None }
    }

    fn words(&self) -> String {
        format!("user {:?}, rule {:?}, wish {:?}", self.user, self.rule, self.wish)
    }
}

impl Probes {
    pub fn new() -> Self {
        let rules = [None, Some(0), Some(1)];
        let users = (0..USERS).map(Some).chain([None]);
        let plain = users.flat_map(|user| rules.map(|rule| Probe::new(user, rule, None)));
        let wishes = NAMES
            .into_iter()
            .flat_map(|wish| [None, Some(0)].map(|rule| Probe::new(Some(0), rule, Some(wish))));
        let all = plain.chain(wishes).collect();
        Self { all, of_buckets: super::site::SERVICES.map(|name| (name, of_buckets(name))).into() }
    }
}

fn question(headers: Vec<String>) -> Question {
    Question::new(&ExplainQuery { headers, ..ExplainQuery::default() }).unwrap()
}

/// A user for each of ten thousand buckets, found by trying keys one by one.
fn of_buckets(service: &str) -> Vec<Question> {
    use watershed::routing::{Affinity, KeySource};
    let header = http::HeaderName::from_static("x-user");
    let affinity = Affinity::new(KeySource::Header(header), "default", service, false);
    let mut users: Vec<Option<usize>> = vec![None; 10_000];
    let mut empty = users.len();
    for user in 0.. {
        let hash = affinity.hash_of_user(&user.to_string()).unwrap();
        let place = &mut users[usize::from(bucket(hash))];
        empty -= usize::from(place.is_none());
        *place = place.or(Some(user));
        if empty == 0 {
            break;
        }
    }
    let question = |user: usize| {
        let headers = vec![format!("x-user:{user}")];
        question(headers)
    };
    users.into_iter().map(|user| question(user.unwrap())).collect()
}

/// What is remembered from publish to publish of one process.
#[derive(Default)]
pub struct Memory {
    /// Which users were ever with which versions by a sticky key: service, user, version.
    stuck: BTreeSet<(String, usize, String)>,
    /// The version to which a user is pinned and which the user gets.
    pinned: BTreeMap<(String, usize), String>,
    /// The requests of a service that were served.
    served: BTreeSet<(String, usize)>,
}

/// A publish, and everything that it was made from.
pub struct Publish<'a> {
    pub probes: &'a Probes,
    pub config: &'a Config,
    pub statuses: &'a Statuses,
    pub standings: &'a BTreeMap<String, Vec<Standing>>,
    pub before: &'a Snapshot,
    pub after: &'a Snapshot,
}

impl Publish<'_> {
    /// Says which invariant does not hold.
    pub fn check_invariants(&self, memory: &mut Memory, seen: &mut Seen) -> Result<(), String> {
        let Self { before, after, config, .. } = self;
        ensure!(after.generation > before.generation, "generations do not grow");
        let services = &config.environments[0].services;
        ensure!(after.services.len() == services.len(), "services are lost");
        for (place, service) in services.iter().enumerate() {
            let entry = &after.services[place];
            let one = One {
                publish: self,
                service,
                standings: &self.standings[service.name.as_str()],
                before: before.services.get(place),
                entry,
                shares: shares(entry),
            };
            one.check(memory, seen).map_err(|wrong| format!("{}: {wrong}", service.name))?;
        }
        Ok(())
    }
}

/// A service in a publish.
struct One<'a> {
    publish: &'a Publish<'a>,
    /// The declaration as it is now.
    service: &'a Arc<Service>,
    standings: &'a [Standing],
    before: Option<&'a Arc<ServiceEntry>>,
    entry: &'a Arc<ServiceEntry>,
    /// What is served, in hundredths of a percent.
    shares: BTreeMap<String, u16>,
}

impl One<'_> {
    fn check(&self, memory: &mut Memory, seen: &mut Seen) -> Result<(), String> {
        self.see(seen);
        self.shares_are_exact()?;
        self.what_serves_is_there()?;
        self.what_nothing_changes_stays(seen)?;
        self.who_was_served_goes_on_to_serve()?;
        self.status_tells_what_is_served()?;
        self.requests_get_what_is_told_and_open(memory, seen)?;
        self.plan_tells_what_is_served(seen)?;
        if self.publish.after.generation.is_multiple_of(SELDOM) {
            self.a_start_serves_what_commands_say()?;
            self.everybody_has_the_shares(seen)?;
        }
        Ok(())
    }

    fn see(&self, seen: &mut Seen) {
        let serving = &self.entry.decider;
        let is_latest = self.service.traffic == Traffic::Latest && serving.takes_traffic();
        for (is_so, situation) in [
            (is_latest, "a service by its latest version"),
            (serving.is_nothing(), "a service of which nothing can be had"),
            (
                self.entry.held.is_some() && serving.takes_traffic(),
                "a service that goes on as before",
            ),
            (
                !serving.is_nothing() && !serving.takes_traffic(),
                "a service without any share, as it is meant",
            ),
        ] {
            if is_so {
                see(seen, situation);
            }
        }
    }

    /// All traffic goes somewhere, or none does.
    fn shares_are_exact(&self) -> Result<(), String> {
        let sum: u32 = self.shares.values().map(|share| u32::from(*share)).sum();
        let expected = if self.entry.decider.takes_traffic() { 10_000 } else { 0 };
        ensure!(sum == expected, "the shares are {:?}", self.shares);
        if self.entry.held.is_none()
            && let Traffic::Split(split) = &self.service.traffic
        {
            let declared = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
            let declared: BTreeMap<_, _> = declared
                .map(|(index, share)| (self.name(*index).to_owned(), share.hundredths()))
                .collect();
            ensure!(declared == self.shares, "{declared:?} is declared, {:?} served", self.shares);
        }
        Ok(())
    }

    /// A version that takes requests is normal, or took requests before.
    fn what_serves_is_there(&self) -> Result<(), String> {
        let statuses = &self.publish.statuses[&self.entry.key];
        let normal = statuses.iter().filter_map(|status| status.normal());
        let before = self.before.into_iter().flat_map(|before| before.decider.entries());
        let known: Vec<_> = normal.chain(before).map(Arc::as_ptr).collect();
        for serving in self.entry.decider.entries() {
            ensure!(known.contains(&Arc::as_ptr(serving)), "{} is none", serving.spec.name);
        }
        // A service that is served as declared is served by the present declaration.
        if self.entry.held.is_none() {
            for (serving, _) in self.entry.decider.shares() {
                let is_declared = self.service.versions.contains(&serving.spec);
                ensure!(is_declared, "{} is an older one", serving.spec.name);
            }
        }
        Ok(())
    }

    fn what_nothing_changes_stays(&self, seen: &mut Seen) -> Result<(), String> {
        let Some(before) = self.before else { return Ok(()) };
        let statuses = &self.publish.statuses[&self.entry.key];
        let views = before.versions.iter().take(self.service.versions.len());
        let is_same = before.declared == *self.service
            && views.clone().count() == statuses.len()
            && views.zip(statuses).all(|(view, status)| view.status == *status);
        if is_same {
            see(seen, "a service that nothing changed");
            ensure!(Arc::ptr_eq(before, self.entry), "it was made again for nothing");
        }
        let is_new = !Arc::ptr_eq(before, self.entry);
        let since = self.entry.since;
        ensure!(is_new == (since == self.publish.after.generation), "since generation {since}");
        Ok(())
    }

    /// Where a declaration cannot be served, exactly the versions go on that served before and are open.
    fn who_was_served_goes_on_to_serve(&self) -> Result<(), String> {
        let Some(before) = self.before else { return Ok(()) };
        let left = self.left(before);
        if self.entry.held.is_some() && !left.is_empty() {
            let serving: BTreeSet<_> = self.shares.keys().cloned().collect();
            ensure!(serving == left, "{left:?} could go on, and {serving:?} do");
        }
        Ok(())
    }

    /// Versions with a share before that nothing closes now.
    fn left(&self, before: &ServiceEntry) -> BTreeSet<String> {
        let serving = before.decider.shares().into_iter().map(|(version, _)| version);
        let left = serving
            .filter(|version| !self.is_quarantined(version) && self.reach(version) == Reach::Live);
        left.map(|version| version.spec.name.to_string()).collect()
    }

    fn status_tells_what_is_served(&self) -> Result<(), String> {
        let document = service_document(self.entry, &[], 80, Instant::now());
        let told = document.versions.iter().map(|it| (it.name.clone(), it.share));
        let told = hundredths(told);
        ensure!(told == self.shares, "status tells {told:?}, not {:?}", self.shares);
        ensure!(document.held == self.entry.held, "status tells {:?}", document.held);
        if self.entry.held.is_none() {
            let told = document.versions.iter().map(|it| (it.name.clone(), it.declared_share));
            let told = hundredths(told);
            ensure!(told == self.shares, "status tells {told:?} as declared");
        }
        for (serving, _) in self.entry.decider.shares() {
            let name = serving.spec.name.as_str();
            let told = document.versions.iter().find(|it| it.name == name);
            let told = told.ok_or_else(|| format!("status does not tell of {name}"))?;
            // Of two builds of a version, the status shows the declared one.
            let is_declared = told.digest == Some(serving.digest().to_string())
                && self.service.versions.contains(&serving.spec);
            let is_open = told.reach.is_none() && !told.quarantined;
            ensure!(is_open || !is_declared, "status tells {name} as closed, and with a share");
        }
        Ok(())
    }

    fn requests_get_what_is_told_and_open(
        &self,
        memory: &mut Memory,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let name = self.service.name.to_string();
        for (number, probe) in self.publish.probes.all.iter().enumerate() {
            let probed = self
                .probe(probe, memory, seen)
                .map_err(|wrong| format!("{}: {wrong}", probe.words()))?;
            let key = (name.clone(), number);
            if probed {
                memory.served.insert(key);
            } else if memory.served.remove(&key) {
                self.nothing_is_left_for(probe).map_err(|wrong| {
                    format!("{}: it was served before, and {wrong}", probe.words())
                })?;
            }
        }
        Ok(())
    }

    /// Decides a request that asks for a version. Returns whether the request gets it.
    fn probe(&self, probe: &Probe, memory: &mut Memory, seen: &mut Seen) -> Result<bool, String> {
        let decided = self.entry.decider.decide(probe.asked(), Instant::now());
        let why = decided.decision.as_str();
        let told = self.entry.explain(&probe.question, self.publish.after.generation);
        ensure!(told.decision == why, "decided by {why}, told {}", told.decision);
        ensure!(told.held == self.entry.held, "told as held: {:?}", told.held);
        see_decision(seen, why);
        let is_pinning = told.sticky.as_ref().is_some_and(|sticky| sticky.mode == "pin");
        if let Some(user) = probe.user.filter(|_| !is_pinning) {
            // Pins are forgotten when the mode changes, even while nothing is served.
            memory.pinned.remove(&(self.service.name.to_string(), user));
        }
        let version = match decided.version {
            Ok(version) => version,
            Err(refused) => {
                let code = match refused {
                    Refused::Offline => "offline",
                    Refused::NoVersion => "no-version",
                };
                let failure = told.failure.as_deref();
                ensure!(failure == Some(code), "it gets {code}, and is told {failure:?}");
                if why.starts_with("rule:") {
                    see(seen, "a request whose rule fails it");
                }
                return Ok(false);
            }
        };
        let name = version.spec.name.as_str();
        let is_told = told.distribution.iter().any(|it| it.version == name && it.share > 0.0);
        ensure!(is_told, "it gets {name}, told {:?}", told.distribution);
        self.is_open_to(version, why, probe, memory)?;
        if why == "override" {
            ensure!(probe.wish == Some(name), "it gets {name} by its wish");
        }
        if let Some(user) = probe.user {
            self.sticks(user, probe, name, (why, &told), memory, seen)?;
        }
        let is_drawn = matches!(why, "random" | "latest") && probe.user.is_none();
        ensure!(!is_drawn || self.shares.contains_key(name), "{name} has no share");
        if is_drawn {
            let told = told.distribution.iter().map(|it| (it.version.clone(), it.share));
            ensure!(hundredths(told) == self.shares, "other shares are explained");
        }
        Ok(true)
    }

    /// No request gets a closed version.
    fn is_open_to(
        &self,
        version: &ReadyVersion,
        why: &str,
        probe: &Probe,
        memory: &Memory,
    ) -> Result<(), String> {
        let name = version.spec.name.to_string();
        ensure!(!self.is_quarantined(version), "{name} by {why} is quarantined");
        let was_stuck =
            |user| memory.stuck.contains(&(self.service.name.to_string(), user, name.clone()));
        let is_open = match self.reach(version) {
            Reach::Live => true,
            Reach::Pinned => why == "override" || probe.user.is_some_and(was_stuck),
            Reach::Override => why == "override",
            Reach::Cutoff => false,
        };
        ensure!(is_open, "{name} by {why} has the reach {:?}", self.reach(version));
        Ok(())
    }

    /// A pinned user stays with the version as long as it exists and is open.
    fn sticks(
        &self,
        user: usize,
        probe: &Probe,
        name: &str,
        (why, told): (&str, &Explanation),
        memory: &mut Memory,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let service = self.service.name.to_string();
        if why == "sticky" {
            memory.stuck.insert((service.clone(), user, name.to_owned()));
        }
        if probe.rule.is_some() || probe.wish.is_some() {
            return Ok(());
        }
        let key = (service, user);
        let pinned = told.sticky.as_ref().and_then(|sticky| sticky.pinned.clone());
        if let Some(before) = memory.pinned.get(&key)
            && self.can_keep(before)
        {
            ensure!(before == name, "pinned to {before}, it gets {name}");
            see(seen, "a user who stays with a pinned version");
        }
        match pinned {
            Some(pinned) => drop(memory.pinned.insert(key, pinned)),
            None => drop(memory.pinned.remove(&key)),
        }
        Ok(())
    }

    /// Whether a version takes requests of users who are pinned to it.
    fn can_keep(&self, name: &str) -> bool {
        let mut serving = self.entry.decider.entries();
        let version = serving.find(|version| version.spec.name.as_str() == name);
        version.is_some_and(|version| {
            let is_declared = self.service.versions.iter().any(|it| it.name == version.spec.name);
            let is_kept = matches!(self.reach(version), Reach::Live | Reach::Pinned);
            // A version that its next component closes is closed for its pinned users too.
            let statuses = &self.publish.statuses[&self.entry.key];
            let is_normal = statuses.iter().any(|status| {
                status
                    .normal()
                    .is_some_and(|normal| Arc::as_ptr(normal) == std::ptr::from_ref(version))
            });
            is_declared && is_kept && is_normal && !self.is_quarantined(version)
        })
    }

    /// A request that was served before may fail only if that is intended or unavoidable.
    fn nothing_is_left_for(&self, probe: &Probe) -> Result<(), String> {
        let decided = self.entry.decider.decide(probe.asked(), Instant::now());
        let is_offline = decided.version.err() == Some(Refused::Offline);
        // The decision may be that of a failed wish, made before the rule.
        let told = self.entry.explain(&probe.question, self.publish.after.generation);
        let rule = told.rules.iter().find(|rule| rule.decides);
        let fails = rule.is_some_and(|rule| {
            let mut declared = self.service.policy.rules.iter();
            let declared = declared.find(|it| it.name.as_str() == rule.name);
            // A service that goes on as before keeps its former rules.
            let fails = declared.is_none_or(|it| it.otherwise == Otherwise::Fail);
            fails || self.entry.held.is_some()
        });
        if is_offline || fails {
            return Ok(());
        }
        let left = self.before.map(|before| self.left(before)).unwrap_or_default();
        ensure!(left.is_empty(), "{left:?} could serve it");
        let could = self.could_be_served();
        ensure!(could.is_empty(), "{could:?} could serve it as it is declared");
        Ok(())
    }

    /// The versions that may have everything that is declared, if they can serve.
    fn could_be_served(&self) -> Vec<&str> {
        let is_ready = |index: usize| {
            let spec = &self.service.versions[index];
            let Standing::Normal { digest } = &self.standings[index] else { return false };
            self.service.policy.reach_of(index) == Reach::Live
                && self.service.quarantined_as(digest, spec.env()).is_none()
        };
        let takers: Vec<usize> = match &self.service.traffic {
            Traffic::Latest => {
                (0..self.service.versions.len()).filter(|it| is_ready(*it)).collect()
            }
            Traffic::Split(split) => {
                let takers = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
                let takers: Vec<_> = takers.map(|(index, _)| *index).collect();
                if takers.iter().all(|it| is_ready(*it)) { takers } else { Vec::new() }
            }
        };
        takers.into_iter().map(|index| self.name(index)).collect()
    }

    /// `plan` for these files, against the process before, shows what is served now; against the process now, it shows
    /// nothing to do.
    fn plan_tells_what_is_served(&self, seen: &mut Seen) -> Result<(), String> {
        let Publish { before, after, config, .. } = self.publish;
        if let Some(last) = self.before.filter(|last| is_described(last, self.service)) {
            see(seen, "a plan of what is served next");
            let planned = self.planned(&description(before, Path::new(ROOT), config));
            let told = planned.versions.iter().map(|it| (it.name.clone(), percent(it.share)));
            let told = hundredths(told);
            ensure!(told == self.shares, "planned {told:?}, served {:?}", self.shares);
            // A service without changes was described while something else was served.
            let is_same = Arc::ptr_eq(last, self.entry);
            let (planned, held) = (&planned.held, &self.entry.held);
            ensure!(is_same || planned == held, "planned as held: {planned:?}, served: {held:?}");
        }
        if is_described(self.entry, self.service) {
            let served = description(after, Path::new(ROOT), config);
            let planned = self.described(&served);
            let plan = Plan::between(&served, &planned);
            let change = plan.services.iter().find(|it| it.service == self.service.name.as_str());
            // A process that serves nothing yet takes the latest normal version, and does not report that a later one
            // is being made.
            let is_first = self.entry.held.is_none()
                && self.service.traffic == Traffic::Latest
                && self.standings.contains(&Standing::Creating);
            let change = change.filter(|it| !is_first || it.waits.is_none());
            ensure!(change.is_none(), "what is served is planned to change: {change:#?}");
        }
        Ok(())
    }

    /// The description of the files, for a process that serves this.
    fn described(&self, served: &Description) -> Description {
        let services = &self.publish.config.environments[0].services;
        let standing = |spec: &watershed::config::VersionSpec| {
            // Versions of two services may have equal keys and different standings.
            let index = self.service.versions.iter().position(|it| std::ptr::eq(it, spec));
            match index {
                Some(index) => self.standings[index].clone(),
                None => {
                    let other = services
                        .iter()
                        .find(|it| it.versions.iter().any(|other| std::ptr::eq(other, spec)));
                    let other = other.unwrap();
                    let index = other.versions.iter().position(|it| std::ptr::eq(it, spec));
                    self.publish.standings[other.name.as_str()][index.unwrap()].clone()
                }
            }
        };
        Description::of_files(self.publish.config, Path::new(ROOT), Some(served), standing)
    }

    fn planned(&self, served: &Description) -> ServiceDescription {
        let described = self.described(served);
        let mut services = described.environments.into_iter().flat_map(|it| it.services);
        services.find(|it| it.name == self.service.name.as_str()).unwrap()
    }

    /// What the commands take for served where no process runs.
    fn a_start_serves_what_commands_say(&self) -> Result<(), String> {
        let Publish { config, statuses, .. } = self.publish;
        let start = Snapshot::after(&Snapshot::default(), config, statuses);
        let started = start.services.iter().find(|it| it.key == self.entry.key).unwrap();
        let case = Case { service: self.service, standings: self.standings, before: None };
        let verdict = case.verdict();
        let told = verdict.shares.iter().map(|(name, it)| (name.to_string(), it.hundredths()));
        let (told, served) = (told.collect::<BTreeMap<_, _>>(), shares(started));
        ensure!(told == served, "a start serves {served:?}, and {told:?} is told");
        ensure!(verdict.held == started.held, "a start is held: {:?}", started.held);
        Ok(())
    }

    /// Every share is exact over all keys, or over all turns.
    fn everybody_has_the_shares(&self, seen: &mut Seen) -> Result<(), String> {
        let (entry, probes) = (self.entry, self.publish.probes);
        if !entry.decider.is_split() {
            return Ok(());
        }
        let policy = &self.service.policy;
        let is_as_declared = entry.held.is_none();
        let count = |asked: &mut dyn Iterator<Item = Asked<'_>>| {
            let mut counted = BTreeMap::new();
            for asked in asked {
                if let Ok(version) = entry.decider.decide(asked, Instant::now()).version {
                    *counted.entry(version.spec.name.to_string()).or_insert(0_u16) += 1;
                }
            }
            counted
        };
        let asked =
            |question| Asked { parts: Question::parts(question), client: None, preview: None };
        let is_by_hash = policy
            .sticky
            .as_ref()
            .is_some_and(|sticky| sticky.mode == watershed::config::StickyMode::Hash);
        let counted = if is_as_declared && is_by_hash {
            see(seen, "shares counted by all keys");
            count(&mut probes.of_buckets[self.service.name.as_str()].iter().map(asked))
        } else if is_as_declared && policy.sticky.is_none() && policy.pick == Pick::Smooth {
            see(seen, "shares counted by all turns");
            let plain = question(Vec::new());
            count(&mut (0..10_000).map(|_| asked(&plain)))
        } else {
            return Ok(());
        };
        ensure!(counted == self.shares, "counted {counted:?}, and {:?} is told", self.shares);
        Ok(())
    }

    fn name(&self, index: usize) -> &str {
        self.service.versions[index].name.as_str()
    }

    /// Whether the file closes the serving version to the public.
    fn is_quarantined(&self, version: &ReadyVersion) -> bool {
        self.service.quarantined_as(&version.digest(), version.spec.env()).is_some()
    }

    fn reach(&self, version: &ReadyVersion) -> Reach {
        let index = self.service.versions.iter().position(|it| it.name == version.spec.name);
        index.map_or(Reach::Live, |index| self.service.policy.reach_of(index))
    }
}

fn see_decision(seen: &mut Seen, why: &str) {
    let situation = match why {
        "override" => "a request by an override",
        "override-denied" => "a request whose override is denied",
        "sticky" => "a request by a sticky key",
        why if why.starts_with("rule:") => "a request by a rule",
        _ => return,
    };
    see(seen, situation);
}

fn shares(entry: &ServiceEntry) -> BTreeMap<String, u16> {
    let shares = entry.decider.shares().into_iter();
    shares.map(|(version, share)| (version.spec.name.to_string(), share.hundredths())).collect()
}

fn percent(share: Percent) -> f64 {
    f64::from(share.hundredths()) / 100.0
}

/// The hundredths of a percent of the versions with a share.
fn hundredths(shares: impl IntoIterator<Item = (String, f64)>) -> BTreeMap<String, u16> {
    let hundredths = |share: f64| Percent::from_f64(share).unwrap().hundredths();
    let shares = shares.into_iter().map(|(name, share)| (name, hundredths(share)));
    shares.filter(|(_, share)| *share > 0).collect()
}

/// Whether a description tells everything about what is served. It does not tell which component serves a version that
/// is being made anew, whether a service without any share is offline on purpose, nor the environment of a version that
/// is no longer declared.
fn is_described(before: &ServiceEntry, service: &Service) -> bool {
    let is_told = |version: &&Arc<ReadyVersion>| {
        let view = before.versions.iter().find(|view| view.name == version.spec.name);
        let normal = view.and_then(|view| view.status.normal());
        normal.is_some_and(|normal| Arc::ptr_eq(normal, version))
    };
    let shares = before.decider.shares();
    let is_offline = before.held.is_some() && shares.is_empty();
    let of_one = service.quarantine.iter().any(|entry| entry.env.is_some());
    !is_offline && shares.iter().all(|(version, _)| is_told(version)) && !of_one
}
