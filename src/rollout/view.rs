//! A service as it was seen last, and what follows from that.

use std::sync::Arc;

use super::deploy::Portion;
use super::refusal::Refusal;
use super::shares::Shares;
use crate::api::{ServiceDocument, Standing, VersionDocument};
use crate::config::{
    Digest, EnvironmentName, Percent, Quarantined, Service, VersionName, VersionSpec,
};
use crate::policy::{Case, Obstacle, Verdict, rescue};

/// A service as its file declares it and, where a process runs, as that serves it.
#[derive(Clone, Debug)]
pub struct ServiceView {
    pub environment: EnvironmentName,
    /// As its file declares it.
    pub service: Arc<Service>,
    /// Whether a process serves the files.
    has_process: bool,
    /// As the process serves it; none where no process runs, or where it does not serve it yet.
    served: Option<ServiceDocument>,
    /// Where each declared version stands.
    standings: Vec<Standing>,
}

impl ServiceView {
    /// A service of which a process says this; nothing if it does not serve it yet.
    pub fn of_process(
        environment: EnvironmentName,
        service: Arc<Service>,
        served: Option<ServiceDocument>,
    ) -> Self {
        let found = |spec: &VersionSpec| {
            let mut versions = served.iter().flat_map(|service| &service.versions);
            versions.find(|version| version.name == spec.name.as_str())
        };
        let standing = |spec| found(spec).map_or(Standing::Creating, standing_of);
        let standings = service.versions.iter().map(standing).collect();
        Self { environment, service, has_process: true, served, standings }
    }

    /// A service that no process serves. `standings` are those of its versions, as well as their files
    /// let them stand.
    pub fn of_files(
        environment: EnvironmentName,
        service: Arc<Service>,
        standings: Vec<Standing>,
    ) -> Self {
        Self { environment, service, has_process: false, served: None, standings }
    }

    /// Takes note of how a version stands, after a trial of it.
    pub fn learn(&mut self, name: &VersionName, standing: Standing) {
        let index = self.index(name);
        if let Some(known) = index.and_then(|index| self.standings.get_mut(index)) {
            *known = standing;
        }
    }

    /// Whether a process serves the files.
    pub fn has_process(&self) -> bool {
        self.has_process
    }

    /// How the process serves it, if it does.
    pub fn served(&self) -> Option<&ServiceDocument> {
        self.served.as_ref()
    }

    /// Why what the file declares is not what the process serves, if it is not.
    pub fn held(&self) -> Option<&str> {
        self.served.as_ref()?.held.as_deref()
    }

    /// A declared version.
    pub fn version(&self, name: &VersionName) -> Option<&VersionSpec> {
        self.service.versions.iter().find(|spec| spec.name == *name)
    }

    /// The names of the declared versions, in their order.
    pub fn names(&self) -> impl Iterator<Item = &VersionName> {
        self.service.versions.iter().map(|spec| &spec.name)
    }

    /// What a new version is to get where `wanted` is asked for: the first one gets everything.
    pub fn portion(&self, wanted: Portion) -> Portion {
        match self.service.versions.is_empty() {
            true => Portion::All,
            false => wanted,
        }
    }

    /// What requests get of the rescue version, in words, where it answers because no version has a share.
    pub fn stand_in(&self) -> Option<String> {
        let rescuer = self.served.as_ref()?.rescuer.as_deref()?;
        Some(rescue::answers(Some(rescuer)))
    }

    /// Who gets what: as it is served or, where nobody serves it, as a start would.
    pub fn shares(&self) -> Shares {
        match &self.served {
            Some(served) => Shares::served(served.versions.iter().filter_map(|version| {
                let name = VersionName::new(&version.name).ok()?;
                Some((name, Percent::from_f64(version.share).ok()?))
            })),
            None => self.at_start(),
        }
    }

    /// Who would get what from a process that starts with the files.
    pub fn at_start(&self) -> Shares {
        Shares::served(self.verdict().shares)
    }

    /// Who is to get what by the file once every version that is being made is normal. Under
    /// `latest = true` that is the last version that may have traffic then.
    pub fn declared(&self) -> Shares {
        Shares::declared(&self.service).unwrap_or_else(|| {
            let Verdict { eligibilities, .. } = self.verdict();
            let latest = eligibilities
                .iter()
                .rposition(|it| matches!(it.obstacle(), None | Some(Obstacle::Creating)));
            let spec = latest.and_then(|index| self.service.versions.get(index));
            spec.map_or_else(Shares::offline, |spec| Shares::all(spec.name.clone()))
        })
    }

    /// The most that a version gets: as it is served, as the file declares it, or as the next start
    /// would serve it.
    pub fn most(&self, version: &VersionName) -> Percent {
        let all = [self.shares(), self.declared(), self.at_start()];
        all.iter().map(|shares| shares.of(version)).max().unwrap_or_default()
    }

    /// What a process that starts with the files would serve, as far as it is known where versions
    /// stand.
    pub fn verdict(&self) -> Verdict {
        self.verdict_on(&self.service)
    }

    fn verdict_on(&self, service: &Service) -> Verdict {
        Case { service, standings: &self.standings, before: None }.verdict()
    }

    /// Where a declared version stands.
    pub fn standing(&self, name: &VersionName) -> Option<&Standing> {
        self.standings.get(self.index(name)?)
    }

    /// The digest of a version's component, where it is known.
    pub fn digest(&self, name: &VersionName) -> Option<Digest> {
        self.standing(name)?.digest()
    }

    /// Whether the process knows that no target of a version is healthy.
    pub fn is_unhealthy(&self, name: &VersionName) -> bool {
        let mut versions = self.served.iter().flat_map(|service| &service.versions);
        versions.any(|version| version.name == name.as_str() && version.unhealthy)
    }

    /// The entry that keeps a version from traffic, if one does.
    pub fn quarantine(&self, name: &VersionName) -> Option<Quarantined> {
        match self.obstacle(name)? {
            Obstacle::Quarantined(entry) => Some(entry),
            Obstacle::Reach(_) | Obstacle::Creating | Obstacle::Error(_) => None,
        }
    }

    /// Why a declared version takes no traffic, if it takes none.
    pub fn obstacle(&self, name: &VersionName) -> Option<Obstacle> {
        self.verdict().obstacle(self.index(name)?).cloned()
    }

    /// Whether a version may have traffic. A quarantine does not matter where it is `forced`.
    ///
    /// # Errors
    ///
    /// Where the version is not declared, or why it takes no traffic.
    pub fn may_take(&self, name: &VersionName, forced: bool) -> Result<(), Refusal> {
        let index = self.index(name).ok_or_else(|| self.unknown(name))?;
        let verdict = match forced {
            true => self
                .verdict_on(&Service { quarantine: Vec::new(), ..Service::clone(&self.service) }),
            false => self.verdict(),
        };
        match verdict.obstacle(index) {
            Some(obstacle) => Err(Refusal::of(&self.service.name, name, obstacle.clone())),
            None => Ok(()),
        }
    }

    /// That there is no such version, and which there are.
    pub fn unknown(&self, name: &VersionName) -> Refusal {
        Refusal::no_version(&self.service.name, name, self.names())
    }

    fn index(&self, name: &VersionName) -> Option<usize> {
        self.names().position(|known| known == name)
    }
}

fn standing_of(version: &VersionDocument) -> Standing {
    let digest = version.digest.as_ref().and_then(|digest| digest.parse().ok());
    match (&version.error, digest) {
        (Some(fault), _) => Standing::Error(fault.clone()),
        (None, Some(digest)) => Standing::Normal { digest },
        (None, None) => Standing::Creating,
    }
}
