//! Where the admin listener is asked for each document, and the queries that say which part of it is
//! wanted. Both sides write and read them here.

use form_urlencoded::Serializer;
use serde::Deserialize;

/// The status: see [`StatusDocument`](super::StatusDocument).
pub const STATUS: &str = "/api/v1/status";
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

/// Which services the status tells of: all, unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusQuery {
    pub environment: Option<String>,
    pub service: Option<String>,
}

impl StatusQuery {
    /// The path with the query.
    pub fn path(&self) -> String {
        let Self { environment, service } = self;
        with_query(STATUS, |query| {
            put(query, "environment", environment.as_ref());
            put(query, "service", service.as_ref());
        })
    }
}

/// Whose records, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Not needed where only one environment has such a service.
    pub environment: Option<String>,
    pub service: String,
    pub limit: Option<usize>,
    /// Whether the texts of plain environment variables are given, and not digests of them.
    #[serde(default)]
    pub texts: bool,
    /// Whether the service's file is given as it was right last, with all that it has in confidence.
    #[serde(default)]
    pub file: bool,
}

impl HistoryQuery {
    /// The most records that may be asked for: no more are kept.
    pub const LIMIT_MAX: usize = 1_000;

    /// The path with the query.
    pub fn path(&self) -> String {
        let Self { environment, service, limit, texts, file } = self;
        with_query(HISTORY, |query| {
            put(query, "environment", environment.as_ref());
            put(query, "service", Some(service));
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
    /// The first key that is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
            match key.as_str() {
                "environment" => query.environment = Some(value),
                "service" => query.service = Some(value),
                "method" => query.method = Some(value),
                "path" => query.path = Some(value),
                "header" => query.headers.push(value),
                "query" => query.query.push(value),
                "cookie" => query.cookies.push(value),
                "client" => query.client = Some(value),
                _ => return Err(key),
            }
        }
        Ok(query)
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
        let nobody = StatusQuery { service: some(""), ..StatusQuery::default() };
        assert_eq!(nobody.path(), "/api/v1/status?service=");
        let records = HistoryQuery { service: "shop".to_owned(), ..HistoryQuery::default() };
        assert_eq!(records.path(), "/api/v1/history?service=shop");
        let records =
            HistoryQuery { limit: Some(5), texts: true, environment: some("prod"), ..records };
        assert_eq!(
            records.path(),
            "/api/v1/history?environment=prod&service=shop&limit=5&texts=true"
        );
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
        assert_eq!(ExplainQuery::parse("service=shop&x=1").unwrap_err(), "x");
    }
}
