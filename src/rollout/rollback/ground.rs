//! What a rollback stands on: what the file declares, what the process has made of it, and what is
//! where the history says.

use std::path::{Path, PathBuf};

use super::super::control::Control;
use super::super::restore::Ground;
use super::decision::State;
use crate::api::{Parts, Record, Served, Standing};
use crate::config::{EnvValue, GuestSpec, SecretSource, Service, VersionName, VersionSpec};
use crate::history::{Contents, MadeOf, VALUE};
use crate::policy::Obstacle;

/// A service now, and what was recorded of it last.
pub struct Now<'a, C> {
    control: &'a C,
    /// What the process that runs serves; none where none runs, or where it is not recorded.
    served: Option<Contents<'a>>,
}

/// What would be served by the files, where no process serves.
#[derive(Debug)]
pub struct Declared {
    served: Served,
    parts: Parts,
}

impl<'a, C: Control> Now<'a, C> {
    /// `newest` is the last record of the service.
    pub fn new(control: &'a C, newest: Option<&'a Record>, parts: &'a Parts) -> Self {
        let newest = newest.filter(|_| control.view().has_process());
        Self { control, served: newest.and_then(|newest| newest.contents(parts)) }
    }

    /// What the files declare.
    pub fn declared(&self) -> Declared {
        let service = &self.control.view().service;
        let versions = service.versions.iter().enumerate().map(|(index, spec)| {
            let made_of = MadeOf { digest: self.made_of(spec), secrets: self.secrets(spec) };
            let declaration = spec.written_with(service.policy.reach_of(index));
            (spec.name.to_string(), declaration, made_of)
        });
        let mut parts = Parts::default();
        let served = Served::new(service.written(), versions, &mut parts);
        Declared { served, parts }
    }

    fn secrets(&self, spec: &VersionSpec) -> Vec<(String, String)> {
        let secret = |(key, value): &(String, EnvValue)| {
            let digest = self.secret(spec.name.as_str(), key, value.secret()?).ok()?;
            Some((key.clone(), digest))
        };
        spec.env().iter().filter_map(secret).collect()
    }

    /// What is served now: as it was recorded, or as files declare it where nobody serves.
    pub fn state<'b>(&'b self, declared: &'b Declared) -> State<'b> {
        let view = self.control.view();
        let contents = match view.has_process() {
            true => self.served.clone(),
            false => declared.served.contents(&declared.parts),
        };
        State { shares: view.shares(), contents }
    }

    /// What the process serves of a secret, where it serves this one.
    fn served_secret(&self, version: &str, key: &str, place: &SecretSource) -> Option<String> {
        let value = self.served.as_ref()?.version(version)?.get("env")?.get(key)?;
        let is_it = EnvValue::read(value)?.secret() == Some(place);
        Some(value.get(VALUE).filter(|_| is_it)?.as_str()?.to_owned())
    }
}

impl<C: Control> Ground for Now<'_, C> {
    fn service(&self) -> &Service {
        &self.control.view().service
    }

    fn may_serve(&self, version: &VersionName, digest_then: Option<&str>) -> Result<(), String> {
        let view = self.control.view();
        if view.version(version).is_none() {
            return Err("is not declared any more".to_owned());
        }
        match view.obstacle(version) {
            Some(Obstacle::Reach(reach)) => {
                return Err(format!("has the reach `{}` now", reach.as_str()));
            }
            Some(obstacle) => return Err(obstacle.to_string()),
            None => {}
        }
        let now = view.digest(version).map(|digest| digest.to_string());
        match digest_then.is_none() || now.as_deref() == digest_then {
            true => Ok(()),
            false => Err("has another component now".to_owned()),
        }
    }

    fn made_of(&self, spec: &VersionSpec) -> Option<String> {
        match self.control.view().standing(&spec.name) {
            Some(Standing::Normal { digest }) => Some(digest.to_string()),
            // What keeps it from being normal need not be the component.
            _ => {
                let of_file = |guest: &GuestSpec| self.digest_at(&guest.component).ok();
                spec.guest()
                    .map_or_else(|| spec.declared_digest().map(|it| it.to_string()), of_file)
            }
        }
    }

    fn digest_at(&self, component: &Path) -> Result<String, String> {
        self.control.digest_at(component)
    }

    fn stored(&self, digest: &str) -> Option<PathBuf> {
        self.control.stored(digest)
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
            SecretSource::File(_) => self.control.secret_digest(key, place),
        }
    }
}
