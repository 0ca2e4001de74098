//! The declarations: the services' files as people write them. An edit that no file could hold, such as a share for a
//! closed version, becomes what a careful editor would write instead.

use std::sync::Arc;
use std::time::Duration;

use watershed::config::{
    AdminSettings, ComponentSettings, Config, Destination, Digest, EnvValue, Environment,
    EnvironmentName, Glob, GuestSpec, Match, Otherwise, Overrides, Percent, Pick, PolicySpec,
    Quarantined, Reach, Rule, RuleName, ServerSettings, Service, ServiceName, Split, StateSettings,
    Sticky, StickyKey, StickyMode, Traffic, VersionName, VersionSpec,
};

/// The services of the site.
pub const SERVICES: [&str; 2] = ["shop", "cart"];

/// The names that versions may have. Each name has a component file of its own.
pub const NAMES: [&str; 5] = ["v1", "v2", "v3", "v4", "v5"];

/// Declared shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    /// The newest version gets all; in a rule, the version at the rule's place does.
    Latest,
    Offline,
    /// Cuts of one hundred percent, in hundredths of a percent: one part for each version.
    Split([u16; 3]),
}

/// How users stay with versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    Hash,
    Pin,
}

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// One of two components.
    Good(usize),
    Missing,
    /// It cannot be read for now.
    Unreadable,
}

/// All declarations, and the component files that they name.
pub struct Site {
    services: Vec<Draft>,
    /// For each name, the content of its file, and how often the file was written.
    pub files: [(Component, u64); NAMES.len()],
    /// Whether the main file has nothing that could be served.
    pub main_is_wrong: bool,
}

/// A service's file.
pub struct Draft {
    name: &'static str,
    versions: Vec<Declared>,
    traffic: Shares,
    rules: [Option<(Shares, bool)>; 2],
    mode: Mode,
    pick: Pick,
    quarantine: Vec<Quarantined>,
}

#[derive(Clone, Copy)]
struct Declared {
    name: usize,
    env: usize,
    reach: Reach,
}

impl Site {
    pub fn new() -> Self {
        let draft = |name| Draft {
            name,
            versions: vec![Declared { name: 0, env: 0, reach: Reach::Live }],
            traffic: Shares::Latest,
            rules: [None; 2],
            mode: Mode::None,
            pick: Pick::Random,
            quarantine: Vec::new(),
        };
        let file = |which| (Component::Good(which % 2), 0);
        Self {
            services: SERVICES.map(draft).into(),
            files: std::array::from_fn(file),
            main_is_wrong: false,
        }
    }

    pub fn service(&mut self, service: usize) -> &mut Draft {
        &mut self.services[service]
    }

    /// Writes a name's file.
    pub fn build(&mut self, name: usize, component: Component) {
        let (_, count) = self.files[name];
        self.files[name] = (component, count + 1);
    }

    /// The name of the version at a place.
    pub fn name_at(&self, service: usize, place: usize) -> usize {
        let versions = &self.services[service].versions;
        versions[place % versions.len()].name
    }

    /// What the files declare.
    pub fn config(&self) -> Config {
        Config {
            server: ServerSettings::default(),
            admin: AdminSettings::default(),
            state: StateSettings { directory: "/site/state".into() },
            components: ComponentSettings { directory: "/site/components".into() },
            environments: vec![Environment {
                name: EnvironmentName::new("default").unwrap(),
                domain: "localhost".to_owned(),
                services: self.services.iter().map(|draft| Arc::new(draft.service())).collect(),
            }],
            warnings: Vec::new(),
        }
    }
}

impl Draft {
    pub fn deploy(&mut self, name: usize, env: usize) {
        match self.versions.iter_mut().find(|version| version.name == name) {
            Some(version) => version.env = env,
            None => self.versions.push(Declared { name, env, reach: Reach::Live }),
        }
    }

    /// A service must have a version.
    pub fn delete(&mut self, place: usize) {
        if self.versions.len() > 1 {
            self.versions.remove(place % self.versions.len());
        }
    }

    pub fn divide(&mut self, shares: Shares) {
        self.traffic = shares;
    }

    pub fn reach(&mut self, place: usize, reach: Reach) {
        let place = place % self.versions.len();
        self.versions[place].reach = reach;
    }

    pub fn quarantine(&mut self, place: usize, digest: Digest, of_env: bool) {
        let version = self.versions[place % self.versions.len()];
        let entry = Quarantined {
            digest,
            env: of_env.then(|| spec(version).env_digest()),
            version: VersionName::new(NAMES[version.name]).unwrap(),
            remark: None,
        };
        if !self.quarantine.contains(&entry) {
            self.quarantine.push(entry);
        }
    }

    pub fn release(&mut self) {
        self.quarantine.clear();
    }

    pub fn rule(&mut self, rule: usize, to: Option<Shares>, fails: bool) {
        self.rules[rule] = to.map(|to| (to, fails));
    }

    pub fn stick(&mut self, mode: Mode) {
        self.mode = mode;
    }

    pub fn pick(&mut self, in_turns: bool) {
        self.pick = if in_turns { Pick::Smooth } else { Pick::Random };
    }

    fn service(&self) -> Service {
        let rules = self.rules.iter().enumerate();
        Service {
            name: ServiceName::new(self.name).unwrap(),
            domains: vec![format!("{}.localhost", self.name).parse().unwrap()],
            routes: Vec::new(),
            versions: self.versions.iter().copied().map(spec).collect(),
            traffic: match self.traffic {
                Shares::Latest => Traffic::Latest,
                Shares::Offline => Traffic::Split(self.offline()),
                Shares::Split(cuts) => {
                    Traffic::Split(self.split(cuts).unwrap_or_else(|| self.offline()))
                }
            },
            policy: PolicySpec {
                pick: self.pick,
                propagate: false,
                overrides: Some(Overrides {
                    header: true,
                    query: None,
                    cookie: None,
                    preview_domains: false,
                    secret: None,
                }),
                rules: rules.filter_map(|(place, rule)| self.declared_rule(place, *rule)).collect(),
                sticky: self.sticky(),
                reach: self.versions.iter().map(|version| version.reach).collect(),
                ..PolicySpec::default()
            },
            quarantine: self.quarantine.clone(),
            file: format!("/site/services/{}.toml", self.name).into(),
        }
    }

    fn offline(&self) -> Split {
        let none = (0..self.versions.len()).map(|index| (index, Percent::ZERO));
        Split::new(none.collect()).unwrap()
    }

    /// The shares of versions that are open to the public, if there are any.
    fn split(&self, cuts: [u16; 3]) -> Option<Split> {
        let is_open = |(_, version): &(usize, &Declared)| version.reach == Reach::Live;
        let open = self.versions.iter().enumerate().filter(is_open).map(|(index, _)| index);
        let open: Vec<_> = open.take(cuts.len() + 1).collect();
        let mut ends = [&[0, 10_000][..], &cuts[..open.len().checked_sub(1)?]].concat();
        ends.sort_unstable();
        let mut shares = vec![Percent::ZERO; self.versions.len()];
        for (index, ends) in open.iter().zip(ends.windows(2)) {
            shares[*index] = Percent::from_hundredths(ends[1] - ends[0]).unwrap();
        }
        Some(Split::new(shares.into_iter().enumerate().collect()).unwrap())
    }

    fn declared_rule(&self, place: usize, rule: Option<(Shares, bool)>) -> Option<Rule> {
        let (to, fails) = rule?;
        let to = match to {
            Shares::Split(cuts) => Destination::Split(self.split(cuts)?),
            Shares::Latest | Shares::Offline => {
                Destination::Version(place.min(self.versions.len() - 1))
            }
        };
        let glob = Glob::new(&(place + 1).to_string()).unwrap();
        Some(Rule {
            name: RuleName::new(&format!("rule-{}", place + 1)).unwrap(),
            matches: Match { header: vec![("x-rule".to_owned(), glob)], ..Match::default() },
            to,
            otherwise: if fails { Otherwise::Fail } else { Otherwise::Next },
        })
    }

    fn sticky(&self) -> Option<Sticky> {
        let mode = match self.mode {
            Mode::None => return None,
            Mode::Hash => StickyMode::Hash,
            Mode::Pin => StickyMode::Pin { ttl: Duration::from_secs(3600) },
        };
        Some(Sticky { key: StickyKey::Header("x-user".to_owned()), mode })
    }
}

fn spec(version: Declared) -> VersionSpec {
    let name = NAMES[version.name];
    let env = vec![("AGE".to_owned(), EnvValue::Plain(version.env.to_string()))];
    let guest = GuestSpec { env, ..GuestSpec::new(format!("/site/{name}.wasm")) };
    VersionSpec::new(VersionName::new(name).unwrap(), guest)
}
