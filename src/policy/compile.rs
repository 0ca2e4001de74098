//! Compiles a service's `[traffic]` table into a `routing::Policy`. A publish compiles it with the
//! versions that are ready, `watershed explain` with what the files tell of them.

use std::sync::Arc;

use http::{HeaderName, Method};

use super::{Base, Eligibility};
use crate::config::{
    self, Destination as To, Glob, Match, Otherwise, Pick, RateKey, RateLimit, Service, Split,
    StickyKey, StickyMode,
};
use crate::routing::{
    self, Affinity, Destination, KeySource, KnownVersion, Lock, Matcher, Network, Overrides, Owner,
    Pattern, Pins, Policy, RateLimiter, Rule, Splitter, Sticky, Ways, hash_of_name,
};

/// Everything that a routing policy is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct PolicyInputs<'a> {
    /// The name of the environment.
    pub environment: &'a str,
    pub service: &'a Service,
    /// Of each declared version, in the order of declaration.
    pub eligibilities: &'a [Eligibility],
    /// Who gets a request that no override, rule or sticky key decides.
    pub base: &'a Base,
}

impl PolicyInputs<'_> {
    /// The policy. Its indexes are those of the declared versions.
    ///
    /// Splits that are as in `last` are taken from there, so that turns go on where they are. Pins of
    /// `last` go on too, as long as stickiness is declared the same way.
    pub fn policy(&self, lock: Lock, last: Option<&Policy>) -> Policy {
        let declared = &self.service.policy;
        Policy {
            base: self.base(last),
            rules: declared.rules.iter().map(|rule| self.rule(rule, last)).collect(),
            overrides: overrides(self.service, lock),
            sticky: self.sticky(last),
            versions: self.known_versions(),
            absent: self.absent(),
            limit: limit(self.service, last),
        }
    }

    fn base(&self, last: Option<&Policy>) -> routing::Base {
        match self.base {
            Base::Split(split) => routing::Base::Split(self.splitter(split, last)),
            Base::Latest(index) => routing::Base::Latest(*index),
            Base::Offline => routing::Base::Offline,
            Base::Nothing => routing::Base::Nothing,
        }
    }

    fn splitter(&self, split: &Split, last: Option<&Policy>) -> Arc<Splitter> {
        let owner = |(index, share): &(usize, config::Percent)| {
            let spec = self.service.versions.get(*index)?;
            Some(Owner { name: spec.name.as_str(), share: share.hundredths(), index: *index })
        };
        let owners: Vec<Owner<'_>> = split.shares().iter().filter_map(owner).collect();
        let policy = &self.service.policy;
        let ways =
            Ways { is_smooth: policy.pick == Pick::Smooth, is_sticky: policy.sticky.is_some() };
        let mut known = last.into_iter().flat_map(drawn_from);
        match known.find(|splitter| splitter.is_of(&owners, ways)) {
            Some(same) => same.clone(),
            None => Arc::new(Splitter::new(&owners, ways)),
        }
    }

    fn rule(&self, declared: &config::Rule, last: Option<&Policy>) -> Rule {
        let config::Rule { name, matches, to, otherwise } = declared;
        let to = match to {
            To::Version(index) => self.takes_rules(*index).then_some(Destination::Version(*index)),
            To::Split(split) => {
                self.rule_split(split).map(|split| Destination::Split(self.splitter(&split, last)))
            }
        };
        Rule::new(name.as_str(), matcher(matches), to, *otherwise == Otherwise::Fail)
    }

    /// The split of a rule, if rules may lead to each of its versions. The shares of closed versions go to the others,
    /// because requests do not wait for closed versions.
    fn rule_split(&self, split: &Split) -> Option<Split> {
        let is_closed = |index: usize| self.eligibility(index).is_none_or(Eligibility::is_closed);
        match Base::Split(split.clone()).without(is_closed) {
            Base::Split(left) => {
                let can_be_had = Base::Split(left.clone()).shares();
                can_be_had.iter().all(|(index, _)| self.takes_rules(*index)).then_some(left)
            }
            Base::Latest(_) | Base::Offline | Base::Nothing => None,
        }
    }

    fn takes_rules(&self, index: usize) -> bool {
        self.eligibility(index).is_some_and(Eligibility::takes_rules)
    }

    fn eligibility(&self, index: usize) -> Option<&Eligibility> {
        self.eligibilities.get(index)
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

    /// Every declared version with its index and eligibility.
    fn versions(&self) -> impl Iterator<Item = (usize, &config::VersionSpec, &Eligibility)> {
        let versions = self.service.versions.iter().zip(self.eligibilities).enumerate();
        versions.map(|(index, (spec, eligibility))| (index, spec, eligibility))
    }

    /// Versions that cannot answer now and keep their pinned users, as hashes of their names.
    fn absent(&self) -> Vec<u64> {
        let absent = self
            .versions()
            .filter(|(.., eligibility)| !eligibility.is_there() && eligibility.keeps_pins());
        absent.map(|(_, spec, _)| hash_of_name(spec.name.as_str())).collect()
    }

    /// The versions that can answer. To an override, a version that is being made or in error is as
    /// unknown as one that nobody declared.
    fn known_versions(&self) -> Vec<KnownVersion> {
        let there = self.versions().filter(|(.., eligibility)| eligibility.is_there());
        let known = |(index, spec, eligibility): (usize, &config::VersionSpec, &Eligibility)| {
            KnownVersion {
                index,
                name: spec.name.to_string(),
                hash: hash_of_name(spec.name.as_str()),
                keeps_pins: eligibility.keeps_pins(),
                may_override: eligibility.takes_overrides(),
            }
        };
        there.map(known).collect()
    }
}

/// Every split of a policy.
fn drawn_from(policy: &Policy) -> impl Iterator<Item = &Arc<Splitter>> {
    let base = match &policy.base {
        routing::Base::Split(splitter) => Some(splitter),
        routing::Base::Latest(_) | routing::Base::Offline | routing::Base::Nothing => None,
    };
    let rules = policy.rules.iter().filter_map(|rule| match &rule.to {
        Some(Destination::Split(splitter)) => Some(splitter),
        Some(Destination::Version(_)) | None => None,
    });
    base.into_iter().chain(rules)
}

/// In which ways a request may ask for a version, if the service allows it.
pub fn overrides(service: &Service, lock: Lock) -> Option<Overrides> {
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

/// How often requests may come, with what is known of their keys from `last`.
pub fn limit(service: &Service, last: Option<&Policy>) -> Option<RateLimiter> {
    let RateLimit { key, rate, burst } = service.policy.rate_limit.as_ref()?;
    let source = match key {
        RateKey::ClientAddress => Some(KeySource::ClientAddress),
        RateKey::Header(name) => Some(header(name)),
        RateKey::Cookie(name) => Some(KeySource::Cookie(name.clone())),
        RateKey::Query(name) => Some(KeySource::Query(name.clone())),
        RateKey::Service => None,
    };
    let limiter = RateLimiter::new(source, rate.requests, rate.per, *burst);
    Some(limiter.after(last.and_then(|last| last.limit.as_ref())))
}

fn header(name: &str) -> KeySource {
    match name.parse() {
        Ok(name) => KeySource::Header(name),
        // Cannot happen: a configuration has valid names. No request has a parameter of this name.
        Err(_) => KeySource::Query(name.to_owned()),
    }
}

fn key_source(key: &StickyKey) -> KeySource {
    match key {
        StickyKey::Header(name) => header(name),
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
