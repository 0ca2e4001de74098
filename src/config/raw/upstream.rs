//! The services on the network that serve a version, as they are written: `[versions.upstream]`.

use schemars::JsonSchema;

use super::{DURATION, Field, Located};

/// The `pattern` of a percentage that stands in a text.
const PERCENT: &str = "^[0-9]+(\\.[0-9]{1,2})? *%$";

/// The `pattern` of a status, or of a range of them.
const STATUSES: &str = "^[1-5][0-9][0-9]( *- *[1-5][0-9][0-9])?$";

/// The `pattern` of what a request is sent again after.
const RETRIED: &str = "^(connect|reset|5[0-9][0-9])$";

/// The addresses alone, or a table with them.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawUpstream {
    Targets(RawTargets),
    Table(Box<RawUpstreamTable>),
}

/// Addresses with ports.
pub type RawTargets = Vec<Located<RawTarget>>;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawUpstreamTable {
    /// Addresses with ports, up to 1024.
    #[schemars(required)]
    #[schemars(extend("minItems" = 1, "maxItems" = 1024))]
    pub targets: Field<RawTargets>,
    /// What targets speak: HTTP/1.1; HTTP/2 without TLS; or TLS, in which the target chooses HTTP/2 or HTTP/1.1.
    #[schemars(extend("enum" = ["http1", "h2c", "tls"]))]
    pub protocol: Field<String>,
    /// How the target of a request is chosen: in turns; at random; of two at random the one with fewer requests; or by
    /// the sticky key, else by the client's address.
    #[schemars(extend("enum" = ["round-robin", "random", "least-requests", "hash"]))]
    pub balance: Field<String>,
    /// The host that targets are asked for: "keep" for the client's, "target" for their own, or a name.
    #[schemars(extend("minLength" = 1))]
    pub host: Field<String>,
    /// How often names are looked up again, from 1s to 24h.
    #[schemars(extend("pattern" = DURATION))]
    pub resolve: Field<String>,
    /// How long a connection may take to open, from 1ms to 1m.
    #[schemars(extend("pattern" = DURATION))]
    pub connect_timeout: Field<String>,
    /// How long a connection is kept without a request, up to 1h; 0s: it is not kept.
    #[schemars(extend("pattern" = DURATION))]
    pub idle_timeout: Field<String>,
    /// How TLS to targets begins. With this table, they speak TLS.
    pub tls: Field<RawTls>,
    /// Active checks of targets; without this table there are none.
    pub health: Field<RawHealth>,
    /// When a target that fails requests gets none for a while; false: never.
    pub eject: Field<RawEject>,
    /// When a request is sent again.
    pub retry: Field<RawRetry>,
}

/// An address with a port, or a table with one.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawTarget {
    Address(#[schemars(extend("pattern" = "^[^/@]+:[0-9]+$"))] String),
    Weighted(RawWeightedTarget),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawWeightedTarget {
    /// An IP address or a name, and a port, such as "api.internal:9001".
    #[schemars(required)]
    #[schemars(extend("pattern" = "^[^/@]+:[0-9]+$"))]
    pub address: Field<String>,
    /// How many requests the target gets in proportion to others.
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Field<i64>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTls {
    /// Whom the certificate of a target must name; by default the target's own host.
    #[schemars(extend("minLength" = 1))]
    pub server_name: Field<String>,
    /// A PEM file with the authorities that may have signed the certificate, relative to this file; by default those of
    /// the system.
    #[schemars(extend("minLength" = 1))]
    pub ca: Field<String>,
    /// A PEM file with the certificate that targets are shown, and its chain, relative to this file.
    #[schemars(extend("minLength" = 1))]
    pub certificate: Field<String>,
    /// A PEM file with the key of that certificate, relative to this file.
    #[schemars(extend("minLength" = 1))]
    pub key: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawHealth {
    /// The path that a check asks for; without it, a connection is enough.
    #[schemars(extend("pattern" = "^/"))]
    pub path: Field<String>,
    /// The statuses of a healthy target: one, or a range such as "200-399".
    #[schemars(extend("pattern" = STATUSES))]
    pub status: Field<String>,
    /// How long after a check the next one begins, from 100ms to 1h.
    #[schemars(extend("pattern" = DURATION))]
    pub interval: Field<String>,
    /// How long a check may take, from 10ms to 1m.
    #[schemars(extend("pattern" = DURATION))]
    pub timeout: Field<String>,
    /// Successes in a row until a target is healthy.
    #[schemars(range(min = 1, max = 100))]
    pub healthy: Field<i64>,
    /// Failures in a row until a target is unhealthy.
    #[schemars(range(min = 1, max = 100))]
    pub unhealthy: Field<i64>,
}

/// False, or when a target is left out.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawEject {
    Flag(bool),
    Table(RawEjectTable),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawEjectTable {
    /// Failures in a row: to connect, resets, and statuses from 500 on.
    #[schemars(range(min = 1, max = 1000))]
    pub failures: Field<i64>,
    /// How long the target gets no request, from 100ms to 5m; doubled each time.
    #[schemars(rename = "for")]
    #[schemars(extend("pattern" = DURATION))]
    pub duration: Field<String>,
    /// The largest share of the targets that is left out at once, such as "50%".
    #[schemars(extend("pattern" = PERCENT))]
    pub at_most: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRetry {
    /// How often a request is sent again at most.
    #[schemars(range(min = 0, max = 10))]
    pub attempts: Field<i64>,
    /// What a request is sent again after: "connect", and for idempotent methods "reset" and statuses such as "502".
    #[schemars(extend("items" = { "type": "string", "pattern": RETRIED }))]
    pub on: Field<Vec<Located<String>>>,
    /// Requests that are sent again, as a share of all, such as "20%".
    #[schemars(extend("pattern" = PERCENT))]
    pub budget: Field<String>,
}
