//! The folder of a run.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use model::tick::Tick;

use crate::files::{ResultsError, to_csv};
use crate::series::RunSeries;
use crate::summary::Summary;

/// What a run writes, and what is made of it. Its ticks come first.
const OF_A_RUN: [&str; 6] =
    ["summary.json", "series.csv", "chart.svg", "report.html", "report.json", "report.pdf"];

/// A folder whose name is that of a run, in the folder of all results.
#[derive(Debug, Clone)]
pub struct ResultsFolder {
    all: PathBuf,
    name: String,
}

/// A run's `ticks.jsonl` in the making.
#[derive(Debug)]
pub struct TickFile {
    file: BufWriter<File>,
    path: PathBuf,
}

impl ResultsFolder {
    /// Makes the folder `name` within `all`, which must not be there; one such as `ramp/2` is made
    /// with those that it lies in.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(all: &Path, name: &str) -> Result<Self, ResultsError> {
        let folder = Self { all: all.to_owned(), name: name.to_owned() };
        let path = folder.path();
        fs::create_dir_all(path.parent().unwrap_or(all))
            .and_then(|()| fs::create_dir(&path))
            .map_err(ResultsError::at(&path))?;
        Ok(folder)
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.all.join(&self.name)
    }

    /// The folder `name` within `all`, made when it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn reuse(all: &Path, name: &str) -> Result<Self, ResultsError> {
        let folder = Self { all: all.to_owned(), name: name.to_owned() };
        fs::create_dir_all(folder.path()).map_err(ResultsError::at(&folder.path()))?;
        Ok(folder)
    }

    /// Takes the folder of a run that did not begin away again, with those that it was made in;
    /// what holds something stays.
    pub fn discard(self) {
        let own = self.path();
        let folders = own.ancestors().take_while(|folder| *folder != self.all);
        // The first that cannot be removed is not empty, and neither are those around it.
        let _ = folders.map(fs::remove_dir).take_while(Result::is_ok).count();
    }

    /// Writes everything, and lets `latest` point here.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn write(
        &self,
        summary: &Summary,
        series: &RunSeries,
        ticks: &[Tick],
    ) -> Result<(), ResultsError> {
        let mut file = self.ticks()?;
        ticks.iter().try_for_each(|tick| file.add(tick))?;
        file.close()?;
        self.write_figures(summary, series)
    }

    /// Begins a run with its `ticks.jsonl`, for ticks that are written as they come. What an earlier
    /// run has left in the folder is removed, so that no two runs are taken for one.
    ///
    /// # Errors
    /// The file cannot be made, or one of the earlier run cannot be removed.
    pub fn ticks(&self) -> Result<TickFile, ResultsError> {
        for name in OF_A_RUN {
            let path = self.path().join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(ResultsError::at(&path))?,
            }
        }
        let path = self.path().join("ticks.jsonl");
        let file = File::create(&path).map_err(ResultsError::at(&path))?;
        Ok(TickFile { file: BufWriter::new(file), path })
    }

    /// Writes the summary, and the series and the chart where there is one, and lets `latest` point
    /// here.
    ///
    /// # Errors
    /// Something cannot be written.
    pub fn write_figures(&self, summary: &Summary, series: &RunSeries) -> Result<(), ResultsError> {
        self.file("summary.json", |file| {
            serde_json::to_writer_pretty(&mut *file, summary)?;
            writeln!(file)
        })?;
        if !series.rows.is_empty() {
            self.file("series.csv", |file| to_csv(&series.rows, file))?;
            self.file("chart.svg", |file| {
                let chart = crate::chart::render(series).map_err(io::Error::other)?;
                file.write_all(chart.as_bytes())
            })?;
        }
        self.become_latest()
    }

    fn file(
        &self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), ResultsError> {
        let path = self.path().join(name);
        let written = File::create(&path).map(BufWriter::new).and_then(|mut file| {
            fill(&mut file)?;
            file.flush()
        });
        written.map_err(ResultsError::at(&path))
    }

    /// Lets `latest` point here. The link is replaced by a rename, so that it always points to a
    /// folder of results.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn become_latest(&self) -> Result<(), ResultsError> {
        let (latest, next) = (self.all.join("latest"), self.path().join(".latest"));
        std::os::unix::fs::symlink(&self.name, &next)
            .and_then(|()| fs::rename(&next, &latest))
            .map_err(ResultsError::at(&latest))
    }
}

impl TickFile {
    /// Adds a tick.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, tick: &Tick) -> Result<(), ResultsError> {
        let written = serde_json::to_writer(&mut self.file, tick).map_err(io::Error::from);
        written.and_then(|()| writeln!(self.file)).map_err(ResultsError::at(&self.path))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What is left of it cannot be written.
    pub fn close(mut self) -> Result<(), ResultsError> {
        self.file.flush().map_err(ResultsError::at(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_folder_that_is_used_again_holds_the_last_run_alone() {
        let all = tempfile::tempdir().unwrap();
        let folder = ResultsFolder::reuse(all.path(), "r").unwrap();
        let crate::Run { summary, rows, ticks } = testing::run();
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let long = RunSeries {
            title: String::new(),
            subtitle: String::new(),
            warm_up_s: 0.0,
            load_end_s: 10.0,
            rows: Vec::new(),
            fleet: Vec::new(),
        };
        let series = RunSeries { rows, ..long.clone() };
        folder.write(&summary, &series, &ticks).unwrap();
        fs::write(folder.path().join("report.html"), "").unwrap();
        fs::write(folder.path().join("notes.txt"), "an operator's own").unwrap();
        folder.write(&summary, &long, &[]).unwrap();
        assert_eq!(names(), ["notes.txt", "summary.json", "ticks.jsonl"]);
        // A run that is broken off is no run.
        folder.ticks().unwrap();
        assert_eq!(names(), ["notes.txt", "ticks.jsonl"]);
    }
}
