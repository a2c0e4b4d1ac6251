//! How alike the run and the one beside it are, in words.

use run::Run;
use run::numbers::{number, signed, with_unit};
use serde::Serialize;

use crate::agreement::{Agreement, P95_WANTED_PERCENT, WITHIN_ONE_WANTED_PERCENT};
use crate::compared_run::{ComparedRun, Role};

/// The section of the page.
#[derive(Debug, Serialize)]
pub(crate) struct AgreementOnPage {
    title: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: &'static str,
    value: String,
    /// What makes a simulation believable; empty where nothing is asked.
    wanted: String,
    /// `better` where that holds, `worse` where it does not, `open` otherwise.
    verdict: &'static str,
    explanation: &'static str,
}

impl AgreementOnPage {
    pub(crate) fn of(run: &Run, comparison: &ComparedRun) -> Self {
        let agreement = comparison.agreement(run);
        let is_judged = comparison.role != Role::Other;
        let title = if is_judged { "Real beside simulated" } else { "How alike the two runs are" };
        let within = |p: f64| p >= WITHIN_ONE_WANTED_PERCENT;
        let close = |p: f64| p.abs() <= P95_WANTED_PERCENT;
        let line = |name, value, explanation| Line {
            name,
            value,
            wanted: String::new(),
            verdict: "open",
            explanation,
        };
        let judged = |line: Line, wanted: String, holds: Option<bool>| match holds {
            Some(holds) if is_judged => {
                Line { wanted, verdict: if holds { "better" } else { "worse" }, ..line }
            }
            _ => line,
        };
        let off = |percent: Option<f64>| percent.map(|p| format!("{}%", signed(round(p))));
        let off = |percent| off(percent).unwrap_or_else(|| "not known".to_owned());
        let Agreement { within_one_percent, same_percent, .. } = agreement;
        let lines = vec![
            judged(
                line(
                    "Within one instance",
                    with_unit(within_one_percent.map(round), "%"),
                    "Share of the time of the load in which the numbers of ready instances differ \
                     by one at most.",
                ),
                format!("at least {}%", number(WITHIN_ONE_WANTED_PERCENT)),
                within_one_percent.map(within),
            ),
            line(
                "The same number of instances",
                with_unit(same_percent.map(round), "%"),
                "Share of the time in which they do not differ.",
            ),
            judged(
                line(
                    "95th percentile of latency",
                    off(agreement.p95_off_percent),
                    "How far off it is.",
                ),
                format!("within {}%", number(P95_WANTED_PERCENT)),
                agreement.p95_off_percent.map(close),
            ),
            line(
                "Instance-seconds",
                off(agreement.instance_seconds_off_percent),
                "How far off they are.",
            ),
        ];
        Self { title, lines }
    }
}

/// To a tenth of a percent.
fn round(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn text(page: &AgreementOnPage) -> String {
        let line = |l: &Line| format!("{}: {} ({}) {}", l.name, l.value, l.wanted, l.verdict);
        page.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_simulation_is_judged_from_either_side() {
        let (real, mut simulated) = (testing::run(), testing::run());
        simulated.summary.conditions.insert("simulated".to_owned(), "one by one".to_owned());
        simulated.summary.latency_ms.p95 = Some(28.0);
        let assumptions = testing::assumptions();
        let forth = ComparedRun::of(&real, simulated.clone(), &assumptions);
        let back = ComparedRun::of(&simulated, real.clone(), &assumptions);
        let forth = text(&AgreementOnPage::of(&real, &forth));
        assert_eq!(forth, text(&AgreementOnPage::of(&simulated, &back)));
        insta::assert_snapshot!(forth, @r"
        Within one instance: 100% (at least 95%) better
        The same number of instances: 100% () open
        95th percentile of latency: +40% (within 25%) worse
        Instance-seconds: 0% () open
        ");
    }

    #[test]
    fn two_real_runs_are_not_judged() {
        let run = testing::run();
        let other = ComparedRun::of(&run, run.clone(), &testing::assumptions());
        assert!(AgreementOnPage::of(&run, &other).lines.iter().all(|l| l.verdict == "open"));
    }
}
