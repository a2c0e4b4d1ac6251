//! What the page of a run says, for HTML and PDF alike.

pub(crate) mod agreement;
pub(crate) mod charts;
pub(crate) mod decisions;
mod tables;

use agreement::AgreementOnPage;
use charts::{Charts, Plane};
use decisions::DecisionLog;
use run::Run;
use run::figures::{self, Assumptions, Figure};
use run::numbers::number;
use run::summary::Summary;
use serde::Serialize;
use tables::GroupOnPage;

use crate::compared_run::ComparedRun;

/// The figures at the head of the page.
const HEADLINES: [&str; 6] = [
    "outside_objective_percent",
    "latency_ms.p99",
    "elasticity.under_timeshare_percent",
    "elasticity.over_accuracy_percent",
    "instances.seconds",
    "scaling.out",
];

/// What a page is made of.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The run.
    pub(crate) run: Run,
    /// What its figures suppose.
    pub(crate) assumptions: Assumptions,
    /// The run to compare it with.
    pub(crate) comparison: Option<ComparedRun>,
    /// The figures of further runs of the same experiment.
    pub(crate) repetitions: Vec<Vec<Figure>>,
    /// Conditions that the run itself does not know, as names and values.
    pub(crate) notes: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Headline {
    name: String,
    value: String,
    unit: String,
}

/// The run that a page compares with.
#[derive(Debug, Serialize)]
struct OtherRun {
    run: String,
    role: &'static str,
}

/// Everything that a page says, as text and paths.
#[derive(Debug, Serialize)]
pub(crate) struct Content {
    title: String,
    run: String,
    verdict: String,
    warnings: Vec<String>,
    headlines: Vec<Headline>,
    /// None of a run that was not kept second by second.
    pub(crate) charts: Option<Charts>,
    pub(crate) log: DecisionLog,
    other: Option<OtherRun>,
    agreement: Option<AgreementOnPage>,
    /// How many runs the medians are of.
    runs: usize,
    groups: Vec<GroupOnPage>,
    conditions: Vec<(String, String)>,
}

impl Content {
    /// The content of a page whose charts lie on that plane.
    pub(crate) fn of(page: &Page, plane: Plane) -> Self {
        let Page { run, assumptions, comparison, repetitions, notes } = page;
        let comparison = comparison.as_ref();
        let figures = figures::measure(run, assumptions);
        let demand = figures::demand(run, assumptions);
        let other =
            |c: &ComparedRun| OtherRun { run: c.run.summary.run.clone(), role: c.role.name() };
        Self {
            title: run.summary.scenario.clone(),
            run: run.summary.run.clone(),
            verdict: run.summary.told(),
            warnings: warnings(&run.summary, comparison),
            headlines: headlines(&figures),
            charts: (!run.rows.is_empty())
                .then(|| Charts::of(run, demand.as_ref(), comparison, plane)),
            log: DecisionLog::of(run),
            other: comparison.map(other),
            agreement: comparison.map(|c| AgreementOnPage::of(run, c)),
            runs: repetitions.len() + 1,
            groups: tables::groups(&figures, comparison, repetitions),
            conditions: tables::conditions(run, assumptions, notes),
        }
    }
}

/// What a reader must know before trusting the figures.
fn warnings(s: &Summary, comparison: Option<&ComparedRun>) -> Vec<String> {
    let mut warnings = s.limits.broken();
    if s.interrupted {
        warnings.push("The run was interrupted: its load is not the whole scenario.".to_owned());
    }
    if s.generator.bottleneck {
        let text = "The load generator was the bottleneck: the figures say more of it than of the \
                    service.";
        warnings.push(text.to_owned());
    }
    if comparison.is_some_and(|c| !c.run.summary.has_the_load_of(s)) {
        let text = "The two runs had different loads (scenario, seed or length): a difference need \
                    not be the scaler's.";
        warnings.push(text.to_owned());
    }
    if let Some(other) = comparison.map(|c| c.run.summary.objective_ms) {
        let own = s.objective_ms;
        if own != other {
            warnings.push(format!(
                "The two runs had different objectives ({own} and {other} ms): what is outside of \
                 them does not compare."
            ));
        }
    }
    warnings
}

fn headlines(figures: &[Figure]) -> Vec<Headline> {
    let headline = |key: &&str| {
        let figure = figures.iter().find(|f| f.key == **key)?;
        let value = figure.value.map_or_else(|| "–".to_owned(), number);
        Some(Headline { name: figure.name.clone(), value, unit: figure.unit.clone() })
    };
    HEADLINES.iter().filter_map(headline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_verdict_is_a_sentence() {
        insta::assert_snapshot!(testing::run().summary.told(), @"700 requests in 10 s, 1 failed or never sent; 99% within 90 ms; 1 to 2 instances.");
        assert_eq!(
            warnings(&testing::run().summary, None),
            ["limits.max_failed: 1 measured, 0 allowed"]
        );
    }

    #[test]
    fn a_comparison_of_different_loads_is_called_so() {
        let mut page = testing::compared_page();
        page.run.summary.seed += 1;
        let warnings = warnings(&page.run.summary, page.comparison.as_ref());
        assert!(warnings.iter().any(|w| w.contains("different loads")), "{warnings:?}");
    }

    #[test]
    fn a_comparison_of_different_objectives_is_called_so() {
        let mut page = testing::compared_page();
        assert!(warnings(&page.run.summary, page.comparison.as_ref()).len() < 2);
        page.run.summary.objective_ms = 400;
        let warnings = warnings(&page.run.summary, page.comparison.as_ref());
        assert!(warnings.iter().any(|w| w.contains("(400 and 250 ms)")), "{warnings:?}");
    }
}
