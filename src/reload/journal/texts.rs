//! The last good text of each service's file on its way into the history. What cannot be kept yet, because no history
//! is open, waits by its digest alone: files are read when they are kept, and a file that says something else by then
//! is passed over, since it is read again anyway.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Journal, blocking};
use crate::history::{FileText, History, HistoryError, Keep};
use crate::plural::many;
use crate::source::GoodFile;
use crate::versions::ServiceKey;

/// How many texts are in memory at once.
const AT_ONCE: usize = 64;

/// How long nothing is tried after texts could not be kept: the disk is full, or gone.
const PAUSE: Duration = Duration::from_secs(60);

/// The files whose texts are to be kept.
#[derive(Debug, Default)]
pub struct Texts {
    files: HashMap<ServiceKey, GoodFile>,
    not_before: Option<Instant>,
}

impl Texts {
    /// Notes files that are right, in the place of those that their services had.
    pub fn note(&mut self, files: Vec<GoodFile>) {
        let key = |file: &GoodFile| ServiceKey {
            environment: file.environment.clone(),
            service: file.service.clone(),
        };
        self.files.extend(files.into_iter().map(|file| (key(&file), file)));
    }

    /// The files to keep now, which are noted no longer.
    fn take(&mut self) -> Vec<GoodFile> {
        if self.not_before.is_some_and(|not_before| Instant::now() < not_before) {
            return Vec::new();
        }
        std::mem::take(&mut self.files).into_values().collect()
    }
}

impl Journal {
    /// Notes files that are right, so that their texts are kept.
    pub fn note_texts(&mut self, files: Vec<GoodFile>) {
        self.texts.note(files);
    }

    /// Keeps the texts of a few files before a publish, whose record brings them to the disk. Those of many files wait
    /// until after it.
    pub async fn keep_few_texts(&mut self) {
        if self.texts.files.len() <= AT_ONCE {
            self.keep_texts_as(Keep::WithNextRecord).await;
        }
    }

    /// Keeps the texts of all files that were noted, if a history is open.
    pub async fn keep_texts(&mut self) {
        self.keep_texts_as(Keep::Now).await;
    }

    async fn keep_texts_as(&mut self, when: Keep) {
        let Some(history) = self.history.clone() else { return };
        let files = self.texts.take();
        if files.is_empty() {
            return;
        }
        let again = files.clone();
        if let Err(why) = blocking(move || keep(&history, &files, when)).await {
            tracing::error!(
                "the last good texts of {} are not kept: {why}",
                many(again.len(), "file")
            );
            self.texts.note(again);
            self.texts.not_before = Some(Instant::now() + PAUSE);
            self.close(why);
        }
    }
}

/// Reads and keeps the texts that the history does not have. Reads files.
fn keep(history: &History, files: &[GoodFile], keep: Keep) -> Result<(), HistoryError> {
    let named: Vec<_> = files.iter().filter_map(Named::of).collect();
    let keys = named.iter().map(|it| {
        let GoodFile { environment, service, .. } = it.file;
        (environment.as_str(), service.as_str(), it.path, it.digest.as_str())
    });
    let known = history.has_texts(keys)?;
    let new: Vec<_> =
        named.iter().zip(known).filter(|(_, is_known)| !is_known).map(|(it, _)| it).collect();
    let mut chunks = new.chunks(AT_ONCE).peekable();
    while let Some(some) = chunks.next() {
        let texts: Vec<_> = some.iter().filter_map(|it| it.text()).collect();
        // One wait for the disk, and not one for every few of a hundred thousand files.
        let is_last = chunks.peek().is_none();
        history.keep_texts(&texts, if is_last { keep } else { Keep::WithNextRecord })?;
    }
    Ok(())
}

/// A file as the history names it.
struct Named<'a> {
    file: &'a GoodFile,
    path: &'a str,
    digest: String,
}

impl<'a> Named<'a> {
    /// `None` of a path that is not UTF-8, which the history cannot name.
    fn of(file: &'a GoodFile) -> Option<Self> {
        Some(Self { file, path: file.path.to_str()?, digest: file.digest.to_string() })
    }

    fn text(&self) -> Option<FileText> {
        let Self { file, path, digest } = self;
        Some(FileText {
            environment: file.environment.to_string(),
            service: file.service.to_string(),
            path: (*path).to_owned(),
            digest: digest.clone(),
            text: file.text()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Digest, EnvironmentName, ServiceName};

    /// Only the last of several transactions waits for the disk. A kill right after it loses nothing.
    #[test]
    fn all_of_many_texts_are_on_the_disk() {
        let [site, killed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let count = 2 * AT_ONCE + 1;
        let file = |number: usize| {
            let service = ServiceName::new(&format!("shop-{number}")).unwrap();
            let path = site.path().join(format!("{service}.toml"));
            let text = format!("# {number}\n");
            fs::write(&path, &text).unwrap();
            let environment = EnvironmentName::default();
            GoodFile { environment, service, path, digest: Digest::of(text) }
        };
        let files: Vec<_> = (0..count).map(file).collect();
        let history = History::open(site.path()).unwrap();
        keep(&history, &files, Keep::Now).unwrap();
        fs::copy(site.path().join(History::FILE), killed.path().join(History::FILE)).unwrap();
        let history = History::read(killed.path()).unwrap().unwrap();
        for (number, file) in files.iter().enumerate() {
            let found = history.text_of("default", file.service.as_str()).unwrap();
            assert_eq!(found.map(|found| found.text), Some(format!("# {number}\n")));
        }
    }
}
