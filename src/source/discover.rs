//! Finds the service files of an environment. The loader calls it with the directory of the main
//! file and the value of `services`.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use thiserror::Error;

use super::fingerprint::Fingerprint;
use crate::config::{Complaint, Environment, absolute};
use crate::transient::is_transient;

/// The service files, sorted, and the directories in which more could appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub files: Vec<PathBuf>,
    pub directories: Vec<(PathBuf, Names)>,
}

/// Where a change could alter the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Followed {
    /// A file or a directory, absolute. It need not exist.
    Path(PathBuf),
    /// Entries with matching names in a directory, absolute.
    Names(PathBuf, Names),
}

/// Which names in a directory a glob means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Names {
    pattern: Pattern,
    are_directories: bool,
}

impl Names {
    /// Whether it means a name. A component is never a service's file, so that `services` may also lead to
    /// where components are.
    pub fn mean(&self, name: &OsStr) -> bool {
        let is_meant = |name: &str| self.pattern.matches_with(name, OPTIONS);
        let is_component = |name: &str| !self.are_directories && name.ends_with(COMPONENT);
        name.to_str().is_some_and(|name| is_meant(name) && !is_component(name))
    }

    /// Whether it means the directories of these names, and not the files.
    pub fn are_directories(&self) -> bool {
        self.are_directories
    }
}

/// Why a search failed.
#[derive(Debug, Error)]
pub enum DiscoverError {
    #[error("it is empty")]
    Empty,
    #[error("it is not a glob: {}", .0.msg)]
    Pattern(#[from] glob::PatternError),
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf),
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("{} cannot be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{} is a directory", .0.display())]
    Directory(PathBuf),
    #[error("from its first wildcard on, there may only be names and wildcards, and not `{0}`")]
    NotOneLevel(String),
    #[error("it leads through more than {ENTRIES_MAX} files and directories")]
    TooWide,
}

impl DiscoverError {
    /// The transient error, if it was one.
    pub fn transient(&self) -> Option<&io::Error> {
        match self {
            Self::Unreadable { error, .. } if is_transient(error) => Some(error),
            _ => None,
        }
    }
}

/// How many files and directories a search looks at. A glob that starts too high is reported
/// instead of searching the whole machine.
const ENTRIES_MAX: usize = 1_000_000;

/// How the names of components end.
const COMPONENT: &str = ".wasm";

/// An editor's hidden lock and swap files are not services.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Expands a glob relative to a directory. `**` is refused: the duration of the search and the
/// services would depend on everything below the directory.
///
/// # Errors Where it is not a glob, leads through too many entries, or searches in a directory that
/// does not exist. A glob that matches nothing is no error.
pub fn services(base: &Path, pattern: &str) -> Result<Found, DiscoverError> {
    if pattern.is_empty() {
        return Err(DiscoverError::Empty);
    }
    let (fixed, rest) = split_pattern(Path::new(pattern));
    let root = absolute(base, &fixed);
    if rest.as_os_str().is_empty() {
        return single(root);
    }
    match kind(&root)? {
        Some(kind) if kind.is_dir() => {}
        _ => return Err(DiscoverError::NoDirectory(root)),
    }
    let levels = rest.components().map(level).collect::<Result<Vec<_>, _>>()?;
    // Includes directories in which nothing is found yet.
    let (mut directories, mut files, mut left) = (Vec::new(), vec![root], ENTRIES_MAX);
    for (pattern, depth) in levels.iter().zip(1..) {
        let names = Names { pattern: pattern.clone(), are_directories: depth < levels.len() };
        directories.extend(files.iter().map(|directory| (directory.clone(), names.clone())));
        // A link to nowhere stays in the list, so that it is reported.
        files = children(&files, &names, &mut left)?;
    }
    files.sort();
    directories.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Found { files, directories })
}

/// Where a search begins: the directory above the first wildcard, or the file. It need not exist.
pub fn root(base: &Path, pattern: &str) -> PathBuf {
    absolute(base, &split_pattern(Path::new(pattern)).0)
}

/// The path under which a glob would find a file that does not exist yet, by names from `base` on.
pub fn would_find(base: &Path, pattern: &str, file: &Path) -> Option<PathBuf> {
    let (fixed, rest) = split_pattern(Path::new(pattern));
    let parts = rest.components().map(level).collect::<Result<Vec<_>, _>>().ok()?;
    let (last, above) = parts.split_last()?;
    let name = file.file_name()?;
    if !(Names { pattern: last.clone(), are_directories: false }).mean(name) {
        return None;
    }
    let mut directories = vec![absolute(base, &fixed)];
    let mut left = ENTRIES_MAX;
    for pattern in above {
        let names = Names { pattern: pattern.clone(), are_directories: true };
        directories = children(&directories, &names, &mut left).ok()?;
    }
    let wanted = Fingerprint::of(file.parent()?)?;
    let is_it = |directory: &PathBuf| {
        Fingerprint::of(directory).is_some_and(|found| found.is_same_file(&wanted))
    };
    directories.into_iter().find(is_it).map(|directory| directory.join(name))
}

fn single(file: PathBuf) -> Result<Found, DiscoverError> {
    match kind(&file)? {
        Some(kind) if kind.is_dir() => Err(DiscoverError::Directory(file)),
        Some(kind) if kind.is_file() => Ok(Found { files: vec![file], directories: Vec::new() }),
        _ => Err(DiscoverError::NoFile(file)),
    }
}

/// What is at a path, following links; `None` where nothing is, or nothing that we may look at.
fn kind(path: &Path) -> Result<Option<FileType>, DiscoverError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.file_type())),
        Err(error) if is_transient(&error) => {
            Err(DiscoverError::Unreadable { path: path.to_owned(), error })
        }
        Err(_) => Ok(None),
    }
}

/// The part before the first wildcard, and the part from there on.
fn split_pattern(pattern: &Path) -> (PathBuf, PathBuf) {
    let is_fixed = |part: &Component<'_>| {
        let text = part.as_os_str().to_string_lossy();
        !text.contains(['*', '?', '['])
    };
    let fixed = pattern.components().take_while(is_fixed).collect();
    let rest = pattern.components().skip_while(is_fixed).collect();
    (fixed, rest)
}

/// The pattern for the names of one level of directories.
fn level(part: Component<'_>) -> Result<Pattern, DiscoverError> {
    let text = part.as_os_str().to_string_lossy();
    match part {
        Component::Normal(_) if text != "**" => Ok(Pattern::new(&text)?),
        _ => Err(DiscoverError::NotOneLevel(text.into_owned())),
    }
}

/// The matching entries of these directories: directories, or everything else.
fn children(
    directories: &[PathBuf],
    names: &Names,
    left: &mut usize,
) -> Result<Vec<PathBuf>, DiscoverError> {
    let mut matches = Vec::new();
    for directory in directories {
        let unreadable = |error| DiscoverError::Unreadable { path: directory.to_path_buf(), error };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            *left = left.checked_sub(1).ok_or(DiscoverError::TooWide)?;
            if names.mean(&entry.file_name()) && is_directory(&entry)? == names.are_directories {
                matches.push(entry.path());
            }
        }
    }
    Ok(matches)
}

/// Follows links, and asks the file system only about those.
fn is_directory(entry: &fs::DirEntry) -> Result<bool, DiscoverError> {
    match entry.file_type() {
        Ok(kind) if !kind.is_symlink() => Ok(kind.is_dir()),
        _ => Ok(kind(&entry.path())?.is_some_and(|kind| kind.is_dir())),
    }
}

/// The problem to report where `services` of the main file leads nowhere.
pub fn no_services(error: &DiscoverError) -> Complaint {
    if let Some(why) = error.transient() {
        return Complaint::transient(format!("`services` cannot be looked through: {error}"), why);
    }
    let help = match error {
        DiscoverError::NoDirectory(_) => "create the directory, or correct the path",
        DiscoverError::NoFile(_) => "create the file, or write a glob such as `services/*.toml`",
        DiscoverError::Unreadable { .. } => "let the user that runs watershed read it",
        DiscoverError::Directory(_) => "add `/*.toml` for the files in it",
        DiscoverError::NotOneLevel(_) => {
            "write one `*` for each level of directories, such as `services/*/*.toml`"
        }
        DiscoverError::TooWide => "start from a directory that has only services below it",
        DiscoverError::Empty | DiscoverError::Pattern(_) => {
            "write a glob such as `services/*.toml`"
        }
    };
    Complaint::new(format!("`services` leads nowhere: {error}"), help)
}

/// The problem to report where the default directory of services is missing.
pub fn no_default_services(error: &DiscoverError) -> Complaint {
    let glob = Environment::SERVICES;
    if let Some(why) = error.transient() {
        return Complaint::transient(format!("`{glob}` cannot be looked through: {error}"), why);
    }
    let message = format!("without `[[environments]]`, services are in `{glob}`, but {error}");
    let help = "create the directory, or declare `[[environments]]` with its `services`";
    Complaint::new(message, help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::Builder::new().prefix("a[1]").tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        directory
    }

    #[test]
    fn a_glob_finds_files_in_order_and_nothing_hidden() {
        let tree = tree(&["s/b.toml", "s/a.toml", "s/.c.toml", "s/d.txt", "s/e.toml/x"]);
        let found = services(tree.path(), "s/*.toml").unwrap();
        let directory = tree.path().join("s");
        assert_eq!(found.files, [directory.join("a.toml"), directory.join("b.toml")]);
        assert_eq!(paths(&found), [directory]);
    }

    fn paths(found: &Found) -> Vec<PathBuf> {
        found.directories.iter().map(|(path, _)| path.clone()).collect()
    }

    #[test]
    fn names_that_no_glob_means_are_nothing_to_it() {
        let tree = tree(&["s/x/a.toml"]);
        let found = services(tree.path(), "s/*/*.toml").unwrap();
        let [(_, above), (_, within)] = found.directories.as_slice() else { panic!("{found:?}") };
        assert!(above.mean(OsStr::new("y")) && above.are_directories());
        assert!(within.mean(OsStr::new("b.toml")) && !within.are_directories());
        for name in ["app.log", ".b.toml.swp", "b.toml~", ".#b.toml", "4913"] {
            assert!(!within.mean(OsStr::new(name)), "{name}");
        }
        assert_eq!(root(tree.path(), "s/*/*.toml"), tree.path().join("s"));
        assert_eq!(
            root(tree.path(), "../t/a.toml"),
            tree.path().parent().unwrap().join("t/a.toml")
        );
    }

    #[test]
    fn wildcard_directories_are_watched_with_and_without_files() {
        let tree = tree(&["s/x/a.toml", "s/y/b.toml", "s/z/c.txt"]);
        let found = services(&tree.path().join("config"), "../s/*/*.toml").unwrap();
        let directory = tree.path().join("s");
        assert_eq!(found.files.len(), 2);
        let inside = ["x", "y", "z"].map(|name| directory.join(name));
        let expected = [[directory].as_slice(), &inside].concat();
        assert_eq!(paths(&found), expected);
    }

    #[test]
    fn nothing_found_is_fine_and_no_directory_is_not() {
        let tree = tree(&["s/a.txt"]);
        let found = services(tree.path(), "s/*.toml").unwrap();
        assert_eq!(found.files, <[PathBuf; 0]>::default());
        let missing = services(tree.path(), "t/*.toml");
        assert!(matches!(missing, Err(DiscoverError::NoDirectory(_))));
        let missing = services(tree.path(), "s/b.toml");
        assert!(matches!(missing, Err(DiscoverError::NoFile(_))));
        let broken = services(tree.path(), "s/[.toml");
        assert!(matches!(broken, Err(DiscoverError::Pattern(_))));
    }

    #[test]
    fn a_glob_has_a_known_depth() {
        let tree = tree(&["s/x/a.toml"]);
        for pattern in ["**/*.toml", "/**", "s/*/../x/a.toml", "s/**/a.toml"] {
            let refused = services(tree.path(), pattern);
            assert!(matches!(refused, Err(DiscoverError::NotOneLevel(_))), "{pattern}");
        }
        let found = services(tree.path(), "s/*/./a.toml").unwrap();
        assert_eq!(found.files, [tree.path().join("s/x/a.toml")]);
    }

    #[test]
    fn a_glob_that_leads_through_too_much_is_given_up() {
        let tree = tree(&["s/a.toml", "s/b.toml"]);
        let names = Names { pattern: Pattern::new("*").unwrap(), are_directories: false };
        let directories = [tree.path().join("s")];
        assert_eq!(children(&directories, &names, &mut 2).unwrap().len(), 2);
        let refused = children(&directories, &names, &mut 1);
        assert!(matches!(refused, Err(DiscoverError::TooWide)));
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_found_where_it_will_be() {
        let tree = tree(&["s/x/a.toml", "t/.keep"]);
        let find = |pattern: &str, file: &str| {
            would_find(&tree.path().join("config"), pattern, &tree.path().join(file))
        };
        let found = tree.path().join("s/x/b.toml");
        assert_eq!(find("../s/*/*.toml", "s/x/b.toml"), Some(found.clone()));
        assert_eq!(find("../s/x/*.toml", "s/x/b.toml"), Some(found));
        for file in ["s/x/b.txt", "s/x/.b.toml", "s/b.toml", "t/b.toml", "u/b.toml"] {
            assert_eq!(find("../s/*/*.toml", file), None, "{file}");
        }
        std::os::unix::fs::symlink("s", tree.path().join("link")).unwrap();
        let by_link = tree.path().join("link/x/b.toml");
        assert_eq!(find("../link/*/*.toml", "s/x/b.toml"), Some(by_link), "as the glob names it");
    }
}
