//! Every answer of the admin listener that is not a success: what is wrong, its code and status, and the problem
//! document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) that says so.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::routes;
use super::write::WriteError;
use crate::api::{ErrorDocument, ErrorPlace, ProblemDocument, QueryError};
use crate::code::{Coded, ErrorCode};
use crate::config::{Problem, suggest};
use crate::history::HistoryError;
use crate::policy::explain::QuestionError;
use crate::restart::Refused;

/// The media type of problem documents.
const PROBLEM: &str = "application/problem+json";

/// Why a request is not answered with what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("the request does not name one host")]
    HostMissing,
    #[error("this listener does not answer for the host `{0}`")]
    HostUnknown(String),
    #[error("refused: the request comes from a web page of another origin")]
    ForeignOrigin,
    #[error("this path needs the token, and the request has none")]
    TokenMissing,
    #[error("the token of the request is none of those in `token-file`")]
    TokenWrong,
    #[error("this token is a viewer's, and only operators may do this")]
    Viewer,
    #[error("the session is used without its token against forged requests")]
    Csrf,
    #[error("too many logins with wrong tokens came from this address")]
    TooManyAttempts { wait: Duration },
    #[error("draining: this process ends, and is asked for no changes any more")]
    /// `next` is where the process is that has taken over, if not here.
    Draining { next: Option<SocketAddr> },
    #[error("the request is not HTTP/1.1, or a part of its head is malformed")]
    Malformed,
    #[error("the path of the request is longer than this listener takes")]
    UriTooLong,
    #[error("the head of the request has more bytes or fields than this listener takes")]
    HeadTooLong,
    #[error("there is no path `{0}`")]
    UnknownPath(String),
    #[error("{path} does not take the method {method}")]
    MethodNotAllowed { method: Method, path: String, allow: &'static str },
    #[error("{0}")]
    Query(#[from] QueryError),
    #[error("{0}")]
    Question(#[from] QuestionError),
    #[error("there is no service `{name}`{}", within(.environment.as_deref()))]
    UnknownService { name: String, environment: Option<String>, help: String },
    /// The service would be there if its file were right.
    #[error("there is no service `{name}`: its file is wrong: {}", .problem.message)]
    RejectedService { name: String, problem: Box<Problem> },
    #[error("there is no environment `{name}`")]
    UnknownEnvironment { name: String, help: String },
    #[error("several environments have a service `{name}`")]
    AmbiguousService { name: String, environments: String },
    #[error("the body has more than {longest} bytes")]
    BodyTooLong { longest: usize, help: String },
    #[error("the body is `{sent}`, and not {wanted}")]
    UnsupportedMediaType { sent: String, wanted: &'static str, send: &'static str },
    #[error("the body is not what this path takes: {reason}")]
    BodyMalformed { reason: String, help: &'static str },
    #[error("the body did not come in time")]
    BodyLate,
    #[error("the body broke off: {0}")]
    BodyIncomplete(String),
    #[error("{0}")]
    NotAlive(String),
    #[error("not ready: {0}")]
    NotReady(String),
    #[error("the process is ending")]
    Ending,
    #[error("{0}")]
    Restart(#[from] Refused),
    #[error("{most} streams of events are open, and no more are allowed")]
    StreamsBusy { most: usize },
    #[error("nothing can be checked yet: the files were not read")]
    NothingLoaded,
    #[error("there is no history: {0}")]
    NoHistory(String),
    #[error("{0}")]
    HistoryUnreadable(#[from] HistoryError),
    #[error("{message}")]
    FilesWrong { message: String, first: Option<Box<Problem>> },
    #[error("there is no operation `{0}`")]
    UnknownOperation(String),
    #[error("{0}")]
    NotAComponent(&'static str),
    #[error("the upload cannot be kept: {0}")]
    UploadUnwritable(std::io::Error),
    #[error("as many changes as this process makes at once are being made")]
    Busy,
    #[error("{0}")]
    Write(Box<WriteError>),
    #[error("the listener failed to answer: {0}")]
    Internal(String),
}

/// Whether a disk has no room.
pub fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn within(environment: Option<&str>) -> String {
    environment.map(|name| format!(" in the environment `{name}`")).unwrap_or_default()
}

impl AdminError {
    /// For files of which something is wrong, and so cannot be served as they are.
    pub fn files_wrong(problems: &[Problem]) -> Self {
        let first = problems.first();
        let message = match (first, problems.len()) {
            (None, _) => "no environment finds the file".to_owned(),
            (Some(only), 1) => only.message.clone(),
            (Some(first), count) => format!("{}, the first of {count} problems", first.message),
        };
        Self::FilesWrong { message, first: first.cloned().map(Box::new) }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Write(error) => error.status(),
            Self::HostMissing
            | Self::Malformed
            | Self::Query(_)
            | Self::Question(_)
            | Self::AmbiguousService { .. }
            | Self::BodyMalformed { .. }
            | Self::BodyIncomplete(_) => StatusCode::BAD_REQUEST,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TokenMissing | Self::TokenWrong => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin | Self::Viewer | Self::Csrf => StatusCode::FORBIDDEN,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::UnknownPath(_)
            | Self::UnknownService { .. }
            | Self::RejectedService { .. }
            | Self::UnknownOperation(_)
            | Self::UnknownEnvironment { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyLate => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::HostUnknown(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Restart(Refused::Ending) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Restart(_) => StatusCode::CONFLICT,
            Self::FilesWrong { .. } | Self::NotAComponent(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UploadUnwritable(error) if is_full(error) => StatusCode::INSUFFICIENT_STORAGE,
            Self::UploadUnwritable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::HistoryUnreadable(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Draining { .. }
            | Self::Busy
            | Self::NotAlive(_)
            | Self::NotReady(_)
            | Self::Ending
            | Self::StreamsBusy { .. }
            | Self::NothingLoaded
            | Self::NoHistory(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Where in the files the cause is.
    fn place(&self) -> Option<ErrorPlace> {
        let problem = match self {
            Self::RejectedService { problem, .. } => problem,
            Self::FilesWrong { first, .. } => first.as_ref()?,
            Self::Write(error) => return error.report()?.problems.first().map(ErrorPlace::from),
            _ => return None,
        };
        Some(ErrorPlace::from(&**problem))
    }

    fn document(&self) -> ProblemDocument {
        let status = self.status();
        ProblemDocument {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: self.to_string(),
            error: ErrorDocument { place: self.place(), ..ErrorDocument::of(self) },
        }
    }

    /// The answer as bytes, where no request was read; `fields` are further ones, each with its line end.
    pub fn on_the_wire(&self, fields: &str) -> Vec<u8> {
        let mut body = serde_json::to_string(&self.document()).unwrap_or_else(|_| "{}".to_owned());
        body.push('\n');
        let (status, length) = (self.status(), body.len());
        format!("HTTP/1.1 {status}\r\n{fields}content-type: {PROBLEM}\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    /// The answer, which has the members of `document` too.
    pub fn with(&self, document: &impl Serialize) -> Response {
        self.answer(Some(document))
    }

    /// Writes every answer that is not a success.
    fn answer(&self, document: Option<&impl Serialize>) -> Response {
        #[derive(Serialize)]
        struct Answer<'a, T> {
            #[serde(flatten)]
            problem: ProblemDocument,
            #[serde(flatten)]
            document: Option<&'a T>,
        }
        let status = self.status();
        let mut body = serde_json::to_string(&Answer { problem: self.document(), document })
            .unwrap_or_else(|_| "{}".to_owned());
        body.push('\n');
        let mut response = (status, [(CONTENT_TYPE, PROBLEM)], body).into_response();
        response.headers_mut().extend(self.header());
        response
    }
}

impl AdminError {
    /// The header that the status asks for.
    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let fixed = |name, value| Some((name, HeaderValue::from_static(value)));
        match self {
            Self::MethodNotAllowed { allow, .. } => fixed(ALLOW, allow),
            Self::TokenMissing => fixed(WWW_AUTHENTICATE, "Bearer"),
            // RFC 6750, section 3.1.
            Self::TokenWrong => fixed(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""),
            // Whole seconds: after them it is not too early.
            Self::TooManyAttempts { wait } => Some((RETRY_AFTER, (wait.as_secs() + 1).into())),
            _ => None,
        }
    }
}

impl Coded for AdminError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed => ErrorCode::MalformedRequest,
            Self::UriTooLong | Self::HeadTooLong => ErrorCode::HeadTooLong,
            Self::HostMissing => ErrorCode::HostMissing,
            Self::HostUnknown(_) => ErrorCode::HostUnknown,
            Self::ForeignOrigin => ErrorCode::ForeignOrigin,
            Self::TokenMissing => ErrorCode::TokenMissing,
            Self::TokenWrong => ErrorCode::TokenWrong,
            Self::Viewer => ErrorCode::Viewer,
            Self::Csrf => ErrorCode::Csrf,
            Self::TooManyAttempts { .. } => ErrorCode::TooManyAttempts,
            Self::Draining { .. } | Self::Ending | Self::Restart(Refused::Ending) => {
                ErrorCode::Draining
            }
            Self::Restart(Refused::First) => ErrorCode::CannotRestart,
            Self::Restart(_) => ErrorCode::RestartUnderWay,
            Self::UnknownPath(_) => ErrorCode::UnknownPath,
            Self::MethodNotAllowed { .. } => ErrorCode::MethodNotAllowed,
            Self::Query(QueryError::Unknown { .. }) => ErrorCode::UnknownParameter,
            Self::Query(QueryError::Missing { .. }) => ErrorCode::MissingParameter,
            Self::Query(QueryError::Repeated { .. } | QueryError::Malformed { .. })
            | Self::Question(_) => ErrorCode::BadParameter,
            Self::UnknownService { .. } | Self::RejectedService { .. } => ErrorCode::UnknownService,
            Self::UnknownEnvironment { .. } => ErrorCode::UnknownEnvironment,
            Self::AmbiguousService { .. } => ErrorCode::AmbiguousService,
            Self::BodyTooLong { .. } => ErrorCode::BodyTooLong,
            Self::UnsupportedMediaType { .. } => ErrorCode::UnsupportedMediaType,
            Self::BodyMalformed { .. } => ErrorCode::BadBody,
            Self::BodyLate => ErrorCode::BodyLate,
            Self::BodyIncomplete(_) => ErrorCode::BodyIncomplete,
            Self::NotAlive(_) => ErrorCode::NotAlive,
            Self::NotReady(_) => ErrorCode::NotReady,
            Self::StreamsBusy { .. } => ErrorCode::Busy,
            Self::NothingLoaded => ErrorCode::NothingLoaded,
            Self::NoHistory(_) => ErrorCode::HistoryUnusable,
            Self::HistoryUnreadable(error) => error.code(),
            Self::FilesWrong { .. } => ErrorCode::InvalidConfiguration,
            Self::UnknownOperation(_) => ErrorCode::UnknownOperation,
            Self::NotAComponent(_) => ErrorCode::InvalidComponent,
            Self::UploadUnwritable(_) => ErrorCode::WriteFailed,
            Self::Busy => ErrorCode::Busy,
            Self::Write(error) => error.code(),
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn help(&self) -> Option<String> {
        let fixed = match self {
            Self::Query(error) => return Some(help_for(error)),
            Self::Question(error) => return error.help(),
            Self::HistoryUnreadable(error) => return error.help(),
            Self::UnknownService { help, .. }
            | Self::UnknownEnvironment { help, .. }
            | Self::BodyTooLong { help, .. } => return Some(help.clone()),
            Self::RejectedService { problem, .. } => return Some(problem.help.clone()),
            Self::FilesWrong { first, .. } => return Some(first.as_ref()?.help.clone()),
            Self::Write(error) => return error.help(),
            Self::UnknownPath(_) => return Some(format!("try {}", routes::list())),
            Self::MethodNotAllowed { allow, .. } => return Some(format!("send {allow}")),
            Self::AmbiguousService { environments, .. } => {
                return Some(format!("add `environment=NAME`: it is in {environments}"));
            }
            Self::Malformed => "send HTTP/1.1, without TLS",
            Self::UriTooLong => "send parameters of less than 64 KiB",
            Self::HeadTooLong => "send fewer and shorter header fields",
            Self::HostMissing => "say which host you mean, once: `host: 127.0.0.1`",
            Self::HostUnknown(_) => {
                "use an IP address or localhost, or add the name to `hosts` under [admin]"
            }
            Self::ForeignOrigin => "send it from a page of this listener, or from no page",
            Self::TokenMissing => "send the token: `authorization: Bearer …`",
            Self::Viewer => "ask an operator, or use an operator's token",
            Self::Csrf => {
                "send what `/api/v1/session` has as `csrf` in `x-csrf-token`, or use the token itself"
            }
            Self::TooManyAttempts { .. } => {
                "wait as long as `retry-after` says; tokens in `authorization` are still taken"
            }
            Self::TokenWrong => "send what `token-file` under [admin] of the process holds now",
            Self::Draining { next: Some(address) } => {
                return Some(format!("ask the next process, which answers at http://{address}"));
            }
            Self::Draining { next: None } => {
                "ask the next process, which reads the files when it starts"
            }
            Self::UnsupportedMediaType { send, .. } => send,
            Self::BodyMalformed { help, .. } => help,
            Self::BodyLate => {
                "send the body within 10 seconds; a component, without a pause that long"
            }
            Self::BodyIncomplete(_) => "send as many bytes as `content-length` says",
            Self::NotAlive(_) => "read the log, and start the process again",
            Self::NotReady(_) => "wait, or see `watershed status`",
            Self::Ending | Self::Restart(Refused::Ending) => "ask the next process",
            Self::Restart(Refused::First) => {
                "start another container beside it, and end this one once that is ready"
            }
            Self::Restart(Refused::HandedOver { .. }) => "ask that process",
            Self::Restart(_) => {
                "wait until that is over; `GET` of the same path says how it stands"
            }
            Self::StreamsBusy { .. } => "close a page of the console, or ask again later",
            Self::NothingLoaded => "try again, or see the log",
            Self::NoHistory(_) => {
                "wait if the process has just started, or correct `directory` under [state], as the log says"
            }
            Self::UnknownOperation(_) => {
                "see `/api/v1/operations`, and the service's history for what was done"
            }
            Self::NotAComponent(_) => {
                "send a WebAssembly component: `wasm-tools component new` makes one of a core module"
            }
            Self::UploadUnwritable(_) => {
                "make room in the state directory, or let the user of the process write there"
            }
            Self::Busy => "try again when one of them is done",
            Self::Internal(_) => "see the log of the process",
        };
        Some(fixed.to_owned())
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        match &self {
            Self::Write(error) => self.answer(Some(&error.details())),
            _ => self.answer(None::<&()>),
        }
    }
}

impl From<WriteError> for AdminError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Admin(error) => *error,
            error => Self::Write(Box::new(error)),
        }
    }
}

fn help_for(error: &QueryError) -> String {
    match error {
        QueryError::Unknown { known: [], .. } => "this path takes no parameters".to_owned(),
        QueryError::Unknown { name, known } => suggest::among(name, known.to_vec()),
        QueryError::Repeated { name } => format!("give `{name}` once"),
        QueryError::Missing { name } => format!("add `{name}=…`"),
        QueryError::Malformed { name, expected, .. } => {
            format!("give `{name}` as {expected}, or leave it out")
        }
    }
}
