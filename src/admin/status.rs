//! The status document: what is served, where each version stands, and what the last reload did.

use std::time::UNIX_EPOCH;

use serde::Serialize;

use crate::config::Problem;
use crate::registry::{ServiceEntry, Snapshot, Status, VersionView};
use crate::reload::{Outcome, Reload};

/// `GET /api/v1/status`.
#[derive(Debug, Serialize)]
pub struct Document {
    generation: u64,
    ready: bool,
    environments: Vec<EnvironmentDocument>,
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
    /// Why what is declared is not what is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<String>,
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

#[derive(Debug, Serialize)]
struct ReloadDocument {
    /// Seconds since 1970.
    at: u64,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    restart_needed_for: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
    /// The problems as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
}

/// The document of a snapshot and the last reload; services are reached at `port`.
pub fn document(snapshot: &Snapshot, last: Option<&Reload>, port: u16) -> Document {
    let mut environments: Vec<EnvironmentDocument> = Vec::new();
    for service in &snapshot.services {
        let name = service.key.environment.as_str();
        let document = service_document(service, port);
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
        last_reload: last.map(reload_document),
    }
}

fn service_document(service: &ServiceEntry, port: u16) -> ServiceDocument {
    ServiceDocument {
        name: service.key.service.to_string(),
        url: service.url(port),
        domains: service.domains.iter().map(ToString::to_string).collect(),
        held: service.held.clone(),
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

fn reload_document(reload: &Reload) -> ReloadDocument {
    let at = reload.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let outcome = reload.outcome.word();
    let mut document = ReloadDocument {
        at,
        outcome,
        restart_needed_for: Vec::new(),
        problems: Vec::new(),
        report: None,
    };
    match &reload.outcome {
        Outcome::Published | Outcome::Unchanged => {}
        Outcome::NeedsRestart(keys) => document.restart_needed_for = keys.clone(),
        Outcome::Rejected(report) => {
            document.problems = report.problems.clone();
            document.report = Some(report.to_string());
        }
    }
    document
}
