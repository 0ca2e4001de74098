//! Copies of components in the store, which are deleted when nothing names them and no rollback may need them.

use std::path::{Path, PathBuf};

use crate::api::{CopyDocument, HistoryDocument, ServiceDocument, VersionDocument};
use crate::config::{Config, GuestSpec, ServiceName, VersionSpec};
use crate::history::RETENTION;
use crate::rollout::served_in;
use crate::source::{ComponentCopy, ComponentStore, Loader, Locked, Reading, is_same};

/// What is known of who may need a copy.
pub trait Inventory {
    /// Where copies are.
    fn store(&self) -> &ComponentStore;

    /// The service whose copies are looked at.
    fn service(&self) -> &ServiceName;

    /// The main file.
    fn main(&self) -> &Path;

    /// The services of this name in all environments, as a process serves them; none where none runs.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    fn everywhere(&self) -> Result<Vec<ServiceDocument>, String>;

    /// All that is recorded of the service of this name in an environment.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    fn records_in(&self, environment: &str) -> Result<HistoryDocument, String>;
}

/// The copies that versions are made of.
pub fn copies_of<'a>(
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
pub fn sweep(inventory: &impl Inventory, gone: &[ComponentCopy]) -> Vec<CopyDocument> {
    let (store, service) = (inventory.store(), inventory.service());
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
    let needs = Needs::look(inventory);
    let told = gone.iter().map(|copy| delete(store, copy, &needs, &locked));
    let told: Vec<_> = told.collect();
    let old = old.iter().map(|copy| delete(store, copy, &needs, &locked));
    told.into_iter().chain(old.filter(|it| it.deleted)).collect()
}

fn delete(
    store: &ComponentStore,
    copy: &ComponentCopy,
    needs: &Result<Needs<'_, impl Inventory>, String>,
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
    let (version, file) = (version.to_string(), path.clone());
    CopyDocument { version, file, deleted: why.is_none(), why }
}

/// All that a copy may be needed for.
struct Needs<'a, I> {
    inventory: &'a I,
    config: std::sync::Arc<Config>,
    /// A service's file that is wrong.
    wrong: Option<PathBuf>,
    /// The services of this name, in every environment, as they are served.
    served: Vec<ServiceDocument>,
}

impl<'a, I: Inventory> Needs<'a, I> {
    /// Reads every service's file, and asks the process.
    fn look(inventory: &'a I) -> Result<Self, String> {
        let unknown = |error: &str| format!("whether something names it is not known: {error}");
        let mut loader = Loader::new(inventory.main());
        let loaded = loader.load(Reading::Everything).map_err(|wrong| {
            let first = wrong.report.problems.first();
            unknown(first.map_or("the files are wrong", |first| &first.message))
        })?;
        let served = inventory.everywhere().map_err(|error| unknown(&error))?;
        let wrong = loaded.rejected.into_iter().map(|rejection| rejection.file).next();
        Ok(Self { inventory, config: loaded.config, wrong, served })
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
            match self.inventory.records_in(environment.name.as_str()) {
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
