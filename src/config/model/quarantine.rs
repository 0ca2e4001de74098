//! Versions that must not get traffic. A rollback leaves such entries behind, so that nobody sends traffic to a bad
//! version again by mistake. `policy` enforces them with the digests of what versions are made of.

use sha2::{Digest as _, Sha256};

use super::{Digest, EnvValue, SecretSource, Service, VersionName, VersionSpec};

/// An entry that keeps a component from traffic, whatever its version is called by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The digest of what serves the version: for a guest, of its component.
    pub digest: Digest,
    /// The digest of the environment, where only a version with this environment is meant.
    pub env: Option<Digest>,
    /// What the version was called; for people.
    pub version: VersionName,
    /// The reason; for people.
    pub remark: Option<String>,
}

impl Quarantined {
    /// Whether it keeps what has this digest from traffic, under this environment, sorted by key.
    pub fn is_of(&self, digest: &Digest, env: &[(String, EnvValue)]) -> bool {
        self.digest == *digest && self.env.is_none_or(|own| own == digest_of(env))
    }
}

impl VersionSpec {
    /// The SHA-256 of the environment as it is declared: each name, where its value comes from, and the value or its
    /// place. Each part is preceded by its length, so that no two environments give the same bytes.
    pub fn env_digest(&self) -> Digest {
        digest_of(self.env())
    }
}

fn digest_of(env: &[(String, EnvValue)]) -> Digest {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    for (name, value) in env {
        let (kind, value) = match value {
            EnvValue::Plain(text) => ("plain", text.as_bytes()),
            EnvValue::Secret(SecretSource::File(path)) => {
                (SecretSource::FILE, path.as_os_str().as_encoded_bytes())
            }
            EnvValue::Secret(SecretSource::FromEnv(variable)) => {
                (SecretSource::FROM_ENV, variable.as_bytes())
            }
        };
        add(name.as_bytes());
        add(kind.as_bytes());
        add(value);
    }
    Digest::from_bytes(hash.finalize().into())
}

impl Service {
    /// The entry, if there is one, that keeps a version from traffic whose backend has this digest.
    pub fn quarantined(&self, spec: &VersionSpec, digest: &Digest) -> Option<&Quarantined> {
        self.quarantined_as(digest, spec.env())
    }

    /// The same for a version that is not declared yet, with its environment sorted by key.
    pub fn quarantined_as(
        &self,
        digest: &Digest,
        env: &[(String, EnvValue)],
    ) -> Option<&Quarantined> {
        self.quarantine.iter().find(|entry| entry.is_of(digest, env))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GuestSpec, ServiceName, Traffic};

    fn plain(text: &str) -> EnvValue {
        EnvValue::Plain(text.to_owned())
    }

    fn spec(env: &[(&str, EnvValue)]) -> VersionSpec {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let guest = GuestSpec { env: env.collect(), ..GuestSpec::new("/a.wasm") };
        VersionSpec::new(VersionName::new("v1").unwrap(), guest)
    }

    #[test]
    fn an_environment_is_told_from_every_other_by_its_digest() {
        let all = [
            spec(&[]),
            spec(&[("A", plain(""))]),
            spec(&[("A", plain("B"))]),
            spec(&[("A", EnvValue::Secret(SecretSource::File("B".into())))]),
            spec(&[("A", EnvValue::Secret(SecretSource::FromEnv("B".to_owned())))]),
            spec(&[("AB", plain(""))]),
            spec(&[("A", plain("")), ("B", plain(""))]),
            spec(&[("A", plain("B")), ("B", plain("A"))]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert_eq!(one.env_digest(), one.clone().env_digest());
            for other in &all[index + 1..] {
                assert_ne!(one.env_digest(), other.env_digest(), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn an_entry_holds_for_its_digest_and_its_environment_if_it_has_one() {
        let [bad, good] = [1, 2].map(|byte| Digest::from_bytes([byte; 32]));
        let (one, other) = (spec(&[("A", plain("1"))]), spec(&[("A", plain("2"))]));
        let service = |env| Service {
            name: ServiceName::new("shop").unwrap(),
            domains: Vec::new(),
            routes: Vec::new(),
            versions: Vec::new(),
            traffic: Traffic::Latest,
            policy: Default::default(),
            quarantine: vec![Quarantined {
                digest: bad,
                env,
                version: VersionName::new("v2").unwrap(),
                remark: None,
            }],
            file: "/shop.toml".into(),
        };
        let any = service(None);
        assert!(any.quarantined(&one, &bad).is_some() && any.quarantined(&other, &bad).is_some());
        assert!(any.quarantined(&one, &good).is_none());
        let only = service(Some(one.env_digest()));
        assert!(only.quarantined(&one, &bad).is_some());
        assert!(only.quarantined(&other, &bad).is_none());
        assert!(only.quarantined(&one, &good).is_none());
    }
}
