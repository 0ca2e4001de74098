//! How a version stands to requests: what it may take, and why not more.

use std::fmt;

use crate::api::{Fault, Standing};
use crate::config::{Digest, EnvValue, Quarantined, Reach, Service, VersionName};

/// Why a version takes no share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody rolled back from what it is made of, for good.
    Quarantined(Quarantined),
    /// It is not open to everybody.
    Reach(Reach),
    /// It is being made.
    Creating,
    Error(Fault),
}

impl Obstacle {
    /// Whether the service's file says so: it holds at once, whatever else waits.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Quarantined(_) | Self::Reach(_))
    }

    /// How much is closed, to tell which of two counts.
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

/// A version that takes requests in what is served until now.
#[derive(Clone, Debug)]
pub struct Incumbent<'a> {
    pub name: &'a VersionName,
    /// Of its component; none where it is not known: then no quarantine holds for it.
    pub digest: Option<Digest>,
    /// Sorted by key; none where it is not known: then an entry that is for one environment only
    /// does not hold for it.
    pub env: Option<&'a [(String, EnvValue)]>,
}

/// How a version stands to the requests of its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eligibility {
    /// Whether something takes its requests: itself or, while it is made anew, what it was before.
    is_there: bool,
    obstacle: Option<Obstacle>,
}

impl Eligibility {
    /// Of a declared version. `before` is what has its name in what is served until now.
    pub fn of(
        service: &Service,
        index: usize,
        standing: &Standing,
        before: Option<&Incumbent<'_>>,
    ) -> Self {
        let is_there = match standing {
            Standing::Normal { .. } => true,
            // What it was before is quarantined by itself: what it will be is another component.
            Standing::Creating => before.is_some_and(|made| quarantined(service, made).is_none()),
            Standing::Error(_) => false,
        };
        let waits = match standing {
            Standing::Normal { .. } => None,
            Standing::Creating => Some(Obstacle::Creating),
            Standing::Error(fault) => Some(Obstacle::Error(fault.clone())),
        };
        let mut eligibility = Self { is_there, obstacle: waits };
        if let Some(spec) = service.versions.get(index) {
            // What is not made yet may be known by the digest that it is to have.
            let digest = standing.digest().or(spec.declared_digest());
            let entry = digest.and_then(|digest| service.quarantined(spec, &digest));
            eligibility.close(entry.cloned().map(Obstacle::Quarantined));
        }
        eligibility.close(not_live(service.policy.reach_of(index)));
        eligibility
    }

    /// Closes it, unless it is closed more than that.
    pub fn close(&mut self, obstacle: Option<Obstacle>) {
        let Some(obstacle) = obstacle else { return };
        if self.obstacle.as_ref().is_none_or(|own| own.severity() < obstacle.severity()) {
            self.obstacle = Some(obstacle);
        }
    }

    /// Why it takes no share of the traffic, if it takes none.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// Whether something takes its requests, or could.
    pub fn is_there(&self) -> bool {
        self.is_there
    }

    /// Whether the service's file keeps it from the requests of everybody.
    pub fn is_closed(&self) -> bool {
        self.obstacle.as_ref().is_some_and(Obstacle::is_closed)
    }

    /// Whether a rule may lead to it.
    pub fn takes_rules(&self) -> bool {
        self.is_there && !self.is_closed()
    }

    /// Whether who is pinned to it stays, now or once it is there again.
    pub fn keeps_pins(&self) -> bool {
        !self.is_closed() || self.obstacle == Some(Obstacle::Reach(Reach::Pinned))
    }

    /// Whether an override may choose it.
    pub fn takes_overrides(&self) -> bool {
        let reach = |reach| self.obstacle == Some(Obstacle::Reach(reach));
        self.is_there && (self.keeps_pins() || reach(Reach::Override))
    }
}

/// What a service closes of a version that it serves, whose name it need not declare any more.
pub fn closed(service: &Service, made: &Incumbent<'_>) -> Option<Obstacle> {
    let index = service.versions.iter().position(|spec| spec.name == *made.name);
    let reach = index.and_then(|index| not_live(service.policy.reach_of(index)));
    quarantined(service, made).or(reach)
}

fn quarantined(service: &Service, made: &Incumbent<'_>) -> Option<Obstacle> {
    let digest = made.digest?;
    let entry = match made.env {
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
