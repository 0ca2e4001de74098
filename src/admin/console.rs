//! The console: a web application whose built files are part of the program, and so always of the same version as the
//! API that they ask. `console/` has the sources, and `console/dist/` what is built from them.
//!
//! The files say nothing about what is served, so a browser needs no token to load them: the console asks for it.

mod encoding;

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use encoding::{contains, is_gzip_accepted};

/// The page itself. All other files are below it.
pub const ROOT: &str = "/console/";

/// The same as people type it.
pub const BARE: &str = "/console";

/// A built file.
struct File {
    /// Below [`ROOT`].
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! file {
    ($name:literal, $file:literal, $media_type:literal) => {
        File {
            name: $name,
            media_type: $media_type,
            content: include_bytes!(concat!("../../console/dist/", $file)),
        }
    };
}

const FILES: [File; 4] = [
    file!("", "index.html", "text/html; charset=utf-8"),
    file!("console.js", "console.js", "text/javascript; charset=utf-8"),
    file!("console.css", "console.css", "text/css; charset=utf-8"),
    file!("icon.svg", "icon.svg", "image/svg+xml"),
];

/// What a browser may do with the files: nothing but load each other and ask this listener. A name of a service that
/// reached the page as markup would still run no script and send nothing elsewhere.
const POLICY: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // A browser asks whether a file has changed each time, so that no page asks a newer process than its own.
    (CACHE_CONTROL, "no-cache"),
];

/// The paths of the files.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut routes = Router::new().route(BARE, get(async || redirect()));
    for file in FILES {
        let path = format!("{ROOT}{}", file.name);
        let sent = Arc::new(Sent::new(file));
        let answer = move |headers: HeaderMap| async move { sent.answer(&headers).await };
        routes = routes.route(&path, get(answer));
    }
    routes
}

/// Whether a path is one of the console's own, or the way to it.
pub fn has(path: &str) -> bool {
    let is_file = |name: &str| FILES.iter().any(|file| file.name == name);
    path == "/" || path == BARE || path.strip_prefix(ROOT).is_some_and(is_file)
}

/// The way to the console, for a browser at `/`. Any other client is told of the paths that there are.
pub fn from_the_root(request: &Request) -> Option<Response> {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let is_browser = contains(request.headers(), &ACCEPT, "text/html");
    match request.uri().path() {
        "/" if is_read && is_browser => Some(redirect()),
        _ => None,
    }
}

fn redirect() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, ROOT)]).into_response()
}

/// A file as clients get it.
struct Sent {
    file: File,
    /// Of the plain content. RFC 9110, section 8.8.3.3: the compressed content has another one.
    tag: String,
    compressed: OnceCell<Bytes>,
}

impl Sent {
    fn new(file: File) -> Self {
        let digest = Sha256::digest(file.content);
        let tag = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { file, tag, compressed: OnceCell::new() }
    }

    async fn answer(&self, asked: &HeaderMap) -> Response {
        let compressed = match is_gzip_accepted(asked) {
            true => self.compressed().await,
            false => None,
        };
        let suffix = if compressed.is_some() { "-gzip" } else { "" };
        let tag = format!("\"{}{suffix}\"", self.tag);
        let is_known = [tag.as_str(), "*"].iter().any(|tag| contains(asked, &IF_NONE_MATCH, tag));
        let mut response = match (is_known, compressed) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, Some(compressed)) => {
                ([(CONTENT_ENCODING, "gzip")], compressed.clone()).into_response()
            }
            (false, None) => Bytes::from_static(self.file.content).into_response(),
        };
        let headers = response.headers_mut();
        if !is_known {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.file.media_type));
        }
        headers.extend(POLICY.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
        response
    }

    /// The content in the smaller form; `None` where it cannot be made. It is made when somebody first asks for it: most
    /// processes are never looked at.
    async fn compressed(&self) -> Option<&Bytes> {
        let content = self.file.content;
        let compress = || async move { spawn_blocking(|| compressed(content)).await.ok()?.ok() };
        self.compressed.get_or_try_init(|| async { compress().await.ok_or(()) }).await.ok()
    }
}

fn compressed(content: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests;
