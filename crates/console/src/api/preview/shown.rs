//! A preview as the API says it, beside what ran.

use std::collections::BTreeMap;
use std::time::Duration;

use host::answer_pipe::Class;
use model::policies::PolicySpec;
use model::preview as told;
use model::time::Timestamp;
use simulation::preview::{Assumed, Decided, Point, Preview, Stretch, Totals};

use crate::series::answers::Answers;

/// What was, step by step.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) stretch: Stretch,
    /// By the begin of their step; one in which nothing was answered is not there.
    pub(super) answers: BTreeMap<Timestamp, Answers>,
    pub(super) objective: Duration,
}

impl Past {
    /// What this policy would have run.
    pub(super) fn beside(&self, policy: &PolicySpec, preview: Preview) -> told::Preview {
        let Preview { points, decisions, decisions_left_out, totals, ran, assumed } = preview;
        let ran = told::PreviewRan {
            instance_seconds: rounded(ran.instance_seconds),
            ..self.answered(&points)
        };
        let ready = self.stretch.steps().iter().map(|step| step.ready);
        told::Preview {
            policy: policy.clone(),
            step_s: self.stretch.grain().step().as_secs(),
            points: points.into_iter().zip(ready).map(point).collect(),
            decisions: decisions.into_iter().map(decision).collect(),
            decisions_left_out,
            totals: shown_totals(totals),
            ran,
            assumed: shown_assumed(assumed),
        }
    }

    /// What was answered in the steps whose load is known.
    fn answered(&self, points: &[Point]) -> told::PreviewRan {
        let known = points.iter().filter(|point| point.offered_rps.is_some());
        let mut all = Answers::default();
        known.filter_map(|point| self.answers.get(&point.at)).for_each(|it| all.merge(it));
        let objective_ms = u32::try_from(self.objective.as_millis()).unwrap_or(u32::MAX);
        let of = |count| (!all.is_empty()).then_some(count);
        told::PreviewRan {
            instance_seconds: None,
            answers: of(all.count()),
            failed: of(all.of(Class::ServerError)),
            late: of(all.later_than(objective_ms)),
        }
    }
}

fn point((point, ran_ready): (Point, Option<f64>)) -> told::PreviewPoint {
    told::PreviewPoint {
        at: point.at,
        offered_rps: rounded(point.offered_rps),
        served_rps: rounded(point.served_rps),
        failed_rps: rounded(point.failed_rps),
        latency_ms: rounded(point.latency_ms),
        ready: round(point.ready),
        ran_ready: rounded(ran_ready),
        instances: round(point.instances),
        target: point.target,
    }
}

fn decision(Decided { at, decision }: Decided) -> told::PreviewDecision {
    told::PreviewDecision { at, decision }
}

fn shown_totals(totals: Totals) -> told::PreviewTotals {
    let Totals { known_s, instance_seconds, requests, failed, outside_objective_percent } = totals;
    told::PreviewTotals {
        known_s: round(known_s),
        instance_seconds: round(instance_seconds),
        requests,
        failed,
        outside_objective_percent: rounded(outside_objective_percent),
    }
}

fn shown_assumed(assumed: Assumed) -> told::PreviewAssumed {
    let Assumed { bounds, ready, launch_ms, request_ms, cpu_ms, instance_rps } = assumed;
    told::PreviewAssumed {
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
