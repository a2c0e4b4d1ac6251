//! What a token changes by way of the console.

use model::policies::PolicySpec;
use model::secrets::{SecretChange, Secrets};
use model::status::{MembershipStatus, ServiceStatus};
use serde_json::{Value, json};

use super::super::document::{INSTANCE, Operation, SECRET, Schemas};
use super::service;

const BOUNDS: &str = "/v1/services/{name}/bounds";
const POLICY: &str = "/v1/services/{name}/policy";
const HOLD: &str = "/v1/services/{name}/hold";
const INSTANCES: &str = "/v1/services/{name}/instances";
const MEMBERSHIP: &str = "/v1/membership";
const ONE_SECRET: &str = "/v1/services/{name}/secrets/{secret}";

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    let of = |method, path, id, summary, schemas: &mut Schemas| {
        let operation = Operation::passed(method, path, id, summary).of_service();
        let operation = operation.fails(403, &["too_few_rights"]);
        operation.answers("It is like this then.", schemas.told::<ServiceStatus>(), service())
    };
    vec![
        of("put", BOUNDS, "setBounds", "Sets the bounds", schemas)
            .takes("application/json", bounds(), json!({ "min": 1, "max": 10 }))
            .fails(
                422,
                &["bad_body", "bad_value", "one_instance", "too_many_slots", "too_little_memory"],
            ),
        of("delete", BOUNDS, "clearBounds", "Back to the bounds of its file", schemas),
        of("put", POLICY, "setPolicy", "Sets the policy", schemas)
            .takes("application/json", schemas.taken::<PolicySpec>(), json!({ "kind": "hpa" }))
            .fails(422, &["bad_body", "bad_value"]),
        of("delete", POLICY, "clearPolicy", "Back to the policy of its file", schemas),
        of("put", HOLD, "hold", "Holds a number of ready instances for a time", schemas)
            .takes("application/json", hold(), json!({ "ready": 4, "for_s": 3_600 }))
            .fails(422, &["bad_body", "bad_value", "out_of_bounds"]),
        of("delete", HOLD, "release", "Back to the policy", schemas),
        of("post", INSTANCES, "addInstance", "One more for an hour", schemas)
            .fails(409, &["not_seen_yet"])
            .fails(422, &["out_of_bounds", "bad_value"]),
        of("delete", INSTANCES, "removeIdlest", "One fewer for an hour", schemas)
            .fails(409, &["not_seen_yet"])
            .fails(422, &["would_be_none", "out_of_bounds", "bad_value"]),
        Operation::passed(
            "delete",
            "/v1/services/{name}/instances/{instance}",
            "removeInstance",
            "Has this instance removed",
        )
        .of_service()
        .in_path("instance", "The name of the instance.", INSTANCE)
        .fails(403, &["too_few_rights"])
        .fails(404, &["no_such_instance"])
        .answers_as(
            202,
            "It will be, by and by.",
            "application/json",
            schemas.told::<ServiceStatus>(),
            service(),
        ),
        secret(Operation::passed("put", ONE_SECRET, "setSecret", "Sets a secret to the body"))
            .takes("application/octet-stream", json!({}), json!("hush"))
            .fails(422, &["bad_secret"])
            .answers(
                "Which value it had and has.",
                schemas.told::<SecretChange>(),
                json!({ "before": null, "after": "0123456789abcdef" }),
            ),
        secret(Operation::passed("delete", ONE_SECRET, "removeSecret", "Removes a secret"))
            .fails(409, &["secret_in_use"])
            .answers("The others.", schemas.told::<Secrets>(), json!({ "secrets": [] })),
        membership(Operation::passed("put", MEMBERSHIP, "setMembership", "Sets it"), schemas)
            .takes("application/json", ways(), json!({ "membership": "reload" }))
            .fails(422, &["bad_body", "bad_value"]),
        membership(
            Operation::passed(
                "delete",
                MEMBERSHIP,
                "clearMembership",
                "Back to that of bellows.toml",
            ),
            schemas,
        ),
    ]
}

fn secret(operation: Operation) -> Operation {
    operation
        .of_service()
        .in_path("secret", "The name of the secret.", SECRET)
        .fails(403, &["too_few_rights"])
        .fails(404, &["no_such_secret"])
        .fails(422, &["bad_name", "too_many_secrets"])
        .fails(500, &["spoilt_secret", "not_read"])
}

fn membership(operation: Operation, schemas: &mut Schemas) -> Operation {
    let told = json!({ "membership": "reload", "set": "reload" });
    operation.fails(403, &["too_few_rights"]).answers(
        "It is so then.",
        schemas.told::<MembershipStatus>(),
        told,
    )
}

fn bounds() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["min", "max"],
        "properties": {
            "min": { "type": "integer", "minimum": 0, "maximum": 750, "description": "Ready instances at least." },
            "max": { "type": "integer", "minimum": 1, "maximum": 750, "description": "At most; not below `min`." },
        },
    })
}

fn hold() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["ready"],
        "properties": {
            "ready": { "type": "integer", "minimum": 0, "maximum": 750, "description": "Ready instances." },
            "for_s": {
                "type": "integer", "minimum": 10, "maximum": 2_592_000, "default": 3_600,
                "description": "For so many seconds.",
            },
        },
    })
}

fn ways() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["membership"],
        "properties": { "membership": { "enum": ["runtime", "reload"] } },
    })
}
