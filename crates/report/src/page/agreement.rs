//! How alike the run and the one beside it are, in words.

use run::Run;
use run::numbers::{number, signed, with_unit};
use serde::Serialize;

use crate::agreement::{P95_WANTED_PERCENT, WITHIN_ONE_WANTED_PERCENT};
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
        let line = |name, value, explanation, wanted: Option<(String, bool)>| {
            let (wanted, verdict) = match wanted.filter(|_| is_judged) {
                Some((wanted, holds)) => (wanted, if holds { "better" } else { "worse" }),
                None => (String::new(), "open"),
            };
            Line { name, value, wanted, verdict, explanation }
        };
        let within = |p: f64| {
            let wanted = format!("at least {}%", number(WITHIN_ONE_WANTED_PERCENT));
            (wanted, p >= WITHIN_ONE_WANTED_PERCENT)
        };
        let close = |p: f64| {
            (format!("within {}%", number(P95_WANTED_PERCENT)), p.abs() <= P95_WANTED_PERCENT)
        };
        let lines = vec![
            line(
                "Within one instance",
                share(agreement.within_one_percent),
                "Share of the time of the load in which the numbers of ready instances differ by \
                 one at most.",
                agreement.within_one_percent.map(within),
            ),
            line(
                "The same number of instances",
                share(agreement.same_percent),
                "Share of the time in which they do not differ.",
                None,
            ),
            line(
                "95th percentile of latency",
                off(agreement.p95_off_percent),
                "How far off it is.",
                agreement.p95_off_percent.map(close),
            ),
            line(
                "Instance-seconds",
                off(agreement.instance_seconds_off_percent),
                "How far off they are.",
                None,
            ),
        ];
        Self { title, lines }
    }
}

fn share(percent: Option<f64>) -> String {
    with_unit(percent.map(round), "%")
}

fn off(percent: Option<f64>) -> String {
    percent.map_or_else(|| share(None), |percent| signed(round(percent)) + "%")
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
