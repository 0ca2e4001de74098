//! What is lost, and what is left behind, when somebody else writes at the same time: nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

struct Case {
    directory: tempfile::TempDir,
    place: Place,
}

impl Case {
    fn new(text: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.toml");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let place = Place::lock(&path, Duration::ZERO).unwrap();
        Self { directory, place }
    }

    /// What is in the directory: the file's text, and nothing else.
    fn only_text(&self) -> String {
        let names: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        assert_eq!(names, ["shop.toml"]);
        fs::read_to_string(self.place.path()).unwrap()
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.directory.path()).unwrap().count() == 0
    }
}

#[test]
fn a_file_is_replaced_with_its_mode_and_owner() {
    let case = Case::new(Some("old"));
    fs::set_permissions(case.place.path(), fs::Permissions::from_mode(0o640)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(case.place.path(), Some(1234), Some(2345)).unwrap();
    }
    let before = fs::metadata(case.place.path()).unwrap();
    case.place.replace("old", "new").unwrap();
    assert_eq!(case.only_text(), "new");
    let after = fs::metadata(case.place.path()).unwrap();
    let look = |it: &fs::Metadata| (it.mode(), it.uid(), it.gid());
    assert_eq!(look(&after), look(&before));
    assert_ne!(after.ino(), before.ino(), "nobody reads half of it");
}

#[test]
fn what_somebody_else_wrote_is_put_back() {
    let case = Case::new(Some("theirs"));
    let refused = case.place.replace("old", "new");
    assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
    assert_eq!(case.only_text(), "theirs");
}

#[test]
fn what_somebody_else_wrote_last_wins() {
    let case = Case::new(Some("new"));
    // As after the exchange, if the file was changed before it and is changed again now.
    let out = Temporary { path: case.place.hidden() };
    fs::write(&out.path, "theirs").unwrap();
    fs::write(case.place.path(), "theirs, again").unwrap();
    let refused = case.place.settle(&out, "old", "new");
    assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
    drop(out);
    assert_eq!(case.only_text(), "theirs, again");
}

#[test]
fn a_file_that_somebody_removed_is_not_made_again() {
    let case = Case::new(None);
    let refused = case.place.replace("old", "new");
    assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
    assert!(case.is_empty());
}

#[test]
fn without_an_exchange_the_file_is_compared_first() {
    let case = Case::new(Some("old"));
    let new = || case.place.write("new", None).unwrap();
    let refused = case.place.compare_and_rename(&new(), "other");
    assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
    assert_eq!(case.only_text(), "old");
    case.place.compare_and_rename(&new(), "old").unwrap();
    assert_eq!(case.only_text(), "new");
}

#[test]
fn a_new_file_never_replaces_one() {
    let case = Case::new(None);
    case.place.create("new").unwrap();
    assert_eq!(case.only_text(), "new");
    let refused = case.place.create("newer");
    assert!(matches!(refused, Err(StoreError::Exists)), "{refused:?}");
    assert_eq!(case.only_text(), "new");
    fs::remove_file(case.place.path()).unwrap();
    symlink("nowhere", case.place.path()).unwrap();
    assert!(matches!(case.place.create("new"), Err(StoreError::Exists)), "nor a link");
}

#[test]
fn a_file_is_removed_only_as_it_was_written() {
    let case = Case::new(Some("theirs"));
    let refused = case.place.remove("ours");
    assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
    assert_eq!(case.only_text(), "theirs");
    case.place.remove("theirs").unwrap();
    assert!(case.is_empty());
    assert!(matches!(case.place.remove("theirs"), Err(StoreError::Changed)), "it is gone");
}

/// Nobody may make files in sysfs, not even root.
#[test]
fn a_directory_that_is_not_writable_is_told() {
    let place = Place::lock(Path::new("/sys/shop.toml"), Duration::ZERO).unwrap();
    let refused = place.create("new");
    assert!(matches!(refused, Err(StoreError::Denied(_))), "{refused:?}");
}

#[test]
fn one_command_waits_for_the_other() {
    let case = Case::new(Some("old"));
    let path = case.place.path().to_owned();
    let busy = Place::lock(&path, Duration::from_millis(50));
    assert!(matches!(busy, Err(StoreError::Busy)), "{busy:?}");
    let waiting = thread::spawn(move || Place::lock(&path, PATIENCE).map(|_| ()));
    let Case { directory, place } = case;
    drop(place);
    waiting.join().unwrap().unwrap();
    drop(directory);
}

/// Every text that a reader sees is one of those that were written, and no write is lost.
#[test]
fn many_writers_lose_nothing() {
    let case = Case::new(Some("0"));
    let path = case.place.path().to_owned();
    let Case { directory, place } = case;
    drop(place);
    let count = || {
        for _ in 0..25 {
            let place = Place::lock(&path, PATIENCE).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let next = text.parse::<u32>().unwrap() + 1;
            place.replace(&text, &next.to_string()).unwrap();
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(count))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "100");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
