//! What a rollout can read and do. The decisions know nothing of files and sockets.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::refusal::Refusal;
use super::restore::Restoration;
use super::shares::Shares;
use super::view::ServiceView;
use crate::api::{Fault, HistoryDocument, Standing};
use crate::code::Coded;
use crate::config::{Percent, Quarantined, SecretSource, VersionName};
use crate::edit::{NewVersion, ServiceText};
use crate::history::PUT_BACK;

/// How often the process is asked how far it is: often at first, because some edits take no time.
const LOOKS: RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_millis(200);

/// One service under a rollout. Whatever it asks may fail at any time: the process may end, and others
/// may edit the file.
pub trait Control {
    /// Why something could not be read or done.
    type Error: From<Refusal> + Coded;
    /// What puts an edited file back.
    type Saved;

    /// The service as it was seen last.
    fn view(&self) -> &ServiceView;

    /// Asks the process again.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    fn look(&mut self) -> Result<(), Self::Error>;

    /// Reads the file again, and asks the process again.
    ///
    /// # Errors
    ///
    /// Where the file is wrong, or the process does not answer.
    fn reread(&mut self) -> Result<(), Self::Error>;

    /// Edits the service's file if it still says what was seen last, has the process serve it, and
    /// looks at what came of that.
    ///
    /// # Errors
    ///
    /// Where somebody else has changed the file, or it would be wrong: nothing is changed then. Also
    /// where the file is changed and the process does not answer or does not take it: the error says
    /// so.
    fn edit(&mut self, edit: &Edit, note: Note) -> Result<Edited<Self::Saved>, Self::Error>;

    /// Puts back what the file said before an edit, and has the process serve that.
    fn put_back(&mut self, edited: Edited<Self::Saved>, note: Note) -> PutBack<Self::Error>;

    /// Waits until the process has made a version normal or error; `Creating` if it takes longer than
    /// `patience`.
    ///
    /// # Errors
    ///
    /// Where the process does not answer, or the version is not declared any more.
    fn wait(&mut self, version: &VersionName, patience: Duration) -> Result<Standing, Self::Error>;

    /// Where no process runs: makes a version as a process would, and remembers how it stands.
    ///
    /// # Errors
    ///
    /// Where that cannot be tried here.
    fn try_out(&mut self, version: &VersionName) -> Result<Standing, Self::Error>;

    /// The newest records of the service, with the texts of its variables.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    fn history(&self, limit: usize) -> Result<HistoryDocument, Self::Error>;

    /// The digest of the component in a file.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn digest_at(&self, component: &Path) -> Result<String, String>;

    /// A copy in the store of the component with a digest.
    fn stored(&self, digest: &str) -> Option<PathBuf>;

    /// The digest of a secret's value, as it can be read here.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn secret_digest(&self, key: &str, place: &SecretSource) -> Result<String, String>;
}

/// What an edit does to a service's file, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit(pub Vec<Step>);

/// One change of a service's file.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Declares a version after the last one.
    Add(NewVersion),
    /// Puts a version in the place of the one of its name.
    Replace(NewVersion),
    Remove(VersionName),
    /// Gives each version its share.
    Split(Vec<(VersionName, Percent)>),
    /// Brings back what served once.
    Restore(Restoration),
    Quarantine(Quarantined),
    /// Removes what keeps traffic from the digest and environment of an entry.
    Release(Quarantined),
}

impl Edit {
    /// Changes the text.
    pub fn apply(&self, text: &mut ServiceText) {
        for step in &self.0 {
            match step {
                Step::Add(version) => text.add_version(version),
                Step::Replace(version) => text.replace_version(version),
                Step::Remove(name) => text.remove_version(name),
                Step::Split(shares) => text.set_split(shares),
                Step::Restore(restoration) => restoration.apply(text),
                Step::Quarantine(entry) => text.quarantine(entry),
                Step::Release(entry) => text.release(entry),
            }
        }
    }
}

/// An edit that is written.
#[derive(Debug)]
pub struct Edited<S> {
    pub saved: S,
    /// Whether the file says something else than before.
    pub is_change: bool,
    /// The generation that is served with it; none where no process runs.
    pub generation: Option<u64>,
}

/// What the history says of an edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The command, without what it was told in confidence.
    pub command: String,
    pub remark: Option<String>,
    /// The generation that a rollback went back to.
    pub restores: Option<u64>,
}

impl Note {
    /// The note of an edit that puts back what an edit with this note has changed.
    pub fn put_back(&self) -> Self {
        let Self { command, remark, restores: _ } = self;
        Self { command: format!("{command}{PUT_BACK}"), remark: remark.clone(), restores: None }
    }

    /// The note of an edit that takes a version out of the file which cannot become normal: with the
    /// error, which nothing else tells of afterwards.
    pub fn failed(&self, version: &VersionName, fault: &Fault) -> Self {
        let Fault { code, detail, .. } = fault;
        let words: Vec<_> = detail.split_whitespace().collect();
        let detail: String = words.join(" ").chars().take(KEPT).collect();
        Self { remark: Some(format!("{version} failed ({code}): {detail}")), ..self.put_back() }
    }
}

/// Characters of an error that the history keeps.
const KEPT: usize = 300;

/// What became of a file that was to be put back.
#[derive(Debug)]
pub enum PutBack<E> {
    /// The file is as it was, and the process knows.
    Done,
    /// The file is as it was; the process could not be told, and will see it by itself.
    Untold(E),
    /// The file stays as it is.
    Failed(E),
}

impl<E: Display> PutBack<E> {
    /// What is left. `back` is what is true once the file is as it was.
    pub fn words(&self, back: &str) -> String {
        match self {
            Self::Done => back.to_owned(),
            Self::Untold(error) => {
                format!(
                    "{back}; the process could not be told, and reads the file by itself: {error}"
                )
            }
            Self::Failed(error) => format!("the file could not be put back: {error}"),
        }
    }
}

/// What a rollout has done.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// Who got what before.
    pub before: Shares,
    /// The generation that is served with it; none where no process runs, or nothing was to be done.
    pub generation: Option<u64>,
    /// Whether the file says something else than before.
    pub is_change: bool,
}

/// How a version stands in the end: as the process says or, where none runs, as a trial shows.
pub(super) fn settled<C: Control>(
    control: &mut C,
    version: &VersionName,
    patience: Duration,
) -> Result<Standing, C::Error> {
    match control.view().has_process() {
        true => control.wait(version, patience),
        false => control.try_out(version),
    }
}

/// Looks again and again until the process has made a version normal or error; `Creating` if it takes
/// longer than `patience`. For who fulfils [`Control::wait`].
///
/// # Errors
///
/// Where the process does not answer, or the version is not declared any more.
pub fn look_until_settled<C: Control>(
    control: &mut C,
    version: &VersionName,
    patience: Duration,
) -> Result<Standing, C::Error> {
    let (mut pause, began) = (*LOOKS.start(), Instant::now());
    loop {
        let view = control.view();
        let standing = view.standing(version).ok_or_else(|| view.unknown(version))?;
        if *standing != Standing::Creating || began.elapsed() >= patience {
            return Ok(standing.clone());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(*LOOKS.end());
        control.look()?;
    }
}

/// Makes what a start would serve certain where no process runs that would know: tries out every
/// version that would take traffic, until one does that can.
pub(super) fn prove<C: Control>(control: &mut C) -> Result<(), C::Error> {
    let mut tried: Vec<VersionName> = Vec::new();
    while !control.view().has_process() {
        let shares = control.view().at_start();
        let mut takers = shares.takers().map(|(name, _)| name);
        let Some(unknown) = takers.find(|name| !tried.contains(name)) else { break };
        control.try_out(unknown)?;
        tried.push(unknown.clone());
    }
    Ok(())
}
