//! Paths by their names, without a look at what is there.

use std::path::{Component, Path, PathBuf};

/// A path relative to a directory as one that is absolute. `..` goes by names, as `cd` in a shell
/// does: what a file says does not change its meaning when a directory above it turns into a link.
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
