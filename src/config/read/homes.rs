//! Where in the two files a key may stand, for a user who wrote it elsewhere.

use std::cell::OnceCell;

use serde_json::Value;

use super::super::schema;

/// The tables of both files, and their keys; read from the schema when the first key is looked up.
#[derive(Default)]
pub struct Homes(OnceCell<[(Value, &'static str); 2]>);

impl Homes {
    /// The tables that have such a key, in words.
    pub fn of(&self, key: &str) -> Vec<String> {
        let files = self.0.get_or_init(|| {
            let (watershed, service) = schema::schema();
            [(watershed, "watershed.toml"), (service, "a service's file")]
        });
        files.iter().flat_map(|(schema, file)| places(schema, file, key)).collect()
    }
}

fn places(schema: &Value, file: &str, key: &str) -> impl Iterator<Item = String> {
    let all = schema::tables_with(schema, key);
    let tables: Vec<String> =
        all.iter().filter(|table| !table.is_empty()).map(|table| format!("`{table}`")).collect();
    let top = (tables.len() < all.len()).then(|| format!("at the top of {file}"));
    let below = (!tables.is_empty()).then(|| format!("in {} of {file}", tables.join(" or ")));
    top.into_iter().chain(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_elsewhere_is_told_where() {
        let homes = Homes::default();
        assert_eq!(homes.of("token-file"), ["in `[admin]` of watershed.toml"]);
        let shares = ["in `[[traffic.rules]]` or `[traffic]` of a service's file"];
        assert_eq!(homes.of("split"), shares);
        assert_eq!(homes.of("domains"), ["at the top of a service's file"]);
        let limits = [
            "in `[defaults.limits]` of watershed.toml",
            "in `[versions.limits]` of a service's file",
        ];
        assert_eq!(homes.of("memory"), limits);
        let names = [
            "in `[[environments]]` of watershed.toml",
            "at the top of a service's file",
            "in `[[traffic.rules]]` or `[traffic.sticky.cookie]` or `[[versions]]` of a service's file",
        ];
        assert_eq!(homes.of("name"), names);
        assert!(homes.of("moon").is_empty());
    }
}
