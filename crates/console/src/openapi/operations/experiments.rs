//! Experiments: how one is started, what came of it, and the files that it left.

use model::experiment::Experiment;
use model::job::JobStatus;
use serde_json::{Value, json};

use super::super::document::{Operation, Schemas};
use super::jobs::{JOB, a_job, asked_for, of_job};
use crate::api::experiments::{ShownExperiment, ShownExperiments, ShownScenarios};

const RUN: &str = "^(run|[1-9]|10|(runtime|reload)(-([1-9]|10))?)$";

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    [changes(schemas), told(schemas), files()].concat()
}

fn changes(schemas: &mut Schemas) -> Vec<Operation> {
    let start =
        Operation::passed("post", "/v1/experiments", "startExperiment", "Starts an experiment")
            .takes("application/json", schemas.taken::<Experiment>(), json!({ "scenario": "ramp" }))
            .fails(404, &["no_such_service"])
            .fails(422, &["bad_body", "bad_value"]);
    let path = "/v1/jobs/{id}/interrupt";
    let interrupt = of_job(Operation::passed("post", path, "interrupt", "Has an experiment end"))
        .fails(403, &["too_few_rights"])
        .fails(409, &["not_interruptible"])
        .answers_as(
            202,
            "It will, and what was measured is kept.",
            "application/json",
            schemas.told::<JobStatus>(),
            a_job(),
        );
    vec![asked_for(start, schemas), interrupt]
}

fn told(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
        Operation::own("/v1/scenarios", "scenarios", "What experiments can be asked for with")
            .answers(
                "These.",
                schemas.told::<ShownScenarios>(),
                json!({ "policies": ["default", "hpa"], "scenarios": [{
                    "name": "ramp", "description": "Up and down.", "service": "store",
                    "load_s": 180.0, "deployed": true,
                }] }),
            ),
        Operation::own("/v1/experiments", "experiments", "What was tried, and what is").answers(
            "They are like this.",
            schemas.told::<ShownExperiments>(),
            json!({ "experiments": [{ "experiment": record(), "state": "ended", "figures": {
                "outside_objective_percent": 0.5, "latency_ms.p99": 20.0, "instances.seconds": 900.0,
            } }] }),
        ),
        of_experiment(Operation::own("/v1/experiments/{id}", "experiment", "One of them")).answers(
            "It is like this.",
            schemas.told::<ShownExperiment>(),
            json!({ "experiment": record(), "state": "ended", "has_report": true, "runs": [{
                "name": "run", "problem": null, "result": {
                    "seed": 7, "started_at_ms": 1_000, "interrupted": false, "conditions": { "policy": "hpa" },
                    "held": true, "broken": [], "figures": { "latency_ms.p99": 20.0 },
                },
            }] }),
        ),
    ]
}

/// Those of a run, as a program without rights wrote them.
fn files() -> Vec<Operation> {
    let text = || json!({ "type": "string" });
    let of_run = |path, id, summary| {
        of_experiment(Operation::own(path, id, summary))
            .in_path("run", "The name of the run.", RUN)
            .fails(404, &["no_such_run", "no_such_file", "spoilt_file"])
    };
    let any = json!({ "type": "object" });
    vec![
        of_run(
            "/v1/experiments/{id}/runs/{run}/summary.json",
            "runSummary",
            "A run's figures as it wrote them",
        )
        .answers("These.", any, json!({})),
        of_run("/v1/experiments/{id}/runs/{run}/series.csv", "runSeries", "A run second by second")
            .answers_as(200, "A row each.", "text/csv", text(), json!("second,due\n")),
        of_run(
            "/v1/experiments/{id}/runs/{run}/ticks.jsonl",
            "runTicks",
            "The scaler's turns in a run",
        )
        .answers_as(200, "A line each.", "application/x-ndjson", text(), json!("{}\n")),
        of_run("/v1/experiments/{id}/runs/{run}/chart.svg", "runChart", "The picture of a run")
            .answers_as(200, "This.", "image/svg+xml", text(), json!("<svg/>")),
        of_experiment(Operation::own(
            "/v1/experiments/{id}/report",
            "report",
            "The report, a page of nobody",
        ))
        .fails(404, &["no_such_file", "spoilt_file"])
        .answers_as(200, "This.", "text/html", text(), json!("<!DOCTYPE html>")),
    ]
}

fn of_experiment(operation: Operation) -> Operation {
    operation.in_path("id", "The id of the experiment.", JOB).fails(404, &["no_such_experiment"])
}

fn record() -> Value {
    json!({
        "id": "00000000000000ab", "service": "store", "scenario": "ramp", "policy": "hpa", "runs": 1, "time_factor": 1.0,
        "seed": null, "begun_at_ms": 1_000, "ended_at_ms": 181_000,
        "outcome": { "is_well": true, "verdict": "all limits held" },
    })
}
