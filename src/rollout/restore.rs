//! What comes back beside the shares when a service goes back to a generation: the versions that
//! served then, and what decided between them. `restoring` compares both with what the file declares
//! now. All of it is decided before anything is written; [`Restoration::apply`] writes.

mod restoring;
mod upstream;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::shares::Shares;
use super::text;
use crate::api::{KeyChange, RestoredKey};
use crate::config::{EnvValue, SecretSource, Service, VersionName, VersionSpec, WhenUnhealthy};
use crate::edit::{PutRule, ServiceText};
use crate::history::{Contents, MADE_OF, VALUE};
use restoring::Restoring;
use upstream::{UPSTREAM, origin};

/// The keys below `[traffic]` that decide between versions, beside the rules.
const DECIDES: [&str; 9] = [
    "pick",
    "propagate",
    "sticky",
    "override",
    "rescue",
    "rescue-buffer",
    "rescue-methods",
    "rescue-statuses",
    WHEN_UNHEALTHY,
];

/// A key that older records do not have.
const WHEN_UNHEALTHY: &str = "when-unhealthy";

/// What a rollback stands on: what is declared now, what that is made of, and what may serve.
pub trait Ground {
    fn service(&self) -> &Service;

    /// Whether a declared version may have traffic, and is made of the component with this digest.
    ///
    /// # Errors
    ///
    /// The reason, as the end of a sentence that begins with the version's name.
    fn may_serve(&self, version: &VersionName, digest_then: Option<&str>) -> Result<(), String>;

    /// The digest of the component that a declared version is made of, if it can be had.
    fn made_of(&self, spec: &VersionSpec) -> Option<String>;

    /// The digest of a component.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn digest_at(&self, component: &Path) -> Result<String, String>;

    /// A copy in the store of the component with a digest.
    fn stored(&self, digest: &str) -> Option<PathBuf>;

    /// The digest of a secret's value, as a version would get it now.
    ///
    /// # Errors
    ///
    /// Why that is not known here.
    fn secret(&self, version: &str, key: &str, place: &SecretSource) -> Result<String, String>;
}

/// What comes back beside the shares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restoration {
    pieces: Vec<Piece>,
    /// The components that come back, by the names of their versions.
    components: Vec<(VersionName, String)>,
    /// What differs from the generation, and stays as it is.
    pub kept: Vec<String>,
    /// What only the process that serves can compare, such as secrets.
    pub unknown: Vec<String>,
}

/// Why a generation does not come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub reasons: Vec<String>,
    /// Whether a secret has another value now. Older generations cannot come back then either.
    pub is_secret: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Declare { name: VersionName, version: Table },
    Version { name: VersionName, change: Change },
    Traffic(Change),
    Rules { lines: Vec<String>, rules: Vec<PutRule> },
}

/// A key whose value differs.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    key: Vec<String>,
    now: Option<Value>,
    then: Option<Value>,
}

impl Restoration {
    /// Finds what turns the declared service into what was served, with the shares `to`.
    ///
    /// # Errors
    ///
    /// Everything that cannot be brought back.
    pub fn of(then: &Contents<'_>, to: &Shares, ground: &impl Ground) -> Result<Self, Lost> {
        Restoring::new(ground).run(then, to)
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A line for each change, from what is to what comes back.
    pub fn lines(&self) -> Vec<String> {
        self.pieces.iter().flat_map(Piece::lines).collect()
    }

    /// The same as data. Of rules, only that they are others; of a version that is declared again, its component.
    pub fn keys(&self) -> Vec<RestoredKey> {
        self.pieces.iter().map(Piece::key).collect()
    }

    /// The versions that the process makes anew.
    pub fn remade(&self) -> Vec<&VersionName> {
        self.versions(|_| true)
    }

    /// The versions that get another component or environment. Their present ones may be bad.
    pub fn replaced(&self) -> Vec<&VersionName> {
        let is_other = |key: &str| matches!(key, "component" | "env" | UPSTREAM);
        self.versions(|change| change.key.first().is_some_and(|key| is_other(key)))
    }

    /// The versions that are declared again.
    pub fn declared(&self) -> impl Iterator<Item = &VersionName> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Declare { name, .. } => Some(name),
            _ => None,
        })
    }

    fn versions(&self, is_meant: impl Fn(&Change) -> bool) -> Vec<&VersionName> {
        let mut names: Vec<_> = self
            .pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Version { name, change } if change.remakes() && is_meant(change) => {
                    Some(name)
                }
                Piece::Declare { name, .. } => Some(name),
                _ => None,
            })
            .collect();
        names.dedup();
        names
    }

    /// The digest of the component that a version gets, if it gets another.
    pub fn component(&self, name: &VersionName) -> Option<String> {
        self.components.iter().find(|(known, _)| known == name).map(|(_, digest)| digest.clone())
    }

    /// Writes it into the service's file.
    pub fn apply(&self, file: &mut ServiceText) {
        for piece in &self.pieces {
            match piece {
                Piece::Declare { version, .. } => file.declare_version(version),
                Piece::Version { name, change: Change { key, then, .. } } => {
                    file.set_in_version(name, key, then.as_ref());
                }
                Piece::Traffic(Change { key, then, .. }) => file.set_in_traffic(key, then.as_ref()),
                Piece::Rules { rules, .. } => file.set_rules(rules),
            }
        }
    }
}

impl Change {
    /// Whether the process makes the version anew. It does not for a remark or a reach.
    fn remakes(&self) -> bool {
        self.key.first().is_some_and(|key| !matches!(key.as_str(), "remark" | "reach"))
    }
}

impl Piece {
    fn key(&self) -> RestoredKey {
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let changed = |Change { key, now, then }: &Change| KeyChange {
            key: key.join("."),
            before: now.as_ref().map(shown),
            after: then.as_ref().map(shown),
        };
        let whole = |key: &str, after| KeyChange { key: key.to_owned(), before: None, after };
        let (version, change) = match self {
            Self::Declare { name, version } => {
                let key = if version.contains_key(UPSTREAM) { UPSTREAM } else { "component" };
                (Some(name), whole(key, Some(origin(version))))
            }
            Self::Version { name, change } => (Some(name), changed(change)),
            Self::Traffic(change) => (None, changed(change)),
            Self::Rules { .. } => (None, whole("rules", None)),
        };
        RestoredKey { version: version.map(ToString::to_string), change }
    }

    fn lines(&self) -> Vec<String> {
        let changed = |lead: &str, Change { key, now, then }: &Change| {
            let is_env = key.first().is_some_and(|key| key == "env");
            text::change(&format!("{lead}{}", key.join(".")), is_env, now.as_ref(), then.as_ref())
        };
        match self {
            Self::Declare { name, version } => {
                vec![format!("{name}  is declared again, from {}", origin(version))]
            }
            Self::Version { name, change } => vec![changed(&format!("{name}  "), change)],
            Self::Traffic(change) => vec![changed("", change)],
            Self::Rules { lines, .. } => lines.clone(),
        }
    }
}

/// The versions that served: those with a share, those that rules lead to, and the one that rescues.
pub(super) fn serving(contents: &Contents<'_>, shares: &Shares) -> BTreeSet<String> {
    let takers = shares.takers().map(|(name, _)| name.to_string());
    let rules = contents.policy.get("rules").and_then(Value::as_array).into_iter().flatten();
    let led = rules.flat_map(|rule| {
        let one = rule.get("version").and_then(Value::as_str).map(str::to_owned);
        let many = rule.get("split").and_then(Value::as_table).into_iter().flat_map(Table::keys);
        one.into_iter().chain(many.cloned()).collect::<Vec<_>>()
    });
    let rescue = contents.policy.get("rescue").and_then(Value::as_str).map(str::to_owned);
    takers.chain(led).chain(rescue).collect()
}

/// Whether a version's part in two generations served alike.
pub(super) fn is_alike(one: &Table, other: &Table) -> bool {
    let is_made_alike = match (one.get(MADE_OF), other.get(MADE_OF)) {
        (Some(one), Some(other)) => one == other,
        _ => ["component", UPSTREAM].iter().all(|key| one.get(*key) == other.get(*key)),
    };
    let nothing = Table::new();
    let env = |part: &Table| part.get("env").and_then(Value::as_table).cloned();
    let (env, others) = (env(one).unwrap_or_default(), env(other).unwrap_or(nothing));
    let is_same = |(key, value): (&String, &Value)| {
        others.get(key).is_some_and(|other| is_same_value(value, other))
    };
    is_made_alike
        && env.len() == others.len()
        && env.iter().all(is_same)
        && has_limits_alike(one, other)
}

/// Records hold every limit. A limit that only one record has is newer than the watershed that wrote
/// the other record, and does not count.
fn has_limits_alike(one: &Table, other: &Table) -> bool {
    let limits = |part: &Table| part.get("limits").and_then(Value::as_table).cloned();
    let (one, other) = (limits(one).unwrap_or_default(), limits(other).unwrap_or_default());
    one.iter().all(|(key, value)| other.get(key).is_none_or(|other| other == value))
}

/// Whether a variable has the same value: a text, or a secret wherever it is.
fn is_same_value(one: &Value, other: &Value) -> bool {
    match (one.get(VALUE), other.get(VALUE)) {
        (Some(one), Some(other)) => one == other,
        // Where a record has no digest of a secret, only its place can be compared.
        _ => EnvValue::read(one) == EnvValue::read(other),
    }
}

/// What a recorded policy says of a key.
fn said(policy: &Table, key: &str) -> Option<Value> {
    let usual = || (key == WHEN_UNHEALTHY).then(|| WhenUnhealthy::default().as_str().into());
    policy.get(key).cloned().or_else(usual)
}

/// Whether two policies decide alike between versions. The place of an override's secret does not
/// matter.
pub(super) fn decides_alike(one: &Table, other: &Table) -> bool {
    let said = |policy: &Table, key: &str| {
        let mut value = said(policy, key);
        let table = value.as_mut().and_then(Value::as_table_mut);
        if let Some(table) = table.filter(|_| key == "override") {
            table.remove("secret");
        }
        value
    };
    DECIDES.iter().chain(&["rules"]).all(|key| said(one, key) == said(other, key))
}
