//! The simulator's command line.

// `println!` panics where nobody reads the output any more: see `command_line::terminal`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use command_line::{numbers, terminal, words};
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
              value_parser = numbers::within(1..=100))]
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
            let setup = folders.setup(&source, &choices).map_err(Into::into);
            finish(setup, |setup| run(&setup, &folders.results, json))
        }
        Command::Compare { seeds, gaps, folders } => {
            finish(setups(&folders, gaps), |setups| compare_all(&setups, seeds, &folders.results))
        }
    }
}

/// Bad input ends with 2, and what goes wrong with a good one with 1.
fn finish<Input>(
    input: anyhow::Result<Input>,
    run: impl FnOnce(Input) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    match input {
        Ok(input) => run(input).unwrap_or_else(|error| fail(&error, 1)),
        Err(error) => fail(&error, 2),
    }
}

/// Runs it, writes its folder and says what came of it.
fn run(setup: &Setup, results: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let folder = ResultsFolder::reuse(results, &setup.name())?;
    let mut ticks = folder.ticks()?;
    let Outcome { summary, figures, series, .. } = setup.run(|tick| ticks.add(tick))?;
    ticks.close()?;
    folder.write_figures(&summary, &series)?;
    terminal::print(text::summary(&summary));
    if let Some(percent) = summary.outside_objective_percent {
        terminal::print_line(format_args!(
            "objective  {percent:.3}% of the requests outside of it"
        ));
    }
    terminal::print_line(format_args!("host       {}", setup.host.source));
    terminal::print_line(format_args!("results    {}", folder.path().display()));
    if json {
        terminal::print_line(figures.beside(&summary)?);
    }
    Ok(ExitCode::from(u8::from(!summary.limits.broken().is_empty())))
}

fn compare_all(setups: &[Setup], seeds: u32, results: &Path) -> anyhow::Result<ExitCode> {
    let done = |setup: &Setup| {
        let Setup { load, policy, .. } = setup;
        terminal::note(format_args!("done: {policy} under {}, seed {}", load.name, load.seed));
    };
    save(results, compare::compare(setups, seeds, done)?)?;
    if let Some(setup) = setups.first() {
        terminal::print_line(format_args!("host       {}", setup.host.source));
    }
    Ok(ExitCode::SUCCESS)
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
    terminal::print(&ranking);
    let (markdown, csv) = (results.join("comparison.md"), results.join("comparison.csv"));
    let text = format!("{ranking}\n{}", compare::by_load(policies.rows()));
    std::fs::create_dir_all(results)
        .and_then(|()| std::fs::write(&markdown, text))
        .with_context(|| format!("{} cannot be written", markdown.display()))?;
    policies.write(&csv)?;
    terminal::print_line(format_args!("results    {} and {}", markdown.display(), csv.display()));
    Ok(())
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    terminal::note(format_args!("error: {error:#}"));
    ExitCode::from(code)
}
