//! Where in the two files a key may stand, for a user who wrote it elsewhere.

use std::cell::OnceCell;

use serde_json::Value;

use super::super::schema;

/// Keys that mean something else in other tables: only a table below the one where the user wrote such a key is meant.
const COMMON: [&str; 22] = [
    "attempts", "ca", "client", "cookie", "failures", "file", "for", "header", "headers", "host",
    "interval", "key", "method", "minimum", "mode", "name", "on", "path", "query", "status",
    "timeout", "version",
];

/// The tables of both files, and their keys; read from the schema when the first key is looked up.
#[derive(Default)]
pub struct Homes(OnceCell<[(Value, &'static str); 2]>);

impl Homes {
    /// The tables that have such a key, in words; `from` leads to the table where the user wrote it.
    pub fn of(&self, key: &str, from: &[String]) -> Vec<String> {
        let files = self.0.get_or_init(|| {
            let (watershed, service) = schema::schema();
            [(watershed, "watershed.toml"), (service, "a service's file")]
        });
        files.iter().flat_map(|(schema, file)| places(schema, file, key, from)).collect()
    }
}

fn places(schema: &Value, file: &str, key: &str, from: &[String]) -> impl Iterator<Item = String> {
    let mut all = schema::tables_with(schema, key);
    all.retain(|table| may_be_meant(key, from, table));
    let tables: Vec<String> =
        all.iter().filter(|table| !table.is_empty()).map(|table| format!("`{table}`")).collect();
    let top = (tables.len() < all.len()).then(|| format!("at the top of {file}"));
    let below = (!tables.is_empty()).then(|| format!("in {} of {file}", tables.join(" or ")));
    top.into_iter().chain(below)
}

fn may_be_meant(key: &str, from: &[String], table: &str) -> bool {
    let is_common = COMMON.contains(&key);
    let below = from.iter().map(|key| format!("{key}.")).collect::<String>();
    !is_common || table.trim_matches(['[', ']']).starts_with(&below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_elsewhere_is_told_where() {
        let homes = Homes::default();
        assert_eq!(homes.of("token-file", &[]), ["in `[admin]` of watershed.toml"]);
        let shares = ["in `[[traffic.rules]]` or `[traffic]` of a service's file"];
        assert_eq!(homes.of("split", &[]), shares);
        assert_eq!(homes.of("domains", &[]), ["at the top of a service's file"]);
        let limits = [
            "in `[defaults.limits]` of watershed.toml",
            "in `[versions.limits]` of a service's file",
        ];
        assert_eq!(homes.of("memory", &[]), limits);
        let names = [
            "in `[[environments]]` of watershed.toml",
            "at the top of a service's file",
            "in `[[traffic.rules]]` or `[traffic.sticky.cookie]` or `[[versions]]` of a service's file",
        ];
        assert_eq!(homes.of("name", &[]), names);
        assert!(homes.of("moon", &[]).is_empty());
        let from = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert!(
            homes.of("mode", &from("server")).is_empty(),
            "users' stickiness is nothing of a listener"
        );
        assert_eq!(
            homes.of("key", &from("server.tls")),
            ["in `[[server.tls.certificates]]` of watershed.toml"]
        );
        assert_eq!(
            homes.of("rescue", &from("versions.upstream")),
            ["in `[traffic]` of a service's file"]
        );
    }
}
