//! Copies of components in the store: made when a version is deployed, and deleted when nothing names them and no
//! rollback may need them.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::CliError;
use super::site::is_same;
use super::target::Target;
use crate::api::{ServiceDocument, VersionDocument};
use crate::config::{Config, Digest, GuestSpec, VersionName, VersionSpec};
use crate::history::RETENTION;
use crate::rollout::served_in;
use crate::source::{ComponentCopy, ComponentStore, ComponentStoreError, Loader, Locked, Reading};

/// A component to be copied into the store together with the edit that names it.
#[derive(Debug)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    place: PathBuf,
    /// Whether the store had no such copy before.
    is_new: bool,
}

impl Pending {
    pub fn new(bytes: Vec<u8>, place: PathBuf) -> Self {
        Self { bytes, place, is_new: false }
    }

    /// Copies the component. `held` is the directory that the command has locked.
    pub fn keep(
        &mut self,
        store: &ComponentStore,
        held: &Path,
    ) -> Result<Locked, ComponentStoreError> {
        let (is_new, locked) = store.keep(&self.place, &self.bytes, held)?;
        self.is_new |= is_new;
        Ok(locked)
    }

    /// The copy, if it was not there before.
    pub fn made(&self, version: &VersionName) -> Option<ComponentCopy> {
        let (path, digest) = (self.place.clone(), Digest::of(&self.bytes));
        self.is_new.then(|| ComponentCopy { path, version: version.clone(), digest })
    }
}

/// Deletes a copy that was made for an edit which is not written. Nobody else can name it as long as it is locked.
pub(super) fn undo(store: &ComponentStore, pending: Option<&Pending>, locked: &Option<Locked>) {
    if let Some((pending, locked)) = pending.filter(|pending| pending.is_new).zip(locked.as_ref()) {
        // What cannot be deleted is an old copy some day.
        store.delete(&pending.place, &Digest::of(&pending.bytes), locked).ok();
    }
}

/// What became of a copy whose version is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct CopyDocument {
    version: String,
    /// Absolute.
    file: String,
    deleted: bool,
    /// Why it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl CopyDocument {
    /// One line for people.
    pub fn line(&self) -> String {
        match &self.why {
            None => format!("deleted {}", self.file),
            Some(why) => format!("{} stays: {why}", self.file),
        }
    }
}

/// The copies that versions are made of.
pub(super) fn copies_of<'a>(
    store: &ComponentStore,
    specs: impl Iterator<Item = &'a VersionSpec>,
) -> Vec<ComponentCopy> {
    let copy = |spec: &VersionSpec| {
        let GuestSpec { component, digest, .. } = spec.guest()?;
        let digest = digest.filter(|digest| store.is_copy(component, digest))?;
        Some(ComponentCopy { path: component.clone(), version: spec.name.clone(), digest })
    };
    specs.filter_map(copy).collect()
}

/// Deletes these copies, and those of the service that are older than the history, unless something names or needs
/// them. Says what became of each of these, and which of the old ones are deleted.
pub(super) fn sweep(target: &Target, gone: &[ComponentCopy]) -> Vec<CopyDocument> {
    let (store, service) = (target.store(), &target.view().service.name);
    let old = store.older(service, RETENTION);
    let is_other = |copy: &ComponentCopy| gone.iter().all(|it| it.path != copy.path);
    let old: Vec<_> = old.into_iter().filter(is_other).collect();
    if gone.is_empty() && old.is_empty() {
        return Vec::new();
    }
    let locked = match store.lock_service(service) {
        Ok(Some(locked)) => locked,
        Ok(None) => return Vec::new(),
        Err(error) => return gone.iter().map(|copy| stays(copy, error.to_string())).collect(),
    };
    let needs = Needs::look(target);
    let told = gone.iter().map(|copy| delete(store, copy, &needs, &locked));
    let told: Vec<_> = told.collect();
    let old = old.iter().map(|copy| delete(store, copy, &needs, &locked));
    told.into_iter().chain(old.filter(|it| it.deleted)).collect()
}

fn delete(
    store: &ComponentStore,
    copy: &ComponentCopy,
    needs: &Result<Needs<'_>, String>,
    locked: &Locked,
) -> CopyDocument {
    let needs = match needs {
        Ok(needs) => needs,
        Err(why) => return stays(copy, why.clone()),
    };
    if let Some(why) = needs.why(copy) {
        return stays(copy, why);
    }
    match store.delete(&copy.path, &copy.digest, locked) {
        Ok(true) => document(copy, None),
        Ok(false) => stays(copy, "it is not the component that its name says".to_owned()),
        Err(error) => stays(copy, error.to_string()),
    }
}

fn stays(copy: &ComponentCopy, why: String) -> CopyDocument {
    document(copy, Some(why))
}

fn document(copy: &ComponentCopy, why: Option<String>) -> CopyDocument {
    let ComponentCopy { path, version, .. } = copy;
    let (version, file) = (version.to_string(), path.display().to_string());
    CopyDocument { version, file, deleted: why.is_none(), why }
}

/// All that a copy may be needed for.
struct Needs<'a> {
    target: &'a Target,
    config: std::sync::Arc<Config>,
    /// A service's file that is wrong.
    wrong: Option<PathBuf>,
    /// The services of this name, in every environment, as they are served.
    served: Vec<ServiceDocument>,
}

impl<'a> Needs<'a> {
    /// Reads every service's file, and asks the process.
    fn look(target: &'a Target) -> Result<Self, String> {
        let unknown =
            |error: &CliError| format!("whether something names it is not known: {error}");
        let mut loader = Loader::new(target.main());
        let loaded = loader
            .load(Reading::Everything)
            .map_err(|wrong| unknown(&CliError::Config(wrong.report)))?;
        let served = target.everywhere().map_err(|error| unknown(&error))?;
        let wrong = loaded.rejected.into_iter().map(|rejection| rejection.file).next();
        Ok(Self { target, config: loaded.config, wrong, served })
    }

    /// What a copy is needed for, if it is.
    fn why(&self, copy: &ComponentCopy) -> Option<String> {
        self.named(copy).or_else(|| self.held(copy)).or_else(|| self.recorded(copy))
    }

    fn named(&self, copy: &ComponentCopy) -> Option<String> {
        let mut specs = self.config.services().flat_map(|(environment, service)| {
            service.versions.iter().map(move |spec| (environment, service, spec))
        });
        let is_it = |spec: &VersionSpec| {
            let Some(GuestSpec { component, .. }) = spec.guest() else { return false };
            component == &copy.path
                || component.file_name() == copy.path.file_name() && is_same(component, &copy.path)
        };
        if let Some((environment, service, spec)) = specs.find(|(_, _, spec)| is_it(spec)) {
            return Some(format!(
                "{} of {}/{} names it",
                spec.name, environment.name, service.name
            ));
        }
        let wrong = self.wrong.as_ref()?;
        Some(format!("{} is wrong, and may name it", wrong.display()))
    }

    /// What a process goes on serving although its file says something else.
    fn held(&self, copy: &ComponentCopy) -> Option<String> {
        let digest = copy.digest.to_string();
        let is_made_of_it = |version: &VersionDocument| version.digest.as_ref() == Some(&digest);
        let mut held = self.served.iter().filter(|it| it.held.is_some() || it.rejected.is_some());
        let service = held.find(|it| it.versions.iter().any(is_made_of_it))?;
        Some(format!("{} is held at what it served before, and that is made of it", service.name))
    }

    /// A generation that a rollback may go back to.
    fn recorded(&self, copy: &ComponentCopy) -> Option<String> {
        for environment in &self.config.environments {
            match self.target.records_in(environment.name.as_str()) {
                Ok(history) => {
                    if let Some(generation) = served_in(&history, &copy.path, &copy.digest) {
                        return Some(format!(
                            "generation {generation} served it, and a rollback may go back to that"
                        ));
                    }
                }
                Err(error) => {
                    return Some(format!("whether a rollback needs it is not known: {error}"));
                }
            }
        }
        None
    }
}
