//! What takes a service's traffic: normal versions, and the choice between them.

use std::sync::Arc;
use std::time::Instant;

use super::version::ReadyVersion;
use crate::api::Explanation;
use crate::config::{
    CookieSettings, Percent, SameSite, Service, StickyKey, VersionName, VersionSpec,
};
use crate::policy::explain::{Explainer, Question};
use crate::policy::{self, Base, Before, Eligibility, PolicyInputs, closed};
use crate::routing::{Asked, Choice, Id, Lock, Pins, Policy, Reason, Refused};

/// The versions that a service's requests get, and what decides which.
#[derive(Clone, Debug)]
pub struct Decider {
    /// What it is made of, which need not be what is declared now.
    declared: Arc<Service>,
    /// How each of its versions stands to requests.
    eligibilities: Vec<Eligibility>,
    /// By the indexes of the policy, which are those of the declared versions. None where a version
    /// cannot be had.
    entries: Vec<Option<Arc<ReadyVersion>>>,
    /// Indexes and shares of those that have one, in the order of declaration.
    shares: Vec<(usize, Percent)>,
    base: Base,
    policy: Arc<Policy>,
    /// Our own cookie, where there is one.
    cookie: Option<Arc<Cookie>>,
}

/// How our own cookie is written.
#[derive(Debug)]
struct Cookie {
    name: String,
    attributes: String,
}

/// Why a version was chosen.
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
    /// What keeps it from a version otherwise.
    pub version: Result<&'a Arc<ReadyVersion>, Refused>,
    pub decision: Decision,
    /// The key that was made for its client.
    pub made: Option<Id>,
    /// Its place among the [`shares`](Decider::shares), where it was drawn by them.
    pub drawn: Option<usize>,
    /// Of its sticky key, where that was asked for.
    pub hash: Option<u64>,
}

impl Decider {
    /// Serves a service as it is declared. `versions` are how each of them stands to requests, and what
    /// takes them, in the order of declaration.
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
            entries,
            shares: base.shares(),
            cookie: sticky.and_then(|sticky| Cookie::of(&sticky.key)).map(Arc::new),
            policy: Arc::new(policy),
            declared: declared.clone(),
            base,
            eligibilities,
        }
    }

    /// The same where a service cannot be served as it is declared: by what is left of what decided
    /// before. What is closed now gets nothing, and the secret of overrides is the one of now.
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
        let shares = base.shares();
        Self { policy: Arc::new(policy), eligibilities, base, shares, ..self.clone() }
    }

    /// What it serves, for whoever decides what is served next.
    pub(super) fn before(&self) -> Before<'_> {
        let made = self.entries.iter().map(|entry| entry.as_deref().map(ReadyVersion::incumbent));
        Before { base: self.base.clone(), made: made.collect() }
    }

    /// The service as it is served, and what takes the requests of each of its versions, if that can
    /// be had.
    pub fn declared(
        &self,
    ) -> (&Arc<Service>, impl Iterator<Item = (&VersionSpec, Option<&Arc<ReadyVersion>>)>) {
        let entries = self.entries.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        (&self.declared, self.declared.versions.iter().zip(entries))
    }

    /// Chooses the version of one request. Draws once; allocates nothing.
    pub fn decide(&self, asked: Asked<'_>, now: Instant) -> Decided<'_> {
        let Choice { version, reason, hash, made, is_drawn } = self.policy.decide(asked, now);
        let place = || {
            let index = version.ok()?;
            self.shares.iter().position(|(share, _)| *share == index)
        };
        let entry = |index| self.entry(index).ok_or(Refused::NoVersion);
        // Whoever passes lanes on has every request in one.
        let lane = || self.policy.sticky.as_ref()?.affinity.hash(asked);
        let hash = hash.or_else(|| if self.propagates() { lane() } else { None });
        Decided {
            drawn: if is_drawn { place() } else { None },
            version: version.and_then(entry),
            decision: reason.into(),
            made,
            hash,
        }
    }

    /// A version by its index in the policy.
    pub fn entry(&self, index: usize) -> Option<&Arc<ReadyVersion>> {
        self.entries.get(index)?.as_ref()
    }

    /// A version by its name, if it can be had.
    pub(super) fn named(&self, name: &VersionName) -> Option<&Arc<ReadyVersion>> {
        self.entries().find(|entry| entry.spec.name == *name)
    }

    /// Every version that can be had.
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
        Explainer { inputs, policy: &self.policy, now }.explain(question)
    }

    /// Whether the lane of a request is told to its version.
    pub fn propagates(&self) -> bool {
        self.declared.policy.propagate
    }

    /// `set-cookie` for a client who has got a key.
    pub fn cookie(&self, id: &Id) -> Option<String> {
        let Cookie { name, attributes } = self.cookie.as_deref()?;
        Some(format!("{name}={id}{attributes}"))
    }

    /// Who is pinned to what.
    pub(super) fn pins(&self) -> Option<&Pins> {
        self.policy.sticky.as_ref()?.pins.as_ref()
    }

    /// Every version with a share, and that share, in the order of declaration.
    pub fn shares(&self) -> Vec<(&Arc<ReadyVersion>, Percent)> {
        let share = |(index, share): &(usize, Percent)| Some((self.entry(*index)?, *share));
        self.shares.iter().filter_map(share).collect()
    }

    /// Whether somebody gets an answer from it without asking for a version.
    pub fn takes_traffic(&self) -> bool {
        self.base.takes_traffic()
    }

    /// Whether versions are drawn by their shares.
    pub fn is_split(&self) -> bool {
        matches!(self.base, Base::Split(_))
    }

    /// Whether no version of it can be had, which nobody wants so.
    pub fn is_nothing(&self) -> bool {
        self.base == Base::Nothing
    }
}

impl Cookie {
    /// Written as [RFC 6265, section 4.1](https://www.rfc-editor.org/rfc/rfc6265#section-4.1) has it.
    fn of(key: &StickyKey) -> Option<Self> {
        let StickyKey::Generated(settings) = key else { return None };
        let CookieSettings { name, ttl, secure, http_only, same_site } = settings;
        let mut attributes = format!("; Path=/; Max-Age={}", ttl.as_secs());
        if *secure {
            attributes.push_str("; Secure");
        }
        if *http_only {
            attributes.push_str("; HttpOnly");
        }
        attributes.push_str(match same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        Some(Self { name: name.clone(), attributes })
    }
}
