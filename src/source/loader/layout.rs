//! Which files there are: the environments of the main file, and the service files that a search
//! found for each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Key;
use crate::config::{Main, Plan, Problem, Spot, Surroundings};
use crate::source::Followed;
use crate::source::discover::{self, Found};

/// The main file, and the service files that it leads to.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Without the plans of its environments, which are in `areas`.
    pub main: Main,
    /// In the order of the main file, without environments whose search failed.
    pub areas: Vec<Area>,
    /// Where the search of each environment begins, including failed searches.
    roots: Vec<PathBuf>,
}

/// An environment and the files of its services.
#[derive(Clone, Debug)]
pub struct Area {
    pub plan: Plan,
    pub around: Arc<Surroundings>,
    found: Found,
    /// The files that were found, sorted by path.
    pub keys: Vec<Key>,
}

impl Layout {
    /// Searches for the files of every environment. A failed search is a problem of the main file,
    /// which is at `path`.
    pub fn of(path: &Path, mut main: Main, problems: &mut Vec<Problem>) -> Self {
        let roots = main.plans.iter().map(|plan| discover::root(&main.directory, &plan.pattern));
        let roots = roots.collect();
        let plans = std::mem::take(&mut main.plans);
        let areas = plans.into_iter().filter_map(|plan| Area::of(path, plan, &main, problems));
        Self { areas: areas.collect(), main, roots }
    }

    /// The files of all environments, in the order in which files are read.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.areas.iter().flat_map(|area| &area.keys)
    }

    /// The index of the environment of a file.
    pub fn position(&self, key: &Key) -> usize {
        let own = |area: &Area| area.plan.name == key.environment;
        self.areas.iter().position(own).unwrap_or(self.areas.len())
    }

    /// Whether the change of a file is understood by a look at this file alone: it belongs to an
    /// environment, and is there where an environment names it.
    pub fn is_known(&self, path: &Path, is_there: bool) -> bool {
        let is_own = |area: &&Area| area.at(path).is_some() || area.would_find(path);
        let mut own = self.areas.iter().filter(is_own).peekable();
        own.peek().is_some() && own.all(|area| is_there || area.searches())
    }

    /// Every path, beside the main file, in which a change could alter the configuration.
    pub fn watch(&self) -> Vec<Followed> {
        let mut watch: Vec<_> = self.roots.iter().cloned().map(Followed::Path).collect();
        for Area { found, keys, .. } in &self.areas {
            let names = found.directories.iter().cloned();
            watch.extend(names.map(|(path, names)| Followed::Names(path, names)));
            watch.extend(keys.iter().map(|key| Followed::Path(key.path.clone())));
        }
        watch
    }
}

impl Area {
    fn of(path: &Path, plan: Plan, main: &Main, problems: &mut Vec<Problem>) -> Option<Self> {
        let found = discover::services(&main.directory, &plan.pattern);
        let mut found = found.map_err(|error| {
            problems.push(match &plan.spot {
                Some(spot) => spot.clone().problem(discover::no_services(&error)),
                None => Spot::of_file(path).problem(discover::no_default_services(&error)),
            });
        });
        let files = found.as_mut().map_or_else(|()| Vec::new(), |it| std::mem::take(&mut it.files));
        let around = Surroundings {
            domain: plan.domain.clone(),
            limits: main.limits.clone(),
            listen: main.server.listen.clone(),
        };
        let key = |path| Key::of(plan.name.clone(), path);
        let keys = files.into_iter().map(key).collect();
        Some(Self { found: found.ok()?, keys, around: Arc::new(around), plan })
    }

    /// The index that a file has, or would have.
    fn place(&self, path: &Path) -> Result<usize, usize> {
        self.keys.binary_search_by(|key| key.path.as_path().cmp(path))
    }

    /// Whether it searches for files, rather than naming one.
    pub fn searches(&self) -> bool {
        !self.found.directories.is_empty()
    }

    /// The file at a path, if it belongs to this environment.
    pub fn at(&self, path: &Path) -> Option<&Key> {
        self.keys.get(self.place(path).ok()?)
    }

    /// Whether a search would find a file at this path.
    pub fn would_find(&self, path: &Path) -> bool {
        let Some((directory, name)) = path.parent().zip(path.file_name()) else { return false };
        let means = |(found, names): &(PathBuf, discover::Names)| {
            found == directory && !names.are_directories() && names.mean(name)
        };
        self.found.directories.iter().any(means)
    }

    /// Adds a new file.
    pub fn add(&mut self, path: &Path) -> Key {
        let key = Key::of(self.plan.name.clone(), path.to_owned());
        if let Err(place) = self.place(path) {
            self.keys.insert(place, key.clone());
        }
        key
    }

    /// Removes a file that is gone.
    pub fn remove(&mut self, path: &Path) -> Option<Key> {
        let place = self.place(path).ok()?;
        Some(self.keys.remove(place))
    }
}
