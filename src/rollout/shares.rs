//! Who gets what, by the names of versions.

use std::fmt;

use crate::code::{Coded, ErrorCode};
use crate::config::{Percent, Service, Traffic, VersionName, gap, spread};

/// Percentages of a service's versions: exactly 100 together, or all 0 (the service is offline).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares(Vec<(VersionName, Percent)>);

/// Why percentages cannot be shares.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharesError {
    #[error("{0} is given a share twice")]
    Twice(VersionName),
    #[error("the shares add up to {sum}, not 100: {}", gap((*hundredths).into()))]
    Sum { sum: String, hundredths: u32 },
    #[error("no version is named")]
    Empty,
    #[error("all shares are 0, which takes the service offline")]
    Offline,
    #[error("{0} cannot get {1} %: no other version has traffic to share with")]
    Alone(VersionName, Percent),
}

impl Coded for SharesError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Twice(_) | Self::Sum { .. } | Self::Empty | Self::Offline => ErrorCode::Usage,
            Self::Alone(..) => ErrorCode::NothingToShareWith,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Twice(_) => "name each version once",
            Self::Sum { .. } => "give percentages that add up to exactly 100",
            Self::Empty => "give each that is to have traffic its share, such as v1=90 v2=10",
            Self::Offline => "say `--offline` if that is meant",
            Self::Alone(..) => "give it all of the traffic",
        };
        Some(help.to_owned())
    }
}

impl Shares {
    /// Nobody gets anything.
    pub fn offline() -> Self {
        Self(Vec::new())
    }

    /// One version gets everything.
    pub fn all(version: VersionName) -> Self {
        Self(vec![(version, Percent::ALL)])
    }

    /// # Errors
    ///
    /// Where a version comes twice, or they are not exactly 100 together; all 0 is not either.
    pub fn new(shares: Vec<(VersionName, Percent)>) -> Result<Self, SharesError> {
        if shares.is_empty() {
            return Err(SharesError::Empty);
        }
        let later = |index: usize| shares.iter().skip(index + 1);
        for (index, (version, _)) in shares.iter().enumerate() {
            if later(index).any(|(other, _)| other == version) {
                return Err(SharesError::Twice(version.clone()));
            }
        }
        match shares.iter().map(|(_, share)| u32::from(share.hundredths())).sum() {
            10_000 => Ok(Self(shares)),
            0 => Err(SharesError::Offline),
            hundredths => Err(SharesError::Sum { sum: shown(hundredths), hundredths }),
        }
    }

    /// What a service's file declares; `None` under `latest = true`.
    pub fn declared(service: &Service) -> Option<Self> {
        let Traffic::Split(split) = &service.traffic else { return None };
        let named = |&(index, share): &(usize, Percent)| {
            Some((service.versions.get(index)?.name.clone(), share))
        };
        Some(Self(split.shares().iter().filter_map(named).collect()))
    }

    /// Shares that a process or its history has checked already.
    pub fn served(shares: impl IntoIterator<Item = (VersionName, Percent)>) -> Self {
        Self(shares.into_iter().collect())
    }

    /// What a version gets.
    pub fn of(&self, version: &VersionName) -> Percent {
        let found = self.0.iter().find(|(name, _)| name == version);
        found.map_or(Percent::ZERO, |(_, share)| *share)
    }

    /// All versions that are named, those without a share too.
    pub fn names(&self) -> impl Iterator<Item = &VersionName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The versions with a share.
    pub fn takers(&self) -> impl Iterator<Item = (&VersionName, Percent)> {
        let some = |(_, share): &&(VersionName, Percent)| *share > Percent::ZERO;
        self.0.iter().filter(some).map(|(name, share)| (name, *share))
    }

    /// Whether nobody gets anything.
    pub fn is_offline(&self) -> bool {
        self.takers().next().is_none()
    }

    /// Whether both give every version the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let within = |one: &Self, other: &Self| {
            one.takers().all(|(version, share)| other.of(version) == share)
        };
        within(self, other) && within(other, self)
    }

    /// The share of each of `versions`, in their order.
    pub fn over<'a>(
        &self,
        versions: impl IntoIterator<Item = &'a VersionName>,
    ) -> Vec<(VersionName, Percent)> {
        versions.into_iter().map(|version| (version.clone(), self.of(version))).collect()
    }

    /// The same with a version at `share`; the others keep their proportions in what is left. What
    /// rounding to hundredths leaves over goes to those that lose most by it.
    ///
    /// # Errors
    ///
    /// Where something is left, and no other version has a share to go by.
    pub fn with(&self, version: &VersionName, share: Percent) -> Result<Self, SharesError> {
        let others = self.takers().filter(|(name, _)| *name != version);
        let (names, shares): (Vec<_>, Vec<_>) = others.unzip();
        let left = Percent::ALL.hundredths() - share.hundredths();
        if names.is_empty() && left > 0 {
            return Err(SharesError::Alone(version.clone(), share));
        }
        let left = Percent::from_hundredths(left).unwrap_or_default();
        let parts = names.into_iter().cloned().zip(spread(&shares, left));
        Ok(Self(parts.chain([(version.clone(), share)]).collect()))
    }
}

fn shown(hundredths: u32) -> String {
    format!("{}", f64::from(hundredths) / 100.0)
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_offline() {
            return f.write_str("offline");
        }
        for (number, (version, share)) in self.takers().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{version} {share} %")?;
        }
        Ok(())
    }
}
