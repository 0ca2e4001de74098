//! The listener of requests as it is written: `[server]` and the tables below it.

use schemars::JsonSchema;

use super::{DURATION, Field, Located, RawSize};

/// The `pattern` of `watch` in the schema.
const WATCH: &str = "^(events|poll: *[0-9]+ *(ms|s|m|h))$";

/// The `pattern` of a duration that may be written in days.
const DURATION_OR_DAYS: &str = "^[0-9]+ *(ms|s|m|h|d)$";

/// The `pattern` of bytes a second, or of the absence of a bound, in the schema.
const BYTE_RATE: &str = "^([0-9]+ *([KMGT]i?B|B)?/s|none)$";

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawServer {
    /// Addresses with ports for HTTP/1.1 and cleartext HTTP/2, such as "127.0.0.1:8080".
    pub listen: Field<Vec<Located<String>>>,
    /// Worker threads; 0 means one for each core.
    #[schemars(range(min = 0, max = 1024))]
    pub threads: Field<i64>,
    /// Sandboxes that may exist at once, over all versions: those that serve a request, and those
    /// that wait for one. Each takes 4 GiB of address space, and memory only for what its guest
    /// uses.
    #[schemars(range(min = 1, max = 10_000))]
    pub sandboxes: Field<i64>,
    /// How long requests in flight may finish on SIGTERM, up to 1h.
    #[schemars(extend("pattern" = DURATION))]
    pub grace_period: Field<String>,
    /// How long new requests are still served after SIGTERM, while /readyz says 503 already and every response closes
    /// its connection; up to 10m. Then the grace period begins.
    #[schemars(extend("pattern" = DURATION))]
    pub drain_delay: Field<String>,
    /// Which response headers show the decision: none; watershed-version; or also watershed-decision and
    /// watershed-generation.
    #[schemars(extend("enum" = ["none", "version", "decision"]))]
    pub expose: Field<String>,
    /// How changes of files are noticed: "events", or "poll:" with an interval (100ms to 1h), for file systems without
    /// events, such as NFS.
    #[schemars(extend("pattern" = WATCH))]
    pub watch: Field<String>,
    /// A path of the traffic port that says whether the process serves: 200 for any host, 503 once it drains. By default
    /// there is none.
    #[schemars(extend("pattern" = "^/"))]
    pub health_path: Field<String>,
    /// Whether connections of trusted proxies begin with the address of the client in the PROXY protocol; all others are
    /// closed then.
    #[schemars(extend("enum" = ["off", "v1-v2"]))]
    pub proxy_protocol: Field<String>,
    /// Addresses and networks, such as "10.0.0.0/8", of the proxies whose word on the client and the scheme is believed
    /// and whose word on the host is passed on; by default nobody's.
    pub trusted_proxies: Field<Vec<Located<String>>>,
    /// HTTPS: where it is listened for, and the certificates. Without the table there is none.
    pub tls: Field<RawServerTls>,
    /// What a client may use of the listener.
    pub limits: Option<RawConnectionLimits>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawServerTls {
    /// Addresses with ports for HTTPS, over which a client chooses HTTP/2 or HTTP/1.1.
    pub listen: Field<Vec<Located<String>>>,
    /// The oldest version of TLS that a client may speak.
    #[schemars(extend("enum" = ["1.2", "1.3"]))]
    pub minimum: Field<String>,
    /// Whether a cleartext request for a name that has a certificate gets a 308 to HTTPS.
    pub redirect: Field<bool>,
    /// How long browsers are told to use HTTPS only (Strict-Transport-Security), up to 730d; by default they are not told.
    #[schemars(extend("pattern" = DURATION_OR_DAYS))]
    pub hsts: Field<String>,
    /// A file with the keys of session tickets, relative to this file; by default they are made at start, so that no
    /// session outlives the process.
    pub ticket_keys: Field<String>,
    /// Certificates with their keys; the first is for clients that name no host, or one that no certificate has.
    #[schemars(required)]
    #[schemars(extend("minItems" = 1, "maxItems" = 10_000))]
    pub certificates: Field<Vec<Located<RawCertificate>>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCertificate {
    /// A PEM file with the certificate and its chain, relative to this file.
    #[schemars(required)]
    #[schemars(extend("minLength" = 1))]
    pub certificate: Field<String>,
    /// A PEM file with the key of the certificate, relative to this file.
    #[schemars(required)]
    #[schemars(extend("minLength" = 1))]
    pub key: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawConnectionLimits {
    /// The largest head of a request, from 4KiB to 1MiB; a larger one gets a 431.
    pub head: Field<RawSize>,
    /// Header fields of a request; more get a 431.
    #[schemars(range(min = 1, max = 256))]
    pub headers: Field<i64>,
    /// Time from the first byte of a head to its last, from 1s to 5m; then a 408.
    #[schemars(extend("pattern" = DURATION))]
    pub head_time: Field<String>,
    /// How long a connection may be kept without a request, from 1s to 1h.
    #[schemars(extend("pattern" = DURATION))]
    pub idle_time: Field<String>,
    /// Connections of clients that may be open; more wait to be accepted, after those that are idle or slow to ask have
    /// given way.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: Field<i64>,
    /// The slowest rate at which a client may send a body, or take one, over 30 seconds, from 1B/s to 1MiB/s; "none" for
    /// any.
    #[schemars(extend("pattern" = BYTE_RATE))]
    pub client_rate: Field<String>,
    /// Requests in flight of one HTTP/2 connection.
    #[schemars(range(min = 1, max = 10_000))]
    pub streams: Field<i64>,
    /// Requests that the client of an HTTP/2 connection may take back within ten seconds; more end the connection.
    #[schemars(range(min = 1, max = 100_000))]
    pub resets: Field<i64>,
}
