//! Where the admin listener is asked for each document, and the queries that say which part of it is
//! wanted. Both sides write and read them here.

use form_urlencoded::Serializer;

use super::moment;
use super::query::{Parameters, QueryError, malformed};

/// The status: see [`StatusDocument`](super::StatusDocument).
pub const STATUS: &str = "/api/v1/status";
/// The services in short: see [`ServicesDocument`](super::ServicesDocument).
pub const SERVICES: &str = "/api/v1/services";
/// The last hour of a service's versions: see [`SeriesDocument`](super::SeriesDocument).
pub const SERIES: &str = "/api/v1/series";
/// A stream of events: see [`ChangeEvent`](super::ChangeEvent).
pub const EVENTS: &str = "/api/v1/events";
/// The description: see [`Description`](super::Description).
pub const CONFIG: &str = "/api/v1/config";
/// What a request would get: see [`Explanation`](super::Explanation).
pub const EXPLAIN: &str = "/api/v1/explain";
/// What was published of a service: see [`HistoryDocument`](super::HistoryDocument).
pub const HISTORY: &str = "/api/v1/history";
/// Posted to, says whether another text for a file would be right: see
/// [`CheckQuestion`](super::CheckQuestion).
pub const CHECK: &str = "/api/v1/check";
/// Posted to, has the files read again: see [`ReloadDocument`](super::ReloadDocument).
pub const RELOAD: &str = "/api/v1/reload";
/// How a restart stands; posted to, begins one: see [`RestartDocument`](super::RestartDocument).
pub const RESTART: &str = "/api/v1/restart";

/// Posted to, gives versions their shares: see [`TrafficRequest`](super::TrafficRequest).
pub const TRAFFIC: &str = "/api/v1/services/{environment}/{service}/traffic";
/// Posted to, gives everything to a version: see [`PromoteRequest`](super::PromoteRequest).
pub const PROMOTE: &str = "/api/v1/services/{environment}/{service}/promote";
/// Posted to, goes back: see [`RollbackRequest`](super::RollbackRequest).
pub const ROLLBACK: &str = "/api/v1/services/{environment}/{service}/rollback";
/// Posted to, removes versions: see [`DeleteRequest`](super::DeleteRequest).
pub const DELETE: &str = "/api/v1/services/{environment}/{service}/delete";
/// Posted to, lifts a quarantine: see [`ReleaseRequest`](super::ReleaseRequest).
pub const RELEASE: &str = "/api/v1/services/{environment}/{service}/release";
/// Who asks; posted to, begins a session: see [`SessionDocument`](super::SessionDocument).
pub const SESSION: &str = "/api/v1/session";

/// Posted to, deploys a version: see [`DeployRequest`](super::DeployRequest).
pub const DEPLOY: &str = "/api/v1/services/{environment}/{service}/versions";
/// The last operations: see [`OperationsDocument`](super::OperationsDocument).
pub const OPERATIONS: &str = "/api/v1/operations";
/// One of them: see [`OperationDocument`](super::OperationDocument).
pub const OPERATION: &str = "/api/v1/operations/{id}";
/// Takes a component: see [`UploadDocument`](super::UploadDocument).
pub const COMPONENTS: &str = "/api/v1/components";

/// The description of all of these paths, in OpenAPI.
pub const OPENAPI: &str = "/api/v1/openapi.json";

/// What a switch may be.
const TRUTH: &str = "`true` or `false`";

/// The parameters that describe a request, after those that name its service.
const EXPLAINED: &[&str] =
    &["environment", "service", "method", "path", "header", "query", "cookie", "client"];

/// Which services the status tells of: all, unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusQuery {
    pub environment: Option<String>,
    pub service: Option<String>,
    /// Whether the process alone is asked for, without any service.
    pub process_alone: bool,
}

impl StatusQuery {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where a parameter is unknown, repeated or malformed.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut query = Parameters::read(text, &["environment", "service", "services"])?;
        let services = query.value("services", TRUTH)?.unwrap_or(true);
        let (environment, service) = (query.name("environment")?, query.name("service")?);
        Ok(Self { environment, service, process_alone: !services })
    }

    /// The path with the query.
    pub fn path(&self) -> String {
        let Self { environment, service, process_alone } = self;
        with_query(STATUS, |query| {
            put(query, "environment", environment.as_ref());
            put(query, "service", service.as_ref());
            put(query, "services", process_alone.then(|| "false".to_owned()).as_ref());
        })
    }
}

/// Of which service the last hour is told, and in which steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Not needed where only one environment has such a service.
    pub environment: Option<String>,
    pub service: Option<String>,
    /// Seconds: 1 or 10.
    pub step: Option<u32>,
    /// Only steps that end later, in milliseconds since 1970.
    pub since: Option<u64>,
}

impl SeriesQuery {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where a parameter is unknown, repeated or malformed.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut query = Parameters::read(text, &["environment", "service", "step", "since"])?;
        let step = query.value("step", "1 or 10")?;
        if let Some(step) = step.filter(|step| ![1, 10].contains(step)) {
            return Err(malformed("step", &step.to_string(), "1 or 10"));
        }
        let since: Option<moment::Stamp> = query.value("since", moment::EXPECTED)?;
        Ok(Self {
            environment: query.name("environment")?,
            service: query.name("service")?,
            step,
            since: since.map(|moment::Stamp(since)| since),
        })
    }
}

/// Which services are described: all, unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigQuery {
    pub environment: Option<String>,
    pub service: Option<String>,
}

impl ConfigQuery {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where a parameter is unknown, repeated or malformed.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut query = Parameters::read(text, &["environment", "service"])?;
        Ok(Self { environment: query.name("environment")?, service: query.name("service")? })
    }

    /// The path with the query.
    pub fn path(&self) -> String {
        let Self { environment, service } = self;
        with_query(CONFIG, |query| {
            put(query, "environment", environment.as_ref());
            put(query, "service", service.as_ref());
        })
    }
}

/// What a probe of readiness waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadinessQuery {
    /// The lowest generation that has to be served.
    pub generation: Option<u64>,
}

impl ReadinessQuery {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where a parameter is unknown, repeated or malformed.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut query = Parameters::read(text, &["generation"])?;
        Ok(Self { generation: query.value("generation", "the number of a generation")? })
    }
}

/// Whose records, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Not needed where only one environment has such a service.
    pub environment: Option<String>,
    /// None where the records of all services are meant.
    pub service: Option<String>,
    pub limit: Option<usize>,
    /// Whether the texts of plain environment variables are given, and not digests of them.
    pub texts: bool,
    /// Whether the service's file is given as it was right last, with all that it has in confidence.
    pub file: bool,
}

impl HistoryQuery {
    /// The most records that may be asked for: no more are kept.
    pub const LIMIT_MAX: usize = 1_000;

    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where a parameter is unknown, repeated or malformed, or the service is missing.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let known = &["environment", "service", "all", "limit", "texts", "file"];
        let mut query = Parameters::read(text, known)?;
        let expected = format!("a number between 1 and {}", Self::LIMIT_MAX);
        let limit = query.value("limit", &expected)?;
        if let Some(limit) = limit.filter(|limit| !(1..=Self::LIMIT_MAX).contains(limit)) {
            return Err(malformed("limit", &limit.to_string(), &expected));
        }
        let (service, all) = (query.name("service")?, query.value("all", TRUTH)?.unwrap_or(false));
        match (&service, all) {
            (None, false) => return Err(QueryError::Missing { name: "service" }),
            (Some(_), true) => return Err(malformed("all", "true", "for a query with `service`")),
            _ => {}
        }
        Ok(Self {
            environment: query.name("environment")?,
            service,
            limit,
            texts: query.value("texts", TRUTH)?.unwrap_or(false),
            file: query.value("file", TRUTH)?.unwrap_or(false),
        })
    }

    /// The path with the query.
    pub fn path(&self) -> String {
        let Self { environment, service, limit, texts, file } = self;
        with_query(HISTORY, |query| {
            put(query, "environment", environment.as_ref());
            put(query, "service", service.as_ref());
            put(query, "all", service.is_none().then(|| "true".to_owned()).as_ref());
            put(query, "limit", limit.map(|limit| limit.to_string()).as_ref());
            // A process that is older than this command refuses a key that it does not know.
            put(query, "texts", texts.then(|| "true".to_owned()).as_ref());
            put(query, "file", file.then(|| "true".to_owned()).as_ref());
        })
    }
}

/// A request that nobody sends, and the service that it would go to. Each part is as a user writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainQuery {
    /// Not needed where only one environment has such a service.
    pub environment: Option<String>,
    pub service: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    /// `name:value` each.
    pub headers: Vec<String>,
    /// `name=value` each, not encoded; a name alone has an empty value.
    pub query: Vec<String>,
    /// `name=value` each.
    pub cookies: Vec<String>,
    pub client: Option<String>,
}

impl ExplainQuery {
    /// Reads a query string.
    ///
    /// # Errors
    ///
    /// Where a parameter is unknown, or is repeated and may not be.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut query = Parameters::read(text, EXPLAINED)?;
        Ok(Self {
            environment: query.name("environment")?,
            service: query.name("service")?,
            method: query.text("method")?,
            path: query.text("path")?,
            headers: query.all("header"),
            query: query.all("query"),
            cookies: query.all("cookie"),
            client: query.text("client")?,
        })
    }

    /// The path with the query.
    pub fn path(&self) -> String {
        let Self { environment, service, method, path, headers, query, cookies, client } = self;
        with_query(EXPLAIN, |text| {
            put(text, "environment", environment.as_ref());
            put(text, "service", service.as_ref());
            put(text, "method", method.as_ref());
            put(text, "path", path.as_ref());
            put(text, "client", client.as_ref());
            put(text, "header", headers);
            put(text, "query", query);
            put(text, "cookie", cookies);
        })
    }
}

fn put<'a>(
    query: &mut Serializer<'_, String>,
    key: &str,
    values: impl IntoIterator<Item = &'a String>,
) {
    query.extend_pairs(values.into_iter().map(|value| (key, value)));
}

fn with_query(path: &str, write: impl FnOnce(&mut Serializer<'_, String>)) -> String {
    let mut query = Serializer::new(String::new());
    write(&mut query);
    match query.finish() {
        nothing if nothing.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_path_says_what_is_wanted_and_no_more() {
        assert_eq!(StatusQuery::default().path(), "/api/v1/status");
        assert_eq!(ConfigQuery::default().path(), "/api/v1/config");
        let one = ConfigQuery { environment: some("prod"), service: some("shop") };
        assert_eq!(ConfigQuery::parse("environment=prod&service=shop").unwrap(), one);
        assert_eq!(one.path(), "/api/v1/config?environment=prod&service=shop");
        let alone = StatusQuery { process_alone: true, ..StatusQuery::default() };
        assert_eq!(alone.path(), "/api/v1/status?services=false");
        assert_eq!(StatusQuery::parse("services=false").unwrap(), alone);
        let records = HistoryQuery { service: some("shop"), ..HistoryQuery::default() };
        assert_eq!(records.path(), "/api/v1/history?service=shop");
        let records =
            HistoryQuery { limit: Some(5), texts: true, environment: some("prod"), ..records };
        assert_eq!(
            records.path(),
            "/api/v1/history?environment=prod&service=shop&limit=5&texts=true"
        );
        let text = "environment=prod&service=shop&limit=5&texts=true";
        assert_eq!(HistoryQuery::parse(text).unwrap(), records);
    }

    #[test]
    fn what_is_not_in_its_bounds_is_refused() {
        for limit in ["0", "1001", "-1", "many", ""] {
            let error = HistoryQuery::parse(&format!("service=shop&limit={limit}")).unwrap_err();
            assert!(error.to_string().contains("between 1 and 1000"), "{limit}: {error}");
        }
        let all = HistoryQuery::parse("all=true").unwrap();
        assert_eq!(
            (all.path().as_str(), all),
            ("/api/v1/history?all=true", HistoryQuery::default())
        );
        assert!(HistoryQuery::parse("all=true&service=shop").is_err());
        let missing = HistoryQuery::parse("limit=1").unwrap_err();
        assert_eq!(missing, QueryError::Missing { name: "service" });
        assert!(ReadinessQuery::parse("generation=3x").is_err());
        assert!(StatusQuery::parse("services=no").is_err());
    }

    #[test]
    fn a_request_to_explain_comes_back_as_it_was_written() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let query = ExplainQuery {
            environment: some("prod"),
            service: some("shop"),
            method: some("POST"),
            path: some("/a?b=1"),
            headers: texts(&["x-user: ann&co", "host:v2--shop.test"]),
            query: texts(&["lane=a b&c", "flag"]),
            cookies: texts(&["c=1"]),
            client: some("10.1.2.3"),
        };
        let path = query.path();
        let text = path.strip_prefix("/api/v1/explain?").unwrap();
        assert_eq!(ExplainQuery::parse(text).unwrap(), query);
        let unknown = ExplainQuery::parse("service=shop&x=1").unwrap_err();
        assert!(matches!(&unknown, QueryError::Unknown { name, .. } if name == "x"), "{unknown}");
    }
}
