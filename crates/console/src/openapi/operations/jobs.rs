//! What outlives a request, and what a service is asked to do. The forms of what is asked for are written out here.

use model::job::{JobList, JobStatus, StopAnswer};
use model::version::VersionList;
use serde_json::{Value, json};

use super::super::document::{Needs, Operation, Schemas};
use super::whole_number;

pub(super) const JOB: &str = "^[0-9a-f]{16}$";

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    [files(schemas), deploys(schemas), jobs(schemas), actions()].concat()
}

fn files(schemas: &mut Schemas) -> Vec<Operation> {
    let one = "/v1/services/{name}";
    let file = json!({ "name": "store", "image": "object-store" });
    vec![
        Operation::passed(
            "get",
            "/v1/services/{name}/file",
            "file",
            "A service's whole file, as JSON",
        )
        .of_service()
        .answers(
            "It says this. What JSON has no form for is there by its text in TOML: `{\"$toml\": \"1979-05-27\"}`.",
            json!({ "type": "object" }),
            file.clone(),
        )
        .tagged(),
        asked(
            Operation::passed("put", one, "setFile", "Has a service be what a file says"),
            schemas,
        )
        .takes("application/json", json!({ "type": "object" }), file)
        .fails(422, &["bad_body", "bad_value", "bad_name"])
        .under_a_condition()
        .fails(412, &["is_there"]),
        asked(Operation::passed("delete", one, "destroy", "Removes a service"), schemas)
            .asks(
                "data",
                "Whether its data goes too.",
                json!({ "type": "boolean", "default": false }),
            )
            .fails(400, &["bad_query"]),
    ]
}

fn deploys(schemas: &mut Schemas) -> Vec<Operation> {
    let archive = json!({ "type": "string", "format": "binary" });
    let rollback = json!({
        "type": "object", "additionalProperties": false,
        "properties": {
            "version": { "type": ["string", "null"], "pattern": "^[0-9a-f]{8}$" },
            "revision": { "type": "boolean", "default": false },
        },
    });
    vec![
        Operation::passed(
            "get",
            "/v1/services/{name}/versions",
            "versions",
            "Versions that are kept",
        )
        .of_service()
        .fails(503, &["no_turn_yet"])
        .answers(
            "These.",
            schemas.told::<VersionList>(),
            json!({ "service": "store", "versions": [] }),
        ),
        asked(
            Operation::passed(
                "post",
                "/v1/services/{name}/deploys",
                "deploy",
                "Deploys an archive",
            ),
            schemas,
        )
        .asks(
            "replace",
            "Whether in the place of one that is deployed from a folder.",
            json!({ "type": "boolean", "default": false }),
        )
        .takes("application/gzip", archive, json!("..."))
        .fails(400, &["bad_query"])
        .fails(408, &["archive_cut"])
        .fails(409, &["of_a_folder"])
        .fails(413, &["too_large"])
        .fails(415, &["no_archive"])
        .fails(422, &["bad_name"])
        .fails(429, &["too_many_uploads"]),
        asked(
            Operation::passed(
                "post",
                "/v1/services/{name}/rollback",
                "rollback",
                "Goes back to a version",
            ),
            schemas,
        )
        .takes("application/json", rollback, json!({ "version": null }))
        .fails(422, &["bad_body", "bad_value", "not_kept"]),
    ]
}

fn jobs(schemas: &mut Schemas) -> Vec<Operation> {
    let stop = json!({
        "type": "object", "additionalProperties": false, "required": ["confirm"],
        "properties": { "confirm": { "const": "stop everything" } },
    });
    vec![
        Operation::passed("get", "/v1/jobs", "jobs", "What outlives a request")
            .asks_service("Of this service.")
            .fails(400, &["bad_query"])
            .answers(
                "The one that was asked for last first.",
                schemas.told::<JobList>(),
                json!({ "jobs": [a_job()] }),
            ),
        of_job(Operation::passed("get", "/v1/jobs/{id}", "job", "One of them")).answers(
            "It is like this.",
            schemas.told::<JobStatus>(),
            a_job(),
        ),
        of_job(Operation::passed("get", "/v1/jobs/{id}/log", "jobLog", "What one of them wrote"))
            .needs(Needs::Token)
            .asks("after", "From this byte on.", whole_number())
            .fails(400, &["bad_query"])
            .fails(403, &["too_few_rights"])
            .answers_as(200, "This.", "text/plain", json!({ "type": "string" }), json!("made\n")),
        Operation::passed("post", "/v1/stop", "stop", "Takes everything down")
            .fails(403, &["too_few_rights"])
            .fails(409, &["under_way"])
            .takes("application/json", stop, json!({ "confirm": "stop everything" }))
            .fails(422, &["bad_body", "bad_value", "not_confirmed"])
            .fails(500, &["not_started"])
            .fails(507, &["disk_full"])
            .answers_as(
                202,
                "It will be.",
                "application/json",
                schemas.told::<StopAnswer>(),
                json!({ "job": a_job(), "message": "The API ends with it." }),
            ),
    ]
}

fn actions() -> Vec<Operation> {
    let action = json!({
        "type": "object", "required": ["title", "method", "path"],
        "properties": {
            "title": { "type": "string" },
            "method": { "enum": ["POST", "PUT", "DELETE"] },
            "path": { "type": "string" },
        },
    });
    let list = json!({
        "type": "object", "required": ["actions"],
        "properties": { "actions": { "type": "object", "additionalProperties": action } },
    });
    let confirm = json!({
        "type": "object", "additionalProperties": false, "required": ["confirm"],
        "properties": { "confirm": { "type": "string", "description": "The name of the service." } },
    });
    let answer = json!({
        "type": "object", "required": ["status", "body"],
        "properties": {
            "status": { "type": "integer", "minimum": 100, "maximum": 999 },
            "body": { "type": "string" },
        },
    });
    let one = "/v1/services/{name}/actions/{action}";
    let name = "^[a-z]([a-z0-9-]{0,29}[a-z0-9])?$";
    vec![
        Operation::passed(
            "get",
            "/v1/services/{name}/actions",
            "actions",
            "What a service can be asked to do",
        )
        .of_service()
        .answers("This.", list, json!({ "actions": {} })),
        Operation::passed("post", one, "act", "Asks a service to do it")
            .of_service()
            .in_path("action", "The name of the action.", name)
            .fails(403, &["too_few_rights"])
            .fails(404, &["no_such_action"])
            .fails(429, &["too_many_actions"])
            .fails(502, &["no_answer"])
            .takes("application/json", confirm, json!({ "confirm": "store" }))
            .fails(422, &["bad_body", "bad_value", "not_confirmed"])
            .answers("What it answered.", answer, json!({ "status": 204, "body": "" })),
    ]
}

/// What a job is asked for by.
fn asked(operation: Operation, schemas: &mut Schemas) -> Operation {
    asked_for(operation.of_service().fails(409, &["of_a_file"]), schemas)
}

/// What a job is asked for by, wherever that names its service.
pub(super) fn asked_for(operation: Operation, schemas: &mut Schemas) -> Operation {
    operation
        .fails(403, &["too_few_rights"])
        .fails(409, &["under_way"])
        .fails(500, &["not_started"])
        .fails(507, &["disk_full"])
        .answers_as(
            202,
            "A job does it, and is told of at `Location`.",
            "application/json",
            schemas.told::<JobStatus>(),
            a_job(),
        )
}

pub(super) fn of_job(operation: Operation) -> Operation {
    operation.in_path("id", "The id of the job.", JOB).fails(404, &["no_such_job"])
}

pub(super) fn a_job() -> Value {
    json!({
        "id": "00000000000000ab", "kind": "deploy", "service": "store", "who": null, "begun_at_ms": 1_000,
        "ended_at_ms": null, "stage": "begin", "steps": [{"stage": "begin", "begun_at_ms": 1_000}], "outcome": null,
    })
}
