//! How a service does, in one word and, unless all is well, one sentence: for lists of many services. Pure, and decided
//! here alone.

/// The word for how a service does. The worst that is true counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Requests fail that should not.
    Failing,
    /// It gives every version 0 %, as its file says.
    Offline,
    /// Requests are served, and yet somebody should look.
    Attention,
    Ok,
}

impl Health {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Offline => "offline",
            Self::Attention => "attention",
            Self::Ok => "ok",
        }
    }
}

/// How many requests of the last minute it takes until their errors count.
pub const REQUESTS_MIN: u64 = 10;

/// The ratio of errors from which a service is failing.
pub const FAILING: f64 = 0.5;

/// The ratio of errors from which somebody should look.
pub const NOTABLE: f64 = 0.05;

/// What the health of a service is decided by.
#[derive(Clone, Debug, Default)]
pub struct Signs<'a> {
    pub is_offline: bool,
    /// Whether no version can serve, although the service is not offline, and none is being made ready.
    pub serves_nothing: bool,
    /// Why what is declared is not what is served.
    pub held: Option<&'a str>,
    /// What is wrong with its file.
    pub rejected: Option<&'a str>,
    /// What is wrong although it is served as declared.
    pub warning: Option<&'a str>,
    /// Requests of the last minute.
    pub requests: u64,
    /// Of these, the errors: from 0 to 1.
    pub error_ratio: Option<f64>,
    pub versions: Vec<VersionSigns<'a>>,
}

/// What is known of one version.
#[derive(Clone, Debug, Default)]
pub struct VersionSigns<'a> {
    pub name: &'a str,
    /// Whether it has a share of the traffic now.
    pub has_traffic: bool,
    /// The code of its error, if it is in error.
    pub error: Option<&'a str>,
    /// Whether none of its targets takes requests.
    pub is_unhealthy: bool,
    /// Whether the other versions get its share while it is unhealthy.
    pub yields: bool,
    /// Whether it is drawn more or less often than chance explains.
    pub is_beyond_chance: bool,
    /// Whether it is made of something else than its file, which is wrong.
    pub is_substituted: bool,
}

impl Signs<'_> {
    /// The health, and why it is not `ok`.
    pub fn health(&self) -> (Health, Option<String>) {
        if let Some(why) = self.failing() {
            return (Health::Failing, Some(why));
        }
        match (self.is_offline, self.attention()) {
            (true, why) => (Health::Offline, why),
            (false, Some(why)) => (Health::Attention, Some(why)),
            (false, None) => (Health::Ok, None),
        }
    }

    fn failing(&self) -> Option<String> {
        if self.serves_nothing {
            let why = self.attention().map(|why| format!("; {why}")).unwrap_or_default();
            return Some(format!("no version can serve: requests get 503 `no-version`{why}"));
        }
        let lost = self.versions.iter().find(|it| it.has_traffic && it.is_unhealthy && !it.yields);
        if let Some(version) = lost {
            return Some(format!("no target of {} takes requests", version.name));
        }
        self.errors(FAILING)
    }

    fn errors(&self, ratio: f64) -> Option<String> {
        errors(self.requests, self.error_ratio, ratio)
    }

    fn attention(&self) -> Option<String> {
        if let Some(problem) = self.rejected {
            return Some(format!("its file is wrong: {problem}"));
        }
        if let Some(why) = self.held {
            return Some(format!("not served as declared: {why}"));
        }
        let version = self.versions.iter().find_map(VersionSigns::attention);
        let errors = || self.errors(NOTABLE);
        version.or_else(errors).or_else(|| self.warning.map(str::to_owned))
    }
}

/// What is wrong where at least `ratio` of enough requests of the last minute failed. `error_ratio` is how many did.
pub fn errors(requests: u64, error_ratio: Option<f64>, ratio: f64) -> Option<String> {
    let error_ratio = error_ratio.filter(|own| *own >= ratio)?;
    (requests >= REQUESTS_MIN).then(|| {
        let percent = (error_ratio * 100.0).floor();
        format!("{percent} % of the requests of the last minute failed")
    })
}

impl VersionSigns<'_> {
    fn attention(&self) -> Option<String> {
        let name = self.name;
        if let Some(code) = self.error {
            return Some(format!("{name} is in error: `{code}`"));
        }
        if self.is_unhealthy {
            return Some(format!("no target of {name} takes requests"));
        }
        if self.is_substituted {
            return Some(format!("{name} is not made from its file, which is wrong"));
        }
        self.is_beyond_chance
            .then(|| format!("{name} is drawn more or less often than chance explains"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2() -> VersionSigns<'static> {
        VersionSigns { name: "v2", has_traffic: true, ..VersionSigns::default() }
    }

    fn of(version: VersionSigns<'static>) -> Signs<'static> {
        Signs { versions: vec![version], ..Signs::default() }
    }

    fn health(signs: &Signs<'_>) -> (&'static str, String) {
        let (health, why) = signs.health();
        (health.as_str(), why.unwrap_or_default())
    }

    #[test]
    fn the_worst_that_is_true_counts() {
        let all_well = of(v2());
        assert_eq!(health(&all_well), ("ok", String::new()));
        let held = Signs { held: Some("v3 is being made ready"), ..of(v2()) };
        let (word, why) = health(&held);
        assert_eq!(
            (word, why.as_str()),
            ("attention", "not served as declared: v3 is being made ready")
        );
        let rejected = Signs { rejected: Some("a key twice"), ..held.clone() };
        assert_eq!(health(&rejected), ("attention", "its file is wrong: a key twice".to_owned()));
        let offline = Signs { is_offline: true, ..rejected.clone() };
        assert_eq!(health(&offline), ("offline", "its file is wrong: a key twice".to_owned()));
        let nothing = Signs { serves_nothing: true, ..rejected };
        assert_eq!(health(&nothing).0, "failing");
        assert!(health(&nothing).1.ends_with("; its file is wrong: a key twice"));
    }

    #[test]
    fn an_unhealthy_version_fails_its_service_only_while_requests_go_there() {
        let unhealthy = VersionSigns { is_unhealthy: true, ..v2() };
        let why = "no target of v2 takes requests".to_owned();
        assert_eq!(health(&of(unhealthy.clone())), ("failing", why.clone()));
        let yields = VersionSigns { yields: true, ..unhealthy.clone() };
        assert_eq!(health(&of(yields)), ("attention", why.clone()));
        let idle = VersionSigns { has_traffic: false, ..unhealthy };
        assert_eq!(health(&of(idle)), ("attention", why));
    }

    #[test]
    fn versions_that_somebody_should_look_at() {
        for version in [
            VersionSigns { error: Some("not-found"), ..v2() },
            VersionSigns { is_beyond_chance: true, ..v2() },
            VersionSigns { is_substituted: true, ..v2() },
        ] {
            let (word, why) = health(&of(version));
            assert_eq!(word, "attention");
            assert!(why.starts_with("v2 is "), "{why}");
        }
        let warned = Signs { warning: Some("every override is denied"), ..of(v2()) };
        assert_eq!(health(&warned), ("attention", "every override is denied".to_owned()));
    }

    #[test]
    fn errors_count_once_there_are_enough_requests() {
        let errors =
            |requests, ratio| health(&Signs { requests, error_ratio: Some(ratio), ..of(v2()) }).0;
        assert_eq!(errors(REQUESTS_MIN, FAILING), "failing");
        assert_eq!(errors(REQUESTS_MIN - 1, 1.0), "ok");
        assert_eq!(errors(1_000_000, FAILING - 0.001), "attention");
        assert_eq!(errors(REQUESTS_MIN, NOTABLE), "attention");
        assert_eq!(errors(1_000_000, NOTABLE - 0.001), "ok");
    }
}
