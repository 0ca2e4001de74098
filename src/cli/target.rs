//! The service that a command is about: as its file declares it and, where a process runs, as it is
//! served. The commands of an upgrade look at it, decide, and change the file through it; the
//! process is told to read the file, and is asked what came of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::common::Common;
use super::files::{self, Files, Served};
use super::process::{Process, ProcessError};
use super::progress::Waiting;
use super::refusal::Refusal;
use super::select;
use super::site::{Site, load};
use super::{CliError, standing, trial};
use crate::admin::HistoryDocument;
use crate::admin::status::{ReloadDocument, ServiceDocument, StatusDocument, VersionDocument};
use crate::config::{
    AdminSettings, Digest, EnvironmentName, Percent, Quarantined, Report, Service, VersionName,
    VersionSpec,
};
use crate::edit::ServiceText;
use crate::history::{Attribution, History};
use crate::policy::explain::Explanation;
use crate::policy::{Case, Fault, Obstacle, Standing, Verdict};
use crate::rollout::{Shares, Versions};
use crate::runtime::digest_of;
use crate::source::{FILE_MAX, Saved, ServiceFile, read_file};

/// How often the process is asked how far it is: often at first, for what takes no time.
const LOOKS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(5)..=Duration::from_millis(200);

/// How many records of its history a rollback looks through: all of them.
const WHOLE_HISTORY: usize = 1_000;

/// A service, where it is declared, and who serves it.
pub(super) struct Target {
    files: Files,
    admin: AdminSettings,
    state: PathBuf,
    pub environment: EnvironmentName,
    pub service: Arc<Service>,
    pub process: Option<Process>,
    served: Option<ServiceDocument>,
    /// What came of trials, where no process runs.
    tried: Vec<(VersionSpec, Standing)>,
}

/// What a command has done to a service's file, and what a process makes of it.
pub(super) struct Edited {
    pub saved: Saved,
    /// The generation that is served with it; none where no process runs.
    pub generation: Option<u64>,
}

/// What the history says of an edit.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    /// The command, without what it was told in confidence.
    pub command: String,
    pub remark: Option<String>,
    /// The generation that a rollback went back to.
    pub restores: Option<u64>,
}

impl Target {
    /// Finds a service in the files, and in the process that serves them.
    ///
    /// # Errors
    ///
    /// Where there is no such service, its file is wrong, or the process says something strange.
    pub fn find(path: &Path, common: &Common, name: &str) -> Result<Self, CliError> {
        let Some(served) = files::served(path, common, name)? else {
            return Self::within(Site::open(path, common)?, common, name);
        };
        let Served { files, process, environment, service, admin, state } = served;
        let (process, served, tried) = (Some(process), None, Vec::new());
        let mut target = Self { files, admin, state, environment, service, process, served, tried };
        target.look()?;
        Ok(target)
    }

    /// Finds it in the files alone.
    pub fn find_offline(path: &Path, common: &Common, name: &str) -> Result<Self, CliError> {
        Self::within(Site::open_offline(path)?, common, name)
    }

    /// What the process that serves it would do with a request.
    pub fn ask_to_explain(&self, question: &str) -> Result<Option<Explanation>, CliError> {
        let Some(process) = &self.process else { return Ok(None) };
        let (environment, service) = (&self.environment, &self.service.name);
        let path =
            format!("/api/v1/explain?environment={environment}&service={service}&{question}");
        Ok(Some(process.get(&path)?))
    }

    /// The same in what is loaded already.
    pub fn within(site: Site, common: &Common, name: &str) -> Result<Self, CliError> {
        // What is wrong with its file says more than that it is unknown, or was right once.
        if let Some(report) = site.report(name) {
            return Err(CliError::Config(report));
        }
        let Site { loader, loaded, process } = site;
        let config = &loaded.config;
        let (environment, service) = select::service(config, common.environment.as_deref(), name)?;
        let (environment, service) = (environment.name.clone(), service.clone());
        let (admin, state) = (config.admin.clone(), config.state.directory.clone());
        let (served, tried) = (None, Vec::new());
        let mut target = Self {
            files: Files::of(loader),
            admin,
            state,
            environment,
            service,
            process,
            served,
            tried,
        };
        target.look()?;
        Ok(target)
    }

    /// A service whose file has just been written.
    pub fn created(mut site: Site, common: &Common, name: &str) -> Result<Self, CliError> {
        site.loaded = load(&mut site.loader)?;
        Self::within(site, common, name)
    }

    /// Asks the process how the service stands.
    pub fn look(&mut self) -> Result<(), CliError> {
        let Some(process) = &self.process else { return Ok(()) };
        let path = format!(
            "/api/v1/status?environment={}&service={}",
            self.environment, self.service.name
        );
        let status: StatusDocument = process.get(&path)?;
        let services = status.environments.into_iter().flat_map(|it| it.services);
        self.served = services.into_iter().next();
        Ok(())
    }

    /// How the process serves it, if it does.
    pub fn served(&self) -> Option<&ServiceDocument> {
        self.served.as_ref()
    }

    /// A declared version.
    pub fn version(&self, name: &VersionName) -> Option<&VersionSpec> {
        self.service.versions.iter().find(|spec| spec.name == *name)
    }

    /// The names of the declared versions.
    pub fn names(&self) -> impl Iterator<Item = &VersionName> {
        self.service.versions.iter().map(|spec| &spec.name)
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

    /// Who is to get what by the file once what is being made is normal. Under `latest = true` that is
    /// the last version that may have traffic then.
    pub fn declared(&self) -> Shares {
        Shares::declared(&self.service).unwrap_or_else(|| {
            let Verdict { footings, .. } = self.verdict();
            let latest = footings
                .iter()
                .rposition(|it| matches!(it.obstacle(), None | Some(Obstacle::Creating)));
            let spec = latest.and_then(|index| self.service.versions.get(index));
            spec.map_or_else(Shares::offline, |spec| Shares::all(spec.name.clone()))
        })
    }

    /// What a process that starts with the files would serve, as far as it is known where versions
    /// stand.
    pub fn verdict(&self) -> Verdict {
        self.verdict_on(&self.service)
    }

    fn verdict_on(&self, service: &Service) -> Verdict {
        let standing = |spec| match &self.served {
            Some(_) => self.standing(spec),
            None => self.by_files(spec),
        };
        let standings: Vec<_> = service.versions.iter().map(standing).collect();
        Case { service, standings: &standings, before: None }.verdict()
    }

    /// Makes [`Self::at_start`] certain where no process runs that would know: tries out every version
    /// that would take traffic, until one does that can.
    ///
    /// # Errors
    ///
    /// Where that cannot be tried here.
    pub fn prove(&mut self) -> Result<(), CliError> {
        while self.process.is_none() {
            let shares = self.at_start();
            let is_known = |name: &VersionName| {
                let spec = self.version(name);
                spec.is_none_or(|spec| self.tried.iter().any(|(tried, _)| tried == spec))
            };
            let mut takers = shares.takers().map(|(name, _)| name);
            let Some(unknown) = takers.find(|name| !is_known(name)) else { break };
            self.try_out(unknown)?;
        }
        Ok(())
    }

    /// Where a version stands: as the process says, or as well as its files let it.
    pub fn standing(&self, spec: &VersionSpec) -> Standing {
        if self.process.is_none() {
            return self.by_files(spec);
        }
        let mut served = self.served.iter().flat_map(|service| &service.versions);
        let found = served.find(|version| version.name == spec.name.as_str());
        found.map_or(Standing::Creating, standing_of)
    }

    /// As well as its files let it, or as a trial has shown.
    fn by_files(&self, spec: &VersionSpec) -> Standing {
        let tried = self.tried.iter().find(|(tried, _)| tried == spec);
        tried.map_or_else(|| standing::of_files(spec), |(_, standing)| standing.clone())
    }

    /// # Errors
    ///
    /// Where a version is unknown, or may not have traffic; a quarantine may be `forced`.
    pub fn may_take(&mut self, version: &VersionName, forced: bool) -> Result<(), CliError> {
        let declared = Shares::declared(&self.service).unwrap_or_else(Shares::offline);
        let had_none = declared.of(version) == Percent::ZERO;
        self.check_obstacle(version, forced)?;
        if self.process.is_none() && had_none {
            // A file may be there and yet be no component that could be made.
            self.try_out(version)?;
            self.check_obstacle(version, forced)?;
        }
        Ok(())
    }

    fn check_obstacle(&self, version: &VersionName, forced: bool) -> Result<(), CliError> {
        let service = match forced {
            true => &Service { quarantine: Vec::new(), ..Service::clone(&self.service) },
            false => &*self.service,
        };
        let index = self.index(version).ok_or_else(|| self.unknown(version))?;
        match self.verdict_on(service).obstacle(index) {
            Some(obstacle) => {
                Err(Refusal::of(&self.service.name, version, obstacle.clone()).into())
            }
            None => Ok(()),
        }
    }

    fn index(&self, version: &VersionName) -> Option<usize> {
        self.names().position(|name| name == version)
    }

    /// That there is no such version, and which there are.
    pub fn unknown(&self, version: &VersionName) -> CliError {
        let declared = self.names().cloned().collect();
        Refusal::no_version(&self.service.name, version, declared).into()
    }

    /// The digest of a version's component, where that is known.
    pub fn digest(&self, version: &VersionName) -> Option<Digest> {
        self.standing(self.version(version)?).digest()
    }

    /// What keeps a version from getting traffic.
    pub fn quarantine(&self, version: &VersionName) -> Option<Quarantined> {
        match self.verdict().obstacle(self.index(version)?)? {
            Obstacle::Quarantined(entry) => Some(entry.clone()),
            Obstacle::Reach(_) | Obstacle::Creating | Obstacle::Error(_) => None,
        }
    }

    /// What was published of it, newest first; nothing where nobody has written a history. With
    /// digests in place of what its environments say, unless the `texts` are wanted.
    pub fn history(&self, limit: usize, texts: bool) -> Result<HistoryDocument, CliError> {
        let (environment, service) = (self.environment.as_str(), self.service.name.as_str());
        let Some(process) = &self.process else {
            let Some(history) = History::read(&self.state)? else {
                return Ok(HistoryDocument::default());
            };
            let records = history.of(environment, service, limit)?;
            let parts = history.parts(&records)?;
            let parts = if texts { parts } else { parts.without_texts() };
            return Ok(HistoryDocument { records, parts });
        };
        // A process that is older than this command takes no question that it does not know.
        let texts = if texts { "&texts=true" } else { "" };
        let path = format!(
            "/api/v1/history?environment={environment}&service={service}&limit={limit}{texts}"
        );
        match process.get::<HistoryDocument>(&path) {
            Ok(document) => Ok(document),
            Err(ProcessError::Refused { status: 404, .. }) => Ok(HistoryDocument::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// All that is kept of it.
    pub fn whole_history(&self) -> Result<HistoryDocument, CliError> {
        self.history(WHOLE_HISTORY, true)
    }

    /// Changes the service's file, and has the process serve it.
    ///
    /// `change` gets the file under its lock. If it differs from what this was made of, what the
    /// command has decided may be wrong by now, so nothing is done.
    ///
    /// # Errors
    ///
    /// Where the file cannot be changed so, or what it would say is wrong: nothing is changed then.
    pub fn edit(
        &mut self,
        note: Note,
        change: impl FnOnce(&mut ServiceText, &Service),
    ) -> Result<Edited, CliError> {
        let mut file = ServiceFile::open(&self.service.file)?;
        self.is_as_decided()?;
        change(&mut file.text, &self.service);
        let Self { files, process, .. } = self;
        let saved = file.save_if(|proposal| files.check(process.as_ref(), proposal))?;
        self.published(saved, note)
    }

    /// Has the process serve what was saved.
    pub fn published(&mut self, saved: Saved, note: Note) -> Result<Edited, CliError> {
        let generation = self.tell(saved.digest, note)?;
        self.reload()?;
        Ok(Edited { saved, generation })
    }

    /// Puts back what the file said before an edit, and has the process serve that.
    pub fn revert(&mut self, edited: Edited, note: Note) -> Result<(), CliError> {
        edited.saved.revert()?;
        // A file that the edit has created is gone again.
        let text = read_file(&self.service.file, FILE_MAX).unwrap_or_default();
        self.tell(Digest::from_bytes(digest_of(&text)), note)?;
        self.look()
    }

    /// Whether the file still says what the command has looked at, now that it is locked.
    fn is_as_decided(&self) -> Result<(), CliError> {
        match self.files.service(&self.environment, &self.service.file)? {
            Some(now) if now == self.service => Ok(()),
            _ => Err(Refusal::Changed { file: self.service.file.clone() }.into()),
        }
    }

    /// The generation with it, if somebody serves it.
    fn tell(&self, text: Digest, note: Note) -> Result<Option<u64>, CliError> {
        let Some(process) = &self.process else { return Ok(None) };
        let Note { command, remark, restores } = note;
        let attribution = Attribution {
            environment: self.environment.to_string(),
            service: self.service.name.to_string(),
            user: user(),
            command,
            remark,
            restores,
            file_digest: text.to_string(),
        };
        let (_, reload): (u16, ReloadDocument) = process.post("/api/v1/reload", &attribution)?;
        let problems = reload.report.map_or(Vec::new(), |report| report.problems);
        let own: Vec<_> =
            problems.into_iter().filter(|problem| problem.file == self.service.file).collect();
        match own.is_empty() {
            true => Ok(Some(reload.generation)),
            false => Err(Refusal::Rejected(Report { problems: own }).into()),
        }
    }

    /// Looks again at the file and at the process.
    pub fn reload(&mut self) -> Result<(), CliError> {
        if let Some(service) = self.files.service(&self.environment, &self.service.file)? {
            self.service = service;
        }
        self.look()
    }

    /// Waits until the process has made a version normal or error; `Creating` if it takes longer.
    /// Without a process, as far as the files tell.
    pub fn wait(
        &mut self,
        version: &VersionName,
        patience: Duration,
    ) -> Result<Standing, CliError> {
        let (mut pause, began) = (*LOOKS.start(), Instant::now());
        let waiting = Waiting::start(format!("{} {version} is being made", self.service.name));
        loop {
            let spec = self.version(version).ok_or_else(|| self.unknown(version))?;
            let standing = self.standing(spec);
            if standing != Standing::Creating || began.elapsed() >= patience {
                waiting.end();
                return Ok(standing);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(*LOOKS.end());
            self.look()?;
        }
    }

    /// Where a version stands as far as it can be made here.
    pub fn try_out(&mut self, version: &VersionName) -> Result<Standing, CliError> {
        let waiting = Waiting::start(format!("{} {version} is being tried", self.service.name));
        let config = self.files.config()?;
        let spec = self.version(version).ok_or_else(|| self.unknown(version))?;
        let fault = trial::try_out(&config, &self.environment, &self.service.name, spec);
        waiting.end();
        let standing = match fault? {
            Some(fault) => Standing::Error(fault),
            None => standing::of_files(spec),
        };
        self.tried.push((spec.clone(), standing.clone()));
        Ok(standing)
    }

    /// Who serves it, for messages.
    pub fn server(&self) -> Option<&str> {
        self.process.as_ref().map(Process::url)
    }

    /// Why no process was asked, for messages.
    pub fn nobody(&self) -> String {
        match self.admin.listen.port() {
            0 => "no process was asked, since [admin] has port 0 (give `--admin URL`): only the \
                  file was edited"
                .to_owned(),
            _ => format!("no process answers at {}: only the file was edited", self.admin.listen),
        }
    }
}

impl Versions for Target {
    fn may_serve(&self, version: &VersionName, digest_then: Option<&str>) -> Result<(), String> {
        let Some(index) = self.index(version) else {
            return Err("is not declared any more".to_owned());
        };
        if let Some(obstacle) = self.verdict().obstacle(index) {
            return Err(obstacle.to_string());
        }
        let now = self.digest(version).map(|digest| digest.to_string());
        match digest_then.is_none() || now.as_deref() == digest_then {
            true => Ok(()),
            false => Err("has another component now".to_owned()),
        }
    }
}

fn standing_of(version: &VersionDocument) -> Standing {
    let digest = version.digest.as_ref().and_then(|digest| digest.parse().ok());
    match (&version.error, digest) {
        (Some(error), _) => Standing::Error(Fault {
            code: error.code.to_string(),
            detail: error.detail.clone(),
            suggestion: error.suggestion.to_string(),
        }),
        (None, Some(digest)) => Standing::Normal { digest },
        (None, None) => Standing::Creating,
    }
}

/// Who gives the command: whoever became root to do so, if it was by sudo.
fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = named("SUDO_USER").or_else(|| named("USER")).or_else(|| named("LOGNAME"));
    user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
