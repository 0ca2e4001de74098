//! Chooses the version of each request of one service: [`Decider`] has the compiled policy and the
//! versions that its indexes stand for.

mod cookie;

use std::sync::Arc;
use std::time::Instant;

use super::version::ReadyVersion;
use crate::api::Explanation;
use crate::config::{
    Percent, RATE_LIMIT, RateLimit, Rescue, Service, VersionName, VersionSpec, WhenUnhealthy,
};
use crate::policy::explain::{Explainer, Question};
use crate::policy::{self, Base, Before, Eligibility, Obstacle, PolicyInputs, closed, rescue};
use crate::routing::{
    Affinity, Asked, Choice, Id, KeySource, Lock, Pins, Policy, RateLimiter, Reason, Refused,
};
use cookie::Cookie;

/// The versions of a service that requests can get, and the policy that chooses one. Built once a
/// publish; a clone shares the policy.
#[derive(Clone, Debug)]
pub struct Decider {
    /// The declaration that is served. Where an edit is held, it is older than the file.
    declared: Arc<Service>,
    /// Of each version of `declared`.
    eligibilities: Vec<Eligibility>,
    /// By the indexes of the policy, which are those of `declared`. None where a version cannot answer.
    entries: Vec<Option<Arc<ReadyVersion>>>,
    /// Indexes and shares of the versions with a share, in the order of declaration.
    shares: Vec<(usize, Percent)>,
    base: Base,
    policy: Arc<Policy>,
    /// Versions whose shares the others get while they have no healthy target. None where the service does not want it.
    yielding: Arc<[usize]>,
    /// What is declared of the policy's limit, also where an edit is held.
    rate_limit: Option<RateLimit>,
    /// The cookie with a generated sticky key, if the service has one.
    cookie: Option<Arc<Cookie>>,
}

/// Why a version was chosen, as headers, logs and metrics say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One of a few words.
    Word(&'static str),
    /// `rule:` and the name of a rule.
    Rule(Arc<str>),
}

impl Decision {
    pub const OVERRIDE: Self = Self::Word("override");
    pub const OVERRIDE_UNKNOWN: Self = Self::Word("override-unknown");
    /// Another version was chosen and failed.
    pub const RESCUE: Self = Self::Word("rescue");

    /// The word for it in headers, logs and metrics.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Rule(word) => word,
        }
    }
}

impl From<Reason<'_>> for Decision {
    fn from(reason: Reason<'_>) -> Self {
        match reason {
            Reason::Rule(rule) => Self::Rule(rule.word.clone()),
            Reason::Override => Self::OVERRIDE,
            Reason::OverrideUnknown => Self::OVERRIDE_UNKNOWN,
            Reason::OverrideDenied => Self::Word("override-denied"),
            Reason::Sticky => Self::Word("sticky"),
            Reason::Random => Self::Word("random"),
            Reason::Latest => Self::Word("latest"),
        }
    }
}

/// What was decided for a request.
#[derive(Debug)]
pub struct Decided<'a> {
    /// The version, or why the request gets none.
    pub version: Result<&'a Arc<ReadyVersion>, Refused>,
    pub decision: Decision,
    /// The sticky key that was made for the client, if one was.
    pub made: Option<Id>,
    /// The version's index in what is served; none where the request gets no version.
    pub place: Option<usize>,
    /// Whether the version was drawn by the service's own shares.
    pub is_drawn: bool,
    /// The hash of the request's sticky key, where something asked for the key.
    pub hash: Option<u64>,
}

impl Decider {
    /// Serves a service as it is declared. For each declared version: its eligibility, and what takes
    /// its requests.
    pub(super) fn new(
        environment: &str,
        declared: &Arc<Service>,
        (eligibilities, entries): (Vec<Eligibility>, Vec<Option<Arc<ReadyVersion>>>),
        base: Base,
        lock: Lock,
        last: Option<&Self>,
    ) -> Self {
        let compiled = PolicyInputs {
            environment,
            service: declared,
            eligibilities: &eligibilities,
            base: &base,
        };
        let policy = compiled.policy(lock, last.map(|last| &*last.policy));
        let sticky = declared.policy.sticky.as_ref();
        Self {
            yielding: yielding(declared, &entries),
            entries,
            shares: base.shares(),
            cookie: sticky.and_then(|sticky| Cookie::of(&sticky.key)).map(Arc::new),
            policy: Arc::new(policy),
            rate_limit: declared.policy.rate_limit.clone(),
            declared: declared.clone(),
            base,
            eligibilities,
        }
    }

    /// Goes on with what is served, where the service cannot be served as it is `declared` now. Versions
    /// that the new declaration closes get nothing, and the lock of overrides is the new one.
    pub(super) fn held(
        &self,
        environment: &str,
        declared: &Service,
        base: Base,
        lock: Lock,
    ) -> Self {
        let mut eligibilities = self.eligibilities.clone();
        for (eligibility, entry) in eligibilities.iter_mut().zip(&self.entries) {
            eligibility
                .close(entry.as_ref().and_then(|entry| closed(declared, &entry.incumbent())));
        }
        let before = PolicyInputs {
            environment,
            service: &self.declared,
            eligibilities: &eligibilities,
            base: &base,
        };
        let mut policy = before.policy(Lock::default(), Some(&self.policy));
        policy.overrides = policy::overrides(declared, lock);
        // Whoever limits requests cannot wait for a version either.
        policy.limit = policy::limit(declared, Some(&self.policy));
        let (shares, rate_limit) = (base.shares(), declared.policy.rate_limit.clone());
        Self { policy: Arc::new(policy), eligibilities, base, shares, rate_limit, ..self.clone() }
    }

    /// What is served, as the policy room wants it to decide what is served next.
    pub(super) fn before(&self) -> Before<'_> {
        let incumbents =
            self.entries.iter().map(|entry| entry.as_deref().map(ReadyVersion::incumbent));
        Before { base: self.base.clone(), incumbents: incumbents.collect() }
    }

    /// The declaration that is served, and what takes the requests of each of its versions, if
    /// anything does.
    pub fn declared(
        &self,
    ) -> (&Arc<Service>, impl Iterator<Item = (&VersionSpec, Option<&Arc<ReadyVersion>>)>) {
        let entries = self.entries.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        (&self.declared, self.declared.versions.iter().zip(entries))
    }

    /// How often requests may come, where that is limited.
    pub fn limit(&self) -> Option<&RateLimiter> {
        self.policy.limit.as_ref()
    }

    /// Chooses the version of one request. Draws once; allocates nothing.
    pub fn decide(&self, asked: Asked<'_>, now: Instant) -> Decided<'_> {
        let Choice { version, reason, hash, made, is_drawn } = self.choose(asked, now);
        let entry = |index| self.entry(index).ok_or(Refused::NoVersion);
        // A service that passes lanes on needs the hash of every request.
        let lane = || self.policy.sticky.as_ref()?.affinity.hash(asked);
        let hash = hash.or_else(|| if self.propagates() { lane() } else { None });
        let entry = version.and_then(entry);
        Decided {
            place: if entry.is_ok() { version.ok() } else { None },
            is_drawn,
            version: entry,
            decision: reason.into(),
            made,
            hash,
        }
    }

    /// Looks at the health of versions for each request, so that a share is given up at once and is back at once.
    fn choose(&self, asked: Asked<'_>, now: Instant) -> Choice<'_> {
        if self.yielding.iter().any(|index| self.yields(*index)) {
            self.policy.decide_without(asked, now, Some(&|index| self.yields(index)))
        } else {
            self.policy.decide(asked, now)
        }
    }

    /// Whether a version has no healthy target now, and the service wants the others to get its share then.
    pub fn yields(&self, index: usize) -> bool {
        self.yielding.contains(&index)
            && self.entry(index).is_some_and(|version| !version.backend.is_healthy())
    }

    /// Which version answers where others fail, if one does.
    pub fn rescue(&self) -> Option<&Rescue> {
        self.declared.policy.rescue.as_ref()
    }

    /// The version that answers where `failed` does not, if it is another one and may take requests.
    pub fn rescuer(&self, failed: &Arc<ReadyVersion>) -> Option<(&Rescue, &Arc<ReadyVersion>)> {
        self.rescuing().filter(|(_, version)| !Arc::ptr_eq(version, failed))
    }

    /// The version that answers while none has a share. Nobody has seen a request by then, so any method may be served.
    pub fn stand_in(&self) -> Option<&Arc<ReadyVersion>> {
        self.entry(rescue::stand_in(&self.declared, &self.eligibilities, &self.base)?)
    }

    /// What requests get while no version has a share, in words.
    pub fn instead_of_nothing(&self) -> String {
        rescue::instead(self.stand_in().map(|version| version.spec.name.as_str()))
    }

    /// The rescue version for a request that was decided like this, and got no version. Who asks for a version by its name gets
    /// that one or none, and a rule that gives none says itself that the request fails.
    pub fn stand_in_for(&self, decision: &Decision) -> Option<&Arc<ReadyVersion>> {
        match *decision {
            Decision::OVERRIDE | Decision::OVERRIDE_UNKNOWN | Decision::Rule(_) => None,
            Decision::Word(_) => self.stand_in(),
        }
    }

    fn rescuing(&self) -> Option<(&Rescue, &Arc<ReadyVersion>)> {
        let rescue = self.rescue()?;
        let version = self.entry(rescue.version)?;
        let obstacle = self.eligibilities.get(rescue.version).and_then(Eligibility::obstacle);
        (!obstacle.is_some_and(Obstacle::is_closed)).then_some((rescue, version))
    }

    /// A number that requests of one user share: the hash of the sticky key, or else of the client's address.
    pub fn hash(&self, asked: Asked<'_>) -> u64 {
        let sticky = self.policy.sticky.as_ref();
        let key = sticky.and_then(|sticky| sticky.affinity.hash(asked));
        let address = || Affinity::new(KeySource::ClientAddress, "", "", false).hash(asked);
        key.or_else(address).unwrap_or_default()
    }

    /// A version by its index in the policy, if it can answer.
    pub fn entry(&self, index: usize) -> Option<&Arc<ReadyVersion>> {
        self.entries.get(index)?.as_ref()
    }

    /// A version by its name, if it can answer.
    pub(super) fn named(&self, name: &VersionName) -> Option<&Arc<ReadyVersion>> {
        self.entries().find(|entry| entry.spec.name == *name)
    }

    /// Every version that can answer.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<ReadyVersion>> {
        self.entries.iter().flatten()
    }

    /// What would be decided for a request at this time, and why.
    pub(super) fn explain(
        &self,
        environment: &str,
        question: &Question,
        now: Instant,
    ) -> Explanation {
        let Self { declared, eligibilities, base, .. } = self;
        let inputs = PolicyInputs { environment, service: declared, eligibilities, base };
        let yielding: Vec<_> =
            self.yielding.iter().copied().filter(|index| self.yields(*index)).collect();
        let rate_limit = self.rate_limit.as_ref();
        let policy = &self.policy;
        Explainer { inputs, policy, rate_limit, yielding: &yielding, now }.explain(question)
    }

    /// Whether versions are told the lane of each request, to pass it on.
    pub fn propagates(&self) -> bool {
        self.declared.policy.propagate
    }

    /// The value of `set-cookie` for a client whose sticky key was just made.
    pub fn cookie(&self, id: &Id) -> Option<String> {
        Some(self.cookie.as_deref()?.with(id))
    }

    /// Which users are pinned to which versions.
    pub fn pins(&self) -> Option<&Pins> {
        self.policy.sticky.as_ref()?.pins.as_ref()
    }

    /// Every version with a share, and that share, in the order of declaration.
    pub fn shares(&self) -> Vec<(&Arc<ReadyVersion>, Percent)> {
        let share = |(index, share): &(usize, Percent)| Some((self.entry(*index)?, *share));
        self.shares.iter().filter_map(share).collect()
    }

    /// The index of every version with a share, and that share, in the order of declaration.
    pub fn places(&self) -> impl Iterator<Item = (usize, Percent)> {
        self.shares.iter().copied().filter(|(index, _)| self.entry(*index).is_some())
    }

    /// The index of a version in what is served.
    pub fn place(&self, name: &VersionName) -> Option<usize> {
        self.declared.versions.iter().position(|spec| spec.name == *name)
    }

    /// Whether requests get the same as they did by `other`: by the same shares and policy, from versions that are
    /// made of the same. Versions that nobody could get before, or can get now, do not count.
    pub fn serves_as(&self, other: &Self) -> bool {
        let shares = |decider: &Self| -> Vec<(VersionName, Percent)> {
            let shares = decider.shares().into_iter();
            shares.map(|(version, share)| (version.spec.name.clone(), share)).collect()
        };
        let reaches = |decider: &Self, spec: &VersionSpec| {
            let index = decider.place(&spec.name)?;
            Some(decider.declared.policy.reach_of(index))
        };
        let is_same = |version: &Arc<ReadyVersion>| {
            let before = other.named(&version.spec.name);
            before.is_none_or(|before| {
                let reach = reaches(self, &version.spec) == reaches(other, &version.spec);
                reach && version.is_made_as(before)
            })
        };
        std::mem::discriminant(&self.base) == std::mem::discriminant(&other.base)
            && shares(self) == shares(other)
            && decides(&self.declared) == decides(&other.declared)
            && self.entries().all(is_same)
    }

    /// Whether the service is offline: no version gets requests, as it is declared.
    pub fn is_offline(&self) -> bool {
        self.base == Base::Offline
    }

    /// Whether requests that ask for no version get an answer.
    pub fn takes_traffic(&self) -> bool {
        self.base.takes_traffic()
    }

    /// Whether versions are drawn by their shares.
    pub fn is_split(&self) -> bool {
        matches!(self.base, Base::Split(_))
    }

    /// Whether no version can serve, although the service is not offline.
    pub fn is_nothing(&self) -> bool {
        self.base == Base::Nothing
    }
}

/// What is declared of the choice between versions.
fn decides(declared: &Service) -> toml::Table {
    let mut policy = declared.written_policy();
    policy.remove(RATE_LIMIT);
    policy
}

fn yielding(declared: &Service, entries: &[Option<Arc<ReadyVersion>>]) -> Arc<[usize]> {
    if declared.policy.when_unhealthy == WhenUnhealthy::Fail {
        return Arc::default();
    }
    let may = |entry: &Option<Arc<ReadyVersion>>| {
        entry.as_ref().is_some_and(|version| version.backend.is_checked())
    };
    entries.iter().enumerate().filter(|(_, entry)| may(entry)).map(|(index, _)| index).collect()
}
