//! Every operation of the admin API: what it takes, and what it answers.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::super::console;
use crate::api::{self, HistoryQuery};

/// How a document is described.
pub type Describe = fn(&mut SchemaGenerator) -> Schema;

/// A method of a path.
#[derive(Debug)]
pub struct Operation {
    /// In lower case.
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub query: &'static [Parameter],
    pub body: Body,
    /// Those of success; any other is a problem document.
    pub answers: &'static [(u16, Content)],
}

/// A parameter of a query.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub about: &'static str,
    pub is_required: bool,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Text,
    /// Given as often as there are values.
    Texts,
    Flag,
    OneOf(&'static [u64]),
    /// In the form of RFC 3339.
    Moment,
    Number {
        least: u64,
        most: Option<usize>,
    },
}

#[derive(Debug)]
pub enum Body {
    None,
    Json(Describe),
    /// It may be left out.
    Maybe(Describe),
    Bytes(&'static str),
}

#[derive(Debug)]
pub enum Content {
    Nothing,
    Json(Describe),
    /// The description of the API itself.
    OpenApi,
    /// Of these media types.
    Texts(&'static [&'static str]),
}

const fn optional(name: &'static str, about: &'static str, kind: Kind) -> Parameter {
    Parameter { name, about, is_required: false, kind }
}

const ENVIRONMENT: Parameter =
    optional("environment", "Not needed where only one environment has the service.", Kind::Text);
const SERVICE: Parameter = optional("service", "All services, if it is left out.", Kind::Text);

const PLAIN: Content = Content::Texts(&["text/plain; charset=utf-8"]);

fn described<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a change answers: that it is done, or what it would do.
fn changed(generator: &mut SchemaGenerator) -> Schema {
    let done = generator.subschema_for::<api::ChangeDocument>();
    let would = generator.subschema_for::<api::WouldDocument>();
    schemars::json_schema!({ "anyOf": [done, would] })
}

const fn read(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [Parameter],
    answers: &'static [(u16, Content)],
) -> Operation {
    Operation { method: "get", path, id, summary, query, body: Body::None, answers }
}

const fn posted(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: Body,
    answers: &'static [(u16, Content)],
) -> Operation {
    Operation { method: "post", path, id, summary, query: &[], body, answers }
}

const CHANGED: &[(u16, Content)] = &[(200, Content::Json(changed))];

/// All of them, in the order of the paths.
pub const OPERATIONS: &[Operation] = &[
    read("/livez", "livez", "Whether the process does its work", &[], &[(200, PLAIN)]),
    read(
        "/readyz",
        "readyz",
        "Whether every service that is to have traffic can serve it",
        &[optional(
            "generation",
            "The lowest generation that has to be served.",
            Kind::Number { least: 0, most: None },
        )],
        &[(200, PLAIN)],
    ),
    read(
        "/metrics",
        "metrics",
        "Counters for Prometheus",
        &[],
        &[(
            200,
            Content::Texts(&[
                "text/plain; version=0.0.4; charset=utf-8",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ]),
        )],
    ),
    read(
        api::STATUS,
        "status",
        "What is served, how it does, and what is wrong",
        &[ENVIRONMENT, SERVICE, optional("services", "`false` for the process alone.", Kind::Flag)],
        &[(200, Content::Json(described::<api::StatusDocument>))],
    ),
    read(
        api::SERVICES,
        "services",
        "All services in short",
        &[],
        &[(200, Content::Json(described::<api::ServicesDocument>))],
    ),
    read(
        api::EVENTS,
        "events",
        "A stream that tells when to read again",
        &[],
        &[(200, Content::Texts(&["text/event-stream"]))],
    ),
    read(
        api::SERIES,
        "series",
        "The last hour of each version of a service, step by step",
        &[
            ENVIRONMENT,
            Parameter { is_required: true, about: "Whose versions they are.", ..SERVICE },
            optional(
                "step",
                "Seconds of a step: 1 for the last ten minutes, or 10.",
                Kind::OneOf(&[1, 10]),
            ),
            optional("since", "Only steps that end later.", Kind::Moment),
        ],
        &[(200, Content::Json(described::<api::SeriesDocument>))],
    ),
    read(
        api::CONFIG,
        "config",
        "What is declared and served, without anything secret",
        &[ENVIRONMENT, SERVICE],
        &[(200, Content::Json(described::<api::Description>))],
    ),
    read(
        api::EXPLAIN,
        "explain",
        "Which version a request would get, and why",
        &[
            ENVIRONMENT,
            Parameter { is_required: true, about: "Whose request it is.", ..SERVICE },
            optional("method", "GET, if it is left out.", Kind::Text),
            optional("path", "`/`, if it is left out.", Kind::Text),
            optional("header", "`name:value`.", Kind::Texts),
            optional("query", "`name=value`, not encoded.", Kind::Texts),
            optional("cookie", "`name=value`.", Kind::Texts),
            optional("client", "The address of the client.", Kind::Text),
        ],
        &[(200, Content::Json(described::<api::Explanation>))],
    ),
    read(
        api::HISTORY,
        "history",
        "What was served when, and by whom",
        &[
            ENVIRONMENT,
            Parameter { about: "Needed unless `all` is true.", ..SERVICE },
            optional("all", "Whether the records of all services are meant.", Kind::Flag),
            optional(
                "limit",
                "How many records.",
                Kind::Number { least: 1, most: Some(HistoryQuery::LIMIT_MAX) },
            ),
            optional("texts", "Plain environment variables, for operators.", Kind::Flag),
            optional("file", "The last good text of the file, for operators.", Kind::Flag),
        ],
        &[(200, Content::Json(described::<api::HistoryDocument>))],
    ),
    posted(
        api::RELOAD,
        "reload",
        "Read the files now",
        Body::Maybe(described::<api::Attribution>),
        &[(200, Content::Json(described::<api::ReloadDocument>))],
    ),
    read(
        api::RESTART,
        "restart-state",
        "How a restart stands",
        &[],
        &[(200, Content::Json(described::<api::RestartDocument>))],
    ),
    posted(
        api::RESTART,
        "restart",
        "Start the program anew, and hand over to it",
        Body::Maybe(described::<api::RestartRequest>),
        &[(202, Content::Json(described::<api::RestartDocument>))],
    ),
    posted(
        api::CHECK,
        "check",
        "Whether the configuration would be right if a file said something else",
        Body::Json(described::<api::CheckQuestion>),
        &[(200, Content::Json(described::<api::CheckDocument>))],
    ),
    posted(
        api::TRAFFIC,
        "traffic",
        "Give versions their shares",
        Body::Json(described::<api::TrafficRequest>),
        CHANGED,
    ),
    posted(
        api::PROMOTE,
        "promote",
        "Give everything to a version",
        Body::Json(described::<api::PromoteRequest>),
        CHANGED,
    ),
    posted(
        api::ROLLBACK,
        "rollback",
        "Go back to what was served before",
        Body::Json(described::<api::RollbackRequest>),
        CHANGED,
    ),
    posted(
        api::DELETE,
        "delete",
        "Remove versions",
        Body::Json(described::<api::DeleteRequest>),
        CHANGED,
    ),
    posted(
        api::RELEASE,
        "release",
        "Let a version have traffic again after a rollback from it",
        Body::Json(described::<api::ReleaseRequest>),
        CHANGED,
    ),
    read(
        api::SESSION,
        "session",
        "Who asks, and what they may do",
        &[],
        &[(200, Content::Json(described::<api::SessionDocument>))],
    ),
    posted(
        api::SESSION,
        "login",
        "Begin a session of a browser",
        Body::Json(described::<api::LoginQuestion>),
        &[(200, Content::Json(described::<api::SessionDocument>))],
    ),
    Operation {
        method: "delete",
        path: api::SESSION,
        id: "logout",
        summary: "End the session",
        query: &[],
        body: Body::None,
        answers: &[(204, Content::Nothing)],
    },
    posted(
        api::DEPLOY,
        "deploy",
        "Add a version, and give it traffic once it is normal",
        Body::Json(described::<api::DeployRequest>),
        &[
            (200, Content::Json(described::<api::WouldDocument>)),
            (202, Content::Json(described::<api::BegunDocument>)),
        ],
    ),
    read(
        api::OPERATIONS,
        "operations",
        "The last deployments",
        &[],
        &[(200, Content::Json(described::<api::OperationsDocument>))],
    ),
    read(
        api::OPERATION,
        "operation",
        "How far a deployment is",
        &[],
        &[(200, Content::Json(described::<api::OperationDocument>))],
    ),
    posted(
        api::COMPONENTS,
        "upload",
        "Upload a component, to be deployed within an hour",
        Body::Bytes("application/wasm"),
        &[(201, Content::Json(described::<api::UploadDocument>))],
    ),
    read(api::OPENAPI, "openapi", "This description", &[], &[(200, Content::OpenApi)]),
    read(
        console::ROOT,
        "console",
        "The console, for browsers",
        &[],
        &[(200, Content::Texts(&["text/html; charset=utf-8"]))],
    ),
];
