//! The response to a request, over either protocol.

/// A response, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub status: u16,
    /// In the order of the wire, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// Whether the body ended as its framing says, and not because the connection or stream did.
    pub complete: bool,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A line `name: value` of what the lab's `/headers` reports.
    pub fn reported(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}: ");
        let text = self.text();
        text.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
    }
}

/// Words that would reveal the inside of the process or of the guest.
const INTERNAL: [&str; 9] =
    ["wasm", "backtrace", "unreachable", ".rs", "/home", "/tmp", "lab.", "panicked", "pingora"];

/// Asserts that a response is the problem document of a failure, and reveals nothing internal.
#[track_caller]
pub fn assert_problem(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status, "{code}: {response:?}");
    assert!(response.complete, "{code}: {response:?}");
    assert_eq!(response.header("watershed-error"), Some(code), "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let document = response.json();
    assert_eq!(document["status"], status);
    assert_eq!(document["type"], format!("urn:watershed:error:{code}"));
    for key in ["title", "detail"] {
        assert!(document[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {document}");
    }
    assert_eq!(document["request-id"].as_str(), response.header("x-request-id"), "{document}");
    let shown = format!("{:?} {}", response.headers, response.text()).to_lowercase();
    for word in INTERNAL {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    let retries = matches!(code, "no-version" | "overload" | "unhealthy" | "rate-limit");
    assert_eq!(response.header("retry-after").is_some(), retries, "{response:?}");
}

/// Asserts that a response of the admin listener is the problem document of an error.
#[track_caller]
pub fn assert_admin_problem(response: &Response, status: u16, code: &str) {
    assert_eq!(response.status, status, "{code}: {response:?}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{response:?}");
    let document = response.json();
    assert_eq!((&document["status"], &document["code"]), (&status.into(), &code.into()));
    assert_eq!(document["detail"], document["message"], "{document}");
    for key in ["title", "detail", "help"] {
        let text = document[key].as_str();
        // The message of a malformed part says what to do about it.
        let may_lack = key == "help" && code == "bad-parameter";
        assert!(may_lack || text.is_some_and(|text| !text.is_empty()), "{key}: {document}");
    }
    if status == 401 {
        assert!(response.header("www-authenticate").unwrap().starts_with("Bearer"));
    }
    assert_eq!(response.header("allow").is_some(), status == 405, "{response:?}");
}
