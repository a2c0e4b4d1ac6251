//! What the scaler tells by way of the console.

use model::access::ChangePage;
use model::cost::CostPage;
use model::machine::{DoctorStatus, MachineStatus};
use model::output::OutputPage;
use model::secrets::Secrets;
use model::status::MembershipStatus;
use model::why_not::WhyNot;
use serde_json::json;

use super::super::document::{Needs, Operation, Schemas, example};
use super::{limit, moment, whole_number};

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
        output(schemas),
        why_not(schemas),
        recording(),
        secrets(schemas),
        membership(schemas),
        cost(schemas),
        machine(schemas),
        doctor(schemas),
        changes(schemas),
    ]
}

fn output(schemas: &mut Schemas) -> Operation {
    let page = json!({ "lines": [
        { "at_ms": 1_000, "instance": "bw-store-1-a", "stream": "stderr", "text": "listening" },
    ] });
    Operation::passed("get", "/v1/services/{name}/output", "output", "What instances wrote")
        .needs(Needs::Token)
        .of_service()
        .asks("instance", "This instance.", json!({ "type": "string" }))
        .asks("since_ms", "Since this moment.", moment())
        .asks(
            "lines",
            "So many at most.",
            json!({ "type": "integer", "minimum": 0, "default": 100 }),
        )
        .fails(400, &["bad_query"])
        .fails(403, &["too_few_rights"])
        .fails(500, &["not_read"])
        .answers(
            "The newest lines, oldest first.",
            schemas.told::<OutputPage>(),
            example::<OutputPage>(page),
        )
}

fn why_not(schemas: &mut Schemas) -> Operation {
    let told = json!({
        "service": "store", "at_ms": 1_000, "ready": 3, "target": 1, "ready_now": 1, "starting": 0, "obstacles": [],
    });
    let path = "/v1/services/{name}/why-not";
    Operation::passed(
        "get",
        path,
        "whyNot",
        "What stands between a service and a number of instances",
    )
    .of_service()
    .must_ask("ready", "The number.", json!({ "type": "integer", "format": "int32", "minimum": 0 }))
    .fails(400, &["bad_query"])
    .fails(422, &["too_many", "one_instance"])
    .fails(503, &["no_turn_yet"])
    .answers("This.", schemas.told::<WhyNot>(), example::<WhyNot>(told))
}

fn recording() -> Operation {
    let path = "/v1/services/{name}/recording";
    Operation::passed("get", path, "recording", "Turns as they are taken, with every input")
        .needs(Needs::Token)
        .of_service()
        .fails(403, &["too_few_rights"])
        .fails(429, &["too_many_recordings"])
        .answers_as(
            200,
            "A line of JSON for each, without end.",
            "application/x-ndjson",
            json!({ "type": "string" }),
            json!("{\"end\":\"withdrawn\"}\n"),
        )
}

fn secrets(schemas: &mut Schemas) -> Operation {
    Operation::passed(
        "get",
        "/v1/services/{name}/secrets",
        "secrets",
        "Secrets, without their values",
    )
    .needs(Needs::Token)
    .of_service()
    .fails(403, &["too_few_rights"])
    .fails(422, &["bad_name"])
    .fails(500, &["not_read", "spoilt_secret"])
    .answers("These.", schemas.told::<Secrets>(), json!({ "secrets": [] }))
}

fn membership(schemas: &mut Schemas) -> Operation {
    let told = json!({ "membership": "runtime", "set": null });
    Operation::passed("get", "/v1/membership", "membership", "How HAProxy learns of instances")
        .answers("So.", schemas.told::<MembershipStatus>(), told)
        .tagged()
}

fn cost(schemas: &mut Schemas) -> Operation {
    let told = json!({ "since_ms": 1_000, "at_ms": 8_201_000, "services": [{
        "service": "store", "instances": 2, "launches": 3, "runtime_ms": 16_400_000,
        "charged_s": 16_401, "cost": 0.5, "unpriced_s": 0,
    }] });
    Operation::passed("get", "/v1/cost", "cost", "What instances ran and cost, by service")
        .asks("since", "Since this moment; without it, since the record began.", moment())
        .asks("format", "`csv` for a table.", json!({ "type": "string", "enum": ["json", "csv"] }))
        .fails(400, &["bad_query"])
        .answers("This.", schemas.told::<CostPage>(), example::<CostPage>(told))
}

fn machine(schemas: &mut Schemas) -> Operation {
    let told = json!({
        "at_ms": 1_000, "name": "box", "release": "0.1.0", "since_ms": 500,
        "processors": { "cores": 2, "load": [0.5, 0.25, 0.125] },
        "memory": { "total_mib": 7_900, "available_mib": 5_000 },
        "disk": { "folder": "/var/lib/bellows", "total_mib": 80_000, "free_mib": 40_000 },
        "room": {
            "memory_mib": 7_644, "left_mib": 7_388, "promised_mib": 0,
            "slots_used": 2, "slots_free": 1_019, "slots_withheld": 0,
        },
        "haproxy": {
            "version": "2.6.12-1+deb12u4", "since_ms": 400, "reloads": 1, "old_workers": 0,
            "connections": 3, "connections_max": 4_000,
        },
        "network": { "put_back": 0, "last": null, "trouble": null },
    });
    Operation::passed("get", "/v1/host", "host", "The machine, and what instances may take of it")
        .fails(403, &["too_few_rights"])
        .answers(
            "It is like this.",
            schemas.told::<MachineStatus>(),
            example::<MachineStatus>(told),
        )
}

fn doctor(schemas: &mut Schemas) -> Operation {
    let told = json!({ "at_ms": 1_000, "problem": null, "checks": [
        { "check": "disk", "is_well": false, "found": "100 MiB free", "cure": "make room" },
    ] });
    let path = "/v1/host/doctor";
    Operation::passed("get", path, "doctor", "What `bellows doctor` found, of the last minute")
        .fails(403, &["too_few_rights"])
        .answers("This.", schemas.told::<DoctorStatus>(), example::<DoctorStatus>(told))
}

fn changes(schemas: &mut Schemas) -> Operation {
    let page = json!({ "changes": [{
        "sequence": 1, "at_ms": 1_000, "who": { "kind": "token", "name": "ci" },
        "changed": {
            "kind": "bounds", "service": "store",
            "before": { "min": 1, "max": 10 }, "after": { "min": 2, "max": 10 },
        },
    }], "next": 1 });
    Operation::passed("get", "/v1/changes", "changes", "Who changed what")
        .needs(Needs::Token)
        .asks("since", "Those after this number.", whole_number())
        .asks("limit", "So many at most.", limit(1_000))
        .fails(400, &["bad_query"])
        .answers("Oldest first.", schemas.told::<ChangePage>(), example::<ChangePage>(page))
}
