//! Reads the configuration again and again: [`Loader`] keeps what each service's file said when it
//! was right the last time, and reads only what may have changed since. A reload calls it; `load`
//! and `inspect` use one that knows nothing yet.

mod instead;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::{self, Followed, Found};
use super::fingerprint::Fingerprint;
use super::text::{self, read_source};
use crate::config::{
    self, AdminSettings, Choice, Config, Contender, Draft, Environment, EnvironmentName, Main,
    Plan, Problem, Report, ServiceName, Source, Spot, Surroundings, Verdict, absolute, arbitrate,
};
use instead::Instead;

pub use instead::{Objection, check_instead};

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
    pub config: Config,
    /// The files that are wrong, or cannot be read for now, in the order in which files are read.
    pub rejected: Vec<Rejection>,
    /// Where the files of each environment are, as the main file says it.
    pub places: Vec<String>,
    /// How many services' files were read.
    pub read: usize,
    /// All in which a change could change the configuration, beside the main file.
    pub watch: Vec<Followed>,
    /// The state of each file that is in `config`.
    served: Vec<(Key, Option<Arc<Draft>>)>,
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

/// The main file, and the files of services that it leads to.
#[derive(Clone, Debug)]
struct Layout {
    main: Main,
    /// Without the environments whose search led nowhere.
    areas: Vec<Area>,
    /// Where each environment's search begins, also where it led nowhere.
    roots: Vec<PathBuf>,
}

/// An environment and the files of its services.
#[derive(Clone, Debug)]
struct Area {
    plan: Plan,
    found: Found,
}

/// Reads a configuration and remembers it.
#[derive(Debug)]
pub struct Loader {
    path: PathBuf,
    files: HashMap<Key, File>,
    /// What the main file said when it was right, and led to.
    layout: Option<Layout>,
    /// What is read in place of a file.
    instead: Option<Instead>,
    reading: text::Read,
}

/// A file may be in several environments.
type Key = (EnvironmentName, PathBuf);

#[derive(Debug)]
struct File {
    /// What it looked like before it was read, if its next change will show.
    fingerprint: Option<Fingerprint>,
    around: Arc<Surroundings>,
    /// As it reads now, as far as it can be read.
    newest: Option<Arc<Draft>>,
    /// What is wrong with it by itself.
    problems: Vec<Problem>,
    /// As it was served last.
    good: Option<Arc<Draft>>,
}

impl Loader {
    /// A loader of the main file at `path` that has read nothing yet.
    pub fn new(path: &Path) -> Self {
        let path = match std::path::absolute(path) {
            Ok(path) => absolute(Path::new("/"), &path),
            // Reading it will say what is wrong with it.
            Err(_) => path.to_owned(),
        };
        let reading = text::read_bytes;
        Self { path, files: HashMap::new(), layout: None, instead: None, reading }
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
                None => return Err(rejected),
            },
        };
        let (keys, read) = self.read(&layout, reading);
        if !problems.is_empty() {
            return Err(self.wrong(layout, &keys, problems));
        }
        self.layout = Some(layout.clone());
        let (mut served, mut rejected) = (Vec::with_capacity(keys.len()), Vec::new());
        let verdicts = arbitrate(&self.contenders(&keys, File::as_valid));
        for ((key, file), verdict) in self.files(&keys).zip(verdicts) {
            served.push((key.clone(), file.state(verdict.choice).cloned()));
            rejected.extend(file.rejection(key, verdict));
        }
        let places = layout.areas.iter().map(|area| area.plan.pattern.clone()).collect();
        let drafts = served.iter().map(|(_, draft)| draft.as_ref());
        let (config, watch) = whole(layout, drafts);
        Ok(Loaded { config, rejected, places, read, watch, served })
    }

    /// Goes back to what was loaded here wherever a file is wrong from now on, and forgets the files
    /// that were not there.
    pub fn keep(&mut self, loaded: &Loaded) {
        for (key, good) in &loaded.served {
            if let Some(file) = self.files.get_mut(key) {
                file.good.clone_from(good);
            }
        }
        if self.files.len() > loaded.served.len() {
            let there: HashSet<&Key> = loaded.served.iter().map(|(key, _)| key).collect();
            self.files.retain(|key, _| there.contains(key));
        }
    }

    /// Reads everything, for looking at: no file goes on as it was.
    ///
    /// # Errors
    ///
    /// Where any file is wrong.
    pub fn inspect(&mut self) -> Result<Config, Rejected> {
        let (layout, problems) = self.layout()?;
        let (keys, _) = self.read(&layout, Reading::Everything);
        let rejected = self.wrong(layout, &keys, problems);
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
        let source = read_source(&self.path, self.reading, None);
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
        let (mut main, mut problems) = self.main()?;
        let roots = main.plans.iter().map(|plan| discover::root(&main.directory, &plan.pattern));
        let roots = roots.collect();
        let plans = std::mem::take(&mut main.plans);
        let areas = plans.into_iter().filter_map(|plan| self.area(plan, &main, &mut problems));
        let areas = areas.collect();
        Ok((Layout { main, areas, roots }, problems))
    }

    /// The files of an environment. Where they cannot be found, the main file is wrong.
    fn area(&self, plan: Plan, main: &Main, problems: &mut Vec<Problem>) -> Option<Area> {
        let found = discover::services(&main.directory, &plan.pattern);
        let found = found.map_err(|error| {
            problems.push(match &plan.spot {
                Some(spot) => spot.clone().problem(discover::no_services(&error)),
                None => Spot::of_file(&self.path).problem(discover::no_default_services(&error)),
            });
        });
        let mut area = Area { found: found.ok()?, plan };
        self.instead.iter().for_each(|instead| instead.add_to(&mut area, &main.directory));
        Some(area)
    }

    /// The problems of the main file and of all others, whose names count even if they are wrong.
    fn wrong(&self, layout: Layout, keys: &[Key], mut problems: Vec<Problem>) -> Rejected {
        let is_transient =
            !problems.is_empty() && problems.iter().all(|problem| problem.is_transient);
        let verdicts = arbitrate(&self.contenders(keys, File::as_written));
        for ((_, file), verdict) in self.files(keys).zip(verdicts) {
            problems.extend(file.problems.iter().cloned().chain(verdict.problems));
        }
        let (rest, watch) = whole(layout, self.files(keys).map(|(_, file)| file.as_written()));
        Rejected { report: Report::new(problems), is_transient, rest: Some(Box::new(rest)), watch }
    }

    /// Reads what is to be read: the files of all environments in their order, and how many of them
    /// were read.
    fn read(&mut self, layout: &Layout, reading: Reading) -> (Vec<Key>, usize) {
        let (mut keys, mut read) = (Vec::new(), 0);
        for Area { plan: Plan { name, domain, .. }, found } in &layout.areas {
            let limits = layout.main.limits.clone();
            let around = Surroundings { domain: domain.clone(), limits };
            let around = Arc::new(around);
            for path in &found.files {
                let key = (name.clone(), path.clone());
                let fingerprint = Fingerprint::of(path);
                let instead = self.instead.as_mut();
                let instead = instead.and_then(|instead| instead.text_at(&key, fingerprint));
                let is_known = self.files.get(&key).is_some_and(|file| {
                    reading == Reading::Changed && file.is_as_read(fingerprint, &around)
                });
                if !is_known || instead.is_some() {
                    read += 1;
                    // What it served stays known whatever becomes of reading it.
                    let before = self.files.get(&key);
                    let text = read_source(path, self.reading, instead);
                    let file = File::read(text, fingerprint, &around, before);
                    self.files.insert(key.clone(), file);
                }
                keys.push(key);
            }
        }
        (keys, read)
    }

    fn files<'a>(&'a self, keys: &'a [Key]) -> impl Iterator<Item = (&'a Key, &'a File)> {
        keys.iter().filter_map(|key| Some((key, self.files.get(key)?)))
    }

    fn contenders<'a>(
        &'a self,
        keys: &'a [Key],
        newest: impl Fn(&'a File) -> Option<&'a Arc<Draft>>,
    ) -> Vec<Contender<'a>> {
        let contender = |(key, file): (&'a Key, &'a File)| Contender {
            environment: &key.0,
            newest: newest(file).map(Arc::as_ref),
            good: file.good.as_deref(),
        };
        self.files(keys).map(contender).collect()
    }
}

impl File {
    fn read(
        source: Result<Source, Box<Problem>>,
        fingerprint: Option<Fingerprint>,
        around: &Arc<Surroundings>,
        before: Option<&Self>,
    ) -> Self {
        let mut problems = Vec::new();
        let source = source.map_err(|problem| problems.push(*problem)).ok();
        let newest = source.and_then(|it| config::read_service(it, around, &mut problems));
        let newest = newest.map(Arc::new);
        // What was not there when asked may have come before it was read. Of what could not be read
        // for a moment, nothing is known.
        let is_known = !problems.iter().any(|problem| problem.is_transient);
        let fingerprint = fingerprint.filter(Fingerprint::is_settled).filter(|_| is_known);
        let good = before.and_then(|before| before.good_under(around));
        Self { fingerprint, around: around.clone(), newest, problems, good }
    }

    /// Whether reading it again would give the same.
    fn is_as_read(&self, now: Option<Fingerprint>, around: &Surroundings) -> bool {
        now.is_some() && self.fingerprint == now && *self.around == *around
    }

    /// What it served last, in an environment that may have another domain now.
    fn good_under(&self, around: &Surroundings) -> Option<Arc<Draft>> {
        let is_same = self.around.domain == around.domain;
        let good = self.good.clone();
        good.map(|good| if is_same { good } else { Arc::new(good.under(&around.domain)) })
    }

    fn as_written(&self) -> Option<&Arc<Draft>> {
        self.newest.as_ref()
    }

    fn as_valid(&self) -> Option<&Arc<Draft>> {
        self.newest.as_ref().filter(|_| self.problems.is_empty())
    }

    fn state(&self, choice: Choice) -> Option<&Arc<Draft>> {
        match choice {
            Choice::Newest => self.as_valid(),
            Choice::Good => self.good.as_ref(),
            Choice::Nothing => None,
        }
    }

    fn rejection(&self, key: &Key, verdict: Verdict) -> Option<Rejection> {
        let own = self.problems.iter().cloned();
        let problems: Vec<Problem> = own.chain(verdict.problems).collect();
        let (environment, file) = key.clone();
        let good = self.good.as_ref().filter(|_| verdict.choice == Choice::Good);
        let serves = good.map(|good| good.service.name.clone());
        (!problems.is_empty()).then(|| Rejection {
            environment,
            serves,
            file,
            report: Report::new(problems),
        })
    }
}

impl Rejection {
    /// One report of several files that are wrong.
    pub fn summary(rejected: &[Self]) -> Report {
        let problems = rejected.iter().flat_map(|rejection| &rejection.report.problems);
        Report::new(problems.cloned().collect())
    }
}

/// The whole, with a state of each file in the order of files, and all in which a change could change
/// it.
fn whole<'a>(
    layout: Layout,
    states: impl IntoIterator<Item = Option<&'a Arc<Draft>>>,
) -> (Config, Vec<Followed>) {
    let Layout { main, areas, roots } = layout;
    let Main { server, admin, state, limits: _, plans: _, directory: _ } = main;
    let states: Vec<_> = states.into_iter().collect();
    let warnings = warnings(states.iter().copied().flatten());
    let mut states = states.into_iter();
    let mut watch: Vec<_> = roots.into_iter().map(Followed::Path).collect();
    let mut environments = Vec::with_capacity(areas.len());
    for Area { plan: Plan { name, domain, .. }, found: Found { files, directories } } in areas {
        let drafts = states.by_ref().take(files.len()).flatten();
        let services = drafts.map(|draft| draft.service.clone()).collect();
        environments.push(Environment { name, domain, services });
        watch.extend(directories.into_iter().map(|(path, names)| Followed::Names(path, names)));
        watch.extend(files.into_iter().map(Followed::Path));
    }
    (Config { server, admin, state, environments, warnings }, watch)
}

/// Of all drafts, but of a file that two environments share only once.
fn warnings<'a>(drafts: impl Iterator<Item = &'a Arc<Draft>>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let all = drafts.flat_map(|draft| &draft.warnings);
    all.filter(|warning| seen.insert(*warning)).cloned().collect()
}
