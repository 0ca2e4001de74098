//! The documents of the admin API, each defined once: the admin listener writes them, and the command
//! line and whoever else asks a process read them. Types and their JSON only; what they say is
//! decided elsewhere. A reader ignores fields that it does not know, so an older command understands
//! a newer process.
//!
//! `paths` has the addresses and queries, and `query` reads a query string. Then one file for each
//! answer: `status` (with the `upstream` of a version, and each `certificate`), `services` (the same in short), `series`, `events`, `reload` (with the body of the request), `restart`, `history`, `explanation`, `description`
//! (the answer of `/api/v1/config`), `plan` (the difference between two descriptions, printed by
//! `watershed plan --json`) and `change` (what was done to a service). `session` is who asks, `standing` says where a version stands, in several of them, `moment` is
//! how each of them writes a time, and `error` is what every command and path answers when something is wrong.

mod certificate;
mod change;
mod check;
mod description;
mod error;
mod events;
mod explanation;
mod history;
pub mod moment;
mod operation;
mod paths;
mod plan;
mod query;
mod reload;
mod request;
mod restart;
mod series;
mod services;
mod session;
mod standing;
mod status;
mod upstream;

pub use certificate::CertificateDocument;
pub use change::{
    BackDocument, ChangeDocument, ChangedDocument, CopyDocument, DoneDocument, RefusalDocument,
    ShareDocument, SkippedDocument, WayDocument, WouldDocument,
};
pub use check::{CheckDocument, CheckQuestion};
pub use description::{
    BackendDescription, Description, EnvironmentDescription, QuarantineDescription,
    ServiceDescription, Settings, TrafficKind, Value, VersionDescription,
};
pub use error::{ErrorDocument, ErrorPlace, ProblemDocument};
pub use events::{ChangeEvent, EndEvent, HelloEvent};
pub use explanation::{Chance, Explanation, RateStep, RuleStep, StickyStep, Wish};
pub use history::{
    Author, ChangedPart, FileText, HistoryDocument, Parts, Record, RecordOutcome, RecordedVersion,
    Served, ServedVersion, Share,
};
pub use operation::{
    BegunDocument, DetailsDocument, FailedDocument, OperationDocument, OperationState,
    OperationStep, OperationsDocument, UploadDocument,
};
pub use paths::{
    CHECK, COMPONENTS, CONFIG, ConfigQuery, DELETE, DEPLOY, EVENTS, EXPLAIN, ExplainQuery, HISTORY,
    HistoryQuery, OPENAPI, OPERATION, OPERATIONS, PROMOTE, RELEASE, RELOAD, RESTART, ROLLBACK,
    ReadinessQuery, SERIES, SERVICES, SESSION, STATUS, SeriesQuery, StatusQuery, TRAFFIC,
};
pub use plan::{
    ChangeKind, Compilation, KeyChange, Plan, RestoredKey, ServiceChange, ShareChange,
    VersionChange, VersionFault, VersionRef,
};
pub use query::{Parameters, QueryError};
pub use reload::{Attribution, RejectionDocument, ReloadDocument, ReportDocument};
pub use request::{
    Aimed, ByName, ChangeRequest, DeleteRequest, DeployRequest, How, Limit, PromoteRequest,
    ReleaseRequest, RollbackRequest, TrafficRequest, Wanted, WantedWord,
};
pub use restart::{RestartDocument, RestartFailure, RestartRequest};
pub use series::{SeriesDocument, VersionSeriesDocument};
pub use services::{ServiceSummary, ServicesDocument, VersionSummary};
pub use session::{Authentication, LoginQuestion, Role, SessionDocument};
pub use standing::{Fault, Standing};
pub use status::{
    DescriptorsDocument, DrawnDocument, EnvironmentDocument, ObservedDocument, OutboundDocument,
    PublishDocument, RateLimitDocument, ServiceDocument, StatusDocument, SubstituteDocument,
    VersionDocument, WindowDocument,
};
pub use upstream::{TargetConnections, TargetDocument, UnresolvedDocument, UpstreamDocument};
