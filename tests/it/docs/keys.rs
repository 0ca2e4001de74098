//! The tables of keys in `docs/configuration.md`, which are made of the schemas.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use serde_json::Value;

use super::{blesses, repository};

const PAGE: &str = "docs/configuration.md";

/// The tables of keys match the schemas; `WATERSHED_BLESS=1` writes them anew.
#[track_caller]
pub fn every_key_is_in_the_tables() {
    let path = repository(PAGE);
    let mut text = fs::read_to_string(&path).unwrap();
    let before = text.clone();
    let restart = restart_keys();
    let mut met = BTreeSet::new();
    for name in ["watershed", "service"] {
        let schema = fs::read_to_string(repository(&format!("config/schema/{name}.json"))).unwrap();
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let mut tables = String::new();
        let place = Place { restart: &restart, is_watershed: name == "watershed" };
        place.table(&schema, &[], false, &mut tables, &mut met);
        let (start, end) = (format!("<!-- keys of {name} -->\n"), "<!-- end of keys -->");
        let from = text.find(&start).unwrap_or_else(|| panic!("no {start}")) + start.len();
        let to = from + text[from..].find(end).unwrap();
        text.replace_range(from..to, &format!("{tables}\n"));
    }
    assert_eq!(met, restart, "a key that wants a restart is in no table");
    if blesses() {
        fs::write(&path, &text).unwrap();
    } else {
        let differs = before.lines().zip(text.lines()).find(|(one, other)| one != other);
        assert!(before == text, "{PAGE} differs: {differs:?}; WATERSHED_BLESS=1 writes it anew");
    }
}

/// The keys that only a restart changes, as the code lists them.
fn restart_keys() -> BTreeSet<String> {
    let source = fs::read_to_string(repository("src/config/restart.rs")).unwrap();
    let key = Regex::new(r#"\("([a-z]+(?:\.[a-z-]+)+)","#).unwrap();
    key.captures_iter(&source).map(|found| found[1].to_owned()).collect()
}

struct Place<'a> {
    restart: &'a BTreeSet<String>,
    is_watershed: bool,
}

impl Place<'_> {
    /// The table of an object's keys, and then the tables of the objects in it.
    fn table(
        &self,
        schema: &Value,
        path: &[&str],
        is_item: bool,
        into: &mut String,
        met: &mut BTreeSet<String>,
    ) {
        let properties = schema["properties"].as_object().unwrap();
        let heading = path.join(".");
        match (path, is_item) {
            ([], _) => {}
            (_, true) => into.push_str(&format!("\n#### `[[{heading}]]`\n")),
            (_, false) => into.push_str(&format!("\n#### `[{heading}]`\n")),
        }
        if let (Some(described), false) = (schema["description"].as_str(), path.is_empty()) {
            into.push_str(&format!("\n{}\n", cell(described)));
        }
        let tables = properties.iter().filter(|(_, property)| inner(property).is_some());
        let is_value = |property: &Value| inner(property).is_none() || choice(property).is_some();
        let keys: Vec<_> = properties.iter().filter(|(_, property)| is_value(property)).collect();
        if !keys.is_empty() {
            into.push_str("\n| key | type | default | bounds | meaning | |\n| --- | --- | --- | --- | --- | --- |\n");
        }
        for (key, property) in keys {
            let full = [path, &[key]].concat().join(".");
            let wants_restart = self.is_watershed && self.restart.contains(&full);
            if wants_restart {
                met.insert(full);
            }
            let is_required =
                schema["required"].as_array().is_some_and(|all| all.contains(&key.as_str().into()));
            into.push_str(&row(key, property, is_required, wants_restart));
        }
        for (key, property) in tables {
            let (inner, is_item) = inner(property).unwrap();
            let mut described = inner.clone();
            described["description"] = property["description"].clone();
            self.table(&described, &[path, &[key]].concat(), is_item, into, met);
        }
    }
}

/// The object whose table a key holds, and whether the key holds an array of tables.
fn inner(property: &Value) -> Option<(&Value, bool)> {
    let items = property.get("items").filter(|items| items.get("properties").is_some());
    let object = property.get("properties").map(|_| (property, false));
    items.map(|items| (items, true)).or(object).or(choice(property).map(|object| (object, false)))
}

/// The object whose table a key holds where the key may hold something else.
fn choice(property: &Value) -> Option<&Value> {
    property["anyOf"].as_array()?.iter().find(|choice| choice.get("properties").is_some())
}

fn row(key: &str, property: &Value, is_required: bool, wants_restart: bool) -> String {
    let described = property["description"].as_str().unwrap_or_default();
    let default = match (&property["default"], is_required) {
        (_, true) => "required".to_owned(),
        (Value::Null, false) => "–".to_owned(),
        (default, false) => format!("`{default}`"),
    };
    format!(
        "| `{key}` | {} | {default} | {} | {} | {} |\n",
        kind(property),
        bounds(property, described),
        cell(&regex(BOUNDS).replace_all(described, "")),
        if wants_restart { "restart" } else { "" }
    )
}

/// How descriptions state lower and upper bounds.
const BOUNDS: &str = r"[,;]? (?:from (\d\w*) to|up to) (\d\w*)";

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// The values that a key may have.
fn kind(property: &Value) -> String {
    let pattern = property["pattern"].as_str().unwrap_or_default();
    match property["type"].as_str() {
        None if property.to_string().contains("[KMGT]") => "size".to_owned(),
        None => match property["anyOf"][0]["type"].as_str() {
            Some("array") => "list of addresses, or a table".to_owned(),
            Some("boolean") => "`false`, or a table".to_owned(),
            _ => "text, or a table".to_owned(),
        },
        Some(_) if property.get("enum").is_some() => "word".to_owned(),
        Some("string") if ["|h)$", "|h|d)$"].iter().any(|end| pattern.ends_with(end)) => {
            "duration".to_owned()
        }
        Some("string") if pattern.contains("/s|none)$") => "bytes a second, or `none`".to_owned(),
        Some("string") if pattern.ends_with("|none)$") => "duration, or `none`".to_owned(),
        Some("string") => "text".to_owned(),
        Some("array") if property["items"].get("anyOf").is_some() => {
            "list of texts or tables".to_owned()
        }
        Some("array") => "list of texts".to_owned(),
        Some("object") => match property["additionalProperties"]["type"].as_str() {
            Some("number") => "table of percentages".to_owned(),
            _ => "table of texts".to_owned(),
        },
        Some("boolean") => "true or false".to_owned(),
        Some(other) => other.to_owned(),
    }
}

fn bounds(property: &Value, described: &str) -> String {
    if let Some(words) = property["enum"].as_array() {
        return words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap()))
            .collect::<Vec<_>>()
            .join(" ");
    }
    if let (Some(least), Some(most)) = (property["minimum"].as_i64(), property["maximum"].as_i64())
    {
        return format!("{least} to {most}");
    }
    match regex(BOUNDS).captures(described) {
        Some(found) => match found.get(1) {
            Some(least) => format!("{} to {}", least.as_str(), &found[2]),
            None => format!("up to {}", &found[2]),
        },
        None => String::new(),
    }
}

/// A text as one cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
