//! Says which version a request would get, and why. The request is not sent: the policy that decides real requests
//! decides it, and every step is written down. `GET /api/v1/explain` explains by what is served, and `watershed
//! explain` by files where no process runs.

mod question;

use std::time::Instant;

pub use question::{Question, QuestionError};

use super::{PolicyInputs, rescue};
use crate::api::{Chance, Explanation, RateStep, RuleStep, StickyStep, Wish};
use crate::config::{self, Glob, RateLimit, Service, VersionSpec};
use crate::routing::{
    Asked, Destination, KeySource, Mismatch, Policy, Reason, Resolved, Rule, Text, To, Wanted,
    Witness, Yields, bucket,
};

/// Everything that an explanation needs: a service, its machine, and where its versions stand.
#[derive(Clone, Copy, Debug)]
pub struct Explainer<'a> {
    /// What the policy was compiled from.
    pub inputs: PolicyInputs<'a>,
    pub policy: &'a Policy,
    /// What is declared of the policy's limit.
    pub rate_limit: Option<&'a RateLimit>,
    /// Versions without a healthy target whose shares the others get.
    pub yielding: &'a [usize],
    /// The time of the request: pins that have expired by then do not hold.
    pub now: Instant,
}

impl Explainer<'_> {
    /// The outcome of a request.
    pub fn explain(&self, question: &Question) -> Explanation {
        let preview = question.preview(&self.inputs.service.all_domains());
        let asked = Asked { parts: question.parts(), client: question.client(), preview };
        let mut steps =
            Steps { explainer: self, asked, wish: None, rules: Vec::new(), pinned: None };
        let yields = |index| self.yields(index);
        let yields: Yields<'_> = if self.yielding.is_empty() { None } else { Some(&yields) };
        let resolved = self.policy.resolve(asked, self.now, || None, yields, &mut steps);
        let Steps { wish, rules, pinned, .. } = steps;
        let stand_in = self.stand_in(&resolved);
        let (distribution, failure) = match stand_in {
            Some(index) => (vec![self.chance(index, 100.0)], None),
            None => self.outcome(&resolved, yields),
        };
        let decision = match stand_in {
            Some(_) => "rescue",
            None => resolved.unmet.unwrap_or(resolved.reason).as_str(),
        };
        Explanation {
            environment: self.inputs.environment.to_owned(),
            service: self.inputs.service.name.to_string(),
            generation: None,
            client: question.named_client().map(|client| client.to_string()),
            decision: decision.to_owned(),
            version: match distribution.as_slice() {
                [only] => Some(only.version.clone()),
                _ => None,
            },
            distribution,
            yielding: self.yielded(&resolved),
            failure: failure.map(str::to_owned),
            rate_limit: self.rate_limit(asked),
            wish,
            rules,
            sticky: self.sticky(asked, pinned),
            held: None,
        }
    }

    fn yields(&self, index: usize) -> bool {
        self.yielding.contains(&index)
    }

    /// The version that answers because none has a share.
    fn stand_in(&self, resolved: &Resolved<'_>) -> Option<usize> {
        let is_asked_for = matches!(resolved.unmet, Some(Reason::OverrideUnknown));
        let is_nothing = matches!(resolved.to, To::Nothing) && !is_asked_for;
        let PolicyInputs { service, eligibilities, base, .. } = self.inputs;
        is_nothing.then(|| rescue::stand_in(service, eligibilities, base))?
    }

    fn outcome(
        &self,
        resolved: &Resolved<'_>,
        yields: Yields<'_>,
    ) -> (Vec<Chance>, Option<&'static str>) {
        let sure = |index| vec![self.chance(index, 100.0)];
        match resolved.to {
            To::Version(index) => (sure(index), None),
            To::Among(shares) => {
                let shares = shares.shares_without(yields);
                let sum: f64 = shares.iter().map(|(_, share)| f64::from(*share)).sum();
                let some = shares.iter().filter(|(_, share)| *share > 0);
                let chance = |(index, share): &(usize, u16)| {
                    self.chance(*index, f64::from(*share) * 100.0 / sum)
                };
                (some.map(chance).collect(), None)
            }
            To::Offline => (Vec::new(), Some("offline")),
            To::Nothing | To::Failed => (Vec::new(), Some("no-version")),
        }
    }

    /// The versions that give their shares of such requests to the others, unless all of them would.
    fn yielded(&self, resolved: &Resolved<'_>) -> Vec<Chance> {
        let To::Among(splitter) = resolved.to else { return Vec::new() };
        let some = splitter.shares().iter().filter(|(_, share)| *share > 0);
        let (yielding, others): (Vec<_>, Vec<_>) = some.partition(|(index, _)| self.yields(*index));
        let chance = |(index, share): &(usize, u16)| self.chance(*index, f64::from(*share) / 100.0);
        if others.is_empty() { Vec::new() } else { yielding.into_iter().map(chance).collect() }
    }

    fn chance(&self, index: usize, share: f64) -> Chance {
        let upstream = self.inputs.service.versions.get(index).and_then(VersionSpec::upstream);
        let targets = upstream.iter().flat_map(|upstream| &upstream.targets);
        Chance {
            version: self.name(index),
            share,
            upstream: targets.map(|target| target.address.to_string()).collect(),
            // How targets do is not a matter of policy, as long as nobody else gets the share.
            unhealthy: self.yields(index),
        }
    }

    fn name(&self, index: usize) -> String {
        let spec = self.inputs.service.versions.get(index);
        spec.map_or_else(String::new, |spec| spec.name.to_string())
    }

    /// The key is looked up separately: the policy asks for a key only if a decision needs it.
    fn sticky(&self, asked: Asked<'_>, pinned: Option<usize>) -> Option<StickyStep> {
        let sticky = self.policy.sticky.as_ref()?;
        let hash = sticky.affinity.hash(asked);
        Some(StickyStep {
            key: key_words(sticky.affinity.source()),
            mode: if sticky.pins.is_some() { "pin" } else { "hash" }.to_owned(),
            bucket: hash.map(bucket),
            hash: hash.map(|hash| format!("{hash:016x}")),
            pinned: pinned.map(|index| self.name(index)),
        })
    }

    /// Nothing is taken from what the key has left.
    fn rate_limit(&self, asked: Asked<'_>) -> Option<RateStep> {
        let limiter = self.policy.limit.as_ref()?;
        let RateLimit { key, rate, burst } = self.rate_limit?;
        Some(RateStep {
            key: key.to_string(),
            rate: rate.to_string(),
            burst: burst.get(),
            by_address: !limiter.has_key(asked),
            left: Some(limiter.look(asked, self.now).left),
        })
    }

    /// Why a version is unavailable, if it is.
    fn obstacle(&self, index: usize) -> Option<String> {
        let PolicyInputs { service, eligibilities, .. } = self.inputs;
        let name = service.versions.get(index).map_or("", |spec| spec.name.as_str());
        let eligibility = eligibilities.get(index)?;
        let obstacle = eligibility.obstacle().filter(|_| !eligibility.takes_rules())?;
        Some(format!("{name} {obstacle}"))
    }
}

fn key_words(source: &KeySource) -> String {
    match source {
        KeySource::Header(name) => format!("header:{name}"),
        KeySource::Cookie(name) => format!("cookie:{name}"),
        KeySource::Query(name) => format!("query:{name}"),
        KeySource::ClientAddress => "client-address".to_owned(),
        KeySource::Generated(_) => "generated".to_owned(),
    }
}

/// Writes down the steps of a decision.
struct Steps<'a> {
    explainer: &'a Explainer<'a>,
    asked: Asked<'a>,
    wish: Option<Wish>,
    rules: Vec<RuleStep>,
    pinned: Option<usize>,
}

impl Witness for Steps<'_> {
    fn wanted(&mut self, wanted: Wanted<'_>) {
        let Explainer { policy, .. } = self.explainer;
        let (name, result, why) = match wanted {
            Wanted::Nothing => return,
            Wanted::WithoutKey(name) => {
                (name, "denied", "`watershed-key` is missing, or not the secret".to_owned())
            }
            Wanted::Version(name) => {
                let mut versions = policy.versions.iter();
                match versions.find(|version| name.is(version.name.as_bytes())) {
                    Some(version) if version.may_override => {
                        (name, "granted", "it may be asked for".to_owned())
                    }
                    Some(version) => {
                        let obstacle = self.explainer.obstacle(version.index);
                        (name, "denied", obstacle.unwrap_or_default())
                    }
                    None => (name, "unknown", "no normal version has this name".to_owned()),
                }
            }
        };
        let version = shown(name);
        self.wish = Some(Wish { version, result: result.to_owned(), why });
    }

    fn rule(&mut self, rule: &Rule, matched: Result<(), Mismatch<'_>>) {
        let name = rule.word.strip_prefix("rule:").unwrap_or(&rule.word);
        let rules = &self.explainer.inputs.service.policy.rules;
        let declared = rules.iter().find(|declared| declared.name.as_str() == name);
        let why = match (matched, declared) {
            (Err(mismatch), declared) => self.mismatch(mismatch, declared.map(|it| &it.matches)),
            (Ok(()), Some(declared)) => self.followed(rule, declared),
            (Ok(()), None) => "it matches".to_owned(),
        };
        let matches = matched.is_ok();
        let decides = matches && (rule.to.is_some() && self.yielding(rule).is_none() || rule.fails);
        self.rules.push(RuleStep { name: name.to_owned(), matches, decides, why });
    }

    fn pinned(&mut self, index: usize) {
        self.pinned = Some(index);
    }
}

impl Steps<'_> {
    /// The version that a rule leads to, if the rule is passed over because no target of the version is healthy.
    fn yielding(&self, rule: &Rule) -> Option<usize> {
        match rule.to {
            Some(Destination::Version(index)) if self.explainer.yields(index) && !rule.fails => {
                Some(index)
            }
            _ => None,
        }
    }

    /// Where a matching rule leads.
    fn followed(&self, rule: &Rule, declared: &config::Rule) -> String {
        if let Some(index) = self.yielding(rule) {
            let name = self.explainer.name(index);
            return format!("it matches, but {name} has no healthy target: passed over");
        }
        if rule.to.is_some() {
            let service = self.explainer.inputs.service;
            return format!("it matches, and gives {}", destination(service, &declared.to));
        }
        let targets = match &declared.to {
            config::Destination::Version(index) => vec![*index],
            config::Destination::Split(split) => split.shares().iter().map(|(it, _)| *it).collect(),
        };
        let obstacle = targets.into_iter().find_map(|index| self.explainer.obstacle(index));
        let obstacle = obstacle.unwrap_or_else(|| "its version cannot be had".to_owned());
        match rule.fails {
            true => format!("it matches, but {obstacle}, and `otherwise` is `fail`"),
            false => format!("it matches, but {obstacle}: passed over"),
        }
    }

    fn mismatch(&self, mismatch: Mismatch<'_>, declared: Option<&config::Match>) -> String {
        let asked = self.asked;
        let glob = |globs: fn(&config::Match) -> &Vec<(String, Glob)>, name: &str| {
            let named = declared.and_then(|it| globs(it).iter().find(|(known, _)| known == name));
            named.map(|(_, glob)| glob)
        };
        match mismatch {
            Mismatch::Path => {
                let wanted = declared.and_then(|it| it.path.as_ref());
                unlike("the path", vec![asked.path()], wanted)
            }
            Mismatch::Method => {
                let wanted = declared.and_then(|it| it.method.as_deref()).unwrap_or_default();
                format!("the method is {}, not {wanted}", asked.parts.method)
            }
            Mismatch::Client => {
                let network = declared.and_then(|it| it.client);
                let network = network.map(|network| network.to_string()).unwrap_or_default();
                match asked.client {
                    Some(client) => format!("the client {client} is not in {network}"),
                    None => format!("no client is given, so it is not in {network}"),
                }
            }
            Mismatch::Header(name) => unlike(
                &format!("header {name}"),
                asked.header(name).collect(),
                glob(|it| &it.header, name.as_str()),
            ),
            Mismatch::Query(name) => unlike(
                &format!("parameter {name}"),
                asked.query(name).collect(),
                glob(|it| &it.query, name),
            ),
            Mismatch::Cookie(name) => unlike(
                &format!("cookie {name}"),
                asked.cookie(name).collect(),
                glob(|it| &it.cookie, name),
            ),
        }
    }
}

fn unlike(what: &str, seen: Vec<Text<'_>>, wanted: Option<&Glob>) -> String {
    let wanted = wanted.map(|glob| format!(" `{glob}`")).unwrap_or_default();
    match seen.as_slice() {
        [] => format!("there is no {what}, and it should be like{wanted}"),
        seen => {
            let seen: Vec<_> = seen.iter().map(|text| format!("`{}`", shown(*text))).collect();
            format!("{what} is {}, not like{wanted}", seen.join(" and "))
        }
    }
}

fn shown(text: Text<'_>) -> String {
    String::from_utf8_lossy(&text.collect::<Vec<u8>>()).into_owned()
}

/// Where a rule leads, in words.
fn destination(service: &Service, to: &config::Destination) -> String {
    let name = |index: usize| service.versions.get(index).map_or("", |spec| spec.name.as_str());
    match to {
        config::Destination::Version(index) => name(*index).to_owned(),
        config::Destination::Split(split) => {
            let share =
                |(index, share): &(usize, config::Percent)| format!("{share} % {}", name(*index));
            split.shares().iter().map(share).collect::<Vec<_>>().join(", ")
        }
    }
}
