//! Which version gets which requests, as it is written: `[traffic]` and the tables below it.

use schemars::JsonSchema;

use super::{DURATION, Entries, Field, LABEL, Located, RawSecret, RawSize};

/// Versions and their shares.
pub type RawSplit = Entries<RawPercent>;

/// Names, and patterns for their values.
pub type RawConditions = Entries<String>;

/// The `pattern` of a token in the schema (RFC 9110, section 5.6.2).
const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The `pattern` of a method without lower case in the schema.
const METHOD: &str = "^[!#$%&'*+.^_`|~0-9A-Z-]+$";

/// The `pattern` of a rate limit's key in the schema.
const RATE_KEY: &str = "^(header:.+|cookie:.+|query:.+|client-address|service)$";

/// The `pattern` of a rate in the schema.
const RATE: &str = "^[0-9]+/[smh]$";

/// The `pattern` of a sticky key in the schema.
const STICKY_KEY: &str = "^(header:.+|cookie:.+|query:.+|client-address|generated)$";

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTraffic {
    /// Percentages with at most two decimals that add up to exactly 100, or all 0: the service is
    /// offline.
    pub split: Field<RawSplit>,
    /// The latest version that is normal gets everything.
    pub latest: Field<bool>,
    /// Whether each request is drawn by itself, or versions take turns, so that even a few requests follow the shares.
    #[schemars(extend("enum" = ["random", "smooth"]))]
    pub pick: Field<String>,
    /// Whether a component is told the lane of its request, to pass it on.
    pub propagate: Field<bool>,
    /// Kinds of requests, and the version that each gets: the first matching rule decides.
    pub rules: Option<Vec<Located<RawRule>>>,
    /// How requests of one user stay with one version.
    pub sticky: Field<RawSticky>,
    /// How a request may ask for a version.
    #[schemars(rename = "override")]
    pub overrides: Field<RawOverrides>,
    /// The version that answers the requests of a version that fails before its response begins.
    pub rescue: Field<String>,
    /// The largest request body that is kept for it, up to 16MiB.
    pub rescue_buffer: Field<RawSize>,
    /// Methods of requests that may be done twice, such as "POST", beside those for which that is harmless.
    #[schemars(extend("items" = { "type": "string", "pattern": METHOD }))]
    pub rescue_methods: Field<Vec<Located<String>>>,
    /// Statuses that count as failures too, such as "503".
    #[schemars(extend("items" = { "type": "string", "pattern": "^5[0-9][0-9]$" }))]
    pub rescue_statuses: Field<Vec<Located<String>>>,
    /// What happens to the requests of a version whose upstream has no healthy target: they fail, or the other versions
    /// get them in proportion to their shares.
    #[schemars(extend("enum" = ["fail", "others"]))]
    pub when_unhealthy: Field<String>,
    /// How often requests may come; more get a 429. By default as often as they like.
    pub rate_limit: Field<RawRateLimit>,
}

/// A percentage as it is written.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct RawPercent(#[schemars(range(min = 0, max = 100))] pub f64);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [{ "required": ["version"] }, { "required": ["split"] }]))]
pub struct RawRule {
    /// A DNS label.
    #[schemars(extend("pattern" = LABEL))]
    #[schemars(required)]
    pub name: Field<String>,
    /// Conditions that a request must meet, all of them; by default every request matches. In a pattern, `*` stands for
    /// any run of characters, including none, and `\` takes the next character literally.
    #[schemars(rename = "match")]
    pub matches: Field<RawMatch>,
    /// The version that the requests get.
    pub version: Field<String>,
    /// Percentages with at most two decimals that add up to exactly 100, instead of one version.
    pub split: Field<RawSplit>,
    /// What happens to a request whose version cannot take it: it is decided as if the rule had not matched, or it
    /// fails.
    #[schemars(extend("enum" = ["next", "fail"]))]
    pub otherwise: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawMatch {
    /// A pattern for the path, such as "/app/*".
    #[schemars(extend("pattern" = "^[/*]"))]
    pub path: Field<String>,
    /// A method, such as "GET".
    #[schemars(extend("pattern" = TOKEN))]
    pub method: Field<String>,
    /// Patterns for parameters of the query.
    pub query: Option<RawConditions>,
    /// Patterns for headers.
    pub header: Option<RawConditions>,
    /// Patterns for cookies.
    pub cookie: Option<RawConditions>,
    /// The address or network of the connection's other end, such as "10.0.0.0/8".
    pub client: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawSticky {
    /// What identifies the requests of one user: "header:NAME", "cookie:NAME", "query:NAME", "client-address", or
    /// "generated" for a cookie that watershed sets.
    #[schemars(extend("pattern" = STICKY_KEY))]
    #[schemars(required)]
    pub key: Field<String>,
    /// Users stay as long as the shares let them, or with the version that they got first.
    #[schemars(extend("enum" = ["hash", "pin"]))]
    pub mode: Field<String>,
    /// How long a pin holds, from 1s to 9600h.
    #[schemars(extend("pattern" = DURATION))]
    pub ttl: Field<String>,
    /// The cookie for a "generated" key.
    pub cookie: Field<RawCookie>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawRateLimit {
    /// What requests count by: "client-address" (of IPv6 the /64), "header:NAME", "cookie:NAME", "query:NAME", or
    /// "service" for all together. Requests without the header, cookie or parameter count by the client's address.
    #[schemars(extend("pattern" = RATE_KEY))]
    #[schemars(required)]
    pub key: Field<String>,
    /// How many requests of a key pass in a second, a minute or an hour, such as "100/s", "600/m" or "5/h".
    #[schemars(extend("pattern" = RATE))]
    #[schemars(required)]
    pub rate: Field<String>,
    /// How many requests of a key may come at once; by default the number of `rate`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Field<i64>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCookie {
    /// A token.
    #[schemars(extend("pattern" = TOKEN))]
    pub name: Field<String>,
    /// How long a browser keeps the cookie, from 1s to 9600h.
    #[schemars(extend("pattern" = DURATION))]
    pub ttl: Field<String>,
    /// Whether a browser sends the cookie over HTTPS only.
    pub secure: Field<bool>,
    /// Whether the cookie is hidden from scripts.
    pub http_only: Field<bool>,
    /// With which requests from other sites a browser sends the cookie; "none" only for a secure cookie.
    #[schemars(extend("enum" = ["lax", "strict", "none"]))]
    pub same_site: Field<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawOverrides {
    /// Whether the header watershed-version may name the version.
    pub header: Field<bool>,
    /// The query parameter that may name the version.
    #[schemars(extend("minLength" = 1))]
    pub query: Field<String>,
    /// The cookie that may name the version.
    #[schemars(extend("pattern" = TOKEN))]
    pub cookie: Field<String>,
    /// Whether VERSION-- in front of one of the service's domains names the version.
    pub preview_domains: Field<bool>,
    /// The secret that a request must have in the header watershed-key.
    pub secret: Field<RawSecret>,
}
