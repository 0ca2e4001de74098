//! Reads the configuration, again after each change: [`Loader`] keeps the last valid state of each
//! service file, and reads only files that may have changed. Where files claim the same name, it
//! decides anew only among the files that a change concerns. Files, in reading order: `loaded` (the
//! result of a load), `layout` (which files there are), `file` (the state of one file), `look`
//! (reads files that may have changed), `good` (a file that was right when it was read), `claimants`
//! (which files a change concerns), `decide` (which state of each file is served), `check` (a text
//! that a command wants to write), `one` (one service file by itself), `admin` (where operators reach
//! the process).

mod admin;
mod check;
mod claimants;
mod decide;
mod file;
mod good;
mod layout;
mod loaded;
mod look;
mod one;
#[cfg(test)]
mod tests;
mod text_digests;

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Fingerprint;
use super::discover::Followed;
use super::text::{self, read_source};
use crate::config::{self, Config, Draft, EnvironmentName, Main, Problem, Report, absolute};
use claimants::Claimants;
use file::File;
use layout::Layout;
use look::is_there;

pub use check::{Objection, check_instead};
pub use good::GoodFile;
pub use loaded::{Changed, Changes, Loaded, Rejected, Rejection};
pub use one::Settings;
pub use text_digests::TextDigests;

/// How much of the last load may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A file is read if it looks different from outside, or may look the same by chance.
    Changed,
    /// Every file is read.
    Everything,
}

/// Reads a configuration and remembers the state of its files.
#[derive(Debug)]
pub struct Loader {
    path: PathBuf,
    files: HashMap<Key, File>,
    claimants: Claimants,
    /// The last valid main file, and the files that it led to.
    layout: Option<Layout>,
    /// What is wrong with the main file, if anything was at the last load.
    broken: Option<Report>,
    /// The configuration kept last, and the number of the full load that it is based on.
    kept: Option<(u64, Arc<Config>)>,
    /// The number of full loads.
    loads: u64,
    /// Files that changed since the configuration was kept.
    touched: HashSet<Key>,
    /// Files that are gone.
    gone: HashSet<Key>,
    /// Files to look at again although no change shows: they are too young, or could not be read.
    unsure: HashSet<Key>,
    /// Files that are links, or have further names by hard links.
    linked: HashSet<Key>,
    /// Files that are wrong, and files with warnings.
    wrong: HashSet<Key>,
    warned: HashSet<Key>,
    /// What each file said, right or wrong.
    texts: TextDigests,
    reading: text::Read,
    /// Whether the next change of a file with this fingerprint will show.
    settled: fn(&Fingerprint) -> bool,
}

/// A file, and its state that is served, if any.
type Served = (Key, Option<Arc<Draft>>);

/// A file of an environment. A file shared by several environments has a key in each. Cheap to
/// clone.
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
    /// A loader for the main file at `path`, which has read nothing yet.
    pub fn new(path: &Path) -> Self {
        let path = match std::path::absolute(path) {
            Ok(path) => absolute(Path::new("/"), &path),
            // Reading it will say what is wrong with it.
            Err(_) => path.to_owned(),
        };
        let (files, claimants) = Default::default();
        let (touched, gone, unsure, linked, wrong, warned) = Default::default();
        let (reading, settled): (text::Read, _) = (text::read_bytes, Fingerprint::is_settled);
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
            linked,
            wrong,
            warned,
            texts: TextDigests::default(),
            reading,
            settled,
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

    /// What each service's file said last, for others to look at.
    pub fn texts(&self) -> &TextDigests {
        &self.texts
    }

    /// Reads the main file, and the service files that it leads to if they changed. A service whose
    /// file is wrong keeps the state that was [kept](Self::keep) last, and its file is among the
    /// rejected.
    ///
    /// # Errors
    ///
    /// Where the main file is wrong.
    pub fn load(&mut self, reading: Reading) -> Result<Loaded, Rejected> {
        let (layout, problems) = match self.layout() {
            Ok(layout) => layout,
            // The last valid main file still says where the service files are.
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

    /// As [`load`](Self::load), where only the files at `paths` may have changed since the
    /// configuration that was kept last. `None` if that does not suffice: then call
    /// [`load`](Self::load).
    pub fn load_only<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) -> Option<Loaded> {
        // A write through another name of a file says nothing of the name that is known.
        if !self.linked.is_empty() {
            return None;
        }
        let (loads, kept) = self.kept.clone().filter(|_| self.broken.is_none())?;
        // After another full load, the environments may differ.
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
        let looked: Option<Vec<_>> =
            paths.into_iter().map(|path| Some((path, is_there(path)?))).collect();
        let looked = looked?;
        // Nothing is noted of a load that has to look everywhere.
        if !looked.iter().all(|(path, is_there)| layout.is_known(path, *is_there)) {
            return None;
        }
        for (path, is_there) in looked {
            for area in &mut layout.areas {
                let known = area.at(path).cloned();
                if known.is_none() && !area.would_find(path) {
                    continue;
                }
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
        }
        let unsure: Vec<_> = self.unsure.iter().cloned().collect();
        let read = unsure.iter().filter(|key| self.look_at(key, layout, Reading::Changed)).count();
        let decided = self.decide(layout);
        let (config, served) = self.patched(layout, kept, &decided);
        let services = self.changed(&decided);
        let changes = Changes::Services { services, watch };
        Some(self.loaded(layout, Arc::new(config), read, changes, served))
    }

    /// Whether a path is, or would be, that of a service's file.
    pub fn knows(&self, path: &Path) -> bool {
        self.layout.as_ref().is_some_and(|layout| layout.is_known(path, true))
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

    /// Makes this load the one that wrong files fall back to from now on, and forgets files that
    /// were gone in it. Returns the files that are right and were read anew.
    pub fn keep(&mut self, loaded: &Loaded) -> Vec<GoodFile> {
        let mut read = Vec::new();
        self.touched.clear();
        for key in std::mem::take(&mut self.gone) {
            self.forget(&key);
        }
        for (key, good) in &loaded.served {
            let is_same = |file: &File| match (&file.good, good) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            };
            if self.files.get(key).is_some_and(|file| !is_same(file)) {
                self.update(key, |file| file.good.clone_from(good));
                read.extend(good.as_ref().map(|good| GoodFile::new(key, good)));
                // Files that claim the same names may get them now.
                if self.claimants.has_rivals(key, self.files.get(key)) {
                    self.touched.insert(key.clone());
                }
            }
        }
        self.kept = Some((loaded.loads, loaded.config.clone()));
        read
    }

    /// Every file whose state is served as it was read last.
    pub fn good_files(&self) -> Vec<GoodFile> {
        let is_newest = |file: &File| match (file.as_valid(), &file.good) {
            (Some(newest), Some(good)) => Arc::ptr_eq(newest, good),
            _ => false,
        };
        let good = self.files.iter().filter(|(_, file)| is_newest(file));
        good.filter_map(|(key, file)| Some(GoodFile::new(key, file.good.as_ref()?))).collect()
    }

    /// Reads every file anew, for checking: no file falls back to an earlier state.
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

    /// The main file, and what is wrong with it.
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

    /// The main file and the files that it leads to, and what is wrong with either.
    fn layout(&self) -> Result<(Layout, Vec<Problem>), Rejected> {
        let (main, mut problems) = self.main()?;
        Ok((Layout::of(&self.path, main, &mut problems), problems))
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
