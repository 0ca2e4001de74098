//! A running process, asked at its admin listener by commands.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Body, RequestBuilder};

use crate::admin::{Token, TokenError};
use crate::code::{Coded, ErrorCode};
use crate::config::AdminSettings;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may take where the process first does work, such as reading thousands of files.
const WORK_PATIENCE: Duration = Duration::from_secs(60);

/// Statuses of answers that are documents: the process did what was asked, or could not because of the files.
const DOCUMENTS: [u16; 2] = [200, 422];

/// Longest text of a process that an error repeats, in characters.
const REPEATED_MAX: usize = 300;

/// Largest answer, in bytes: enough for thousands of services.
const LONGEST: u64 = 64 << 20;

/// The address of a process, and the token that opens its listener.
#[derive(Debug)]
pub struct Process {
    url: String,
    token_file: Option<PathBuf>,
    agent: ureq::Agent,
}

/// Why a process did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("`listen` under [admin] has port 0, another one at every start")]
    NoPort,
    #[error("{0} is not the address of an admin listener")]
    NotAUrl(String),
    /// Nothing listens at the address.
    #[error("no process answers at {url}")]
    NotRunning { url: String },
    #[error("no process answers at {url}: {reason}")]
    Unreachable { url: String, reason: Box<ureq::Error> },
    #[error("the request to {url} cannot be written as JSON: {reason}")]
    Unspeakable { url: String, reason: serde_json::Error },
    #[error("{url} wants a token")]
    TokenWanted { url: String },
    #[error("{url} does not take the token in {}", .file.display())]
    TokenRefused { url: String, file: PathBuf },
    #[error("{url} answers {answer}")]
    Stranger { url: String, answer: String },
    #[error("{url} refuses with status {status}: {why}")]
    Refused { url: String, status: u16, why: String },
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Coded for ProcessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoPort => ErrorCode::NoAdminAddress,
            Self::NotAUrl(_) => ErrorCode::InvalidAdminUrl,
            Self::NotRunning { .. } => ErrorCode::NoProcess,
            Self::Unreachable { .. } | Self::Unspeakable { .. } => ErrorCode::ProcessUnreachable,
            Self::TokenWanted { .. } => ErrorCode::TokenWanted,
            Self::TokenRefused { .. } => ErrorCode::TokenRefused,
            Self::Stranger { .. } => ErrorCode::UnexpectedAnswer,
            Self::Refused { .. } => ErrorCode::ProcessRefused,
            Self::Token(_) => ErrorCode::TokenFile,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NoPort => "give `--admin URL` as the process printed it",
            Self::NotAUrl(_) => "it looks like http://127.0.0.1:9090, and is never https",
            Self::NotRunning { .. } => {
                "start it with `watershed run`, or give `--admin URL` if it listens elsewhere"
            }
            Self::Unreachable { .. } => {
                "see whether it is well, or give `--admin URL` if it listens elsewhere"
            }
            Self::TokenWanted { .. } => "set `token-file` under [admin] to the file with the token",
            Self::TokenRefused { .. } => "take the token that the process's `token-file` has",
            Self::Stranger { .. } => {
                "see whether that is the admin listener of a watershed as new as this one"
            }
            Self::Unspeakable { .. } | Self::Refused { .. } | Self::Token(_) => return None,
        };
        Some(help.to_owned())
    }
}

impl ProcessError {
    /// Whether nothing listens at the address. A command that needs only the files can go on then.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. })
    }
}

impl Process {
    /// The process at `url`, or else at the admin address of `settings`.
    ///
    /// # Errors
    ///
    /// Where neither gives an address.
    pub fn new(url: Option<&str>, settings: &AdminSettings) -> Result<Self, ProcessError> {
        let url = match url {
            Some(url) => checked(url)?,
            None => format!("http://{}", local(settings.listen)?),
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            // The token is for the process, so no proxy on the way may see it.
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self { url, token_file: settings.token_file.clone(), agent })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gets the document at a path.
    ///
    /// # Errors
    ///
    /// Where the process cannot be reached, wants another token or answers with something else.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ProcessError> {
        let url = format!("{}{path}", self.url);
        let request = self.authorized(self.agent.get(&url))?;
        let response = request.call().map_err(|reason| self.unreachable(reason))?;
        match response.status().as_u16() {
            200 => self.document(&url, response),
            _ => Err(self.refused(url, response)),
        }
    }

    /// Has the process do something. Returns its document and the status: 200 if it is done, 422 if the files are
    /// wrong.
    ///
    /// # Errors
    ///
    /// Where the process cannot be reached, wants another token or answers with something else.
    pub fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<(u16, T), ProcessError> {
        let url = format!("{}{path}", self.url);
        let unspeakable = |reason| ProcessError::Unspeakable { url: url.clone(), reason };
        let body = serde_json::to_vec(body).map_err(unspeakable)?;
        let request = self.agent.post(&url).content_type("application/json");
        let request = request.config().timeout_global(Some(WORK_PATIENCE)).build();
        let response = self.authorized(request)?.send(body.as_slice());
        let response = response.map_err(|reason| self.unreachable(reason))?;
        match response.status().as_u16() {
            status if DOCUMENTS.contains(&status) => Ok((status, self.document(&url, response)?)),
            _ => Err(self.refused(url, response)),
        }
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> Result<RequestBuilder<B>, ProcessError> {
        Ok(match &self.token_file {
            Some(file) => request.header("authorization", format!("Bearer {}", Token::text(file)?)),
            None => request,
        })
    }

    fn document<T: DeserializeOwned>(
        &self,
        url: &str,
        mut response: Response<Body>,
    ) -> Result<T, ProcessError> {
        let body = response.body_mut().with_config().limit(LONGEST).read_to_vec();
        let body = body.map_err(|reason| self.unreachable(reason))?;
        serde_json::from_slice(&body).map_err(|error| ProcessError::Stranger {
            url: url.to_owned(),
            answer: error.to_string(),
        })
    }

    fn unreachable(&self, reason: ureq::Error) -> ProcessError {
        let url = self.url.clone();
        match reason {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ProcessError::NotRunning { url }
            }
            reason => ProcessError::Unreachable { url, reason: Box::new(reason) },
        }
    }

    fn refused(&self, url: String, mut response: Response<Body>) -> ProcessError {
        let status = response.status().as_u16();
        match (status, &self.token_file) {
            (401, Some(file)) => ProcessError::TokenRefused { url, file: file.clone() },
            (401, None) => ProcessError::TokenWanted { url },
            // Our own refusals give the reason in plain text; anything else was written by something in between.
            _ if response.body().mime_type() == Some("text/plain") => {
                let text = response.body_mut().read_to_string().unwrap_or_default();
                let why = text.trim().chars().take(REPEATED_MAX).collect();
                ProcessError::Refused { url, status, why }
            }
            _ => ProcessError::Stranger { url, answer: format!("with status {status}") },
        }
    }
}

/// A URL as people write it: with a `/` at its end, or without its scheme.
fn checked(url: &str) -> Result<String, ProcessError> {
    let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let is_authority = authority.parse::<http::uri::Authority>().is_ok();
    match is_authority && !authority.contains('@') {
        true => Ok(format!("http://{authority}")),
        false => Err(ProcessError::NotAUrl(url.to_owned())),
    }
}

/// The address by which a listener is reached from this machine.
fn local(listen: SocketAddr) -> Result<SocketAddr, ProcessError> {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    match listen.port() {
        0 => Err(ProcessError::NoPort),
        port => Ok(SocketAddr::new(ip, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    #[test]
    fn a_url_is_taken_as_people_write_it() {
        for url in ["http://127.0.0.1:9090", "http://127.0.0.1:9090/", "127.0.0.1:9090"] {
            assert_eq!(checked(url).unwrap(), "http://127.0.0.1:9090");
        }
        assert_eq!(checked("[::1]:9090").unwrap(), "http://[::1]:9090");
        for url in ["https://127.0.0.1:9090", "", "http://", "a b", "localhost:1/api", "u@h:1"] {
            assert!(matches!(checked(url), Err(ProcessError::NotAUrl(_))), "{url}");
        }
    }

    /// Starts a process that gives every client this answer. Returns its address, and the requests that it got.
    fn answering(answer: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4096];
            let mut read = 0;
            while !asked[..read].ends_with(b"}") {
                read += client.read(&mut asked[read..]).unwrap();
            }
            client.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        (url, asked)
    }

    fn post(url: &str) -> Result<(u16, Value), ProcessError> {
        let process = Process::new(Some(url), &AdminSettings::default()).unwrap();
        process.post("/api/v1/reload", &serde_json::json!({ "user": "me" }))
    }

    #[test]
    fn what_is_posted_is_json_and_so_is_the_answer() {
        let answer = "HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 9\r\n\r\n{\"at\": 7}";
        let (url, asked) = answering(answer);
        assert_eq!(post(&url).unwrap(), (422, serde_json::json!({ "at": 7 })));
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /api/v1/reload HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
        assert!(asked.ends_with("{\"user\":\"me\"}"), "{asked}");
    }

    #[test]
    fn a_refusal_in_plain_text_is_repeated() {
        let answer = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
                      content-length: 9\r\n\r\nno user.\n";
        let (url, _) = answering(answer);
        let error = post(&url).unwrap_err();
        let expected = format!("{url}/api/v1/reload refuses with status 400: no user.");
        assert_eq!(error.to_string(), expected);
        assert!(!error.is_not_running());
    }

    #[test]
    fn where_nobody_listens_no_process_runs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = post(&url).unwrap_err();
        assert!(error.is_not_running(), "{error}");
        assert!(error.line().contains("`watershed run`"), "{error}");
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        let local = |listen: &str| local(listen.parse().unwrap());
        assert_eq!(local("0.0.0.0:9090").unwrap().to_string(), "127.0.0.1:9090");
        assert_eq!(local("[::]:9090").unwrap().to_string(), "[::1]:9090");
        assert_eq!(local("10.0.0.1:9090").unwrap().to_string(), "10.0.0.1:9090");
        assert!(matches!(local("127.0.0.1:0"), Err(ProcessError::NoPort)));
    }
}
