//! The load generator's command line.

#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use command_line::policies::Choice;
use command_line::{files, numbers, terminal, words};
use loadgen::{
    CalibrateOptions, Experiment, Interrupt, LoadedScenario, MAX_REPETITIONS, Memberships,
    RunOptions, RunReport, Scaler, ScalerError, Target, TraceOptions,
};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use run::capacity::CapacityCurve;
use run::figures::Assumptions;

/// The variable with the secret of a token, for where nobody is known by who calls.
const TOKEN: &str = "BELLOWS_TOKEN";

/// A service under `hpa` needs five minutes of little load before it scales in, and then some.
const REST_LIMIT: Duration = Duration::from_secs(600);

/// Offers load, checks every answer and writes down what happened.
///
/// Every option can also be said as `name=value`.
///
/// Exit codes: 0 the scenario's limits held, 1 one did not or the run failed, 2 bad input,
/// 130 interrupted.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Ends in order when the program ends that started it.
    #[arg(long, global = true, hide = true)]
    with_parent: bool,
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
    /// Runs a shipped scenario by its name, or a trace, against the running system.
    Experiment {
        /// The scenario's name, such as `ramp`, or a path that ends in .toml.
        #[arg(required_unless_present = "trace")]
        name: Option<String>,
        /// A CSV file of counts per interval, or a pace file, instead of a scenario; see
        /// loadgen/traces/README.md.
        #[arg(long, value_name = "FILE", conflicts_with = "name")]
        trace: Option<PathBuf>,
        #[command(flatten)]
        trace_options: TraceOptions,
        #[command(flatten)]
        choices: Choices,
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        places: Places,
    },
    /// Finds the highest rate that fleets of 1, 2, ... instances serve within the objective, and
    /// times what the host does.
    Calibrate {
        /// The largest fleet to measure [default: the service's upper bound].
        #[arg(long, value_name = "N")]
        instances: Option<u32>,
        /// The scenario whose service is calibrated, with requests like its own: a name, or a path
        /// that ends in .toml.
        #[arg(long, value_name = "NAME", default_value = "ramp")]
        scenario: String,
        #[command(flatten)]
        folders: Folders,
        #[command(flatten)]
        places: Places,
    },
}

#[derive(Args)]
struct Choices {
    /// The policy that decides meanwhile: `default` (the service's own), a kind of policy, a file in
    /// the folder of policies, or a path that ends in .toml [default: the one in force].
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// How many runs, each with a seed one higher; more than one gives medians with intervals.
    #[arg(long, value_name = "RUNS", default_value_t = 1,
          value_parser = numbers::within(1..=MAX_REPETITIONS))]
    n: u32,
    /// How HAProxy learns of members meanwhile [default: what the scenario says, or as it is].
    #[arg(long, value_name = "WAY")]
    membership: Option<Memberships>,
    /// The folder of policies.
    #[arg(long, value_name = "DIR", default_value = "loadgen/policies")]
    policies: PathBuf,
}

#[derive(Args)]
struct Common {
    /// Multiplies the durations of the load, not its rates: 0.2 makes a run five times as short.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = numbers::fraction)]
    time_factor: f64,
    /// Takes the place of the scenario's seed.
    #[arg(long, value_parser = numbers::whole::<u64>)]
    seed: Option<u64>,
    #[command(flatten)]
    folders: Folders,
}

#[derive(Args)]
struct Folders {
    /// The folder in which the results get their own.
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// The folder of the services' files: they say what one instance serves.
    #[arg(long, value_name = "DIR", default_value = "services")]
    services: PathBuf,
}

#[derive(Args)]
struct Places {
    /// The folder of scenarios.
    #[arg(long, value_name = "DIR", default_value = "loadgen/scenarios")]
    scenarios: PathBuf,
    /// The load balancer.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: String,
    /// The scaler: its socket for operators, or another way to it with a token in BELLOWS_TOKEN.
    #[arg(long, value_name = "SOCKET", default_value = "/run/bellows/operator.sock")]
    api: String,
}

/// What to do, read and checked.
enum Work {
    Run(RunOptions),
    Experiment(Experiment),
    Calibrate(Box<CalibrateOptions>),
}

fn main() -> ExitCode {
    let arguments = match words::options(&Cli::command(), std::env::args()) {
        Ok(arguments) => arguments,
        Err(error) => return fail(&error.into(), 2),
    };
    let cli = Cli::parse_from(arguments);
    let parent = cli.with_parent.then(|| set_pdeathsig(Signal::SIGINT));
    if let Some(Err(error)) = parent {
        return fail(&anyhow::Error::from(error).context("it cannot end with its parent"), 1);
    }
    let work = match work(cli.command) {
        Ok(work) => work,
        Err(error) => return fail(&error, 2),
    };
    match execute(work) {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error, error.downcast_ref().map_or(1, loadgen::Error::exit_code)),
    }
}

/// Everything that can be wrong in what the user says is found here.
fn work(command: Command) -> anyhow::Result<Work> {
    match command {
        Command::Run { scenario, target, api, common } => Ok(Work::Run(RunOptions {
            scenario: common.scenario(&scenario)?,
            target: target.parse::<Target>()?,
            scaler: api.as_deref().map(scaler).transpose()?,
            results: common.folders.results,
        })),
        Command::Experiment { name, trace, trace_options, choices, common, places } => {
            let scenario = match name {
                Some(name) => common.scenario(&files::of_scenario(&name, &places.scenarios)?)?,
                None => common.trace(trace.as_deref(), &trace_options)?,
            };
            let each = scenario.scenario.each_membership.then_some(Memberships::Both);
            let find = |word: String| Choice::find(&word, &choices.policies);
            Ok(Work::Experiment(Experiment {
                target: places.target.parse::<Target>()?,
                scaler: scaler(&places.api)?,
                policy: choices.policy.map(find).transpose()?,
                memberships: choices.membership.or(each),
                repetitions: choices.n,
                assumptions: assumptions(&common.folders, &scenario.scenario.service)?,
                rest_limit: REST_LIMIT,
                results: common.folders.results,
                scenario,
            }))
        }
        Command::Calibrate { instances, scenario, folders, places } => {
            let path = files::of_scenario(&scenario, &places.scenarios)?;
            let Folders { results, services } = folders;
            let scenario = LoadedScenario::read(&path, &services, 1.0, None)?;
            let place = (places.target.parse::<Target>()?, scaler(&places.api)?);
            let options = CalibrateOptions::new(scenario, &services, instances, place, results);
            Ok(Work::Calibrate(Box::new(options?)))
        }
    }
}

/// The scaler there, for whoever has a token where the environment has its secret.
fn scaler(place: &str) -> Result<Scaler, ScalerError> {
    match std::env::var(TOKEN) {
        Ok(secret) => Scaler::with_token(place, &secret),
        Err(_) => Scaler::new(place),
    }
}

impl Common {
    fn scenario(&self, path: &Path) -> anyhow::Result<LoadedScenario> {
        Ok(LoadedScenario::read(path, &self.folders.services, self.time_factor, self.seed)?)
    }

    fn trace(&self, file: Option<&Path>, options: &TraceOptions) -> anyhow::Result<LoadedScenario> {
        let file = file.context("name a scenario, or trace=FILE")?;
        let services = &self.folders.services;
        Ok(LoadedScenario::of_trace(file, options, services, self.time_factor, self.seed)?)
    }
}

/// What the figures over several runs suppose: the capacity that was calibrated, or that of the
/// service's file.
fn assumptions(folders: &Folders, service: &str) -> anyhow::Result<Assumptions> {
    let path = folders.services.join(format!("{service}.toml"));
    let spec = command_line::services::read(&path)?;
    let calibration = folders.results.join(run::calibration::FOLDER);
    let capacity = CapacityCurve::of_service(
        &calibration,
        &spec.name,
        spec.requests_from_outside()?.capacity,
    )?;
    if capacity.is_none() {
        terminal::note(format_args!(
            "nobody knows how many instances the load needs, so the figures of elasticity stay empty: \
             {service} has no capacity.requests_per_second and was not calibrated"
        ));
    }
    Ok(Assumptions { capacity, ..Assumptions::default() })
}

/// Does it, and gives the exit code.
fn execute(work: Work) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let interrupt = Interrupt::listen().context("signals cannot be handled")?;
        match work {
            Work::Run(options) => {
                let report = loadgen::run(options, interrupt).await?;
                show(&report);
                Ok(report.ending.exit_code())
            }
            Work::Experiment(experiment) => {
                let report = loadgen::experiment(experiment, interrupt, show).await?;
                terminal::print(&report.tables);
                match &report.folder {
                    Some(folder) if !report.tables.is_empty() => {
                        terminal::print(format_args!("\nresults    {}\n", folder.display()));
                    }
                    Some(_) => {}
                    None => terminal::note("interrupted before the first run"),
                }
                Ok(report.ending.exit_code())
            }
            Work::Calibrate(options) => {
                let report = loadgen::calibrate(*options, interrupt).await?;
                results(&report.text(), &report.folder);
                let code = report.exit_code();
                report.failure.map_or(Ok(code), |error| Err(error.into()))
            }
        }
    })
}

fn show(report: &RunReport) {
    results(&report.text(), &report.folder);
}

/// Figures, and where they and more are.
fn results(text: &str, folder: &Path) {
    terminal::print(format_args!("{text}results    {}\n", folder.display()));
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    terminal::note(format_args!("error: {error:#}"));
    ExitCode::from(code)
}
