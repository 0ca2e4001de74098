//! A new version beside those that serve, and traffic for it once it is normal.
//!
//! The file must say at any time what can be served. So the version is declared without traffic, and
//! gets its share in a second edit, once the process has made it normal. Where no process runs, both
//! are one edit, which is put back if a trial of the version fails.

mod failed;
mod proposal;

use std::fmt;
use std::time::Duration;

use super::control::{Control, Done, Edit, Edited, Note, Step, prove, settled};
use super::refusal::Refusal;
use super::shares::Shares;
use super::view::ServiceView;
use crate::api::Standing;
use crate::code::Coded;
use crate::config::{EnvValue, Percent, Quarantined, Service, Traffic, VersionName};
use crate::edit::{NewBackend, NewVersion};
use crate::policy::Obstacle;

pub use proposal::proposal;

/// What is to be deployed, and how.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub version: NewVersion,
    /// What it gets once it is normal. A service's first version gets everything.
    pub portion: Portion,
    /// Whether it goes in the place of the version of its name, with what that one gets.
    pub replaces: bool,
    /// Whether the service was made for it: its file goes again if the version fails.
    pub creates: bool,
    /// Whether a quarantine of it is removed, and it gets traffic although no target of it is healthy.
    pub forced: bool,
    /// Whether a version that cannot become normal stays in the file, without traffic.
    pub keeps_failed: bool,
    /// How long the process may take to make it.
    pub patience: Duration,
    pub note: Note,
}

/// What a new version is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Portion {
    All,
    /// Nothing, until somebody gives it some.
    Hold,
    /// A part, which the others give up in proportion.
    Share(Percent),
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Hold => f.write_str("hold"),
            Self::Share(share) => share.fmt(f),
        }
    }
}

/// Deploys a version to a service that exists.
///
/// # Errors
///
/// Where the deployment makes no sense: nothing is done then. Where the version does not become
/// normal, or something fails on the way: the error says how things stand.
pub fn deploy<C: Control>(control: &mut C, deployment: &Deployment) -> Result<Done, C::Error> {
    let portion = control.view().portion(deployment.portion);
    let mut run = Run { control, deployment, portion };
    run.check()?;
    let before = run.control.view().shares();
    let edited = run.declare()?;
    run.conclude(before, edited)
}

/// Goes on with a service that was made for the version, which its file declares by now, with all of
/// the traffic.
///
/// # Errors
///
/// As those of [`deploy`].
pub fn conclude<C: Control>(
    control: &mut C,
    deployment: &Deployment,
    edited: Edited<C::Saved>,
) -> Result<Done, C::Error> {
    Run { control, deployment, portion: Portion::All }.conclude(Shares::offline(), edited)
}

struct Run<'a, C> {
    control: &'a mut C,
    deployment: &'a Deployment,
    portion: Portion,
}

impl<C: Control> Run<'_, C> {
    fn view(&self) -> &ServiceView {
        self.control.view()
    }

    fn name(&self) -> &VersionName {
        &self.deployment.version.name
    }

    fn is_latest(&self) -> bool {
        self.view().service.traffic == Traffic::Latest
    }

    /// Refuses what can be known to be wrong before anything is done.
    fn check(&mut self) -> Result<(), C::Error> {
        self.check_version()?;
        if self.divides() {
            prove(self.control)?;
            self.shares()?;
        }
        Ok(())
    }

    /// Whether the file is to say what the others get.
    fn divides(&self) -> bool {
        match self.portion {
            Portion::All => false,
            Portion::Hold => self.is_latest() && !self.deployment.replaces,
            Portion::Share(_) => true,
        }
    }

    fn check_version(&self) -> Result<(), Refusal> {
        let (view, Deployment { version, replaces, .. }) = (self.view(), self.deployment);
        let (service, name) = (view.service.name.clone(), version.name.clone());
        match (view.version(&name), replaces) {
            (Some(_), false) => return Err(Refusal::Exists { service, version: name }),
            (None, true) => return Err(view.unknown(&name)),
            _ => {}
        }
        let others = view.service.versions.iter().filter(|spec| spec.name != name);
        for other in others {
            let Some(guest) = other.guest() else { continue };
            let is_pinned = guest.digest.is_some_and(|digest| digest != version.digest);
            if version.component() == Some(&guest.component) && is_pinned {
                let (component, other) = (guest.component.clone(), other.name.clone());
                return Err(Refusal::OverwritesComponent { component, other });
            }
        }
        let is_kept_out = self.quarantined().is_some() && !self.deployment.forced;
        match is_kept_out && self.gets_traffic() {
            true => Err(Refusal::Quarantined { service, version: name }),
            false => Ok(()),
        }
    }

    fn gets_traffic(&self) -> bool {
        match self.portion {
            Portion::Hold if !self.deployment.replaces => false,
            Portion::Hold => self.view().shares().of(self.name()) > Percent::ZERO,
            Portion::All | Portion::Share(_) => true,
        }
    }

    /// The quarantine of what is deployed, under whatever name it was before.
    fn quarantined(&self) -> Option<&Quarantined> {
        let NewVersion { name, backend, digest, .. } = &self.deployment.version;
        let env = match backend {
            NewBackend::Component { env, .. } if !env.is_empty() => plain(env),
            NewBackend::Component { .. } => {
                self.view().version(name).map_or_else(Vec::new, |replaced| replaced.env().to_vec())
            }
            NewBackend::Upstream(_) => Vec::new(),
        };
        self.view().service.quarantined_as(digest, &env)
    }

    /// Adds the version to the file, or puts it in the place of the old one.
    fn declare(&mut self) -> Result<Edited<C::Saved>, C::Error> {
        let edit = self.declaration(self.first_shares()?);
        self.control.edit(&edit, self.deployment.note.clone())
    }

    /// The version in the file, with a split beside it if there is one to write.
    fn declaration(&self, shares: Option<Shares>) -> Edit {
        let version = self.deployment.version.clone();
        let split = shares.map(|shares| split(&self.view().service, Some(self.name()), &shares));
        let declared = match self.deployment.replaces {
            true => Step::Replace(version),
            false => Step::Add(version),
        };
        let released = self.quarantined().filter(|_| self.deployment.forced).cloned();
        let steps = [declared].into_iter().chain(split).chain(released.map(Step::Release));
        Edit(steps.collect())
    }

    /// The split that is written together with the version; none if the traffic stays as it is.
    fn first_shares(&self) -> Result<Option<Shares>, Refusal> {
        let (has_process, is_first) =
            (self.view().has_process(), self.view().service.versions.is_empty());
        Ok(match self.portion {
            _ if self.deployment.replaces => None,
            _ if !has_process => self.shares()?,
            // `latest = true` gives it everything by itself.
            Portion::All if is_first || self.is_latest() => None,
            _ if self.is_latest() => Some(self.others()?),
            _ => None,
        })
    }

    /// The split that is wanted in the end; none if the file's traffic stays as it is.
    fn shares(&self) -> Result<Option<Shares>, Refusal> {
        let name = self.name();
        Ok(match self.portion {
            Portion::All if self.is_latest() => None,
            Portion::Hold if self.is_latest() => Some(self.others()?),
            Portion::Hold => None,
            Portion::All => Some(Shares::all(name.clone())),
            Portion::Share(share) => Some(self.others()?.with(name, share)?),
        })
    }

    /// What the others get now: as it is served or would be, so that the file says nothing that is
    /// not. Nobody gets anything where nothing of the service can be had.
    ///
    /// Refused where the file's split waits for a version, so that it would be overwritten, or lost.
    fn others(&self) -> Result<Shares, Refusal> {
        let (view, name) = (self.view(), &self.view().service.name);
        let shares = view.shares();
        if let Some((version, obstacle)) = self.waits_for() {
            let is_lost = view.served().is_none() && shares.is_offline();
            if obstacle == Obstacle::Creating || is_lost {
                return Err(Refusal::of(name, &version, obstacle));
            }
        }
        let is_gone = |(version, _): &(&VersionName, Percent)| view.version(version).is_none();
        let gone = shares.takers().find(is_gone).map(|(version, _)| version.clone());
        match gone {
            Some(version) => Err(Refusal::NotDeclared { service: name.clone(), version }),
            None => Ok(shares),
        }
    }

    /// What keeps the file's split from being served, if something does.
    fn waits_for(&self) -> Option<(VersionName, Obstacle)> {
        let view = self.view();
        let (declared, verdict) = (Shares::declared(&view.service)?, view.verdict());
        let versions = view.names().zip(&verdict.eligibilities);
        let mut waiting = versions.filter(|(name, _)| declared.of(name) > Percent::ZERO);
        waiting
            .find_map(|(name, eligibility)| Some((name.clone(), eligibility.obstacle()?.clone())))
    }

    /// Waits for the version that is declared now, and does what its standing asks for.
    fn conclude(self, before: Shares, edited: Edited<C::Saved>) -> Result<Done, C::Error> {
        let (name, digest) = (self.name().clone(), self.deployment.version.digest);
        match settled(self.control, &name, self.deployment.patience) {
            // Others may have edited the file meanwhile: what they made of the version is theirs.
            Ok(Standing::Normal { digest: made }) if made != digest => {
                let service = self.view().service.name.clone();
                Err(half_done(&Refusal::Replaced { service, version: name }, self.as_it_stands()))
            }
            Ok(Standing::Normal { .. }) => self.give(before, edited.generation),
            Ok(Standing::Error(fault)) => Err(self.fail(edited, fault)),
            Ok(Standing::Creating) => Err(self.too_slow()),
            // What nobody could try must not wait in the file for the next start.
            Err(error) if !self.view().has_process() => {
                let back = self.control.put_back(edited, self.deployment.note.put_back());
                Err(half_done(&error, self.words(&back)))
            }
            Err(error) => Err(half_done(&error, self.as_it_stands())),
        }
    }

    /// Gives the version, which is normal, what it is to get.
    fn give(mut self, before: Shares, generation: Option<u64>) -> Result<Done, C::Error> {
        match self.shift() {
            Ok(shifted) => Ok(Done { before, generation: shifted.or(generation), is_change: true }),
            Err(error) => {
                let (service, name) = (&self.view().service.name, self.name());
                let left = format!(
                    "{name} is normal, and the traffic is as it was: give it some by `watershed \
                     traffic {service} …`"
                );
                Err(half_done(&error, left))
            }
        }
    }

    /// Writes the split that is wanted in the end, if the file does not say it already. Returns the
    /// generation of that edit.
    fn shift(&mut self) -> Result<Option<u64>, C::Error> {
        // Others may have edited the file while this one waited.
        self.control.reread()?;
        if self.deployment.replaces || !self.view().has_process() {
            return Ok(None);
        }
        if self.view().version(self.name()).is_none() {
            return Err(self.view().unknown(self.name()).into());
        }
        let Some(shares) = self.shares()? else { return Ok(None) };
        let written = Shares::declared(&self.view().service);
        if written.is_some_and(|written| written.is_same(&shares)) {
            return Ok(None);
        }
        let is_given_some = shares.of(self.name()) > Percent::ZERO && !self.deployment.forced;
        if is_given_some && self.view().is_unhealthy(self.name()) {
            let service = self.view().service.name.clone();
            return Err(Refusal::Unhealthy { service, version: self.name().clone() }.into());
        }
        let edit = Edit(vec![split(&self.view().service, None, &shares)]);
        Ok(self.control.edit(&edit, self.deployment.note.clone())?.generation)
    }
}

fn half_done<E: From<Refusal>>(why: &impl Coded, left: String) -> E {
    Refusal::HalfDone { why: why.told(), fault: None, left }.into()
}

/// Variables as the configuration has them: sorted, and each with a value of its own.
fn plain(env: &[(String, String)]) -> Vec<(String, EnvValue)> {
    let plain = |(name, value): &(String, String)| (name.clone(), EnvValue::Plain(value.clone()));
    let mut env: Vec<_> = env.iter().map(plain).collect();
    env.sort_by(|(one, _), (other, _)| one.cmp(other));
    env
}

/// Shares of every version, so that those without any are seen, and of a new one.
fn split(service: &Service, new: Option<&VersionName>, shares: &Shares) -> Step {
    let names = service.versions.iter().map(|spec| &spec.name).chain(new);
    Step::Split(shares.over(names))
}
