//! The JSON Schema of both files, for editors that check and complete TOML. It is made from the raw structs, whose doc
//! comments become its descriptions, and from the model, whose defaults it shows.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::model::{
    AdminSettings, ComponentSettings, ConnectionLimits, CookieSettings, Environment, GuestLimits,
    HealthSpec, Limits, Otherwise, Pick, Reach, Rescue, Route, ServerSettings, StateSettings,
    Sticky, StickyMode, TlsSettings, UpstreamSpec, WhenUnhealthy, show_duration,
};
use super::raw::{RawService, RawWatershed};

/// The schemas of `watershed.toml` and of a service's file.
pub fn schema() -> (Value, Value) {
    let mut watershed = of::<RawWatershed>();
    for (pointer, default) in defaults() {
        show_default(&mut watershed, &pointer, default);
    }
    let mut service = of::<RawService>();
    for (pointer, default) in service_defaults() {
        show_default(&mut service, &pointer, default);
    }
    (watershed, service)
}

/// The tables of a schema that have a key, by their headers; "" is the top of the file.
pub fn tables_with(schema: &Value, key: &str) -> Vec<String> {
    let mut tables = Vec::new();
    add_tables_with(schema, key, &mut Vec::new(), false, &mut tables);
    tables
}

fn add_tables_with<'a>(
    schema: &'a Value,
    key: &str,
    path: &mut Vec<&'a str>,
    is_item: bool,
    tables: &mut Vec<String>,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if name == key {
            tables.push(match path.as_slice() {
                [] => String::new(),
                path if is_item => format!("[[{}]]", path.join(".")),
                path => format!("[{}]", path.join(".")),
            });
        }
        path.push(name);
        let items = property.get("items");
        add_tables_with(items.unwrap_or(property), key, path, items.is_some(), tables);
        // A table that may be something else instead.
        for choice in property.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
            add_tables_with(choice, key, path, false, tables);
        }
        path.pop();
    }
}

fn of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    forget_null(&mut schema);
    schema
}

/// TOML has no null: an optional key is simply not required.
fn forget_null(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            forget_null_type(entries);
            forget_null_choice(entries);
            entries.values_mut().for_each(forget_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_null),
        _ => {}
    }
}

fn forget_null_type(entries: &mut Map<String, Value>) {
    let Some(Value::Array(types)) = entries.get_mut("type") else {
        return;
    };
    types.retain(|kind| kind != "null");
    if let [only] = types.as_slice() {
        let only = only.clone();
        entries.insert("type".to_owned(), only);
    }
}

fn forget_null_choice(entries: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = entries.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type") != Some(&json!("null")));
    let [Value::Object(only)] = choices.as_slice() else {
        return;
    };
    let only = only.clone();
    entries.remove("anyOf");
    // The key's own description is more specific than its type's.
    for (keyword, value) in only {
        entries.entry(keyword).or_insert(value);
    }
}

/// In a pointer, `key[]` is each item of the array at a key, and `key{}` the table at a key that may be something else.
fn show_default(schema: &mut Value, pointer: &str, default: Value) {
    let keys = pointer.replace('/', "/properties/").replace("[]", "/items");
    let keys = keys.replace("{}", "/anyOf/1");
    if let Some(Value::Object(entries)) = schema.pointer_mut(&keys) {
        entries.insert("default".to_owned(), default);
    }
}

fn defaults() -> Vec<(String, Value)> {
    let ServerSettings {
        listen,
        threads,
        sandboxes,
        grace_period,
        drain_delay,
        expose,
        watch,
        health_path: _,
        proxy_protocol,
        trusted_proxies: _,
        tls: _,
        limits,
    } = ServerSettings::default();
    let TlsSettings { listen: https, minimum, redirect, .. } = TlsSettings::default();
    let admin = AdminSettings::default();
    let connections = connection_defaults(&limits);
    let mut defaults = vec![
        ("/server/listen".to_owned(), json!(listen)),
        ("/server/threads".to_owned(), json!(threads)),
        ("/server/sandboxes".to_owned(), json!(sandboxes)),
        ("/server/grace-period".to_owned(), json!(show_duration(grace_period))),
        ("/server/drain-delay".to_owned(), json!(show_duration(drain_delay))),
        ("/server/expose".to_owned(), json!(expose.as_str())),
        ("/server/watch".to_owned(), json!(watch.to_string())),
        ("/server/proxy-protocol".to_owned(), json!(proxy_protocol.as_str())),
        ("/server/trusted-proxies".to_owned(), json!([])),
        ("/server/tls/listen".to_owned(), json!(https)),
        ("/server/tls/minimum".to_owned(), json!(minimum.as_str())),
        ("/server/tls/redirect".to_owned(), json!(redirect)),
        ("/admin/listen".to_owned(), json!(admin.listen)),
        ("/admin/hosts".to_owned(), json!(admin.hosts)),
        ("/state/directory".to_owned(), json!(StateSettings::DIRECTORY)),
        ("/components/directory".to_owned(), json!(ComponentSettings::DIRECTORY)),
        ("/environments[]/services".to_owned(), json!(Environment::SERVICES)),
    ];
    let limits =
        limit_defaults().into_iter().map(|(key, value)| (format!("/defaults/limits/{key}"), value));
    defaults.extend(limits);
    defaults.extend(connections.map(|(key, value)| (format!("/server/limits/{key}"), value)));
    defaults
}

fn connection_defaults(limits: &ConnectionLimits) -> [(&'static str, Value); 8] {
    let ConnectionLimits {
        head,
        headers,
        head_time,
        idle_time,
        connections,
        client_rate: _,
        streams,
        resets,
    } = limits;
    [
        ("head", json!(head.to_string())),
        ("headers", json!(headers)),
        ("head-time", json!(show_duration(*head_time))),
        ("idle-time", json!(show_duration(*idle_time))),
        ("connections", json!(connections)),
        ("client-rate", json!(limits.client_rate_written())),
        ("streams", json!(streams)),
        ("resets", json!(resets)),
    ]
}

fn service_defaults() -> Vec<(String, Value)> {
    let CookieSettings { name, ttl, secure, http_only, same_site } = CookieSettings::default();
    let cookie = [
        ("name", json!(name)),
        ("ttl", json!(show_duration(ttl))),
        ("secure", json!(secure)),
        ("http-only", json!(http_only)),
        ("same-site", json!(same_site.as_str())),
    ];
    let cookie = cookie.map(|(key, value)| (format!("/traffic/sticky/cookie/{key}"), value));
    let others = [
        ("/routes[]/path", json!(Route::WHOLE)),
        ("/versions[]/reach", json!(Reach::default().as_str())),
        ("/traffic/pick", json!(Pick::default().as_str())),
        ("/traffic/propagate", json!(false)),
        ("/traffic/rules[]/otherwise", json!(Otherwise::default().as_str())),
        ("/traffic/sticky/mode", json!(StickyMode::default().as_str())),
        ("/traffic/sticky/ttl", json!(show_duration(Sticky::DEFAULT_TTL))),
        ("/traffic/override/header", json!(false)),
        ("/traffic/override/preview-domains", json!(false)),
        ("/versions[]/upstream{}/targets[]{}/weight", json!(1)),
        ("/traffic/rescue-buffer", json!(Rescue::BUFFER_DEFAULT.to_string())),
        ("/traffic/rescue-methods", json!([])),
        ("/traffic/rescue-statuses", json!([])),
        ("/traffic/when-unhealthy", json!(WhenUnhealthy::default().as_str())),
    ];
    let others = others.map(|(key, value)| (key.to_owned(), value));
    others.into_iter().chain(cookie).chain(upstream_defaults()).collect()
}

/// Of a table that is there: nothing is checked where there is no table `health`.
fn upstream_defaults() -> impl Iterator<Item = (String, Value)> {
    let health = HealthSpec { path: Some(String::new()), ..HealthSpec::default() };
    let upstream = UpstreamSpec { health: Some(health), ..UpstreamSpec::new(Vec::new()) };
    let tables = ["", "/health", "/eject{}", "/retry"];
    tables.into_iter().flat_map(move |table| {
        let mut written = upstream.written();
        let key = table.trim_matches(['/', '{', '}']);
        if !key.is_empty() {
            written = written.remove(key).and_then(|it| it.as_table().cloned()).unwrap_or_default();
        }
        written.remove("path");
        let values =
            written.into_iter().filter(|(key, value)| !value.is_table() && key != "targets");
        values.map(move |(key, value)| {
            (format!("/versions[]/upstream{{}}{table}/{key}"), json!(value))
        })
    })
}

/// Without those that follow another key.
fn limit_defaults() -> Vec<(&'static str, Value)> {
    let all = Limits::default().entries().into_iter().chain(GuestLimits::default().entries());
    let all = all.filter(|(key, _)| *key != "idle-time");
    all.map(|(key, written)| (key, json!(written))).collect()
}
