//! Every answer of the admin listener that is not a success: what is wrong, its code and status, and the problem
//! document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)) that says so.

use axum::http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::routes;
use crate::api::{ErrorDocument, ErrorPlace, ProblemDocument, QueryError};
use crate::config::{Problem, suggest};
use crate::history::HistoryError;
use crate::policy::explain::QuestionError;

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
    #[error("the token of the request is not the one in `token-file`")]
    TokenWrong,
    #[error("draining: this process ends, and is asked for no changes any more")]
    Draining,
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
    #[error("the body is `{0}`, and not JSON")]
    UnsupportedMediaType(String),
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
    #[error("nothing can be checked yet: the files were not read")]
    NothingLoaded,
    #[error("there is no history: {0}")]
    NoHistory(String),
    #[error("{0}")]
    HistoryUnreadable(#[from] HistoryError),
    #[error("{message}")]
    FilesWrong { message: String, first: Option<Box<Problem>> },
    #[error("the listener failed to answer: {0}")]
    Internal(String),
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

    /// The status of the answer, and the code that scripts compare.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::HostMissing => (StatusCode::BAD_REQUEST, "host-missing"),
            Self::HostUnknown(_) => (StatusCode::MISDIRECTED_REQUEST, "host-unknown"),
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign-origin"),
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "token-missing"),
            Self::TokenWrong => (StatusCode::UNAUTHORIZED, "token-wrong"),
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            Self::UnknownPath(_) => (StatusCode::NOT_FOUND, "unknown-path"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::Query(QueryError::Unknown { .. }) => {
                (StatusCode::BAD_REQUEST, "unknown-parameter")
            }
            Self::Query(QueryError::Missing { .. }) => {
                (StatusCode::BAD_REQUEST, "missing-parameter")
            }
            Self::Query(QueryError::Repeated { .. } | QueryError::Malformed { .. })
            | Self::Question(_) => (StatusCode::BAD_REQUEST, "bad-parameter"),
            Self::UnknownService { .. } | Self::RejectedService { .. } => {
                (StatusCode::NOT_FOUND, "unknown-service")
            }
            Self::UnknownEnvironment { .. } => (StatusCode::NOT_FOUND, "unknown-environment"),
            Self::AmbiguousService { .. } => (StatusCode::BAD_REQUEST, "ambiguous-service"),
            Self::BodyTooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-long"),
            Self::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type")
            }
            Self::BodyMalformed { .. } => (StatusCode::BAD_REQUEST, "bad-body"),
            Self::BodyLate => (StatusCode::REQUEST_TIMEOUT, "body-late"),
            Self::BodyIncomplete(_) => (StatusCode::BAD_REQUEST, "body-incomplete"),
            Self::NotAlive(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-alive"),
            Self::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
            Self::Ending => (StatusCode::SERVICE_UNAVAILABLE, "ending"),
            Self::NothingLoaded => (StatusCode::SERVICE_UNAVAILABLE, "nothing-loaded"),
            Self::NoHistory(_) => (StatusCode::SERVICE_UNAVAILABLE, "no-history"),
            Self::HistoryUnreadable(_) => (StatusCode::INTERNAL_SERVER_ERROR, "history-unreadable"),
            Self::FilesWrong { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "files-wrong"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// What to do about it; `None` where the message says it already.
    fn help(&self) -> Option<String> {
        let fixed = match self {
            Self::Query(error) => return Some(help_for(error)),
            Self::Question(_) | Self::HistoryUnreadable(_) => return None,
            Self::UnknownService { help, .. }
            | Self::UnknownEnvironment { help, .. }
            | Self::BodyTooLong { help, .. } => return Some(help.clone()),
            Self::RejectedService { problem, .. } => return Some(problem.help.clone()),
            Self::FilesWrong { first, .. } => return Some(first.as_ref()?.help.clone()),
            Self::UnknownPath(_) => return Some(format!("try {}", routes::list())),
            Self::MethodNotAllowed { allow, .. } => return Some(format!("send {allow}")),
            Self::AmbiguousService { environments, .. } => {
                return Some(format!("add `environment=NAME`: it is in {environments}"));
            }
            Self::HostMissing => "say which host you mean, once: `host: 127.0.0.1`",
            Self::HostUnknown(_) => {
                "use an IP address or localhost, or add the name to `hosts` under [admin]"
            }
            Self::ForeignOrigin => "send it from a page of this listener, or from no page",
            Self::TokenMissing => "send the token: `authorization: Bearer …`",
            Self::TokenWrong => "send what `token-file` under [admin] of the process holds now",
            Self::Draining => "ask the next process, which reads the files when it starts",
            Self::UnsupportedMediaType(_) => "send it as `content-type: application/json`",
            Self::BodyMalformed { help, .. } => help,
            Self::BodyLate => "send the body within 10 seconds",
            Self::BodyIncomplete(_) => "send as many bytes as `content-length` says",
            Self::NotAlive(_) => "read the log, and start the process again",
            Self::NotReady(_) => "wait, or see `watershed status`",
            Self::Ending => "ask the next process",
            Self::NothingLoaded => "try again, or see the log",
            Self::NoHistory(_) => "correct `directory` under [state], or see the log",
            Self::Internal(_) => "see the log of the process",
        };
        Some(fixed.to_owned())
    }

    /// Where in the files the cause is.
    fn place(&self) -> Option<ErrorPlace> {
        let problem = match self {
            Self::RejectedService { problem, .. } => problem,
            Self::FilesWrong { first, .. } => first.as_ref()?,
            _ => return None,
        };
        let Problem { file, line, column, .. } = &**problem;
        Some(ErrorPlace { file: file.clone(), line: *line, column: *column })
    }

    fn document(&self) -> ProblemDocument {
        let (status, code) = self.kind();
        let message = self.to_string();
        ProblemDocument {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: message.clone(),
            error: ErrorDocument {
                code: code.to_owned(),
                message,
                help: self.help(),
                place: self.place(),
            },
        }
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
        let (status, _) = self.kind();
        let mut body = serde_json::to_string(&Answer { problem: self.document(), document })
            .unwrap_or_else(|_| "{}".to_owned());
        body.push('\n');
        let mut response = (status, [(CONTENT_TYPE, PROBLEM)], body).into_response();
        let header = match self {
            Self::MethodNotAllowed { allow, .. } => Some((ALLOW, *allow)),
            Self::TokenMissing => Some((WWW_AUTHENTICATE, "Bearer")),
            // RFC 6750, section 3.1.
            Self::TokenWrong => Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        self.answer(None::<&()>)
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
