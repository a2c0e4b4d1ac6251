//! The report of a run, from its folder, or of a comparison: `report RUN [--compare RUN_DIR]`.

// `println!` panics where nobody reads the output any more: see `command_line::terminal`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod agreement;
mod compared_run;
mod experiment_folder;
mod html;
mod page;
mod pdf;
mod policy_page;
#[cfg(test)]
mod testing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser};
use command_line::{numbers, terminal, words};
use compared_run::ComparedRun;
use experiment_folder::ExperimentFolder;
use page::Page;
use run::capacity::{CapacityCurve, DEFAULT_SMOOTHING_S};
use run::figures::{self, Assumptions};
use run::{PolicyTable, Run};

/// The typst source of every report; what differs is its data.
const TEMPLATE: &str = "crates/report/typst/report.typ";

/// Writes the report of a run or of a comparison of policies: one HTML file, and a PDF.
///
/// Every option can also be said as `name=value`.
///
/// Exit codes: 0 both are written, 1 one could not be written, 2 bad input.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The folder of a run, or of several runs of an experiment, where the report becomes
    /// report.html and report.pdf; or a comparison.csv, which gets both beside it
    #[arg(value_name = "RUN", default_value = "results/latest")]
    run: PathBuf,
    /// The folder of another run: its figures beside this run's, and its curves behind them
    #[arg(long, value_name = "RUN_DIR")]
    compare: Option<PathBuf>,
    /// The folder of a further run of the same experiment, for medians; may be given again
    #[arg(long, value_name = "RUN_DIR")]
    repetition: Vec<PathBuf>,
    /// Measured capacity: CSV with a header, then `instances,requests_per_second` for 1, 2, ...
    /// instances; default: that of the calibration, or, where the service has not been calibrated,
    /// its capacity.requests_per_second times the instances
    #[arg(long, value_name = "FILE")]
    capacity: Option<PathBuf>,
    /// The folder of the calibration
    #[arg(long, value_name = "DIR", default_value = "results/calibration")]
    calibration: PathBuf,
    /// The folder of the services' files
    #[arg(long, value_name = "DIR", default_value = "services")]
    services: PathBuf,
    /// Prices of instances by type, as TOML
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Seconds over whose median the load is smoothed before it becomes demand
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_SMOOTHING_S,
          value_parser = numbers::whole::<usize>)]
    smoothing: usize,
    /// A condition of the run that its folder does not tell, such as kernel=6.18; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = note)]
    note: Vec<(String, String)>,
    /// Print the figures as one line of JSON
    #[arg(long)]
    json: bool,
    /// Leave the PDF out
    #[arg(long)]
    html_only: bool,
    /// The program that makes the PDF, called with a typst source, the PDF and data=@FILE
    #[arg(long, value_name = "PROGRAM", default_value = "scripts/typst")]
    typst: PathBuf,
}

/// What a report is about.
enum Subject {
    /// A run, and what is beside it.
    Run(Box<Page>),
    /// Every policy under every load.
    Policies(PolicyTable),
}

fn main() -> ExitCode {
    let cli = match words::options(&Cli::command(), std::env::args()) {
        Ok(arguments) => Cli::parse_from(arguments),
        Err(error) => return fail(&error.into(), 2),
    };
    let subject = match subject(&cli) {
        Ok(subject) => subject,
        Err(error) => return fail(&error, 2),
    };
    match write(&cli, &subject) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Reads everything that the report is made of.
fn subject(cli: &Cli) -> anyhow::Result<Subject> {
    if cli.run.extension().is_some_and(|e| e == "csv") {
        return Ok(Subject::Policies(PolicyTable::read(&cli.run)?));
    }
    Ok(Subject::Run(Box::new(page(cli)?)))
}

fn page(cli: &Cli) -> anyhow::Result<Page> {
    let ExperimentFolder { run, repetitions: mut again, beside } =
        ExperimentFolder::read(&cli.run)?;
    let assumptions = Assumptions {
        capacity: capacity(cli, &run)?,
        smoothing_s: cli.smoothing.max(1),
        prices: cli.prices.as_deref().map(config_file::read).transpose()?,
    };
    let beside = match &cli.compare {
        Some(folder) => Some(ExperimentFolder::read(folder)?.run),
        None => beside,
    };
    for folder in &cli.repetition {
        let further = Run::read(folder)?;
        let (own, other) = (&run.summary.scenario, &further.summary.scenario);
        anyhow::ensure!(
            own == other,
            "--repetition {}: scenario is {other}: use {own}, that of {}",
            folder.display(),
            cli.run.display()
        );
        again.push(further);
    }
    Ok(Page {
        comparison: beside.map(|other| ComparedRun::of(&run, other, &assumptions)),
        repetitions: again.iter().map(|run| figures::measure(run, &assumptions)).collect(),
        run,
        assumptions,
        notes: cli.note.clone(),
    })
}

/// The measured capacity, or that of the service's file; `None` when none of them is there.
fn capacity(cli: &Cli, run: &Run) -> anyhow::Result<Option<CapacityCurve>> {
    if let Some(path) = &cli.capacity {
        return Ok(Some(CapacityCurve::read(path)?));
    }
    let Some(service) = run.service() else { return Ok(None) };
    let path = cli.services.join(service).with_extension("toml");
    if path.exists() {
        let spec = command_line::services::read(&path)?;
        let said = spec.requests_required()?.capacity;
        let capacity = CapacityCurve::of_service(&cli.calibration, &spec.name, said)?;
        if capacity.is_none() {
            terminal::note(format_args!(
                "warning: {} has no capacity.requests_per_second and was not calibrated, so nobody \
                 knows how many instances the load needed: the figures of elasticity stay empty. \
                 Give the file that key, or name a measurement (--capacity FILE)",
                spec.name
            ));
        }
        return Ok(capacity);
    }
    let calibrated = CapacityCurve::calibrated(&cli.calibration, service)?;
    if calibrated.is_none() {
        terminal::note(format_args!(
            "warning: {} is not there, so nobody knows how many instances the load needed: the \
             figures of elasticity stay empty. Name the folder (--services DIR) or a measurement \
             (--capacity FILE)",
            path.display()
        ));
    }
    Ok(calibrated)
}

fn note(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn write(cli: &Cli, subject: &Subject) -> anyhow::Result<()> {
    let (html, data) = match subject {
        Subject::Run(page) => (html::render(page), pdf::run(page)?),
        Subject::Policies(table) => (html::render_policies(table), pdf::policies(table)?),
    };
    let html = html.context("the page cannot be written")?;
    let place = match subject {
        Subject::Run(_) => cli.run.join("report"),
        Subject::Policies(_) => cli.run.with_extension(""),
    };
    let written = save(&place.with_extension("html"), &html)?;
    if !cli.json {
        terminal::print_line(written.display());
    }
    save(&place.with_extension("json"), &data)?;
    if !cli.html_only {
        let pdf = typeset(cli, &place)?;
        if !cli.json {
            terminal::print_line(pdf.display());
        }
    }
    if let (true, Subject::Run(page)) = (cli.json, subject) {
        let figures = figures::measure(&page.run, &page.assumptions);
        let mut by_key = figures::by_key(&figures);
        by_key.extend(page.comparison.iter().flat_map(|c| c.agreement(&page.run).by_key()));
        terminal::print_line(serde_json::to_string(&by_key)?);
    }
    Ok(())
}

fn save(path: &Path, text: &str) -> anyhow::Result<PathBuf> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path.to_owned())
}

/// Has the data beside the HTML file made into a PDF. What goes wrong there the program says itself.
fn typeset(cli: &Cli, place: &Path) -> anyhow::Result<PathBuf> {
    let path = place.with_extension("pdf");
    let data = format!("data=@{}", place.with_extension("json").display());
    let status = Command::new(&cli.typst).arg(TEMPLATE).arg(&path).arg(data).status();
    let status = status.with_context(|| {
        format!(
            "{} cannot be started: run this in the project's folder, or leave the PDF out \
             (--html-only)",
            cli.typst.display()
        )
    })?;
    anyhow::ensure!(
        status.success(),
        "{} is not written; {} is",
        path.display(),
        place.with_extension("html").display()
    );
    Ok(path)
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    terminal::note(format_args!("error: {error:#}"));
    ExitCode::from(code)
}
