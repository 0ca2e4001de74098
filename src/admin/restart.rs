//! `/api/v1/restart`: begins a restart, and says how it stands. The process answers until its successor serves; from
//! then on, the successor does, at the same socket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};

use super::Admin;
use super::body::Expected;
use super::error::AdminError;
use super::routes::no_parameters;
use crate::api::{RestartDocument, RestartFailure, RestartRequest};
use crate::restart::{PATIENCE, Phase, RestartState, Wanted};

/// The longest request, in bytes.
const LONGEST: usize = 1 << 10;
/// The longest time that a new process may be silent, in seconds.
const TIMEOUT_MAX: u64 = 3_600;

fn expected() -> Expected {
    Expected {
        longest: LONGEST,
        too_long: "send `timeout_seconds` alone".to_owned(),
        help: "send no body, or a JSON object with `timeout_seconds`, from 1 to 3600",
    }
}

/// How a restart stands.
pub async fn show(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Json<RestartDocument>, AdminError> {
    no_parameters(query)?;
    Ok(Json(document(&admin)))
}

/// Begins a restart. Answers before it is over.
pub async fn begin(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    let asked: Option<RestartRequest> = expected().read(request).await?;
    let timeout = asked.unwrap_or_default().timeout_seconds;
    let patience = match timeout {
        None => PATIENCE,
        Some(seconds @ 1..=TIMEOUT_MAX) => Duration::from_secs(seconds),
        Some(other) => {
            let reason = format!("`timeout_seconds` is {other}");
            return Err(expected().malformed(reason));
        }
    };
    admin.restarts.begin(Wanted { patience })?;
    tracing::info!("restarting, as the admin listener was asked");
    Ok((StatusCode::ACCEPTED, Json(document(&admin))).into_response())
}

fn document(admin: &Admin) -> RestartDocument {
    let RestartState { number, phase, moved_to, failure, predecessor, serves: _ } =
        admin.restarts.state();
    let (prepared, versions) = match phase {
        Phase::Preparing { done, all, .. } => (Some(done), Some(all)),
        _ => (None, None),
    };
    RestartDocument {
        pid: std::process::id(),
        phase: phase.word().to_owned(),
        // It has a number as soon as it is started.
        successor: phase.successor().filter(|pid| *pid > 0),
        moved_to: moved_to.map(|address| address.to_string()),
        prepared,
        versions,
        restart: number,
        failure: failure.map(|failure| RestartFailure {
            restart: failure.number,
            message: failure.why.to_string(),
        }),
        predecessor,
        generation: admin.live.load().generation,
    }
}
