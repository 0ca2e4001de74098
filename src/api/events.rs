//! What the stream of events carries: see [`EVENTS`](super::EVENTS).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `event: hello`, the first of every stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelloEvent {
    /// The number of the configuration that is served.
    pub generation: u64,
    /// Differs from start to start: counters of another one begin at 0.
    pub process: String,
    /// Of the program.
    pub version: String,
}

/// `event: change`: the status says something else than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeEvent {
    pub generation: u64,
    /// The environment of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The service that changed. Without one, any may have, and so may what the process says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// `event: end`, the last of a stream: the process drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndEvent {
    pub generation: u64,
}
