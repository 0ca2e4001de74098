//! `GET /api/v1/explain`: which version a request would get, and why, by what is served now.

use super::error::AdminError;
use super::{Admin, find};
use crate::api::{ExplainQuery, Explanation, QueryError};
use crate::policy::explain::Question;

/// Explains the request that a query describes.
pub fn explanation(admin: &Admin, query: &ExplainQuery) -> Result<Explanation, AdminError> {
    let question = Question::new(query)?;
    let name = query.service.as_deref().ok_or(QueryError::Missing { name: "service" })?;
    let snapshot = admin.live.load();
    let service = find::service(admin, &snapshot, query.environment.as_deref(), name)?;
    let question = question.behind(&snapshot.server.trusted_proxies);
    Ok(service.explain(&question, snapshot.generation))
}
