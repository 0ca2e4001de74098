//! `--ramp`: from which percentage of a version on a user gets it.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::by_files;
use crate::cli::CliError;
use crate::cli::target::Target;
use crate::code::{Coded, ErrorCode};
use crate::config::{Percent, ServiceName, VersionName};
use crate::rollout::{self, Refusal};
use crate::routing::{Owner, Splitter, Ways, bucket};

/// Why the percentage at which a user moves cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum RampError {
    #[error("{service} has no `[traffic.sticky]`: users do not stay with versions")]
    NotSticky { service: ServiceName },
    #[error("users are known by `client-address` here, and {key:?} is none")]
    NotAnAddress { key: String },
}

impl Coded for RampError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotSticky { .. } => ErrorCode::NotSticky,
            Self::NotAnAddress { .. } => ErrorCode::InvalidKey,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NotSticky { .. } => "say under `[traffic.sticky]` what users are known by",
            Self::NotAnAddress { .. } => "give `--key` an address such as 10.1.2.3",
        };
        Some(help.to_owned())
    }
}

/// A version whose share grows.
#[derive(Clone, Debug)]
pub struct Ramp {
    version: VersionName,
    from: Percent,
    to: Percent,
}

/// What happens to a user while the version grows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moves {
    service: String,
    version: String,
    key: String,
    /// The user's place among 10,000 buckets.
    bucket: u16,
    /// 16 hexadecimal digits: XXH3-64 of the key.
    hash: String,
    /// The percentages between which the search was made.
    from: f64,
    to: f64,
    /// The lowest percentage of the version at which the user gets it; `None` if the user never does.
    at: Option<f64>,
    /// The version that the user gets at the lowest percentage of the search.
    before: Option<String>,
}

impl Ramp {
    /// Reads `v2=0..100`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(version, range)| {
            let (from, to) = range.split_once("..")?;
            Some((version, from, to))
        });
        let Some((version, from, to)) = parts else {
            return Err("it looks like v2=0..100".to_owned());
        };
        let version = VersionName::new(version).map_err(|error| format!("{version:?}: {error}"))?;
        let (from, to) = (percent(from)?, percent(to)?);
        if from > to {
            return Err(format!("{from} is more than {to}: write the lesser one first"));
        }
        Ok(Self { version, from, to })
    }

    /// Finds where the user of a key moves.
    pub fn of(&self, target: &Target, key: &str) -> Result<Moves, CliError> {
        let view = target.view();
        if view.version(&self.version).is_none() {
            return Err(view.unknown(&self.version).into());
        }
        let affinity = by_files(target, |explainer| {
            explainer.policy.sticky.as_ref().map(|sticky| sticky.affinity.clone())
        });
        let Some(affinity) = affinity else {
            return Err(RampError::NotSticky { service: view.service.name.clone() }.into());
        };
        let Some(hash) = affinity.hash_of_user(key) else {
            return Err(RampError::NotAnAddress { key: key.to_owned() }.into());
        };
        let shares = view.shares();
        let owner = |share: u16| self.owner(&shares, share, hash);
        let (from, to) = (self.from.hundredths(), self.to.hundredths());
        let before = owner(from)?;
        let at = match owner(to)?.as_ref() == Some(&self.version) {
            true => {
                Some(first(from, to, |share| Ok(owner(share)?.as_ref() == Some(&self.version)))?)
            }
            false => None,
        };
        Ok(Moves {
            service: view.service.name.to_string(),
            version: self.version.to_string(),
            key: key.to_owned(),
            bucket: bucket(hash),
            hash: format!("{hash:016x}"),
            from: f64::from(from) / 100.0,
            to: f64::from(to) / 100.0,
            at: at.map(|at| f64::from(at) / 100.0),
            before: before.map(|version| version.to_string()),
        })
    }

    /// The version of a hash when the growing version has this many hundredths of a percent.
    fn owner(
        &self,
        shares: &rollout::Shares,
        share: u16,
        hash: u64,
    ) -> Result<Option<VersionName>, CliError> {
        let share = Percent::from_hundredths(share).unwrap_or(Percent::ALL);
        let shares = shares.with(&self.version, share).map_err(Refusal::from)?;
        let takers: Vec<_> = shares.takers().collect();
        let owners = takers.iter().enumerate().map(|(index, (name, share))| Owner {
            name: name.as_str(),
            share: share.hundredths(),
            index,
        });
        let ways = Ways { is_sticky: true, is_smooth: false };
        let split = Splitter::new(&owners.collect::<Vec<_>>(), ways);
        let owner = split.of_hash(hash, None).and_then(|index| takers.get(index));
        Ok(owner.map(|(name, _)| (*name).clone()))
    }
}

/// The lowest number from which on `holds` is true; it is true for the last number. A version that alone grows loses no
/// user, so there is exactly one border between false and true.
fn first(
    from: u16,
    to: u16,
    holds: impl Fn(u16) -> Result<bool, CliError>,
) -> Result<u16, CliError> {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? { high = middle } else { low = middle + 1 }
    }
    Ok(high)
}

fn percent(text: &str) -> Result<Percent, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a percentage"))?;
    Percent::from_f64(number).map_err(|error| format!("{text} is not a percentage: {error}"))
}

impl fmt::Display for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, version, key, bucket, hash, from, to, at, before } = self;
        writeln!(f, "{service}: key {key:?} is in bucket {bucket} of 10,000, hash {hash}")?;
        let before = before.as_deref().unwrap_or("nothing");
        match at {
            Some(at) if at <= from => {
                writeln!(f, "  {version} from {from} % on, and all the way to {to} %")
            }
            Some(at) => writeln!(f, "  {before} at {from} %, {version} from {at} % on"),
            None => writeln!(f, "  {before} at {from} %, and not {version} up to {to} %"),
        }
    }
}
