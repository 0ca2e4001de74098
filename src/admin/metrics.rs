//! `GET /metrics`: what is counted, for Prometheus.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::error::AdminError;
use super::{Admin, status};

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Takes any query, as scrapers add their own.
pub async fn show(State(admin): State<Arc<Admin>>) -> Result<Response, AdminError> {
    let seen = admin.descriptors.look();
    let open = seen.open.unwrap_or_default();
    admin.telemetry.descriptors((open, seen.limit), (seen.clients, seen.clients_max));
    let shares = status::shares(&admin.live.load(), Instant::now());
    let text = admin.telemetry.render(admin.live.generations(), &shares);
    let text = text.map_err(|error| AdminError::Internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
