//! The state of one service file: as it reads now, and as it was served last.

use std::sync::Arc;

use crate::config::{
    self, Choice, Contender, Draft, EnvironmentName, Problem, Report, Source, Surroundings, Verdict,
};
use crate::source::{Fingerprint, Rejection};

use super::Key;

/// What is known of a service's file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its fingerprint before it was read; `None` if its next change might not show.
    fingerprint: Option<Fingerprint>,
    /// Which file it was, by whatever path.
    seen: Option<Fingerprint>,
    around: Arc<Surroundings>,
    /// What it says now, if it can be read.
    newest: Option<Arc<Draft>>,
    /// Its problems, without regard to other files.
    pub problems: Vec<Problem>,
    /// The state that was served last.
    pub good: Option<Arc<Draft>>,
    /// Which of both states is served, and the names that it claims and other files have.
    choice: Choice,
    lost: Vec<Problem>,
}

impl File {
    /// The new state of a file, from its text or from the problem that kept it from being read.
    pub fn read(
        source: Result<Source, Box<Problem>>,
        fingerprint: Option<Fingerprint>,
        around: &Arc<Surroundings>,
        before: Option<&Self>,
    ) -> Self {
        let mut problems = Vec::new();
        let source = source.map_err(|problem| problems.push(*problem)).ok();
        let newest = source.and_then(|it| config::read_service(it, around, &mut problems));
        let newest = newest.map(Arc::new);
        // A file that was missing at the look may have appeared before it was read; after a
        // transient error, nothing is known of it. Both are looked at again.
        let is_known = !problems.iter().any(|problem| problem.is_transient);
        let seen = fingerprint;
        let fingerprint = fingerprint.filter(Fingerprint::is_settled).filter(|_| is_known);
        let good = before.and_then(|before| before.good_under(around));
        let around = around.clone();
        let (choice, lost) = (Choice::Nothing, Vec::new());
        Self { fingerprint, seen, around, newest, problems, good, choice, lost }
    }

    /// Whether reading it again would give the same state.
    pub fn is_as_read(&self, now: Option<Fingerprint>, around: &Surroundings) -> bool {
        now.is_some() && self.fingerprint == now && *self.around == *around
    }

    /// Whether it may have changed unnoticed, or could not be read because of a transient error.
    pub fn is_unsure(&self) -> bool {
        self.fingerprint.is_none()
    }

    /// Whether it was the file with this fingerprint when it was read.
    pub fn is_file(&self, other: &Fingerprint) -> bool {
        self.seen.is_some_and(|seen| seen.is_same_file(other))
    }

    /// The state served last, in an environment that may have another domain now.
    fn good_under(&self, around: &Surroundings) -> Option<Arc<Draft>> {
        let is_same = self.around.domain == around.domain;
        let good = self.good.clone();
        good.map(|good| if is_same { good } else { Arc::new(good.under(&around.domain)) })
    }

    pub fn as_written(&self) -> Option<&Arc<Draft>> {
        self.newest.as_ref()
    }

    pub fn as_valid(&self) -> Option<&Arc<Draft>> {
        self.newest.as_ref().filter(|_| self.problems.is_empty())
    }

    /// Both of its states, which may be one.
    pub fn drafts(&self) -> impl Iterator<Item = &Arc<Draft>> {
        self.newest.iter().chain(&self.good)
    }

    pub fn contender<'a>(
        &'a self,
        environment: &'a EnvironmentName,
        newest: Option<&'a Arc<Draft>>,
    ) -> Contender<'a> {
        Contender { environment, newest: newest.map(Arc::as_ref), good: self.good.as_deref() }
    }

    /// Takes the verdict on the names that it claims.
    pub fn decide(&mut self, verdict: Verdict) {
        (self.choice, self.lost) = (verdict.choice, verdict.problems);
    }

    /// The state to serve.
    pub fn state(&self) -> Option<&Arc<Draft>> {
        match self.choice {
            Choice::Newest => self.as_valid(),
            Choice::Good => self.good.as_ref(),
            Choice::Nothing => None,
        }
    }

    pub fn is_wrong(&self) -> bool {
        !(self.problems.is_empty() && self.lost.is_empty())
    }

    /// Why it is not served as it reads, if that is so.
    pub fn rejection(&self, key: &Key) -> Option<Rejection> {
        let good = self.good.as_ref().filter(|_| self.choice == Choice::Good);
        let serves = good.map(|good| good.service.name.clone());
        self.is_wrong().then(|| Rejection {
            environment: key.environment.clone(),
            serves,
            file: key.path.clone(),
            report: Report::new(self.problems.iter().chain(&self.lost).cloned().collect()),
        })
    }
}
