//! What can happen to a site. A step says which service and version it is about by numbers that stand
//! for some one whatever there is, so that a run is still one when steps before it are left out.

use watershed::config::Reach;

use super::Seen;
use super::process::Process;
use super::site::{Component, Mode, Shares, Site};

/// A person's action, or an event on a machine.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Declares a version, or changes the environment of one.
    Deploy { service: usize, name: usize, env: usize },
    /// Removes a version's declaration.
    Delete { service: usize, place: usize },
    /// Changes the split.
    Traffic { service: usize, shares: Shares },
    /// Changes a version's reach.
    Reach { service: usize, place: usize, reach: Reach },
    /// Quarantines the component of a version, in all environments or in its own.
    Quarantine { service: usize, place: usize, of_env: bool },
    /// Removes every quarantine entry.
    Release { service: usize },
    /// Sets a rule, or none.
    Rule { service: usize, rule: usize, to: Option<Shares>, fails: bool },
    /// Changes stickiness.
    Stick { service: usize, mode: Mode },
    /// Draws in turns or at random.
    Pick { service: usize, in_turns: bool },
    /// Writes another file for the component of a version.
    Build { name: usize, component: Component },
    /// Makes the main file wrong, or right again.
    BreakMain { is_wrong: bool },
    /// Lets one of the running preparations end.
    Prepare { which: usize },
    /// Lets all of them end.
    PrepareAll,
    /// Tries again what a transient error had stopped.
    Retry,
    /// Kills the process and starts another one, in which this many versions are ready at once.
    Restart { ready: usize },
}

/// One bit for each kind of step.
const EVERY: u64 = (1 << 15) - 1;

impl Step {
    /// A number for each kind, from 0.
    fn kind(self) -> u32 {
        match self {
            Self::Deploy { .. } => 0,
            Self::Delete { .. } => 1,
            Self::Traffic { .. } => 2,
            Self::Reach { .. } => 3,
            Self::Quarantine { .. } => 4,
            Self::Release { .. } => 5,
            Self::Rule { .. } => 6,
            Self::Stick { .. } => 7,
            Self::Pick { .. } => 8,
            Self::Build { .. } => 9,
            Self::BreakMain { .. } => 10,
            Self::Prepare { .. } => 11,
            Self::PrepareAll => 12,
            Self::Retry => 13,
            Self::Restart { .. } => 14,
        }
    }

    /// Does the step, and checks what must hold.
    pub fn make(
        self,
        site: &mut Site,
        process: &mut Process<'_>,
        seen: &mut Seen,
    ) -> Result<(), String> {
        match self {
            Self::Deploy { service, name, env } => site.service(service).deploy(name, env),
            Self::Delete { service, place } => site.service(service).delete(place),
            Self::Traffic { service, shares } => site.service(service).divide(shares),
            Self::Reach { service, place, reach } => site.service(service).reach(place, reach),
            Self::Quarantine { service, place, of_env } => {
                let digest = process.digest_of(site, service, place);
                site.service(service).quarantine(place, digest, of_env);
            }
            Self::Release { service } => site.service(service).release(),
            Self::Rule { service, rule, to, fails } => site.service(service).rule(rule, to, fails),
            Self::Stick { service, mode } => site.service(service).stick(mode),
            Self::Pick { service, in_turns } => site.service(service).pick(in_turns),
            Self::Build { name, component } => site.build(name, component),
            Self::BreakMain { is_wrong } => site.main_is_wrong = is_wrong,
            Self::Prepare { which } => return process.prepare(site, which, seen),
            Self::PrepareAll => return process.prepare_all(site, seen),
            Self::Retry => process.retry(),
            Self::Restart { ready } => return process.restart(site, ready, seen),
        }
        process.take(site, seen)
    }
}

/// Numbers that depend on a seed alone: SplitMix64 (G. Steele and others, "Fast splittable pseudorandom
/// number generators", 2014).
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    fn below(&mut self, many: u64) -> usize {
        usize::try_from(self.next() % many).unwrap()
    }

    fn in_ten(&mut self, times: usize) -> bool {
        self.below(10) < times
    }

    /// Cuts of one hundred percent, in hundredths of a percent. Every other cut is a round number.
    fn shares(&mut self) -> Shares {
        let mut cut = || match self.below(2) {
            0 => u16::try_from(self.below(5)).unwrap() * 2_500,
            _ => u16::try_from(self.below(10_001)).unwrap(),
        };
        Shares::Split([cut(), cut(), cut()])
    }
}

/// The steps of a seed. Each seed leaves out some kinds of steps: otherwise, steps that repair would never leave
/// anything broken for long (A. Groce and others, "Swarm testing", 2012).
pub fn of_seed(seed: u64, many: usize) -> Vec<Step> {
    let mut random = Random(seed);
    let without = random.next() & random.next();
    let is_in = |step: &Step| (without >> step.kind()) & 1 == 0;
    let steps = std::iter::repeat_with(|| step(&mut random));
    // A seed that leaves out every kind gets all of them.
    steps.filter(|step| without & EVERY == EVERY || is_in(step)).take(many).collect()
}

fn step(random: &mut Random) -> Step {
    // Most steps affect the first service: an edit of the other must not change it.
    let service = usize::from(random.in_ten(2));
    let place = random.below(4);
    match random.below(100) {
        0..12 => Step::Deploy { service, name: random.below(5), env: random.below(3) },
        12..17 => Step::Delete { service, place },
        17..34 => Step::Traffic { service, shares: random.shares() },
        34..38 => Step::Traffic { service, shares: Shares::Latest },
        38..40 => Step::Traffic { service, shares: Shares::Offline },
        40..45 => Step::Reach { service, place, reach: Reach::ALL[random.below(4)] },
        45..48 => Step::Quarantine { service, place, of_env: random.in_ten(5) },
        48..51 => Step::Release { service },
        51..56 => {
            let to = match random.below(3) {
                0 => None,
                1 => Some(Shares::Latest),
                _ => Some(random.shares()),
            };
            Step::Rule { service, rule: random.below(2), to, fails: random.in_ten(3) }
        }
        56..60 => {
            let mode = [Mode::None, Mode::Hash, Mode::Pin][random.below(3)];
            Step::Stick { service, mode }
        }
        60..63 => Step::Pick { service, in_turns: random.in_ten(6) },
        63..68 => Step::Build { name: random.below(5), component: component(random) },
        68..70 => Step::BreakMain { is_wrong: random.in_ten(4) },
        70..82 => Step::Prepare { which: random.below(8) },
        82..95 => Step::PrepareAll,
        95..97 => Step::Retry,
        _ => Step::Restart { ready: random.below(12) },
    }
}

fn component(random: &mut Random) -> Component {
    match random.below(8) {
        0 => Component::Missing,
        1 => Component::Unreadable,
        which => Component::Good(which % 2),
    }
}
