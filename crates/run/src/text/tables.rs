//! Figures of several runs as tables for a terminal.

use std::fmt::Write as _;

use crate::figures::{Difference, Figure, Group, Verdict};
use crate::numbers;
use crate::repetitions::Repetitions;

/// Medians and intervals of the figures that are known, each with its own coverage where fewer runs
/// know it; `name` says which runs these are, where there are others. `figures` are those of one of the runs.
pub fn repetitions(name: &str, figures: &[Figure], all: &Repetitions) -> String {
    let shown: Vec<&Figure> = figures.iter().filter(|f| is_shown(f)).collect();
    let coverage = |figure: &&Figure| all.interval(&figure.key).map(|i| i.coverage_percent);
    let coverage = shown.iter().filter_map(coverage).fold(0.0, f64::max);
    let which = if name.is_empty() { String::new() } else { format!(", {name}") };
    let mut text = format!(
        "\n{} runs of {}{which}: medians, and intervals that hold the true one in {}% of cases\n",
        all.runs.len(),
        all.scenario,
        number(coverage)
    );
    for figure in shown {
        let Some(interval) = all.interval(&figure.key) else { continue };
        let range = format!("{} to {}", number(interval.low), number(interval.high));
        let own = match interval.coverage_percent {
            own if own < coverage => format!("in {}%", number(own)),
            _ => String::new(),
        };
        row(&mut text, figure, [&number(interval.median), &range, &own]);
    }
    text
}

/// The figures of two runs side by side, or of two kinds of runs. Each difference is one of the
/// second from the first: what it has more.
pub fn differences(first: &str, second: &str, differences: &[Difference<'_>]) -> String {
    let mut text = format!("\n{:<41} {first:>12} {second:>14} difference\n", "");
    for difference in differences.iter().filter(|d| is_shown(d.figure)) {
        let Some((second, first)) = difference.figure.value.zip(difference.other) else { continue };
        let change = match difference.verdict {
            Verdict::Same => "same".to_owned(),
            Verdict::Better | Verdict::Worse | Verdict::Open => {
                let percent = difference.change_percent.map(|p| format!(" ({}%)", signed(p)));
                signed(second - first) + &percent.unwrap_or_default()
            }
        };
        row(&mut text, difference.figure, [&number(first), &number(second), &change]);
    }
    text
}

/// The generator's own doing is in the folder of each run.
fn is_shown(figure: &Figure) -> bool {
    figure.group != Group::Generator
}

fn row(text: &mut String, figure: &Figure, [first, second, third]: [&str; 3]) {
    let name = match figure.unit.as_str() {
        "" => figure.name.clone(),
        unit => format!("{}, {unit}", figure.name),
    };
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{}", format!("{name:<41} {first:>12} {second:>14} {third}").trim_end());
}

/// A number in characters that every terminal has.
fn number(value: f64) -> String {
    plain(&numbers::number(value))
}

fn signed(value: f64) -> String {
    plain(&numbers::signed(value))
}

fn plain(number: &str) -> String {
    number.replace('\u{202f}', "").replace('\u{2212}', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{differences as between, measure};
    use crate::repetitions::Repetition;
    use crate::testing;

    fn figures(p99: f64) -> Vec<Figure> {
        let mut figures = measure(&testing::run(), &testing::assumptions());
        let figure = figures.iter_mut().find(|f| f.key == "latency_ms.p99").unwrap();
        figure.value = Some(p99);
        figures
    }

    #[test]
    fn repetitions_are_a_table_of_medians_and_intervals() {
        let run =
            |folder: &str, p99| (Repetition { folder: folder.to_owned(), seed: 7 }, figures(p99));
        let all = Repetitions::of("small", &[run("1", 90.0), run("2", 40.0)]);
        let text = repetitions("reload", &figures(90.0), &all);
        let lines: Vec<&str> = text.lines().take(10).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"

        2 runs of small, reload: medians, and intervals that hold the true one in 50% of cases
        Requests                                           700     700 to 700
        Outside the objective, %                         0.143 0.143 to 0.143
        Failed                                               1         1 to 1
        Never sent                                           0         0 to 0
        Latency, median, ms                                  5         5 to 5
        Latency, 95th percentile, ms                        20       20 to 20
        Latency, 99th percentile, ms                        65       40 to 90
        Latency, largest, ms                               240     240 to 240
        ");
    }

    #[test]
    fn a_figure_that_fewer_runs_know_has_its_own_coverage() {
        let run = |folder: &str, p99: Option<f64>| {
            let mut figures = figures(90.0);
            figures.iter_mut().find(|f| f.key == "latency_ms.p99").unwrap().value = p99;
            (Repetition { folder: folder.to_owned(), seed: 7 }, figures)
        };
        let all = [run("1", Some(90.0)), run("2", Some(40.0)), run("3", None)];
        let text = repetitions("", &figures(90.0), &Repetitions::of("small", &all));
        let lines = text.lines().filter(|l| l.contains("runs") || l.starts_with("Latency, 9"));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        3 runs of small: medians, and intervals that hold the true one in 75% of cases
        Latency, 95th percentile, ms                        20       20 to 20
        Latency, 99th percentile, ms                        65       40 to 90 in 50%
        ");
    }

    #[test]
    fn two_runs_are_a_table_of_differences() {
        let (first, second) = (figures(90.0), figures(60.0));
        let text = differences("runtime", "reload", &between(&second, &first));
        let lines: Vec<&str> = text.lines().take(10).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"

                                                       runtime         reload difference
        Requests                                           700            700 same
        Outside the objective, %                         0.143          0.143 same
        Failed                                               1              1 same
        Never sent                                           0              0 same
        Latency, median, ms                                  5              5 same
        Latency, 95th percentile, ms                        20             20 same
        Latency, 99th percentile, ms                        90             60 -30 (-33.3%)
        Latency, largest, ms                               240            240 same
        ");
    }
}
