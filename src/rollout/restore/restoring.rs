//! Compares what a generation recorded with what is declared now, version by version and key by key.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::super::shares::Shares;
use super::super::text::{self, of};
use super::upstream::{UPSTREAM, as_written};
use super::{Change, DECIDES, Ground, Lost, Piece, Restoration, said, serving};
use crate::config::{Digest, EnvValue, RATE_LIMIT, Reach, SecretSource, VersionName, VersionSpec};
use crate::edit::PutRule;
use crate::history::{Contents, MADE_OF, VALUE};

/// A comparison in progress.
pub struct Restoring<'a, G> {
    ground: &'a G,
    found: Restoration,
    lost: Lost,
}

impl<'a, G: Ground> Restoring<'a, G> {
    pub fn new(ground: &'a G) -> Self {
        Self { ground, found: Restoration::default(), lost: Lost::default() }
    }

    /// Compares every version that served, and the policy.
    pub fn run(mut self, then: &Contents<'_>, to: &Shares) -> Result<Restoration, Lost> {
        for name in serving(then, to) {
            match then.version(&name).zip(VersionName::new(&name).ok()) {
                Some((part, name)) => self.version(&name, part),
                None => self.lose(format!("what {name} was is not recorded")),
            }
        }
        self.others(then, to);
        self.policy(then.policy);
        if self.lost.reasons.is_empty() { Ok(self.found) } else { Err(self.lost) }
    }

    /// A version that served.
    fn version(&mut self, name: &VersionName, then: &Table) {
        let spec = self.ground.service().versions.iter().find(|spec| spec.name == *name);
        let Some(spec) = spec.cloned() else { return self.declare(name, then) };
        match spec.upstream().is_some() || then.contains_key(UPSTREAM) {
            true => self.upstream(&spec, then),
            false => {
                self.component(&spec, then);
                self.env(name, spec.env(), then);
            }
        }
        let now = spec.written();
        let mut changes = Vec::new();
        for key in ["limits", "remark"] {
            differing(&mut vec![key.to_owned()], now.get(key), then.get(key), &mut changes);
        }
        changes.retain(|Change { key, then, .. }| {
            // A limit that is not recorded stays as it is.
            then.is_some() || key.first().is_none_or(|key| key != "limits")
        });
        self.put(name, changes);
        self.reach(name, then, true);
        self.is_let(name, then);
    }

    pub(super) fn put(&mut self, name: &VersionName, changes: Vec<Change>) {
        let piece = |change| Piece::Version { name: name.clone(), change };
        self.found.pieces.extend(changes.into_iter().map(piece));
    }

    fn lose(&mut self, reason: String) {
        self.lost.reasons.push(reason);
    }

    pub(super) fn found_piece(&mut self, piece: Piece) {
        self.found.pieces.push(piece);
    }

    pub(super) fn made_of(&mut self, name: &VersionName, digest: &str) {
        self.found.components.push((name.clone(), digest.to_owned()));
    }

    /// The copy that a component is taken from which nothing declares now, since its version `became` something else;
    /// `None` where there is none, which is told. The copy is `None` if the component is where it was.
    pub(super) fn copy(
        &mut self,
        name: &VersionName,
        then: &Table,
        became: &str,
    ) -> Option<Option<PathBuf>> {
        let path = of(then, "component");
        let made = then.get(MADE_OF).and_then(Value::as_str);
        let why = match self.found(&path, made) {
            Ok(stored) => return Some(stored),
            Err(Ok(now)) => {
                let (now, made) = (text::short(&now), text::short(made.unwrap_or_default()));
                format!("component {path} is another one now ({now}, and {made} then)")
            }
            Err(Err(why)) => format!("component: {why}"),
        };
        self.lose(format!("{name} {became}, and its {why}"));
        None
    }

    /// A version that was deleted since: it is declared again if its component is still there.
    fn declare(&mut self, name: &VersionName, then: &Table) {
        if let Some(upstream) = then.get(UPSTREAM).and_then(Value::as_table) {
            self.declare_upstream(name, &as_written(then), upstream);
            return self.is_let(name, then);
        }
        let Some(stored) = self.copy(name, then, "was deleted since") else { return };
        self.env(name, &[], then);
        // The whole version is declared below, with its variables.
        self.found
            .pieces
            .retain(|piece| !matches!(piece, Piece::Version { name: it, .. } if it == name));
        let mut version = as_written(&from(then, stored.as_deref()));
        if let Some(env) = version.get_mut("env").and_then(Value::as_table_mut) {
            for (_, value) in env.iter_mut() {
                *value = without_digest(value);
            }
        }
        if version.get("env").and_then(Value::as_table).is_some_and(Table::is_empty) {
            version.remove("env");
        }
        self.found.pieces.push(Piece::Declare { name: name.clone(), version });
        self.is_let(name, then);
    }

    /// Finds the component that a version was made of: `None` if it is where it was, or else the copy in
    /// the store.
    ///
    /// # Errors
    ///
    /// The digest of what is there now, or why there is none.
    fn found(
        &self,
        path: &str,
        made: Option<&str>,
    ) -> Result<Option<PathBuf>, Result<String, String>> {
        let found = self.ground.digest_at(Path::new(path));
        if found.as_ref().is_ok_and(|found| made.is_none_or(|made| made == found)) {
            return Ok(None);
        }
        match made.and_then(|made| self.ground.stored(made)) {
            Some(stored) => Ok(Some(stored)),
            None => Err(found),
        }
    }

    /// Keeps the component if it has the recorded digest, and else looks where it was.
    fn component(&mut self, spec: &VersionSpec, then: &Table) {
        let name = &spec.name;
        let Some(guest) = spec.guest() else { return };
        let path = of(then, "component");
        let now = self.ground.made_of(spec);
        let made = then.get(MADE_OF).and_then(Value::as_str);
        let is_there = match made {
            Some(made) => now.as_deref() == Some(made),
            None => guest.component == Path::new(&path),
        };
        let pin = guest.digest.map(|digest| digest.to_string());
        if is_there && (pin.is_none() || made.is_none() || pin.as_deref() == made) {
            return;
        }
        let stored = match self.found(&path, made) {
            _ if is_there => None,
            Ok(stored) => stored,
            Err(found) => {
                let found = match found {
                    Ok(found) => format!("{path} has the digest {} now", text::short(&found)),
                    Err(why) => why,
                };
                let made = text::short(made.unwrap_or_default());
                return self.lose(format!("the component of {name} was {made}, and {found}"));
            }
        };
        let then = &from(then, stored.as_deref());
        if let Some(made) = made.filter(|_| !is_there) {
            self.found.components.push((name.clone(), made.to_owned()));
        }
        let keys: &[&str] = if is_there { &["digest"] } else { &["component", "digest"] };
        let (now, mut changes) = (spec.written(), Vec::new());
        for key in keys {
            differing(&mut vec![(*key).to_owned()], now.get(*key), then.get(*key), &mut changes);
        }
        self.put(name, changes);
    }

    pub(super) fn env(&mut self, name: &VersionName, now: &[(String, EnvValue)], then: &Table) {
        let nothing = Table::new();
        let then = then.get("env").and_then(Value::as_table).unwrap_or(&nothing);
        for (key, value) in then {
            let current = now.iter().find(|(known, _)| known == key).map(|(_, value)| value);
            if !self.has_value(name, key, current, value) {
                let change = Change {
                    key: vec!["env".to_owned(), key.clone()],
                    now: current.map(EnvValue::written),
                    then: Some(without_digest(value)),
                };
                self.put(name, vec![change]);
            }
        }
        for (key, value) in now.iter().filter(|(key, _)| !then.contains_key(key)) {
            let key = vec!["env".to_owned(), key.clone()];
            self.put(name, vec![Change { key, now: Some(value.written()), then: None }]);
        }
    }

    /// Whether a variable has the recorded value. If it is a secret with another value now, the
    /// generation cannot come back.
    fn has_value(
        &mut self,
        name: &VersionName,
        key: &str,
        now: Option<&EnvValue>,
        then: &Value,
    ) -> bool {
        let place = match EnvValue::read(then) {
            None | Some(EnvValue::Plain(_)) => {
                return now.map(EnvValue::written).as_ref() == Some(then);
            }
            Some(EnvValue::Secret(place)) => place,
        };
        let known = then.get(VALUE).and_then(Value::as_str);
        let value_at = |place: &SecretSource| self.ground.secret(name.as_str(), key, place);
        let now = now.and_then(EnvValue::secret);
        if let Some(now) = now
            && known.is_some()
            && value_at(now).ok().as_deref() == known
        {
            return true;
        }
        match (value_at(&place), known) {
            (Ok(value), Some(known)) if value != known => {
                let place = text::place(&place);
                self.lost.is_secret = true;
                self.lose(format!("env.{key} of {name} ({place}) is another secret now"));
            }
            (Ok(_), Some(_)) => {}
            (Ok(_), None) => self.unknown(name, key, "its value then is not recorded"),
            (Err(why), _) => self.unknown(name, key, &why),
        }
        now == Some(&place)
    }

    fn unknown(&mut self, name: &VersionName, key: &str, why: &str) {
        let line = format!("whether env.{key} of {name} is the same secret is not known: {why}");
        self.found.unknown.push(line);
    }

    /// Restores who may reach a version. A rollback never lets more requests reach it than now.
    fn reach(&mut self, name: &VersionName, then: &Table, has_served: bool) {
        let service = self.ground.service();
        let Some(index) = service.versions.iter().position(|spec| spec.name == *name) else {
            return;
        };
        let now = service.policy.reach_of(index);
        let word = of(then, "reach");
        let Some(was) = Reach::ALL.into_iter().find(|reach| reach.as_str() == word) else { return };
        let width = |reach: Reach| Reach::ALL.iter().position(|it| *it == reach);
        if width(now) == width(was) {
            return;
        }
        let is_narrowed = width(now) > width(was);
        if is_narrowed && has_served {
            let now = now.as_str();
            self.lose(format!(
                "{name} has the reach `{now}` now, and a rollback never widens it: set `reach` \
                 by hand if that is meant"
            ));
        } else if is_narrowed {
            let (now, was) = (now.as_str(), was.as_str());
            self.found.kept.push(format!("{name}  reach {now}, and {was} then: it is not widened"));
        } else if has_served {
            let key = vec!["reach".to_owned()];
            let now = Some(Value::from(now.as_str()));
            let change = Change { key, now, then: Some(Value::from(was.as_str())) };
            self.put(name, vec![change]);
        }
    }

    /// Refuses a version that is quarantined in its recorded form.
    fn is_let(&mut self, name: &VersionName, then: &Table) {
        let digest = then.get(MADE_OF).and_then(Value::as_str);
        let Some(digest) = digest.and_then(|digest| digest.parse::<Digest>().ok()) else { return };
        let env = then.get("env").and_then(Value::as_table).into_iter().flatten();
        let env: Vec<_> =
            env.filter_map(|(key, value)| Some((key.clone(), EnvValue::read(value)?))).collect();
        if self.ground.service().quarantined_as(&digest, &env).is_some() {
            self.lose(format!("{name} as it was is quarantined"));
        }
    }

    /// Tells where the reach of versions that did not serve is narrower now.
    fn others(&mut self, then: &Contents<'_>, to: &Shares) {
        let serving = serving(then, to);
        let others = then.versions.iter().filter(|(name, _)| !serving.contains(*name));
        for (name, part) in others {
            if let Ok(name) = VersionName::new(name) {
                self.reach(&name, part, false);
            }
        }
    }

    fn policy(&mut self, then: &Table) {
        let service = self.ground.service();
        let now = service.written();
        let mut changes = Vec::new();
        for key in DECIDES {
            let wanted = match key {
                "override" => self.overrides(now.get(key), then.get(key)),
                _ => said(then, key),
            };
            differing(&mut vec![key.to_owned()], now.get(key), wanted.as_ref(), &mut changes);
        }
        self.found.pieces.extend(changes.into_iter().map(Piece::Traffic));
        self.rules(&now, then);
        for key in ["domains", "routes"] {
            let (now, then) = (text::list(now.get(key)), text::list(then.get(key)));
            if now != then {
                let (now, then) = (now.join(" "), then.join(" "));
                self.found.kept.push(format!("{key}  stay {now:?}; they were {then:?}"));
            }
        }
        if now.get(RATE_LIMIT) != then.get(RATE_LIMIT) {
            self.found.kept.push(format!("{RATE_LIMIT}  stays as it is now"));
        }
    }

    /// The overrides then, with the secret of now.
    fn overrides(&mut self, now: Option<&Value>, then: Option<&Value>) -> Option<Value> {
        let mut wanted = then?.clone();
        let (now, table) = (now.and_then(Value::as_table), wanted.as_table_mut());
        if let Some((now, table)) = now.zip(table) {
            let before = table.remove("secret");
            if before.as_ref() != now.get("secret") {
                self.found.kept.push("override.secret  stays as it is now".to_owned());
            }
            let secret = now.get("secret").cloned();
            table.extend(secret.map(|secret| ("secret".to_owned(), secret)));
        }
        Some(wanted)
    }

    fn rules(&mut self, now: &Table, then: &Table) {
        let (before, after) = (rules_of(now), rules_of(then));
        if before == after {
            return;
        }
        let lines = text::rules(&before, &after);
        let put = after.into_iter().map(|rule| PutRule { is_kept: before.contains(&rule), rule });
        self.found.pieces.push(Piece::Rules { lines, rules: put.collect() });
    }
}

/// A version as it was recorded, made from a copy of its component if there is one.
pub(super) fn from(then: &Table, stored: Option<&Path>) -> Table {
    let mut then = then.clone();
    if let Some((stored, made)) = stored.zip(then.get(MADE_OF).cloned()) {
        then.insert("component".to_owned(), stored.to_string_lossy().into_owned().into());
        then.insert("digest".to_owned(), made);
    }
    then
}

fn rules_of(policy: &Table) -> Vec<Table> {
    let rules = policy.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules.filter_map(|rule| rule.as_table().cloned()).collect()
}

/// A value of `env` as a file has it.
fn without_digest(value: &Value) -> Value {
    EnvValue::read(value).map_or_else(|| value.clone(), |value| value.written())
}

/// The keys below `key` that say something else, as deep as both have tables.
pub(super) fn differing(
    key: &mut Vec<String>,
    now: Option<&Value>,
    then: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    if now == then {
        return;
    }
    if let (Some(Value::Table(now)), Some(Value::Table(then))) = (now, then) {
        let keys: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
        for part in keys {
            key.push(part.clone());
            differing(key, now.get(part), then.get(part), changes);
            key.pop();
        }
        return;
    }
    changes.push(Change { key: key.clone(), now: now.cloned(), then: then.cloned() });
}
