//! The page's tables: the figures, and the conditions of the run.

use run::Run;
use run::figures::{Assumptions, Difference, Figure, Verdict, differences};
use run::numbers::{moment, number, with_unit};
use run::repetitions::Interval;
use serde::Serialize;

use crate::compared_run::ComparedRun;

/// The figures of a group, ready for the page.
#[derive(Debug, Serialize)]
pub(crate) struct GroupOnPage {
    title: &'static str,
    figures: Vec<FigureOnPage>,
}

#[derive(Debug, Serialize)]
struct FigureOnPage {
    key: String,
    name: String,
    explanation: String,
    value: String,
    other: String,
    change: String,
    verdict: Verdict,
    median: String,
    interval: String,
}

/// The figures by group; beside each the other run's, and its median over all repetitions.
pub(crate) fn groups(
    figures: &[Figure],
    comparison: Option<&ComparedRun>,
    repetitions: &[Vec<Figure>],
) -> Vec<GroupOnPage> {
    let other = comparison.map_or(&[][..], |c| &c.figures);
    let mut groups: Vec<GroupOnPage> = Vec::new();
    for difference in differences(figures, other) {
        let title = difference.figure.group.title();
        let figure = on_page(&difference, repetitions);
        match groups.last_mut().filter(|g| g.title == title) {
            Some(group) => group.figures.push(figure),
            None => groups.push(GroupOnPage { title, figures: vec![figure] }),
        }
    }
    groups
}

fn on_page(difference: &Difference<'_>, repetitions: &[Vec<Figure>]) -> FigureOnPage {
    let figure = difference.figure;
    let again = repetitions.iter().flatten().filter(|f| f.key == figure.key);
    let values: Vec<f64> = again.chain([figure]).filter_map(|f| f.value).collect();
    let interval = Interval::of(&values);
    FigureOnPage {
        key: figure.key.clone(),
        name: figure.name.clone(),
        explanation: figure.explanation.clone(),
        value: with_unit(figure.value, &figure.unit),
        other: with_unit(difference.other, &figure.unit),
        change: difference.change_told(),
        verdict: difference.verdict,
        median: with_unit(interval.map(|i| i.median), &figure.unit),
        interval: interval.map_or_else(String::new, |i| {
            format!(
                "{} to {}, {}%",
                number(i.low),
                number(i.high),
                number((i.coverage_percent * 10.0).round() / 10.0)
            )
        }),
    }
}

/// Under which conditions the run took place, and what its figures suppose.
pub(crate) fn conditions(
    run: &Run,
    assumptions: &Assumptions,
    notes: &[(String, String)],
) -> Vec<(String, String)> {
    let s = &run.summary;
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    add("scenario", s.scenario.clone());
    add("run", s.run.clone());
    add("started", moment(s.started_at_ms));
    add("seed", s.seed.to_string());
    let seconds = |s: f64| with_unit(Some(s), "s");
    add("load", format!("{} after {} of warm-up", seconds(s.duration_s), seconds(s.warm_up_s)));
    add("objective", format!("99% within {} ms, none failed", s.objective_ms));
    add("settling", seconds((s.settle_s * 10.0).round() / 10.0));
    if (s.time_factor - 1.0).abs() > 1e-9 {
        add("durations multiplied by", number(s.time_factor));
    }
    if let Some(service) = run.service().filter(|_| !s.conditions.contains_key("service")) {
        add("service", service.to_owned());
    }
    for (name, value) in &s.conditions {
        add(name, value.clone());
    }
    if let Some(curve) = &assumptions.capacity {
        add("capacity", curve.to_string());
        add("load smoothed over", seconds(assumptions.smoothing_s as f64));
    }
    for (name, value) in notes {
        add(name, value.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn conditions_are_those_of_the_run_then_those_that_were_noted() {
        let notes = [("membership".to_owned(), "runtime".to_owned())];
        let text: Vec<String> = conditions(&testing::run(), &testing::assumptions(), &notes)
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        scenario: small
        run: small-1
        started: 2023-11-14 22:13:20 UTC
        seed: 7
        load: 10 s after 0 s of warm-up
        objective: 99% within 250 ms, none failed
        settling: 2 s
        service: store
        capacity: 50 requests/s an instance
        load smoothed over: 5 s
        membership: runtime
        ");
    }
}
