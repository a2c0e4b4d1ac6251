//! The page of a run on paper: what the typst template `typst/report.typ` reads, as JSON.
//!
//! All text is in the data and none in the source, so that no name and no message of a run can be
//! taken for markup.

use run::PolicyTable;
use serde::Serialize;

use crate::page::charts::Plane;
use crate::page::{Content, Page};
use crate::policy_page::PolicyPage;

/// Lines of the decision log on paper: two pages of them.
const LOG_LINES: usize = 60;

/// What the template draws.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Document<T> {
    /// A run.
    Run(T),
    /// A comparison of policies.
    Policies(T),
}

/// The data of a run's PDF.
///
/// # Errors
/// None that a run can cause.
pub(crate) fn run(page: &Page) -> Result<String, serde_json::Error> {
    let mut content = Content::of(page, Plane::PAPER);
    content.log = content.log.shortened(LOG_LINES);
    serde_json::to_string(&Document::Run(content))
}

/// The data of a comparison's PDF.
///
/// # Errors
/// None that a comparison can cause.
pub(crate) fn policies(table: &PolicyTable) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Document::Policies(PolicyPage::of(table)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing;

    const SOURCES: [&str; 2] =
        [include_str!("../typst/lib.typ"), include_str!("../typst/report.typ")];

    #[test]
    fn the_data_of_a_run() {
        let data = run(&testing::compared_page()).unwrap();
        let data: Value = serde_json::from_str(&data).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&data).unwrap());
    }

    #[test]
    fn the_data_of_a_comparison() {
        let data = policies(&testing::policies()).unwrap();
        let data: Value = serde_json::from_str(&data).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&data).unwrap());
    }

    #[test]
    fn nothing_from_a_run_is_source() {
        const EVIL: &str = "#panic(\"x\") $1$ *b* `r` \\ <l> @r \"] ' </svg>";
        let mut page = testing::compared_page();
        page.run.summary.scenario = EVIL.to_owned();
        page.notes.push((EVIL.to_owned(), EVIL.to_owned()));
        page.run.ticks[0].done = page.run.ticks[1].done.clone();
        page.run.ticks[0].done[0].error = Some(EVIL.to_owned());
        let data: Value = serde_json::from_str(&run(&page).unwrap()).unwrap();
        assert_eq!(data["title"], EVIL);
        let conditions = data["conditions"].as_array().unwrap();
        assert!(conditions.contains(&serde_json::json!([EVIL, EVIL])));
        let action = data["log"]["lines"][0]["actions"][1]["text"].as_str().unwrap();
        assert!(action.contains(EVIL), "{action}");
        // Values become text; only eval would read them as source. What is built as an SVG is
        // paths and classes of our own.
        for source in SOURCES {
            assert!(!source.contains("eval("), "a value could become source");
        }
    }

    #[test]
    fn every_class_of_the_charts_has_its_colour() {
        let mut page = testing::compared_page();
        for row in &mut page.run.rows {
            row.failed = 1;
        }
        for tick in &mut page.run.ticks {
            let phases = &mut tick.observation.phases;
            (phases.starting, phases.draining, phases.failed) = (1, 1, 1);
        }
        let data: Value = serde_json::from_str(&run(&page).unwrap()).unwrap();
        let charts = data["charts"]["charts"].as_array().unwrap();
        let drawn = charts.iter().flat_map(|c| {
            c["areas"].as_array().unwrap().iter().chain(c["strokes"].as_array().unwrap())
        });
        let classes: Vec<&str> = drawn.map(|d| d["class"].as_str().unwrap()).collect();
        assert!(classes.len() >= 15, "{classes:?}");
        for class in classes {
            assert!(SOURCES[0].contains(&format!(" {class}: ")), "{class} has no colour");
        }
    }
}
