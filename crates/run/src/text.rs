//! A run's figures as a few lines for people.

mod tables;

use std::fmt::Write as _;

use crate::summary::{Requests, Summary};

pub use tables::{differences, repetitions};

/// The lines, each ended.
pub fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = lines(summary, &mut text);
    text
}

fn lines(s: &Summary, out: &mut String) -> std::fmt::Result {
    let Requests { due, ok, failed, dropped, rejected } = s.requests;
    writeln!(
        out,
        "requests   {due} due, {ok} ok, {failed} failed ({rejected} rejected), {dropped} dropped, \
         in {:.0} s",
        s.duration_s
    )?;
    for (cause, count) in &s.failures {
        writeln!(out, "           {count} x {cause}")?;
    }
    if let Some(trace) = s.conditions.get("trace") {
        writeln!(out, "trace      {trace}")?;
    }
    let l = &s.latency_ms;
    let (p50, p95) = (known(l.p50, " ms"), known(l.p95, " ms"));
    let (p99, max) = (known(l.p99, " ms"), known(l.max, " ms"));
    writeln!(out, "latency    p50 {p50}, p95 {p95}, p99 {p99}, max {max}")?;
    if let (Some(min), Some(max)) = (s.instances.min, s.instances.max) {
        let seconds = known(s.instances.seconds, " instance-seconds");
        writeln!(out, "instances  {min} to {max} ready, {seconds}")?;
        let (started, drained) = (count(s.scaling.out), count(s.scaling.r#in));
        let serving = &s.scaling.plan_to_serving_ms;
        let (p50, p99) = (known(serving.p50, " ms"), known(serving.p99, " ms"));
        writeln!(
            out,
            "scaling    {started} out, {drained} in; plan to serving p50 {p50}, p99 {p99}"
        )?;
    }
    let g = &s.generator;
    // A simulated load has no generator.
    if g.lateness_ms.p50.is_some() {
        let (p50, p99) = (known(g.lateness_ms.p50, " ms"), known(g.lateness_ms.p99, " ms"));
        let cpu = known(g.cpu_percent, "% of a core");
        writeln!(out, "generator  late by p50 {p50}, p99 {p99}; {cpu}")?;
    }
    if g.bottleneck {
        writeln!(
            out,
            "warning: the generator was the bottleneck: its figures say more of it than of the \
             service. Lower the rate, or free a core for it"
        )?;
    }
    for broken in s.limits.broken() {
        writeln!(out, "not held: {broken}")?;
    }
    Ok(())
}

fn known(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.1}{unit}"))
}

fn count(value: Option<u64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |v| v.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::summary::{CountLimit, Generator, Instances, Latency, Limits, Percentiles, Scaling};

    use super::*;

    fn run() -> Summary {
        Summary {
            scenario: "ramp".to_owned(),
            run: "ramp-1".to_owned(),
            started_at_ms: 1,
            seed: 1,
            time_factor: 1.0,
            duration_s: 175.0,
            warm_up_s: 5.0,
            settle_s: 12.0,
            interrupted: false,
            requests: Requests { due: 100, ok: 97, failed: 2, dropped: 1, rejected: 1 },
            warm_up: Requests::default(),
            conditions: BTreeMap::new(),
            objective_ms: 250,
            outside_objective_percent: Some(3.0),
            latency_ms: Latency {
                p50: Some(4.21),
                p95: Some(12.0),
                p99: Some(40.0),
                max: Some(91.5),
            },
            instances: Instances {
                min: Some(1),
                max: Some(10),
                seconds: Some(1034.04),
                over_s: Some(180.0),
            },
            scaling: Scaling {
                out: Some(9),
                r#in: Some(9),
                failed_actions: Some(0),
                plan_to_serving_ms: Percentiles { p50: Some(71.2), p99: Some(140.0) },
                never_served: Some(0),
            },
            generator: Generator {
                lateness_ms: Percentiles { p50: Some(0.06), p99: Some(7.5) },
                cpu_percent: Some(21.0),
                bottleneck: true,
                ..Generator::default()
            },
            failures: BTreeMap::from([("status_503".to_owned(), 1), ("timeout".to_owned(), 1)]),
            limits: Limits { max_failed: Some(CountLimit::judge(0, 2)), ..Limits::default() },
        }
    }

    #[test]
    fn a_run_reads_as_a_few_lines() {
        insta::assert_snapshot!(summary(&run()), @r"
        requests   100 due, 97 ok, 2 failed (1 rejected), 1 dropped, in 175 s
                   1 x status_503
                   1 x timeout
        latency    p50 4.2 ms, p95 12.0 ms, p99 40.0 ms, max 91.5 ms
        instances  1 to 10 ready, 1034.0 instance-seconds
        scaling    9 out, 9 in; plan to serving p50 71.2 ms, p99 140.0 ms
        generator  late by p50 0.1 ms, p99 7.5 ms; 21.0% of a core
        warning: the generator was the bottleneck: its figures say more of it than of the service. Lower the rate, or free a core for it
        not held: limits.max_failed: 2 measured, 0 allowed
        ");
    }

    #[test]
    fn without_a_scaler_nothing_is_said_of_instances() {
        let run = Summary { instances: Instances::default(), ..run() };
        let text = summary(&run);
        assert!(!text.contains("instances") && !text.contains("scaling"), "{text}");
    }
}
