//! `POST /api/v1/reload`: has the files read again at once.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Json, Response};

use super::body::Expected;
use super::error::AdminError;
use super::routes::no_parameters;
use super::{Admin, find, status};
use crate::api::{Attribution, ReloadDocument};
use crate::config::{Digest, EnvironmentName, ServiceName};
use crate::history::History;

/// The longest attribution of a change, in bytes. The history keeps it as long as the change.
const LONGEST: usize = 64 << 10;

fn expected() -> Expected {
    Expected {
        longest: LONGEST,
        too_long: "shorten `remark`".to_owned(),
        help: "send no body, or a JSON object that says who has changed what: `environment`, \
               `service`, `user`, `command` and `file_digest`",
    }
}

/// Every file is read, or only changed ones where the body says who has changed what. 422 where something is wrong with
/// the files.
pub async fn reload(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let attribution: Option<Attribution> = expected().read(request).await?;
    if let Some(attribution) = &attribution {
        check(attribution)?;
    }
    admin.look_at_token().await;
    let was_known = attribution.as_ref().is_some_and(|it| admin.knows(it));
    let reload = match attribution.clone() {
        None => admin.reloads.request().await,
        Some(attribution) => admin.reloads.request_by(attribution).await,
    };
    let reload = reload.ok_or(AdminError::Ending)?;
    // A command may have created or removed the service's file.
    if let Some(told) = attribution.filter(|told| !was_known && !admin.knows(told)) {
        let snapshot = admin.live.load();
        let environment = Some(told.environment.as_str());
        let served = find::services(&admin, &snapshot, environment, &told.service).map(|_| ());
        if let Err(unknown) = served
            && !was_served(admin.reloads.history(), told).await
        {
            return Err(unknown);
        }
    }
    let (listener, now) = (admin.reloads.listener(), SystemTime::now());
    let held = listener.certificates.iter().filter_map(|state| state.held_back(now));
    let document = ReloadDocument { warnings: held.collect(), ..status::reload_document(&reload) };
    Ok(match &reload.report {
        None => Json(document).into_response(),
        Some(report) => AdminError::files_wrong(&report.problems).with(&document),
    })
}

impl Admin {
    /// Whether the service of an edit is served, or a file that may be the service's is wrong.
    fn knows(&self, Attribution { environment, service, .. }: &Attribution) -> bool {
        let is_its_file = |file: &Path| file.file_stem().is_some_and(|stem| *stem == **service);
        let (rejected, snapshot) = (self.reloads.rejected(), self.live.load());
        rejected.iter().any(|rejection| is_its_file(&rejection.file))
            || find::services(self, &snapshot, Some(environment), service).is_ok()
    }
}

/// Whether the history has the service of an edit, or there is none that could say.
async fn was_served(history: Result<History, String>, told: Attribution) -> bool {
    let Ok(history) = history else { return true };
    let look = move || history.of(&told.environment, &told.service, 1);
    let found = tokio::task::spawn_blocking(look).await;
    !matches!(found, Ok(Ok(records)) if records.is_empty())
}

/// Whether each part of an attribution can be one.
fn check(attribution: &Attribution) -> Result<(), AdminError> {
    let Attribution { environment, service, user, command, file_digest, .. } = attribution;
    let wrong = |name: &str, error: &dyn std::fmt::Display| {
        expected().malformed(format!("`{name}`: {error}"))
    };
    EnvironmentName::new(environment).map_err(|error| wrong("environment", &error))?;
    ServiceName::new(service).map_err(|error| wrong("service", &error))?;
    file_digest.parse::<Digest>().map_err(|error| wrong("file_digest", &error))?;
    for (name, text) in [("user", user), ("command", command)] {
        if text.trim().is_empty() {
            return Err(wrong(name, &"it is empty"));
        }
    }
    Ok(())
}
