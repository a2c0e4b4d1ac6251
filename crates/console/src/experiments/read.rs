//! The runs of an experiment, read back from results that a program without rights wrote.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use model::output::harmless;
use model::tick::{Observation, Tick};
use run::figures::{self, Assumptions};
use run::summary::Summary;
use run::{Run, SecondRow};

use super::beneath::{Beneath, Unread};
use super::files::ResultFile;
use super::plausible;
use super::run_name::{RunName, Way};
use super::{Measured, MeasuredRun, SummaryOfRun};

/// Turns of which figures are made: an hour of waves has 30 MiB. Where there are more, the figures that need them are not
/// known here.
const TURNS_MAX_BYTES: u64 = 40 << 20;

/// One turn of them: with 750 instances in its plan it has some 100 KiB.
const TURN_MAX_BYTES: u64 = 1 << 20;

/// What each run says of itself in short, in the order of their names: the only run, several, or some with each way of
/// membership.
pub(super) fn summaries(results: &Beneath) -> Vec<SummaryOfRun> {
    let plain = of_way(results, None);
    if !plain.is_empty() {
        return plain;
    }
    Way::BOTH.into_iter().flat_map(|way| of_way(results, Some(way))).collect()
}

/// The only run of a way, or several.
fn of_way(results: &Beneath, way: Option<Way>) -> Vec<SummaryOfRun> {
    let mut runs = Vec::new();
    for name in RunName::of_way(way) {
        match summary(results, name) {
            Err(Unread::Missing) => {}
            summary => {
                let summary = summary.map_err(|unread| told(ResultFile::Summary, &unread));
                runs.push(SummaryOfRun { name, summary });
            }
        }
        // The only one has no others beside it.
        if name.number.is_none() && !runs.is_empty() {
            break;
        }
    }
    runs
}

fn summary(results: &Beneath, name: RunName) -> Result<Summary, Unread> {
    let file = ResultFile::Summary;
    let text = results.text(&name.folder().join(file.name()), file.most())?;
    let summary = serde_json::from_str(&text).map_err(|error| Unread::Spoilt(error.to_string()))?;
    plausible::check_summary(&summary).map_err(Unread::Spoilt)?;
    Ok(summary)
}

/// A file that is not read, and why.
fn told(file: ResultFile, unread: &Unread) -> String {
    harmless(&format!("{} {unread}", file.name())).to_string()
}

/// The figures of each run.
pub(super) fn measured(results: &Beneath, assumptions: &Assumptions) -> Vec<MeasuredRun> {
    let measured = |SummaryOfRun { name, summary }| {
        let measured = summary.map(|summary| measure(results, name, summary, assumptions));
        MeasuredRun { name, measured }
    };
    summaries(results).into_iter().map(measured).collect()
}

/// Of a run whose series or turns cannot be read, the figures that need neither are known.
fn measure(
    results: &Beneath,
    name: RunName,
    summary: Summary,
    assumptions: &Assumptions,
) -> Measured {
    let folder = name.folder();
    let mut unread = Vec::new();
    let rows = rows(results, &folder).unwrap_or_else(|error| {
        unread.push(told(ResultFile::Series, &error));
        Vec::new()
    });
    let ticks = ticks(results, &folder).unwrap_or_else(|error| {
        unread.push(told(ResultFile::Ticks, &error));
        Vec::new()
    });
    let run = Run { summary, rows, ticks };
    let figures = figures::measure(&run, assumptions);
    Measured { summary: run.summary, figures, unread }
}

/// None of a load that is too long to be kept second by second.
fn rows(results: &Beneath, folder: &Path) -> Result<Vec<SecondRow>, Unread> {
    let file = ResultFile::Series;
    let (text, bytes) = match results.open(&folder.join(file.name()), file.most()) {
        Err(Unread::Missing) => return Ok(Vec::new()),
        opened => opened?,
    };
    let rows = run::series::rows_of(BufReader::new(text.take(bytes)));
    let rows = rows.map_err(|error| Unread::Spoilt(error.to_string()))?;
    plausible::check_rows(&rows).map_err(Unread::Spoilt)?;
    Ok(rows)
}

/// The turns, without what no figure is made of: 40 MiB of text would be more than the console may hold.
fn ticks(results: &Beneath, folder: &Path) -> Result<Vec<Tick>, Unread> {
    let (file, bytes) = results.open(&folder.join(ResultFile::Ticks.name()), TURNS_MAX_BYTES)?;
    let mut text = BufReader::new(file.take(bytes));
    let (mut ticks, mut turns, mut line) = (Vec::new(), plausible::Turns::default(), Vec::new());
    loop {
        line.clear();
        if text.by_ref().take(TURN_MAX_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(ticks);
        }
        let at = |why: &dyn std::fmt::Display| {
            Unread::Spoilt(format!("line {}: {why}", ticks.len() + 1))
        };
        let tick: Tick = serde_json::from_slice(&line).map_err(|error| at(&error))?;
        turns.check(&tick).map_err(|why| at(&why))?;
        ticks.push(of_figures(tick));
    }
}

/// What figures are made of. The rest of a turn is most of it.
fn of_figures(tick: Tick) -> Tick {
    let observation = Observation { watched: None, ..tick.observation };
    Tick {
        observation,
        rollout: None,
        trail: None,
        room: None,
        blocked: Vec::new(),
        ended: Vec::new(),
        given_up: Vec::new(),
        ..tick
    }
}
