//! Which version a request gets: by an override, else by the first rule that matches, else by
//! stickiness, else by shares. Built once a publish; a request draws once, and allocates only the
//! cookie of a user who has none.
//!
//! [`Policy::decide`] is the hot path. [`Policy::resolve`] is the same code up to the draw, for
//! explanations: a [`Witness`] sees each step.

mod key;

use std::sync::Arc;
use std::time::Instant;

use super::affinity::{Affinity, Id};
use super::matcher::{Matcher, Mismatch};
use super::overrides::{Overrides, Wanted};
use super::pins::Pins;
use super::rate::RateLimiter;
use super::request::Asked;
use super::splitter::{Splitter, Yields};
use key::Key;

/// Decides the version of each request of one service. A clone shares splitters and pins.
#[derive(Clone, Debug)]
pub struct Policy {
    pub base: Base,
    pub rules: Vec<Rule>,
    pub overrides: Option<Overrides>,
    pub sticky: Option<Sticky>,
    /// Versions that requests may select, and those that overrides may name.
    pub versions: Vec<KnownVersion>,
    /// Unavailable versions that keep their pinned users, as hashes of their names. Until they return,
    /// other versions serve these users.
    pub absent: Vec<u64>,
    /// How often requests may come. It is asked before a version is decided.
    pub limit: Option<RateLimiter>,
}

/// Who gets a request that no override, rule or pin decides.
#[derive(Clone, Debug)]
pub enum Base {
    Split(Arc<Splitter>),
    /// One version gets everything.
    Latest(usize),
    /// Requests get a version by an override only.
    Offline,
    /// No version can serve.
    Nothing,
}

/// A version that the policy knows, and what may select it.
#[derive(Clone, Debug)]
pub struct KnownVersion {
    /// The number by which the policy calls it.
    pub index: usize,
    pub name: String,
    /// The hash of its name.
    pub hash: u64,
    /// Whether users who are pinned to it stay.
    pub keeps_pins: bool,
    /// Whether an override may choose it.
    pub may_override: bool,
}

/// A condition on requests, and where requests go that meet it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `rule:` and its name.
    pub word: Arc<str>,
    pub matcher: Matcher,
    /// None where a version that the rule leads to cannot serve.
    pub to: Option<Destination>,
    /// What happens where `to` is none: the request fails, or the next rules are tried.
    pub fails: bool,
}

impl Rule {
    /// A rule of this name; the other arguments are as the fields.
    pub fn new(name: &str, matcher: Matcher, to: Option<Destination>, fails: bool) -> Self {
        let word = format!("rule:{name}").into();
        Self { word, matcher, to, fails }
    }
}

/// Where a rule leads.
#[derive(Clone, Debug)]
pub enum Destination {
    Version(usize),
    Split(Arc<Splitter>),
}

/// How users stay with a version.
#[derive(Clone, Debug)]
pub struct Sticky {
    pub affinity: Affinity,
    /// The versions of users who stay although shares change.
    pub pins: Option<Pins>,
}

/// Why a request got its version.
#[derive(Clone, Copy, Debug)]
pub enum Reason<'p> {
    Override,
    /// The request asked for a version that is not there, and got another.
    OverrideUnknown,
    /// The request asked for a version that it may not have, and got another.
    OverrideDenied,
    Rule(&'p Rule),
    Sticky,
    Random,
    Latest,
}

impl<'p> Reason<'p> {
    /// The word for it in headers, logs and metrics.
    pub fn as_str(self) -> &'p str {
        match self {
            Self::Override => "override",
            Self::OverrideUnknown => "override-unknown",
            Self::OverrideDenied => "override-denied",
            Self::Rule(rule) => &rule.word,
            Self::Sticky => "sticky",
            Self::Random => "random",
            Self::Latest => "latest",
        }
    }
}

/// Where a request goes, up to the draw.
#[derive(Clone, Copy, Debug)]
pub enum To<'p> {
    Version(usize),
    /// One of these versions, by their shares.
    Among(&'p Splitter),
    Offline,
    Nothing,
    /// Its rule leads to a version that cannot serve, and says that the request fails then.
    Failed,
}

/// What is decided for a request, up to the draw.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'p> {
    pub to: To<'p>,
    pub reason: Reason<'p>,
    /// Why the version that the request asked for was not given; none if it asked for none, or got it.
    pub unmet: Option<Reason<'p>>,
    /// The hash of the sticky key, where something asked for the key.
    pub hash: Option<u64>,
    /// The key that was made for the request.
    pub made: Option<Id>,
}

/// What is decided for a request.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'p> {
    /// The index of the version, or why there is none.
    pub version: Result<usize, Refused>,
    pub reason: Reason<'p>,
    /// Of the sticky key, where that was asked for.
    pub hash: Option<u64>,
    /// The key that was made for the request. The client must be told.
    pub made: Option<Id>,
    /// Whether the version was drawn by the service's own shares.
    pub is_drawn: bool,
}

/// Why a request gets no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Offline,
    NoVersion,
}

/// Sees each step of a decision.
pub trait Witness {
    /// What the request asks for by an override.
    fn wanted(&mut self, _: Wanted<'_>) {}
    /// A rule was compared with the request.
    fn rule(&mut self, _: &Rule, _: Result<(), Mismatch<'_>>) {}
    /// The user is pinned to this version.
    fn pinned(&mut self, _: usize) {}
}

impl Witness for () {}

impl Policy {
    /// A policy without overrides, rules and stickiness.
    pub fn plain(base: Base, versions: Vec<KnownVersion>) -> Self {
        Self {
            base,
            rules: Vec::new(),
            overrides: None,
            sticky: None,
            versions,
            absent: Vec::new(),
            limit: None,
        }
    }

    /// The version of a request. Draws once.
    pub fn decide(&self, asked: Asked<'_>, now: Instant) -> Choice<'_> {
        self.decide_without(asked, now, None)
    }

    /// The same while some versions give their shares to the others. Overrides still get them.
    pub fn decide_without(&self, asked: Asked<'_>, now: Instant, yields: Yields<'_>) -> Choice<'_> {
        let resolved = self.resolve(asked, now, || Some(Id::random()), yields, &mut ());
        let Resolved { to, reason, unmet, hash, made } = resolved;
        let (version, is_drawn) = match to {
            To::Version(index) => (Ok(index), false),
            To::Among(splitter) => {
                let is_own = matches!(reason, Reason::Random) && unmet.is_none();
                let is_whole = yields.is_none_or(|yields| !splitter.has(yields));
                (splitter.draw(yields).ok_or(Refused::NoVersion), is_own && is_whole)
            }
            To::Offline => (Err(Refused::Offline), false),
            To::Nothing | To::Failed => (Err(Refused::NoVersion), false),
        };
        if let (Ok(index), Reason::Sticky, Some(hash)) = (version, reason, hash) {
            self.pin(hash, index, now, made.is_some());
        }
        Choice { version, reason: unmet.unwrap_or(reason), hash, made, is_drawn }
    }

    /// Where a request goes. `make` gives a sticky key to a user who has none, if users get keys. Versions that yield
    /// are passed over by rules and by pins, which stay. A rule that fails otherwise leads to them all the same, and so
    /// does the latest version's turn: nobody else would take the request.
    pub fn resolve<'p>(
        &'p self,
        asked: Asked<'_>,
        now: Instant,
        make: impl Fn() -> Option<Id>,
        yields: Yields<'_>,
        witness: &mut impl Witness,
    ) -> Resolved<'p> {
        let key = Key::new(asked, make, yields);
        let mut unmet = None;
        if let Some(overrides) = &self.overrides {
            let wanted = overrides.wanted(asked);
            witness.wanted(wanted);
            match self.grant(wanted) {
                Ok(Some(index)) => return resolved(To::Version(index), Reason::Override),
                Ok(None) => {}
                Err(reason) => unmet = Some(reason),
            }
        }
        Resolved { unmet, ..self.resolve_others(key, now, witness) }
    }

    /// The version that the request asks for, if it asks for one, or why it cannot have that version.
    fn grant(&self, wanted: Wanted<'_>) -> Result<Option<usize>, Reason<'static>> {
        match wanted {
            Wanted::Nothing => Ok(None),
            Wanted::WithoutKey(_) => Err(Reason::OverrideDenied),
            Wanted::Version(name) => {
                let mut versions = self.versions.iter();
                match versions.find(|version| name.is(version.name.as_bytes())) {
                    Some(version) if version.may_override => Ok(Some(version.index)),
                    Some(_) => Err(Reason::OverrideDenied),
                    None => Err(Reason::OverrideUnknown),
                }
            }
        }
    }

    fn resolve_others<'p, M: Fn() -> Option<Id>>(
        &'p self,
        mut key: Key<'_, M>,
        now: Instant,
        witness: &mut impl Witness,
    ) -> Resolved<'p> {
        if let Base::Offline = self.base {
            return resolved(To::Offline, Reason::Random);
        }
        if !self.rules.is_empty()
            && let Some(resolved) = self.by_rule(&mut key, witness)
        {
            return resolved;
        }
        if let Some(resolved) = self.pinned(&mut key, now, witness) {
            return resolved;
        }
        match &self.base {
            Base::Split(splitter) => {
                self.by_key(&mut key, splitter, Reason::Sticky, Reason::Random)
            }
            Base::Latest(index) => self.latest(&key, *index),
            Base::Offline => resolved(To::Offline, Reason::Random),
            Base::Nothing => resolved(To::Nothing, Reason::Random),
        }
    }

    /// By the first rule that matches and leads somewhere.
    fn by_rule<'p, W: Witness>(
        &'p self,
        key: &mut Key<'_, impl Fn() -> Option<Id>>,
        witness: &mut W,
    ) -> Option<Resolved<'p>> {
        for rule in &self.rules {
            let matched = rule.matcher.check(key.asked);
            witness.rule(rule, matched);
            if matched.is_err() {
                continue;
            }
            match &rule.to {
                Some(Destination::Version(index)) if key.is_passed_over(*index) && !rule.fails => {}
                Some(Destination::Version(index)) => {
                    return Some(resolved(To::Version(*index), Reason::Rule(rule)));
                }
                Some(Destination::Split(splitter)) => {
                    return Some(self.by_key(
                        key,
                        splitter,
                        Reason::Rule(rule),
                        Reason::Rule(rule),
                    ));
                }
                None if rule.fails => return Some(resolved(To::Failed, Reason::Rule(rule))),
                None => {}
            }
        }
        None
    }

    /// By the hash of the key, or else by a draw.
    fn by_key<'p>(
        &'p self,
        key: &mut Key<'_, impl Fn() -> Option<Id>>,
        splitter: &'p Splitter,
        kept: Reason<'p>,
        drawn: Reason<'p>,
    ) -> Resolved<'p> {
        let Some(sticky) = &self.sticky else { return resolved(To::Among(splitter), drawn) };
        let (hash, made) = key.hash(&sticky.affinity);
        let owner = hash.and_then(|hash| splitter.of_hash(hash, key.yields));
        let (to, reason) = match owner {
            Some(index) => (To::Version(index), kept),
            // The user will have a key, and will stay with the version that is drawn now.
            None if sticky.affinity.is_generated() => (To::Among(splitter), kept),
            None => (To::Among(splitter), drawn),
        };
        Resolved { hash, made, ..resolved(to, reason) }
    }

    /// The version that the user is pinned to.
    fn pinned<'p>(
        &'p self,
        key: &mut Key<'_, impl Fn() -> Option<Id>>,
        now: Instant,
        witness: &mut impl Witness,
    ) -> Option<Resolved<'p>> {
        let sticky = self.sticky.as_ref()?;
        let pins = sticky.pins.as_ref()?;
        let (hash, made) = key.hash(&sticky.affinity);
        let pin = pins.get(hash?, now)?;
        let is_it = |version: &&KnownVersion| version.hash == pin && version.keeps_pins;
        let version = self.versions.iter().find(is_it)?;
        witness.pinned(version.index);
        if key.is_passed_over(version.index) {
            return None;
        }
        Some(Resolved { hash, made, ..resolved(To::Version(version.index), Reason::Sticky) })
    }

    /// The latest version. Users who can be pinned get pinned to it.
    fn latest(&self, key: &Key<'_, impl Fn() -> Option<Id>>, index: usize) -> Resolved<'_> {
        let latest = resolved(To::Version(index), Reason::Latest);
        let Some(sticky) = self.sticky.as_ref().filter(|sticky| sticky.pins.is_some()) else {
            return latest;
        };
        match key.found {
            Some((hash @ Some(_), made)) => {
                Resolved { hash, made, ..resolved(To::Version(index), Reason::Sticky) }
            }
            _ if sticky.affinity.is_generated() => resolved(To::Version(index), Reason::Sticky),
            _ => latest,
        }
    }

    /// Pins a user to a version, unless the user has a pin that holds now, or will hold again once the
    /// version returns.
    fn pin(&self, hash: u64, index: usize, now: Instant, is_made: bool) {
        let pins = self.sticky.as_ref().and_then(|sticky| sticky.pins.as_ref());
        let version = self.versions.iter().find(|version| version.index == index);
        let Some((pins, version)) = pins.zip(version) else { return };
        let keeps = |version: &KnownVersion, pin| version.hash == pin && version.keeps_pins;
        pins.set(hash, version.hash, now, is_made, |pin| {
            self.absent.contains(&pin) || self.versions.iter().any(|version| keeps(version, pin))
        });
    }
}

fn resolved<'p>(to: To<'p>, reason: Reason<'p>) -> Resolved<'p> {
    Resolved { to, reason, unmet: None, hash: None, made: None }
}

#[cfg(test)]
mod tests;
