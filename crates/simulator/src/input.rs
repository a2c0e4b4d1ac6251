//! Finds and reads what a run is made of: scenario or trace, service, policy, host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use command_line::files::{self, FileError};
use command_line::numbers;
use command_line::policies::{self, Choice};
use config_file::ConfigError;
use model::bounds::Bounds;
use model::policies::PolicyKind;
use model::service::ServiceSpec;
use model::value::{Invalid, check, in_range};
use run::capacity::CapacityCurve;
use run::{ReadError, calibration};
use simulation::host_model::{self, HostModel};
use simulation::{Detail, Load};
use workload::{
    Gaps, InstanceCapacity, IntervalLength, IntervalOptions, OfferedLoad, PeakInstances, Replay,
    Scenario, ScenarioError, TimeFactor, Trace, TraceError, trace_name,
};

use crate::run::Setup;

/// The words for [`Detail`] on the command line.
const REQUESTS: &str = "requests";
const FLUID: &str = "fluid";

/// Where the project keeps its files.
#[derive(Debug, Clone, clap::Args)]
pub struct Folders {
    /// The folder in which the run gets its own.
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// The folder of scenarios.
    #[arg(long, value_name = "DIR", default_value = "loadgen/scenarios")]
    pub scenarios: PathBuf,
    /// The folder of traces.
    #[arg(long, value_name = "DIR", default_value = "loadgen/traces")]
    pub traces: PathBuf,
    /// The folder of policies.
    #[arg(long, value_name = "DIR", default_value = "loadgen/policies")]
    pub policies: PathBuf,
    /// The folder of the services' files.
    #[arg(long, value_name = "DIR", default_value = "services")]
    pub services: PathBuf,
}

/// What load to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A scenario: a file's path, or a name in the folder of scenarios.
    Scenario(String),
    /// A trace's file.
    Trace(PathBuf),
}

/// How to simulate it, as the command line says it; `None` lets the load decide.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Choices {
    /// `default` (the service's own), a kind of policy, a file in the folder of policies, or a path
    /// that ends in .toml.
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// The busiest moment of a trace, in instances' worth of load [default: 10].
    #[arg(long, value_name = "INSTANCES", value_parser = numbers::fraction)]
    pub peak: Option<f64>,
    /// What stands for the missing intervals of a trace: `zero` (no request) or `hold` (as many as in
    /// the interval before) [default: a trace with holes is refused].
    #[arg(long, value_name = "WORD")]
    pub gaps: Option<Gaps>,
    /// How long an interval of a trace is, such as `1h`, where its first column counts them (0, 1, 2,
    /// ...) or no two lines are neighbours [default: the shortest time from a line to the next].
    #[arg(long, value_name = "LENGTH")]
    pub interval: Option<IntervalLength>,
    /// Takes the place of the scenario's seed.
    #[arg(long, value_parser = numbers::whole::<u64>)]
    pub seed: Option<u64>,
    /// Multiplies the durations of the load, not its rates.
    #[arg(long, value_name = "FACTOR", value_parser = numbers::fraction)]
    pub time_factor: Option<f64>,
    /// A file that says what the host is like, or `measured` for the built-in figures [default:
    /// the calibration's, where there is one].
    #[arg(long, value_name = "FILE")]
    pub host: Option<PathBuf>,
    /// The service that gets a trace's load [default: object-store].
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// How closely to look at requests [default: one by one up to two million].
    #[arg(long, value_parser = detail())]
    pub detail: Option<Detail>,
    /// Time between two turns of the loop [default: 100, and 1000 for loads longer than a day].
    #[arg(long, value_name = "MS")]
    pub tick_ms: Option<u64>,
}

/// Reads how closely to look at requests.
fn detail() -> impl TypedValueParser<Value = Detail> {
    let words = [
        PossibleValue::new(REQUESTS).help("One by one: some hundred thousand a second"),
        PossibleValue::new(FLUID).help("As amounts: the cost is one of time, not of requests"),
    ];
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        FLUID => Detail::Fluid,
        _ => Detail::Requests,
    })
}

/// What was asked for cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// There is no scenario or policy of that name, or no good one.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read, or holds what it may not.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A word of the command line has a value that is not allowed, or the service cannot have as many
    /// instances as the peak asks for.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The scenario is not a good one.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The trace is not a good one.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// What was calibrated cannot be read.
    #[error(transparent)]
    Capacity(#[from] ReadError),
}

impl Folders {
    /// Reads all that `choices` name.
    ///
    /// # Errors
    /// [`InputError`] names the file, the place, the value and what is allowed.
    pub fn setup(&self, source: &Source, choices: &Choices) -> Result<Setup, InputError> {
        let factor = factor(choices.time_factor)?;
        let host = self.host(choices.host.as_deref())?;
        let (spec, mut load) = match source {
            Source::Scenario(name) => self.scenario(name, factor, choices)?,
            Source::Trace(path) => self.trace(path, factor, choices)?,
        };
        load.seed = choices.seed.unwrap_or(load.seed);
        let said = spec.requests_required()?.capacity;
        let capacity = CapacityCurve::of_service(&self.calibration(), &spec.name, said)?;
        let mut setup = Setup::suited(spec, capacity, &policy_name(choices), load, host);
        setup.detail = choices.detail.unwrap_or(setup.detail);
        let closed = matches!(setup.load.offered, OfferedLoad::Closed(_));
        let allowed = "requests: the threads of a closed load wait for the answer to each";
        check(!closed || setup.detail == Detail::Requests, "detail", "fluid", allowed)?;
        if let Some(ms) = choices.tick_ms {
            setup.tick = Duration::from_millis(in_range("tick-ms", ms, 20..=60_000)?);
        }
        Ok(setup)
    }

    /// Every scenario and every trace there is, in the order of their names.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn sources(&self) -> Result<Vec<Source>, InputError> {
        let scenarios = files::with_extension(&self.scenarios, "toml")?;
        let name = |path: &PathBuf| Source::Scenario(files::stem(path).to_owned());
        let scenarios = scenarios.iter().map(name);
        let traces = files::with_extension(&self.traces, "csv")?.into_iter().map(Source::Trace);
        Ok(scenarios.chain(traces).collect())
    }

    /// Every policy there is, as words for [`Choices::policy`]: the service's own, each kind with
    /// its default figures, and each file of the folder of policies.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn policies(&self) -> Result<Vec<String>, InputError> {
        let files = policies::all(&self.policies)?;
        let kinds = PolicyKind::all().map(PolicyKind::name);
        let kinds = [policies::DEFAULT].into_iter().chain(kinds).map(str::to_owned);
        Ok(kinds.chain(files.iter().map(|path| path.display().to_string())).collect())
    }

    /// The folder of what was calibrated, which is not there before anything was.
    fn calibration(&self) -> PathBuf {
        self.results.join(calibration::FOLDER)
    }

    fn host(&self, chosen: Option<&Path>) -> Result<HostModel, InputError> {
        let calibrated = self.calibration().join(calibration::HOST_FILE);
        let path = match chosen {
            Some(path) => path,
            None if calibrated.exists() => &calibrated,
            None => Path::new(host_model::MEASURED),
        };
        if path == Path::new(host_model::MEASURED) {
            return Ok(HostModel::measured());
        }
        Ok(HostModel { source: path.display().to_string(), ..config_file::read(path)? })
    }

    fn scenario(
        &self,
        name: &str,
        factor: TimeFactor,
        choices: &Choices,
    ) -> Result<(ServiceSpec, Load), InputError> {
        for (key, given) in [
            ("peak", choices.peak.is_some()),
            ("service", choices.service.is_some()),
            ("gaps", choices.gaps.is_some()),
            ("interval", choices.interval.is_some()),
        ] {
            check(!given, key, "given", "it with a trace: a scenario says itself what to offer")?;
        }
        let path = files::of_scenario(name, &self.scenarios)?;
        let scenario = config_file::read::<Scenario>(&path)?.shortened(factor);
        let spec = self.service(&scenario.service, choices)?;
        let capacity = spec.requests_required()?.capacity;
        let capacity = capacity.requests_per_second.and_then(InstanceCapacity::new);
        let offered = scenario.offered(capacity)?;
        Ok((spec, Load::of_scenario(&scenario, offered, factor)))
    }

    fn trace(
        &self,
        path: &Path,
        factor: TimeFactor,
        choices: &Choices,
    ) -> Result<(ServiceSpec, Load), InputError> {
        let file = path.display().to_string();
        let intervals = IntervalOptions { length: choices.interval, gaps: choices.gaps };
        let trace = Trace::parse(&file, &config_file::read_text(path)?, intervals)?;
        let mut spec =
            self.service(choices.service.as_deref().unwrap_or("object-store"), choices)?;
        let replay = Replay { trace, peak: choices.peak.map(peak).transpose()?, factor };
        if let Some(peak) = replay.peak_in_force() {
            // A peak above the service's upper bound could only ever be missed.
            let max = spec.bounds.max().max(peak.whole());
            spec.bounds = Bounds::new(spec.bounds.min(), max)?;
        }
        let capacity = spec.requests_required()?.capacity;
        let rate = capacity.rate_required(&spec.name, "the load of a trace")?;
        let load = Load::of_trace(&trace_name(path), &replay, rate);
        Ok((spec, load))
    }

    fn service(&self, name: &str, choices: &Choices) -> Result<ServiceSpec, InputError> {
        let path = self.services.join(format!("{name}.toml"));
        let mut spec = command_line::services::read(&path)?;
        let word = choices.policy.as_deref().unwrap_or(policies::DEFAULT);
        if let Some(chosen) = Choice::find(word, &self.policies)?.spec {
            spec.check_policy(&chosen)?;
            spec.policy = chosen;
        }
        Ok(spec)
    }
}

/// What a policy is called in the results: a file's policy after the file.
fn policy_name(choices: &Choices) -> String {
    let policy = choices.policy.as_deref().unwrap_or(policies::DEFAULT);
    let stem = Path::new(policy).file_stem().and_then(|stem| stem.to_str());
    stem.unwrap_or(policy).to_owned()
}

fn factor(factor: Option<f64>) -> Result<TimeFactor, Invalid> {
    let factor = factor.unwrap_or(1.0);
    TimeFactor::new(factor).ok_or_else(|| Invalid::new("time-factor", factor, "above 0 to 1"))
}

fn peak(instances: f64) -> Result<PeakInstances, Invalid> {
    let allowed = "above 0 to 750 (instances)";
    PeakInstances::new(instances).ok_or_else(|| Invalid::new("peak", instances, allowed))
}
