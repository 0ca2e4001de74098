//! Decides what a rollback goes back to: who got what, and everything else that decided what was
//! served.

use super::super::restore::{Ground, Lost, Restoration, decides_alike, is_alike, serving};
use super::super::shares::Shares;
use super::left::{Left, left};
use super::passed::{self, Passed, Why};
use crate::code::{Coded, ErrorCode};
use crate::config::{Percent, VersionName};
use crate::history::{Contents, Parts, Record, Share};

/// Where somebody wants to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// What was served before what is served now.
    Previous,
    /// What was served in a generation.
    Generation(u64),
    /// One version gets everything.
    Version(VersionName),
}

/// What was served at one time.
#[derive(Clone, Debug)]
pub struct State<'a> {
    pub shares: Shares,
    /// All that decided; `None` where nobody recorded it.
    pub contents: Option<Contents<'a>>,
}

/// What somebody asks for, and all that it depends on.
#[derive(Debug)]
pub struct Question<'a, G> {
    pub service: &'a str,
    pub aim: &'a Aim,
    /// What is served, or would be if a process ran.
    pub now: &'a State<'a>,
    /// The shares that the file declares.
    pub declared: &'a Shares,
    /// Those of the service, newest first.
    pub records: &'a [Record],
    /// Those of the records.
    pub parts: &'a Parts,
    pub ground: &'a G,
    /// Whether some version has to lose all of its traffic, or to be replaced.
    pub bad: bool,
    /// Whether nothing but the shares is taken back.
    pub traffic_only: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollback {
    pub to: Shares,
    /// The generation that served this; none where a version was asked for.
    pub generation: Option<u64>,
    /// What comes back beside the shares, or under `traffic_only` would; `None` where that is not
    /// recorded. `Err` where it is not asked for and could not come back.
    pub rest: Option<Result<Restoration, Lost>>,
    /// What was passed over on the way back.
    pub passed: Vec<Passed>,
}

/// Why there is nothing to go back to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    #[error("the history has nothing of {0} before what is served")]
    NothingBefore(String),
    #[error("{service} has nothing left to go back to: {}", passed::list(.passed))]
    NothingLeft { service: String, passed: Vec<Passed> },
    #[error("the history has no generation {generation} of {service}")]
    NoGeneration { service: String, generation: u64 },
    #[error("generation {generation} served {shares}, and {why}")]
    CannotServe { generation: u64, shares: Shares, why: String },
    #[error("{version} {why}")]
    CannotTake { version: VersionName, why: String },
    #[error("{0} is what is served already: nothing to do")]
    Same(Shares),
    #[error("by {to} no version loses all of its traffic, so none is bad")]
    NoneBad { to: Shares },
}

impl Coded for RollbackError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NothingBefore(_) => ErrorCode::NothingBefore,
            Self::NothingLeft { .. } => ErrorCode::NothingLeft,
            Self::NoGeneration { .. } => ErrorCode::UnknownGeneration,
            Self::CannotServe { .. } => ErrorCode::CannotServe,
            Self::CannotTake { .. } => ErrorCode::VersionUnavailable,
            Self::Same(_) => ErrorCode::AlreadyServed,
            Self::NoneBad { .. } => ErrorCode::NoneBad,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NothingBefore(_) => "give all to a version by `--to VERSION`".to_owned(),
            Self::NothingLeft { passed, .. } => {
                format!("{}, or give all to a version by `--to VERSION`", passed::advice(passed))
            }
            Self::NoGeneration { service, .. } => {
                format!("`watershed history {service}` lists them")
            }
            Self::CannotServe { .. } => {
                "give traffic to versions as they are by `watershed traffic` \
                                         (`--force` where one is quarantined), or take back the \
                                         shares alone by `--traffic-only` where nothing but what \
                                         they are made of is in the way"
                    .to_owned()
            }
            Self::NoneBad { .. } => "choose with `--to`, or leave out `--bad`".to_owned(),
            Self::CannotTake { .. } | Self::Same(_) => return None,
        })
    }
}

/// Decides what to go back to.
///
/// # Errors
///
/// Where there is nothing, or it cannot be served any more.
pub fn rollback<G: Ground>(question: &Question<'_, G>) -> Result<Rollback, RollbackError> {
    let found = match question.aim {
        Aim::Version(version) => to_version(version, question.ground)?,
        Aim::Generation(generation) => question.to_generation(*generation)?,
        Aim::Previous => question.previous()?,
    };
    if found.to.is_same(&question.now.shares) && !found.writes(question) {
        return Err(RollbackError::Same(found.to));
    }
    if question.bad && found.losers(&question.now.shares).is_empty() {
        return Err(RollbackError::NoneBad { to: found.to });
    }
    Ok(found)
}

impl Rollback {
    /// The versions that have traffic by `now` and lose it, to others or to what they were before.
    pub fn losers(&self, now: &Shares) -> Vec<VersionName> {
        let replaced = self.restoration().map(Restoration::replaced).unwrap_or_default();
        let loses = |version: &VersionName| {
            self.to.of(version) == Percent::ZERO || replaced.contains(&version)
        };
        now.takers().map(|(version, _)| version.clone()).filter(loses).collect()
    }

    /// What comes back beside the shares.
    pub fn restoration(&self) -> Option<&Restoration> {
        self.rest.as_ref()?.as_ref().ok()
    }

    /// Whether the file changes.
    fn writes<G>(&self, question: &Question<'_, G>) -> bool {
        let rest = self.restoration().filter(|_| !question.traffic_only);
        rest.is_some_and(|rest| !rest.is_empty()) || !self.to.is_same(question.declared)
    }
}

fn to_version(version: &VersionName, ground: &impl Ground) -> Result<Rollback, RollbackError> {
    ground
        .may_serve(version, None)
        .map_err(|why| RollbackError::CannotTake { version: version.clone(), why })?;
    let to = Shares::all(version.clone());
    Ok(Rollback { to, generation: None, rest: None, passed: Vec::new() })
}

impl<'a> State<'a> {
    /// The state that a record describes.
    pub fn of(record: &'a Record, parts: &'a Parts) -> Self {
        Self { shares: shares(&record.after), contents: record.contents(parts) }
    }

    /// Whether both served alike. What only one of them has recorded is not compared.
    pub fn is_like(&self, other: &Self) -> bool {
        let are_alike = || {
            let Some((one, two)) = self.contents.as_ref().zip(other.contents.as_ref()) else {
                return true;
            };
            decides_alike(one.policy, two.policy)
                && serving(one, &self.shares).iter().all(|name| {
                    match (one.version(name), two.version(name)) {
                        (Some(one), Some(two)) => is_alike(one, two),
                        (one, two) => one.is_some() == two.is_some(),
                    }
                })
        };
        self.shares.is_same(&other.shares) && are_alike()
    }
}

/// What was passed over: each state, its generation, and why.
type Way<'a> = Vec<(State<'a>, u64, Why)>;

fn passed_on(way: Way<'_>) -> Vec<Passed> {
    let each = |(State { shares, .. }, generation, why)| Passed { generation, shares, why };
    way.into_iter().map(each).collect()
}

/// What cannot be gone back to, and whether older generations may be.
struct Refused {
    why: String,
    is_final: bool,
}

impl<G: Ground> Question<'_, G> {
    fn to_generation(&self, generation: u64) -> Result<Rollback, RollbackError> {
        // A generation that did not change the service has no record of it: the last one before holds.
        let is_past = self.records.first().is_some_and(|newest| generation <= newest.generation);
        let record = self.records.iter().find(|record| record.generation <= generation);
        let Some(record) = record.filter(|_| is_past) else {
            return Err(RollbackError::NoGeneration {
                service: self.service.to_owned(),
                generation,
            });
        };
        self.back(record).map_err(|refused| RollbackError::CannotServe {
            generation,
            shares: shares(&record.after),
            why: refused.why,
        })
    }

    /// The newest state that was served before the present one, differs from it, was not left by a
    /// rollback, and can still be served. Two rollbacks go back two steps: after a rollback to a
    /// generation, the search begins before that generation.
    fn previous(&self) -> Result<Rollback, RollbackError> {
        let (before, left) = (self.beginning(), left(self.records, self.parts));
        let (older, newer): (Vec<_>, Vec<_>) =
            self.records.iter().partition(|record| record.generation < before);
        let (mut way, mut none_bad): (Way<'_>, _) = (Vec::new(), None);
        for record in older {
            let state = State::of(record, self.parts);
            if self.is_no_step(&state, &way) {
                continue;
            }
            let why = match (self.leaver(&state, &left), self.back(record)) {
                (Some(why), _) => why,
                (None, Ok(found)) if self.bad && found.losers(&self.now.shares).is_empty() => {
                    none_bad.get_or_insert(found.to);
                    continue;
                }
                (None, Ok(found)) => return Ok(Rollback { passed: passed_on(way), ..found }),
                (None, Err(Refused { why, is_final: true })) => {
                    let (generation, shares) = (record.generation, state.shares);
                    return Err(RollbackError::CannotServe { generation, shares, why });
                }
                (None, Err(Refused { why, .. })) => Why::Cannot(why),
            };
            way.push((state, record.generation, why));
        }
        if let Some(to) = none_bad {
            return Err(RollbackError::NoneBad { to });
        }
        // What the rollbacks that led here have left is between the two: it is said too.
        for record in newer {
            let state = State::of(record, self.parts);
            let why = self.leaver(&state, &left).filter(|_| !self.is_no_step(&state, &way));
            way.extend(why.map(|why| (state, record.generation, why)));
        }
        let service = self.service.to_owned();
        let mut passed = passed_on(way);
        passed.sort_by_key(|passed| std::cmp::Reverse(passed.generation));
        Err(match passed.is_empty() {
            true => RollbackError::NothingBefore(service),
            false => RollbackError::NothingLeft { service, passed },
        })
    }

    /// The generation before which the search begins.
    fn beginning(&self) -> u64 {
        let is_now = |record: &&Record| self.is_alike(&State::of(record, self.parts), self.now);
        let came_with = self.records.iter().take_while(is_now).last();
        let restored = came_with.and_then(|record| record.restores);
        restored.or(came_with.map(|record| record.generation)).unwrap_or(u64::MAX)
    }

    /// Whether a state is served already, serves nobody, or was passed over already.
    fn is_no_step(&self, state: &State<'_>, way: &Way<'_>) -> bool {
        state.shares.is_offline()
            || self.is_alike(state, self.now)
            || way.iter().any(|(known, ..)| self.is_alike(known, state))
    }

    /// By what somebody left the state that going back to this one would serve.
    fn leaver(&self, state: &State<'_>, left: &[Left<'_>]) -> Option<Why> {
        let contents = match self.traffic_only {
            true => self.now.contents.clone(),
            false => state.contents.clone(),
        };
        let then = State { shares: state.shares.clone(), contents };
        let left = left.iter().find(|left| then.is_like(&left.state))?;
        Some(Why::Left { at: left.at, by: left.by })
    }

    /// Whether two states are the same for this rollback.
    fn is_alike(&self, one: &State<'_>, other: &State<'_>) -> bool {
        match self.traffic_only {
            true => one.shares.is_same(&other.shares),
            false => one.is_like(other),
        }
    }

    /// The way back to what a record says.
    fn back(&self, record: &Record) -> Result<Rollback, Refused> {
        let State { shares: to, contents } = State::of(record, self.parts);
        let rest = contents.as_ref().map(|then| Restoration::of(then, &to, self.ground));
        let lost = match &rest {
            Some(Err(lost)) if !self.traffic_only => Some(lost),
            _ => None,
        };
        if let Some(lost) = lost {
            let (why, is_final) = (lost.reasons.join("; "), lost.is_secret);
            return Err(Refused { why, is_final });
        }
        let remade = match &rest {
            Some(Ok(rest)) if !self.traffic_only => rest.remade(),
            _ => Vec::new(),
        };
        for (version, _) in to.takers().filter(|(version, _)| !remade.contains(version)) {
            let then = record.versions.iter().find(|then| then.name == version.as_str());
            let digest = then.and_then(|then| then.digest.as_deref());
            // Shares alone go to the versions as they are now.
            let digest = digest.filter(|_| !self.traffic_only);
            let may = self.ground.may_serve(version, digest);
            may.map_err(|why| Refused { why: format!("{version} {why}"), is_final: false })?;
        }
        let generation = Some(record.generation);
        Ok(Rollback { to, generation, rest, passed: Vec::new() })
    }
}

/// The shares of a record. Shares that make no sense, which we never write, count as nothing.
/// The shares of a record.
pub fn shares(recorded: &[Share]) -> Shares {
    let share = |recorded: &Share| {
        let version = VersionName::new(&recorded.version).ok()?;
        Some((version, Percent::from_f64(recorded.share).ok()?))
    };
    Shares::served(recorded.iter().filter_map(share))
}
