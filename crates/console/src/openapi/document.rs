//! How the description is put together: operations as they are told in [`super::operations`], with the schemas of the
//! types that are sent and read.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Where the schemas are.
const SCHEMAS: &str = "#/components/schemas/";

/// Who may ask for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nobody has to say who he is.
    Nothing,
    /// From beyond the host a token.
    TokenBeyond,
    /// A token.
    Token,
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    id: &'static str,
    summary: &'static str,
    needs: Needs,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<u16, Value>,
    /// The codes of what can go wrong, by status.
    problems: BTreeMap<u16, Vec<&'static str>>,
}

/// Makes operations, and keeps the schemas that they name.
pub(super) struct Schemas {
    /// Of what is sent by the console.
    told: SchemaGenerator,
    /// Of what is sent to it, in which less has to be said.
    taken: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            told: settings.clone().for_serialize().into_generator(),
            taken: settings.into_generator(),
        }
    }
}

impl Schemas {
    /// The schema of an answer.
    pub(super) fn told<T: JsonSchema>(&mut self) -> Value {
        self.told.subschema_for::<T>().to_value()
    }

    /// The schema of a body that is read.
    pub(super) fn taken<T: JsonSchema>(&mut self) -> Value {
        renamed(self.taken.subschema_for::<T>().to_value())
    }

    /// All schemas that were named, by name.
    fn components(mut self) -> Map<String, Value> {
        let mut all = self.told.take_definitions(true);
        for (name, schema) in self.taken.take_definitions(true) {
            all.insert(format!("{name}Body"), renamed(schema));
        }
        all.insert("Problem".to_owned(), problem());
        all
    }
}

/// What is read has names of its own: the same type is told with more keys.
fn renamed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(keys) => {
            for (key, value) in keys.iter_mut() {
                match value {
                    Value::String(to) if key == "$ref" => to.push_str("Body"),
                    _ => *value = renamed(value.take()),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = renamed(item.take())),
        _ => {}
    }
    schema
}

fn problem() -> Value {
    json!({
        "description": "What went wrong: RFC 9457, with a code for programs.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "additionalProperties": false,
        "properties": {
            "type": { "const": "about:blank" },
            "title": { "type": "string", "description": "What the status says." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "What is wrong, and what to do about it." },
            "code": { "type": "string", "pattern": "^[a-z_]+$", "description": "For programs." },
        },
    })
}

/// A value of a type, so that an example is none of another form.
pub(super) fn example<T: DeserializeOwned + Serialize>(value: Value) -> Value {
    let value: T = serde_json::from_value(value).expect("it is one");
    serde_json::to_value(value).expect("it is JSON")
}

impl Operation {
    pub(super) fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let operation = Self {
            method,
            path,
            id,
            summary,
            needs: Needs::TokenBeyond,
            parameters: Vec::new(),
            body: None,
            answers: BTreeMap::new(),
            problems: BTreeMap::new(),
        };
        let operation =
            operation.fails(400, &["bad_request"]).fails(401, &["unauthorized", "token_ended"]);
        let operation = operation.fails(403, &["unknown_host", "foreign_origin"]);
        let operation = operation.fails(429, &["too_many_requests"]);
        // A token is asked about.
        let operation = operation.fails(431, &["head_too_large"]).fails(500, &["internal"]);
        operation.fails(503, &["scaler_away"])
    }

    /// What the console answers itself.
    pub(super) fn own(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self::new("get", path, id, summary).fails(400, &["bad_query"])
    }

    /// What is passed on.
    pub(super) fn passed(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        let operation = Self::new(method, path, id, summary)
            .fails(404, &["no_such_path"])
            .fails(408, &["body_too_slow"])
            .fails(413, &["body_too_large"])
            .fails(502, &["scaler_strange"])
            .fails(503, &["too_many_at_once"]);
        match method {
            "get" => operation,
            _ => operation
                .needs(Needs::Token)
                .fails(504, &["outcome_unknown"])
                .fails(500, &["not_written"]),
        }
    }

    pub(super) fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Of one service, which may not be there or be for others.
    pub(super) fn of_service(self) -> Self {
        self.in_path("name", "The name of the service.", SERVICE).fails(404, &["no_such_service"])
    }

    pub(super) fn in_path(self, name: &str, told: &str, pattern: &str) -> Self {
        self.parameter(name, "path", true, told, json!({ "type": "string", "pattern": pattern }))
    }

    pub(super) fn asks(self, name: &str, told: &str, schema: Value) -> Self {
        self.parameter(name, "query", false, told, schema)
    }

    /// Of one service alone, where that is asked.
    pub(super) fn asks_service(self, told: &str) -> Self {
        self.asks("service", told, json!({ "type": "string", "pattern": SERVICE }))
    }

    pub(super) fn must_ask(self, name: &str, told: &str, schema: Value) -> Self {
        self.parameter(name, "query", true, told, schema)
    }

    fn parameter(
        mut self,
        name: &str,
        place: &str,
        required: bool,
        told: &str,
        schema: Value,
    ) -> Self {
        self.parameters.push(json!({
            "name": name, "in": place, "required": required, "description": told, "schema": schema,
        }));
        self
    }

    /// Of something that has a tag: it is set only as long as it is what was read.
    pub(super) fn under_a_condition(self) -> Self {
        let told = "Tags, one of which is to be that of now.";
        self.parameter("If-Match", "header", false, told, json!({ "type": "string" }))
            .fails(400, &["bad_condition"])
            .fails(412, &["changed_meanwhile"])
            .tagged()
    }

    /// With a tag of what is told.
    pub(super) fn tagged(mut self) -> Self {
        for answer in self.answers.values_mut() {
            let told = "The tag of what is there now.";
            answer["headers"] =
                json!({ "ETag": { "description": told, "schema": { "type": "string" } } });
        }
        self
    }

    pub(super) fn takes(mut self, kind: &str, schema: Value, example: Value) -> Self {
        self.body = Some(json!({
            "required": true, "content": { kind: { "schema": schema, "example": example } },
        }));
        self.fails(400, &["bad_body"]).fails(413, &["bad_body"]).fails(415, &["bad_body"])
    }

    pub(super) fn answers(self, told: &str, schema: Value, example: Value) -> Self {
        self.answers_as(200, told, "application/json", schema, example)
    }

    pub(super) fn answers_as(
        mut self,
        status: u16,
        told: &str,
        kind: &str,
        schema: Value,
        example: Value,
    ) -> Self {
        let content = json!({ kind: { "schema": schema, "example": example } });
        self.answers.insert(status, json!({ "description": told, "content": content }));
        self
    }

    pub(super) fn fails(mut self, status: u16, codes: &[&'static str]) -> Self {
        let known = self.problems.entry(status).or_default();
        let new: Vec<_> = codes.iter().filter(|code| !known.contains(code)).collect();
        known.extend(new);
        self
    }

    fn to_value(&self) -> Value {
        let mut responses = Map::new();
        for (status, answer) in &self.answers {
            responses.insert(status.to_string(), answer.clone());
        }
        for (status, codes) in &self.problems {
            responses.insert(status.to_string(), failure(codes));
        }
        let security = match self.needs {
            Needs::Nothing => json!([]),
            Needs::TokenBeyond => json!([{}, { "token": [] }]),
            Needs::Token => json!([{ "token": [] }]),
        };
        let mut value = json!({
            "operationId": self.id,
            "summary": self.summary,
            "security": security,
            "parameters": self.parameters,
            "responses": responses,
        });
        if let Some(body) = &self.body {
            value["requestBody"] = body.clone();
        }
        value
    }
}

/// An answer with one of these codes.
fn failure(codes: &[&'static str]) -> Value {
    let schema = json!({ "allOf": [
        { "$ref": format!("{SCHEMAS}Problem") },
        { "properties": { "code": { "enum": codes } } },
    ] });
    json!({
        "description": codes.join(", "),
        "content": { "application/problem+json": { "schema": schema } },
    })
}

/// Names as the paths have them.
const SERVICE: &str = "^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$";
pub(super) const INSTANCE: &str =
    "^bw-[a-z]([a-z0-9-]{0,29}[a-z0-9])?-[1-9][0-9]{0,3}-[0-9a-z]{1,9}$";
pub(super) const SECRET: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$";

/// The whole description.
pub(super) fn document(schemas: Schemas, operations: &[Operation]) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        let of_path = paths.entry(operation.path).or_insert_with(|| json!({}));
        of_path[operation.method] = operation.to_value();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bellows",
            "version": "1",
            "summary": "What runs, what ran, and what is set",
            "description": "The API of the console. Errors are problems of RFC 9457 with a `code`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "The secret of a token, which `bellows token make` on the host tells.",
            } },
        },
    })
}
