//! The answers of the admin listener of the process under test.

use serde_json::Value;
use watershed::history::Record;

use super::eventually;
use super::http1::Http1;
use super::response::Response;
use super::watershed::Watershed;

impl Watershed {
    /// `GET` at the admin listener.
    pub fn admin(&self, path: &str) -> Response {
        Http1::connect(self.admin_address()).get("localhost", path)
    }

    /// `POST` at the admin listener.
    pub fn admin_post(&self, path: &str) -> Response {
        Http1::connect(self.admin_address()).ask("POST", "localhost", path, &[], b"")
    }

    /// The same with a JSON body.
    pub fn admin_post_json(&self, path: &str, body: &Value) -> Response {
        let body = body.to_string();
        Http1::connect(self.admin_address()).ask("POST", "localhost", path, &[], body.as_bytes())
    }

    /// The records of a service, the newest first; empty if it has none.
    #[track_caller]
    pub fn history(&self, service: &str) -> Vec<Record> {
        let answer = self.admin(&format!("/api/v1/history?service={service}&limit=1000"));
        match answer.status {
            404 => Vec::new(),
            200 => serde_json::from_value(answer.json()["records"].take()).unwrap(),
            _ => panic!("{answer:?}"),
        }
    }

    pub fn status(&self) -> Value {
        self.admin("/api/v1/status").json()
    }

    pub fn generation(&self) -> u64 {
        self.status()["generation"].as_u64().unwrap()
    }

    /// A service of the status.
    #[track_caller]
    pub fn service(&self, name: &str) -> Value {
        let status = self.status();
        let services = status["environments"][0]["services"].as_array();
        let found = services.and_then(|services| services.iter().find(|it| it["name"] == name));
        found.cloned().unwrap_or_else(|| panic!("no service {name}: {status:#}"))
    }

    /// A version of the status.
    #[track_caller]
    pub fn version(&self, service: &str, name: &str) -> Value {
        let service = self.service(service);
        let versions = service["versions"].as_array();
        let found = versions.and_then(|versions| versions.iter().find(|it| it["name"] == name));
        found.cloned().unwrap_or_else(|| panic!("no version {name}: {service:#}"))
    }

    /// The sum of a metric's samples that have all of these labels.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.admin("/metrics").text();
        let samples = text.lines().filter_map(|line| sample(line, name, labels));
        samples.sum()
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub fn await_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name}{labels:?} = {value}"), || {
            // Counts are whole numbers, far below where they would be rounded.
            (self.metric(name, labels) - value).abs() < 0.5
        });
    }

    /// Waits until this many requests have ended with an outcome: a status class or a failure's code.
    #[track_caller]
    pub fn await_outcomes(&self, outcome: &str, count: u32) {
        self.await_metric("watershed_requests_total", &[("outcome", outcome)], count.into());
    }
}

/// The value of a line of metrics, if the line is a sample of this name with these labels.
fn sample(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (shown, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ")?,
        None => ("", rest.strip_prefix(' ')?),
    };
    let has = |(label, value): &(&str, &str)| shown.contains(&format!("{label}=\"{value}\""));
    labels.iter().all(has).then(|| value.parse().ok())?
}
