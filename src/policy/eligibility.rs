//! What a version may take of its service's requests, and why not more: by its own standing, its
//! reach, and the service's quarantine entries.

use std::fmt;

use crate::api::{Fault, Standing};
use crate::config::{Digest, EnvValue, Quarantined, Reach, Service, VersionName};

/// Why a version takes no share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The service has a quarantine entry for what the version is made of.
    Quarantined(Quarantined),
    /// Its reach is not `live`.
    Reach(Reach),
    /// It is being made ready.
    Creating,
    Error(Fault),
}

impl Obstacle {
    /// Whether the service's file closes the version. That holds at once, also while the rest of an
    /// edit waits.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Quarantined(_) | Self::Reach(_))
    }

    /// Obstacles in the order of how much they close: of two obstacles the greater one counts.
    fn severity(&self) -> u8 {
        match self {
            Self::Creating | Self::Error(_) => 0,
            Self::Reach(Reach::Live) => 1,
            Self::Reach(Reach::Pinned) => 2,
            Self::Reach(Reach::Override) => 3,
            Self::Reach(Reach::Cutoff) => 4,
            Self::Quarantined(_) => 5,
        }
    }
}

impl fmt::Display for Obstacle {
    /// The end of a sentence that begins with the version's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantined(_) => f.write_str("is quarantined"),
            Self::Reach(Reach::Cutoff) => f.write_str("is cut off"),
            Self::Reach(reach) => write!(f, "has the reach `{}`", reach.as_str()),
            Self::Creating => f.write_str("is still being made"),
            Self::Error(Fault { code, detail, .. }) => write!(f, "is in error ({code}: {detail})"),
        }
    }
}

/// A version that takes requests in what is served until now, with what it is made of. A declared version of the same
/// name may be made of something else.
#[derive(Clone, Debug)]
pub struct Incumbent<'a> {
    pub name: &'a VersionName,
    /// The digest of what serves it. Where the digest is not known, no quarantine entry applies.
    pub digest: Option<Digest>,
    /// Sorted by key. Where it is not known, no entry for a single environment applies.
    pub env: Option<&'a [(String, EnvValue)]>,
}

/// What a version may take of its service's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// Whether something takes its requests: the version or, while it is made anew, its incumbent.
    is_there: bool,
    obstacle: Option<Obstacle>,
}

impl Eligibility {
    /// The eligibility of a declared version. `before` is the incumbent of its name.
    pub fn of(
        service: &Service,
        index: usize,
        standing: &Standing,
        before: Option<&Incumbent<'_>>,
    ) -> Self {
        let is_there = match standing {
            Standing::Normal { .. } => true,
            // An entry for the incumbent says nothing about its successor, nor the reverse.
            Standing::Creating => before.is_some_and(|it| quarantined(service, it).is_none()),
            Standing::Error(_) => false,
        };
        let waits = match standing {
            Standing::Normal { .. } => None,
            Standing::Creating => Some(Obstacle::Creating),
            Standing::Error(fault) => Some(Obstacle::Error(fault.clone())),
        };
        let mut eligibility = Self { is_there, obstacle: waits };
        if let Some(spec) = service.versions.get(index) {
            // A version that is not made yet may have a declared digest.
            let digest = standing.digest().or(spec.declared_digest());
            let entry = digest.and_then(|digest| service.quarantined(spec, &digest));
            eligibility.close(entry.cloned().map(Obstacle::Quarantined));
        }
        eligibility.close(not_live(service.policy.reach_of(index)));
        eligibility
    }

    /// Puts an obstacle in the way, unless a greater one is there.
    pub fn close(&mut self, obstacle: Option<Obstacle>) {
        let Some(obstacle) = obstacle else { return };
        if self.obstacle.as_ref().is_none_or(|own| own.severity() < obstacle.severity()) {
            self.obstacle = Some(obstacle);
        }
    }

    /// Why the version takes no share of the traffic, if it takes none.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// Whether the version, or its incumbent, can answer requests.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Whether the service's file closes the version to the public.
    pub fn is_closed(&self) -> bool {
        self.obstacle.as_ref().is_some_and(Obstacle::is_closed)
    }

    /// Whether a rule may lead to the version.
    pub fn takes_rules(&self) -> bool {
        self.is_there && !self.is_closed()
    }

    /// Whether users stay pinned to the version, even while it cannot answer.
    pub fn keeps_pins(&self) -> bool {
        !self.is_closed() || self.obstacle == Some(Obstacle::Reach(Reach::Pinned))
    }

    /// Whether an override may choose the version.
    pub fn takes_overrides(&self) -> bool {
        let reach = |reach| self.obstacle == Some(Obstacle::Reach(reach));
        self.is_there && (self.keeps_pins() || reach(Reach::Override))
    }
}

/// What closes a version that is served until now, if anything does. The service need not declare the version any more.
pub fn closed(service: &Service, incumbent: &Incumbent<'_>) -> Option<Obstacle> {
    let index = service.versions.iter().position(|spec| spec.name == *incumbent.name);
    let reach = index.and_then(|index| not_live(service.policy.reach_of(index)));
    quarantined(service, incumbent).or(reach)
}

fn quarantined(service: &Service, incumbent: &Incumbent<'_>) -> Option<Obstacle> {
    let digest = incumbent.digest?;
    let entry = match incumbent.env {
        Some(env) => service.quarantined_as(&digest, env),
        None => {
            let of_any = |entry: &&Quarantined| entry.digest == digest && entry.env.is_none();
            service.quarantine.iter().find(of_any)
        }
    };
    entry.cloned().map(Obstacle::Quarantined)
}

fn not_live(reach: Reach) -> Option<Obstacle> {
    (reach != Reach::Live).then_some(Obstacle::Reach(reach))
}
