//! The pairs of the listener, as they are served. A pair stays in use until its files say something better.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustls::sign::CertifiedKey;

use super::flaw::BadFile;
use super::pair::{Pair, problem_of};
use super::state::CertificateState;
use crate::config::{CertificateFiles, Problem, Warnings};
use crate::source::{Fingerprint, Reading};

/// How long a start waits for files that somebody may be writing.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks of a start.
const START_PAUSE: Duration = Duration::from_millis(100);

/// How often the log says that a certificate ends.
const REMINDER: Duration = Duration::from_hours(24);

/// Every pair that the configuration names, in its order.
#[derive(Debug, Default)]
pub struct CertificateStore {
    entries: Vec<Entry>,
    /// Pairs that the configuration names no more. They are served while one that it names cannot be: what replaces them
    /// may be that one. Where it names none, they are served until a restart closes the listener.
    retired: Vec<Entry>,
    /// How the pairs stood when the log was last told; `None` before the first time.
    told: Option<Vec<CertificateState>>,
    /// When the log last said which certificates end.
    reminded: Option<SystemTime>,
}

/// What clients get: the names and the key of each certificate, the default one first.
pub type CertificateList = Vec<(Vec<String>, Arc<CertifiedKey>)>;

#[derive(Debug)]
struct Entry {
    files: CertificateFiles,
    /// How both files looked when they were read; `None` if they are to be read again.
    looked: Option<[Fingerprint; 2]>,
    served: Option<Arc<Pair>>,
    /// What the files contain, where that is a pair.
    newest: Option<Arc<Pair>>,
    bad: Option<BadFile>,
}

impl CertificateStore {
    /// Reads the pairs of a process that starts. Waits a moment for files that somebody may be writing.
    ///
    /// # Errors
    ///
    /// Where none of the pairs can be used: what is wrong with each.
    pub fn open(wanted: &[CertificateFiles]) -> Result<Self, Vec<Problem>> {
        let store = Self::read(wanted);
        match wanted.is_empty() || store.entries.iter().any(|entry| entry.served.is_some()) {
            true => Ok(store),
            false => Err(store.problems()),
        }
    }

    /// What the files give by themselves. Waits a moment for those that somebody may be writing.
    pub(super) fn read(wanted: &[CertificateFiles]) -> Self {
        let (mut store, began) = (Self::default(), Instant::now());
        loop {
            store.load(wanted, Reading::Changed, SystemTime::now());
            let mut bad = store.entries.iter().filter_map(|entry| entry.bad.as_ref());
            if !bad.any(BadFile::may_be_half_written) || began.elapsed() >= START_PATIENCE {
                return store;
            }
            thread::sleep(START_PAUSE);
        }
    }

    /// Reads the pairs that may have changed. Returns whether anything is otherwise than before, and says nothing of it.
    pub fn load(&mut self, wanted: &[CertificateFiles], reading: Reading, now: SystemTime) -> bool {
        let before = self.states();
        let known = self.entries.drain(..).chain(self.retired.drain(..));
        let mut known: Vec<_> = known.map(Some).collect();
        let places: HashMap<_, _> = known
            .iter()
            .enumerate()
            .filter_map(|(place, entry)| Some((entry.as_ref()?.files.clone(), place)))
            .collect();
        for files in wanted {
            let place = places.get(files).and_then(|place| known.get_mut(*place));
            let entry = place.and_then(Option::take);
            let mut entry = entry.unwrap_or_else(|| Entry::new(files.clone()));
            // The place that names them may have moved.
            entry.files.clone_from(files);
            entry.look(reading);
            entry.choose(now);
            self.entries.push(entry);
        }
        if wanted.is_empty() || self.entries.iter().any(|entry| entry.served.is_none()) {
            let rest = known.into_iter().flatten().filter(|entry| entry.served.is_some());
            // Nobody is to correct files that are named no more.
            self.retired.extend(
                rest.map(|entry| Entry { served: entry.served, ..Entry::new(entry.files) }),
            );
        }
        self.states() != before
    }

    /// What clients get.
    pub fn list(&self) -> CertificateList {
        let pairs = self.in_order().filter_map(|entry| entry.served.as_ref());
        pairs.map(|pair| (pair.facts.names.clone(), pair.certified.clone())).collect()
    }

    /// How each pair stands, in the order of the configuration.
    pub fn states(&self) -> Vec<CertificateState> {
        let mut default = self.in_order().filter(|entry| entry.served.is_some());
        let default = default.next().map(|entry| &entry.files);
        let state = |(entry, is_declared): (&Entry, bool)| {
            let is_default = default == Some(&entry.files);
            CertificateState { is_default, is_declared, ..entry.state() }
        };
        let declared = self.entries.iter().map(|entry| (entry, true));
        declared.chain(self.retired.iter().map(|entry| (entry, false))).map(state).collect()
    }

    /// What is wrong with the files, for a report.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |entry: &Entry| Some(problem_of(&entry.files, entry.bad.as_ref()?));
        self.entries.iter().filter_map(problem).collect()
    }

    /// How many pairs could not be read for now, and one of the reasons.
    pub fn unread(&self) -> (usize, Option<String>) {
        let bad = self.entries.iter().filter_map(|entry| entry.bad.as_ref());
        let passing: Vec<_> = bad.filter(|bad| bad.is_transient()).collect();
        (passing.len(), passing.first().map(ToString::to_string))
    }

    /// Whether a certificate that was held back is to be served by now, or one that is served is to be held back.
    pub fn is_due(&self, now: SystemTime) -> bool {
        let mut chosen = self.entries.iter().filter_map(|entry| Some((entry, entry.chosen(now)?)));
        let is_served = |entry: &Entry, chosen: &Arc<Pair>| {
            entry.served.as_ref().is_some_and(|served| Arc::ptr_eq(served, chosen))
        };
        chosen.any(|(entry, chosen)| !is_served(entry, chosen))
    }

    /// Logs, once a day, which certificates end, have ended, or are not valid yet.
    pub fn remind(&mut self, now: SystemTime) {
        // A clock that was set back says nothing of the time that has passed.
        let since = self.reminded.and_then(|at| now.duration_since(at).ok());
        if since.is_some_and(|since| since < REMINDER) {
            return;
        }
        self.reminded = Some(now);
        for warning in self.states().iter().filter_map(|state| state.ending(now)) {
            tracing::warn!("{}:\n{}", warning.message, Warnings(std::slice::from_ref(&warning)));
        }
    }

    /// The pairs in the order in which one is the default: a pair that cannot be served is replaced by those that were
    /// served before.
    fn in_order(&self) -> impl Iterator<Item = &Entry> {
        let is_first_served = self.entries.first().is_some_and(|entry| entry.served.is_some());
        let (one, other) = match is_first_served {
            true => (&self.entries, &self.retired),
            false => (&self.retired, &self.entries),
        };
        one.iter().chain(other)
    }

    /// Logs what has changed since the last time; at first, what is wrong.
    pub fn tell(&mut self, now: SystemTime) {
        let states = self.states();
        let told = self.told.replace(states.clone());
        let known: HashMap<_, _> =
            told.iter().flatten().map(|state| (&state.files, state)).collect();
        for state in &states {
            state.tell(known.get(&state.files).copied(), told.is_none(), now);
        }
    }
}

impl Entry {
    fn new(files: CertificateFiles) -> Self {
        Self { files, looked: None, served: None, newest: None, bad: None }
    }

    /// Reads the files, unless they look as they did.
    fn look(&mut self, reading: Reading) {
        let CertificateFiles { certificate, key } = &self.files;
        let looks = Fingerprint::of(&certificate.path).zip(Fingerprint::of(&key.path));
        let looks = looks.map(|(one, other)| [one, other]);
        if reading == Reading::Changed && looks.is_some() && looks == self.looked {
            return;
        }
        // Files that have just been written may change again without looking different.
        self.looked = looks.filter(|looks| looks.iter().all(Fingerprint::is_settled));
        match Pair::load(&self.files) {
            Ok(pair) => {
                self.bad = None;
                let is_same = |known: &&Arc<Pair>| known.content() == pair.content();
                let both = [&self.newest, &self.served];
                let known = both.into_iter().flatten().find(is_same).cloned();
                self.newest = Some(known.unwrap_or_else(|| Arc::new(pair)));
            }
            Err(bad) => {
                // What a moment's error hides may be what it was.
                if !bad.is_transient() {
                    self.newest = None;
                }
                self.looked = None;
                self.bad = Some(bad);
            }
        }
    }

    /// What is to be served at a moment: what the files contain, unless that is not valid and what is served is.
    fn chosen(&self, now: SystemTime) -> Option<&Arc<Pair>> {
        let is_valid = |pair: &Arc<Pair>| pair.facts.validity(now).is_valid();
        match (&self.newest, &self.served) {
            (Some(newest), Some(served)) if is_valid(served) && !is_valid(newest) => Some(served),
            (Some(newest), _) => Some(newest),
            (None, served) => served.as_ref(),
        }
    }

    fn choose(&mut self, now: SystemTime) {
        self.served = self.chosen(now).cloned();
    }

    fn state(&self) -> CertificateState {
        let held = match (&self.newest, &self.served) {
            (Some(newest), Some(served)) if !Arc::ptr_eq(newest, served) => Some(newest),
            _ => None,
        };
        CertificateState {
            files: self.files.clone(),
            is_default: false,
            served: self.served.as_ref().map(|pair| pair.facts.clone()),
            content: self.served.as_ref().map(|pair| pair.content()),
            bad: self.bad.clone(),
            held: held.map(|pair| pair.facts.clone()),
            is_declared: true,
        }
    }
}
