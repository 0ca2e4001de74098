//! Who gets which version: override, then the first rule that matches, then stickiness, then
//! shares. Built once a publish; a request draws once and allocates nothing, but for the cookie of a
//! user who has none.
//!
//! [`Policy::decide`] is the hot path. [`Policy::resolve`] is the same up to the draw, for whoever
//! explains it: both are one piece of code, told apart by their [`Witness`].

use std::sync::Arc;
use std::time::Instant;

use super::affinity::{Affinity, Id};
use super::matcher::{Matcher, Mismatch};
use super::overrides::{Overrides, Wanted};
use super::pins::Pins;
use super::request::Asked;
use super::shares::Shares;

/// The decisions of one service. A clone shares what it draws from.
#[derive(Clone, Debug)]
pub struct Policy {
    pub base: Base,
    pub rules: Vec<Rule>,
    pub overrides: Option<Overrides>,
    pub sticky: Option<Sticky>,
    /// Those that can be had, or wanted.
    pub versions: Vec<Candidate>,
    /// Versions that cannot be had now, as hashes of their names: who is pinned to one gets another
    /// until it can.
    pub absent: Vec<u64>,
}

/// What decides where nothing else does.
#[derive(Clone, Debug)]
pub enum Base {
    Shares(Arc<Shares>),
    /// One version gets everything.
    Latest(usize),
    /// Nobody gets anything, but by an override.
    Offline,
    /// No version can be had.
    Nothing,
}

/// A version that can be had, or that it is forbidden to have.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it is called here.
    pub index: usize,
    pub name: String,
    /// Of its name.
    pub hash: u64,
    /// Whether who is pinned to it stays.
    pub keeps_pins: bool,
    /// Whether an override may choose it.
    pub may_override: bool,
}

/// Requests that are alike, and where they go.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `rule:` and its name.
    pub word: Arc<str>,
    pub matcher: Matcher,
    /// None where a version that it leads to cannot be had.
    pub to: Option<Destination>,
    /// Whether a request fails then; it is decided as if the rule did not match otherwise.
    pub fails: bool,
}

impl Rule {
    /// A rule by its name; the rest is as in its fields.
    pub fn new(name: &str, matcher: Matcher, to: Option<Destination>, fails: bool) -> Self {
        let word = format!("rule:{name}").into();
        Self { word, matcher, to, fails }
    }
}

/// Where a rule leads.
#[derive(Clone, Debug)]
pub enum Destination {
    Version(usize),
    Shares(Arc<Shares>),
}

/// How users stay with a version.
#[derive(Clone, Debug)]
pub struct Sticky {
    pub affinity: Affinity,
    /// Where they stay although shares change.
    pub pins: Option<Pins>,
}

/// Why a request got its version.
#[derive(Clone, Copy, Debug)]
pub enum Reason<'p> {
    Override,
    /// It wanted a version that is not there; it got another one.
    OverrideUnknown,
    /// It wanted a version that it may not have; it got another one.
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
    /// One of these, by their shares.
    Among(&'p Shares),
    Offline,
    Nothing,
    /// Its rule leads to a version that cannot be had, and has it fail.
    Failed,
}

/// What is decided for a request, up to the draw.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'p> {
    pub to: To<'p>,
    pub reason: Reason<'p>,
    /// What came of a wish for a version; nothing if there was none, or it was granted.
    pub unmet: Option<Reason<'p>>,
    /// Of the sticky key, where that was asked for.
    pub hash: Option<u64>,
    /// The key that was made for it.
    pub made: Option<Id>,
}

/// What is decided for a request.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'p> {
    /// An index; what keeps the request from getting one otherwise.
    pub version: Result<usize, Refused>,
    pub reason: Reason<'p>,
    /// Of the sticky key, where that was asked for.
    pub hash: Option<u64>,
    /// The key that was made for it, which its client must learn.
    pub made: Option<Id>,
    /// Whether it was drawn by the service's own shares.
    pub is_drawn: bool,
}

/// Why a request gets no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Offline,
    NoVersion,
}

/// Sees how a decision comes about.
pub trait Witness {
    /// An override was asked for.
    fn wanted(&mut self, _: Wanted<'_>) {}
    /// A rule was looked at.
    fn rule(&mut self, _: &Rule, _: Result<(), Mismatch<'_>>) {}
    /// A user is pinned to this version.
    fn pinned(&mut self, _: usize) {}
}

impl Witness for () {}

impl Policy {
    /// Where everybody gets the same, by shares or as the latest.
    pub fn plain(base: Base, versions: Vec<Candidate>) -> Self {
        Self {
            base,
            rules: Vec::new(),
            overrides: None,
            sticky: None,
            versions,
            absent: Vec::new(),
        }
    }

    /// The version of a request. Draws once.
    pub fn decide(&self, asked: Asked<'_>, now: Instant) -> Choice<'_> {
        let resolved = self.resolve(asked, now, || Some(Id::random()), &mut ());
        let Resolved { to, reason, unmet, hash, made } = resolved;
        let (version, is_drawn) = match to {
            To::Version(index) => (Ok(index), false),
            To::Among(shares) => {
                let is_own = matches!(reason, Reason::Random) && unmet.is_none();
                (shares.draw().ok_or(Refused::NoVersion), is_own)
            }
            To::Offline => (Err(Refused::Offline), false),
            To::Nothing | To::Failed => (Err(Refused::NoVersion), false),
        };
        if let (Ok(index), Reason::Sticky, Some(hash)) = (version, reason, hash) {
            self.pin(hash, index, now, made.is_some());
        }
        Choice { version, reason: unmet.unwrap_or(reason), hash, made, is_drawn }
    }

    /// Where a request goes. `make` gives the key of a user who has none yet, if he is to have one.
    pub fn resolve<'p>(
        &'p self,
        asked: Asked<'_>,
        now: Instant,
        make: impl Fn() -> Option<Id>,
        witness: &mut impl Witness,
    ) -> Resolved<'p> {
        let key = Key { asked, make, found: None };
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

    /// The version that is wanted, if one is; why it is not to be had.
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
            Base::Shares(shares) => self.by_key(&mut key, shares, Reason::Sticky, Reason::Random),
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
                Some(Destination::Version(index)) => {
                    return Some(resolved(To::Version(*index), Reason::Rule(rule)));
                }
                Some(Destination::Shares(shares)) => {
                    return Some(self.by_key(key, shares, Reason::Rule(rule), Reason::Rule(rule)));
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
        shares: &'p Shares,
        kept: Reason<'p>,
        drawn: Reason<'p>,
    ) -> Resolved<'p> {
        let Some(sticky) = &self.sticky else { return resolved(To::Among(shares), drawn) };
        let (hash, made) = key.hash(&sticky.affinity);
        let owner = hash.and_then(|hash| shares.of_hash(hash));
        let (to, reason) = match owner {
            Some(index) => (To::Version(index), kept),
            // He will have a key, and by it one of these.
            None if sticky.affinity.is_generated() => (To::Among(shares), kept),
            None => (To::Among(shares), drawn),
        };
        Resolved { hash, made, ..resolved(to, reason) }
    }

    /// The version that a user has had before.
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
        let is_it = |version: &&Candidate| version.hash == pin && version.keeps_pins;
        let version = self.versions.iter().find(is_it)?;
        witness.pinned(version.index);
        Some(Resolved { hash, made, ..resolved(To::Version(version.index), Reason::Sticky) })
    }

    /// The latest version; who can be pinned to it is.
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

    /// Remembers a user's version, unless he has one that he may keep, now or once it can be had
    /// again.
    fn pin(&self, hash: u64, index: usize, now: Instant, is_made: bool) {
        let pins = self.sticky.as_ref().and_then(|sticky| sticky.pins.as_ref());
        let version = self.versions.iter().find(|version| version.index == index);
        let Some((pins, version)) = pins.zip(version) else { return };
        let keeps = |version: &Candidate, pin| version.hash == pin && version.keeps_pins;
        pins.set(hash, version.hash, now, is_made, |pin| {
            self.absent.contains(&pin) || self.versions.iter().any(|version| keeps(version, pin))
        });
    }
}

fn resolved<'p>(to: To<'p>, reason: Reason<'p>) -> Resolved<'p> {
    Resolved { to, reason, unmet: None, hash: None, made: None }
}

/// The key of a request, looked for once and only if something asks for it.
struct Key<'a, M> {
    asked: Asked<'a>,
    make: M,
    found: Option<(Option<u64>, Option<Id>)>,
}

impl<M: Fn() -> Option<Id>> Key<'_, M> {
    /// Its hash, and the key itself where it was made for it.
    fn hash(&mut self, affinity: &Affinity) -> (Option<u64>, Option<Id>) {
        if let Some(found) = self.found {
            return found;
        }
        let sent = affinity.hash(self.asked);
        let made = if sent.is_none() && affinity.is_generated() { (self.make)() } else { None };
        let hash = sent.or_else(|| made.as_ref().map(|id| affinity.hash_of(id.text())));
        *self.found.insert((hash, made))
    }
}

#[cfg(test)]
mod tests;
