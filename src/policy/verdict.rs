//! Decides which part of a declaration is served, and says why the rest is not.

use super::base::{self, Base};
use super::eligibility::{self, Eligibility, Incumbent, Obstacle};
use super::rescue;
use crate::api::Standing;
use crate::config::{Percent, Quarantined, Service, Split, Traffic, VersionName};

/// A service, and everything that decides what is served.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub service: &'a Service,
    /// Of each declared version, in the order of declaration.
    pub standings: &'a [Standing],
    /// What is served until now; none when a process starts.
    pub before: Option<&'a Before<'a>>,
}

/// What a service serves until now. Its indexes are of its own versions, not of the declared ones.
#[derive(Clone, Debug)]
pub struct Before<'a> {
    pub base: Base,
    /// What takes the requests of each version; none where nothing does.
    pub incumbents: Vec<Option<Incumbent<'a>>>,
}

/// What is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serve {
    /// What the service declares, as far as its versions can serve.
    Declared(Base),
    /// What was served before, without closed versions.
    Before(Base),
}

/// What is served of a service, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub serve: Serve,
    /// Why what is served is not what is declared, if it is not.
    pub held: Option<String>,
    /// Of each declared version, in the order of declaration.
    pub eligibilities: Vec<Eligibility>,
    /// The versions with a share of the requests that no override, rule or sticky key decides.
    pub shares: Vec<(VersionName, Percent)>,
    /// The share of each declared version by the file. Under `latest`, the newest version without an
    /// obstacle has 100 %.
    pub declared: Vec<Percent>,
    /// The version that answers although none has a share, if one does.
    pub stand_in: Option<VersionName>,
}

impl<'a> Before<'a> {
    fn of(&self, name: &VersionName) -> Option<&Incumbent<'a>> {
        self.incumbents.iter().flatten().find(|made| made.name == name)
    }

    /// The part of the base that can go on, and the versions that cannot because the service closes them.
    fn goes_on(&self, service: &Service) -> (Base, Vec<(&'a VersionName, Obstacle)>) {
        let closed = |index: usize| {
            let made = self.incumbents.get(index).and_then(Option::as_ref)?;
            Some((made.name, eligibility::closed(service, made)?))
        };
        let shares = self.base.shares().into_iter();
        let lost = shares.filter_map(|(index, _)| closed(index)).collect();
        (self.base.without(|index| closed(index).is_some()), lost)
    }
}

impl Case<'_> {
    /// What is served.
    pub fn verdict(&self) -> Verdict {
        let eligibilities = self.eligibilities();
        let (serve, held) = match &self.service.traffic {
            Traffic::Split(split) if split.is_offline() => (Serve::Declared(Base::Offline), None),
            Traffic::Split(split) => self.split(split, &eligibilities),
            Traffic::Latest => self.latest(&eligibilities),
        };
        let shares = self.named(&serve);
        let declared = self.declared(&eligibilities);
        let stand_in = self.stand_in(&serve, &eligibilities);
        Verdict { serve, held, eligibilities, shares, declared, stand_in }
    }

    /// The versions that should have traffic by the file and have an obstacle: those with a share, or those later than
    /// the latest eligible one. A reach is written on purpose, so it is not listed.
    pub fn passed_over(&self) -> Vec<(usize, Obstacle)> {
        let eligibilities = self.eligibilities();
        let latest = eligibilities.iter().rposition(|eligibility| eligibility.obstacle().is_none());
        let is_meant = |index: usize| match &self.service.traffic {
            Traffic::Split(split) => split.share_of(index) > Percent::ZERO,
            Traffic::Latest => latest.is_none_or(|latest| index > latest),
        };
        let all = eligibilities.iter().enumerate();
        let all =
            all.filter_map(|(index, eligibility)| Some((index, eligibility.obstacle()?.clone())));
        all.filter(|(index, it)| is_meant(*index) && !matches!(it, Obstacle::Reach(_))).collect()
    }

    /// Of each declared version.
    fn eligibilities(&self) -> Vec<Eligibility> {
        let versions = self.service.versions.iter().enumerate();
        let eligibility = |(index, spec): (usize, &crate::config::VersionSpec)| {
            let standing = self.standings.get(index).unwrap_or(&Standing::Creating);
            let before = self.before.and_then(|before| before.of(&spec.name));
            Eligibility::of(self.service, index, standing, before)
        };
        versions.map(eligibility).collect()
    }

    /// The declared split, if no version with a share has an obstacle.
    fn split(&self, split: &Split, eligibilities: &[Eligibility]) -> (Serve, Option<String>) {
        let mut obstacles = base::takers(split)
            .filter_map(|(index, share)| Some((index, share, obstacle(eligibilities, index)?)));
        let Some((index, share, obstacle)) = obstacles.next() else {
            return (Serve::Declared(Base::Split(split.clone())), None);
        };
        let why = waits(self.name(index), share, obstacle);
        let others_wait = !obstacle.is_closed() || obstacles.any(|(.., it)| !it.is_closed());
        // Closed versions are not waited for: their shares go to the others at once, even at a start.
        let rest = match others_wait {
            true => Base::Nothing,
            false => Base::Split(split.clone()).without(|index| is_closed(eligibilities, index)),
        };
        self.instead(rest, why, eligibilities)
    }

    /// The last declared version without an obstacle. While a later one is being made, what was
    /// served before goes on.
    fn latest(&self, eligibilities: &[Eligibility]) -> (Serve, Option<String>) {
        for (index, eligibility) in eligibilities.iter().enumerate().rev() {
            match eligibility.obstacle() {
                None => return (Serve::Declared(Base::Latest(index)), None),
                Some(Obstacle::Creating) if self.has_traffic() => {
                    let why = format!("{} gets everything once it is normal", self.name(index));
                    return self.instead(Base::Nothing, why, eligibilities);
                }
                Some(_) => {}
            }
        }
        self.instead(Base::Nothing, self.none_may_serve(eligibilities), eligibilities)
    }

    /// What is served where the declaration cannot be served: what was served before without closed versions, or else
    /// `rest`.
    fn instead(
        &self,
        rest: Base,
        why: String,
        eligibilities: &[Eligibility],
    ) -> (Serve, Option<String>) {
        let (base, lost) = match self.before {
            Some(before) => before.goes_on(self.service),
            None => (Base::Nothing, Vec::new()),
        };
        let serve = match base {
            Base::Nothing => Serve::Declared(rest),
            base => Serve::Before(base),
        };
        let closed = lost_words(&lost, &serve, self.stand_in(&serve, eligibilities).as_ref());
        (serve, Some(why + &closed))
    }

    fn stand_in(&self, serve: &Serve, eligibilities: &[Eligibility]) -> Option<VersionName> {
        let (Serve::Declared(base) | Serve::Before(base)) = serve;
        let index = rescue::stand_in(self.service, eligibilities, base)?;
        Some(self.service.versions.get(index)?.name.clone())
    }

    /// Whether some version that was served before can go on.
    fn has_traffic(&self) -> bool {
        self.before.is_some_and(|before| before.goes_on(self.service).0.takes_traffic())
    }

    fn none_may_serve(&self, eligibilities: &[Eligibility]) -> String {
        let mut last = eligibilities.iter().enumerate().rev();
        let quarantined =
            last.find(|(_, it)| matches!(it.obstacle(), Some(Obstacle::Quarantined(_))));
        let has = |obstacle: &Eligibility| matches!(obstacle.obstacle(), Some(Obstacle::Reach(_)));
        match quarantined {
            Some((index, _)) => format!(
                "no declared version is normal and may have traffic: {} is quarantined; deploy \
                 another one, or remove its `[[quarantine]]` entry",
                self.name(index)
            ),
            None if eligibilities.iter().any(has) => {
                "no declared version is normal and has the reach `live`".to_owned()
            }
            None => "no declared version is normal".to_owned(),
        }
    }

    fn named(&self, serve: &Serve) -> Vec<(VersionName, Percent)> {
        let declared = |index: usize| Some(self.service.versions.get(index)?.name.clone());
        let before = |index: usize| {
            let made = self.before?.incumbents.get(index)?.as_ref()?;
            Some(made.name.clone())
        };
        let named = |base: &Base, name: &dyn Fn(usize) -> Option<VersionName>| {
            let shares = base.shares().into_iter();
            shares.filter_map(|(index, share)| Some((name(index)?, share))).collect()
        };
        match serve {
            Serve::Declared(base) => named(base, &declared),
            Serve::Before(base) => named(base, &before),
        }
    }

    fn declared(&self, eligibilities: &[Eligibility]) -> Vec<Percent> {
        let latest = eligibilities.iter().rposition(|eligibility| eligibility.obstacle().is_none());
        let share = |index: usize| match &self.service.traffic {
            Traffic::Split(split) => split.share_of(index),
            Traffic::Latest if latest == Some(index) => Percent::ALL,
            Traffic::Latest => Percent::ZERO,
        };
        (0..self.service.versions.len()).map(share).collect()
    }

    fn name(&self, index: usize) -> &str {
        self.service.versions.get(index).map_or("", |spec| spec.name.as_str())
    }
}

impl Verdict {
    /// Why a declared version takes no share, if it takes none.
    pub fn obstacle(&self, index: usize) -> Option<&Obstacle> {
        obstacle(&self.eligibilities, index)
    }
}

fn obstacle(eligibilities: &[Eligibility], index: usize) -> Option<&Obstacle> {
    eligibilities.get(index)?.obstacle()
}

fn is_closed(eligibilities: &[Eligibility], index: usize) -> bool {
    eligibilities.get(index).is_none_or(Eligibility::is_closed)
}

/// Names the versions that lost what they served before, because the service closes them.
fn lost_words(
    lost: &[(&VersionName, Obstacle)],
    serve: &Serve,
    stand_in: Option<&VersionName>,
) -> String {
    let names = lost.iter().map(|(name, obstacle)| format!("{name} {obstacle}"));
    let names = names.collect::<Vec<_>>().join(" and ");
    match (lost, serve) {
        ([], _) => String::new(),
        ([_], Serve::Before(_)) => {
            format!("; until then {names}, and its share goes to the others")
        }
        (_, Serve::Before(_)) => format!("; until then {names}, and their shares go to the others"),
        (_, Serve::Declared(Base::Nothing)) => format!(
            "; {names}, so that nothing of what was served before is left: {}",
            rescue::answers(stand_in.map(VersionName::as_str))
        ),
        (_, Serve::Declared(_)) => {
            format!("; {names}, so that what was served before cannot go on")
        }
    }
}

/// Why a split waits for a version.
fn waits(name: &str, share: Percent, obstacle: &Obstacle) -> String {
    let gives = format!("the split gives {name} {share} %, and {name}");
    match obstacle {
        Obstacle::Quarantined(entry) => format!(
            "{gives} is quarantined: {}; remove its `[[quarantine]]` entry, or use `watershed \
             traffic … --force`",
            reason(name, entry)
        ),
        Obstacle::Reach(_) => format!("{gives} {obstacle}"),
        Obstacle::Creating => format!("{name} gets {share} % once it is normal"),
        Obstacle::Error(fault) => format!(
            "{gives} cannot become normal ({}: {}; {})",
            fault.code, fault.detail, fault.suggestion
        ),
    }
}

fn reason(name: &str, entry: &Quarantined) -> String {
    let named = entry.version.as_str();
    match &entry.remark {
        Some(remark) => remark.clone(),
        None if named == name => "an entry has its digest".to_owned(),
        None => format!("it is made of the same as {named}"),
    }
}
