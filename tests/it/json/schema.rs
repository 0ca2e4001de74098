//! Compares what a command prints with the schema that the program prints: the words of JSON Schema that our schemas
//! use, and stricter in one thing: a member that the schema does not name is a fault.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The schema of what `--json` prints.
pub struct Schema(Value);

impl Schema {
    pub fn new(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// The names of commands.
    pub fn commands(&self) -> BTreeSet<&str> {
        let definitions = self.0["$defs"].as_object().unwrap().keys();
        let is_command = |name: &&str| !name.starts_with(char::is_uppercase) && *name != "failure";
        definitions.map(String::as_str).filter(is_command).collect()
    }

    /// Fails unless a value is what a command prints.
    #[track_caller]
    pub fn assert_fits(&self, command: &str, value: &Value) {
        let schema = &self.0["$defs"][command];
        assert!(schema.is_object(), "no schema of {command}");
        if let Err(why) = self.fits(schema, value, &BTreeSet::new()) {
            panic!("{command} does not print what its schema says: {why}\n{value:#}");
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> Option<&'a Value> {
        let pointer = schema.get("$ref")?.as_str().unwrap().strip_prefix('#').unwrap();
        Some(self.0.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")))
    }

    /// The parts of a schema that all speak of the same value.
    fn parts<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = &'a Value> {
        let lists = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema.get(key));
        lists.flat_map(|list| list.as_array().unwrap()).chain(self.resolve(schema))
    }

    /// The members that a schema and its parts name.
    fn names<'a>(&'a self, schema: &'a Value, names: &mut BTreeSet<&'a str>) {
        let own = schema.get("properties").and_then(Value::as_object);
        names.extend(own.into_iter().flat_map(Map::keys).map(String::as_str));
        self.parts(schema).for_each(|part| self.names(part, names));
    }

    fn fits(&self, schema: &Value, value: &Value, known: &BTreeSet<&str>) -> Result<(), String> {
        let mut known = known.clone();
        self.names(schema, &mut known);
        if let Some(target) = self.resolve(schema) {
            self.fits(target, value, &known)?;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.fits(part, value, &known)?;
        }
        for choice in ["anyOf", "oneOf"] {
            let Some(parts) = schema.get(choice).and_then(Value::as_array) else { continue };
            let faults: Result<Vec<_>, ()> =
                parts.iter().map(|part| self.fits(part, value, &known).err().ok_or(())).collect();
            if let Ok(faults) = faults {
                return Err(format!("none of these: {}", faults.join(" | ")));
            }
        }
        self.is_itself(schema, value)?;
        match value {
            Value::Object(members) => self.members(schema, members, &known),
            Value::Array(items) => match schema.get("items") {
                Some(of) => items.iter().try_for_each(|it| self.fits(of, it, &BTreeSet::new())),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn is_itself(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let is_type = |kind: &Value| match kind.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("unknown type {other}"),
        };
        let is_right = match schema.get("type") {
            None => true,
            Some(Value::Array(kinds)) => kinds.iter().any(is_type),
            Some(kind) => is_type(kind),
        };
        let words = schema.get("enum").and_then(Value::as_array);
        let is_word = words.is_none_or(|words| words.contains(value));
        let is_constant = schema.get("const").is_none_or(|constant| constant == value);
        match is_right && is_word && is_constant {
            true => Ok(()),
            false => Err(format!("{value} is not {schema}")),
        }
    }

    fn members(
        &self,
        schema: &Value,
        members: &Map<String, Value>,
        known: &BTreeSet<&str>,
    ) -> Result<(), String> {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            members.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
        }
        let Some(properties) = schema.get("properties") else {
            let others = schema.get("additionalProperties").filter(|it| it.is_object());
            return others.map_or(Ok(()), |others| {
                members.values().try_for_each(|it| self.fits(others, it, &BTreeSet::new()))
            });
        };
        for (name, member) in members {
            match properties.get(name) {
                Some(of) => self
                    .fits(of, member, &BTreeSet::new())
                    .map_err(|why| format!("`{name}`: {why}"))?,
                None if known.contains(name.as_str()) => {}
                None => return Err(format!("`{name}` is not described")),
            }
        }
        Ok(())
    }
}
