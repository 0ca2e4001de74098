//! `GET /api/v1/openapi.json`: the admin API in the words of [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1), made
//! from the table of its operations and from the types of its documents.

mod operations;

use axum::extract::RawQuery;
use axum::response::{IntoResponse, Json, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::error::AdminError;
use super::routes::no_parameters;
use crate::api::ProblemDocument;
use crate::code::ErrorCode;
use operations::{Body, Content, Kind, OPERATIONS, Operation, Parameter};

/// Answers with the description.
pub async fn show(RawQuery(query): RawQuery) -> Result<Response, AdminError> {
    no_parameters(query)?;
    Ok(Json(document()).into_response())
}

/// The description of every path.
fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(operation.method.to_owned(), schemas.operation(operation));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The admin API of Watershed",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Documents may get further members. HEAD gets the head of a GET, and OPTIONS the methods of a path.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "security": [{}, { "token": [] }, { "session": [] }],
        "components": {
            "schemas": schemas.taken(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": super::session::COOKIE,
                    "description": "What changes something also needs the session's `csrf` in `x-csrf-token`.",
                },
            },
        },
    })
}

/// The schemas of documents: of those that are sent under their names, and of those that are taken in place, since one
/// type may be both.
struct Schemas {
    sent: SchemaGenerator,
    taken: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let place = |settings: &mut SchemaSettings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        };
        let settings = || SchemaSettings::draft2020_12().with(place);
        let taken = settings().for_deserialize().with(|settings| settings.inline_subschemas = true);
        Self { sent: settings().for_serialize().into_generator(), taken: taken.into_generator() }
    }

    fn operation(&mut self, operation: &Operation) -> Value {
        let Operation { method: _, path, id, summary, query, body, answers } = operation;
        let of_path = path.split(['{', '}']).skip(1).step_by(2).map(of_path);
        let parameters: Vec<_> = of_path.chain(query.iter().map(of_query)).collect();
        let mut described =
            json!({ "operationId": id, "summary": summary, "parameters": parameters });
        if let (Some(body), Some(members)) = (self.body(body), described.as_object_mut()) {
            members.insert("requestBody".to_owned(), body);
        }
        let mut responses: Map<_, _> = answers
            .iter()
            .map(|(status, content)| (status.to_string(), self.answer(content)))
            .collect();
        let problem = self.sent.subschema_for::<ProblemDocument>();
        responses.insert(
            "default".to_owned(),
            json!({
                "description": "What is wrong (RFC 9457). It may have members of the answer beside its own.",
                "content": { "application/problem+json": { "schema": problem } },
            }),
        );
        if let Some(members) = described.as_object_mut() {
            members.insert("responses".to_owned(), responses.into());
        }
        described
    }

    fn body(&mut self, body: &Body) -> Option<Value> {
        let (is_required, media_type, schema) = match body {
            Body::None => return None,
            Body::Json(describe) => (true, "application/json", describe(&mut self.taken).into()),
            Body::Maybe(describe) => (false, "application/json", describe(&mut self.taken).into()),
            Body::Bytes(media_type) => (true, *media_type, json!({})),
        };
        let mut content = Map::new();
        content.insert(media_type.to_owned(), json!({ "schema": schema }));
        Some(json!({ "required": is_required, "content": content }))
    }

    fn answer(&mut self, content: &Content) -> Value {
        let text = json!({ "type": "string" });
        let (about, media_types, schema) = match content {
            Content::Nothing => return json!({ "description": "Done." }),
            Content::Json(describe) => {
                ("A document.", &["application/json"][..], describe(&mut self.sent).into())
            }
            Content::OpenApi => ("This.", &["application/json"][..], json!({ "type": "object" })),
            Content::Texts(media_types) => ("A text.", *media_types, text),
        };
        let content: Map<_, _> = media_types
            .iter()
            .map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })))
            .collect();
        json!({ "description": about, "content": content })
    }

    /// The schemas by name.
    fn taken(mut self) -> Map<String, Value> {
        let mut named = self.sent.take_definitions(true);
        let code =
            named.get_mut("ProblemDocument").and_then(|it| it.pointer_mut("/properties/code"));
        if let Some(code) = code {
            let words: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
            *code = json!({ "description": "What kind of error it is.", "enum": words });
        }
        named
    }
}

/// A part of a path in braces.
fn of_path(name: &str) -> Value {
    let schema = json!({ "type": "string", "minLength": 1 });
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn of_query(Parameter { name, about, is_required, kind }: &Parameter) -> Value {
    let schema = match kind {
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::OneOf(numbers) => json!({ "type": "integer", "enum": numbers }),
        Kind::Moment => json!({ "type": "string", "format": "date-time" }),
        Kind::Number { least, most: Some(most) } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Kind::Number { least, most: None } => json!({ "type": "integer", "minimum": least }),
    };
    let required = json!(is_required);
    json!({ "name": name, "in": "query", "description": about, "required": required, "schema": schema })
}

#[cfg(test)]
mod tests;
