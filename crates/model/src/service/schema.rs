//! The JSON Schema of a service's file, for editors. It says of keys what their types say; what the values may be beyond
//! that is said by `bellows validate`.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::RawService;
use super::actions::RawAction;
use crate::policies::Policy;

/// The schema, of draft 7, which editors of TOML know.
pub fn service() -> Schema {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<RawService>()
}

/// The same of the file in an application's folder, in which nothing has to be said, and a route may be refused.
pub fn of_folder() -> Schema {
    let mut schema = service();
    schema.remove("required");
    let instance = schema.pointer_mut("/definitions/RawInstance").and_then(Value::as_object_mut);
    if let Some(instance) = instance {
        instance.remove("required");
    }
    let told = "Which requests from outside go to it: those below /NAME, unless it is said, and none where it is false.";
    if let Some(route) = schema.pointer_mut("/properties/route") {
        *route = json!({
            "anyOf": [{ "$ref": "#/definitions/RawRoute" }, { "const": false }],
            "description": told,
        });
    }
    schema
}

pub(super) fn egress(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "const": "any" },
        { "type": "array", "items": { "type": "string" }, "maxItems": 256 },
    ] })
}

pub(super) fn release(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" }, "minItems": 1 },
    ] })
}

pub(super) fn actions(generator: &mut SchemaGenerator) -> Schema {
    let action = generator.subschema_for::<RawAction>();
    let name = "^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$";
    json_schema!({
        "type": "object",
        "patternProperties": { name: action },
        "additionalProperties": false,
        "maxProperties": 16,
    })
}

pub(super) fn application(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

pub(super) fn health_status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 200, "maximum": 599 },
        { "type": "string", "pattern": "^[2-5][0-9]{2}(-[2-5][0-9]{2})?$" },
    ] })
}

pub(super) fn policies(generator: &mut SchemaGenerator) -> Schema {
    let one = Policy::json_schema(generator);
    let many = json_schema!({ "type": "array", "items": one, "minItems": 1, "maxItems": 8 });
    json_schema!({ "anyOf": [one, many] })
}
