//! The load generator's command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use loadgen::{Interrupt, LoadedScenario, RunError, RunOptions, RunReport, Scaler, Target};

/// Offers load in an open loop, checks every answer and writes down what happened.
///
/// Exit codes: 0 the scenario's limits held, 1 one did not or the run failed, 2 bad input,
/// 130 interrupted.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a scenario from a file against any target.
    Run {
        /// The scenario's file.
        scenario: PathBuf,
        /// The server that gets the load.
        #[arg(long, value_name = "URL")]
        target: String,
        /// The scaler's API; without it the figures of instances are unknown.
        #[arg(long, value_name = "URL")]
        api: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Runs a shipped scenario by its name against the running system.
    Experiment {
        /// The scenario's name, such as `ramp`.
        name: String,
        /// The folder of scenarios.
        #[arg(long, value_name = "DIR", default_value = "loadgen/scenarios")]
        scenarios: PathBuf,
        /// The load balancer.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
        target: String,
        /// The scaler's API.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8090")]
        api: String,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Common {
    /// The folder in which the run gets its own.
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// The folder of the services' files: they say what one instance serves.
    #[arg(long, value_name = "DIR", default_value = "services")]
    services: PathBuf,
    /// Multiplies the durations of the load, not its rates: 0.2 makes a run five times as short.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    time_factor: f64,
    /// Takes the place of the scenario's seed.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = match options(cli.command) {
        Ok(options) => options,
        Err(error) => return fail(&error, 2),
    };
    match execute(options) {
        Ok(report) => {
            println!("{}results    {}", report.text(), report.folder.display());
            ExitCode::from(report.exit_code())
        }
        Err(error) => {
            let bad_input = error.downcast_ref().is_some_and(RunError::is_bad_input);
            fail(&error, if bad_input { 2 } else { 1 })
        }
    }
}

/// Everything that can be wrong in what the user says is found here.
fn options(command: Command) -> anyhow::Result<RunOptions> {
    let (path, target, api, common) = match command {
        Command::Run { scenario, target, api, common } => (scenario, target, api, common),
        Command::Experiment { name, scenarios, target, api, common } => {
            (LoadedScenario::find(&scenarios, &name)?, target, Some(api), common)
        }
    };
    let Common { results, services, time_factor, seed } = common;
    Ok(RunOptions {
        scenario: LoadedScenario::read(&path, &services, time_factor, seed)?,
        target: target.parse::<Target>()?,
        scaler: api.as_deref().map(Scaler::new).transpose()?,
        results,
    })
}

fn execute(options: RunOptions) -> anyhow::Result<RunReport> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let interrupt = Interrupt::listen().context("signals cannot be handled")?;
        Ok(loadgen::run(options, interrupt).await?)
    })
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(code)
}
