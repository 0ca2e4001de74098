//! Decides which service gets a name that several services claim. The service that has the name keeps it, whatever the
//! other files say by now. Among newcomers, the first in the order of files gets it. The others are told where the
//! owner is, and go on as they were. `source` calls this room.

use std::collections::HashMap;

use super::model::EnvironmentName;
use super::report::Problem;
use super::source::{Complaint, Spot};
use super::validate::claims::{NameKind, taken};
use super::validate::service::{Claim, Draft};

/// A service's file, as it reads now and as it was last served.
pub struct Contender<'a> {
    pub environment: &'a EnvironmentName,
    /// `None` where the file is wrong by itself.
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

/// The decision about a contender.
pub struct Verdict {
    pub choice: Choice,
    /// Why the served state is not the newest one.
    pub problems: Vec<Problem>,
}

/// A name and its kind. Services of two environments may share a name, but not a domain.
pub type Claimed<'a> = (NameKind, Option<&'a EnvironmentName>, &'a str);

impl Claim {
    /// The names that a service of an environment claims.
    pub fn name_in<'a>(&'a self, environment: &'a EnvironmentName) -> Claimed<'a> {
        let environment = (self.what == NameKind::Service).then_some(environment);
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

    /// The claims of a draft that its good state made already, or those that the good state did not make.
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

/// Decides for each contender, in the order of files, which of its states is served. Afterwards each name has one
/// owner.
pub fn arbitrate(contenders: &[Contender<'_>]) -> Vec<Verdict> {
    let first = |contender: &Contender<'_>| match contender.newest {
        Some(_) => Choice::Newest,
        None => contender.fallback(),
    };
    let mut verdicts: Vec<Verdict> = contenders
        .iter()
        .map(|contender| Verdict { choice: first(contender), problems: Vec::new() })
        .collect();
    // A contender that goes back to its good state claims the names of that state again, which may conflict with other
    // contenders' claims. Each contender can go back twice at most.
    while reject_late_comers(contenders, &mut verdicts) {}
    verdicts
}

/// Sends back every contender that claims another one's name. Returns whether there was such a contender.
fn reject_late_comers(contenders: &[Contender<'_>], verdicts: &mut [Verdict]) -> bool {
    let owners = owners(contenders, verdicts);
    let mut rejected = false;
    for (index, (contender, verdict)) in contenders.iter().zip(verdicts.iter_mut()).enumerate() {
        let lost = lost(contenders, verdict.choice, index, &owners);
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

/// The owner of each name: contenders that had a name already come first.
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

/// A problem for each name that a contender claims and another one owns.
fn lost(
    contenders: &[Contender<'_>],
    choice: Choice,
    index: usize,
    owners: &HashMap<Claimed<'_>, (usize, &Spot)>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut name_is_lost = false;
    let Some(contender) = contenders.get(index) else { return problems };
    for (number, claim) in
        contender.draft(choice).into_iter().flat_map(|draft| &draft.claims).enumerate()
    {
        let Some((owner, spot)) = owners.get(&claim.name_in(contender.environment)) else {
            continue;
        };
        // Two services of one name share their default domain, the second claim: the problem about the name is enough.
        if *owner == index || (number == 1 && name_is_lost) {
            continue;
        }
        name_is_lost |= claim.what == NameKind::Service;
        problems.push(match contenders.get(*owner) {
            Some(other) if claim.spot.file == spot.file => shared(claim, other.environment),
            _ => late(claim, spot),
        });
    }
    problems
}

/// The complaint to a file that two environments read: each would have a service with the same name or domain.
fn shared(claim: &Claim, other: &EnvironmentName) -> Problem {
    let name = &claim.name;
    let message = format!(
        "`{name}` is already {} of the environment `{other}`, whose `services` in the main file \
         leads to this file too",
        claim.what.words()
    );
    let help = "have the `services` of one environment lead elsewhere, or remove this line";
    claim.spot.clone().problem(Complaint::new(message, help))
}

fn late(claim: &Claim, owner: &Spot) -> Problem {
    let complaint: Complaint = taken(&claim.name, claim.what, owner, &claim.spot.file);
    claim.spot.clone().problem(complaint)
}
