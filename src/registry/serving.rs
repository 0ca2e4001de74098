//! What takes a service's traffic: normal versions, and the choice between them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Digest, Percent, VersionSpec};
use crate::routing::Weighted;
use crate::runtime::{Guest, Place};
use crate::telemetry::VersionMeter;

/// A version that is normal. It stays the same one over reloads that do not change it.
#[derive(Debug)]
pub struct VersionEntry {
    pub spec: VersionSpec,
    pub guest: Arc<Guest>,
    pub meter: VersionMeter,
    /// Requests that it may take beside those in flight.
    free: Arc<Semaphore>,
}

/// The right to serve one request of a version, and where.
#[derive(Debug)]
pub struct Admission {
    pub place: Place,
    /// Given back when dropped.
    pub permit: OwnedSemaphorePermit,
}

impl VersionEntry {
    pub(super) fn new(spec: VersionSpec, guest: Guest, meter: VersionMeter) -> Self {
        let concurrency = usize::try_from(spec.limits.concurrency.get()).unwrap_or(usize::MAX);
        let free = Arc::new(Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)));
        Self { spec, guest: Arc::new(guest), meter, free }
    }

    /// Waits for room, at most the version's queue time. `None` if there was none.
    pub async fn admit(&self) -> Option<Admission> {
        if let Some(admission) = self.try_admit() {
            return Some(admission);
        }
        let admission = async {
            let permit = self.free.clone().acquire_owned().await.ok()?;
            Some(Admission { place: self.guest.place().await?, permit })
        };
        tokio::time::timeout(self.spec.limits.queue_time, admission).await.ok().flatten()
    }

    fn try_admit(&self) -> Option<Admission> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        Some(Admission { place: self.guest.try_place()?, permit })
    }

    /// The digest of its component.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(*self.guest.program().digest())
    }
}

/// The versions that take a service's traffic now, and how one is chosen.
#[derive(Clone, Debug)]
pub enum Serving {
    /// One of them at random, by weight. The indexes of `choice` are those of `versions`.
    Split { versions: Vec<(Arc<VersionEntry>, Percent)>, choice: Weighted },
    /// The latest normal version takes everything.
    Latest(Arc<VersionEntry>),
    /// The split is all 0.
    Offline,
    /// No normal version may take traffic.
    Nothing,
}

/// Why a version was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Random,
    Latest,
}

impl Decision {
    /// The word for it in headers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Latest => "latest",
        }
    }
}

/// What was decided for a request.
#[derive(Debug)]
pub enum Decided<'a> {
    Version(&'a Arc<VersionEntry>, Decision),
    Offline,
    NoVersion,
}

impl Serving {
    /// Shares in the order in which `versions` are declared; all of them normal.
    pub(super) fn split(versions: Vec<(Arc<VersionEntry>, Percent)>) -> Self {
        let shares = versions.iter().map(|(_, share)| share.hundredths()).enumerate();
        Self::Split { choice: Weighted::new(shares), versions }
    }

    /// Chooses the version of one request. Draws once, allocates nothing.
    pub fn decide(&self) -> Decided<'_> {
        match self {
            Self::Split { versions, choice } => {
                match choice.draw().and_then(|index| versions.get(index)) {
                    Some((version, _)) => Decided::Version(version, Decision::Random),
                    None => Decided::NoVersion,
                }
            }
            Self::Latest(version) => Decided::Version(version, Decision::Latest),
            Self::Offline => Decided::Offline,
            Self::Nothing => Decided::NoVersion,
        }
    }

    /// Every version with a share, and that share.
    pub fn shares(&self) -> Vec<(&Arc<VersionEntry>, Percent)> {
        match self {
            Self::Split { versions, .. } => versions.iter().map(|(v, share)| (v, *share)).collect(),
            Self::Latest(version) => vec![(version, Percent::ALL)],
            Self::Offline | Self::Nothing => Vec::new(),
        }
    }

    /// Whether somebody gets an answer from it.
    pub fn takes_traffic(&self) -> bool {
        matches!(self, Self::Split { .. } | Self::Latest(_))
    }
}
