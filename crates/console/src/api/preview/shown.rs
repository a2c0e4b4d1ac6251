//! A preview as JSON: what is not known is `null`.

use model::bounds::Bounds;
use model::decision::Decision;
use model::policies::PolicySpec;
use model::time::Timestamp;
use serde::Serialize;
use simulation::preview::{Assumed, Decided, Grain, Point, Preview, Totals};

/// What a policy would have run.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Preview"))]
pub(crate) struct ShownPreview {
    /// The policy, with every figure.
    policy: PolicySpec,
    /// The length of the steps, in seconds.
    step_s: u64,
    /// One for each step, oldest first.
    points: Vec<ShownPoint>,
    /// The first decision, and each whose number differs from the one before; at most 1,000.
    decisions: Vec<ShownDecision>,
    /// How many more there were.
    decisions_left_out: u64,
    /// What it would have come to, in the steps whose load is known.
    totals: ShownTotals,
    /// What ran, in the same steps.
    ran: ShownRan,
    /// What it goes by beside the load.
    assumed: ShownAssumed,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PreviewPoint"))]
struct ShownPoint {
    /// When it begins.
    at_ms: Timestamp,
    /// Requests that came, per second; `null` where that is not known: there the policy holds.
    offered_rps: Option<f64>,
    /// Requests answered, per second.
    served_rps: Option<f64>,
    /// Requests that failed, per second.
    failed_rps: Option<f64>,
    /// How long those answered took on average, in milliseconds.
    latency_ms: Option<f64>,
    /// The mean of the instances in rotation.
    ready: f64,
    /// The mean of all instances.
    instances: f64,
    /// The number decided on last in it; `null` where the decision is to hold.
    target: Option<u32>,
}

/// A decision.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PreviewDecision"))]
struct ShownDecision {
    at_ms: Timestamp,
    decision: Decision,
}

/// What a policy would have come to.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PreviewTotals"))]
struct ShownTotals {
    /// For so many seconds the load is known.
    known_s: f64,
    /// Existence of all instances, in seconds.
    instance_seconds: f64,
    /// Requests that ended.
    requests: u64,
    /// Those of them that failed.
    failed: u64,
    /// Those that failed or took longer than the objective, in percent.
    outside_objective_percent: Option<f64>,
}

/// What ran.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PreviewRan"))]
struct ShownRan {
    /// Existence of all instances, in seconds.
    instance_seconds: Option<f64>,
}

/// What a preview goes by beside the load.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PreviewAssumed"))]
struct ShownAssumed {
    bounds: Bounds,
    /// Instances ready at the beginning.
    ready: u32,
    /// The median of a launch, in milliseconds.
    launch_ms: f64,
    /// A request's mean time in an instance that nothing holds up, in milliseconds.
    request_ms: f64,
    /// CPU time that a request takes, in milliseconds.
    cpu_ms: f64,
    /// Requests per second that one instance serves.
    instance_rps: Option<f64>,
}

impl ShownPreview {
    /// What this policy would have run.
    pub(super) fn of(policy: &PolicySpec, grain: Grain, preview: Preview) -> Self {
        let Preview { points, decisions, decisions_left_out, totals, ran, assumed } = preview;
        Self {
            policy: policy.clone(),
            step_s: grain.step().as_secs(),
            points: points.into_iter().map(point).collect(),
            decisions: decisions.into_iter().map(decision).collect(),
            decisions_left_out,
            totals: shown_totals(totals),
            ran: ShownRan { instance_seconds: rounded(ran.instance_seconds) },
            assumed: shown_assumed(assumed),
        }
    }
}

fn point(point: Point) -> ShownPoint {
    ShownPoint {
        at_ms: point.at,
        offered_rps: rounded(point.offered_rps),
        served_rps: rounded(point.served_rps),
        failed_rps: rounded(point.failed_rps),
        latency_ms: rounded(point.latency_ms),
        ready: round(point.ready),
        instances: round(point.instances),
        target: point.target,
    }
}

fn decision(decided: Decided) -> ShownDecision {
    ShownDecision { at_ms: decided.at, decision: decided.decision }
}

fn shown_totals(totals: Totals) -> ShownTotals {
    let Totals { known_s, instance_seconds, requests, failed, outside_objective_percent } = totals;
    ShownTotals {
        known_s: round(known_s),
        instance_seconds: round(instance_seconds),
        requests,
        failed,
        outside_objective_percent: rounded(outside_objective_percent),
    }
}

fn shown_assumed(assumed: Assumed) -> ShownAssumed {
    let Assumed { bounds, ready, launch_ms, request_ms, cpu_ms, instance_rps } = assumed;
    ShownAssumed {
        bounds,
        ready,
        launch_ms: round(launch_ms),
        request_ms: round(request_ms),
        cpu_ms: round(cpu_ms),
        instance_rps,
    }
}

fn rounded(figure: Option<f64>) -> Option<f64> {
    figure.map(round)
}

/// Four digits behind the point, as in a series.
fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
