//! From what one file says to what it means. Every check that needs a place in a file is here or in a room below. Each
//! check reports what is wrong and carries on with a default; `source` refuses the file if anything was reported. This
//! file checks the main file (`doors` its `[server]` and `[admin]`), `service` a service's file.

mod backend;
pub mod claims;
mod doors;
mod env;
mod field;
mod host;
mod limits;
mod matches;
mod outbound;
mod overrides;
mod policy;
mod quantity;
mod quarantine;
mod rate_limit;
mod request;
mod rescue;
mod routes;
mod rules;
pub mod service;
mod split;
mod sticky;
mod suspect;
mod unreachable;
mod upstream;

use std::path::PathBuf;

pub use self::field::{EMPTY_MAIN, EMPTY_SERVICE, LABEL_HELP};
pub use self::suspect::elsewhere;
pub use self::upstream::{parse_target, suspicion};

use self::claims::{Claims, NameKind};
use super::document::Document;
use super::model::{
    AdminSettings, AllLimits, ComponentSettings, Environment, EnvironmentName, ServerSettings,
    StateSettings,
};
use super::raw::{Located, RawComponents, RawDefaults, RawEnvironment, RawState, RawWatershed};
use super::report::Problem;
use super::source::{Findings, Spot};

/// What the main file says by itself.
#[derive(Clone, Debug)]
pub struct Main {
    pub server: ServerSettings,
    pub admin: AdminSettings,
    pub state: StateSettings,
    pub components: ComponentSettings,
    /// Limits of versions that set none.
    pub limits: AllLimits,
    pub plans: Vec<Plan>,
    /// Warnings: what is right and yet can hardly be meant.
    pub warnings: Vec<Problem>,
    /// Where the file is.
    pub directory: PathBuf,
}

/// An environment whose services are still to be found and read.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: EnvironmentName,
    pub domain: String,
    /// What `services` says: a path or a glob, relative to the main file.
    pub pattern: String,
    /// Where the main file declares it; `None` where the main file has no environments, and the defaults hold.
    pub spot: Option<Spot>,
}

/// Checks the main file. The result counts only if no problem was added.
pub fn main(document: Document<RawWatershed>, problems: &mut Vec<Problem>) -> Main {
    let Document { source, raw, lost } = document;
    let RawWatershed { server, admin, state, components, defaults, environments } = raw;
    let mut main = Findings { source: &source, lost: &lost, problems, warnings: Vec::new() };
    let (server, admin) = doors::doors(&mut main, server, admin);
    Main {
        server,
        admin,
        state: self::state(&mut main, state),
        components: self::components(&mut main, components),
        limits: self::defaults(&mut main, defaults),
        plans: plans(&mut main, environments),
        warnings: main.take_warnings(),
        directory: source.directory().to_owned(),
    }
}

fn state(main: &mut Findings<'_>, raw: Option<RawState>) -> StateSettings {
    let directory = raw.and_then(|RawState { directory }| main.path("directory", directory));
    let default = || main.resolve(StateSettings::DIRECTORY);
    StateSettings { directory: directory.unwrap_or_else(default) }
}

fn components(main: &mut Findings<'_>, raw: Option<RawComponents>) -> ComponentSettings {
    let directory = raw.and_then(|RawComponents { directory }| main.path("directory", directory));
    let default = || main.resolve(ComponentSettings::DIRECTORY);
    ComponentSettings { directory: directory.unwrap_or_else(default) }
}

fn defaults(main: &mut Findings<'_>, raw: Option<RawDefaults>) -> AllLimits {
    let limits = raw.and_then(|RawDefaults { limits }| limits);
    limits::over(main, limits, &AllLimits::default())
}

fn plans(main: &mut Findings<'_>, raw: Option<Vec<Located<RawEnvironment>>>) -> Vec<Plan> {
    match raw {
        Some(raw) => {
            let (mut names, mut domains) = (Claims::default(), Claims::default());
            raw.into_iter().map(|raw| plan(main, raw, &mut names, &mut domains)).collect()
        }
        None if main.has_lost(None, "environments") => Vec::new(),
        None => vec![default_plan()],
    }
}

fn default_plan() -> Plan {
    Plan {
        name: EnvironmentName::default(),
        domain: Environment::DOMAIN.to_owned(),
        pattern: Environment::SERVICES.to_owned(),
        spot: None,
    }
}

fn plan(
    main: &mut Findings<'_>,
    raw: Located<RawEnvironment>,
    names: &mut Claims,
    domains: &mut Claims,
) -> Plan {
    let (table, raw) = raw.into_parts();
    let RawEnvironment { name, domain, services } = raw;
    let name = main.required(&table, "name", name).and_then(|(span, text)| {
        let name = main.check(span.clone(), field::environment_name(&text))?;
        names.take(main, span, name.as_str(), NameKind::Environment);
        Some(name)
    });
    let domain = main.required(&table, "domain", domain).and_then(|(span, text)| {
        let domain = main.check(span.clone(), host::domain(&text))?;
        domains.take(main, span, &domain, NameKind::EnvironmentDomain);
        Some(domain)
    });
    // The services of a wrong environment are checked nevertheless, under a name of our own.
    let line = main.source.line_of(table.start);
    let name = name.or_else(|| EnvironmentName::new(&format!("line-{line}")).ok());
    let domain = domain.unwrap_or_else(|| format!("line-{line}.invalid"));
    let default = || (table.clone(), Environment::SERVICES.to_owned());
    let (span, pattern) = services.map_or_else(default, Located::into_parts);
    let spot = Some(main.source.spot(span));
    Plan { name: name.unwrap_or_default(), domain, pattern, spot }
}
