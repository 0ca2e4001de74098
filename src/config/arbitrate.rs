//! Who gets a name that several services want. The one that has it keeps it, whatever the others'
//! files say by now; among newcomers, the first in the order of files gets it. Whoever comes too
//! late is told where the other is, and goes on as it was. `loader` calls it.

use std::collections::HashMap;

use super::model::EnvironmentName;
use super::report::Problem;
use super::source::{Complaint, Spot};
use super::validate::claims::{What, taken};
use super::validate::service::{Claim, Draft};

/// A service's file, as it reads now and as it was served last.
pub struct Contender<'a> {
    pub environment: &'a EnvironmentName,
    /// None where the file is wrong by itself.
    pub newest: Option<&'a Draft>,
    pub good: Option<&'a Draft>,
}

/// Which state of a file is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Newest,
    Good,
    Nothing,
}

/// What became of a contender.
pub struct Verdict {
    pub choice: Choice,
    /// Why it is not the newest state.
    pub problems: Vec<Problem>,
}

/// A name among those of its kind. Services of two environments may have one name, but not one domain.
pub type Claimed<'a> = (What, Option<&'a EnvironmentName>, &'a str);

impl Claim {
    /// What is claimed by a service of an environment.
    pub fn name_in<'a>(&'a self, environment: &'a EnvironmentName) -> Claimed<'a> {
        let environment = (self.what == What::Service).then_some(environment);
        (self.what, environment, &self.name)
    }
}

impl<'a> Contender<'a> {
    fn draft(&self, choice: Choice) -> Option<&'a Draft> {
        match choice {
            Choice::Newest => self.newest,
            Choice::Good => self.good,
            Choice::Nothing => None,
        }
    }

    fn fallback(&self) -> Choice {
        if self.good.is_some() { Choice::Good } else { Choice::Nothing }
    }

    /// The claims of a draft that its good state made already, or those that it did not.
    fn claims(&self, choice: Choice, held: bool) -> impl Iterator<Item = &'a Claim> {
        let good = self.good;
        let is_held = move |claim: &Claim| {
            let mut held = good.into_iter().flat_map(|good| &good.claims);
            held.any(|held| held.what == claim.what && held.name == claim.name)
        };
        let claims = self.draft(choice).into_iter().flat_map(|draft| &draft.claims);
        claims.filter(move |claim| is_held(claim) == held)
    }
}

/// Decides for each contender, in the order of files, which of its states is served. No name has
/// two owners then.
pub fn arbitrate(contenders: &[Contender<'_>]) -> Vec<Verdict> {
    let first = |contender: &Contender<'_>| match contender.newest {
        Some(_) => Choice::Newest,
        None => contender.fallback(),
    };
    let mut verdicts: Vec<Verdict> = contenders
        .iter()
        .map(|contender| Verdict { choice: first(contender), problems: Vec::new() })
        .collect();
    // Whoever goes back takes its names along, which may be news to the others. Each can go back
    // twice at most.
    while reject_late_comers(contenders, &mut verdicts) {}
    verdicts
}

/// Sends back whoever claims what another has. Whether there was one.
fn reject_late_comers(contenders: &[Contender<'_>], verdicts: &mut [Verdict]) -> bool {
    let owners = owners(contenders, verdicts);
    let mut rejected = false;
    for (index, (contender, verdict)) in contenders.iter().zip(verdicts.iter_mut()).enumerate() {
        let lost = lost(contender, verdict.choice, index, &owners);
        if lost.is_empty() {
            continue;
        }
        rejected = true;
        let is_newest = verdict.choice == Choice::Newest;
        verdict.choice = if is_newest { contender.fallback() } else { Choice::Nothing };
        verdict.problems.extend(lost);
    }
    rejected
}

/// Who has each name: those who had it already come first.
fn owners<'a>(
    contenders: &[Contender<'a>],
    verdicts: &[Verdict],
) -> HashMap<Claimed<'a>, (usize, &'a Spot)> {
    let drafts =
        contenders.iter().zip(verdicts).filter_map(|(it, verdict)| it.draft(verdict.choice));
    let mut owners = HashMap::with_capacity(drafts.map(|draft| draft.claims.len()).sum());
    for held in [true, false] {
        for (index, (contender, verdict)) in contenders.iter().zip(verdicts).enumerate() {
            for claim in contender.claims(verdict.choice, held) {
                owners.entry(claim.name_in(contender.environment)).or_insert((index, &claim.spot));
            }
        }
    }
    owners
}

/// A problem for each claim of a contender that somebody else has.
fn lost(
    contender: &Contender<'_>,
    choice: Choice,
    index: usize,
    owners: &HashMap<Claimed<'_>, (usize, &Spot)>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut name_is_lost = false;
    for (number, claim) in
        contender.draft(choice).into_iter().flat_map(|draft| &draft.claims).enumerate()
    {
        let Some((owner, spot)) = owners.get(&claim.name_in(contender.environment)) else {
            continue;
        };
        // Two of one name have one default domain, the second claim, which need not be said too.
        if *owner == index || (number == 1 && name_is_lost) {
            continue;
        }
        name_is_lost |= claim.what == What::Service;
        problems.push(late(claim, spot));
    }
    problems
}

fn late(claim: &Claim, owner: &Spot) -> Problem {
    let complaint: Complaint = taken(&claim.name, claim.what, owner, &claim.spot.file);
    claim.spot.clone().problem(complaint)
}
