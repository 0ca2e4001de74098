//! The files as they are written: one struct for each table, every key optional and with its place in the text. No
//! behaviour and no defaults. `read` fills the structs, `validate` turns them into the model, and `schema` takes its
//! descriptions from the doc comments here.

mod env;
mod server;
mod traffic;
mod upstream;

pub use env::{RawEnvValue, RawSecret};
pub use server::{RawCertificate, RawConnectionLimits, RawServer, RawServerTls};
pub use traffic::{
    RawConditions, RawCookie, RawMatch, RawOverrides, RawPercent, RawRateLimit, RawRule, RawSplit,
    RawSticky, RawTraffic,
};
pub use upstream::{
    RawEject, RawEjectTable, RawHealth, RawRetry, RawTarget, RawTargets, RawTls, RawUpstream,
    RawUpstreamTable, RawWeightedTarget,
};

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use toml::Spanned;

// No doc comment here and on `Entries`: it would describe every key of the JSON Schema.
// A value with its place in the file. Our own type, since `Spanned` has no JSON Schema.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct Located<T>(#[schemars(with = "T")] Spanned<T>);

impl<T> Located<T> {
    pub fn new(span: Range<usize>, value: T) -> Self {
        Self(Spanned::new(span, value))
    }

    pub fn value(&self) -> &T {
        self.0.get_ref()
    }

    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }

    pub fn into_parts(self) -> (Range<usize>, T) {
        (self.0.span(), self.0.into_inner())
    }
}

// A table whose keys the user chooses, sorted by key.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct Entries<T>(
    #[schemars(with = "BTreeMap<String, T>")] pub Vec<(Located<String>, Located<T>)>,
);

/// An optional key.
pub type Field<T> = Option<Located<T>>;

/// The `pattern` of a duration in the schema.
const DURATION: &str = "^[0-9]+ *(ms|s|m|h)$";

/// The `pattern` of a duration, or of its absence, in the schema.
const DURATION_OR_NONE: &str = "^([0-9]+ *(ms|s|m|h)|none)$";

/// The `pattern` of a digest in the schema.
const DIGEST: &str = "^sha256:[0-9a-fA-F]{64}$";

/// The `pattern` of a name in the schema.
const LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// # watershed.toml
///
/// The main file of Watershed: where it listens, what it may use, and which environments it serves.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawWatershed {
    /// How requests reach the proxy.
    pub server: Option<RawServer>,
    /// How operators reach the proxy: status API, metrics and health.
    pub admin: Option<RawAdmin>,
    /// Where state is kept that must survive a restart.
    pub state: Option<RawState>,
    /// Where `watershed deploy` keeps copies of components.
    pub components: Option<RawComponents>,
    /// Defaults for every version that sets no limits of its own.
    pub defaults: Option<RawDefaults>,
    /// Namespaces of services, each with one domain. Without any, there is one environment, "default", at localhost.
    pub environments: Option<Vec<Located<RawEnvironment>>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawAdmin {
    /// One address with a port; loopback unless token-file is set.
    pub listen: Field<String>,
    /// A file with the tokens that open the listener, relative to this file: one a line, as `TOKEN` or `ROLE TOKEN NAME`, with the role `viewer` or `operator`.
    pub token_file: Field<String>,
    /// Host names under which the listener answers, beside addresses and loopback names.
    pub hosts: Option<Vec<Located<String>>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawState {
    /// Where the history and the compile cache are, relative to this file.
    pub directory: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawComponents {
    /// Where `watershed deploy` copies components to, relative to this file.
    pub directory: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawDefaults {
    /// Limits of every version that does not set its own.
    pub limits: Option<RawLimits>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawEnvironment {
    /// A DNS label.
    #[schemars(extend("pattern" = LABEL))]
    #[schemars(required)]
    pub name: Field<String>,
    /// The domain under which every service of the environment gets its default domain.
    #[schemars(required)]
    pub domain: Field<String>,
    /// A glob for the services' files, relative to this file. It has a fixed depth, so no `**`.
    pub services: Field<String>,
}

/// # A service of Watershed
///
/// One file declares one service: its domains, its versions and which requests each version gets.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawService {
    /// A DNS label; by default the file's name without .toml.
    #[schemars(extend("pattern" = LABEL))]
    pub name: Field<String>,
    /// Hosts beside the default domain: names and addresses; "*.example.org" matches one label, and "*" every host that
    /// no other domain matches.
    pub domains: Option<Vec<Located<String>>>,
    /// Parts of domains that several services share.
    pub routes: Option<Vec<Located<RawRoute>>>,
    /// Deployable versions, oldest first.
    pub versions: Option<Vec<Located<RawVersion>>>,
    /// Which share each version gets; by default the latest version gets everything.
    pub traffic: Field<RawTraffic>,
    /// Components that must not get traffic, by their digests.
    pub quarantine: Option<Vec<Located<RawQuarantined>>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRoute {
    /// As in `domains`.
    #[schemars(required)]
    pub domain: Field<String>,
    /// A prefix of whole segments, such as "/api".
    #[schemars(extend("pattern" = "^/"))]
    pub path: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [{ "required": ["component"] }, { "required": ["upstream"] }]))]
pub struct RawVersion {
    /// A DNS label without "--".
    #[schemars(extend("pattern" = LABEL))]
    #[schemars(required)]
    pub name: Field<String>,
    /// The WebAssembly component, relative to this file.
    pub component: Field<String>,
    /// HTTP services on the network, instead of a component: their addresses, or a table with them.
    pub upstream: Field<RawUpstream>,
    /// The component is refused if its SHA-256 differs from this one.
    #[schemars(regex(pattern = DIGEST))]
    pub digest: Field<String>,
    /// The environment variables that the guest sees: texts, or where to find secrets.
    pub env: Field<Entries<RawEnvValue>>,
    /// What the guest may reach: origins such as "https://api.example.com" or "http://*.svc.local:8080", networks of
    /// addresses such as "10.1.0.0/16", and "service:ENVIRONMENT/NAME"; by default nothing.
    pub outbound: Field<Vec<Located<String>>>,
    /// A note for people.
    pub remark: Option<String>,
    /// Who may get the version: everybody; pinned users, and overrides; overrides; or nobody.
    #[schemars(extend("enum" = ["live", "pinned", "override", "cutoff"]))]
    pub reach: Field<String>,
    /// What the version may use.
    pub limits: Option<RawLimits>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawLimits {
    /// All linear memories and tables of one instance together, from 64KiB to 4GiB.
    pub memory: Field<RawSize>,
    /// CPU time of one request, by the clock of its thread, from 1ms to 1h.
    #[schemars(extend("pattern" = DURATION))]
    pub cpu_time: Field<String>,
    /// Time until the response head, less the client's time, from 1ms to 24h.
    #[schemars(extend("pattern" = DURATION))]
    pub wall_time: Field<String>,
    /// Time between two parts of a response, less the client's time, from 1ms to 24h; "none" for streams of events; by
    /// default as long as wall-time.
    #[schemars(extend("pattern" = DURATION_OR_NONE))]
    pub idle_time: Field<String>,
    /// The largest request body, up to 1TiB.
    pub request_body: Field<RawSize>,
    /// Requests of one version in flight; more wait for queue-time.
    #[schemars(range(min = 1, max = 100_000))]
    pub concurrency: Field<i64>,
    /// How long a request may wait for its turn before it gets a 503, up to 1m.
    #[schemars(extend("pattern" = DURATION))]
    pub queue_time: Field<String>,
    /// Requests that one instance may serve; 1 means a fresh sandbox for every request.
    #[schemars(range(min = 1, max = u32::MAX))]
    pub instance_reuse: Field<i64>,
    /// Calls that a guest may make for one request.
    #[schemars(range(min = 1, max = 100_000))]
    pub outbound_requests: Field<i64>,
    /// Calls of one version's guests in flight; more are refused.
    #[schemars(range(min = 1, max = 100_000))]
    pub outbound_concurrency: Field<i64>,
}

/// A number of bytes, or a number with a unit.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum RawSize {
    Bytes(i64),
    Text(#[schemars(regex(pattern = "^[0-9]+ *([KMGT]i?B|B)?$"))] String),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawQuarantined {
    /// The SHA-256 of the component.
    #[schemars(regex(pattern = DIGEST))]
    #[schemars(required)]
    pub digest: Field<String>,
    /// The SHA-256 of the environment, where only a version with this one is meant.
    #[schemars(regex(pattern = DIGEST))]
    pub env: Field<String>,
    /// What the version was called, a DNS label without "--".
    #[schemars(extend("pattern" = LABEL))]
    #[schemars(required)]
    pub version: Field<String>,
    /// The reason, for people.
    pub remark: Option<String>,
}
