//! From what a service declares of its decisions to what decides: `config`'s words into `routing`'s
//! machine. The snapshot builds it from the versions that there are, and `watershed explain` from
//! what files say of them.

use std::sync::Arc;

use http::{HeaderName, Method};

use crate::config::{
    self, Destination as Declared, Glob, Match, Otherwise, Pick, Reach, Service, Split, StickyKey,
    StickyMode,
};
use crate::routing::{
    Affinity, Base, Candidate, Destination, KeySource, Lock, Matcher, Network, Overrides, Owner,
    Pattern, Pins, Policy, Rule, Shares, Sticky, Ways, hash_of_name,
};

/// Whether a declared version can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Normal,
    /// It could, but somebody has rolled back from it for good.
    Quarantined,
    /// It is still being made, or in error.
    Missing,
}

/// What decides where nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The declared split, all of whose versions are normal.
    Split,
    /// This version, as declared.
    Latest(usize),
    Offline,
    Nothing,
}

/// What a policy is made of.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The name of the environment.
    pub environment: &'a str,
    pub service: &'a Service,
    /// Of each declared version.
    pub standings: &'a [Standing],
    pub fallback: Fallback,
}

/// What decides where nothing else does, as far as files tell.
pub fn fallback(service: &Service, standings: &[Standing]) -> Fallback {
    let is_there = |index: usize| {
        standings.get(index) == Some(&Standing::Normal)
            && service.policy.reach_of(index) == Reach::Live
    };
    match &service.traffic {
        config::Traffic::Split(split) if split.is_offline() => Fallback::Offline,
        config::Traffic::Split(split) => {
            let mut some =
                split.shares().iter().filter(|(_, share)| *share != config::Percent::ZERO);
            if some.all(|(index, _)| is_there(*index)) {
                Fallback::Split
            } else {
                Fallback::Nothing
            }
        }
        config::Traffic::Latest => {
            let latest = (0..service.versions.len()).rev().find(|index| is_there(*index));
            latest.map_or(Fallback::Nothing, Fallback::Latest)
        }
    }
}

impl Terms<'_> {
    /// The machine. Its indexes are those of the declared versions.
    ///
    /// What `last` draws from, and who is pinned there, goes on where that is declared as before.
    pub fn policy(&self, lock: Lock, last: Option<&Policy>) -> Policy {
        let declared = &self.service.policy;
        Policy {
            base: self.base(last),
            rules: declared.rules.iter().map(|rule| self.rule(rule, last)).collect(),
            overrides: overrides(self.service, lock),
            sticky: self.sticky(last),
            versions: self.candidates(),
            absent: self.absent(),
        }
    }

    fn base(&self, last: Option<&Policy>) -> Base {
        match (self.fallback, &self.service.traffic) {
            (Fallback::Split, config::Traffic::Split(split)) => {
                Base::Shares(self.shares(split, last))
            }
            (Fallback::Latest(index), _) => Base::Latest(index),
            (Fallback::Offline, _) => Base::Offline,
            (Fallback::Nothing | Fallback::Split, _) => Base::Nothing,
        }
    }

    fn shares(&self, split: &Split, last: Option<&Policy>) -> Arc<Shares> {
        let owner = |(index, share): &(usize, config::Percent)| {
            let spec = self.service.versions.get(*index)?;
            Some(Owner { name: spec.name.as_str(), share: share.hundredths(), index: *index })
        };
        let owners: Vec<Owner<'_>> = split.shares().iter().filter_map(owner).collect();
        let policy = &self.service.policy;
        let ways =
            Ways { is_smooth: policy.pick == Pick::Smooth, is_sticky: policy.sticky.is_some() };
        let mut known = last.into_iter().flat_map(drawn_from);
        match known.find(|shares| shares.is_of(&owners, ways)) {
            Some(same) => same.clone(),
            None => Arc::new(Shares::new(&owners, ways)),
        }
    }

    fn rule(&self, declared: &config::Rule, last: Option<&Policy>) -> Rule {
        let config::Rule { name, matches, to, otherwise } = declared;
        let to = match to {
            Declared::Version(index) => {
                self.takes_all(*index).then_some(Destination::Version(*index))
            }
            Declared::Split(split) => {
                let mut owners =
                    split.shares().iter().filter(|(_, share)| *share != config::Percent::ZERO);
                let can_be_had = owners.all(|(index, _)| self.takes_all(*index));
                can_be_had.then(|| Destination::Shares(self.shares(split, last)))
            }
        };
        Rule::new(name.as_str(), matcher(matches), to, *otherwise == Otherwise::Fail)
    }

    /// Whether a rule may lead to a version.
    fn takes_all(&self, index: usize) -> bool {
        self.standing(index) == Standing::Normal
            && self.service.policy.reach_of(index) == Reach::Live
    }

    fn standing(&self, index: usize) -> Standing {
        self.standings.get(index).copied().unwrap_or(Standing::Missing)
    }

    fn sticky(&self, last: Option<&Policy>) -> Option<Sticky> {
        let policy = &self.service.policy;
        let config::Sticky { key, mode } = policy.sticky.as_ref()?;
        let (environment, service) = (self.environment, self.service.name.as_str());
        let affinity = Affinity::new(key_source(key), environment, service, policy.propagate);
        let known = last.and_then(|last| last.sticky.as_ref()?.pins.as_ref());
        let pins = match mode {
            StickyMode::Hash => None,
            StickyMode::Pin { ttl } => {
                Some(known.map_or_else(|| Pins::new(*ttl), |pins| pins.with_ttl(*ttl)))
            }
        };
        Some(Sticky { affinity, pins })
    }

    /// Those that are not there, and to which who is pinned will come back.
    fn absent(&self) -> Vec<u64> {
        let versions = self.service.versions.iter().enumerate();
        let absent = versions.filter(|(index, _)| {
            self.standing(*index) == Standing::Missing
                && keeps_pins(self.service.policy.reach_of(*index))
        });
        absent.map(|(_, spec)| hash_of_name(spec.name.as_str())).collect()
    }

    /// The versions that are there. One that is still being made, or in error, is as unknown to an
    /// override as one that nobody declared.
    fn candidates(&self) -> Vec<Candidate> {
        let versions = self.service.versions.iter().enumerate();
        let there = versions.filter(|(index, _)| self.standing(*index) != Standing::Missing);
        let candidate = |(index, spec): (usize, &config::VersionSpec)| {
            let reach = self.service.policy.reach_of(index);
            let is_normal = self.standing(index) == Standing::Normal;
            Candidate {
                index,
                name: spec.name.to_string(),
                hash: hash_of_name(spec.name.as_str()),
                keeps_pins: is_normal && keeps_pins(reach),
                may_override: is_normal && reach != Reach::Cutoff,
            }
        };
        there.map(candidate).collect()
    }
}

/// Closes to what is `served` whatever the service as it is `declared` now, and cannot be served yet,
/// closes.
pub fn close(policy: &mut Policy, served: &Service, declared: &Service, lock: Lock) {
    policy.overrides = overrides(declared, lock);
    let reach = |index: usize| {
        let name = served.versions.get(index).map(|spec| &spec.name);
        let index = declared.versions.iter().position(|spec| Some(&spec.name) == name);
        index.map_or(Reach::Live, |index| declared.policy.reach_of(index))
    };
    for version in &mut policy.versions {
        let reach = reach(version.index);
        version.keeps_pins &= keeps_pins(reach);
        version.may_override &= reach != Reach::Cutoff;
    }
    for rule in &mut policy.rules {
        if let Some(Destination::Version(index)) = rule.to {
            rule.to = rule.to.take().filter(|_| reach(index) == Reach::Live);
        }
    }
}

/// Everything that a policy draws from.
fn drawn_from(policy: &Policy) -> impl Iterator<Item = &Arc<Shares>> {
    let base = match &policy.base {
        Base::Shares(shares) => Some(shares),
        Base::Latest(_) | Base::Offline | Base::Nothing => None,
    };
    let rules = policy.rules.iter().filter_map(|rule| match &rule.to {
        Some(Destination::Shares(shares)) => Some(shares),
        Some(Destination::Version(_)) | None => None,
    });
    base.into_iter().chain(rules)
}

fn keeps_pins(reach: Reach) -> bool {
    matches!(reach, Reach::Live | Reach::Pinned)
}

fn overrides(service: &Service, lock: Lock) -> Option<Overrides> {
    let declared = service.policy.overrides.as_ref()?;
    let config::Overrides { header, query, cookie, preview_domains, secret: _ } = declared;
    Some(Overrides {
        header: *header,
        query: query.clone(),
        cookie: cookie.clone(),
        domain: *preview_domains,
        lock,
    })
}

fn key_source(key: &StickyKey) -> KeySource {
    match key {
        StickyKey::Header(name) => match name.parse() {
            Ok(name) => KeySource::Header(name),
            // A name that is none, no request has; a configuration has none either.
            Err(_) => KeySource::Query(name.clone()),
        },
        StickyKey::Cookie(name) => KeySource::Cookie(name.clone()),
        StickyKey::Query(name) => KeySource::Query(name.clone()),
        StickyKey::ClientAddress => KeySource::ClientAddress,
        StickyKey::Generated(cookie) => KeySource::Generated(cookie.name.clone()),
    }
}

fn matcher(declared: &Match) -> Matcher {
    let Match { path, method, header: headers, query, cookie, client } = declared;
    let header =
        |(name, glob): &(String, Glob)| Some((name.parse::<HeaderName>().ok()?, pattern(glob)));
    let named = |(name, glob): &(String, Glob)| (name.clone(), pattern(glob));
    Matcher {
        path: path.as_ref().map(pattern),
        method: method.as_ref().and_then(|method| Method::from_bytes(method.as_bytes()).ok()),
        headers: headers.iter().filter_map(header).collect(),
        query: query.iter().map(named).collect(),
        cookies: cookie.iter().map(named).collect(),
        client: client.map(Network::from),
    }
}

fn pattern(glob: &Glob) -> Pattern {
    let parts = glob.parts().into_iter();
    Pattern::new(parts.map(|part| match part {
        config::Part::Byte(byte) => Some(byte),
        config::Part::Run => None,
    }))
}
