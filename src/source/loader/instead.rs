//! Whether a configuration would be right if one of its files said something else. `edit` asks
//! before it writes.

use std::path::{Path, PathBuf};

use super::super::discover;
use super::super::fingerprint::Fingerprint;
use super::{Area, Key, Loader, Reading, Rejected, Rejection};
use crate::config::Report;

/// A text that is read instead of a file.
#[derive(Debug)]
pub struct Instead {
    text: String,
    what: What,
    /// Where it was read.
    read: Vec<Key>,
}

#[derive(Debug)]
enum What {
    /// A file, by whichever link it is found.
    File(Fingerprint),
    /// A file that is to be made.
    New(PathBuf),
}

/// What is wrong with a text in place of a file.
#[derive(Debug)]
pub enum Objection {
    /// What would be wrong that is right now.
    Wrong(Report),
    /// What is wrong already, and stays so.
    WrongBefore(Report),
    /// No environment finds the file; what each of them says under `services`.
    NotFound(Vec<String>),
}

/// Checks the configuration at `main` with a text in place of the file at `path`, which is there or
/// is to be made. What is wrong already elsewhere does not count, unless it is the main file.
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
    let wrong = |rejected: Rejected| Objection::WrongBefore(rejected.report);
    let before = loader.load(Reading::Everything).map_err(wrong)?;
    // Who has a name keeps it, as in the process that serves.
    loader.keep(&before);
    let what = match Fingerprint::of(path).filter(|_| is_there) {
        Some(file) => What::File(file),
        None => What::New(path.to_owned()),
    };
    loader.instead = Some(Instead { text: text.to_owned(), what, read: Vec::new() });
    let after = loader.load(Reading::Changed).map_err(wrong)?;
    let read = loader.instead.take().map(|instead| instead.read).unwrap_or_default();
    if read.is_empty() {
        return Err(Objection::NotFound(loader.globs()));
    }
    object(&read, &before.rejected, &after.rejected)
}

fn object(edited: &[Key], before: &[Rejection], after: &[Rejection]) -> Result<(), Objection> {
    let is_edited = |rejection: &Rejection| {
        edited.iter().any(|(environment, file)| {
            rejection.environment == *environment && rejection.file == *file
        })
    };
    let is_same = |one: &Rejection, other: &Rejection| {
        one.environment == other.environment && one.file == other.file
    };
    let was_wrong = |rejection: &Rejection| before.iter().any(|it| is_same(it, rejection));
    let counts = |rejection: &&Rejection| is_edited(rejection) || !was_wrong(rejection);
    let wrong: Vec<Rejection> = after.iter().filter(counts).cloned().collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let earlier = before.iter().filter(|rejection| is_edited(rejection));
    let earlier: Vec<Rejection> = earlier.cloned().collect();
    Err(match earlier.as_slice() {
        [] => Objection::Wrong(Rejection::summary(&wrong)),
        earlier => Objection::WrongBefore(Rejection::summary(earlier)),
    })
}

impl Instead {
    /// The text, if it is read instead of the file at this key.
    pub fn text_at(&mut self, key: &Key, fingerprint: Option<Fingerprint>) -> Option<&str> {
        let is_it = match &self.what {
            What::File(file) => fingerprint.is_some_and(|now| now.is_same_file(file)),
            What::New(path) => is_at(path, &key.1),
        };
        if !is_it {
            return None;
        }
        self.read.push(key.clone());
        Some(&self.text)
    }

    /// Lets an environment find a file that is to be made, if its glob would find it.
    pub fn add_to(&self, area: &mut Area, main_directory: &Path) {
        let What::New(path) = &self.what else { return };
        let Area { plan, found } = area;
        let Some(path) = discover::would_find(main_directory, &plan.pattern, path) else { return };
        if let Err(place) = found.files.binary_search(&path) {
            found.files.insert(place, path);
        }
    }
}

/// Whether two paths to a file that need not be there lead into one directory.
fn is_at(one: &Path, other: &Path) -> bool {
    let directory = |path: &Path| path.parent().and_then(Fingerprint::of);
    one.file_name() == other.file_name()
        && directory(one).zip(directory(other)).is_some_and(|(one, other)| one.is_same_file(&other))
}

impl Loader {
    /// What each environment says under `services`.
    fn globs(&self) -> Vec<String> {
        let plans = self.main().map(|(main, _)| main.plans).unwrap_or_default();
        plans.iter().map(|plan| format!("`{}` ({})", plan.pattern, plan.name)).collect()
    }
}
