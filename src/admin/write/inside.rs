//! A service under a change, inside the process that serves it: [`Inside`] fulfils for requests what the
//! command line fulfils over HTTP.

mod known;
mod shown;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::act::Answer;
use super::error::WriteError;
use super::operations::Operation;
use super::place::Place;
use super::uploads::Uploads;
use crate::admin::error::AdminError;
use crate::admin::{Admin, find, status};
use crate::api::{
    Attribution, DoneDocument, HistoryDocument, How, OperationStep, ServiceDocument, Standing,
};
use crate::code::Coded as _;
use crate::config::{Digest, Report, SecretSource, ServiceName, VersionName};
use crate::delivery::{self, Pending, as_decided, half_told, instead, outcome};
use crate::rollout::{
    Control, Done, Edit, Edited, Note, PutBack, ServiceView, Step, look_until_settled,
};
use crate::source::{ComponentStore, EditError, FILE_MAX, Loader, Proposal, Saved, read_file};
use crate::versions::{ServiceKey, digest_at, secret_digest};

/// A service under a change.
pub struct Inside {
    admin: Arc<Admin>,
    runtime: Handle,
    loader: Loader,
    store: ComponentStore,
    user: String,
    view: ServiceView,
    /// The copy of a component that the next edit names.
    copy: Option<Pending>,
    /// What is told of how far it is.
    operation: Option<Operation>,
    /// Whether a version is, or was, waited for.
    waits: bool,
}

impl Inside {
    /// Finds a service that is served. `runtime` is that of the listener, and the caller is a thread that may wait.
    ///
    /// # Errors
    ///
    /// Where there is no such service, its file is wrong, or the file is not the one that the request expects.
    pub fn find(
        admin: Arc<Admin>,
        runtime: Handle,
        place: Place,
        how: &How,
    ) -> Result<Self, WriteError> {
        let Place { environment, service, user } = place;
        let snapshot = admin.live.load();
        let entry = find::service(&admin, &snapshot, Some(&environment), &service)?;
        let (key, declared) = (entry.key.clone(), entry.declared.clone());
        let loader = Loader::new(&admin.config);
        let store = ComponentStore::new(&admin.started_with.components.directory);
        let view = ServiceView::of_process(key.environment, declared, None);
        let (copy, operation, waits) = (None, None, false);
        let mut inside = Self { admin, runtime, loader, store, user, view, copy, operation, waits };
        // Whoever expects a digest has looked at this text, and at no other.
        let text = inside.text()?;
        inside.look()?;
        let declared = inside.loader.read_text(&inside.view.environment, inside.file(), &text);
        inside.view.service = declared.map_err(WriteError::Wrong)?;
        if how.expect.as_ref().is_some_and(|expected| *expected != digest(&text).to_string()) {
            return Err(inside.file_changed());
        }
        if inside.view.service.name.as_str() != service {
            return Err(inside.file_changed());
        }
        inside.look()?;
        Ok(inside)
    }

    /// The service's name.
    pub fn service(&self) -> &ServiceName {
        &self.view.service.name
    }

    /// Where copies of components are.
    pub fn copies(&self) -> &ComponentStore {
        &self.store
    }

    /// The directory of the main file.
    pub fn root(&self) -> &Path {
        &self.admin.root
    }

    /// What was uploaded.
    pub fn uploads(&self) -> &Uploads {
        &self.admin.writes.uploads
    }

    /// Tells an operation how far it is, from now on.
    pub fn tell_of(&mut self, operation: Operation) {
        self.operation = Some(operation);
    }

    fn reach(&self, step: OperationStep) {
        self.operation.iter().for_each(|operation| operation.reach(step));
    }

    /// Has the next edit copy a component into the store.
    pub fn copy_with(&mut self, pending: Option<Pending>) {
        self.copy = pending;
    }

    /// The copy that an edit has made for a version.
    pub fn copied(&self, version: &VersionName) -> Option<crate::source::ComponentCopy> {
        self.copy.as_ref()?.made(version)
    }

    fn file(&self) -> &Path {
        &self.view.service.file
    }

    /// What the file says.
    fn text(&self) -> Result<String, WriteError> {
        let unreadable = |why: String| {
            let help = "make it readable, or put it back";
            let problem = crate::config::Problem::of_file(self.file(), why, help);
            WriteError::Wrong(Report::new(vec![problem]))
        };
        let bytes =
            read_file(self.file(), FILE_MAX).map_err(|error| unreadable(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| unreadable("the file is not UTF-8".to_owned()))
    }

    /// How the process serves the service, if it does.
    fn served(&self) -> Option<ServiceDocument> {
        let (environment, service) = (self.view.environment.clone(), self.service().clone());
        let snapshot = self.admin.live.load();
        let entry = snapshot.get(&ServiceKey { environment, service })?;
        let rejected = self.admin.reloads.rejected();
        Some(status::service_document(entry, &rejected, &self.admin.urls, Instant::now()))
    }

    /// Whether the file still says what was looked at.
    fn is_as_decided(&self) -> Result<(), WriteError> {
        let now = self.loader.read_one(&self.view.environment, self.file());
        Ok(as_decided(&self.view, now.map_err(WriteError::Wrong)?)?)
    }

    /// Whether a text would be right beside all other files.
    fn check(&self, Proposal { path, is_there, text }: Proposal<'_>) -> Result<(), WriteError> {
        let checked = self.admin.reloads.check(path.to_owned(), is_there, text.to_owned());
        let checked = self.runtime.block_on(checked).ok_or(AdminError::NothingLoaded)?;
        Ok(checked
            .map_err(|objection| EditError::objection(objection, path, &self.admin.config))?)
    }

    /// Has the process read the file, and returns the generation that is served then.
    fn tell(&self, text: Digest, note: Note) -> Result<u64, WriteError> {
        let Note { command, remark, restores } = note;
        let attribution = Attribution {
            environment: self.view.environment.to_string(),
            service: self.service().to_string(),
            user: self.user.clone(),
            command,
            remark,
            restores,
            file_digest: text.to_string(),
        };
        let reload = self.runtime.block_on(self.admin.reloads.request_by(attribution));
        let reload = reload.ok_or(AdminError::Ending)?;
        let problems = reload.report.as_ref().map_or(&[][..], |report| &report.problems);
        let own = problems.iter().filter(|problem| problem.file == self.file()).cloned();
        match own.collect::<Vec<_>>() {
            own if own.is_empty() => Ok(reload.generation),
            own => Err(WriteError::Rejected(Report { problems: own })),
        }
    }

    /// What is done, once it is.
    ///
    /// # Errors
    ///
    /// Where what the file declares is not what is served.
    pub fn done(
        &self,
        word: &str,
        versions: &[VersionName],
        done: &Done,
    ) -> Result<Answer, WriteError> {
        self.done_with(word, versions, done, |_| ())
    }

    /// The same, with what `add` adds.
    ///
    /// # Errors
    ///
    /// As those of [`Self::done`].
    pub fn done_with(
        &self,
        word: &str,
        versions: &[VersionName],
        done: &Done,
        add: impl FnOnce(&mut DoneDocument),
    ) -> Result<Answer, WriteError> {
        let change = outcome(&self.view, word, versions, done);
        let (copies, warnings) = (Vec::new(), Vec::new());
        let mut done = Box::new(DoneDocument { change, copies, warnings, back: None });
        add(&mut done);
        match self.view.held() {
            Some(why) => Err(WriteError::Held { why: instead(&self.view, why), done }),
            None => Ok(Answer::Done(done)),
        }
    }
}

impl Control for Inside {
    type Error = WriteError;
    type Saved = Saved;

    fn view(&self) -> &ServiceView {
        &self.view
    }

    fn look(&mut self) -> Result<(), WriteError> {
        // Nothing is made any more, and what is declared is made by the next process.
        if self.waits && self.admin.drain.is_announced() {
            return Err(AdminError::Draining { next: self.admin.restarts.state().moved_to }.into());
        }
        let (environment, service) = (self.view.environment.clone(), self.view.service.clone());
        self.view = ServiceView::of_process(environment, service, self.served());
        Ok(())
    }

    fn reread(&mut self) -> Result<(), WriteError> {
        let now = self.loader.read_one(&self.view.environment, self.file());
        if let Some(service) = now.map_err(WriteError::Wrong)? {
            self.view.service = service;
        }
        self.look()
    }

    fn edit(&mut self, edit: &Edit, note: Note) -> Result<Edited<Saved>, WriteError> {
        let (view, store) = (self.view.clone(), self.store.clone());
        let gives = edit.0.iter().any(|step| matches!(step, Step::Split(_)));
        match (self.waits, gives) {
            (false, _) => self.reach(OperationStep::Writing),
            (true, true) => self.reach(OperationStep::Shifting),
            (true, false) => {}
        }
        let mut copy = self.copy.take();
        let pending = (&store, copy.as_mut());
        let saved = delivery::write(
            self,
            (&view, edit),
            pending,
            Self::is_as_decided,
            |inside, proposal| inside.check(proposal),
        );
        self.copy = copy;
        let saved = saved.map_err(|error| self.by_hand(error, edit))?;
        match self.tell(saved.digest, note) {
            Ok(generation) => {
                self.reread()?;
                Ok(Edited { is_change: saved.is_change(), saved, generation: Some(generation) })
            }
            Err(WriteError::Admin(error)) => {
                Err(half_told(error.told(), &self.view, &saved).into())
            }
            Err(error) => Err(error),
        }
    }

    fn put_back(&mut self, edited: Edited<Saved>, note: Note) -> PutBack<WriteError> {
        if let Err(error) = edited.saved.revert() {
            return PutBack::Failed(error.into());
        }
        let text = read_file(self.file(), FILE_MAX).unwrap_or_default();
        match self.tell(Digest::of(&text), note).and_then(|_| self.look()) {
            Ok(()) => PutBack::Done,
            Err(error) => PutBack::Untold(error),
        }
    }

    fn wait(&mut self, version: &VersionName, patience: Duration) -> Result<Standing, WriteError> {
        self.reach(OperationStep::Creating);
        self.waits = true;
        look_until_settled(self, version, patience)
    }

    /// There is a process, which tries by itself.
    fn try_out(&mut self, version: &VersionName) -> Result<Standing, WriteError> {
        let standing = self.view.standing(version).cloned();
        standing.ok_or_else(|| self.view.unknown(version).into())
    }

    fn history(&self, limit: usize) -> Result<HistoryDocument, WriteError> {
        self.records(self.view.environment.as_str(), limit, true)
    }

    fn digest_at(&self, component: &Path) -> Result<String, String> {
        let digest = self.runtime.block_on(digest_at(component));
        digest.map(|digest| digest.to_string()).map_err(|error| error.detail)
    }

    fn stored(&self, digest: &str) -> Option<PathBuf> {
        let found = self.store.find(self.service(), &digest.parse().ok()?)?;
        Some(found.0)
    }

    fn secret_digest(&self, key: &str, place: &SecretSource) -> Result<String, String> {
        secret_digest(key, place)
    }
}

/// The digest of a text, as a file's is told: without a byte order mark.
fn digest(text: &str) -> Digest {
    Digest::of(text.strip_prefix('\u{feff}').unwrap_or(text))
}
