//! Which paths the admin listener has, what each takes, and what answers. `guard` is in front of all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use super::access::Access;
use super::error::AdminError;
use super::{
    Admin, check, console, description, events, explain, find, guard, history, login, metrics,
    openapi, probes, reload, restart, series, services, status, write,
};
use crate::api::{
    self, ConfigQuery, ExplainQuery, HistoryQuery, Parameters, QueryError, SeriesQuery, StatusQuery,
};

/// What a path that is read takes, and what a path that is posted to takes.
const READ: &str = "GET, HEAD, OPTIONS";
const POSTED: &str = "POST, OPTIONS";
const OF_RESTART: &str = "GET, HEAD, POST, OPTIONS";
const OF_SESSION: &str = "GET, HEAD, POST, DELETE, OPTIONS";

/// Every path, and its methods.
pub const PATHS: &[(&str, &str)] = &[
    ("/livez", READ),
    ("/readyz", READ),
    ("/metrics", READ),
    (api::STATUS, READ),
    (api::SERVICES, READ),
    (api::SERIES, READ),
    (api::EVENTS, READ),
    (api::CONFIG, READ),
    (api::EXPLAIN, READ),
    (api::HISTORY, READ),
    (api::RELOAD, POSTED),
    (api::RESTART, OF_RESTART),
    (api::CHECK, POSTED),
    (api::TRAFFIC, POSTED),
    (api::PROMOTE, POSTED),
    (api::ROLLBACK, POSTED),
    (api::DELETE, POSTED),
    (api::RELEASE, POSTED),
    (api::SESSION, OF_SESSION),
    (api::DEPLOY, POSTED),
    (api::OPERATIONS, READ),
    (api::OPERATION, READ),
    (api::COMPONENTS, POSTED),
    (api::OPENAPI, READ),
    (console::ROOT, READ),
];

/// The paths, as a person is told of them.
pub fn list() -> String {
    let shown = PATHS.iter().map(|(path, methods)| match *methods {
        POSTED => format!("POST {path}"),
        _ => (*path).to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

pub fn routes(admin: Admin) -> Router {
    let names = guard::Names(admin.started_with.admin.hosts.clone().into());
    let (token, draining) = (admin.token.clone(), admin.drain.flag());
    let guard = guard::Guard { names, token, draining, restarts: admin.restarts.clone() };
    let answers = Router::new()
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics::show))
        .route(api::STATUS, get(show_status))
        .route(api::SERVICES, get(show_services))
        .route(api::SERIES, get(show_series))
        .route(api::EVENTS, get(events::stream))
        .route(api::CONFIG, get(show_config))
        .route(api::EXPLAIN, get(show_explanation))
        .route(api::HISTORY, get(show_history))
        .route(api::RELOAD, post(reload::reload))
        .route(api::RESTART, get(restart::show).post(restart::begin))
        .route(api::CHECK, post(check::show))
        .route(api::TRAFFIC, post(write::change::<api::TrafficRequest>))
        .route(api::PROMOTE, post(write::change::<api::PromoteRequest>))
        .route(api::ROLLBACK, post(write::change::<api::RollbackRequest>))
        .route(api::DELETE, post(write::change::<api::DeleteRequest>))
        .route(api::RELEASE, post(write::change::<api::ReleaseRequest>))
        .route(api::SESSION, get(login::show).post(login::begin).delete(login::end))
        .route(api::DEPLOY, post(write::deploy))
        .route(api::OPERATIONS, get(write::list))
        .route(api::OPERATION, get(write::show))
        .route(api::COMPONENTS, post(write::upload))
        .route(api::OPENAPI, get(openapi::show))
        .merge(console::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .with_state(Arc::new(admin));
    // Around all of it: a router would add to a refusal which methods the path takes.
    Router::new()
        .fallback_service(answers)
        .layer(from_fn_with_state(guard, guard::guard))
        .layer(from_fn(survive))
}

/// The methods of a path; `None` where there is no such path.
fn allowed(path: &str) -> Option<&'static str> {
    let known = PATHS.iter().find(|(known, _)| is(known, path));
    // `/` is no path of its own, but the way to the console for those who type an address.
    let is_of_console = path != "/" && console::has(path);
    known.map(|(_, allow)| *allow).or_else(|| is_of_console.then_some(READ))
}

/// Answers where no handler does: OPTIONS of a path, a method that the path does not take, and other paths.
async fn no_route(request: Request) -> Response {
    if let Some(redirect) = console::from_the_root(&request) {
        return redirect;
    }
    let path = request.uri().path();
    let Some(allow) = allowed(path) else {
        return AdminError::UnknownPath(path.chars().take(100).collect()).into_response();
    };
    match request.method() {
        &Method::OPTIONS => {
            let allow = [(ALLOW, HeaderValue::from_static(allow))];
            (StatusCode::NO_CONTENT, allow).into_response()
        }
        method => {
            let (method, path) = (method.clone(), path.to_owned());
            AdminError::MethodNotAllowed { method, path, allow }.into_response()
        }
    }
}

/// Whether a path is one of those that `known` stands for, which may have names in braces.
fn is(known: &str, path: &str) -> bool {
    let same = |(known, part): (&str, &str)| match known.starts_with('{') {
        true => !part.is_empty(),
        false => known == part,
    };
    known.split('/').count() == path.split('/').count()
        && known.split('/').zip(path.split('/')).all(same)
}

/// Answers 500 where a handler panics. The log has the panic.
async fn survive(request: Request, next: Next) -> Response {
    let mut answer = pin!(next.run(request));
    std::future::poll_fn(|context| {
        // Nothing of the request is used again, and what handlers share is behind atomics and locks.
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let why = "a handler panicked".to_owned();
            Poll::Ready(AdminError::Internal(why).into_response())
        })
    })
    .await
}

async fn show_status(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let query = StatusQuery::parse(&query.unwrap_or_default())?;
    // Whether copies of components are still there is looked up on a disk, which may not answer.
    let document = tokio::task::spawn_blocking(move || status::document(&admin, &query)).await;
    let document = document.unwrap_or_else(|failed| Err(AdminError::Internal(failed.to_string())));
    Ok(Json(document?).into_response())
}

/// The last hour of a service's versions.
async fn show_series(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let query = SeriesQuery::parse(&query.unwrap_or_default())?;
    Ok(Json(series::document(&admin, &query)?).into_response())
}

/// All services in short.
async fn show_services(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    no_parameters(query)?;
    // With thousands of services, it takes longer than others should wait for this thread.
    let document = tokio::task::spawn_blocking(move || services::document(&admin)).await;
    let document = document.map_err(|failed| AdminError::Internal(failed.to_string()))?;
    Ok(Json(document).into_response())
}

/// What is declared and served, so that a client can compare it with files.
async fn show_config(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let ConfigQuery { environment, service } = ConfigQuery::parse(&query.unwrap_or_default())?;
    let snapshot = admin.live.load();
    let query = StatusQuery { environment, service, process_alone: false };
    let services = status::wanted(&admin, &snapshot, &query)?;
    let served = description::described(&snapshot, &services, &admin.root, &admin.started_with);
    Ok(Json(served).into_response())
}

/// Says which version a described request would get, and why.
async fn show_explanation(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let query = ExplainQuery::parse(&query.unwrap_or_default())?;
    Ok(Json(explain::explanation(&admin, &query)?).into_response())
}

async fn show_history(
    State(admin): State<Arc<Admin>>,
    Extension(access): Extension<Access>,
    RawQuery(query): RawQuery,
) -> Result<Response, AdminError> {
    let query = HistoryQuery::parse(&query.unwrap_or_default())?;
    if query.texts || query.file {
        access.of_operator()?;
    }
    let within = query.environment.clone().filter(|_| query.service.is_none());
    let declared = admin.live.load().environments.iter().map(|it| it.name.clone()).collect();
    let document = history::records(admin.reloads.history(), query, declared).await?;
    // An environment that is gone may have records, and one that never was has none.
    if let Some(within) = within.filter(|_| document.records.is_empty()) {
        find::environment(&admin.live.load(), &within)?;
    }
    Ok(Json(document).into_response())
}

/// Refuses parameters where there are none: an ignored one would mislead.
pub fn no_parameters(query: Option<String>) -> Result<(), QueryError> {
    Parameters::read(&query.unwrap_or_default(), &[]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use axum::body::{Body, to_bytes};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;

    async fn ask(routes: Router, path: &str) -> Response {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        TowerToHyperService::new(routes).call(request).await.unwrap()
    }

    /// At once, and after it has waited for something.
    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for() {
        let routes = Router::new()
            .route("/at-once", get(async || -> &'static str { panic!("at once") }))
            .route(
                "/later",
                get(async || -> &'static str {
                    tokio::task::yield_now().await;
                    poll_fn(|_| -> Poll<&'static str> { panic!("later") }).await
                }),
            )
            .layer(from_fn(survive));
        for path in ["/at-once", "/later"] {
            let answer = ask(routes.clone(), path).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
            let problem: api::ProblemDocument = serde_json::from_slice(&body).unwrap();
            assert_eq!((problem.status, problem.error.code.as_str()), (500, "internal"));
        }
    }

    #[test]
    fn a_path_with_names_stands_for_all_of_them() {
        assert!(is(api::TRAFFIC, "/api/v1/services/prod/shop-1/traffic"));
        for other in [
            "prod/shop",
            "prod/shop/traffic/",
            "prod//traffic",
            "prod/shop/promote",
            "a/b/c/traffic",
        ] {
            assert!(!is(api::TRAFFIC, &format!("/api/v1/services/{other}")), "{other}");
        }
        assert!(is(api::STATUS, api::STATUS) && !is(api::STATUS, &format!("{}/", api::STATUS)));
    }

    #[test]
    fn every_path_is_listed() {
        let list = list();
        assert!(list.starts_with("/livez, ") && list.ends_with("/console/"), "{list}");
    }
}
