//! What must hold of each request after a publish: it gets what it is told, what is open, and the version
//! that it had, as long as that can be had.

use std::sync::Arc;
use std::time::Instant;

use watershed::api::Explanation;
use watershed::config::{Otherwise, Percent, Reach, Traffic};
use watershed::policy::Standing;
use watershed::routing::Refused;
use watershed::versions::ReadyVersion;

use super::probes::Probe;
use super::{Memory, One, Seen, ensure, hundredths, see};

impl One<'_> {
    pub(super) fn requests_get_what_is_told_and_open(
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

    /// Asks for a version as a request does. Whether it gets one.
    fn probe(&self, probe: &Probe, memory: &mut Memory, seen: &mut Seen) -> Result<bool, String> {
        let decided = self.entry.decider.decide(probe.asked(), Instant::now());
        let why = decided.decision.as_str();
        let told = self.entry.explain(&probe.question, self.publish.after.generation);
        ensure!(told.decision == why, "decided by {why}, told {}", told.decision);
        ensure!(told.held == self.entry.held, "told as held: {:?}", told.held);
        see_decision(seen, why);
        let is_pinning = told.sticky.as_ref().is_some_and(|sticky| sticky.mode == "pin");
        if let Some(user) = probe.user.filter(|_| !is_pinning) {
            // Pins are forgotten with the mode, also while nobody is served.
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

    /// Nobody gets what is closed.
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

    /// A user who is pinned to a version and gets it stays with it as long as it is there and open.
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

    /// Whether a version takes requests of those who are pinned to it.
    fn can_keep(&self, name: &str) -> bool {
        let mut serving = self.entry.decider.entries();
        let version = serving.find(|version| version.spec.name.as_str() == name);
        version.is_some_and(|version| {
            let is_declared = self.service.versions.iter().any(|it| it.name == version.spec.name);
            let is_kept = matches!(self.reach(version), Reach::Live | Reach::Pinned);
            // What is closed of a version by its next component is closed for its users too.
            let statuses = &self.publish.statuses[&self.entry.key];
            let is_normal = statuses.iter().any(|status| {
                status
                    .normal()
                    .is_some_and(|normal| Arc::as_ptr(normal) == std::ptr::from_ref(version))
            });
            is_declared && is_kept && is_normal && !self.is_quarantined(version)
        })
    }

    /// A request that was served before may only fail if that is meant, or nobody can help it.
    fn nothing_is_left_for(&self, probe: &Probe) -> Result<(), String> {
        let decided = self.entry.decider.decide(probe.asked(), Instant::now());
        let is_offline = decided.version.err() == Some(Refused::Offline);
        // The decision may be that of a wish that came to nothing, before the rule.
        let told = self.entry.explain(&probe.question, self.publish.after.generation);
        let rule = told.rules.iter().find(|rule| rule.decides);
        let fails = rule.is_some_and(|rule| {
            let mut declared = self.service.policy.rules.iter();
            let declared = declared.find(|it| it.name.as_str() == rule.name);
            // What goes on as before goes on by the rules of before.
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

    /// Those that may have all of what is declared, if it can be served.
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
