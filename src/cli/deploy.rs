//! `watershed deploy`: a new version beside those that serve, and traffic for it once it is normal.

mod arguments;

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;

use super::CliError;
use super::outcome::{Outcome, Report};
use super::refusal::Refusal;
use super::site::Site;
use super::target::{Edited, Note, Target};
use crate::config::{
    Digest, EnvValue, Percent, Quarantined, Service, Traffic, VersionName, show_duration,
};
use crate::edit::{NewVersion, ServiceText};
use crate::policy::{Fault, Obstacle, Standing};
use crate::rollout::Shares;
use crate::source::ServiceFile;
use crate::versions::digest_at;

use arguments::Wanted;
pub(super) use arguments::{Arguments, patience};

pub(super) fn deploy(path: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    if let Some(name) = twice(&arguments.env) {
        return Err(CliError::EnvTwice(name.to_owned()));
    }
    let component = std::path::absolute(&arguments.component)?;
    let digest = digest_of(&component)?;
    let version = NewVersion {
        name: arguments.version.clone(),
        component,
        digest,
        env: arguments.env.clone(),
        remark: arguments.remark.clone(),
    };
    if arguments.new_service {
        let site = Site::open(path, &arguments.common)?;
        return Deployment::create(site, arguments, version)?.finish();
    }
    let target = Target::find(path, &arguments.common, arguments.service.as_str())?;
    let wanted = match arguments.traffic {
        _ if target.service.versions.is_empty() => Wanted::All,
        wanted => wanted.unwrap_or(Wanted::Hold),
    };
    let mut deployment = Deployment { target, arguments, version, wanted };
    deployment.check()?;
    deployment.run()
}

/// A variable that is given more than once.
fn twice(env: &[(String, String)]) -> Option<&str> {
    let mut seen = HashSet::new();
    env.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
}

fn digest_of(component: &Path) -> Result<Digest, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(digest_at(component))?)
}

struct Deployment<'a> {
    target: Target,
    arguments: &'a Arguments,
    version: NewVersion,
    /// A service's first version takes everything.
    wanted: Wanted,
}

impl<'a> Deployment<'a> {
    /// A new service of this one version.
    fn create(
        site: Site,
        arguments: &'a Arguments,
        version: NewVersion,
    ) -> Result<Created<'a>, CliError> {
        let place = site.place(arguments.common.environment.as_deref(), &arguments.service)?;
        let mut file = ServiceFile::create(&place, &arguments.service, &arguments.domain)?;
        file.text.add_version(&version);
        file.text.set_split(&[(version.name.clone(), Percent::ALL)]);
        let saved = file.save(site.main())?;
        let target = Target::created(site, &arguments.common, arguments.service.as_str())?;
        let mut deployment = Self { target, arguments, version, wanted: Wanted::All };
        let note = deployment.note();
        let edited = deployment.target.published(saved, note)?;
        Ok(Created { deployment, edited })
    }

    /// Refuses what can be known to be wrong before anything is done.
    fn check(&mut self) -> Result<(), CliError> {
        self.check_version()?;
        if self.divides() {
            self.target.prove()?;
            self.shares()?;
        }
        Ok(())
    }

    /// Whether the file is to say what the others get.
    fn divides(&self) -> bool {
        match self.wanted {
            Wanted::All => false,
            Wanted::Hold => self.is_latest() && !self.arguments.replace,
            Wanted::Share(_) => true,
        }
    }

    fn check_version(&self) -> Result<(), CliError> {
        let Self { target, arguments, version, wanted } = self;
        let service = target.service.name.clone();
        match (target.version(&version.name), arguments.replace) {
            (Some(_), false) => {
                return Err(Refusal::Exists { service, version: version.name.clone() }.into());
            }
            (None, true) => return Err(target.unknown(&version.name)),
            _ => {}
        }
        let others = target.service.versions.iter().filter(|spec| spec.name != version.name);
        for other in others.filter(|spec| spec.component == version.component) {
            if other.digest.is_some_and(|digest| digest != version.digest) {
                let component = version.component.clone();
                return Err(
                    Refusal::OverwritesComponent { component, other: other.name.clone() }.into()
                );
            }
        }
        let gets_traffic = match wanted {
            Wanted::Hold if !arguments.replace => false,
            Wanted::Hold => target.shares().of(&version.name) > Percent::ZERO,
            Wanted::All | Wanted::Share(_) => true,
        };
        let quarantined = self.quarantined().is_some() && gets_traffic && !arguments.force;
        match quarantined {
            true => Err(Refusal::Quarantined { service, version: version.name.clone() }.into()),
            false => Ok(()),
        }
    }

    /// The quarantine of what is deployed, under whatever name it was before.
    fn quarantined(&self) -> Option<&Quarantined> {
        let replaced = self.target.version(&self.version.name);
        let env = match replaced.filter(|_| self.version.env.is_empty()) {
            Some(spec) => spec.env.clone(),
            None => plain(&self.version.env),
        };
        self.target.service.quarantined_as(&self.version.digest, &env)
    }

    fn run(mut self) -> Result<ExitCode, CliError> {
        let before = self.target.shares();
        let edited = self.declare()?;
        match self.standing()? {
            Standing::Normal { .. } => self.give(before, edited),
            Standing::Error(fault) => {
                let put_back = self.arguments.replace || self.target.process.is_none();
                self.fail(edited, fault, put_back)
            }
            Standing::Creating => Err(self.too_slow()),
        }
    }

    /// How the version stands in the end: as the process says, or as a trial does.
    fn standing(&mut self) -> Result<Standing, CliError> {
        let name = &self.version.name;
        match self.target.process {
            Some(_) => self.target.wait(name, self.arguments.timeout),
            None => self.target.try_out(name),
        }
    }

    /// Adds the version to the file, or puts it in the place of the old one. Where no process runs, it
    /// gets its traffic in the same edit, which is put back if a trial of the version fails.
    fn declare(&mut self) -> Result<Edited, CliError> {
        let shares = match (&self.target.process, self.wanted) {
            _ if self.arguments.replace => None,
            (None, _) => self.shares()?,
            (Some(_), Wanted::All) if self.target.service.versions.is_empty() => None,
            // `latest = true` gives it everything by itself.
            (Some(_), Wanted::All) if self.is_latest() => None,
            (Some(_), _) if self.is_latest() => Some(self.others()?),
            (Some(_), _) => None,
        };
        let note = self.note();
        let (version, replace) = (&self.version, self.arguments.replace);
        let released = self.released();
        self.target.edit(note, |file, service| {
            if replace {
                file.replace_version(version);
            } else {
                file.add_version(version);
            }
            if let Some(shares) = &shares {
                set(file, service, Some(&version.name), shares);
            }
            if let Some(entry) = &released {
                file.release(entry);
            }
        })
    }

    fn released(&self) -> Option<Quarantined> {
        self.quarantined().filter(|_| self.arguments.force).cloned()
    }

    fn is_latest(&self) -> bool {
        self.target.service.traffic == Traffic::Latest
    }

    /// The split that is wanted in the end; none if the file's traffic stays as it is.
    fn shares(&self) -> Result<Option<Shares>, CliError> {
        let name = &self.version.name;
        Ok(match self.wanted {
            Wanted::All if self.is_latest() => None,
            Wanted::Hold if self.is_latest() => Some(self.others()?),
            Wanted::Hold => None,
            Wanted::All => Some(Shares::all(name.clone())),
            Wanted::Share(share) => Some(self.others()?.with(name, share)?),
        })
    }

    /// What the others get now: as it is served or would be, so that the file says nothing that is
    /// not. Nobody gets anything where nothing of the service can be had.
    ///
    /// # Errors
    ///
    /// Where the file's split waits for a version, so that it would be overwritten, or lost.
    fn others(&self) -> Result<Shares, CliError> {
        let (target, name) = (&self.target, &self.target.service.name);
        let shares = target.shares();
        if let Some((version, obstacle)) = self.waits_for() {
            let is_lost = target.served().is_none() && shares.is_offline();
            if obstacle == Obstacle::Creating || is_lost {
                return Err(Refusal::of(name, &version, obstacle).into());
            }
        }
        let is_gone = |(version, _): &(&VersionName, Percent)| target.version(version).is_none();
        let gone = shares.takers().find(is_gone).map(|(version, _)| version.clone());
        match gone {
            Some(version) => Err(Refusal::NotDeclared { service: name.clone(), version }.into()),
            None => Ok(shares),
        }
    }

    /// What keeps the file's split from being served, if something does.
    fn waits_for(&self) -> Option<(VersionName, Obstacle)> {
        let (declared, verdict) = (Shares::declared(&self.target.service)?, self.target.verdict());
        let versions = self.target.names().zip(&verdict.footings);
        let mut waiting = versions.filter(|(name, _)| declared.of(name) > Percent::ZERO);
        waiting.find_map(|(name, footing)| Some((name.clone(), footing.obstacle()?.clone())))
    }

    /// The version is normal: gives it what it is to get.
    fn give(mut self, before: Shares, edited: Edited) -> Result<ExitCode, CliError> {
        // Others may have edited the file while this one waited.
        self.target.reload()?;
        let shares = match (self.arguments.replace, &self.target.process) {
            (false, Some(_)) => self.shares()?,
            _ => None,
        };
        let written = Shares::declared(&self.target.service);
        let is_written = |shares: &Shares| written.is_some_and(|written| written.is_same(shares));
        let Some(shares) = shares.filter(|shares| !is_written(shares)) else {
            return self.report(&before, &edited).print();
        };
        let note = self.note();
        let edited = self.target.edit(note, |file, service| set(file, service, None, &shares))?;
        self.report(&before, &edited).print()
    }

    /// The version is in error: says so, and puts the file back if it is not to stay there: what was
    /// replaced, a new service, and all that no process serves.
    fn fail(mut self, edited: Edited, fault: Fault, put_back: bool) -> Result<ExitCode, CliError> {
        let (service, version) = (self.target.service.name.clone(), self.version.name.clone());
        if put_back {
            let mut note = self.note();
            note.command = format!("{} (put back)", note.command);
            self.target.revert(edited, note)?;
        }
        let left = match (self.arguments.replace, put_back) {
            (true, _) => format!("{version} is again what it was"),
            (false, true) => "nothing was changed".to_owned(),
            (false, false) => format!(
                "the traffic is as it was; {version} stays declared without any: `--replace` it, or \
                 `watershed delete {service} {version}`"
            ),
        };
        let refusal = Box::new(Refusal::InError { service, version, fault });
        Err(CliError::Failed { refusal, left })
    }

    fn too_slow(&self) -> CliError {
        let patience = show_duration(self.arguments.timeout);
        let (service, version) = (self.target.service.name.clone(), self.version.name.clone());
        Refusal::TooSlow { service, version, patience }.into()
    }

    fn shown(&self) -> String {
        match self.wanted {
            Wanted::All => "all".to_owned(),
            Wanted::Hold => "hold".to_owned(),
            Wanted::Share(share) => share.to_string(),
        }
    }

    /// Without the environment's values, which may be secret.
    fn note(&self) -> Note {
        let Arguments { service, version, replace, .. } = self.arguments;
        let how =
            if *replace { "--replace".to_owned() } else { format!("--traffic {}", self.shown()) };
        Note {
            command: format!("watershed deploy {service} {version} {how}"),
            remark: self.arguments.remark.clone(),
            restores: None,
        }
    }

    fn report<'b>(&'b self, before: &'b Shares, edited: &Edited) -> Report<'b> {
        let outcome = match self.target.process {
            Some(_) => Outcome::Normal(&self.version.name),
            None => Outcome::Declared(&self.version.name),
        };
        Report::new(&self.target, outcome, before, edited.generation, self.arguments.common.json)
    }
}

/// A service that was created, and its first version.
struct Created<'a> {
    deployment: Deployment<'a>,
    edited: Edited,
}

impl Created<'_> {
    fn finish(self) -> Result<ExitCode, CliError> {
        let Self { mut deployment, edited } = self;
        match deployment.standing()? {
            Standing::Normal { .. } => deployment.report(&Shares::offline(), &edited).print(),
            Standing::Error(fault) => deployment.fail(edited, fault, true),
            Standing::Creating => Err(deployment.too_slow()),
        }
    }
}

/// Variables as the configuration has them: sorted, and each with a value of its own.
fn plain(env: &[(String, String)]) -> Vec<(String, EnvValue)> {
    let plain = |(name, value): &(String, String)| (name.clone(), EnvValue::Plain(value.clone()));
    let mut env: Vec<_> = env.iter().map(plain).collect();
    env.sort_by(|(one, _), (other, _)| one.cmp(other));
    env
}

/// Writes shares, of every version so that those without any are seen, and of a new one.
fn set(file: &mut ServiceText, service: &Service, new: Option<&VersionName>, shares: &Shares) {
    let names = service.versions.iter().map(|spec| &spec.name).chain(new);
    file.set_split(&shares.over(names));
}
