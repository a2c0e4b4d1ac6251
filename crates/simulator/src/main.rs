//! The simulator's command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use command_line::words;
use run::policy_comparison::PolicyRow;
use run::{PolicyTable, ResultsFolder, text};
use simulator::input::{Choices, Folders, Source};
use simulator::{Outcome, Setup, compare};
use workload::Gaps;

/// Simulates scaling in virtual time: the scaler's own decisions, on the generator's own load.
///
/// Every option of `run` can also be said as `name=value`.
///
/// Exit codes: 0 the scenario's limits held, 1 one did not or a rule was broken, 2 bad input.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Simulates a scenario, or a trace.
    Run {
        /// The scenario: a name such as `ramp`, or the path of a file.
        #[arg(required_unless_present = "trace", conflicts_with = "trace")]
        scenario: Option<String>,
        /// A CSV file of counts per interval, or a pace file; see loadgen/traces/README.md.
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        #[command(flatten)]
        choices: Box<Choices>,
        /// Ends with the summary as one line of JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folders: Folders,
    },
    /// Simulates every policy under every scenario and trace, prints the ranking and saves the table.
    Compare {
        /// Runs of each policy under each load, with seeds that follow one another; the figures
        /// are their medians.
        #[arg(long, value_name = "N", default_value_t = 1,
              value_parser = clap::value_parser!(u32).range(1..=100))]
        seeds: u32,
        /// What stands for the missing intervals of traces: `zero` (no request) or `hold` (as many as
        /// in the interval before) [default: a trace with holes is refused].
        #[arg(long, value_name = "WORD")]
        gaps: Option<Gaps>,
        #[command(flatten)]
        folders: Folders,
    },
}

fn main() -> ExitCode {
    let arguments = match words::options(&Cli::command(), std::env::args()) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error.into(), 2),
    };
    match Cli::parse_from(arguments).command {
        Command::Run { scenario, trace, choices, json, folders } => {
            let source = match trace {
                Some(trace) => Source::Trace(trace),
                None => Source::Scenario(scenario.unwrap_or_default()),
            };
            run(&source, &choices, json, &folders)
        }
        Command::Compare { seeds, gaps, folders } => compare_all(seeds, gaps, &folders),
    }
}

fn run(source: &Source, choices: &Choices, json: bool, folders: &Folders) -> ExitCode {
    let setup = match folders.setup(source, choices) {
        Ok(setup) => setup,
        Err(error) => return fail(&error.into(), 2),
    };
    match record(&setup, &folders.results) {
        Ok(outcome) => show(&setup, &outcome, &folders.results, json),
        Err(error) => fail(&error, 1),
    }
}

/// Runs it and writes its folder.
fn record(setup: &Setup, results: &Path) -> anyhow::Result<Outcome> {
    let folder = ResultsFolder::reuse(results, &setup.name())?;
    let mut ticks = folder.ticks()?;
    let outcome = setup.run(|tick| ticks.add(tick))?;
    ticks.close()?;
    folder.write_figures(&outcome.summary, &outcome.series)?;
    Ok(outcome)
}

fn show(setup: &Setup, outcome: &Outcome, results: &Path, json: bool) -> ExitCode {
    let summary = &outcome.summary;
    print!("{}", text::summary(summary));
    if let Some(percent) = summary.outside_objective_percent {
        println!("objective  {percent:.3}% of the requests outside of it");
    }
    println!("host       {}", setup.host.source);
    println!("results    {}", results.join(setup.name()).display());
    if json {
        match outcome.figures.beside(summary) {
            Ok(line) => println!("{line}"),
            Err(error) => return fail(&error.into(), 1),
        }
    }
    ExitCode::from(u8::from(!summary.limits.broken().is_empty()))
}

fn compare_all(seeds: u32, gaps: Option<Gaps>, folders: &Folders) -> ExitCode {
    let setups = match setups(folders, gaps) {
        Ok(setups) => setups,
        Err(error) => return fail(&error, 2),
    };
    let done = |setup: &Setup| {
        let Setup { load, policy, .. } = setup;
        eprintln!("done: {policy} under {}, seed {}", load.name, load.seed);
    };
    let saved = compare::compare(&setups, seeds, done)
        .map_err(Into::into)
        .and_then(|rows| save(&folders.results, rows));
    match saved {
        Ok(()) => {
            if let Some(setup) = setups.first() {
                println!("host       {}", setup.host.source);
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 1),
    }
}

/// Every policy under every load.
fn setups(folders: &Folders, gaps: Option<Gaps>) -> anyhow::Result<Vec<Setup>> {
    let policies = folders.policies()?;
    let mut setups = Vec::new();
    for source in folders.sources()? {
        let gaps = gaps.filter(|_| matches!(source, Source::Trace(_)));
        for word in &policies {
            let choices = Choices { policy: Some(word.clone()), gaps, ..Choices::default() };
            setups.push(folders.setup(&source, &choices)?);
        }
    }
    Ok(setups)
}

/// Prints the ranking, and saves it with every row below it.
fn save(results: &Path, rows: Vec<PolicyRow>) -> anyhow::Result<()> {
    let policies = PolicyTable::of(rows).context("there is nothing to compare")?;
    let ranking = compare::of_ranking(&policies);
    print!("{ranking}");
    let (markdown, csv) = (results.join("comparison.md"), results.join("comparison.csv"));
    let unwritten = |path: &PathBuf| format!("{} cannot be written", path.display());
    std::fs::create_dir_all(results).with_context(|| unwritten(&markdown))?;
    let text = format!("{ranking}\n{}", compare::by_load(policies.rows()));
    std::fs::write(&markdown, text).with_context(|| unwritten(&markdown))?;
    let mut writer = csv::Writer::from_path(&csv).with_context(|| unwritten(&csv))?;
    for row in policies.rows() {
        writer.serialize(row).with_context(|| unwritten(&csv))?;
    }
    writer.flush().with_context(|| unwritten(&csv))?;
    println!("results    {} and {}", markdown.display(), csv.display());
    Ok(())
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
