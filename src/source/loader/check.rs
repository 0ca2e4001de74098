//! Checks whether the configuration would be valid if one of its files had another text. Commands
//! ask before they write a file.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::file::File;
use super::layout::Layout;
use super::{Key, Loader, Reading, Rejection, in_order};
use crate::config::{Report, Source, arbitrate};
use crate::source::Fingerprint;
use crate::source::discover;

/// Why a text may not take the place of a file.
#[derive(Clone, Debug)]
pub enum Objection {
    /// Problems that the text would cause.
    Wrong(Report),
    /// Problems that exist already and that the text does not solve.
    WrongBefore(Report),
    /// No environment finds the file. The `services` of each.
    NotFound(Vec<String>),
}

/// Checks the configuration at `main` with a text in place of the file at `path`, which exists or
/// will be created. Existing problems of other service files do not count.
///
/// # Errors
///
/// Where something would be wrong.
pub fn check_instead(
    main: &Path,
    path: &Path,
    is_there: bool,
    text: &str,
) -> Result<(), Objection> {
    let mut loader = Loader::new(main);
    let loaded = loader.load(Reading::Everything);
    let loaded = loaded.map_err(|rejected| Objection::WrongBefore(rejected.report))?;
    // A file that has a name keeps it, as in the process that serves.
    loader.keep(&loaded);
    loader.check(path, is_there, text)
}

impl Loader {
    /// As [`check_instead`], in the configuration that this loader loaded last: no file but the one
    /// at `path` is looked at.
    ///
    /// # Errors
    ///
    /// Where something would be wrong.
    pub fn check(&self, path: &Path, is_there: bool, text: &str) -> Result<(), Objection> {
        if let Some(report) = &self.broken {
            return Err(Objection::WrongBefore(report.clone()));
        }
        let Some(layout) = &self.layout else { return Err(Objection::NotFound(Vec::new())) };
        let edited = match is_there {
            true => self.keys_of(path, layout),
            false => keys_of_new(path, layout),
        };
        if edited.is_empty() {
            return Err(Objection::NotFound(globs(layout)));
        }
        let edited: HashMap<Key, File> =
            edited.into_iter().filter_map(|key| self.with_text(key, layout, text)).collect();
        let after = self.rejections_with(layout, &edited);
        let is_edited = |rejection: &Rejection| {
            edited
                .keys()
                .any(|key| rejection.environment == key.environment && rejection.file == key.path)
        };
        let was_wrong = |rejection: &Rejection| {
            let key = Key::of(rejection.environment.clone(), rejection.file.clone());
            self.wrong.contains(&key)
        };
        let counts = |rejection: &Rejection| is_edited(rejection) || !was_wrong(rejection);
        let wrong: Vec<Rejection> = after.into_iter().filter(counts).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let earlier = edited.keys().filter_map(|key| self.files.get(key)?.rejection(key));
        let earlier: Vec<Rejection> = earlier.collect();
        Err(match earlier.as_slice() {
            [] => Objection::Wrong(Rejection::summary(&wrong)),
            earlier => Objection::WrongBefore(Rejection::summary(earlier)),
        })
    }

    /// The keys of every file that is the file at `path`, also by links.
    fn keys_of(&self, path: &Path, layout: &Layout) -> Vec<Key> {
        let file = Fingerprint::of(path);
        let is_it = |key: &&Key| {
            let known = self.files.get(*key).zip(file.as_ref());
            key.path == path || known.is_some_and(|(known, file)| known.is_file(file))
        };
        layout.keys().filter(is_it).cloned().collect()
    }

    fn with_text(&self, key: Key, layout: &Layout, text: &str) -> Option<(Key, File)> {
        let area = layout.areas.get(layout.position(&key))?;
        let source = Ok(Source::new(&key.path, text.to_owned()));
        let file = File::read(source, None, &area.around, self.files.get(&key));
        Some((key, file))
    }

    /// The files that would be wrong, among those whose names depend on the edited files.
    fn rejections_with(&self, layout: &Layout, edited: &HashMap<Key, File>) -> Vec<Rejection> {
        let file = |key: &Key| edited.get(key).or_else(|| self.files.get(key));
        let names = edited.iter().flat_map(|(key, file)| {
            let before = self.claimants.names(key, self.files.get(key));
            before.into_iter().chain(self.claimants.names(key, Some(file)))
        });
        let mut concerned: HashSet<Key> = self.claimants.around(names, file);
        concerned.extend(edited.keys().cloned());
        concerned.retain(|key| !self.gone.contains(key));
        let concerned = in_order(layout, concerned);
        let files = || concerned.iter().filter_map(|key| Some((key, file(key)?)));
        let contenders =
            files().map(|(key, file)| file.contender(&key.environment, file.as_valid()));
        let verdicts = arbitrate(&contenders.collect::<Vec<_>>());
        let decided = files().zip(verdicts).map(|((key, file), verdict)| {
            let mut file = file.clone();
            file.decide(verdict);
            file.rejection(key)
        });
        decided.flatten().collect()
    }
}

/// Where each environment would find a file that will be created.
fn keys_of_new(path: &Path, layout: &Layout) -> Vec<Key> {
    let found = layout.areas.iter().filter_map(|area| {
        let found = discover::would_find(&layout.main.directory, &area.plan.pattern, path)?;
        Some(Key::of(area.plan.name.clone(), found))
    });
    found.collect()
}

fn globs(layout: &Layout) -> Vec<String> {
    let plans = layout.areas.iter().map(|area| &area.plan);
    plans.map(|plan| format!("`{}` ({})", plan.pattern, plan.name)).collect()
}
