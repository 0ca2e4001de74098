//! Decides what a rollback goes back to: who got what, and everything else that decided what was
//! served.

use super::super::restore::{Ground, Lost, Restoration, decides_alike, is_alike, serving};
use super::super::shares::Shares;
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
    #[error("the history has nothing of {0} before what is served")]
    NothingBefore(String),
    #[error("nothing that {service} served before can be gone back to: {}", list(.passed))]
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
            Self::NothingLeft { .. } => {
                "mend one of them, take back the shares alone by `--traffic-only`, or \
                                         give all to a version by `--to VERSION`"
                    .to_owned()
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

    /// The newest state that was served before the present one, differs from it, and can still be
    /// served. Two rollbacks go back two steps: after a rollback to a generation, the search begins
    /// before that generation.
    fn previous(&self) -> Result<Rollback, RollbackError> {
        let is_now = |record: &&Record| self.is_now(record);
        let came_with = self.records.iter().take_while(is_now).last();
        let restored = came_with.and_then(|record| record.restores);
        let before = restored.or(came_with.map(|record| record.generation)).unwrap_or(u64::MAX);
        let mut passed: Vec<(State<'_>, Passed)> = Vec::new();
        for record in self.records.iter().filter(|record| record.generation < before) {
            let (state, generation) = (State::of(record, self.parts), record.generation);
            let is_known = passed.iter().any(|(known, _)| self.is_alike(known, &state));
            if state.shares.is_offline() || self.is_now(record) || is_known {
                continue;
            }
            match self.back(record) {
                Ok(found) if self.bad && found.losers(&self.now.shares).is_empty() => {}
                Ok(found) => {
                    let passed = passed.into_iter().map(|(_, passed)| passed).collect();
                    return Ok(Rollback { passed, ..found });
                }
                Err(Refused { why, is_final: true }) => {
                    let shares = state.shares;
                    return Err(RollbackError::CannotServe { generation, shares, why });
                }
                Err(Refused { why, .. }) => {
                    let shares = state.shares.clone();
                    passed.push((state, Passed { generation, shares, why }));
                }
            }
        }
        let service = self.service.to_owned();
        Err(match passed.is_empty() {
            true => RollbackError::NothingBefore(service),
            false => RollbackError::NothingLeft {
                service,
                passed: passed.into_iter().map(|(_, passed)| passed).collect(),
            },
        })
    }

    fn is_now(&self, record: &Record) -> bool {
        self.is_alike(&State::of(record, self.parts), self.now)
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
