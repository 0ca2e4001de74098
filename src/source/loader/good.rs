//! A service's file that was right when it was read, for whoever keeps its text.

use std::path::PathBuf;

use super::Key;
use crate::config::{Digest, Draft, EnvironmentName, ServiceName};
use crate::source::text::raw_text;

/// A file, and what it said when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodFile {
    pub environment: EnvironmentName,
    pub service: ServiceName,
    pub path: PathBuf,
    /// Of its text, without a byte order mark.
    pub digest: Digest,
}

impl GoodFile {
    pub(super) fn new(key: &Key, good: &Draft) -> Self {
        Self {
            environment: key.environment.clone(),
            service: good.service.name.clone(),
            path: key.path.clone(),
            digest: good.digest,
        }
    }

    /// Its text, with a byte order mark if it has one; `None` if it says something else by now.
    pub fn text(&self) -> Option<String> {
        let text = raw_text(&self.path).ok()?;
        let read = text.strip_prefix('\u{feff}').unwrap_or(&text);
        (Digest::of(read) == self.digest).then_some(text)
    }
}
