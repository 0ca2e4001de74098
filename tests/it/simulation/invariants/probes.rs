//! The requests that are asked about after each publish.

use std::collections::HashMap;

use watershed::api::ExplainQuery;
use watershed::policy::explain::Question;
use watershed::routing::{Affinity, Asked, KeySource, bucket};

use crate::simulation::site::{NAMES, SERVICES};

const USERS: usize = 4;

/// Requests that are asked about after each publish.
pub struct Probes {
    pub(super) all: Vec<Probe>,
    /// A request for each bucket of each service.
    pub(super) of_buckets: HashMap<&'static str, Vec<Question>>,
}

pub(super) struct Probe {
    pub(super) user: Option<usize>,
    /// Which rule it is for, from 0.
    pub(super) rule: Option<usize>,
    /// The version that it asks for.
    pub(super) wish: Option<&'static str>,
    pub(super) question: Question,
}

impl Probe {
    fn new(user: Option<usize>, rule: Option<usize>, wish: Option<&'static str>) -> Self {
        let user_header = user.map(|user| format!("x-user:{user}"));
        let rule_header = rule.map(|rule| format!("x-rule:{}", rule + 1));
        let wish_header = wish.map(|wish| format!("watershed-version:{wish}"));
        let headers = user_header.into_iter().chain(rule_header).chain(wish_header).collect();
        let question = question(headers);
        Self { user, rule, wish, question }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { parts: self.question.parts(), client: None, preview: None }
    }

    pub(super) fn words(&self) -> String {
        format!("user {:?}, rule {:?}, wish {:?}", self.user, self.rule, self.wish)
    }
}

impl Probes {
    pub fn new() -> Self {
        let rules = [None, Some(0), Some(1)];
        let users = (0..USERS).map(Some).chain([None]);
        let plain = users.flat_map(|user| rules.map(|rule| Probe::new(user, rule, None)));
        let wishes = NAMES
            .into_iter()
            .flat_map(|wish| [None, Some(0)].map(|rule| Probe::new(Some(0), rule, Some(wish))));
        let all = plain.chain(wishes).collect();
        Self { all, of_buckets: SERVICES.map(|name| (name, of_buckets(name))).into() }
    }
}

pub(super) fn question(headers: Vec<String>) -> Question {
    Question::new(&ExplainQuery { headers, ..ExplainQuery::default() }).unwrap()
}

/// A user for each of ten thousand buckets, looked for one by one.
fn of_buckets(service: &str) -> Vec<Question> {
    let header = http::HeaderName::from_static("x-user");
    let affinity = Affinity::new(KeySource::Header(header), "default", service, false);
    let mut users: Vec<Option<usize>> = vec![None; 10_000];
    let mut empty = users.len();
    for user in 0.. {
        let hash = affinity.hash_of_user(&user.to_string()).unwrap();
        let place = &mut users[usize::from(bucket(hash))];
        empty -= usize::from(place.is_none());
        *place = place.or(Some(user));
        if empty == 0 {
            break;
        }
    }
    let question = |user: usize| {
        let headers = vec![format!("x-user:{user}")];
        question(headers)
    };
    users.into_iter().map(|user| question(user.unwrap())).collect()
}
