//! Reads the configuration again and again: [`Loader`] keeps what each service's file said when it
//! was right the last time, and reads only what may have changed since. Who gets which name is decided
//! anew among those only whom a change concerns. Rooms, in reading order: `layout` (which files there
//! are), `file` (what is known of one), `claimants` (whom a change concerns), `check` (a text that is
//! to be written).

mod check;
mod claimants;
mod file;
mod layout;
mod one;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::Followed;
use super::fingerprint::Fingerprint;
use super::text::{self, read_source};
use crate::config::{
    self, AdminSettings, Config, Draft, Environment, EnvironmentName, Main, Problem, Report,
    Service, ServiceName, absolute, arbitrate,
};
use claimants::Claimants;
use file::File;
use layout::{Area, Layout};

pub use check::{Objection, check_instead};
pub use one::Settings;

/// What may be taken from the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A file is read if it looks different from outside, or may look the same by chance.
    Changed,
    /// Every file is read.
    Everything,
}

/// A configuration that can be served.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// With the last good state of each file that is wrong.
    pub config: Arc<Config>,
    /// The files that are wrong, or cannot be read for now, in the order in which files are read.
    pub rejected: Vec<Rejection>,
    /// Where the files of each environment are, as the main file says it.
    pub places: Vec<String>,
    /// How many services' files were read.
    pub read: usize,
    /// What differs from what was kept last.
    pub changes: Changes,
    loads: u64,
    /// The state of each file that differs from what was kept, or of all.
    served: Vec<Served>,
}

/// What differs between two loads.
#[derive(Clone, Debug)]
pub enum Changes {
    /// It is not known: compare.
    Any {
        /// All in which a change could change the configuration, beside the main file.
        watch: Vec<Followed>,
    },
    /// These services and nothing else, and in which places more is to be watched for changes.
    Services { services: Vec<Changed>, watch: Vec<Followed> },
}

impl Changes {
    /// In which places there is something new to be watched for changes; in which all there is, where it
    /// is not known what differs.
    pub fn watch(&self) -> &[Followed] {
        match self {
            Self::Any { watch } | Self::Services { watch, .. } => watch,
        }
    }
}

/// A service that may be another one.
#[derive(Clone, Debug)]
pub struct Changed {
    pub environment: EnvironmentName,
    pub name: ServiceName,
    /// As it is now; none if it is gone.
    pub now: Option<Arc<Service>>,
}

/// A service's file that is wrong, or that cannot be read for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub environment: EnvironmentName,
    /// The service that goes on as the file last said it; none if the file was never right.
    pub serves: Option<ServiceName>,
    pub file: PathBuf,
    pub report: Report,
}

impl Rejection {
    /// One report of several files that are wrong.
    pub fn summary(rejected: &[Self]) -> Report {
        let problems = rejected.iter().flat_map(|rejection| &rejection.report.problems);
        Report::new(problems.cloned().collect())
    }
}

/// A main file that is wrong, or that cannot be read for a moment, or where what it names cannot be
/// looked through: nothing can be served by it.
#[derive(Debug)]
pub struct Rejected {
    /// The services' files' problems as well.
    pub report: Report,
    /// Whether it passes by itself: nothing wrong is known of the main file.
    pub is_transient: bool,
    /// What could be made of the files beside their problems: for looking at, not for serving.
    pub rest: Option<Box<Config>>,
    /// All in which a change could change the configuration, beside the main file.
    pub watch: Vec<Followed>,
}

/// Reads a configuration and remembers it.
#[derive(Debug)]
pub struct Loader {
    path: PathBuf,
    files: HashMap<Key, File>,
    claimants: Claimants,
    /// What the main file said when it was right, and the files that there are.
    layout: Option<Layout>,
    /// Why nothing can be served by the main file as it was read last.
    broken: Option<Report>,
    /// What was kept last, and the number of the load of all files that it began with.
    kept: Option<(u64, Arc<Config>)>,
    /// How often all files were loaded.
    loads: u64,
    /// Files of which something is new since that was kept.
    touched: HashSet<Key>,
    /// Those of which nothing is left to read.
    gone: HashSet<Key>,
    /// Those that have to be read again although nothing shows.
    unsure: HashSet<Key>,
    /// Those that are wrong, and those of which something is warned.
    wrong: HashSet<Key>,
    warned: HashSet<Key>,
    reading: text::Read,
}

/// A file, and the state of it that is served, if one is.
type Served = (Key, Option<Arc<Draft>>);

/// A file in an environment; it may be in several. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key(Arc<Place>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Place {
    environment: EnvironmentName,
    path: PathBuf,
}

impl Key {
    fn of(environment: EnvironmentName, path: PathBuf) -> Self {
        Self(Arc::new(Place { environment, path }))
    }
}

impl Deref for Key {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.0
    }
}

impl Loader {
    /// A loader of the main file at `path` that has read nothing yet.
    pub fn new(path: &Path) -> Self {
        let path = match std::path::absolute(path) {
            Ok(path) => absolute(Path::new("/"), &path),
            // Reading it will say what is wrong with it.
            Err(_) => path.to_owned(),
        };
        let (files, claimants) = Default::default();
        let (touched, gone, unsure, wrong, warned) = Default::default();
        let reading = text::read_bytes;
        let (layout, broken, kept, loads) = (None, None, None, 0);
        Self {
            path,
            files,
            claimants,
            layout,
            broken,
            kept,
            loads,
            touched,
            gone,
            unsure,
            wrong,
            warned,
            reading,
        }
    }

    /// The main file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the main file.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Reads the main file and those of the services that it names, as far as they changed. A
    /// service whose file is wrong stays as it was in what was [kept](Self::keep) last, and is among
    /// the rejected.
    ///
    /// # Errors
    ///
    /// Where the main file is wrong.
    pub fn load(&mut self, reading: Reading) -> Result<Loaded, Rejected> {
        let (layout, problems) = match self.layout() {
            Ok(layout) => layout,
            // Where the services' files are is known from before.
            Err(rejected) => match self.layout.clone() {
                Some(layout) => (layout, rejected.report.problems),
                None => {
                    self.broken = Some(rejected.report.clone());
                    return Err(rejected);
                }
            },
        };
        let read = self.read_all(&layout, reading);
        if !problems.is_empty() {
            let rejected = self.wrong(&layout, problems);
            self.broken = Some(rejected.report.clone());
            return Err(rejected);
        }
        self.broken = None;
        self.loads += 1;
        self.decide(&layout);
        let state = |key: &Key| Some((key.clone(), self.files.get(key)?.state().cloned()));
        let served: Vec<_> = layout.keys().filter_map(state).collect();
        let config = Arc::new(self.whole(&layout, File::state));
        let changes = Changes::Any { watch: layout.watch() };
        let loaded = self.loaded(&layout, config, read, changes, served);
        self.layout = Some(layout);
        Ok(loaded)
    }

    /// The same where only the files at these paths may have changed since what was kept last was
    /// loaded. None if that is not enough to go by: then [`load`](Self::load) is to look at all.
    pub fn load_only<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) -> Option<Loaded> {
        let (loads, kept) = self.kept.clone().filter(|_| self.broken.is_none())?;
        // Else the environments may be others by now.
        if loads != self.loads {
            return None;
        }
        let mut layout = self.layout.take()?;
        let loaded = self.load_within(&mut layout, &kept, paths);
        self.layout = Some(layout);
        loaded
    }

    fn load_within<'a>(
        &mut self,
        layout: &mut Layout,
        kept: &Config,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> Option<Loaded> {
        let mut watch = Vec::new();
        for path in paths {
            let is_there = is_there(path)?;
            let mut is_known = false;
            for area in &mut layout.areas {
                let known = area.at(path).cloned();
                if known.is_none() && !area.would_find(path) {
                    continue;
                }
                // Without its only file, an environment leads nowhere.
                is_known = is_there || area.searches();
                match (known, is_there) {
                    (Some(key), true) => self.unsure.extend([key]),
                    (Some(key), false) => {
                        area.remove(path);
                        self.go(key);
                    }
                    (None, true) => {
                        self.unsure.extend([area.add(path)]);
                        watch.push(Followed::Path(path.to_owned()));
                    }
                    (None, false) => {}
                }
            }
            if !is_known {
                return None;
            }
        }
        let unsure: Vec<_> = self.unsure.iter().cloned().collect();
        let read = unsure.iter().filter(|key| self.look_at(key, layout, Reading::Changed)).count();
        let decided = self.decide(layout);
        let (config, served) = self.patched(layout, kept, &decided);
        let services = self.changed(&decided);
        let changes = Changes::Services { services, watch };
        Some(self.loaded(layout, Arc::new(config), read, changes, served))
    }

    fn loaded(
        &self,
        layout: &Layout,
        config: Arc<Config>,
        read: usize,
        changes: Changes,
        served: Vec<Served>,
    ) -> Loaded {
        let wrong = in_order(layout, self.wrong.iter().cloned());
        let rejection = |key: &Key| self.files.get(key)?.rejection(key);
        let rejected = wrong.iter().filter_map(rejection).collect();
        let places = layout.areas.iter().map(|area| area.plan.pattern.clone()).collect();
        let loads = self.loads;
        Loaded { config, rejected, places, read, changes, loads, served }
    }

    /// Goes back to what was loaded here wherever a file is wrong from now on, and forgets the files
    /// that were not there.
    pub fn keep(&mut self, loaded: &Loaded) {
        self.touched.clear();
        for (key, good) in &loaded.served {
            let is_same = |file: &File| match (&file.good, good) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            };
            if self.files.get(key).is_some_and(|file| !is_same(file)) {
                self.update(key, |file| file.good.clone_from(good));
                // Others who want its names may have another chance with what it has now.
                if self.claimants.has_rivals(key, self.files.get(key)) {
                    self.touched.insert(key.clone());
                }
            }
        }
        for key in std::mem::take(&mut self.gone) {
            self.forget(&key);
        }
        self.kept = Some((loaded.loads, loaded.config.clone()));
    }

    /// Reads everything, for looking at: no file goes on as it was.
    ///
    /// # Errors
    ///
    /// Where any file is wrong.
    pub fn inspect(&mut self) -> Result<Config, Rejected> {
        let (layout, problems) = self.layout()?;
        self.read_all(&layout, Reading::Everything);
        let rejected = self.wrong(&layout, problems);
        match rejected.rest {
            Some(config) if rejected.report.problems.is_empty() => Ok(*config),
            rest => Err(Rejected { rest, ..rejected }),
        }
    }

    /// How operators reach a process of the main file, as far as that is right: who looks at what is
    /// served may do so because something is wrong.
    ///
    /// # Errors
    ///
    /// Where the main file cannot be read at all.
    pub fn admin(&self) -> Result<AdminSettings, Report> {
        self.main().map(|(main, _)| main.admin).map_err(|rejected| rejected.report)
    }

    /// What the main file says, and what is wrong with it.
    fn main(&self) -> Result<(Main, Vec<Problem>), Rejected> {
        let mut problems = Vec::new();
        let source = read_source(&self.path, self.reading);
        let source = source.map_err(|problem| problems.push(*problem)).ok();
        match source.and_then(|source| config::read_main(source, &mut problems)) {
            Some(main) => Ok((main, problems)),
            None => {
                let report = Report::new(problems);
                let is_transient = report.is_transient();
                Err(Rejected { is_transient, report, rest: None, watch: Vec::new() })
            }
        }
    }

    /// What the main file says and leads to, and what is wrong with that.
    fn layout(&self) -> Result<(Layout, Vec<Problem>), Rejected> {
        let (main, mut problems) = self.main()?;
        Ok((Layout::of(&self.path, main, &mut problems), problems))
    }

    /// The problems of the main file and of all others, whose names count even if they are wrong.
    fn wrong(&self, layout: &Layout, mut problems: Vec<Problem>) -> Rejected {
        let is_transient =
            !problems.is_empty() && problems.iter().all(|problem| problem.is_transient);
        let files = || layout.keys().filter_map(|key| Some((key, self.files.get(key)?)));
        let contenders =
            files().map(|(key, file)| file.contender(&key.environment, file.as_written()));
        let verdicts = arbitrate(&contenders.collect::<Vec<_>>());
        for ((_, file), verdict) in files().zip(verdicts) {
            problems.extend(file.problems.iter().cloned().chain(verdict.problems));
        }
        let rest = Some(Box::new(self.whole(layout, File::as_written)));
        Rejected { report: Report::new(problems), is_transient, rest, watch: layout.watch() }
    }

    /// Looks at all files and reads what is to be read. How many files were read.
    fn read_all(&mut self, layout: &Layout, reading: Reading) -> usize {
        let mut read = 0;
        for area in &layout.areas {
            for key in &area.keys {
                read += usize::from(self.look_within(key, area, reading));
            }
        }
        if self.files.len() > layout.keys().count() {
            let there: HashSet<&Key> = layout.keys().collect();
            let gone: Vec<_> =
                self.files.keys().filter(|key| !there.contains(key)).cloned().collect();
            gone.into_iter().for_each(|key| self.go(key));
        }
        read
    }

    fn look_at(&mut self, key: &Key, layout: &Layout, reading: Reading) -> bool {
        let area = layout.areas.get(layout.position(key));
        area.is_some_and(|area| self.look_within(key, area, reading))
    }

    /// Looks at a file that is there, and reads it if it may say something else. Whether it was read.
    fn look_within(&mut self, key: &Key, area: &Area, reading: Reading) -> bool {
        if self.gone.remove(key) {
            self.touched.insert(key.clone());
        }
        let fingerprint = Fingerprint::of(&key.path);
        let before = self.files.get(key);
        let is_known = before.is_some_and(|file| file.is_as_read(fingerprint, &area.around));
        if is_known && reading == Reading::Changed {
            self.unsure.remove(key);
            return false;
        }
        // What it served stays known whatever becomes of reading it.
        let text = read_source(&key.path, self.reading);
        let file = File::read(text, fingerprint, &area.around, before);
        mark(&mut self.unsure, key, file.is_unsure());
        self.touched.insert(key.clone());
        self.put(key, file);
        true
    }

    /// Puts what is known of a file in the place of what was.
    fn put(&mut self, key: &Key, file: File) {
        let before = self.claimants.names(key, self.files.get(key));
        let now = self.claimants.names(key, Some(&file));
        self.claimants.update(key, &before, &now);
        self.files.insert(key.clone(), file);
    }

    fn update(&mut self, key: &Key, change: impl FnOnce(&mut File)) {
        let Some(file) = self.files.get_mut(key) else { return };
        let before = self.claimants.names(key, Some(file));
        change(file);
        let now = self.claimants.names(key, Some(file));
        self.claimants.update(key, &before, &now);
    }

    /// A file is not there any more. What it served is known until what is served without it is kept.
    fn go(&mut self, key: Key) {
        self.unsure.remove(&key);
        self.touched.insert(key.clone());
        self.gone.insert(key);
    }

    fn forget(&mut self, key: &Key) {
        let before = self.claimants.names(key, self.files.get(key));
        self.claimants.update(key, &before, &[]);
        self.files.remove(key);
        for keys in [&mut self.unsure, &mut self.wrong, &mut self.warned] {
            keys.remove(key);
        }
    }

    /// Decides which state of each file is served that something new concerns. These files, in their
    /// order.
    fn decide(&mut self, layout: &Layout) -> Vec<Key> {
        let concerned = match self.touched.len() * 2 > self.files.len() {
            true => self.files.keys().cloned().collect(),
            false => self.concerned(),
        };
        let concerned = in_order(layout, concerned);
        let there = |key: &&Key| !self.gone.contains(*key);
        let keys: Vec<_> = concerned.iter().filter(there).cloned().collect();
        let contenders = keys.iter().filter_map(|key| {
            let file = self.files.get(key)?;
            Some(file.contender(&key.environment, file.as_valid()))
        });
        let verdicts = arbitrate(&contenders.collect::<Vec<_>>());
        for (key, verdict) in keys.iter().zip(verdicts) {
            let Some(file) = self.files.get_mut(key) else { continue };
            file.decide(verdict);
            let is_warned = file.state().is_some_and(|draft| !draft.warnings.is_empty());
            mark(&mut self.wrong, key, file.is_wrong());
            mark(&mut self.warned, key, is_warned);
        }
        for key in &self.gone {
            self.wrong.remove(key);
            self.warned.remove(key);
        }
        concerned
    }

    /// The files that were touched, and all whose names depend on theirs.
    fn concerned(&self) -> HashSet<Key> {
        let file = |key: &Key| self.files.get(key);
        let names = self.touched.iter().flat_map(|key| self.claimants.names(key, file(key)));
        let mut concerned = self.claimants.around(names, file);
        // Those that claim nothing.
        concerned.extend(self.touched.iter().cloned());
        concerned
    }

    /// The whole, with a state of each file.
    fn whole(
        &self,
        layout: &Layout,
        state: impl for<'a> Fn(&'a File) -> Option<&'a Arc<Draft>>,
    ) -> Config {
        let drafts = |area: &Area| -> Vec<&Arc<Draft>> {
            let files = area.keys.iter().filter_map(|key| self.files.get(key));
            files.filter_map(&state).collect()
        };
        let drafts: Vec<_> = layout.areas.iter().map(drafts).collect();
        let warnings = warnings(drafts.iter().flatten().copied());
        let services =
            |drafts: &Vec<&Arc<Draft>>| drafts.iter().map(|draft| draft.service.clone()).collect();
        configured(layout, drafts.iter().map(services), warnings)
    }

    /// What was kept with what was decided of some files, and the state of these.
    fn patched(&self, layout: &Layout, kept: &Config, decided: &[Key]) -> (Config, Vec<Served>) {
        let mut services: Vec<_> = kept.environments.iter().map(|it| it.services.clone()).collect();
        let mut served = Vec::with_capacity(decided.len());
        for key in decided {
            let state = self.files.get(key).filter(|_| !self.gone.contains(key));
            let state = state.and_then(File::state).cloned();
            if let Some(services) = services.get_mut(layout.position(key)) {
                let place = services.binary_search_by(|it| it.file.cmp(&key.path));
                let now = state.iter().map(|draft| draft.service.clone());
                let (Ok(start) | Err(start)) = place;
                services.splice(start..start + usize::from(place.is_ok()), now);
            }
            served.push((key.clone(), state));
        }
        let warned = in_order(layout, self.warned.iter().cloned());
        let drafts = warned.iter().filter_map(|key| self.files.get(key)?.state());
        (configured(layout, services.into_iter(), warnings(drafts)), served)
    }

    /// The services that some files are, or were.
    fn changed(&self, decided: &[Key]) -> Vec<Changed> {
        let mut changed: HashMap<(&EnvironmentName, &ServiceName), Option<&Arc<Service>>> =
            HashMap::new();
        for key in decided {
            let Some(file) = self.files.get(key) else { continue };
            if let Some(was) = &file.good {
                changed.entry((&key.environment, &was.service.name)).or_default();
            }
            if let Some(now) = file.state().filter(|_| !self.gone.contains(key)) {
                changed.insert((&key.environment, &now.service.name), Some(&now.service));
            }
        }
        let changed = changed.into_iter().map(|((environment, name), now)| Changed {
            environment: environment.clone(),
            name: name.clone(),
            now: now.cloned(),
        });
        changed.collect()
    }
}

/// Whether a file is at a path; none where that says too little: a link leads elsewhere, and what is in
/// a directory is not in its name.
fn is_there(path: &Path) -> Option<bool> {
    match path.symlink_metadata() {
        Ok(found) => found.is_file().then_some(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

/// Adds a file to some, or removes it.
fn mark(files: &mut HashSet<Key>, key: &Key, is_in: bool) {
    if !is_in {
        files.remove(key);
    } else if !files.contains(key) {
        files.insert(key.clone());
    }
}

/// Files in the order in which they are read.
fn in_order(layout: &Layout, keys: impl IntoIterator<Item = Key>) -> Vec<Key> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by(|one, other| {
        let position = |key| layout.position(key);
        position(one).cmp(&position(other)).then_with(|| one.path.cmp(&other.path))
    });
    keys
}

fn configured(
    layout: &Layout,
    services: impl Iterator<Item = Vec<Arc<Service>>>,
    warnings: Vec<Problem>,
) -> Config {
    let Main { server, admin, state, .. } = layout.main.clone();
    let environments = layout.areas.iter().zip(services).map(|(area, services)| Environment {
        name: area.plan.name.clone(),
        domain: area.plan.domain.clone(),
        services,
    });
    Config { server, admin, state, environments: environments.collect(), warnings }
}

/// Of all drafts, but of a file that two environments share only once.
fn warnings<'a>(drafts: impl Iterator<Item = &'a Arc<Draft>>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let all = drafts.flat_map(|draft| &draft.warnings);
    all.filter(|warning| seen.insert(*warning)).cloned().collect()
}
