//! A declaration in the words of its file, with every default written out, but those of `rescue`, and every path absolute. The history keeps
//! these words of a service; a rollback compares them and writes them again. Two declarations with one meaning have the
//! same words.

mod upstream;

use std::path::Path;

use toml::{Table, Value};

use super::{
    BackendSpec, CookieSettings, Destination, EnvValue, GuestLimits, GuestSpec, IdleTime, Limits,
    Match, Overrides, Percent, PolicySpec, RateLimit, Reach, Rescue, Rule, SecretSource, Service,
    Split, Sticky, StickyKey, StickyMode, Traffic, VersionSpec, show_duration,
};

/// The key of `[traffic]` that limits requests, and decides nothing between versions.
pub const RATE_LIMIT: &str = "rate-limit";

impl VersionSpec {
    /// The `[[versions]]` entry of a version with this reach. The reach is a part of the entry and not of the version,
    /// because it changes without the version being made anew.
    pub fn written_with(&self, reach: Reach) -> Table {
        let mut table = self.written();
        put(&mut table, "reach", reach.as_str());
        table
    }

    /// The `[[versions]]` entry of a version, without `reach`.
    pub fn written(&self) -> Table {
        let Self { name, remark, backend, limits, place: _ } = self;
        let (mut table, mut limits) = (Table::new(), limits.written());
        put(&mut table, "name", name.as_str());
        if let Some(remark) = remark {
            put(&mut table, "remark", remark.clone());
        }
        match backend {
            BackendSpec::Guest(guest) => guest.write(&mut table, &mut limits),
            BackendSpec::Upstream(upstream) => {
                put(&mut table, "upstream", upstream.written());
            }
        }
        put(&mut table, "limits", limits);
        table
    }
}

impl GuestSpec {
    /// Adds the keys of a guest to those of its version.
    fn write(&self, version: &mut Table, table: &mut Table) {
        let Self { component, digest, env, outbound, limits } = self;
        put(version, "component", path(component));
        if let Some(digest) = digest {
            put(version, "digest", digest.to_string());
        }
        let env: Table = env.iter().map(|(key, value)| (key.clone(), value.written())).collect();
        put(version, "env", env);
        if !outbound.is_empty() {
            put(version, "outbound", texts(outbound));
        }
        table.extend(limits.entries().map(|(key, value)| (key.to_owned(), value)));
    }
}

impl EnvValue {
    /// A value of `env`: a text, or a table with the place of a secret.
    pub fn written(&self) -> Value {
        match self {
            Self::Plain(text) => Value::from(text.as_str()),
            Self::Secret(source) => source.written(),
        }
    }

    /// Reads what [`EnvValue::written`] has written; `None` for anything else.
    pub fn read(written: &Value) -> Option<Self> {
        match written {
            Value::String(text) => Some(Self::Plain(text.clone())),
            Value::Table(table) => SecretSource::read(table).map(Self::Secret),
            _ => None,
        }
    }
}

impl SecretSource {
    /// A table of one key: the kind of place, with the place.
    fn written(&self) -> Value {
        let (key, place) = match self {
            Self::File(file) => (Self::FILE, path(file)),
            Self::FromEnv(variable) => (Self::FROM_ENV, variable.clone()),
        };
        Value::Table([(key.to_owned(), Value::from(place))].into_iter().collect())
    }

    fn read(written: &Table) -> Option<Self> {
        let text = |key: &str| written.get(key).and_then(Value::as_str);
        let file = text(Self::FILE).map(|file| Self::File(file.into()));
        file.or_else(|| Some(Self::FromEnv(text(Self::FROM_ENV)?.to_owned())))
    }
}

impl Limits {
    /// Each limit of a version by its key, in the words of the file: a text, or a whole number.
    pub fn entries(&self) -> [(&'static str, Value); 5] {
        let Self { wall_time, idle_time: _, request_body, concurrency, queue_time } = self;
        let idle_time = self.idle_time().map(show_duration);
        let idle_time = idle_time.unwrap_or_else(|| IdleTime::NONE.to_owned());
        [
            ("wall-time", Value::from(show_duration(*wall_time))),
            ("idle-time", Value::from(idle_time)),
            ("request-body", Value::from(request_body.to_string())),
            ("concurrency", Value::from(concurrency.get())),
            ("queue-time", Value::from(show_duration(*queue_time))),
        ]
    }

    fn written(&self) -> Table {
        self.entries().map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
    }
}

impl GuestLimits {
    /// Each limit of a guest by its key, in the words of the file: a text, or a whole number.
    pub fn entries(&self) -> [(&'static str, Value); 5] {
        let Self { memory, cpu_time, instance_reuse, outbound_requests, outbound_concurrency } =
            self;
        [
            ("memory", Value::from(memory.to_string())),
            ("cpu-time", Value::from(show_duration(*cpu_time))),
            ("instance-reuse", Value::from(instance_reuse.get())),
            ("outbound-requests", Value::from(outbound_requests.get())),
            ("outbound-concurrency", Value::from(outbound_concurrency.get())),
        ]
    }
}

impl Service {
    /// A service's keys beside its versions and their shares, in the words of the file: the keys of `[traffic]`, with
    /// `domains` and `routes`.
    pub fn written(&self) -> Table {
        let Self { domains, routes, traffic, .. } = self;
        let mut table = self.written_policy();
        put(&mut table, "domains", texts(domains));
        put(&mut table, "routes", texts(routes));
        put(&mut table, "latest", *traffic == Traffic::Latest);
        table
    }

    /// The keys of `[traffic]` beside the shares.
    pub fn written_policy(&self) -> Table {
        // The reach of a version stands in its `[[versions]]` entry.
        let PolicySpec {
            pick,
            propagate,
            overrides,
            rules,
            sticky,
            reach: _,
            rescue,
            when_unhealthy,
            rate_limit,
        } = &self.policy;
        let mut table = Table::new();
        put(&mut table, "pick", pick.as_str());
        put(&mut table, "propagate", *propagate);
        if let Some(overrides) = overrides {
            put(&mut table, "override", overrides.written());
        }
        if let Some(sticky) = sticky {
            put(&mut table, "sticky", sticky.written());
        }
        let rules = rules.iter().map(|rule| Value::Table(self.written_rule(rule)));
        put(&mut table, "rules", rules.collect::<Vec<_>>());
        if let Some(Rescue { version, buffer, methods, statuses }) = rescue {
            put(&mut table, "rescue", self.named(*version));
            // Not as usual only: they come and go with the version, and each would be told as a change of its own.
            if *buffer != Rescue::BUFFER_DEFAULT {
                put(&mut table, "rescue-buffer", buffer.to_string());
            }
            for (key, list) in
                [("rescue-methods", methods.clone()), ("rescue-statuses", texts(statuses))]
            {
                if !list.is_empty() {
                    put(&mut table, key, list);
                }
            }
        }
        put(&mut table, "when-unhealthy", when_unhealthy.as_str());
        if let Some(limit) = rate_limit {
            put(&mut table, RATE_LIMIT, limit.written());
        }
        table
    }

    fn written_rule(&self, rule: &Rule) -> Table {
        let Rule { name, matches, to, otherwise } = rule;
        let mut table = Table::new();
        put(&mut table, "name", name.as_str());
        let matches = matches.written();
        if !matches.is_empty() {
            put(&mut table, "match", matches);
        }
        match to {
            Destination::Version(index) => put(&mut table, "version", self.named(*index)),
            Destination::Split(split) => put(&mut table, "split", self.written_split(split)),
        }
        put(&mut table, "otherwise", otherwise.as_str());
        table
    }

    /// The versions with a share. Whole percentages are written as whole numbers.
    fn written_split(&self, split: &Split) -> Table {
        let some = split.shares().iter().filter(|(_, share)| *share > Percent::ZERO);
        let share = |(index, share): &(usize, Percent)| (self.named(*index), percent(*share));
        some.map(share).collect()
    }

    fn named(&self, index: usize) -> String {
        self.versions.get(index).map(|spec| spec.name.to_string()).unwrap_or_default()
    }
}

fn percent(share: Percent) -> Value {
    let hundredths = share.hundredths();
    match hundredths.is_multiple_of(100) {
        true => Value::Integer((hundredths / 100).into()),
        false => Value::Float(f64::from(hundredths) / 100.0),
    }
}

impl Match {
    fn written(&self) -> Table {
        let Self { path, method, header, query, cookie, client } = self;
        let mut table = Table::new();
        let one = [
            ("path", path.as_ref().map(ToString::to_string)),
            ("method", method.clone()),
            ("client", client.map(|network| network.to_string())),
        ];
        for (key, text) in one {
            text.into_iter().for_each(|text| put(&mut table, key, text));
        }
        for (key, conditions) in [("header", header), ("query", query), ("cookie", cookie)] {
            let said = conditions.iter().map(|(name, glob)| (name.clone(), glob.to_string()));
            let said: Table = said.map(|(name, glob)| (name, Value::from(glob))).collect();
            if !said.is_empty() {
                put(&mut table, key, said);
            }
        }
        table
    }
}

impl Sticky {
    fn written(&self) -> Table {
        let Self { key, mode } = self;
        let mut table = Table::new();
        put(&mut table, "key", key.to_string());
        put(&mut table, "mode", mode.as_str());
        if let StickyMode::Pin { ttl } = mode {
            put(&mut table, "ttl", show_duration(*ttl));
        }
        if let StickyKey::Generated(cookie) = key {
            put(&mut table, "cookie", cookie.written());
        }
        table
    }
}

impl RateLimit {
    fn written(&self) -> Table {
        let Self { key, rate, burst } = self;
        let mut table = Table::new();
        put(&mut table, "key", key.to_string());
        put(&mut table, "rate", rate.to_string());
        put(&mut table, "burst", burst.get());
        table
    }
}

impl CookieSettings {
    fn written(&self) -> Table {
        let Self { name, ttl, secure, http_only, same_site } = self;
        let mut table = Table::new();
        put(&mut table, "name", name.as_str());
        put(&mut table, "ttl", show_duration(*ttl));
        put(&mut table, "secure", *secure);
        put(&mut table, "http-only", *http_only);
        put(&mut table, "same-site", same_site.as_str());
        table
    }
}

impl Overrides {
    fn written(&self) -> Table {
        let Self { header, query, cookie, preview_domains, secret } = self;
        let mut table = Table::new();
        put(&mut table, "header", *header);
        for (key, name) in [("query", query), ("cookie", cookie)] {
            name.iter().for_each(|name| put(&mut table, key, name.clone()));
        }
        put(&mut table, "preview-domains", *preview_domains);
        if let Some(secret) = secret {
            put(&mut table, "secret", secret.written());
        }
        table
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
