//! What the targets share: [`Bed`] holds the two files of a configuration, and [`Bed::check`] loads them and asserts
//! what must hold for every outcome, whatever the files say.

#[path = "../../src"]
mod rooms {
    pub mod chunked;
    pub mod code;
    pub mod config;
    pub mod edit;
    pub mod plural;
    pub mod routing;
    pub mod secret;
    pub mod source;
    pub mod transient;
    pub mod transport {
        pub mod head;
        pub mod target;
    }
}

pub use rooms::{
    chunked, code, config, edit, plural, routing, secret, source, transient, transport,
};

use std::fs;
use std::path::{Path, PathBuf};

use config::{
    Config, CookieSettings, Destination, EnvironmentName, Match, Overrides, PolicySpec, Problem,
    RateLimit, Reach, Report, Route, RuleName, SameSite, Service, ServiceName, Split, Sticky,
    StickyKey, StickyMode, Traffic, VersionName, Warnings,
};
use source::Rejected;

/// The main file under which services are fuzzed.
pub const WATERSHED: &str = include_str!("../../config/watershed.toml");

/// The service beside which main files are fuzzed.
pub const SERVICE: &str = include_str!("../../config/services/greeter.toml");

/// A directory for one configuration, under `TMPDIR`. `fuzz/run` clears it, because libFuzzer ends the process before
/// this code could.
pub struct Bed {
    directory: tempfile::TempDir,
    main: PathBuf,
    service: PathBuf,
}

impl Bed {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path().canonicalize().expect("its path");
        fs::create_dir_all(root.join("config/services")).expect("its directories");
        Self {
            main: root.join("config/watershed.toml"),
            service: root.join("config/services/fuzzed.toml"),
            directory,
        }
    }

    /// Loads the two files and asserts what must hold of the outcome.
    pub fn check(&self, main: &[u8], service: &[u8]) {
        if leaves(main, self.directory.path()) {
            return;
        }
        fs::write(&self.main, main).expect("the main file is written");
        fs::write(&self.service, service).expect("the service's file is written");
        let first = source::inspect(&self.main);
        let second = source::load(&self.main);
        match (first, second) {
            (Ok(config), Ok(again)) => {
                assert_eq!(config, again, "loaded twice, it differs");
                accepted(&config);
            }
            (Err(Rejected { report, .. }), Err(again)) => {
                assert_eq!(report, again, "loaded twice, the report differs");
                rejected(&report);
            }
            (first, second) => panic!("once {first:?}, once {second:?}"),
        }
    }
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a main file names paths outside its directory. What is found there differs from machine to machine, so
/// nothing is asserted.
fn leaves(main: &[u8], directory: &Path) -> bool {
    let main = main.strip_prefix("\u{feff}".as_bytes()).unwrap_or(main);
    let Ok(text) = str::from_utf8(main) else {
        return false;
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        return false;
    };
    let environments = table.get("environments").and_then(toml::Value::as_array);
    let globs = environments.into_iter().flatten().filter_map(|each| each.get("services"));
    globs.filter_map(toml::Value::as_str).any(|glob| {
        let glob = Path::new(glob);
        !glob.starts_with(directory) && (glob.has_root() || glob.iter().any(|part| part == ".."))
    })
}

fn accepted(config: &Config) {
    assert!(!config.server.listen.is_empty());
    for environment in &config.environments {
        assert!(EnvironmentName::new(environment.name.as_str()).is_ok());
        assert_eq!(config::domain(&environment.domain).as_deref(), Ok(&*environment.domain));
        environment.services.iter().for_each(|service| accepted_service(service));
    }
    config.warnings.iter().for_each(problem);
    let text = Warnings(&config.warnings).to_string();
    assert!(text.matches("warning: ").count() >= config.warnings.len(), "{text}");
}

fn accepted_service(service: &Service) {
    assert!(ServiceName::new(service.name.as_str()).is_ok());
    for domain in &service.domains {
        assert_eq!(domain.to_string().parse().as_ref(), Ok(domain));
    }
    let names: Vec<&str> = service.versions.iter().map(|version| version.name.as_str()).collect();
    for (index, version) in service.versions.iter().enumerate() {
        assert!(VersionName::new(version.name.as_str()).is_ok());
        assert!(
            !names[..index].contains(&version.name.as_str()),
            "two are called {}",
            version.name
        );
        assert!(version.files().all(|file| file.is_absolute()));
    }
    for Route { domain, path } in &service.routes {
        assert_eq!(domain.to_string().parse().as_ref(), Ok(domain));
        assert!(path == Route::WHOLE || (path.starts_with('/') && !path.ends_with('/')), "{path}");
    }
    if let Traffic::Split(split) = &service.traffic {
        accepted_split(split, names.len());
        for (version, share) in split.shares() {
            let is_live = service.policy.reach_of(*version) == Reach::Live;
            assert!(is_live || share.hundredths() == 0, "a share of what is not live");
        }
    }
    accepted_policy(&service.policy, names.len());
}

fn accepted_split(split: &Split, versions: usize) {
    let shares = split.shares();
    assert!(shares.iter().all(|(index, _)| *index < versions));
    let sum: u32 = shares.iter().map(|(_, share)| u32::from(share.hundredths())).sum();
    assert!(sum == 0 || sum == 10_000, "the shares add up to {sum}");
    assert_eq!(split.is_offline(), sum == 0);
}

fn accepted_policy(policy: &PolicySpec, versions: usize) {
    let PolicySpec {
        pick: _,
        propagate: _,
        overrides,
        rules,
        sticky,
        reach,
        rescue: _,
        when_unhealthy: _,
        rate_limit,
    } = policy;
    assert_eq!(reach.len(), versions);
    for (index, rule) in rules.iter().enumerate() {
        assert!(RuleName::new(rule.name.as_str()).is_ok());
        assert!(rules[..index].iter().all(|earlier| earlier.name != rule.name));
        match &rule.to {
            Destination::Version(version) => assert!(*version < versions),
            Destination::Split(split) => {
                accepted_split(split, versions);
                assert!(!split.is_offline());
            }
        }
        accepted_match(&rule.matches);
    }
    if let Some(Sticky { key, mode }) = sticky {
        if let StickyMode::Pin { ttl } = mode {
            assert!(Sticky::TTL.contains(ttl));
        }
        if let StickyKey::Generated(CookieSettings { ttl, secure, same_site, .. }) = key {
            assert!(CookieSettings::TTL.contains(ttl));
            assert!(*secure || *same_site != SameSite::None);
        }
    }
    if let Some(Overrides { header, query, cookie, preview_domains, secret: _ }) = overrides {
        assert!(*header || *preview_domains || query.is_some() || cookie.is_some());
    }
    if let Some(RateLimit { key: _, rate, burst: _ }) = rate_limit {
        assert_eq!(rate.to_string().parse(), Ok(*rate));
    }
    assert!(policy.file().is_none_or(Path::is_absolute));
}

fn accepted_match(matches: &Match) {
    let Match { path, method, header, query, cookie, client } = matches;
    assert!(path.as_ref().is_none_or(|glob| glob.as_str().starts_with(['/', '*'])));
    assert!(method.as_ref().is_none_or(|method| !method.is_empty()));
    for conditions in [header, query, cookie] {
        assert!(conditions.is_sorted_by(|(one, _), (other, _)| one < other));
        assert!(conditions.iter().all(|(name, _)| !name.is_empty()));
    }
    assert!(header.iter().all(|(name, _)| *name == name.to_ascii_lowercase()));
    assert!(client.is_none_or(|network| network.trunc() == network));
}

fn rejected(report: &Report) {
    assert!(!report.problems.is_empty(), "rejected for no reason");
    let text = report.to_string();
    assert!(text.matches("--> ").count() >= report.problems.len(), "{text}");
    let json = serde_json::to_value(report).expect("a report is JSON");
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(report.problems.len()));
    report.problems.iter().for_each(problem);
}

/// The place of a problem must exist in the file.
fn problem(problem: &Problem) {
    assert!(!problem.message.is_empty() && !problem.help.is_empty(), "{problem:?}");
    assert!(problem.file.is_absolute(), "{problem:?}");
    let Some(column) = problem.column else {
        assert_eq!((problem.width, &problem.source), (None, &None), "{problem:?}");
        return;
    };
    let bytes = fs::read(&problem.file).expect("the file that is named");
    let text = String::from_utf8(bytes).expect("a file with columns is UTF-8");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let line = problem.line.expect("a column is in a line");
    let mut lines =
        text.split_inclusive('\n').chain((text.is_empty() || text.ends_with('\n')).then_some(""));
    let line = lines.nth(line - 1).expect("the line is in the file");
    let line = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    assert!(problem.source.as_deref().is_none_or(|source| source == line), "{problem:?}");
    let (length, width) = (line.chars().count(), problem.width.expect("a column has a width"));
    // Where something is missing, the place is behind the last character.
    assert!(column >= 1 && width >= 1 && column + width - 1 <= length.max(column), "{problem:?}");
    assert!(column <= length + 1, "{problem:?}");
}
