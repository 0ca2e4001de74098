//! Reads the configuration again and again: [`Loader`] keeps what each service's file said when it
//! was right the last time, and reads only what may have changed since. A reload calls it; `load`
//! and `inspect` use one that knows nothing yet.

mod instead;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arbitrate::{Choice, Contender, Verdict, arbitrate};
use super::discover::{self, Followed, Found};
use super::document;
use super::fingerprint::Fingerprint;
use super::model::{AdminSettings, Config, Environment, EnvironmentName, ServiceName};
use super::report::{Problem, Report};
use super::source::Source;
use super::validate::service::{Draft, Surroundings, draft};
use super::validate::{self, EMPTY_MAIN, EMPTY_SERVICE, Main, Plan};
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
}

/// Reads a configuration and remembers it.
#[derive(Debug)]
pub struct Loader {
    path: PathBuf,
    files: HashMap<Key, File>,
    /// What the main file said when it was right.
    main: Option<Main>,
    /// What is read in place of a file.
    instead: Option<Instead>,
    reading: document::Read,
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
            Ok(path) => discover::absolute(Path::new("/"), &path),
            // Reading it will say what is wrong with it.
            Err(_) => path.to_owned(),
        };
        let reading = document::read_bytes;
        Self { path, files: HashMap::new(), main: None, instead: None, reading }
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
        let (main, problems) = match self.main() {
            Ok(main) => main,
            // Where the services' files are is known from before.
            Err(rejected) => match self.main.clone() {
                Some(main) => (main, rejected.report.problems),
                None => return Err(rejected),
            },
        };
        let (keys, read) = self.read(&main, reading);
        if !problems.is_empty() {
            return Err(self.wrong(main, &keys, problems));
        }
        self.main = Some(main.clone());
        let (mut served, mut rejected) = (Vec::with_capacity(keys.len()), Vec::new());
        let verdicts = arbitrate(&self.contenders(&keys, File::as_valid));
        for ((key, file), verdict) in self.files(&keys).zip(verdicts) {
            served.push((key.clone(), file.state(verdict.choice).cloned()));
            rejected.extend(file.rejection(key, verdict));
        }
        let places = main.plans.iter().map(|plan| plan.pattern.clone()).collect();
        let drafts = served.iter().map(|(_, draft)| draft.as_ref());
        let config = config(main, drafts);
        Ok(Loaded { config, rejected, places, read, served })
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
        let (main, problems) = self.main()?;
        let (keys, _) = self.read(&main, Reading::Everything);
        let Rejected { report, is_transient, rest } = self.wrong(main, &keys, problems);
        match rest {
            Some(config) if report.problems.is_empty() => Ok(*config),
            rest => Err(Rejected { report, is_transient, rest }),
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
        match document::read(&self.path, self.reading, EMPTY_MAIN, &mut problems) {
            Some(document) => {
                let mut main = validate::main(document, &mut problems);
                self.instead.iter().for_each(|instead| instead.add_to(&mut main));
                Ok((main, problems))
            }
            None => {
                let report = Report::new(problems);
                Err(Rejected { is_transient: report.is_transient(), report, rest: None })
            }
        }
    }

    /// The problems of the main file and of all others, whose names count even if they are wrong.
    fn wrong(&self, main: Main, keys: &[Key], mut problems: Vec<Problem>) -> Rejected {
        let is_transient =
            !problems.is_empty() && problems.iter().all(|problem| problem.is_transient);
        let verdicts = arbitrate(&self.contenders(keys, File::as_written));
        for ((_, file), verdict) in self.files(keys).zip(verdicts) {
            problems.extend(file.problems.iter().cloned().chain(verdict.problems));
        }
        let rest = config(main, self.files(keys).map(|(_, file)| file.as_written()));
        Rejected { report: Report::new(problems), is_transient, rest: Some(Box::new(rest)) }
    }

    /// Reads what is to be read: the files of all environments in their order, and how many of them
    /// were read.
    fn read(&mut self, main: &Main, reading: Reading) -> (Vec<Key>, usize) {
        let (mut keys, mut read) = (Vec::new(), 0);
        for Plan { name, domain, found, pattern: _ } in &main.plans {
            let around = Surroundings { domain: domain.clone(), limits: main.limits.clone() };
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
                    let text = document::read_text(path, self.reading, instead);
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
        let document = document::of(source, EMPTY_SERVICE, &mut problems);
        let draft = document.and_then(|document| draft(document, around, &mut problems));
        let newest = draft.map(Arc::new);
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

/// The whole, with a state of each file in the order of files.
fn config<'a>(main: Main, states: impl IntoIterator<Item = Option<&'a Arc<Draft>>>) -> Config {
    let Main { server, admin, state, limits: _, plans, roots, directory: _ } = main;
    let states: Vec<_> = states.into_iter().collect();
    let warnings = warnings(states.iter().copied().flatten());
    let mut states = states.into_iter();
    let mut watch: Vec<_> = roots.into_iter().map(Followed::Path).collect();
    let mut environments = Vec::with_capacity(plans.len());
    for Plan { name, domain, pattern: _, found: Found { files, directories } } in plans {
        let drafts = states.by_ref().take(files.len()).flatten();
        let services = drafts.map(|draft| draft.service.clone()).collect();
        environments.push(Environment { name, domain, services });
        watch.extend(directories.into_iter().map(|(path, names)| Followed::Names(path, names)));
        watch.extend(files.into_iter().map(Followed::Path));
    }
    Config { server, admin, state, environments, watch, warnings }
}

/// Of all drafts, but of a file that two environments share only once.
fn warnings<'a>(drafts: impl Iterator<Item = &'a Arc<Draft>>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let all = drafts.flat_map(|draft| &draft.warnings);
    all.filter(|warning| seen.insert(*warning)).cloned().collect()
}
