//! The page of a run: one HTML file that needs nothing else, on a screen, on a telephone and on
//! paper.
//!
//! The charts are there without the script; the script adds zoom, the values under the pointer, and
//! the way between the curve and the decision log.

mod data;

use run::PolicyTable;
use run::figures;
use tera::{Context, Tera};

use crate::page::charts::Plane;
use crate::page::{Content, Page};
use crate::policy_page::PolicyPage;

const TEMPLATE: &str = include_str!("html/page.html.tera");
const POLICIES_TEMPLATE: &str = include_str!("html/policies.html.tera");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The page as an HTML document.
///
/// # Errors
/// None that a run can cause: the error is the template's.
pub(crate) fn render(page: &Page) -> tera::Result<String> {
    let content = Content::of(page, Plane::SCREEN);
    let mut context = Context::from_serialize(&content)?;
    if content.charts.is_some() {
        let demand = figures::demand(&page.run, &page.assumptions);
        context.insert("data", &data::json(&page.run, demand.as_ref(), &content.log));
    }
    context.insert("style", STYLE);
    context.insert("script", SCRIPT);
    Tera::one_off(TEMPLATE, &context, true)
}

/// The page of a comparison of policies, as an HTML document.
///
/// # Errors
/// None that a comparison can cause: the error is the template's.
pub(crate) fn render_policies(table: &PolicyTable) -> tera::Result<String> {
    let mut context = Context::from_serialize(PolicyPage::of(table))?;
    context.insert("style", STYLE);
    Tera::one_off(POLICIES_TEMPLATE, &context, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use run::figures::Assumptions;

    #[test]
    fn the_page_needs_nothing_but_itself() {
        for page in [testing::page(), testing::compared_page()] {
            let html = render(&page).unwrap();
            for outside in ["http://", "https://", "src=", "@import", "url(", "<link"] {
                assert!(!html.contains(outside), "{outside} leads out of the page");
            }
        }
    }

    #[test]
    fn nothing_from_the_data_is_markup() {
        const EVIL: &str = "</script><script>alert(1)</script><b a='\"&";
        let mut page = testing::compared_page();
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
    fn figures_charts_log_and_conditions_are_on_the_page() {
        let html = render(&testing::compared_page()).unwrap();
        for text in [
            "Elastic speedup",
            "Burst",
            "launch s2",
            "p99, other run",
            "median of 5 runs",
            "Within one instance",
        ] {
            assert!(html.contains(text), "{text} is missing");
        }
        assert!(!html.contains("NaN") && !html.contains("inf<"));
    }

    #[test]
    fn the_smallest_runs_have_a_page() {
        let mut page = testing::page();
        page.run.rows.truncate(1);
        page.run.ticks.clear();
        page.assumptions = Assumptions::default();
        let html = render(&page).unwrap();
        assert!(html.contains("not known") && !html.contains("NaN"));
    }

    #[test]
    fn a_run_without_seconds_has_a_page_without_charts() {
        let mut page = testing::compared_page();
        page.run.rows.clear();
        let html = render(&page).unwrap();
        assert!(html.contains("there are no charts") && html.contains("launch s2"));
        assert!(!html.contains("<script") && !html.contains("NaN"));
        let figures = figures::by_key(&figures::measure(&page.run, &page.assumptions))
            .into_iter()
            .filter_map(|(key, value)| value.map(|_| key.to_owned()))
            .collect::<Vec<_>>();
        assert!(figures.iter().any(|key| key == "cost.charged_hours"), "{figures:?}");
        assert!(!figures.iter().any(|key| key.starts_with("elasticity")), "{figures:?}");
    }

    #[test]
    fn a_day_stays_a_page_that_a_browser_opens() {
        let mut page = testing::page();
        let row = page.run.rows[5].clone();
        page.run.rows =
            (0..86_400).map(|second| run::SecondRow { second, ..row.clone() }).collect();
        page.run.summary.duration_s = 86_400.0;
        let html = render(&page).unwrap();
        assert!(html.len() < 1_500_000, "{} bytes", html.len());
    }
}
