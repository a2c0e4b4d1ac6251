//! Reads the file of a scenario or a trace, and turns it into a load.

use std::path::Path;

use config_file::Invalid;
use model::service::ServiceSpec;
use workload::{
    Gaps, InstanceCapacity, IntervalLength, IntervalOptions, Load, OfferedLoad, PeakInstances,
    RateUnit, Scenario, TimeFactor, Trace,
};

use crate::error::Error;

/// A scenario that is ready to run.
#[derive(Debug, Clone)]
pub struct LoadedScenario {
    /// What its file says, or what a trace is taken for.
    pub scenario: Scenario,
    pub(crate) offered: OfferedLoad,
    pub(crate) time_factor: f64,
}

/// What can be said of a trace or a pace file that is to be replayed.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TraceOptions {
    /// The busiest moment of a trace, in instances' worth of load [default: 10; a pace file keeps its
    /// rates].
    #[arg(long, value_name = "INSTANCES", conflicts_with = "name")]
    pub peak: Option<f64>,
    /// What stands for the missing intervals of a trace: `zero` (no request) or `hold` (as many as in
    /// the interval before) [default: a trace with holes is refused].
    #[arg(long, value_name = "WORD", conflicts_with = "name")]
    pub gaps: Option<Gaps>,
    /// How long an interval of a trace is, such as `1h`, where its first column counts them (0, 1, 2,
    /// ...) or no two lines are neighbours [default: the shortest time from a line to the next].
    #[arg(long, value_name = "LENGTH", conflicts_with = "name")]
    pub interval: Option<IntervalLength>,
    /// The service that gets a trace's load [default: object-store].
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub service: Option<String>,
}

impl LoadedScenario {
    /// Reads a scenario. `services` is the folder of the services' files: one is read when the
    /// scenario counts its rates in instances.
    ///
    /// # Errors
    /// When a file or the time factor is not good; nothing has been sent then.
    pub fn read(
        path: &Path,
        services: &Path,
        time_factor: f64,
        seed: Option<u64>,
    ) -> Result<Self, Error> {
        let scenario: Scenario = config_file::read(path)?;
        let needs_capacity = match &scenario.load {
            Load::Phases(phases) => phases.unit == RateUnit::Instances,
            Load::Stages(_) => false,
            Load::Trace(_) => true,
        };
        let capacity = if needs_capacity { capacity(services, &scenario.service)? } else { None };
        Self::new(scenario, capacity, time_factor, seed)
    }

    /// Reads a trace or a pace file as the load of a service. `services` is the folder of the
    /// services' files: the service's says what one instance serves.
    ///
    /// # Errors
    /// When a file, the peak or the time factor is not good; nothing has been sent then.
    pub fn of_trace(
        file: &Path,
        options: &TraceOptions,
        services: &Path,
        time_factor: f64,
        seed: Option<u64>,
    ) -> Result<Self, Error> {
        let TraceOptions { peak, gaps, interval, service } = options;
        let service = service.as_deref().unwrap_or("object-store");
        let intervals = IntervalOptions { length: *interval, gaps: *gaps };
        let allowed = "above 0 to 750 (instances)";
        let refuse = |peak| Invalid::new("peak", peak, allowed);
        let peak =
            peak.map(|peak| PeakInstances::new(peak).ok_or_else(|| refuse(peak))).transpose()?;
        let text = config_file::read_text(file)?;
        let trace = Trace::parse(&file.display().to_string(), &text, intervals)?;
        let scenario = Scenario::of_trace(file, service, trace, peak);
        Self::new(scenario, capacity(services, service)?, time_factor, seed)
    }

    fn new(
        mut scenario: Scenario,
        capacity: Option<InstanceCapacity>,
        time_factor: f64,
        seed: Option<u64>,
    ) -> Result<Self, Error> {
        let factor = TimeFactor::new(time_factor)
            .ok_or_else(|| Invalid::new("time-factor", time_factor, "above 0 to 1"))?;
        scenario.seed = seed.unwrap_or(scenario.seed);
        let scenario = scenario.shortened(factor);
        let offered = scenario.offered(capacity)?;
        Ok(Self { scenario, offered, time_factor })
    }

    /// The instances that the busiest moment of a trace is scaled to.
    pub(crate) fn peak_instances(&self) -> Option<u32> {
        let Load::Trace(replay) = &self.scenario.load else { return None };
        replay.peak_in_force().map(PeakInstances::whole)
    }

    /// The same load by chance: as many seeds further on.
    pub(crate) fn with_seed_raised_by(&self, by: u32) -> Self {
        let mut other = self.clone();
        other.scenario.seed = self.scenario.seed.wrapping_add(by.into());
        other
    }
}

/// What one instance of a service serves, as the service's file says.
fn capacity(services: &Path, service: &str) -> Result<Option<InstanceCapacity>, Error> {
    let spec = read_service(services, service)?;
    let rate = spec.requests_from_outside()?.capacity.requests_per_second;
    Ok(rate.and_then(InstanceCapacity::new))
}

/// Reads a service's file from the folder of all of them.
pub(crate) fn read_service(folder: &Path, name: &str) -> Result<ServiceSpec, Error> {
    let path = folder.join(format!("{name}.toml"));
    Ok(config_file::read(&path)?)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use command_line::files;

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn a_scenario_is_found_by_its_name_and_an_unknown_name_lists_the_others() {
        let folder = root().join("loadgen/scenarios");
        let path = files::of_scenario("ramp", &folder).unwrap();
        assert_eq!(
            files::of_scenario("my/own.toml", Path::new("none")).unwrap(),
            Path::new("my/own.toml")
        );
        let loaded = LoadedScenario::read(&path, &folder, 0.1, Some(9)).unwrap();
        assert_eq!(loaded.scenario.seed, 9);
        assert_eq!(loaded.offered.duration(), Some(Duration::from_secs(18)));
        let error = files::of_scenario("rmap", &folder).unwrap_err();
        insta::assert_snapshot!(
            error,
            @"there is no scenario `rmap`: use any-service, burst-from-zero, ramp, reload-vs-runtime, seven-stages, sine, soak, spike, staircase, steps, two-a-second, or a file whose name ends in .toml"
        );
    }

    #[test]
    fn rates_in_instances_follow_the_services_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.toml");
        let text = "name = \"two\"\nservice = \"object-store\"\nseed = 1\n\
            unit = \"instances\"\n[[phases]]\nkind = \"constant\"\nduration_s = 1\nrate = 2\n\
            [objects]\n";
        std::fs::write(&path, text).unwrap();
        let loaded = LoadedScenario::read(&path, &root().join("services"), 1.0, None).unwrap();
        // An object store serves 50 requests/s.
        assert!((loaded.offered.first_rps().unwrap() - 100.0).abs() < 1e-9);
        let error = LoadedScenario::read(&path, folder.path(), 1.0, None).unwrap_err();
        assert!(error.to_string().contains("object-store.toml cannot be read"), "{error}");
    }

    #[test]
    fn a_trace_is_a_load_in_multiples_of_an_instance() {
        let trace = root().join("loadgen/traces/azure_llm_2023_code_per_second.csv");
        let of = |peak, service: &str, factor| {
            let service = Some(service.to_owned());
            let options = TraceOptions { peak, service, ..TraceOptions::default() };
            LoadedScenario::of_trace(&trace, &options, &root().join("services"), factor, None)
        };
        let loaded = of(Some(3.0), "object-store", 0.1).unwrap();
        assert_eq!(loaded.scenario.name, "azure_llm_2023_code_per_second");
        assert_eq!(loaded.offered.duration(), Some(Duration::from_millis(343_700)));
        // Its first second has one request of the 67 of its busiest one; that asks for 150.
        assert!((loaded.offered.first_rps().unwrap() - 150.0 / 67.0).abs() < 1e-9);
        let refusal = |peak, service, factor| of(peak, service, factor).unwrap_err().to_string();
        insta::assert_snapshot!(
            refusal(Some(0.0), "object-store", 1.0),
            @"peak is 0: use above 0 to 750 (instances)"
        );
        insta::assert_snapshot!(
            refusal(None, "object-store", 2.0),
            @"time-factor is 2: use above 0 to 1"
        );
        assert!(
            refusal(None, "nothing", 1.0).contains("nothing.toml cannot be read: No such file")
        );
    }

    #[test]
    fn a_trace_that_cannot_be_offered_is_refused_with_its_line_or_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |text: &[u8]| {
            let path = folder.path().join("t.csv");
            std::fs::write(&path, text).unwrap();
            let services = root().join("services");
            let options = TraceOptions::default();
            let loaded = LoadedScenario::of_trace(&path, &options, &services, 1.0, None);
            let error = loaded.unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "")
        };
        let cases: [&[u8]; 5] = [
            b"second,requests\n0,1\n1,2\n3,4\n",
            b"second,requests\n0,1\n1,-2\n",
            b"",
            b"time,rate\n0,1\n172800,0\n",
            b"second,requests\n0,1\n1,\xff\n",
        ];
        let messages = cases.map(refusal).join("\n");
        insta::assert_snapshot!(messages, @r"
        /t.csv, line 4: the time is 2s after that of the line before, and an interval is 1s, as from line 2 to line 3: put lines in between for the 1 missing, or fill such holes with gaps=zero or gaps=hold
        /t.csv, line 3: requests is `-2`: use a number from 0 to 1000000000
        /t.csv: the file is empty: use a header, a column of times first and `requests` last, or `time,rate` for a pace file, and lines below it
        t lasts 172800 s: use up to 86400 s (a day): give a time factor of 0.5 or less
        /t.csv cannot be read: stream did not contain valid UTF-8
        ");
    }
}
