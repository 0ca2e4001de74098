//! All that decided what a service served, as a record keeps it: cut into parts, each of which is
//! stored once however many records name it. A part holds what the service's file said, in the words
//! of the file, and what that stood for: what a version was made of, and a digest of each secret. The
//! values of secrets are not in a part. Plain environment variables are, since a rollback writes them
//! again.

use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::api::{ChangedPart, Parts, Record, Served, ServedVersion};

/// The key of a version's part that holds the digest of the component that it was made of.
pub const MADE_OF: &str = "made-of";
/// The key beside the place of a secret that holds the digest of its value.
pub const VALUE: &str = "value";

/// What a version was made of when it served; empty for a version that nothing could serve.
#[derive(Clone, Debug, Default)]
pub struct MadeOf {
    /// The digest of what serves the version: of a guest, its component's.
    pub digest: Option<String>,
    /// The environment variables that are secrets, with a digest of each value.
    pub secrets: Vec<(String, String)>,
}

/// The parts of a record.
#[derive(Clone, Debug)]
pub struct Contents<'a> {
    pub policy: &'a Table,
    /// In the order of declaration.
    pub versions: Vec<(&'a str, &'a Table)>,
}

impl Served {
    /// What a service serves, from what its file says: of the service itself, and of each version by
    /// name, with what the version was made of. Adds the parts to `parts`.
    pub fn new(
        policy: Table,
        versions: impl Iterator<Item = (String, Table, MadeOf)>,
        parts: &mut Parts,
    ) -> Self {
        let versions = versions.map(|(name, declared, made_of)| ServedVersion {
            name,
            part: parts.add(with_made_of(declared, made_of)),
        });
        let versions = versions.collect();
        Self { policy: parts.add(policy), versions }
    }

    /// All of it; `None` where a part is missing.
    pub fn contents<'a>(&'a self, parts: &'a Parts) -> Option<Contents<'a>> {
        let version = |it: &'a ServedVersion| Some((it.name.as_str(), parts.get(&it.part)?));
        let versions = self.versions.iter().map(version).collect::<Option<_>>()?;
        Some(Contents { policy: parts.get(&self.policy)?, versions })
    }

    /// The digests of all its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        let versions = self.versions.iter().map(|version| version.part.as_str());
        std::iter::once(self.policy.as_str()).chain(versions)
    }
}

fn with_made_of(declared: Table, made_of: MadeOf) -> Table {
    let MadeOf { digest, secrets } = made_of;
    let mut part = declared;
    if let Some(digest) = digest {
        part.insert(MADE_OF.to_owned(), Value::from(digest));
    }
    for (key, digest) in secrets {
        let secret = part.get_mut("env").and_then(|env| env.get_mut(&key)?.as_table_mut());
        if let Some(secret) = secret {
            secret.insert(VALUE.to_owned(), Value::from(digest));
        }
    }
    part
}

impl Parts {
    /// Adds a part; returns its digest.
    fn add(&mut self, part: Table) -> String {
        let digest = digest_of(&part);
        self.insert(digest.clone(), part);
        digest
    }

    /// The same with digests in place of the texts of plain environment variables, since people write
    /// secrets there too. `digest_of` gives the digest of a variable's name and text.
    pub fn without_texts(mut self, digest_of: impl Fn(&str, &str) -> String) -> Self {
        let env = self.tables_mut().filter_map(|part| part.get_mut("env")?.as_table_mut());
        for (key, value) in env.flatten() {
            if let Value::String(text) = value {
                let digest = Value::from(digest_of(key, text));
                *value = Value::Table([(VALUE.to_owned(), digest)].into_iter().collect());
            }
        }
        self
    }
}

/// The SHA-256 of a part, as everywhere: `sha256:` and hexadecimal digits. The keys of a table are
/// sorted, so equal parts have equal digests.
fn digest_of(part: &Table) -> String {
    let text = serde_json::to_vec(part).unwrap_or_default();
    let digits = Sha256::digest(text);
    let digits = digits.iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", digits.collect::<String>())
}

impl Record {
    /// What decided what was served; `None` where the record or its parts do not tell.
    pub fn contents<'a>(&'a self, parts: &'a Parts) -> Option<Contents<'a>> {
        self.served.as_ref()?.contents(parts)
    }
}

impl<'a> Contents<'a> {
    /// What tells of a version.
    pub fn version(&self, name: &str) -> Option<&'a Table> {
        self.versions.iter().find(|(known, _)| *known == name).map(|(_, part)| *part)
    }

    /// What is another one than in an earlier record, beside the shares.
    pub fn changes_since(&self, earlier: &Self) -> Vec<ChangedPart> {
        let part = |version: Option<&str>, key: &str| ChangedPart {
            version: version.map(str::to_owned),
            key: key.to_owned(),
        };
        let mut changed = Vec::new();
        for (name, now) in &self.versions {
            let Some(before) = earlier.version(name) else { continue };
            let keys = differing(before, now);
            // A component is told by what it is made of.
            let is_made_anew = keys.contains(&MADE_OF);
            let keys = keys.into_iter().filter(|key| !matches!(*key, "digest" | MADE_OF));
            let keys = keys.filter(|key| *key != "component" || !is_made_anew);
            // An upstream is told by its own key.
            let is_guest = !now.contains_key("upstream");
            changed.extend((is_made_anew && is_guest).then(|| part(Some(name), "component")));
            changed.extend(keys.map(|key| part(Some(name), key)));
        }
        let traffic = differing(earlier.policy, self.policy).into_iter();
        changed.extend(traffic.map(|key| part(None, key)));
        changed
    }
}

/// The keys of which two tables say something else.
fn differing<'a>(one: &'a Table, other: &'a Table) -> Vec<&'a str> {
    let gone = one.keys().filter(|key| !other.contains_key(*key));
    let keys = other.keys().filter(|key| one.get(*key) != other.get(*key));
    keys.chain(gone).map(String::as_str).collect()
}
