//! From what the files say to what they mean. Every check that needs a place in a file is here or
//! in a room below; each reports what is wrong, carries on with a default, and leaves it to `load`
//! to refuse the whole if anything was reported. This room reads the main file, `service` a
//! service's file.

mod claims;
mod field;
mod limits;
mod service;

use std::collections::HashSet;
use std::iter;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

pub use self::field::EMPTY_MAIN;

use self::claims::Claims;
use self::service::Surroundings;
use super::discover::{self, Found};
use super::document::{self, Document};
use super::model::{
    AdminSettings, Config, Environment, EnvironmentName, Limits, ServerSettings, StateSettings,
};
use super::raw::{
    Field, Located, RawAdmin, RawDefaults, RawEnvironment, RawServer, RawState, RawWatershed, Table,
};
use super::report::Problem;
use super::source::{Complaint, Findings};

/// Checks the main file, then reads and checks the services' files that it leads to. The result
/// counts only if no problem was added.
pub fn config(document: Document<RawWatershed>, problems: &mut Vec<Problem>) -> Config {
    let Document { source, raw, lost } = document;
    let RawWatershed { server, admin, state, defaults, environments } = raw;
    let mut main = Findings { source: &source, lost: &lost, problems };
    let server =
        server.map_or_else(ServerSettings::default, |Table(raw)| self::server(&mut main, raw));
    let admin = admin
        .map_or_else(AdminSettings::default, |Table(raw)| self::admin(&mut main, raw, &server));
    let state = self::state(&mut main, state);
    let limits = self::defaults(&mut main, defaults);
    let plans = plans(&mut main, environments);
    let gathered = gather(plans, &limits, problems);
    Config {
        server,
        admin,
        state,
        watch: unique(iter::once(source.directory().to_owned()).chain(gathered.watch)),
        environments: gathered.environments,
    }
}

fn server(main: &mut Findings<'_>, raw: RawServer) -> ServerSettings {
    let RawServer { listen, threads, sandboxes, grace_period, expose, watch } = raw;
    let default = ServerSettings::default();
    let threads = main.whole("threads", threads, &ServerSettings::THREADS);
    let sandboxes = main.count("sandboxes", sandboxes, &ServerSettings::SANDBOXES);
    let grace = ServerSettings::GRACE_PERIOD;
    ServerSettings {
        listen: listen.map_or(default.listen, |raw| self::listen(main, raw)),
        threads: threads.and_then(|count| usize::try_from(count).ok()).unwrap_or(default.threads),
        sandboxes: sandboxes.unwrap_or(default.sandboxes),
        grace_period: main
            .duration("grace-period", grace_period, &grace)
            .unwrap_or(default.grace_period),
        expose: main.text(expose, field::expose).unwrap_or(default.expose),
        watch: main.text(watch, field::watch).unwrap_or(default.watch),
    }
}

fn listen(main: &mut Findings<'_>, raw: Located<Vec<Located<String>>>) -> Vec<SocketAddr> {
    let (span, items) = raw.into_parts();
    if items.is_empty() && !main.has_lost_any(&span) {
        let help = "give at least one, such as `listen = [\"127.0.0.1:8080\"]`, or leave it out";
        main.add(span, Complaint::new("`listen` has no address", help));
    }
    let mut seen = HashSet::new();
    let mut addresses = Vec::new();
    for item in items {
        let (span, text) = item.into_parts();
        let Some(address) = main.check(span.clone(), field::address(&text)) else {
            continue;
        };
        // Port 0 is another free port each time.
        if address.port() != 0 && !seen.insert(address) {
            let message = format!("`listen` has {address} twice");
            main.add(span, Complaint::new(message, "remove one of them"));
        }
        addresses.push(address);
    }
    addresses
}

fn admin(main: &mut Findings<'_>, raw: RawAdmin, server: &ServerSettings) -> AdminSettings {
    let RawAdmin { listen, token_file } = raw;
    let default = AdminSettings::default();
    let has_token = token_file.is_some();
    let token_file = main.path("token-file", token_file);
    let Some(listen) = listen else {
        return AdminSettings { token_file, ..default };
    };
    let (span, text) = listen.into_parts();
    let listen = main.check(span.clone(), field::address(&text));
    let listen = listen.unwrap_or(default.listen);
    if !listen.ip().is_loopback() && !has_token {
        let message = format!("anybody who reaches {listen} could see what is served, and how");
        let help = "set `token-file`, or listen on a loopback address such as 127.0.0.1";
        main.add(span.clone(), Complaint::new(message, help));
    }
    if listen.port() != 0 && server.listen.contains(&listen) {
        let message = format!("{listen} is also in `listen` of `server`");
        main.add(span, Complaint::new(message, "give each a port of its own"));
    }
    AdminSettings { listen, token_file }
}

fn state(main: &mut Findings<'_>, raw: Option<Table<RawState>>) -> StateSettings {
    let directory = raw.and_then(|Table(RawState { directory })| main.path("directory", directory));
    let default = || main.resolve(StateSettings::DIRECTORY);
    StateSettings { directory: directory.unwrap_or_else(default) }
}

fn defaults(main: &mut Findings<'_>, raw: Option<Table<RawDefaults>>) -> Limits {
    let limits = raw.and_then(|Table(RawDefaults { limits })| limits);
    limits::over(main, limits, &Limits::default())
}

/// An environment whose services are still to be read.
struct Plan {
    name: EnvironmentName,
    domain: String,
    found: Found,
}

fn plans(main: &mut Findings<'_>, raw: Option<Vec<Located<Table<RawEnvironment>>>>) -> Vec<Plan> {
    match raw {
        Some(raw) => {
            let (mut names, mut domains) = (Claims::default(), Claims::default());
            let each = |raw| plan(main, raw, &mut names, &mut domains);
            raw.into_iter().filter_map(each).collect()
        }
        None if main.has_lost(None, "environments") => Vec::new(),
        None => default_plan(main).into_iter().collect(),
    }
}

fn default_plan(main: &mut Findings<'_>) -> Option<Plan> {
    let found = discover::services(main.source.directory(), Environment::SERVICES);
    let found = found.map_err(|error| main.add_to_file(field::no_default_services(&error)));
    Some(Plan {
        name: EnvironmentName::default(),
        domain: Environment::DOMAIN.to_owned(),
        found: found.ok()?,
    })
}

fn plan(
    main: &mut Findings<'_>,
    raw: Located<Table<RawEnvironment>>,
    names: &mut Claims,
    domains: &mut Claims,
) -> Option<Plan> {
    let (table, Table(raw)) = raw.into_parts();
    let RawEnvironment { name, domain, services } = raw;
    let name = main.required(&table, "name", name).and_then(|(span, text)| {
        let name = main.check(span.clone(), field::environment_name(&text))?;
        names.take(main, span, name.as_str(), "the name of an environment");
        Some(name)
    });
    let domain = main.required(&table, "domain", domain).and_then(|(span, text)| {
        let domain = main.check(span.clone(), field::domain(&text))?;
        domains.take(main, span, &domain, "the domain of an environment");
        Some(domain)
    });
    // A wrong environment's services are checked all the same, under a domain that nobody else has.
    let substitute = || format!("line-{}.invalid", main.source.line_of(table.start));
    let domain = domain.unwrap_or_else(substitute);
    Some(Plan { name: name.unwrap_or_default(), domain, found: found(main, &table, services)? })
}

fn found(main: &mut Findings<'_>, table: &Range<usize>, services: Field<String>) -> Option<Found> {
    let default = || (table.clone(), Environment::SERVICES.to_owned());
    let (span, pattern) = services.map_or_else(default, Located::into_parts);
    let found = discover::services(main.source.directory(), &pattern);
    main.check(span, found.map_err(|error| field::no_services(&error)))
}

/// What the services' files add to the configuration.
#[derive(Default)]
struct Gathered {
    environments: Vec<Environment>,
    watch: Vec<PathBuf>,
}

fn gather(plans: Vec<Plan>, limits: &Limits, problems: &mut Vec<Problem>) -> Gathered {
    let mut gathered = Gathered::default();
    let mut domains = Claims::default();
    for Plan { name, domain, found } in plans {
        let mut surroundings = Surroundings {
            domain: &domain,
            limits,
            names: Claims::default(),
            domains: &mut domains,
        };
        let read = |file: &PathBuf| {
            let document = document::read(file, field::EMPTY_SERVICE, problems)?;
            service::service(document, &mut surroundings, problems)
        };
        let services = found.files.iter().filter_map(read).collect();
        gathered.environments.push(Environment { name, domain, services });
        gathered.watch.extend(found.directories);
    }
    gathered
}

fn unique(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    paths.filter(|path| seen.insert(path.clone())).collect()
}
