//! The store of components on real directories: what it keeps, refuses and deletes, whatever lies in its way.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;
use std::time::Duration;

use super::*;
use crate::code::Coded as _;

struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> ComponentStore {
        ComponentStore::new(&self.path("components"))
    }

    /// Every file below the directory of the test.
    fn files(&self) -> Vec<String> {
        fn below(directory: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(directory).unwrap().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => below(&entry.path(), root, found),
                    false => {
                        let path = entry.path();
                        found.push(path.strip_prefix(root).unwrap().display().to_string());
                    }
                }
            }
        }
        let mut found = Vec::new();
        below(self.0.path(), self.0.path(), &mut found);
        found.sort();
        found
    }
}

fn shop() -> ServiceName {
    ServiceName::new("shop").unwrap()
}

fn place(store: &ComponentStore, version: &str, bytes: &[u8]) -> PathBuf {
    store.place(&shop(), &VersionName::new(version).unwrap(), &Digest::of(bytes))
}

fn keep(store: &ComponentStore, version: &str, bytes: &[u8]) -> Result<bool, ComponentStoreError> {
    let place = place(store, version, bytes);
    store.keep(&place, bytes, Path::new("")).map(|(is_new, _)| is_new)
}

#[test]
fn a_copy_is_named_by_its_content_and_kept_once() {
    let site = Site::new();
    let store = site.store();
    assert!(keep(&store, "v1", b"one").unwrap());
    assert!(!keep(&store, "v1", b"one").unwrap(), "it is there already");
    assert!(keep(&store, "v1", b"other").unwrap());
    let files = site.files();
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(files[0], "components/shop/v1-7692c3ad3540.wasm");
    let place = place(&store, "v1", b"one");
    assert!(store.is_copy(&place, &Digest::of("one")));
    assert!(!store.is_copy(&place, &Digest::of("other")));
    assert!(!store.is_copy(&site.path("v1-7692c3ad3540.wasm"), &Digest::of("one")));
    let (found, bytes) = store.find(&shop(), &Digest::of("one")).unwrap();
    assert_eq!((found.as_path(), bytes.as_slice()), (place.as_path(), &b"one"[..]));
    let elsewhere = ServiceName::new("cart").unwrap();
    assert!(store.find(&elsewhere, &Digest::of("one")).is_some(), "whatever service has it");
    assert!(store.find(&shop(), &Digest::of("nobody's")).is_none());
}

/// A name is a claim, and the content decides: what is there may be damaged, or somebody else's.
#[test]
fn a_file_with_other_content_is_neither_used_nor_replaced_nor_deleted() {
    let site = Site::new();
    let store = site.store();
    let (place, digest) = (place(&store, "v1", b"one"), Digest::of("one"));
    keep(&store, "v1", b"one").unwrap();
    fs::write(&place, "damaged").unwrap();
    let refused = keep(&store, "v1", b"one").unwrap_err().to_string();
    assert!(refused.contains("not the component that its name says"), "{refused}");
    assert!(store.find(&shop(), &digest).is_none());
    let locked = store.lock_service(&shop()).unwrap().unwrap();
    assert!(!store.delete(&place, &digest, &locked).unwrap());
    fs::remove_file(&place).unwrap();
    // Nor is a link followed to what it leads to.
    fs::write(site.path("mine.wasm"), "one").unwrap();
    symlink(site.path("mine.wasm"), &place).unwrap();
    assert!(!store.delete(&place, &digest, &locked).unwrap());
    fs::remove_file(&place).unwrap();
    symlink(site.path("nowhere"), &place).unwrap();
    drop(locked);
    let refused = keep(&store, "v1", b"one").unwrap_err();
    assert!(matches!(refused, ComponentStoreError::Occupied { .. }), "{refused}");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    let refused = keep(&store, "v1", b"one").unwrap_err();
    assert!(matches!(refused, ComponentStoreError::Occupied { .. }), "{refused}");
    assert_eq!(site.files(), ["mine.wasm"], "nothing unfinished is left");
}

#[test]
fn only_what_we_named_is_deleted() {
    let site = Site::new();
    let store = site.store();
    keep(&store, "v1", b"one").unwrap();
    let locked = store.lock_service(&shop()).unwrap().unwrap();
    let digest = Digest::of("one");
    let copy = place(&store, "v1", b"one");
    let mine = site.path("components/shop/mine.wasm");
    fs::write(&mine, "one").unwrap();
    for path in [&mine, &site.path("components/mine-7692c3ad3540.wasm")] {
        fs::write(path, "one").unwrap();
        assert!(!store.delete(path, &digest, &locked).unwrap(), "{}", path.display());
    }
    assert!(store.delete(&copy, &digest, &locked).unwrap());
    assert!(!store.delete(&copy, &digest, &locked).unwrap(), "it is gone");
    assert_eq!(site.files().len(), 2);
}

#[test]
fn what_a_killed_command_left_is_cleaned_up_by_the_next() {
    let site = Site::new();
    let store = site.store();
    fs::create_dir_all(site.path("components/shop")).unwrap();
    fs::write(site.path("components/shop/.watershed-component-1-2"), "hal").unwrap();
    keep(&store, "v1", b"one").unwrap();
    assert_eq!(site.files(), ["components/shop/v1-7692c3ad3540.wasm"]);
}

#[test]
fn a_directory_behind_a_link_is_used_and_something_else_in_its_place_is_told() {
    let site = Site::new();
    let store = site.store();
    fs::create_dir(site.path("disk")).unwrap();
    symlink(site.path("disk"), site.path("components")).unwrap();
    keep(&store, "v1", b"one").unwrap();
    assert!(site.path("disk/shop/v1-7692c3ad3540.wasm").exists());
    for what in ["a file", "a link to nowhere", "a loop"] {
        let site = Site::new();
        let components = site.path("components");
        match what {
            "a file" => fs::write(&components, "").unwrap(),
            "a loop" => symlink(&components, &components).unwrap(),
            _ => symlink(site.path("nowhere"), &components).unwrap(),
        }
        let refused = keep(&site.store(), "v1", b"one").unwrap_err().line();
        let advice = "choose another place by `[components] directory`";
        assert!(refused.contains("components") && refused.contains(advice), "{what}: {refused}");
    }
}

#[test]
fn what_cannot_be_written_leaves_nothing_and_says_what_to_do() {
    let help = |code| {
        let error = std::io::Error::from_raw_os_error(code);
        ComponentStoreError::unwritable(Path::new("/components"), error).line()
    };
    // No space, over the quota, not permitted, a file system that is read only.
    for (code, advice) in
        [(28, "make room"), (122, "make room"), (13, "as a user"), (30, "as a user")]
    {
        let told = help(code);
        assert!(told.contains(advice) && told.contains("--in-place"), "{told}");
    }
    if rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::new();
    let directory = site.path("components/shop");
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).unwrap();
    assert!(keep(&site.store(), "v1", b"one").unwrap_err().line().contains("as a user"));
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(site.files().is_empty());
}

/// Two environments may deploy the same version at once.
#[test]
fn commands_at_once_keep_one_whole_copy() {
    let site = Site::new();
    let (store, bytes) = (site.store(), vec![7; 300_000]);
    let made: Vec<bool> = thread::scope(|scope| {
        let each: Vec<_> =
            (0..8).map(|_| scope.spawn(|| keep(&store, "v1", &bytes).unwrap())).collect();
        each.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|is_new| **is_new).count(), 1, "{made:?}");
    assert_eq!(site.files().len(), 1);
    assert_eq!(fs::read(place(&store, "v1", &bytes)).unwrap(), bytes);
}

/// The file of a service may lie in the directory of its copies, which the command has locked then.
#[test]
fn whoever_has_the_lock_already_does_not_wait_for_it() {
    let site = Site::new();
    let (store, directory) = (site.store(), site.path("components/shop"));
    fs::create_dir_all(&directory).unwrap();
    let held = lock(&File::open(&directory).unwrap(), Duration::ZERO).unwrap();
    assert!(held.is_some());
    let place = place(&store, "v1", b"one");
    assert!(store.keep(&place, b"one", &directory).unwrap().0);
}

#[test]
fn old_copies_are_told_from_young_ones_and_from_other_files() {
    let site = Site::new();
    let store = site.store();
    keep(&store, "v1", b"one").unwrap();
    keep(&store, "v2", b"two").unwrap();
    fs::write(site.path("components/shop/notes.txt"), "").unwrap();
    let day = Duration::from_secs(24 * 3600);
    let old = File::options().write(true).open(place(&store, "v1", b"one")).unwrap();
    old.set_modified(std::time::SystemTime::now() - day * 2).unwrap();
    let copies = store.older(&shop(), day);
    let [copy] = copies.as_slice() else { panic!("{copies:?}") };
    assert_eq!((copy.version.as_str(), copy.digest), ("v1", Digest::of("one")));
    assert!(store.older(&ServiceName::new("cart").unwrap(), day).is_empty());
}
