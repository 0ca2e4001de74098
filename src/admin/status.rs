//! The status document: what is served, where each version stands, and what the last reload did.

use std::time::UNIX_EPOCH;

use serde::Serialize;

use crate::config::{Problem, Rejection, Report};
use crate::registry::{ServiceEntry, Snapshot, Status, VersionView};
use crate::reload::{Outcome, Reload};

/// `GET /api/v1/status`.
#[derive(Debug, Serialize)]
pub struct Document {
    generation: u64,
    ready: bool,
    environments: Vec<EnvironmentDocument>,
    /// Services' files that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectionDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload: Option<ReloadDocument>,
}

#[derive(Debug, Serialize)]
struct EnvironmentDocument {
    name: String,
    services: Vec<ServiceDocument>,
}

#[derive(Debug, Serialize)]
struct ServiceDocument {
    name: String,
    url: String,
    domains: Vec<String>,
    file: String,
    /// The generation in which it changed last.
    since_generation: u64,
    /// Why what is declared is not what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    /// Why the file as it is now is not what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<ReportDocument>,
    versions: Vec<VersionDocument>,
}

#[derive(Debug, Serialize)]
struct VersionDocument {
    name: String,
    status: &'static str,
    /// Percent of the traffic now.
    share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorDocument>,
}

/// Why a version is `error`.
#[derive(Debug, Serialize)]
struct ErrorDocument {
    code: &'static str,
    detail: String,
    suggestion: &'static str,
}

/// What is wrong with files.
#[derive(Debug, Serialize)]
struct ReportDocument {
    problems: Vec<Problem>,
    /// The problems as text.
    report: String,
}

/// A service's file that is wrong.
#[derive(Debug, Serialize)]
struct RejectionDocument {
    environment: String,
    file: String,
    /// The service that goes on as it was; none if it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    serves: Option<String>,
    #[serde(flatten)]
    report: ReportDocument,
}

/// What a load did: the last one in the status, or the answer to `POST /api/v1/reload`.
#[derive(Debug, Serialize)]
pub struct ReloadDocument {
    /// Seconds since 1970.
    at: u64,
    outcome: &'static str,
    /// What is served after it.
    generation: u64,
    /// How many services' files were read.
    files_read: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restart_needed_for: Vec<&'static str>,
    #[serde(flatten)]
    report: Option<ReportDocument>,
}

impl From<&Report> for ReportDocument {
    fn from(report: &Report) -> Self {
        Self { problems: report.problems.clone(), report: report.to_string() }
    }
}

impl RejectionDocument {
    fn of(rejection: &Rejection) -> Self {
        let Rejection { environment, serves, file, report } = rejection;
        Self {
            environment: environment.to_string(),
            file: file.display().to_string(),
            serves: serves.as_ref().map(ToString::to_string),
            report: report.into(),
        }
    }
}

impl ReloadDocument {
    /// The document of a load.
    pub fn of(reload: &Reload) -> Self {
        let Reload { at, outcome, generation, read, report } = reload;
        Self {
            at: at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            outcome: outcome.word(),
            generation: *generation,
            files_read: *read,
            restart_needed_for: match outcome {
                Outcome::NeedsRestart(keys) => keys.clone(),
                Outcome::Published | Outcome::Unchanged | Outcome::Rejected => Vec::new(),
            },
            report: report.as_ref().map(ReportDocument::from),
        }
    }
}

/// The document of a snapshot, the files that are wrong and the last reload; services are reached
/// at `port`.
pub fn document(
    snapshot: &Snapshot,
    last: Option<&Reload>,
    rejected: &[Rejection],
    port: u16,
) -> Document {
    let mut environments: Vec<EnvironmentDocument> = Vec::new();
    for service in &snapshot.services {
        let name = service.key.environment.as_str();
        let own = rejected.iter().find(|rejection| {
            rejection.environment == service.key.environment
                && rejection.serves.as_ref() == Some(&service.key.service)
        });
        let document = service_document(service, own, port);
        match environments.last_mut().filter(|environment| environment.name == name) {
            Some(environment) => environment.services.push(document),
            None => environments
                .push(EnvironmentDocument { name: name.to_owned(), services: vec![document] }),
        }
    }
    Document {
        generation: snapshot.generation,
        ready: snapshot.is_ready(),
        environments,
        rejected: rejected.iter().map(RejectionDocument::of).collect(),
        last_reload: last.map(ReloadDocument::of),
    }
}

fn service_document(
    service: &ServiceEntry,
    rejected: Option<&Rejection>,
    port: u16,
) -> ServiceDocument {
    let declared = &service.declared;
    ServiceDocument {
        name: service.key.service.to_string(),
        url: service.url(port),
        domains: declared.domains.iter().map(ToString::to_string).collect(),
        file: declared.file.display().to_string(),
        since_generation: service.since,
        held: service.held.clone(),
        rejected: rejected.map(|rejection| (&rejection.report).into()),
        versions: service.versions.iter().map(version_document).collect(),
    }
}

fn version_document(version: &VersionView) -> VersionDocument {
    let digest = match &version.status {
        Status::Normal(entry) => Some(entry.digest().to_string()),
        Status::Creating | Status::Error(_) => None,
    };
    let error = version.status.error().map(|error| ErrorDocument {
        code: error.code.as_str(),
        detail: error.detail.clone(),
        suggestion: error.suggestion,
    });
    VersionDocument {
        name: version.name.to_string(),
        status: version.status.word(),
        share: f64::from(version.share.hundredths()) / 100.0,
        digest,
        remark: version.remark.clone(),
        error,
    }
}
