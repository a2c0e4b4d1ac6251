//! Several runs of the same load as one: the median of each figure, and how sure it is.

use run::figures::Figure;
use run::repetitions::Interval;

use super::{Measured, MeasuredRun, RunName, Way};

/// The runs of one way of membership, or all where there is none of both.
#[derive(Debug)]
pub(crate) struct RunsOfWay<'a> {
    pub(crate) way: Option<Way>,
    /// Those that were not interrupted; where there are none, those that were.
    pub(crate) runs: Vec<(RunName, &'a Measured)>,
}

/// The runs by way, in their order.
pub(crate) fn by_way(runs: &[MeasuredRun]) -> Vec<RunsOfWay<'_>> {
    let mut ways: Vec<RunsOfWay<'_>> = Vec::new();
    for run in runs {
        let Ok(measured) = &run.measured else { continue };
        let pair = (run.name, measured);
        match ways.last_mut().filter(|it| it.way == run.name.way) {
            Some(way) => way.runs.push(pair),
            None => ways.push(RunsOfWay { way: run.name.way, runs: vec![pair] }),
        }
    }
    for way in &mut ways {
        if way.runs.iter().any(|(_, run)| !run.summary.interrupted) {
            way.runs.retain(|(_, run)| !run.summary.interrupted);
        }
    }
    ways
}

impl RunsOfWay<'_> {
    /// The figures: those of the run, or of several the medians, each with the interval that holds the true one.
    pub(crate) fn figures(&self) -> Vec<(Figure, Option<Interval>)> {
        let Some((_, first)) = self.runs.first() else { return Vec::new() };
        let figure = |figure: &Figure| {
            let same = |run: &Measured| run.figures.iter().find(|it| it.key == figure.key)?.value;
            let values: Vec<f64> = self.runs.iter().filter_map(|(_, run)| same(run)).collect();
            let interval = Interval::of(&values);
            let value = interval.map(|interval| interval.median);
            (Figure { value, ..figure.clone() }, interval.filter(|_| self.runs.len() > 1))
        };
        first.figures.iter().map(figure).collect()
    }

    /// The same without intervals.
    pub(crate) fn medians(&self) -> Vec<Figure> {
        self.figures().into_iter().map(|(figure, _)| figure).collect()
    }
}

#[cfg(test)]
mod tests {
    use run::figures::{Assumptions, measure};

    use super::*;

    fn run(name: &str, p99: f64, interrupted: bool) -> MeasuredRun {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../run/tests/small");
        let mut run = run::Run::read(std::path::Path::new(folder)).unwrap();
        run.summary.latency_ms.p99 = Some(p99);
        run.summary.interrupted = interrupted;
        let figures = measure(&run, &Assumptions::default());
        let measured = Measured { summary: run.summary, figures, unread: Vec::new() };
        MeasuredRun { name: name.parse().unwrap(), measured: Ok(measured) }
    }

    fn p99(way: &RunsOfWay<'_>) -> (Option<f64>, Option<f64>) {
        let figures = way.figures();
        let (figure, interval) = figures.iter().find(|(it, _)| it.key == "latency_ms.p99").unwrap();
        (figure.value, interval.map(|it| it.high))
    }

    #[test]
    fn several_runs_have_a_median_and_one_that_was_interrupted_counts_for_nothing_beside_them() {
        let runs = [run("1", 10.0, false), run("2", 30.0, false), run("3", 900.0, true)];
        let ways = by_way(&runs);
        assert_eq!(ways.len(), 1);
        assert_eq!(p99(&ways[0]), (Some(20.0), Some(30.0)));
        let alone = [run("run", 900.0, true)];
        assert_eq!(p99(&by_way(&alone)[0]), (Some(900.0), None));
    }

    #[test]
    fn runs_with_each_way_stand_beside_each_other_and_a_spoilt_one_is_left_out() {
        let spoilt =
            MeasuredRun { name: "reload-2".parse().unwrap(), measured: Err(String::new()) };
        let runs = [run("runtime-1", 10.0, false), run("reload-1", 30.0, false), spoilt];
        let ways = by_way(&runs);
        assert_eq!([ways[0].way, ways[1].way], Way::BOTH.map(Some));
        assert_eq!(p99(&ways[1]), (Some(30.0), None));
    }
}
