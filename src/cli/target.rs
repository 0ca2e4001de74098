//! The service of a command. The command edits the service's file, tells the process that serves it to read the file,
//! and asks what came of the edit.

pub(super) mod preview;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::broken::BrokenError;
use super::common::Common;
use super::files::{self, Files, Served};
use super::process::Process;
use super::progress::Waiting;
use super::records::{edited_offline, keep_offline, records};
use super::select;
use super::site::{Site, load};
use super::trial::{self, Elsewhere};
use super::{CliError, components};
use crate::api::{
    Attribution, ExplainQuery, Explanation, HistoryDocument, HistoryQuery, ServiceDocument,
    Standing, StatusDocument, StatusQuery,
};
use crate::code::Coded;
use crate::config::{
    AdminSettings, Config, Digest, EnvironmentName, Report, SecretSource, Service, ServiceName,
    VersionName, VersionSpec,
};
use crate::delivery::{self, Inventory, Pending, as_decided, half_told};
use crate::rollout::{Control, Edit, Edited, Note, PutBack, ServiceView, look_until_settled};
use crate::source::{ComponentCopy, ComponentStore, FILE_MAX, Rejection, Saved, read_file};
use crate::versions::secret_digest;

/// A service, where it is declared, and the process that serves it.
pub(super) struct Target {
    files: Files,
    admin: AdminSettings,
    elsewhere: Elsewhere,
    process: Option<Process>,
    view: ServiceView,
    /// The outcomes of trials, where no process runs.
    tried: Vec<(VersionSpec, Standing)>,
    /// The copy of a component that the next edit names.
    copy: Option<Pending>,
}

impl Target {
    /// Finds a service in the files, and in the process that serves them.
    ///
    /// # Errors
    ///
    /// Where there is no such service, its file is wrong, or the process gives an unexpected answer.
    pub fn find(path: &Path, common: &Common, name: &str) -> Result<Self, CliError> {
        let Some(served) = files::served(path, common, name)? else {
            let site = Site::open(path, common).map_err(BrokenError::of)?;
            return Self::within(site, common, name);
        };
        let Served { files, process, environment, service, admin, elsewhere } = served;
        let view = view(Some(&process), environment, service, &[], &elsewhere)?;
        let process = Some(process);
        Ok(Self { files, admin, elsewhere, process, view, tried: Vec::new(), copy: None })
    }

    /// Finds it in the files alone.
    pub fn find_offline(path: &Path, common: &Common, name: &str) -> Result<Self, CliError> {
        Self::within(Site::open_offline(path)?, common, name)
    }

    /// Finds the service in files that are loaded already.
    pub fn within(site: Site, common: &Common, name: &str) -> Result<Self, CliError> {
        // A wrong file's problems say more than that the service is unknown, or was right once.
        if let Some(broken) = site.broken(common.environment.as_deref(), name) {
            return Err(broken.into());
        }
        let Site { loader, loaded, process } = site;
        let config = &loaded.config;
        let wanted = common.environment.as_deref();
        let is_searched =
            |it: &&Rejection| wanted.is_none_or(|name| it.environment.as_str() == name);
        let wrong = loaded.rejected.iter().filter(is_searched).map(|it| it.file.as_path());
        let found = select::service(config, wanted, name);
        let (environment, service) = found.map_err(|error| error.beside(wrong))?;
        let (environment, service) = (environment.name.clone(), service.clone());
        let (admin, elsewhere) = (config.admin.clone(), Elsewhere::of(config));
        let view = view(process.as_ref(), environment, service, &[], &elsewhere)?;
        let (files, tried) = (Files::of(loader), Vec::new());
        Ok(Self { files, admin, elsewhere, process, view, tried, copy: None })
    }

    /// A service whose file has just been written.
    pub fn created(mut site: Site, common: &Common, name: &str) -> Result<Self, CliError> {
        site.loaded = load(&mut site.loader)?;
        Self::within(site, common, name)
    }

    /// All files, as far as they are right.
    pub fn config(&mut self) -> Result<Arc<Config>, CliError> {
        self.files.config()
    }

    /// The service as it was last seen.
    pub fn view(&self) -> &ServiceView {
        &self.view
    }

    /// What the process that serves it would do with a request.
    pub fn ask_to_explain(&self, query: ExplainQuery) -> Result<Option<Explanation>, CliError> {
        let Some(process) = &self.process else { return Ok(None) };
        let environment = Some(self.view.environment.to_string());
        let service = Some(self.view.service.name.to_string());
        let query = ExplainQuery { environment, service, ..query };
        Ok(Some(process.get(&query.path())?))
    }

    /// What was published of the service, newest first; empty where no history was written. Environments are given as
    /// digests, unless `texts` are wanted.
    pub fn records(&self, limit: usize, texts: bool) -> Result<HistoryDocument, CliError> {
        self.records_of(self.view.environment.as_str(), limit, texts)
    }

    fn records_of(
        &self,
        environment: &str,
        limit: usize,
        texts: bool,
    ) -> Result<HistoryDocument, CliError> {
        let query = HistoryQuery {
            environment: Some(environment.to_owned()),
            service: Some(self.view.service.name.to_string()),
            limit: Some(limit),
            texts,
            ..HistoryQuery::default()
        };
        records(self.process.as_ref(), &self.elsewhere.state, &[], &query)
    }

    /// Has the process read the file, which somebody has written, and returns the generation that is served then.
    pub fn announce(&mut self, digest: Digest, note: Note) -> Result<Option<u64>, CliError> {
        let generation = self.tell(digest, note)?;
        self.reread()?;
        Ok(generation)
    }

    /// Has the next edit copy a component into the store.
    pub fn copies(&mut self, pending: Option<Pending>) {
        self.copy = pending;
    }

    /// The copy that an edit has made for a version.
    pub fn copied(&self, version: &VersionName) -> Option<ComponentCopy> {
        self.copy.as_ref()?.made(version)
    }

    /// Has the process serve the saved file, and returns what came of that.
    pub fn published(&mut self, saved: Saved, note: Note) -> Result<Edited<Saved>, CliError> {
        let told = self.tell(saved.digest, note);
        match told.and_then(|generation| self.reread().map(|()| generation)) {
            Ok(generation) => Ok(Edited { is_change: saved.is_change(), saved, generation }),
            Err(CliError::Process(error)) => {
                Err(half_told(error.told(), &self.view, &saved).into())
            }
            Err(error) => Err(error),
        }
    }

    /// The generation of the edit, if a process serves it.
    fn tell(&self, text: Digest, note: Note) -> Result<Option<u64>, CliError> {
        let Note { command, remark, restores } = note;
        let attribution = Attribution {
            environment: self.view.environment.to_string(),
            service: self.view.service.name.to_string(),
            user: user(),
            command,
            remark,
            restores,
            file_digest: text.to_string(),
        };
        let Some(process) = &self.process else {
            keep_offline(&self.elsewhere.state, &attribution);
            return Ok(None);
        };
        let reload = process.reload(&attribution)?;
        let problems = reload.report.map_or(Vec::new(), |report| report.problems);
        let is_own = |problem: &crate::config::Problem| problem.file == self.view.service.file;
        let own: Vec<_> = problems.into_iter().filter(is_own).collect();
        match own.is_empty() {
            true => Ok(Some(reload.generation)),
            false => Err(CliError::Rejected(Report { problems: own })),
        }
    }

    /// The process that serves the service, for messages.
    pub fn server(&self) -> Option<&str> {
        self.process.as_ref().map(Process::url)
    }

    /// Why no process was asked, and whether the file was edited, for messages.
    pub fn nobody(&self, is_change: bool) -> String {
        let what = match is_change {
            true => "only the file was edited",
            false => "the file says this already",
        };
        match self.admin.listen.port() {
            0 => format!(
                "no process was asked, since [admin] has port 0 (give `--admin URL`): {what}"
            ),
            _ => format!("no process answers at {}: {what}", self.admin.listen),
        }
    }
}

impl Inventory for Target {
    fn store(&self) -> &ComponentStore {
        &self.elsewhere.store
    }

    fn service(&self) -> &ServiceName {
        &self.view.service.name
    }

    fn main(&self) -> &Path {
        self.files.main()
    }

    fn everywhere(&self) -> Result<Vec<ServiceDocument>, String> {
        let Some(process) = &self.process else { return Ok(Vec::new()) };
        let query = StatusQuery {
            service: Some(self.view.service.name.to_string()),
            ..StatusQuery::default()
        };
        match process.get::<StatusDocument>(&query.path()) {
            Ok(status) => Ok(status.environments.into_iter().flat_map(|it| it.services).collect()),
            Err(error) if error.is_unknown() => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn records_in(&self, environment: &str) -> Result<HistoryDocument, String> {
        let records = self.records_of(environment, HistoryQuery::LIMIT_MAX, false);
        records.map_err(|error| error.to_string())
    }
}

impl Control for Target {
    type Error = CliError;
    type Saved = Saved;

    fn view(&self) -> &ServiceView {
        &self.view
    }

    fn look(&mut self) -> Result<(), CliError> {
        let (environment, service) = (self.view.environment.clone(), self.view.service.clone());
        let Self { process, tried, elsewhere, .. } = self;
        self.view = view(process.as_ref(), environment, service, tried, elsewhere)?;
        Ok(())
    }

    fn reread(&mut self) -> Result<(), CliError> {
        if let Some(service) =
            self.files.service(&self.view.environment, &self.view.service.file)?
        {
            self.view.service = service;
        }
        self.look()
    }

    fn edit(&mut self, edit: &Edit, note: Note) -> Result<Edited<Saved>, CliError> {
        self.process.as_ref().map(Process::admits_changes).transpose()?;
        let Self { files, process, view, copy, elsewhere: Elsewhere { store, .. }, .. } = self;
        let saved = delivery::write(
            files,
            (view, edit),
            (store, copy.as_mut()),
            |files| is_as_decided(view, files),
            |files, proposal| files.check(process.as_ref(), proposal),
        )?;
        self.published(saved, note)
    }

    fn put_back(&mut self, edited: Edited<Saved>, note: Note) -> PutBack<CliError> {
        if let Err(error) = edited.saved.revert() {
            return PutBack::Failed(error.into());
        }
        // A file that the edit created is removed again.
        let text = read_file(&self.view.service.file, FILE_MAX).unwrap_or_default();
        let told = self.tell(Digest::of(&text), note);
        match told.and_then(|_| self.look()) {
            Ok(()) => PutBack::Done,
            Err(error) => PutBack::Untold(error),
        }
    }

    fn wait(&mut self, version: &VersionName, patience: Duration) -> Result<Standing, CliError> {
        let waiting = Waiting::start(format!("{} {version} is being made", self.view.service.name));
        let standing = look_until_settled(self, version, patience)?;
        waiting.end();
        Ok(standing)
    }

    fn try_out(&mut self, version: &VersionName) -> Result<Standing, CliError> {
        let name = &self.view.service.name;
        let waiting = Waiting::start(format!("{name} {version} is being tried"));
        let config = self.files.config()?;
        let spec = self.view.version(version).ok_or_else(|| self.view.unknown(version))?.clone();
        let fault = trial::try_out(&config, &self.view.environment, name, &spec);
        waiting.end();
        let standing = match fault? {
            Some(fault) => Standing::Error(fault),
            None => components::standing(name, &spec, &self.elsewhere),
        };
        self.view.learn(version, standing.clone());
        self.tried.push((spec, standing.clone()));
        Ok(standing)
    }

    fn history(&self, limit: usize) -> Result<HistoryDocument, CliError> {
        let mut document = self.records(limit, true)?;
        if self.process.is_none() {
            let edited =
                edited_offline(&self.elsewhere.state, &self.view, document.records.first());
            document.records.splice(0..0, edited);
        }
        Ok(document)
    }

    fn digest_at(&self, component: &Path) -> Result<String, String> {
        components::digest(component)
    }

    fn stored(&self, digest: &str) -> Option<PathBuf> {
        let found = self.store().find(&self.view.service.name, &digest.parse().ok()?)?;
        Some(found.0)
    }

    fn secret_digest(&self, key: &str, place: &SecretSource) -> Result<String, String> {
        secret_digest(key, place)
    }
}

/// Whether the file, now locked, still says what the command has looked at.
fn is_as_decided(view: &ServiceView, files: &Files) -> Result<(), CliError> {
    let now = files.service(&view.environment, &view.service.file)?;
    Ok(as_decided(view, now)?)
}

/// Looks at a service: by the process or, where none runs, by its files.
fn view(
    process: Option<&Process>,
    environment: EnvironmentName,
    service: Arc<Service>,
    tried: &[(VersionSpec, Standing)],
    elsewhere: &Elsewhere,
) -> Result<ServiceView, CliError> {
    let Some(process) = process else {
        let mut standings = components::standings(&service.name, &service.versions, elsewhere);
        for (spec, standing) in service.versions.iter().zip(&mut standings) {
            if let Some((_, shown)) = tried.iter().rev().find(|(tried, _)| tried == spec) {
                *standing = shown.clone();
            }
        }
        return Ok(ServiceView::of_files(environment, service, standings));
    };
    let query = StatusQuery {
        environment: Some(environment.to_string()),
        service: Some(service.name.to_string()),
        ..StatusQuery::default()
    };
    let served = match process.get::<StatusDocument>(&query.path()) {
        Err(error) if error.is_unknown() => None,
        status => status?.environments.into_iter().flat_map(|it| it.services).next(),
    };
    Ok(ServiceView::of_process(environment, service, served))
}

/// The author of the command: under sudo, the user who called it.
fn user() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let user = named("SUDO_USER").or_else(|| named("USER")).or_else(|| named("LOGNAME"));
    user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
