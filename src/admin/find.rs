//! Finds what a query names, or says what there is instead.

use std::path::Path;
use std::sync::Arc;

use super::Admin;
use super::error::AdminError;
use crate::config::{EnvironmentName, ServiceName, suggest};
use crate::source::Rejection;
use crate::versions::{ServiceEntry, ServiceKey, Snapshot};

/// Up to how many services an answer suggests one of them. Comparing names takes time for each.
const COMPARED: usize = 1_000;

/// The services of a name: at most one in each environment, and only that of `environment` if it is given.
///
/// # Errors
///
/// Where there is no such environment, or no such service.
pub fn services<'a>(
    admin: &Admin,
    snapshot: &'a Snapshot,
    environment: Option<&str>,
    name: &str,
) -> Result<Vec<&'a Arc<ServiceEntry>>, AdminError> {
    let within = match environment {
        Some(environment) => vec![self::environment(snapshot, environment)?],
        None => snapshot.environments.iter().map(|it| &it.name).collect(),
    };
    let service = ServiceName::new(name).ok();
    // One service is looked up by name, because a search would visit a hundred thousand.
    let found = service.iter().flat_map(|service| {
        within.iter().filter_map(|environment| {
            let key = ServiceKey { environment: (*environment).clone(), service: service.clone() };
            snapshot.get(&key)
        })
    });
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        false => Ok(found),
        true => Err(unknown(&admin.reloads.rejected(), snapshot, environment, name)),
    }
}

/// The only service of a name.
///
/// # Errors
///
/// Where there is none, or several environments have one.
pub fn service<'a>(
    admin: &Admin,
    snapshot: &'a Snapshot,
    environment: Option<&str>,
    name: &str,
) -> Result<&'a Arc<ServiceEntry>, AdminError> {
    let found = services(admin, snapshot, environment, name)?;
    match found.as_slice() {
        [only] => Ok(*only),
        several => {
            let names: Vec<_> = several.iter().map(|it| it.key.environment.as_str()).collect();
            let environments = suggest::list(&names);
            Err(AdminError::AmbiguousService { name: shortened(name), environments })
        }
    }
}

/// The environment of a name.
///
/// # Errors
///
/// Where there is none.
pub fn environment<'a>(
    snapshot: &'a Snapshot,
    name: &str,
) -> Result<&'a EnvironmentName, AdminError> {
    let found = snapshot.environments.iter().find(|it| it.name.as_str() == name);
    found.map(|it| &it.name).ok_or_else(|| {
        let names = snapshot.environments.iter().map(|it| it.name.as_str()).collect();
        AdminError::UnknownEnvironment { name: shortened(name), help: suggest::among(name, names) }
    })
}

fn unknown(
    rejected: &[Rejection],
    snapshot: &Snapshot,
    environment: Option<&str>,
    name: &str,
) -> AdminError {
    let is_within = |other: &str| environment.is_none_or(|environment| environment == other);
    let is_its_file = |file: &Path| file.file_stem().is_some_and(|stem| stem == name);
    let own = rejected.iter().find(|rejection| {
        is_within(rejection.environment.as_str()) && is_its_file(&rejection.file)
    });
    let problem = own.and_then(|rejection| rejection.report.problems.first());
    if let Some(problem) = problem {
        let problem = Box::new(problem.clone());
        return AdminError::RejectedService { name: shortened(name), problem };
    }
    let help = match snapshot.services.len() {
        ..=COMPARED => {
            let own = snapshot.services.iter().map(|it| &it.key);
            let own = own.filter(|key| is_within(key.environment.as_str()));
            suggest::among(name, own.map(|key| key.service.as_str()).collect())
        }
        count => format!("`/api/v1/status` lists all {count} services"),
    };
    let environment = environment.map(shortened);
    AdminError::UnknownService { name: shortened(name), environment, help }
}

/// As much of a name as an error repeats.
fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}
