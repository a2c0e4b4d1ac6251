//! A whole run in virtual time, from a load to its figures.

use std::collections::BTreeMap;
use std::time::Duration;

use model::service::ServiceSpec;
use model::tick::Tick;
use run::calibration::Times;
use run::capacity::CapacityCurve;
use run::cost::Lives;
use run::series::LONGEST_WITH_ROWS;
use run::summary::{
    CountLimit, Generator, Instances, Limits, Requests, Scaling, Summary, TimeLimit, millis,
};
use run::{FleetHistory, Recorder, ResultsError, RunSeries};
use simulation::{Detail, HostModel, Load, Simulation, SimulationError};
use workload::OfferedLoad;

use crate::fleet_figures::FleetFigures;

/// Loads up to this long are simulated at the scaler's own tick: a fortnight takes some 10 s. At a
/// longer one a policy that looks at each tick loses up to a second at every rise, and one that
/// looks each 15 s nothing. A year is simulated at ten of them all the same.
const LONGEST_AT_SCALERS_TICK: Duration = Duration::from_secs(31 * 24 * 3600);
const SCALERS_TICK: Duration = Duration::from_millis(100);
const LONG_TICK: Duration = Duration::from_secs(1);

/// Loads of more requests than this are simulated as amounts: one by one they take more than ten seconds.
const MOST_SINGLE_REQUESTS: f64 = 2e6;

/// Everything that makes a run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The service, with its policy.
    pub spec: ServiceSpec,
    /// What the policy is called.
    pub policy: String,
    /// The load.
    pub load: Load,
    /// The host.
    pub host: HostModel,
    /// How closely to look at requests.
    pub detail: Detail,
    /// Time between two turns.
    pub tick: Duration,
    /// How many instances a load needs, for the figures of elasticity; `None` where nobody knows.
    pub capacity: Option<CapacityCurve>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its figures.
    pub summary: Summary,
    /// How the fleet followed the load, and what it took.
    pub figures: FleetFigures,
    /// Its course; without rows when it was too long for them.
    pub series: RunSeries,
    /// Turns that the loop took.
    pub turns: u64,
}

/// A run that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The simulation broke a rule.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// Its ticks could not be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
}

impl Setup {
    /// A run whose detail and tick suit the load: what is long or dense is looked at less closely.
    pub fn suited(
        spec: ServiceSpec,
        capacity: Option<CapacityCurve>,
        policy: &str,
        load: Load,
        host: HostModel,
    ) -> Self {
        let few = match &load.offered {
            OfferedLoad::Open(_) => load.offered.requests() <= MOST_SINGLE_REQUESTS,
            // There is no other way to look at it.
            OfferedLoad::Closed(_) => true,
        };
        let short = load.offered.duration().is_none_or(|d| d <= LONGEST_AT_SCALERS_TICK);
        Self {
            spec,
            capacity,
            policy: policy.to_owned(),
            load,
            host,
            detail: if few { Detail::Requests } else { Detail::Fluid },
            tick: if short { SCALERS_TICK } else { LONG_TICK },
        }
    }

    /// The name of its folder: the same run has the same one.
    pub fn name(&self) -> String {
        format!("simulated-{}-{}", self.load.name, self.policy)
    }

    /// Whether it is too long for a row a second; a closed load lasts a day at most.
    fn is_long(&self) -> bool {
        self.load.offered.duration().is_some_and(|d| d > LONGEST_WITH_ROWS)
    }

    /// Runs it. Each tick that is worth keeping goes to `keep`, as the scaler's record has it.
    ///
    /// # Errors
    /// A rule was broken, or `keep` failed.
    pub fn run(
        &self,
        mut keep: impl FnMut(&Tick) -> Result<(), ResultsError>,
    ) -> Result<Outcome, RunError> {
        let Self { spec, load, host, detail, tick, .. } = self;
        let mut simulation = Simulation::new(spec.clone(), load, host.clone(), *detail, *tick)?;
        let recorder = Recorder::new(load.warm_up, load.timeout);
        let mut recorder = if self.is_long() { recorder.without_rows() } else { recorder };

        let mut course = Course::of(load);
        while course.is_on(&simulation, load) {
            let tick = simulation.turn(&mut recorder)?;
            if let Some(kept) = course.take(tick, &simulation) {
                keep(kept)?;
            }
        }
        let finished = Finished { setup: self, recorder: &recorder, course };
        Ok(finished.outcome(&mut simulation))
    }
}

/// A run over time, as its ticks tell it.
#[derive(Debug)]
struct Course {
    turns: u64,
    last_kept: Option<Tick>,
    /// From the start of the load on.
    history: Option<FleetHistory>,
    lives: Lives,
    sequence: u64,
    /// The ready instances that the service comes down to, as of the last turn.
    rests_at: u32,
    /// How long load was offered, once that is known.
    offered: Duration,
    /// From the end of the load to the end of the run, and to the lower bound.
    settled: Duration,
    back_to_min_s: Option<f64>,
}

impl Course {
    fn of(load: &Load) -> Self {
        Self {
            turns: 0,
            last_kept: None,
            history: None,
            lives: Lives::new(load.began.as_millis()),
            sequence: 0,
            rests_at: 0,
            offered: Duration::ZERO,
            settled: Duration::ZERO,
            back_to_min_s: None,
        }
    }

    /// Whether there is more to come: load, requests under way, or a fleet that has not settled.
    fn is_on(&mut self, simulation: &Simulation, load: &Load) -> bool {
        let elapsed = simulation.elapsed();
        let over =
            simulation.load_end().filter(|end| elapsed >= *end && simulation.under_way() == 0);
        let Some(whole) = over else { return true };
        self.offered = whole;
        if load.settle == Duration::ZERO {
            return false;
        }
        self.settled = elapsed - whole;
        let rests_at = self.rests_at;
        let at_rest = self.history.as_ref().and_then(|history| history.at_rest_since(rests_at));
        self.back_to_min_s = at_rest.map(|at_s| (at_s - whole.as_secs_f64()).max(0.0));
        at_rest.is_none() && self.settled < load.settle
    }

    /// Takes the next tick in, and gives it back if it belongs in the record.
    fn take(&mut self, mut tick: Tick, simulation: &Simulation) -> Option<&Tick> {
        self.turns += 1;
        self.rests_at = tick.rests_at(simulation.bounds());
        if simulation.has_started() && self.history.is_none() {
            let (phases, decided) = (tick.observation.phases, tick.target());
            self.history = Some(FleetHistory::new(simulation.began(), phases, decided));
        }
        if !tick.is_worth_keeping(self.last_kept.as_ref()) {
            return None;
        }
        if let Some(history) = &mut self.history {
            self.sequence += 1;
            tick.sequence = self.sequence;
            history.tick(simulation.began().after(simulation.elapsed()), &tick);
            self.lives.take(&tick);
        }
        let kept = self.last_kept.insert(tick);
        self.history.is_some().then_some(kept)
    }
}

/// All that is known when a run is over.
struct Finished<'a> {
    setup: &'a Setup,
    recorder: &'a Recorder,
    course: Course,
}

impl Finished<'_> {
    fn outcome(self, simulation: &mut Simulation) -> Outcome {
        let summary = self.summary(simulation);
        let series = self.series(&summary);
        let Setup { capacity, load, .. } = self.setup;
        let figures = FleetFigures::measure(
            capacity.as_ref(),
            &load.offered,
            &summary,
            &series,
            self.course.lives,
        );
        Outcome { summary, figures, series, turns: self.course.turns }
    }

    fn summary(&self, simulation: &mut Simulation) -> Summary {
        let load = &self.setup.load;
        let offered = self.course.offered;
        let is_at_rest = self.course.back_to_min_s.is_some();
        let settled = if is_at_rest { load.settle } else { self.course.settled };
        let counted_s = (offered + settled).as_secs_f64();
        let requests = self.recorder.requests();
        let warm_up = load.warm_up.min(offered);
        let history = self.course.history.as_ref();
        Summary {
            scenario: load.name.clone(),
            run: self.setup.name(),
            started_at_ms: load.began.as_millis(),
            seed: load.seed,
            time_factor: load.time_factor,
            duration_s: (offered - warm_up).as_secs_f64(),
            warm_up_s: warm_up.as_secs_f64(),
            settle_s: self.course.settled.as_secs_f64(),
            interrupted: false,
            conditions: self.conditions(),
            requests,
            objective_ms: millis(self.setup.spec.objective),
            outside_objective_percent: requests
                .outside_objective_percent(self.recorder.late(self.setup.spec.objective)),
            warm_up: self.recorder.warm_up_requests(),
            latency_ms: self.recorder.latency(),
            instances: history
                .map_or_else(Instances::default, |history| history.instances(counted_s)),
            scaling: self.scaling(simulation),
            generator: Generator::default(),
            failures: self.recorder.failures().clone(),
            limits: self.limits(requests),
        }
    }

    fn series(&self, summary: &Summary) -> RunSeries {
        let Setup { load, policy, .. } = self.setup;
        let end_s = summary.warm_up_s + summary.duration_s + summary.settle_s;
        let mut rows = self.recorder.rows(end_s);
        if let Some(history) = &self.course.history {
            history.fill(&mut rows);
        }
        let Requests { due, ok, failed, dropped, .. } = summary.requests;
        let fleet = self.course.history.as_ref().map(FleetHistory::steps).unwrap_or_default();
        RunSeries {
            title: format!("{}, simulated", load.name),
            subtitle: format!(
                "{} · {policy} · seed {} · {due} due, {ok} ok, {failed} failed, {dropped} dropped",
                self.setup.spec.name, load.seed
            ),
            warm_up_s: summary.warm_up_s,
            load_end_s: self.course.offered.as_secs_f64(),
            rows,
            fleet: fleet.to_vec(),
        }
    }

    fn conditions(&self) -> BTreeMap<String, String> {
        let Setup { spec, policy, load, host, detail, tick, capacity, .. } = self.setup;
        let requests = match detail {
            Detail::Requests => "one by one",
            Detail::Fluid => "as amounts",
        };
        let condition = |key: &str, value: String| (key.to_owned(), value);
        let trace = load.trace.clone().map(|trace| condition("trace", trace));
        let capacity = capacity.as_ref().map(|known| condition("capacity", known.to_string()));
        let known = [
            condition("service", spec.name.to_string()),
            condition("policy", policy.clone()),
            condition("load", load.offered.to_string()),
            condition("host", host.source.clone()),
            condition(
                "bounds",
                format!("{} to {} instances", spec.bounds.min(), spec.bounds.max()),
            ),
            condition(
                "simulated",
                format!("requests {requests}, a tick each {} ms", tick.as_millis()),
            ),
        ];
        known.into_iter().chain(capacity).chain(trace).collect()
    }

    fn scaling(&self, simulation: &mut Simulation) -> Scaling {
        let scaling = self.course.history.as_ref().map(FleetHistory::scaling).unwrap_or_default();
        // Where requests are not told apart, the first one of an instance is not known.
        if self.setup.detail == Detail::Fluid {
            return scaling;
        }
        let (took, never_served) = simulation.serving();
        let took_ms = took.iter().map(|took| took.as_secs_f64() * 1e3).collect();
        let plan_to_serving_ms = Times::of(took_ms).ms;
        Scaling { plan_to_serving_ms, never_served: Some(never_served), ..scaling }
    }

    fn limits(&self, requests: Requests) -> Limits {
        let load = &self.setup.load;
        let count = |max: Option<u64>, n| max.map(|max| CountLimit::judge(max, n));
        let time = TimeLimit::judge(load.settle.as_secs_f64(), self.course.back_to_min_s);
        Limits {
            max_failed: count(load.limits.max_failed, requests.failed),
            max_dropped: count(load.limits.max_dropped, requests.dropped),
            back_to_min: load.limits.back_to_min.then_some(time),
        }
    }
}
