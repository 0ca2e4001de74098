//! What must hold after each publish, whatever was done before.

mod plan;
mod probes;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use watershed::admin::service_document;
use watershed::config::{Config, Percent, Pick, Reach, Service, StickyMode, Traffic};
use watershed::policy::Standing;
use watershed::policy::explain::Question;
use watershed::routing::Asked;
use watershed::transport::Urls;
use watershed::versions::{ReadyVersion, ServiceEntry, Snapshot, Statuses};

use super::Seen;
use probes::question;

pub use probes::Probes;

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
use ensure;

/// Counts that a situation was seen.
pub fn see(seen: &mut Seen, situation: &'static str) {
    *seen.entry(situation).or_default() += 1;
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
        let document = service_document(self.entry, &[], &Urls::default(), Instant::now());
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
        let is_by_hash =
            policy.sticky.as_ref().is_some_and(|sticky| sticky.mode == StickyMode::Hash);
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
