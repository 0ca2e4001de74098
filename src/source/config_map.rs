//! Tells whether a file is mounted from a Kubernetes ConfigMap. The kubelet puts the files of a
//! ConfigMap behind a link named `..data` and may replace them at any time, so edits there are
//! lost.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

const DATA: &str = "..data";

/// How many links are followed at most, as in Linux (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Whether an absolute path leads through a link named `..data`.
pub fn leads_through(path: &Path) -> bool {
    let mut way: VecDeque<OsString> = parts(path).collect();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = way.pop_front() {
        if part == DATA {
            return true;
        }
        let before = at.clone();
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(&part);
        let Ok(target) = fs::read_link(&at) else { continue };
        links += 1;
        if links > LINKS_MAX {
            return false;
        }
        at = if target.is_absolute() { PathBuf::from("/") } else { before };
        parts(&target).rev().for_each(|part| way.push_front(part));
    }
    false
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_the_kubelet_mounts_is_found_and_other_links_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir(root.join("..2026_11_24")).unwrap();
        fs::write(root.join("..2026_11_24/shop.toml"), "").unwrap();
        fs::write(root.join("plain.toml"), "").unwrap();
        symlink("..2026_11_24", root.join("..data")).unwrap();
        symlink("..data/shop.toml", root.join("shop.toml")).unwrap();
        symlink("./shop.toml", root.join("again.toml")).unwrap();
        symlink("plain.toml", root.join("link.toml")).unwrap();
        symlink("loop.toml", root.join("loop.toml")).unwrap();
        for name in ["shop.toml", "again.toml", "..data/shop.toml"] {
            assert!(leads_through(&root.join(name)), "{name}");
        }
        for name in ["plain.toml", "link.toml", "loop.toml", "nowhere.toml"] {
            assert!(!leads_through(&root.join(name)), "{name}");
        }
    }
}
