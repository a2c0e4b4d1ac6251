//! The page of a run: one HTML file that needs nothing else, on a screen, on a telephone and on
//! paper.
//!
//! The charts are there without the script; the script adds zoom, the values under the pointer, and
//! the way between the curve and the decision log.

mod charts;
mod data;
mod decisions;
mod numbers;
mod tables;

use serde::Serialize;
use tera::{Context, Tera};

use crate::figures::{self, Assumptions, Figure};
use crate::run::Run;
use crate::summary::Summary;

use charts::Charts;
use decisions::DecisionLog;
use numbers::{number, with_unit};

const TEMPLATE: &str = include_str!("html/page.html.tera");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// The figures at the head of the page.
const HEADLINES: [&str; 6] = [
    "outside_objective_percent",
    "latency_ms.p99",
    "elasticity.under_timeshare_percent",
    "elasticity.over_accuracy_percent",
    "instances.seconds",
    "scaling.out",
];

/// The page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be written")]
pub struct PageError(#[from] tera::Error);

/// Another run to compare with.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The run.
    pub run: Run,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// What a page is made of.
#[derive(Debug, Clone)]
pub struct Page {
    /// The run.
    pub run: Run,
    /// What its figures suppose.
    pub assumptions: Assumptions,
    /// The run to compare it with.
    pub comparison: Option<Comparison>,
    /// The figures of further runs of the same experiment.
    pub repetitions: Vec<Vec<Figure>>,
    /// Conditions that the run itself does not know, as names and values.
    pub notes: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Headline<'a> {
    name: &'a str,
    value: String,
    unit: &'a str,
}

/// The page as an HTML document.
///
/// # Errors
/// None that a run can cause: the error is the template's.
pub fn render(page: &Page) -> Result<String, PageError> {
    let Page { run, assumptions, comparison, repetitions, notes } = page;
    let figures = figures::measure(run, assumptions);
    let demand = figures::demand(run, assumptions);
    let log = DecisionLog::of(run);
    let mut context = Context::new();
    context.insert("title", &run.summary.scenario);
    context.insert("run", &run.summary.run);
    context.insert("verdict", &verdict(&run.summary));
    context.insert("warnings", &warnings(&run.summary, comparison.as_ref()));
    context.insert("headlines", &headlines(&figures));
    context.insert("charts", &Charts::of(run, demand.as_ref(), comparison.as_ref()));
    context.insert("data", &data::json(run, demand.as_ref(), &log));
    context.insert("log", &log);
    context.insert("other", &comparison.as_ref().map(|c| &c.run.summary.run));
    context.insert("runs", &(repetitions.len() + 1));
    context.insert("groups", &tables::groups(&figures, comparison.as_ref(), repetitions));
    context.insert("conditions", &tables::conditions(run, assumptions, notes));
    context.insert("style", STYLE);
    context.insert("script", SCRIPT);
    Ok(Tera::one_off(TEMPLATE, &context, true)?)
}

/// What happened, in a sentence.
fn verdict(s: &Summary) -> String {
    let bad = s.requests.failed + s.requests.dropped;
    let mut text =
        format!("{} requests in {} s", number(s.requests.due as f64), number(s.duration_s));
    text += &match bad {
        0 => ", none failed".to_owned(),
        _ => format!(", {} failed or never sent", number(bad as f64)),
    };
    if let Some(p99) = s.latency_ms.p99 {
        text += &format!("; 99% within {}", with_unit(Some(p99), "ms"));
    }
    if let (Some(min), Some(max)) = (s.instances.min, s.instances.max) {
        text += &format!("; {min} to {max} instances");
    }
    text + "."
}

/// What a reader must know before trusting the figures.
fn warnings(s: &Summary, comparison: Option<&Comparison>) -> Vec<String> {
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
    warnings
}

fn headlines(figures: &[Figure]) -> Vec<Headline<'_>> {
    let headline = |key: &&str| {
        let figure = figures.iter().find(|f| f.key == **key)?;
        let value = figure.value.map_or_else(|| "–".to_owned(), number);
        Some(Headline { name: &figure.name, value, unit: &figure.unit })
    };
    HEADLINES.iter().filter_map(headline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn page() -> Page {
        Page {
            run: testing::run(),
            assumptions: testing::assumptions(),
            comparison: None,
            repetitions: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn compared() -> Page {
        let mut other = testing::run();
        other.summary.run = "the other".to_owned();
        let figures = figures::measure(&other, &testing::assumptions());
        let repetitions = vec![figures.clone(); 4];
        Page { comparison: Some(Comparison { run: other, figures }), repetitions, ..page() }
    }

    #[test]
    fn the_page_needs_nothing_but_itself() {
        for page in [page(), compared()] {
            let html = render(&page).unwrap();
            for outside in ["http://", "https://", "src=", "@import", "url(", "<link"] {
                assert!(!html.contains(outside), "{outside} leads out of the page");
            }
        }
    }

    #[test]
    fn nothing_from_the_data_is_markup() {
        const EVIL: &str = "</script><script>alert(1)</script><b a='\"&";
        let mut page = compared();
        page.run.summary.scenario = EVIL.to_owned();
        page.run.summary.run = EVIL.to_owned();
        page.run.summary.conditions.insert(EVIL.to_owned(), EVIL.to_owned());
        page.notes.push((EVIL.to_owned(), EVIL.to_owned()));
        page.run.ticks[1].done[0].error = Some(EVIL.to_owned());
        if let Some(other) = &mut page.comparison {
            other.run.summary.run = EVIL.to_owned();
        }
        if let Some(prices) = &mut page.assumptions.prices {
            prices.currency = EVIL.to_owned();
            prices.types[0].name = EVIL.to_owned();
        }
        let html = render(&page).unwrap();
        assert!(!html.contains("alert(1)</script>") && !html.contains("<b a="));
        assert_eq!(html.matches("</script>").count(), 2, "the data and the program, no more");
    }

    #[test]
    fn the_verdict_is_a_sentence() {
        insta::assert_snapshot!(verdict(&testing::run().summary), @"700 requests in 10 s, 1 failed or never sent; 99% within 90 ms; 1 to 2 instances.");
        assert_eq!(
            warnings(&testing::run().summary, None),
            ["limits.max_failed: 1 measured, 0 allowed"]
        );
    }

    #[test]
    fn a_comparison_of_different_loads_is_called_so() {
        let mut page = compared();
        page.run.summary.seed += 1;
        let warnings = warnings(&page.run.summary, page.comparison.as_ref());
        assert!(warnings.iter().any(|w| w.contains("different loads")), "{warnings:?}");
    }

    #[test]
    fn figures_charts_log_and_conditions_are_on_the_page() {
        let html = render(&compared()).unwrap();
        for text in ["Elastic speedup", "Burst", "launch s2", "p99, other run", "median of 5 runs"]
        {
            assert!(html.contains(text), "{text} is missing");
        }
        assert!(!html.contains("NaN") && !html.contains("inf<"));
    }

    #[test]
    fn the_smallest_runs_have_a_page() {
        let mut page = page();
        page.run.rows.clear();
        page.run.ticks.clear();
        page.assumptions = Assumptions::default();
        let html = render(&page).unwrap();
        assert!(html.contains("not known") && !html.contains("NaN"));
    }

    #[test]
    fn a_day_stays_a_page_that_a_browser_opens() {
        let mut page = page();
        let row = page.run.rows[5].clone();
        page.run.rows =
            (0..86_400).map(|second| crate::SecondRow { second, ..row.clone() }).collect();
        page.run.summary.duration_s = 86_400.0;
        let html = render(&page).unwrap();
        assert!(html.len() < 1_500_000, "{} bytes", html.len());
    }
}
