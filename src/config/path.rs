//! Paths by their names alone: no file system is asked.

use std::path::{Component, Path, PathBuf};

/// A path relative to a directory as an absolute path. `..` goes by names, as `cd` in a shell does, so the meaning of a
/// file does not change when a directory above it becomes a link.
pub fn absolute(base: &Path, path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_by_names() {
        let path = absolute(Path::new("/a/b"), Path::new("../../c/./d.wasm"));
        assert_eq!(path, Path::new("/c/d.wasm"));
        assert_eq!(absolute(Path::new("/a"), Path::new("/b")), Path::new("/b"));
    }
}
