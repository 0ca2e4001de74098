//! A running process, asked at its admin listener by commands.

mod edit;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Body, RequestBuilder};

use super::table::is_harmful;
use crate::admin::{TokenError, client_token};
use crate::api::{self, ErrorDocument, ProblemDocument, Role, SessionDocument};
use crate::code::{Coded, ErrorCode};
use crate::config::AdminSettings;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may take where the process first does work, such as reading thousands of files.
const WORK_PATIENCE: Duration = Duration::from_secs(60);

/// Statuses of answers that are documents: the process did what was asked, or could not because of the files.
const DOCUMENTS: [u16; 3] = [200, 202, 422];

/// The media type of a process's refusals.
const PROBLEM: &str = "application/problem+json";

/// What the process calls a service or an environment that it does not have.
const UNKNOWN: [&str; 2] = ["unknown-service", "unknown-environment"];

/// Longest text of a process that an error repeats, in characters.
const REPEATED_MAX: usize = 300;

/// Largest answer, in bytes: enough for thousands of services.
const LONGEST: u64 = 64 << 20;

/// The address of a process, and the token that opens its listener.
#[derive(Debug)]
pub struct Process {
    url: String,
    token: TokenSource,
    agent: ureq::Agent,
}

/// Where the token for the listener is.
#[derive(Clone, Debug)]
enum TokenSource {
    /// Nobody says that there is one.
    None,
    /// In the file that `--token-file` names.
    Given(PathBuf),
    /// Where the files say. The process that is asked may have other files, and want no token.
    Configured(PathBuf),
}

/// Why a process did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("`listen` under [admin] has port 0, another one at every start")]
    NoPort,
    #[error("{0} is not the address of an admin listener")]
    NotAUrl(String),
    #[error("{0} cannot be asked: an admin listener speaks plain HTTP, and so do the commands")]
    Encrypted(String),
    /// Nothing listens at the address.
    #[error("no process answers at {url}")]
    NotRunning { url: String },
    #[error("no process answers at {url}: {}", words(.reason))]
    Unreachable { url: String, reason: Box<ureq::Error> },
    #[error("the request to {url} cannot be written as JSON: {reason}")]
    Unspeakable { url: String, reason: serde_json::Error },
    #[error("{url} wants a token")]
    TokenWanted { url: String },
    #[error("{url} does not take the token in {}", .file.display())]
    TokenRefused { url: String, file: PathBuf },
    #[error("{url} answers {answer}")]
    Stranger { url: String, answer: String },
    /// Known before anything is done.
    #[error(
        "nothing was done: the token for {url} is a viewer's, and only operators change something"
    )]
    Viewer { url: String },
    /// In the process's own words.
    #[error("{} ({}, status {status})", .error.message, path(.url))]
    Refused { url: String, status: u16, error: Box<ErrorDocument> },
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Why nobody answers, without the words that are for programmers.
fn words(reason: &ureq::Error) -> String {
    match reason {
        ureq::Error::Io(error) => error.to_string(),
        reason => reason.to_string(),
    }
}

/// An address without its query.
fn path(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

impl Coded for ProcessError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoPort => ErrorCode::NoAdminAddress,
            Self::NotAUrl(_) | Self::Encrypted(_) => ErrorCode::InvalidAdminUrl,
            Self::NotRunning { .. } => ErrorCode::NoProcess,
            Self::Unreachable { .. } | Self::Unspeakable { .. } => ErrorCode::ProcessUnreachable,
            Self::TokenWanted { .. } => ErrorCode::TokenWanted,
            Self::TokenRefused { .. } => ErrorCode::TokenRefused,
            Self::Stranger { .. } => ErrorCode::UnexpectedAnswer,
            Self::Viewer { .. } => ErrorCode::Viewer,
            Self::Refused { error, .. } => {
                ErrorCode::of(&error.code).unwrap_or(ErrorCode::ProcessRefused)
            }
            Self::Token(_) => ErrorCode::TokenFile,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::NoPort => "give `--admin URL` as the process printed it",
            Self::NotAUrl(_) => "it looks like http://127.0.0.1:9090",
            Self::Encrypted(_) => {
                "give its http:// address, which `ssh -L 9090:127.0.0.1:9090 MACHINE` brings here as \
                 http://127.0.0.1:9090"
            }
            Self::NotRunning { .. } => {
                "start it with `watershed run`, or give `--admin URL` if it listens elsewhere"
            }
            Self::Unreachable { .. } => {
                "see whether it is well, or give `--admin URL` if it listens elsewhere"
            }
            Self::TokenWanted { .. } => {
                "give `--token-file FILE`, or set `token-file` under [admin] to the file with the token"
            }
            Self::TokenRefused { .. } => {
                "the process's `token-file` has others: give `--token-file FILE` if that is elsewhere"
            }
            Self::Token(_) => "give `--token-file FILE` if the token is elsewhere",
            Self::Viewer { .. } => {
                "ask an operator, or give an operator's token by `--token-file FILE`"
            }
            Self::Stranger { .. } => {
                "see whether that is the admin listener of a watershed as new as this one"
            }
            // In the process's own words, but for what is a flag here and a parameter there.
            Self::Refused { error, .. } => {
                let help = error.help.as_ref();
                return help.map(|help| help.replace("`environment=NAME`", "`--environment NAME`"));
            }
            Self::Unspeakable { .. } => return None,
        };
        Some(help.to_owned())
    }
}

impl ProcessError {
    /// Whether nothing listens at the address. A command that needs only the files can go on then.
    pub fn is_not_running(&self) -> bool {
        matches!(self, Self::NotRunning { .. })
    }

    /// Whether the process has no service, or no environment, of the name that it was asked for.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { error, .. } if UNKNOWN.contains(&error.code.as_str()))
    }
}

impl Process {
    /// The process at `url`, or else at the admin address of `settings`. The token is in `token_file`, or else where
    /// `settings` say.
    ///
    /// # Errors
    ///
    /// Where neither gives an address.
    pub fn new(
        url: Option<&str>,
        token_file: Option<&Path>,
        settings: &AdminSettings,
    ) -> Result<Self, ProcessError> {
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
        let token = match (token_file, &settings.token_file) {
            (Some(given), _) => TokenSource::Given(given.to_owned()),
            (None, Some(configured)) => TokenSource::Configured(configured.clone()),
            (None, None) => TokenSource::None,
        };
        Ok(Self { url, token, agent })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same at another address of the same machine. `None` where that is not reached from here, or may be another
    /// machine's.
    pub fn moved(&self, address: SocketAddr) -> Option<Self> {
        let authority: http::uri::Authority = self.url.strip_prefix("http://")?.parse().ok()?;
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let url = match address.ip() {
            ip if ip.is_unspecified() => format!("http://{host}:{}", address.port()),
            ip if ip.is_loopback() && !is_here => return None,
            _ => format!("http://{address}"),
        };
        Some(Self { url, token: self.token.clone(), agent: self.agent.clone() })
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

    /// Whether the process lets this command change something. A file that is edited is served, whether or not the
    /// process is told of it: so this is asked before.
    ///
    /// # Errors
    ///
    /// Where the token is a viewer's, or the process does not answer. One that is too old to say so has no viewers.
    pub fn admits_changes(&self) -> Result<(), ProcessError> {
        match self.get::<SessionDocument>(api::SESSION) {
            Ok(SessionDocument { role: Role::Viewer, .. }) => {
                Err(ProcessError::Viewer { url: self.url.clone() })
            }
            Ok(_) | Err(ProcessError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
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
        let token = match &self.token {
            TokenSource::None => None,
            TokenSource::Given(file) => Some(client_token(file)?),
            // If the process wants one, its refusal tells of the file.
            TokenSource::Configured(file) => client_token(file).ok(),
        };
        Ok(match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
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
            answer: format!("with something else than the document that is asked for ({error})"),
        })
    }

    fn unreachable(&self, reason: ureq::Error) -> ProcessError {
        let url = self.url.clone();
        match reason {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                ProcessError::NotRunning { url }
            }
            ureq::Error::BodyExceedsLimit(limit) => {
                ProcessError::Stranger { url, answer: format!("more than {limit} bytes") }
            }
            reason => ProcessError::Unreachable { url, reason: Box::new(reason) },
        }
    }

    fn refused(&self, url: String, mut response: Response<Body>) -> ProcessError {
        let status = response.status().as_u16();
        if status == 401 {
            return self.unauthorized(url);
        }
        let kind = response.body().mime_type().map(str::to_owned);
        let mut text = || response.body_mut().read_to_string().unwrap_or_default();
        let error = match kind.as_deref() {
            Some(PROBLEM) => {
                serde_json::from_str::<ProblemDocument>(&text()).ok().map(|it| it.error)
            }
            // The refusals of older processes; anything else was written by something in between.
            Some("text/plain") => Some(ErrorDocument { message: text(), ..Default::default() }),
            _ => None,
        };
        match error {
            Some(error) => ProcessError::Refused { url, status, error: Box::new(shortened(error)) },
            None => ProcessError::Stranger { url, answer: format!("with status {status}") },
        }
    }

    fn unauthorized(&self, url: String) -> ProcessError {
        match &self.token {
            TokenSource::None => ProcessError::TokenWanted { url },
            TokenSource::Given(file) | TokenSource::Configured(file) => match client_token(file) {
                Ok(_) => ProcessError::TokenRefused { url, file: file.clone() },
                Err(unreadable) => unreadable.into(),
            },
        }
    }
}

/// As much of what a process says as an error repeats, without what a terminal would obey.
fn shortened(error: ErrorDocument) -> ErrorDocument {
    let shortened = |text: String| {
        let shown = text.trim().chars().filter(|character| !is_harmful(*character));
        shown.take(REPEATED_MAX).collect()
    };
    let ErrorDocument { code, message, help, place } = error;
    let (code, message) = (shortened(code), shortened(message));
    ErrorDocument { code, message, help: help.map(shortened), place }
}

/// A URL as people write it: with a `/` at its end, or without its scheme.
fn checked(url: &str) -> Result<String, ProcessError> {
    // The case of a scheme says nothing (RFC 3986, section 3.1).
    let (scheme, authority) = url.split_once("://").unwrap_or(("http", url));
    if scheme.eq_ignore_ascii_case("https") {
        return Err(ProcessError::Encrypted(url.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(ProcessError::NotAUrl(url.to_owned()));
    }
    let authority = authority.trim_end_matches('/');
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
