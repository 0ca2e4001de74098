//! Names that only one owner may have: of environments, services, versions and rules, domains and parts of domains.
//! Each first owner is remembered, so that a second one can be told where the first is.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::super::report::short_path;
use super::super::source::{Complaint, Findings, Spot};

/// The kind of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKind {
    Environment,
    EnvironmentDomain,
    Service,
    Domain,
    /// A part of a domain. A part may be the whole domain.
    Route,
    Version,
    Rule,
}

impl NameKind {
    /// What something with such a name is.
    pub fn words(self) -> &'static str {
        match self {
            Self::Environment => "the name of an environment",
            Self::EnvironmentDomain => "the domain of an environment",
            Self::Service => "the name of a service of this environment",
            Self::Domain => "a domain of a service",
            Self::Route => "a route of a service",
            Self::Version => "the name of a version",
            Self::Rule => "the name of a rule",
        }
    }
}

/// The owner of each name in one file.
#[derive(Default)]
pub struct Claims {
    taken: HashMap<String, Spot>,
}

impl Claims {
    /// Takes a name for a place in a file, or reports who owns it already. Returns whether the name was free.
    pub fn take(
        &mut self,
        at: &mut Findings<'_>,
        span: Range<usize>,
        name: &str,
        what: NameKind,
    ) -> bool {
        if let Some(first) = self.taken.get(name) {
            at.add(span, taken(name, what, first, &at.source.path));
            return false;
        }
        self.put(name, &at.source.spot(span));
        true
    }

    /// Notes the owner of a name.
    pub fn put(&mut self, name: &str, spot: &Spot) {
        self.taken.insert(name.to_owned(), spot.clone());
    }
}

/// The complaint to a second claimant, which is in `file`.
pub fn taken(name: &str, what: NameKind, first: &Spot, file: &Path) -> Complaint {
    let other = short_path(&first.file).display();
    let place = match first.line {
        Some(line) if first.file == file => format!("on line {line}"),
        Some(line) => format!("in {other} on line {line}"),
        None => format!("in {other}"),
    };
    let message = format!("`{name}` is already {}, {place}", what.words());
    Complaint::new(message, "choose another one, or remove one of the two")
}
