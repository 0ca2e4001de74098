//! Which names matter in the watched directories. The kernel reports every event in them, also for
//! a log that grows beside the main file and for an editor's temporary files. An event for a name
//! that no configuration leads to is neither a change nor a write to wait for.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};

use crate::source::Names;

/// The names that matter in one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Files, directories and links on the way to followed paths.
    names: HashSet<OsString>,
    /// Globs for names that could become a service file, or a directory of service files.
    globs: HashSet<Names>,
}

impl Interest {
    /// Adds one name.
    pub fn add_name(&mut self, name: &OsStr) {
        if !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    /// Adds a glob.
    pub fn add_glob(&mut self, names: &Names) {
        self.globs.insert(names.clone());
    }

    /// Adds everything that matters to `other`.
    pub fn add(&mut self, other: Self) {
        self.names.extend(other.names);
        self.globs.extend(other.globs);
    }

    /// Whether everything that matters here also matters to `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        let is_known = |name: &OsString| {
            other.names.contains(name) || other.globs.iter().any(|names| names.mean(name))
        };
        self.names.iter().all(is_known) && self.globs.is_subset(&other.globs)
    }

    fn concerns(&self, name: &OsStr, kind: EventKind) -> bool {
        let is_meant = |names: &Names| names.mean(name) && may_be_of(kind, names);
        self.names.contains(name) || self.globs.iter().any(is_meant)
    }
}

/// Whether an event may concern an entry that a glob means. Directories are never written.
fn may_be_of(kind: EventKind, names: &Names) -> bool {
    let is_write = matches!(
        kind,
        EventKind::Modify(ModifyKind::Data(_))
            | EventKind::Access(AccessKind::Close(AccessMode::Write))
    );
    !(is_write && names.are_directories())
}

/// The names that matter, for each watched directory.
#[derive(Debug, Default)]
pub struct Interests(HashMap<PathBuf, Interest>);

impl Interests {
    /// Replaces the names that matter. Returns whether a name is new in a directory that was
    /// watched before.
    pub fn replace(&mut self, with: HashMap<PathBuf, Interest>) -> bool {
        let is_wider = |(path, now): (&PathBuf, &Interest)| {
            self.0.get(path).is_some_and(|before| !now.is_within(before))
        };
        let widens = with.iter().any(is_wider);
        self.0 = with;
        widens
    }

    /// Adds names that matter in a directory.
    pub fn add(&mut self, directory: &Path, interest: Interest) {
        match self.0.get_mut(directory) {
            Some(known) => known.add(interest),
            None => _ = self.0.insert(directory.to_owned(), interest),
        }
    }

    /// Reduces an event to the paths that matter; `None` if none does. Errors and events without a
    /// path always matter: they say that events were lost.
    pub fn of(&self, event: notify::Result<Event>) -> Option<notify::Result<Event>> {
        let Ok(mut event) = event else { return Some(event) };
        if event.paths.is_empty() {
            return Some(Ok(event));
        }
        let kind = event.kind;
        event.paths.retain(|path| self.concern(path, kind));
        (!event.paths.is_empty()).then_some(Ok(event))
    }

    fn concern(&self, path: &Path, kind: EventKind) -> bool {
        if self.0.contains_key(path) {
            return true;
        }
        let interest = path.parent().and_then(|parent| self.0.get(parent));
        interest.zip(path.file_name()).is_some_and(|(interest, name)| interest.concerns(name, kind))
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RenameMode};

    use super::*;
    use crate::source::{Followed, Loader, Reading};

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const MADE: EventKind = EventKind::Create(CreateKind::Any);

    /// Those of `services/*/*.toml`, as a configuration says them: of `services`, and of `services/a`.
    fn globs() -> [Names; 2] {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("watershed.toml");
        std::fs::create_dir_all(directory.path().join("services/a")).unwrap();
        let text = "[[environments]]\nname = 'e'\ndomain = 'd'\nservices = 'services/*/*.toml'\n";
        std::fs::write(&main, text).unwrap();
        let names = Loader::new(&main)
            .load(Reading::Everything)
            .unwrap()
            .changes
            .watch()
            .to_vec()
            .into_iter()
            .filter_map(|followed| match followed {
                Followed::Names(_, names) => Some(names),
                Followed::Path(_) => None,
            });
        names.collect::<Vec<_>>().try_into().unwrap()
    }

    fn interests() -> Interests {
        let [above, within] = globs();
        let mut main = Interest::default();
        main.add_name(OsStr::new("watershed.toml"));
        main.add_name(OsStr::new("services"));
        let (mut services, mut a) = (Interest::default(), Interest::default());
        services.add_glob(&above);
        a.add_glob(&within);
        let all = [("/c", main), ("/c/services", services), ("/c/services/a", a)];
        let all = all.map(|(path, interest)| (PathBuf::from(path), interest));
        Interests(HashMap::from(all))
    }

    fn concerns(interests: &Interests, kind: EventKind, path: &str) -> bool {
        interests.of(Ok(Event::new(kind).add_path(path.into()))).is_some()
    }

    #[test]
    fn what_no_configuration_leads_to_does_not_count() {
        let interests = interests();
        for path in ["/c/watershed.toml", "/c/services", "/c/services/a/b.toml", "/c"] {
            assert!(concerns(&interests, WRITTEN, path), "{path}");
        }
        for path in [
            "/c/log",
            "/c/watershed.toml~",
            "/c/.watershed.toml.swp",
            "/c/4913",
            "/c/services/app.log",
            "/c/services/a/app.log",
            "/c/services/a/.b.toml.swp",
            "/elsewhere/b.toml",
        ] {
            assert!(!concerns(&interests, WRITTEN, path), "{path}");
        }
        assert!(concerns(&interests, MADE, "/c/services/b"), "it may be a directory of services");
    }

    #[test]
    fn of_a_rename_the_name_that_matters_counts() {
        let kind = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        let [from, to] = ["/c/services/a/.new", "/c/services/a/b.toml"].map(PathBuf::from);
        let event = Event::new(kind).add_path(from).add_path(to.clone());
        assert_eq!(interests().of(Ok(event)).unwrap().unwrap().paths, [to]);
    }

    #[test]
    fn lost_events_matter() {
        let interests = interests();
        assert!(interests.of(Ok(Event::new(EventKind::Other))).is_some());
        assert!(interests.of(Err(notify::Error::generic("lost"))).is_some());
    }

    #[test]
    fn what_begins_to_matter_in_a_directory_is_noticed() {
        let mut interests = interests();
        let mut next = interests.0.clone();
        assert!(!interests.replace(next.clone()));
        next.entry("/other".into()).or_default().add_name(OsStr::new("a"));
        assert!(
            !interests.replace(next.clone()),
            "a new directory is looked at when it is watched"
        );
        next.entry("/c/services/a".into()).or_default().add_name(OsStr::new("new.toml"));
        assert!(!interests.replace(next.clone()), "its glob meant it already");
        next.entry("/other".into()).or_default().add_name(OsStr::new("b"));
        assert!(interests.replace(next));
    }
}
