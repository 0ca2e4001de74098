//! What a rollback goes back to.

use super::shares::Shares;
use crate::config::{Percent, VersionName};
use crate::registry::history::{Record, Share};

/// Where somebody wants to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// What was served before what is served now.
    Previous,
    /// What was served in a generation.
    Generation(u64),
    /// One version gets everything.
    Version(VersionName),
}

/// What may be gone back to: the declared versions, as the caller sees them.
pub trait Versions {
    /// Why a version cannot take traffic, if it cannot; it was made from a component with this
    /// digest then.
    ///
    /// # Errors
    ///
    /// The reason, as the end of a sentence that begins with the version's name.
    fn may_serve(&self, version: &VersionName, digest_then: Option<&str>) -> Result<(), String>;
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    pub to: Shares,
    /// The generation that served this; none where a version was asked for.
    pub generation: Option<u64>,
    /// What was passed over on the way back.
    pub passed: Vec<Passed>,
}

/// A generation that cannot be gone back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    pub generation: u64,
    pub shares: Shares,
    pub why: String,
}

/// Why there is nothing to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    #[error(
        "the history has no split of {0} before the one that is served: give all to a version by \
         `--to VERSION`"
    )]
    NothingBefore(String),
    #[error("no split of {service} before can be gone back to: {}; mend one of them, or give all \
             to a version by `--to VERSION`", list(.passed))]
    NothingLeft { service: String, passed: Vec<Passed> },
    #[error(
        "the history has no generation {generation} of {service}: `watershed history {service}` lists them"
    )]
    NoGeneration { service: String, generation: u64 },
    #[error("generation {generation} served {shares}, and {why}")]
    CannotServe { generation: u64, shares: Shares, why: String },
    #[error("{version} {why}")]
    CannotTake { version: VersionName, why: String },
    #[error("{0} is what is served already: nothing to do")]
    Same(Shares),
    #[error(
        "by {to} no version loses all of its traffic, so none is bad: choose with `--to`, or leave \
         out `--bad`"
    )]
    NoneBad { to: Shares },
}

/// Decides what to go back to. `records` are those of the service, newest first. With `bad`, some
/// version has to lose all of its traffic.
///
/// # Errors
///
/// Where there is nothing, or it cannot be served any more.
pub fn rollback(
    service: &str,
    target: &Target,
    now: &Shares,
    records: &[Record],
    versions: &impl Versions,
    bad: bool,
) -> Result<Rollback, RollbackError> {
    let found = match target {
        Target::Version(version) => to_version(version, versions)?,
        Target::Generation(generation) => to_generation(service, *generation, records, versions)?,
        Target::Previous => previous(service, now, records, versions, bad)?,
    };
    if found.to.is_same(now) {
        return Err(RollbackError::Same(found.to));
    }
    if bad && losers(now, &found.to).next().is_none() {
        return Err(RollbackError::NoneBad { to: found.to });
    }
    Ok(found)
}

/// The versions that have traffic now, and will have none.
pub(super) fn losers<'a>(now: &'a Shares, to: &'a Shares) -> impl Iterator<Item = &'a VersionName> {
    now.takers().map(|(version, _)| version).filter(|version| to.of(version) == Percent::ZERO)
}

impl Rollback {
    /// The versions that have traffic by `now`, and will have none.
    pub fn losers<'a>(&'a self, now: &'a Shares) -> impl Iterator<Item = &'a VersionName> {
        losers(now, &self.to)
    }
}

fn to_version(version: &VersionName, versions: &impl Versions) -> Result<Rollback, RollbackError> {
    versions
        .may_serve(version, None)
        .map_err(|why| RollbackError::CannotTake { version: version.clone(), why })?;
    let to = Shares::all(version.clone());
    Ok(Rollback { to, generation: None, passed: Vec::new() })
}

fn to_generation(
    service: &str,
    generation: u64,
    records: &[Record],
    versions: &impl Versions,
) -> Result<Rollback, RollbackError> {
    // A service that a generation did not change served in it what the last one before it says.
    let is_past = records.first().is_some_and(|newest| generation <= newest.generation);
    let record = records.iter().find(|record| record.generation <= generation);
    let Some(record) = record.filter(|_| is_past) else {
        return Err(RollbackError::NoGeneration { service: service.to_owned(), generation });
    };
    let to = shares(&record.after);
    can_serve(record, &to, versions).map_err(|why| RollbackError::CannotServe {
        generation,
        shares: to.clone(),
        why,
    })?;
    Ok(Rollback { to, generation: Some(record.generation), passed: Vec::new() })
}

/// The newest split before the one that is served now which is another and can still be served.
/// Going back twice goes back two steps, and not forth again: after a rollback to a generation, the
/// search begins before that one.
fn previous(
    service: &str,
    now: &Shares,
    records: &[Record],
    versions: &impl Versions,
    bad: bool,
) -> Result<Rollback, RollbackError> {
    let is_now = |record: &&Record| shares(&record.after).is_same(now);
    let came_with = records.iter().take_while(is_now).last();
    let restored = came_with.and_then(|record| record.restores);
    let before = restored.or(came_with.map(|record| record.generation)).unwrap_or(u64::MAX);
    let mut passed: Vec<Passed> = Vec::new();
    for record in records.iter().filter(|record| record.generation < before) {
        let to = shares(&record.after);
        let is_other = !to.is_offline() && !to.is_same(now);
        let fits = !bad || losers(now, &to).next().is_some();
        if !is_other || !fits || passed.iter().any(|passed| passed.shares.is_same(&to)) {
            continue;
        }
        let generation = record.generation;
        match can_serve(record, &to, versions) {
            Ok(()) => return Ok(Rollback { to, generation: Some(generation), passed }),
            Err(why) => passed.push(Passed { generation, shares: to, why }),
        }
    }
    let service = service.to_owned();
    Err(match passed.is_empty() {
        true => RollbackError::NothingBefore(service),
        false => RollbackError::NothingLeft { service, passed },
    })
}

fn can_serve(record: &Record, to: &Shares, versions: &impl Versions) -> Result<(), String> {
    for (version, _) in to.takers() {
        let then = record.versions.iter().find(|then| then.name == version.as_str());
        let digest = then.and_then(|then| then.digest.as_deref());
        versions.may_serve(version, digest).map_err(|why| format!("{version} {why}"))?;
    }
    Ok(())
}

/// What a record says; a share that is none, which we never write, counts as nothing.
fn shares(recorded: &[Share]) -> Shares {
    let share = |recorded: &Share| {
        let version = VersionName::new(&recorded.version).ok()?;
        Some((version, Percent::from_f64(recorded.share).ok()?))
    };
    Shares::served(recorded.iter().filter_map(share))
}

fn list(passed: &[Passed]) -> String {
    let each = |Passed { generation, shares, why }: &Passed| {
        format!("generation {generation} served {shares}, and {why}")
    };
    passed.iter().map(each).collect::<Vec<_>>().join("; ")
}
