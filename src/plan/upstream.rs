//! Describes how the targets of an upstream are asked, key by key. Defaults are left out, so that a newer process, which
//! knows more keys, does not differ from an older one.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Table;

use crate::api::{Settings, Value};
use crate::config::UpstreamSpec;

/// Keys whose values are paths.
const PATHS: [&str; 3] = ["upstream.tls.ca", "upstream.tls.certificate", "upstream.tls.key"];

/// The settings of an upstream beside its addresses, in a configuration whose main file is in `root`.
pub fn settings(root: &Path, upstream: &UpstreamSpec) -> Settings {
    let default = UpstreamSpec::new(upstream.targets.clone());
    let [said, usual] = [upstream, &default].map(|upstream| {
        let (mut flat, mut table) = (BTreeMap::new(), upstream.written());
        // The addresses are what serves the version, which is described beside its settings.
        table.remove("targets");
        flatten("upstream", &table, &mut flat);
        flat
    });
    let own = said.into_iter().filter(|(key, text)| usual.get(key) != Some(text));
    let shown = |(key, text): (String, String)| {
        let is_path = PATHS.contains(&key.as_str());
        let value = if is_path { Value::path(root, Path::new(&text)) } else { Value::text(text) };
        (key, value)
    };
    let weighted = upstream.targets.iter().filter(|target| target.weight.get() != 1);
    let weights = weighted.map(|target| {
        (format!("upstream.targets.{}.weight", target.address), Value::text(target.weight))
    });
    own.map(shown).chain(weights).collect()
}

fn flatten(path: &str, table: &Table, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = format!("{path}.{key}");
        match value {
            toml::Value::Table(table) => flatten(&path, table, flat),
            toml::Value::Array(items) => {
                let items: Vec<_> = items.iter().map(text).collect();
                flat.insert(path, items.join(", "));
            }
            value => {
                flat.insert(path, text(value));
            }
        }
    }
}

fn text(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
