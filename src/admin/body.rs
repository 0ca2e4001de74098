//! The body of a request to the admin listener, read within bounds of length and time.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::AdminError;

/// How long a body may take to come.
const TIME: Duration = Duration::from_secs(10);

/// What a path takes as its body.
pub struct Expected {
    /// In bytes.
    pub longest: usize,
    /// What to do where it is longer.
    pub too_long: String,
    /// What to send.
    pub help: &'static str,
}

impl Expected {
    /// Reads a JSON document; `None` where the body is empty.
    pub async fn read<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<Option<T>, AdminError> {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() {
            return Ok(None);
        }
        is_json(&parts.headers)?;
        // By `content-length`. Whoever waits for `100 Continue` is told before the body is sent.
        if usize::try_from(body.size_hint().lower()).map_or(true, |least| least > self.longest) {
            return Err(self.too_long());
        }
        let body = self.bytes(body).await?;
        if body.trim_ascii().is_empty() {
            return Ok(None);
        }
        if !body.trim_ascii_start().starts_with(b"{") {
            // What the parser says of an array names types of this program.
            return Err(self.malformed("it is no JSON object"));
        }
        serde_json::from_slice(&body).map(Some).map_err(|error| self.malformed(error))
    }

    /// The error for a body that is not as it should be.
    pub fn malformed(&self, reason: impl ToString) -> AdminError {
        AdminError::BodyMalformed { reason: reason.to_string(), help: self.help }
    }

    async fn bytes(&self, body: Body) -> Result<Bytes, AdminError> {
        match timeout(TIME, to_bytes(body, self.longest)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => {
                let cause = error.source().filter(|cause| cause.is::<LengthLimitError>());
                Err(match cause {
                    Some(_) => self.too_long(),
                    None => AdminError::BodyIncomplete(error.to_string()),
                })
            }
            Err(_) => Err(AdminError::BodyLate),
        }
    }

    fn too_long(&self) -> AdminError {
        AdminError::BodyTooLong { longest: self.longest, help: self.too_long.clone() }
    }
}

/// Whether a body is said to be JSON, or nothing is said of it.
fn is_json(headers: &HeaderMap) -> Result<(), AdminError> {
    let Some(sent) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let sent = String::from_utf8_lossy(sent.as_bytes());
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(()),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => Err(AdminError::UnsupportedMediaType {
            sent: sent.chars().take(100).collect(),
            wanted: "JSON",
            send: "send it as `content-type: application/json`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_known_by_any_of_its_names() {
        let is_json = |sent: &str| {
            let value = HeaderValue::from_str(sent).unwrap();
            is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value)])).is_ok()
        };
        for sent in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"]
        {
            assert!(is_json(sent), "{sent}");
        }
        for sent in ["application/x-www-form-urlencoded", "text/plain", "", "text/json+x"] {
            assert!(!is_json(sent), "{sent}");
        }
        assert!(super::is_json(&HeaderMap::new()).is_ok());
    }
}
