//! The schema of what `--json` prints, made from the documents themselves, so that it cannot say something else.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::{Explanation, StatusDocument};
use crate::cli::error::FailureDocument;
use crate::cli::explain::Moves;
use crate::cli::rollback::RestoreFilePreview;
use crate::cli::{check, env, history, init, plan, restart, summary};
use crate::code::ErrorCode;

/// How one document of a command is described.
type Describe = fn(&mut SchemaGenerator) -> Schema;

/// What changes a service, or shows what it would change.
const CHANGE: &[Describe] = &[summary::Document::json_schema, plan::Document::json_schema];

/// The same of `rollback`, which may be about a file alone.
const ROLLBACK: &[Describe] =
    &[summary::Document::json_schema, plan::Document::json_schema, RestoreFilePreview::json_schema];

/// The documents of each command that takes `--json`.
const COMMANDS: [(&str, &[Describe]); 13] = [
    ("init", &[init::Document::json_schema]),
    ("check", &[check::Findings::json_schema]),
    ("plan", &[plan::Document::json_schema]),
    ("deploy", CHANGE),
    ("traffic", CHANGE),
    ("promote", CHANGE),
    ("rollback", ROLLBACK),
    ("delete", CHANGE),
    ("history", &[history::Document::json_schema]),
    ("status", &[StatusDocument::json_schema]),
    ("restart", &[restart::Document::json_schema, restart::Preview::json_schema]),
    ("explain", &[Explanation::json_schema, Moves::json_schema]),
    ("env", &[env::Document::json_schema]),
];

/// The schema: any command's output at its top, and each command's under `$defs`, by the command's name.
pub(super) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut generator = settings.into_generator();
    let mut commands = Map::new();
    for (name, documents) in COMMANDS {
        let done = documents.iter().map(|describe| with_ok(describe(&mut generator), true));
        let all: Vec<Value> = done.chain([reference("failure")]).collect();
        commands.insert(name.to_owned(), json!({ "anyOf": all }));
    }
    commands
        .insert("failure".to_owned(), with_ok(FailureDocument::json_schema(&mut generator), false));
    let any: Vec<Value> = COMMANDS.iter().map(|(name, _)| reference(name)).collect();
    let mut definitions = generator.take_definitions(true);
    if let Some(code) =
        definitions.get_mut("ErrorDocument").and_then(|it| it.pointer_mut("/properties/code"))
    {
        let words: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        *code = json!({ "description": "What kind of error it is.", "enum": words });
    }
    definitions.extend(commands);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `watershed COMMAND … --json` prints",
        "description": "`$defs` has what each command prints under the name of the command. Further members may come.",
        "anyOf": any,
        "$defs": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A document as it is printed: with `ok` before its members.
fn with_ok(schema: Schema, is_ok: bool) -> Value {
    let mut schema = schema.to_value();
    if let Some(members) = schema.as_object_mut() {
        let properties = members.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.insert("ok".to_owned(), json!({ "const": is_ok }));
        }
        let required = members.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            required.insert(0, json!("ok"));
        }
    }
    schema
}
