//! What a rollback stands on: what the file declares, what the process has made of it, and what is
//! where the history says.

use std::path::Path;

use super::super::standing;
use super::super::target::Target;
use crate::config::{EnvValue, Reach, SecretSource, Service, VersionName, VersionSpec};
use crate::history::{Contents, Made, Parts, Record, Served, VALUE};
use crate::policy::Standing;
use crate::rollout::{Ground, State, Versions};
use crate::versions::secret_digest;

/// A service, and what was recorded of it last.
pub struct Site<'a> {
    target: &'a Target,
    /// What the process that runs serves; none where none runs, or where it is not recorded.
    served: Option<Contents<'a>>,
}

/// What would be served by the files, where no process serves.
#[derive(Debug)]
pub struct Declared {
    served: Served,
    parts: Parts,
}

impl<'a> Site<'a> {
    pub fn new(target: &'a Target, newest: Option<&'a Record>, parts: &'a Parts) -> Self {
        let newest = newest.filter(|_| target.process.is_some());
        Self { target, served: newest.and_then(|newest| newest.contents(parts)) }
    }

    /// What the files declare.
    pub fn declared(&self) -> Declared {
        let service = &self.target.service;
        let versions = service.versions.iter().enumerate().map(|(index, spec)| {
            let made = Made { digest: self.made_of(spec), secrets: self.secrets(spec) };
            (spec, service.policy.reach_of(index), made)
        });
        let mut parts = Parts::default();
        let served = Served::new(service, versions, &mut parts);
        Declared { served, parts }
    }

    fn secrets(&self, spec: &VersionSpec) -> Vec<(String, String)> {
        let secret = |(key, value): &(String, EnvValue)| {
            let digest = self.secret(spec.name.as_str(), key, value.secret()?).ok()?;
            Some((key.clone(), digest))
        };
        spec.env.iter().filter_map(secret).collect()
    }

    /// What is served now: as it was recorded, or as files declare it where nobody serves.
    pub fn now(&'a self, declared: &'a Declared) -> State<'a> {
        let contents = match self.target.process {
            Some(_) => self.served.clone(),
            None => declared.served.contents(&declared.parts),
        };
        State { shares: self.target.shares(), contents }
    }

    /// What the process serves of a secret, where it serves this one.
    fn served_secret(&self, version: &str, key: &str, place: &SecretSource) -> Option<String> {
        let value = self.served.as_ref()?.version(version)?.get("env")?.get(key)?;
        let is_it = EnvValue::read(value)?.secret() == Some(place);
        Some(value.get(VALUE).filter(|_| is_it)?.as_str()?.to_owned())
    }
}

impl Versions for Site<'_> {
    fn may_serve(&self, version: &VersionName, digest_then: Option<&str>) -> Result<(), String> {
        let service = &self.target.service;
        let index = service.versions.iter().position(|spec| spec.name == *version);
        match index.map_or(Reach::Live, |index| service.policy.reach_of(index)) {
            Reach::Live => self.target.may_serve(version, digest_then),
            reach => Err(format!("has the reach `{}` now", reach.as_str())),
        }
    }
}

impl Ground for Site<'_> {
    fn service(&self) -> &Service {
        &self.target.service
    }

    fn made_of(&self, spec: &VersionSpec) -> Option<String> {
        match self.target.standing(spec) {
            Standing::Normal { digest } => Some(digest.to_string()),
            // What keeps it from being normal need not be the component.
            Standing::Creating | Standing::Error(_) => self.digest_at(&spec.component).ok(),
        }
    }

    fn digest_at(&self, component: &Path) -> Result<String, String> {
        standing::digest(component)
    }

    /// The process's word goes first: it need not run as the user of this command.
    fn secret(&self, version: &str, key: &str, place: &SecretSource) -> Result<String, String> {
        if let Some(digest) = self.served_secret(version, key, place) {
            return Ok(digest);
        }
        match place {
            SecretSource::FromEnv(variable) => {
                Err(format!("the variable {variable} is that of the process that serves"))
            }
            SecretSource::File(_) => secret_digest(key, place),
        }
    }
}
