//! The page of a run, from its folder: `report RUN_DIR [--compare RUN_DIR]`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use policy::spec::ServiceSpec;
use report::Run;
use report::capacity::{CapacityCurve, DEFAULT_SMOOTHING_S};
use report::cost::PriceTable;
use report::figures::{self, Assumptions};
use report::html::{self, Comparison, Page};

/// Writes the page of a run: charts, decisions and figures in one HTML file.
///
/// Exit codes: 0 the page is written, 1 it could not be written, 2 bad input.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The folder of the run; the page becomes its report.html
    #[arg(value_name = "RUN_DIR", default_value = "results/latest")]
    run: PathBuf,
    /// The folder of another run: its figures beside this run's, and its curves behind them
    #[arg(long, value_name = "RUN_DIR")]
    compare: Option<PathBuf>,
    /// The folder of a further run of the same experiment, for medians; may be given again
    #[arg(long, value_name = "RUN_DIR")]
    repetition: Vec<PathBuf>,
    /// Measured capacity: CSV with a header, then `instances,requests_per_second` for 1, 2, ...
    /// instances; default: the service's capacity.requests_per_second times the instances
    #[arg(long, value_name = "FILE")]
    capacity: Option<PathBuf>,
    /// The folder of the services' files
    #[arg(long, value_name = "DIR", default_value = "services")]
    services: PathBuf,
    /// Prices of instances by type, as TOML
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Seconds over whose median the load is smoothed before it becomes demand
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_SMOOTHING_S)]
    smoothing: usize,
    /// A condition of the run that its folder does not tell, such as membership=reload; may be
    /// given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = note)]
    note: Vec<(String, String)>,
    /// Print the figures as one line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let page = match page(&cli) {
        Ok(page) => page,
        Err(error) => return fail(&error, 2),
    };
    match write(&cli, &page) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

/// Reads everything that the page is made of.
fn page(cli: &Cli) -> anyhow::Result<Page> {
    let run = Run::read(&cli.run)?;
    let assumptions = Assumptions {
        capacity: capacity(cli, &run)?,
        smoothing_s: cli.smoothing.max(1),
        prices: cli.prices.as_deref().map(prices).transpose()?,
    };
    let comparison = match &cli.compare {
        Some(folder) => {
            let run = Run::read(folder)?;
            Some(Comparison { figures: figures::measure(&run, &assumptions), run })
        }
        None => None,
    };
    let mut repetitions = Vec::new();
    for folder in &cli.repetition {
        let again = Run::read(folder)?;
        let (own, other) = (&run.summary.scenario, &again.summary.scenario);
        anyhow::ensure!(
            own == other,
            "--repetition {}: scenario = {other}: allowed is {own}, that of {}",
            folder.display(),
            cli.run.display()
        );
        repetitions.push(figures::measure(&again, &assumptions));
    }
    Ok(Page { run, assumptions, comparison, repetitions, notes: cli.note.clone() })
}

/// The measured capacity, or that of the service's file; nothing when neither is there.
fn capacity(cli: &Cli, run: &Run) -> anyhow::Result<Option<CapacityCurve>> {
    if let Some(path) = &cli.capacity {
        let curve = CapacityCurve::parse(&read(path)?);
        return Ok(Some(curve.with_context(|| path.display().to_string())?));
    }
    let Some(service) = run.service() else { return Ok(None) };
    let path = cli.services.join(service).with_extension("toml");
    if !path.exists() {
        eprintln!(
            "warning: {} is not there, so nobody knows how many instances the load needed: the \
             figures of elasticity stay empty. Name the folder (--services DIR) or a measurement \
             (--capacity FILE)",
            path.display()
        );
        return Ok(None);
    }
    let spec = ServiceSpec::parse(&read(&path)?).with_context(|| path.display().to_string())?;
    Ok(Some(CapacityCurve::linear(spec.capacity.requests_per_second)?))
}

fn prices(path: &Path) -> anyhow::Result<PriceTable> {
    PriceTable::parse(&read(path)?).with_context(|| path.display().to_string())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn note(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("use NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn write(cli: &Cli, page: &Page) -> anyhow::Result<()> {
    let path = cli.run.join("report.html");
    fs::write(&path, html::render(page)?)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    if cli.json {
        let figures = figures::measure(&page.run, &page.assumptions);
        println!("{}", serde_json::to_string(&figures::by_key(&figures))?);
    } else {
        println!("{}", path.display());
    }
    Ok(())
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
