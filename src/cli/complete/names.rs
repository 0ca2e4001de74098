//! The names that there are: in the files, as far as they are right, and in the process that serves them.

use std::path::Path;

use super::Offer;
use super::line::Line;
use crate::api::{
    EnvironmentDocument, HistoryDocument, HistoryQuery, Record, ServiceDocument, StatusDocument,
    StatusQuery,
};
use crate::cli::process::Process;
use crate::config::{Config, Service};
use crate::history::History;
use crate::source::{Loaded, Loader, Reading};

/// How many generations are offered.
const GENERATIONS: usize = 20;

pub(super) struct Names {
    pub line: Line,
    config: Option<Config>,
    /// The names of files that are wrong: services, most likely.
    wrong: Vec<String>,
}

impl Names {
    pub fn of(line: Line) -> Self {
        let (config, wrong) = match Loader::new(&line.config()).load(Reading::Everything) {
            Ok(Loaded { config, rejected, .. }) => {
                let stems = rejected.iter().filter_map(|rejection| rejection.file.file_stem());
                let wrong = stems.map(|stem| stem.to_string_lossy().into_owned()).collect();
                (Some(std::sync::Arc::unwrap_or_clone(config)), wrong)
            }
            Err(rejected) => (rejected.rest.map(|rest| *rest), Vec::new()),
        };
        Self { line, config, wrong }
    }

    pub fn environments(&self) -> Vec<String> {
        let declared = self.config.iter().flat_map(|config| &config.environments);
        let names: Vec<_> = declared.map(|environment| environment.name.to_string()).collect();
        let served = || self.status().into_iter().map(|environment| environment.name);
        sorted(if names.is_empty() { served().collect() } else { names })
    }

    pub fn services(&self) -> Vec<String> {
        let declared = self.declared().map(|(_, service)| service.name.to_string());
        let names: Vec<_> = declared.chain(self.wrong.iter().cloned()).collect();
        let served = || self.served().into_iter().map(|(_, service)| service.name);
        sorted(if names.is_empty() { served().collect() } else { names })
    }

    /// The versions of the services that the line names.
    pub fn versions(&self) -> Vec<String> {
        let named = self.declared().filter(|(_, service)| self.line.names(service.name.as_str()));
        let names: Vec<_> = named
            .flat_map(|(_, service)| service.versions.iter().map(|spec| spec.name.to_string()))
            .collect();
        let served = || {
            let served = self.served().into_iter();
            let named = served.filter(|(_, service)| self.line.names(&service.name));
            named.flat_map(|(_, service)| service.versions).map(|version| version.name)
        };
        sorted(if names.is_empty() { served().collect() } else { names })
    }

    /// The generations of the service that the line names, the newest first, each with what it served.
    pub fn generations(&self) -> Vec<Offer> {
        let declared = self.declared();
        let declared = declared.map(|(name, service)| (name.to_owned(), service.name.to_string()));
        let mut known: Vec<_> = declared.filter(|(_, name)| self.line.names(name)).collect();
        if known.is_empty() {
            let served = self.served().into_iter().map(|(name, service)| (name, service.name));
            known = served.filter(|(_, name)| self.line.names(name)).collect();
        }
        let records =
            known.first().and_then(|(environment, service)| self.records(environment, service));
        records.unwrap_or_default().iter().map(generation).collect()
    }

    /// The address of the admin listener, as the files have it.
    pub fn admin(&self) -> Option<String> {
        let config = self.config.as_ref()?;
        Process::new(None, None, &config.admin).ok().map(|process| process.url().to_owned())
    }

    fn declared(&self) -> impl Iterator<Item = (&str, &Service)> {
        let wanted = self.line.value("--environment");
        let environments = self.config.iter().flat_map(|config| &config.environments);
        environments
            .filter(move |environment| {
                wanted.is_none_or(|wanted| environment.name.as_str() == wanted)
            })
            .flat_map(|it| it.services.iter().map(|service| (it.name.as_str(), &**service)))
    }

    /// The services that the process serves, each with its environment.
    fn served(&self) -> Vec<(String, ServiceDocument)> {
        let wanted = self.line.value("--environment");
        let environments = self.status().into_iter();
        environments
            .filter(|environment| wanted.is_none_or(|wanted| environment.name == wanted))
            .flat_map(|it| it.services.into_iter().map(move |service| (it.name.clone(), service)))
            .collect()
    }

    fn status(&self) -> Vec<EnvironmentDocument> {
        let status = self.process().map(|it| it.get(&StatusQuery::default().path()));
        status.and_then(Result::ok).map_or(Vec::new(), |status: StatusDocument| status.environments)
    }

    fn process(&self) -> Option<Process> {
        let settings = self.config.as_ref().map(|config| config.admin.clone()).unwrap_or_default();
        let token_file = self.line.value("--token-file").map(Path::new);
        Process::new(self.line.value("--admin"), token_file, &settings).ok()
    }

    /// The newest records of a service. Where no process runs, its history is a file.
    fn records(&self, environment: &str, service: &str) -> Option<Vec<Record>> {
        let query = HistoryQuery {
            environment: Some(environment.to_owned()),
            service: Some(service.to_owned()),
            limit: Some(GENERATIONS),
            ..HistoryQuery::default()
        };
        match self.process()?.get::<HistoryDocument>(&query.path()) {
            Ok(history) => Some(history.records),
            Err(error) if error.is_not_running() => {
                let state: &Path = &self.config.as_ref()?.state.directory;
                History::read(state).ok()??.of(environment, service, GENERATIONS).ok()
            }
            Err(_) => None,
        }
    }
}

fn generation(record: &Record) -> Offer {
    let shares: Vec<_> =
        record.after.iter().map(|share| format!("{} {} %", share.version, share.share)).collect();
    let meaning = if shares.is_empty() { "nothing".to_owned() } else { shares.join(", ") };
    (record.generation.to_string(), Some(meaning))
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}
