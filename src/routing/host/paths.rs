//! The routes of one host: the longest path that a request is below decides its target. Used by the
//! route table.

use super::super::request::Text;
use super::{Found, Part};

/// The routes of a host name.
#[derive(Clone, Debug)]
pub(super) struct Host<P> {
    /// The longest first, without a slash at the end.
    paths: Vec<(Box<str>, Entry<P>)>,
    /// The route where no path matches.
    whole: Option<Entry<P>>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry<P> {
    target: P,
    pub(super) has_previews: bool,
}

impl<P> Default for Host<P> {
    fn default() -> Self {
        Self { paths: Vec::new(), whole: None }
    }
}

impl<P> Host<P> {
    pub(super) fn add(&mut self, Part { path, has_previews }: Part<'_>, target: P) {
        let entry = Entry { target, has_previews };
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            self.whole.get_or_insert(entry);
        } else if !self.paths.iter().any(|(known, _)| **known == *path) {
            self.paths.push((path.into(), entry));
            self.paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        }
    }

    pub(super) fn remove(&mut self, path: &str, is_meant: impl Fn(&P) -> bool) {
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            self.whole.take_if(|entry| is_meant(&entry.target));
        }
        self.paths.retain(|(known, entry)| !(**known == *path && is_meant(&entry.target)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.whole.is_none()
    }

    pub(super) fn at(&self, path: Text<'_>) -> Option<&Entry<P>> {
        let mut paths = self.paths.iter();
        let longest = paths.find(|(prefix, _)| is_below(prefix.as_bytes(), path));
        longest.map(|(_, entry)| entry).or(self.whole.as_ref())
    }
}

/// Whether a path begins with all segments of a prefix.
fn is_below(prefix: &[u8], path: Text<'_>) -> bool {
    match path.as_plain() {
        Some(path) => {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        }
        None => {
            let mut path = path;
            prefix.iter().all(|byte| path.next() == Some(*byte))
                && matches!(path.next(), None | Some(b'/'))
        }
    }
}

impl<P> Entry<P> {
    pub(super) fn found<'r>(&self, preview: Option<&'r str>) -> Found<'_, 'r, P> {
        Found { target: &self.target, preview }
    }
}
