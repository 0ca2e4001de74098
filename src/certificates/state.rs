//! How one pair of the listener stands, and what people should know of it.

use std::time::SystemTime;

use super::flaw::BadFile;
use super::pair::problem_of;
use super::{Facts, Validity};
use crate::config::{CertificateFiles, Digest, Problem, Report};

/// How one pair stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    pub files: CertificateFiles,
    /// Whether clients that ask for no name, or for one that no certificate has, get it.
    pub is_default: bool,
    /// Of the certificate that clients get; `None` if they get none of these files.
    pub served: Option<Facts>,
    /// Of the files that those are from: a new certificate may say the same as the one before.
    pub content: Option<Digest>,
    /// Why the files cannot be used as they are.
    pub bad: Option<BadFile>,
    /// Of the certificate in the files, where it is valid only later, or no more, and the one before is valid.
    pub held: Option<Facts>,
    /// Whether the configuration still names it.
    pub is_declared: bool,
}

impl CertificateState {
    /// Why the files cannot be used as they are, for a report.
    pub fn problem(&self) -> Option<Problem> {
        self.bad.as_ref().map(|bad| problem_of(&self.files, bad))
    }

    /// What can hardly be meant, although it is served.
    pub fn warnings(&self, now: SystemTime) -> Vec<Problem> {
        let warning = |what: String, help: &str| {
            let message = format!("the certificate of {what}");
            self.files.certificate.problem(message, help)
        };
        let doubt = self.served.as_ref().and_then(|facts| Some((facts, facts.doubt?)));
        let doubt = doubt.map(|(facts, doubt)| {
            warning(format!("{} {doubt}", named(&facts.names)), doubt.help())
        });
        self.ending(now).into_iter().chain(self.held_back(now)).chain(doubt).collect()
    }

    /// That the certificate in the files is not taken, although it could be used.
    pub fn held_back(&self, now: SystemTime) -> Option<Problem> {
        let held = self.held.as_ref()?;
        let validity = held.validity(now);
        let (names, why) = (named(&held.names), validity.state().unwrap_or_default());
        let message = format!(
            "the certificate of {names} in this file {why}, so the valid one before is served"
        );
        Some(self.files.certificate.problem(message, validity.help()))
    }

    /// That the certificate which is served ends, or is not valid.
    pub(super) fn ending(&self, now: SystemTime) -> Option<Problem> {
        let facts = self.served.as_ref()?;
        let validity = facts.validity(now);
        let message = format!("the certificate of {} {}", named(&facts.names), validity.warning()?);
        Some(self.files.certificate.problem(message, validity.help()))
    }

    /// Logs what is otherwise than before.
    pub(super) fn tell(&self, before: Option<&Self>, is_start: bool, now: SystemTime) {
        let file = self.files.certificate.path.display();
        let meanwhile = match &self.served {
            Some(facts) => {
                format!("clients of {} get the certificate from before", named(&facts.names))
            }
            None => "clients get none of it".to_owned(),
        };
        let was_bad = before.and_then(|before| before.bad.as_ref());
        match &self.bad {
            Some(bad) if was_bad != Some(bad) => {
                let report = Report { problems: vec![problem_of(&self.files, bad)] };
                tracing::error!("{bad}, and {meanwhile}:\n{report}");
            }
            None if was_bad.is_some() => tracing::info!("{file} and its key can be used again"),
            _ => {}
        }
        if let Some(held) = &self.held
            && before.and_then(|before| before.held.as_ref()) != Some(held)
        {
            let validity = held.validity(now);
            let why = validity.state().unwrap_or_default();
            let help = validity.help();
            tracing::warn!(
                "{file} {why}, so it is not served: {meanwhile}, which is valid; {help}"
            );
        }
        if let Some(facts) = &self.served
            && !is_start
            && before.and_then(|before| before.content.as_ref()) != self.content.as_ref()
        {
            let (names, issuer) = (named(&facts.names), &facts.issuer);
            let days = Validity::days_left(facts.not_after, now);
            tracing::info!(
                "{file} is served from now on: {names}, signed by {issuer}, {days} days left"
            );
            let before = before.and_then(|before| before.served.as_ref());
            let uncovered = before.map(|before| facts.uncovered(&before.names)).unwrap_or_default();
            if !uncovered.is_empty() {
                tracing::warn!(
                    "{file} is no more for {}, as the one before was; have it made for all names",
                    named(&uncovered)
                );
            }
        }
    }
}

/// Some of a certificate's names.
pub(super) fn named(names: &[String]) -> String {
    match names {
        [] => "no name".to_owned(),
        [one, two, three, rest @ ..] if !rest.is_empty() => {
            format!("{one}, {two}, {three} and {} more", rest.len())
        }
        all => all.join(", "),
    }
}
