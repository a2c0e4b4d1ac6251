//! What several runs of the same experiment say together: medians, and how sure they are. It is kept
//! as `repetitions.json` in the folder in which theirs lie.

mod interval;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::interval::Interval;

use crate::figures::{Figure, by_key};
use crate::files::{ReadError, ResultsError, text_if_there};
use crate::read_back::{UNREAD, from_json};

const NAME: &str = "repetitions.json";

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repetitions {
    /// The scenario of all runs.
    pub scenario: String,
    /// The runs, in their order.
    pub runs: Vec<Repetition>,
    /// Every figure by its key.
    pub figures: BTreeMap<String, FigureOfRuns>,
}

/// One of the runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repetition {
    /// Its folder, beside the file.
    pub folder: String,
    /// Its seed.
    pub seed: u64,
}

/// A figure over the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureOfRuns {
    /// Its median and the interval; `None` when no run knew the figure.
    pub interval: Option<Interval>,
    /// What each run measured, in the order of the runs.
    pub values: Vec<Option<f64>>,
}

impl Repetitions {
    /// What these runs say together.
    pub fn of(scenario: &str, runs: &[(Repetition, Vec<Figure>)]) -> Self {
        let mut values: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
        for (index, (_, figures)) in runs.iter().enumerate() {
            for (key, value) in by_key(figures) {
                let of_key = values.entry(key.to_owned()).or_default();
                of_key.resize(index, None);
                of_key.push(value);
            }
        }
        let figure = |mut values: Vec<Option<f64>>| {
            values.resize(runs.len(), None);
            let known: Vec<f64> = values.iter().copied().flatten().collect();
            FigureOfRuns { interval: Interval::of(&known), values }
        };
        Self {
            scenario: scenario.to_owned(),
            runs: runs.iter().map(|(run, _)| run.clone()).collect(),
            figures: values.into_iter().map(|(key, values)| (key, figure(values))).collect(),
        }
    }

    /// The median and the interval of a figure.
    pub fn interval(&self, key: &str) -> Option<Interval> {
        self.figures.get(key)?.interval
    }

    /// These figures, which are those of one of the runs, each with the median of all.
    pub fn medians(&self, figures: &[Figure]) -> Vec<Figure> {
        let median = |figure: &Figure| Figure {
            value: self.interval(&figure.key).map(|interval| interval.median),
            ..figure.clone()
        };
        figures.iter().map(median).collect()
    }

    /// The folders of the runs, when theirs is `folder`.
    pub fn folders(&self, folder: &Path) -> Vec<PathBuf> {
        self.runs.iter().map(|run| folder.join(&run.folder)).collect()
    }

    /// Writes the file into `folder`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ResultsError> {
        let path = folder.join(NAME);
        let json = serde_json::to_string_pretty(self).map_err(ResultsError::at(&path))?;
        fs::write(&path, json + "\n").map_err(ResultsError::at(&path))
    }

    /// Reads the file of `folder`; `None` when it has none, as the folder of a single run.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is none of these.
    pub fn read(folder: &Path) -> Result<Option<Self>, ReadError> {
        let path = folder.join(NAME);
        let json = text_if_there(&path, UNREAD)?;
        json.map(|json| from_json(&json, &path, None)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::measure;
    use crate::testing;

    fn three() -> (Vec<Figure>, Repetitions) {
        let figures = measure(&testing::run(), &testing::assumptions());
        let run = |number: u64, p99: Option<f64>| {
            let mut own = figures.clone();
            let figure = own.iter_mut().find(|f| f.key == "latency_ms.p99").unwrap();
            figure.value = p99;
            (Repetition { folder: number.to_string(), seed: 6 + number }, own)
        };
        let runs = [run(1, Some(90.0)), run(2, None), run(3, Some(30.0))];
        (figures, Repetitions::of("small", &runs))
    }

    #[test]
    fn a_figure_has_the_value_of_each_run_and_their_median() {
        let (figures, all) = three();
        let p99 = &all.figures["latency_ms.p99"];
        assert_eq!(p99.values, [Some(90.0), None, Some(30.0)]);
        let interval = p99.interval.unwrap();
        assert_eq!((interval.median, interval.low, interval.high), (60.0, 30.0, 90.0));
        let medians = all.medians(&figures);
        assert_eq!(medians.len(), figures.len());
        assert_eq!(by_key(&medians)["latency_ms.p99"], Some(60.0));
        assert_eq!(by_key(&medians)["requests.due"], Some(700.0));
    }

    #[test]
    fn the_file_is_read_back_the_same_and_a_spoilt_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Repetitions::read(folder.path()).unwrap(), None);
        let (_, all) = three();
        all.write(folder.path()).unwrap();
        assert_eq!(Repetitions::read(folder.path()).unwrap(), Some(all.clone()));
        assert_eq!(all.folders(Path::new("a"))[2], Path::new("a/3"));
        fs::write(folder.path().join(NAME), "{\n}").unwrap();
        let error = Repetitions::read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("repetitions.json, line 2: this is not what a run writes"));
    }
}
