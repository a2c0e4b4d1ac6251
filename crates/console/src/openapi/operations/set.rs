//! What a token changes by way of the console.

use model::bounds::Bounds;
use model::hold::Hold;
use model::policies::PolicySpec;
use model::secrets::{SecretChange, Secrets};
use model::status::{MembershipStatus, ServiceStatus};
use serde_json::{Value, json};

use super::super::document::{INSTANCE, Needs, Operation, SECRET, Schemas};
use super::service;

const BOUNDS: &str = "/v1/services/{name}/bounds";
const POLICY: &str = "/v1/services/{name}/policy";
const HOLD: &str = "/v1/services/{name}/hold";
const INSTANCES: &str = "/v1/services/{name}/instances";
const MEMBERSHIP: &str = "/v1/membership";
const ONE_SECRET: &str = "/v1/services/{name}/secrets/{secret}";

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    let told = [told(schemas), checked(schemas), set(schemas)];
    [told.concat(), instances(schemas), secrets(schemas), memberships(schemas)].concat()
}

/// A change of one service, which is shown as it is then.
fn of(
    method: &'static str,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    schemas: &mut Schemas,
) -> Operation {
    let operation = Operation::passed(method, path, id, summary).of_service();
    let operation = operation.fails(403, &["too_few_rights"]);
    operation.answers("It is like this then.", schemas.told::<ServiceStatus>(), service())
}

fn set(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
        of("put", BOUNDS, "setBounds", "Sets the bounds", schemas)
            .under_a_condition()
            .takes("application/json", bounds(), json!({ "min": 1, "max": 10 }))
            .fails(
                422,
                &["bad_body", "bad_value", "one_instance", "too_many_slots", "too_little_memory"],
            ),
        of("delete", BOUNDS, "clearBounds", "Back to the bounds of its file", schemas)
            .under_a_condition(),
        of("put", POLICY, "setPolicy", "Sets the policy", schemas)
            .under_a_condition()
            .takes("application/json", schemas.taken::<PolicySpec>(), json!({ "kind": "hpa" }))
            .fails(422, &["bad_body", "bad_value"]),
        of("delete", POLICY, "clearPolicy", "Back to the policy of its file", schemas)
            .under_a_condition(),
        of("put", HOLD, "hold", "Holds a number of ready instances for a time", schemas)
            .under_a_condition()
            .takes("application/json", hold(), json!({ "ready": 4, "for_s": 3_600 }))
            .fails(422, &["bad_body", "bad_value", "out_of_bounds"]),
        of("delete", HOLD, "release", "Back to the policy", schemas).under_a_condition(),
    ]
}

fn instances(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
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
    ]
}

fn secrets(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
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
    ]
}

fn memberships(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
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

fn told(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
        setting(
            "bounds",
            "getBounds",
            BOUNDS,
            schemas.told::<Bounds>(),
            json!({ "min": 1, "max": 10 }),
        ),
        setting("policy", "getPolicy", POLICY, schemas.told::<PolicySpec>(), policy()),
        setting("hold", "getHold", HOLD, schemas.told::<Hold>(), json!(null)),
    ]
}

fn checked(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
        check("/v1/services/{name}/bounds/check", "checkBounds")
            .takes("application/json", bounds(), json!({ "min": 1, "max": 10 }))
            .fails(422, &["one_instance", "too_many_slots", "too_little_memory"])
            .answers(
                "They would be taken.",
                schemas.told::<Bounds>(),
                json!({ "min": 1, "max": 10 }),
            ),
        check("/v1/services/{name}/policy/check", "checkPolicy")
            .takes("application/json", schemas.taken::<PolicySpec>(), json!({ "kind": "hpa" }))
            .answers(
                "It would be taken, with every figure.",
                schemas.told::<PolicySpec>(),
                policy(),
            ),
    ]
}

/// What is in force of something, and what was set.
fn setting(
    what: &str,
    id: &'static str,
    path: &'static str,
    of: Value,
    example: Value,
) -> Operation {
    let or_null = json!({ "anyOf": [of, { "type": "null" }] });
    let schema = json!({
        "type": "object", "required": ["in_force", "set"],
        "properties": { "in_force": or_null, "set": or_null },
    });
    let told = format!("The {what} in force, and what was set of it.");
    Operation::passed("get", path, id, "What is in force, and what was set")
        .of_service()
        .answers(&told, schema, json!({ "in_force": example, "set": null }))
        .tagged()
}

fn check(path: &'static str, id: &'static str) -> Operation {
    Operation::passed("post", path, id, "Whether it would be taken; sets nothing")
        .needs(Needs::TokenBeyond)
        .of_service()
        .fails(422, &["bad_body", "bad_value"])
}

fn policy() -> Value {
    serde_json::to_value(PolicySpec::default()).expect("it is JSON")
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
