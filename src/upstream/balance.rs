//! Which of an upstream's targets a request goes to.
//!
//! Each [`Balance`] proposes targets in its own order, and [`TargetSet::pick`] takes the first that may have the request.
//! Where none of the best may, it asks again for the next best [`Rank`]: what was proposed and passed over gives its
//! share to the others in proportion.
//!
//! pingora-load-balancing is not used: it knows no requests in flight, no slow return and no tried targets, keeps health
//! in a set that a reload makes anew, and its ring has 160 points of a 32-bit hash for each unit of weight, so a weight
//! of 1000 takes 1.3 MB and shares are off by a tenth.

mod hash;
mod turns;

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rand::RngExt;
use tokio::time::Instant;

use super::Attempt;
use super::eject::Ejection;
use super::health::{Checks, Verdict};
use super::target::Target;
use crate::config::{Balance, Percent};
use turns::Turns;

/// How long a target that comes back has less than its share.
///
/// It begins with a tenth, which grows in a straight line: caches fill, and whatever broke it is seen again while few
/// requests are there to fail.
const RETURN: Duration = Duration::from_secs(10);
const RETURN_BEGINS_WITH: f64 = 0.1;

/// How long a target stays ejected at least, before another one takes its place among the ejected: where all fail, they
/// do not change places at every request.
const RESPITE: Duration = Duration::from_millis(200);

/// How many proposals of turns may be passed over before a target is drawn of those that may have the request.
const PASSED_OVER: usize = 32;

/// The targets of an upstream at one time.
#[derive(Debug)]
pub(super) struct TargetSet {
    members: Box<[Member]>,
    balance: Balance,
    turns: Turns,
    /// For each member, the sum of the weights up to and with its own.
    ends: Box<[u64]>,
}

/// A target of an upstream, and what the upstream wants to know of it.
#[derive(Debug)]
pub(super) struct Member {
    pub target: Arc<Target>,
    pub weight: u32,
    pub checks: Option<Arc<Checks>>,
    pub ejection: Option<Arc<Ejection>>,
    /// What makes it the same target to a hash, in every replica.
    seed: u64,
}

/// How good a target is for a request. The best come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is healthy, and did not fail this request.
    Good,
    /// It has come back, and has had the requests that it may have by now.
    Returning,
    /// It is ejected, or not checked yet: it may answer, if nobody else can.
    Spare,
    /// It failed this request.
    Tried,
    /// It failed this request, and is ejected.
    SpareTried,
}

impl Rank {
    const ALL: [Self; 5] =
        [Self::Good, Self::Returning, Self::Spare, Self::Tried, Self::SpareTried];
}

impl Member {
    pub fn new(
        target: Arc<Target>,
        weight: u32,
        checks: Option<Arc<Checks>>,
        ejection: Option<Arc<Ejection>>,
    ) -> Self {
        let seed = hash::seed(target.address());
        Self { target, weight, checks, ejection, seed }
    }

    /// What its checks say. A target without checks is healthy.
    pub fn verdict(&self) -> Verdict {
        self.checks.as_ref().map_or(Verdict::Healthy, |checks| checks.verdict())
    }

    pub fn is_ejected(&self, now: Instant) -> bool {
        self.ejection.as_ref().is_some_and(|ejection| ejection.is_ejected(now))
    }

    /// When its last ejection was over, by the wall clock.
    pub fn back(&self, now: Instant) -> Option<SystemTime> {
        let since = now.checked_duration_since(self.ejection.as_ref()?.until()?)?;
        SystemTime::now().checked_sub(since)
    }

    /// The part of its share that it may have, if that is less than all.
    fn returning(&self, now: Instant) -> Option<f64> {
        let ejected = self.ejection.as_ref().and_then(|ejection| ejection.until());
        let checked = self.checks.as_ref().and_then(|checks| checks.returned());
        let back = ejected.max(checked)?;
        let since = now.saturating_duration_since(back);
        let grown = since.as_secs_f64() / RETURN.as_secs_f64();
        (since < RETURN).then_some(RETURN_BEGINS_WITH + (1.0 - RETURN_BEGINS_WITH) * grown)
    }
}

impl TargetSet {
    pub fn new(members: Vec<Member>, balance: Balance) -> Self {
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        let sums = weights.iter().scan(0, |sum, weight| {
            *sum += u64::from(*weight);
            Some(*sum)
        });
        Self { ends: sums.collect(), turns: Turns::new(&weights), members: members.into(), balance }
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Whether some target may be asked: not whether it is asked before others.
    pub fn is_healthy(&self) -> bool {
        self.members.iter().any(|member| member.verdict() != Verdict::Unhealthy)
    }

    /// The target of a request; none where none is healthy.
    pub fn pick(&self, attempt: &Attempt<'_>, now: Instant) -> Option<&Member> {
        let coin = OnceCell::new();
        // A key must come back at one time, and not come and go.
        let coin = || {
            *coin.get_or_init(|| match self.balance {
                Balance::Hash => hash::part(attempt.hash),
                _ => rand::rng().random_range(0.0..1.0),
            })
        };
        let rank = |member: &Member| Self::rank(member, attempt, now, coin);
        let find = |worst: Rank| {
            self.propose(attempt.hash, |member| rank(member).is_some_and(|rank| rank <= worst))
        };
        Rank::ALL.into_iter().find_map(find)
    }

    fn rank(
        member: &Member,
        attempt: &Attempt<'_>,
        now: Instant,
        coin: impl Fn() -> f64,
    ) -> Option<Rank> {
        let is_tried = attempt.tried.iter().any(|tried| Arc::ptr_eq(tried, &member.target));
        let is_spare = match member.verdict() {
            Verdict::Unhealthy => return None,
            Verdict::Unchecked => true,
            Verdict::Healthy => member.is_ejected(now),
        };
        Some(match (is_spare, is_tried) {
            (true, true) => Rank::SpareTried,
            (true, false) => Rank::Spare,
            (false, true) => Rank::Tried,
            (false, false) if member.returning(now).is_some_and(|part| coin() >= part) => {
                Rank::Returning
            }
            (false, false) => Rank::Good,
        })
    }

    /// The first target in the order of the balance that may have the request.
    fn propose(&self, hash: u64, may: impl Fn(&Member) -> bool) -> Option<&Member> {
        match self.balance {
            Balance::RoundRobin => self.next_turn(&may),
            Balance::Random => self.draw(&may),
            Balance::LeastRequests => self.less_busy(&may),
            Balance::Hash => hash::owner(self.members.iter().filter(|member| may(member)), hash),
        }
    }

    /// What passes a turn on takes the next one of the same counter, so that nobody gets the requests of a neighbour.
    fn next_turn(&self, may: impl Fn(&Member) -> bool) -> Option<&Member> {
        let turns = (0..PASSED_OVER).filter_map(|_| self.members.get(self.turns.next()));
        turns.into_iter().find(|member| may(member)).or_else(|| self.draw_among(may))
    }

    /// At random, by weight.
    fn draw(&self, may: impl Fn(&Member) -> bool) -> Option<&Member> {
        let all = *self.ends.last()?;
        let drawn = rand::rng().random_range(0..all);
        let index = self.ends.partition_point(|end| *end <= drawn);
        self.members.get(index).filter(|member| may(member)).or_else(|| self.draw_among(may))
    }

    /// At random, by weight, of those that may have the request.
    fn draw_among(&self, may: impl Fn(&Member) -> bool) -> Option<&Member> {
        let mut all = 0_u64;
        let mut drawn = None;
        // Each takes the place of those before it with the odds of its weight, so one pass is enough.
        for member in self.members.iter().filter(|member| may(member)) {
            all += u64::from(member.weight);
            if rand::rng().random_range(0..all) < u64::from(member.weight) {
                drawn = Some(member);
            }
        }
        drawn
    }

    /// Of two targets drawn by weight, the one with fewer requests for its weight; the first, where both have the same:
    /// so weights count too where nothing is in flight.
    fn less_busy(&self, may: impl Fn(&Member) -> bool) -> Option<&Member> {
        let first = self.draw(&may)?;
        let other = self.draw(|member| !std::ptr::eq(member, first) && may(member));
        let load = |of: &Member, weight: &Member| {
            of.target.counters().in_flight() as u64 * u64::from(weight.weight)
        };
        let is_less = |other: &&Member| load(other, first) < load(first, other);
        Some(other.filter(is_less).unwrap_or(first))
    }

    /// Whether one more target may be ejected: so that not more than this share is ejected then, and never the last
    /// healthy one.
    pub fn may_eject(&self, target: &Arc<Target>, at_most: Percent, now: Instant) -> bool {
        let is_it = |member: &&Member| Arc::ptr_eq(&member.target, target);
        let Some(own) = self.members.iter().find(is_it) else { return false };
        let ejected = self.members.iter().filter(|member| member.is_ejected(now)).count();
        let is_good =
            |member: &Member| member.verdict() == Verdict::Healthy && !member.is_ejected(now);
        let others = self.members.iter().filter(|member| !is_it(member));
        !own.is_ejected(now)
            && (ejected + 1) * 10_000 <= self.members.len() * usize::from(at_most.hundredths())
            && others.into_iter().any(is_good)
    }

    /// The target that returns where `target` fails and no more may be ejected: the one that has been ejected for the
    /// longest time. It may be well by now, and `target` is known not to be.
    pub fn to_return(&self, target: &Arc<Target>, now: Instant) -> Option<&Member> {
        let is_it = |member: &&Member| Arc::ptr_eq(&member.target, target);
        self.members.iter().find(is_it).filter(|own| !own.is_ejected(now))?;
        let others = self.members.iter().filter(|member| member.verdict() == Verdict::Healthy);
        let began = |member: &Member| member.ejection.as_ref()?.began(now);
        let ejected = others.filter_map(|member| Some((began(member)?, member)));
        let (began, member) = ejected.min_by_key(|(began, _)| *began)?;
        (now >= began + RESPITE).then_some(member)
    }
}

#[cfg(test)]
mod tests;
