//! What another policy would have run under a load that was observed.
//!
//! The load of a [`Stretch`] is offered once more, as amounts, to a service under that policy: the same loop, bounds and
//! rules, on a host as it was measured. It begins a minute before the stretch, under the load and with the instances with
//! which that began, so that the policy knows its service by then; what is told begins with the stretch.
//!
//! A hole in what was observed is no load of 0. The loop cannot see its load there and holds, nothing arrives, and neither
//! rates nor instance-seconds are told of it.

mod course;
mod observed;
mod tally;

use std::time::Duration;

use model::bounds::Bounds;
use model::decision::Decision;
use model::policies::PolicySpec;
use model::service::ServiceSpec;
use model::time::Timestamp;
use model::value::Invalid;
use workload::{OfferedLoad, OpenLoad, Pacing};

pub use self::observed::{Grain, Observed, Stretch};

use self::course::Course;
use self::tally::Tally;
use crate::host_model::{HostModel, InstanceModel};
use crate::load::Load;
use crate::simulation::{Beginning, Detail, Simulation, SimulationError};
use crate::spread::Spread;

/// How long the policy runs before what is told begins.
const WARM_UP: Duration = Duration::from_secs(60);

/// Changes of the decision that are told, at most: a policy that flaps at each turn of half an hour has 18,000.
const DECISIONS_MAX: usize = 1_000;

/// What is known of the host, beside what the stretch says of requests.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostFacts {
    /// How long launches took of late, from their plan to the first good health check. Where none is known, a launch takes
    /// as long as on the host on which the design was measured.
    pub launches: Vec<Duration>,
    /// Launches at a time; `None` for 4.
    pub parallel_launches: Option<u32>,
    /// How many instances of the service fit in the host's memory; `None` for any number.
    pub most_instances: Option<u32>,
    /// Its cores; `None` where none ever waits for one.
    pub cores: Option<u32>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The service as its file describes it. Its bounds are those in force; its policy is not asked.
    pub spec: &'a ServiceSpec,
    /// The policy that would have run.
    pub policy: &'a PolicySpec,
    /// What was observed.
    pub stretch: &'a Stretch,
    /// The host.
    pub host: &'a HostFacts,
    /// Everything random follows from this number.
    pub seed: u64,
}

/// What would have been.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// One for each step of the stretch.
    pub points: Vec<Point>,
    /// The decision at the beginning of the stretch, and each that differs from the one before in its number, or that holds
    /// where that one did not; at most 1,000.
    pub decisions: Vec<Decided>,
    /// How many more there were.
    pub decisions_left_out: u64,
    /// What it would have come to, in the steps whose load is known.
    pub totals: Totals,
    /// What ran came to, in the same steps.
    pub ran: Ran,
    /// What was taken of the host and of a request.
    pub assumed: Assumed,
}

/// One step. What is not known is `None`, and never 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it begins.
    pub at: Timestamp,
    /// Requests that came, per second, without those that waited already; `None` in a hole.
    pub offered_rps: Option<f64>,
    /// Requests answered, per second; `None` in a hole.
    pub served_rps: Option<f64>,
    /// Requests that failed, per second: they waited too long, or lost their instance; `None` in a hole.
    pub failed_rps: Option<f64>,
    /// How long those answered took on average, in milliseconds; `None` where none was.
    pub latency_ms: Option<f64>,
    /// The mean of the instances in rotation.
    pub ready: f64,
    /// The mean of all instances: those that start and drain too.
    pub instances: f64,
    /// The number decided on last in it; `None` where the last decision is to hold.
    pub target: Option<u32>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// What, and why.
    pub decision: Decision,
}

/// What a policy would have come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// For so many seconds the load is known.
    pub known_s: f64,
    /// Existence of all instances, in seconds.
    pub instance_seconds: f64,
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those that failed or took longer than the objective, in percent; `None` where none ended.
    pub outside_objective_percent: Option<f64>,
}

/// What ran.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ran {
    /// Existence of all instances, in seconds; `None` where the instances of no step are known.
    pub instance_seconds: Option<f64>,
}

/// What a preview goes by beside the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assumed {
    /// The bounds.
    pub bounds: Bounds,
    /// Instances ready at the beginning.
    pub ready: u32,
    /// The median of a launch, in milliseconds.
    pub launch_ms: f64,
    /// A request's mean time in an instance that nothing holds up, in milliseconds.
    pub request_ms: f64,
    /// CPU time that a request takes, in milliseconds.
    pub cpu_ms: f64,
    /// Requests per second that one instance serves; `None` where nobody has said it.
    pub instance_rps: Option<f64>,
}

/// There is nothing to preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The service gets no requests that are counted.
    #[error(transparent)]
    NoRequests(Invalid),
    /// The policy cannot be set for the service.
    #[error(transparent)]
    Policy(Invalid),
    /// Whoever asked does not wait any longer.
    #[error("it was not waited for")]
    GivenUp,
    /// The load of no step is known.
    #[error("the load is not known of any of this time")]
    NothingKnown,
    /// A fault of the policy or the planner.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
}

/// Says what the policy would have run. The same question has the same answer, as long as `goes_on` says that it is waited
/// for; that is asked before each turn, of which a fleet of 750 instances makes a hundred a second.
///
/// # Errors
/// The service has no requests, the policy does not suit it, nothing of the load is known, it is not waited for, or a rule
/// was broken.
pub fn preview(
    question: &Question,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Preview, PreviewError> {
    let Question { spec, policy, stretch, host, seed } = *question;
    spec.requests_required().map_err(PreviewError::NoRequests)?;
    spec.check_policy(policy).map_err(PreviewError::Policy)?;
    let first_rps = stretch.first_rps().ok_or(PreviewError::NothingKnown)?;
    let spec = ServiceSpec { policy: policy.clone(), ..spec.clone() };
    let model = host_model(host, stretch, &spec);
    let ready = stretch.first_ready().unwrap_or(spec.bounds.min());
    let ready = ready.clamp(spec.bounds.min(), spec.bounds.max());
    let assumed = assumed(&spec, &model, ready)?;
    let grain = stretch.grain();
    let curve = stretch.curve(WARM_UP, first_rps);
    // A second's count has its chance in it already; that within a minute is lost in its mean.
    let pacing = match grain {
        Grain::Second => Pacing::Even,
        Grain::Minute => Pacing::Poisson,
    };
    let load = Load {
        offered: OfferedLoad::Open(OpenLoad { pacing, curve }),
        began: stretch.from().before(WARM_UP),
        // Nobody counted what clients had under way.
        in_flight: usize::MAX,
        ..Load::of_curve("observed", seed, workload::RateCurve::new([]))
    };
    let beginning = Beginning { ready, silence: Duration::ZERO, step: grain.amounts() };
    let (detail, tick) = (Detail::Fluid, grain.tick());
    let mut tally = Tally::new(WARM_UP, stretch, spec.objective);
    let mut course = Course::new(WARM_UP, stretch);
    let mut simulation = Simulation::beginning(beginning, spec, &load, model, detail, tick)?;
    simulation.hide_load(stretch.holes(WARM_UP));
    while !course.is_over() {
        if !goes_on() {
            return Err(PreviewError::GivenUp);
        }
        let tick = simulation.turn(&mut tally)?;
        course.take(simulation.elapsed(), tick);
    }
    Ok(course.preview(stretch, &tally, assumed))
}

/// The host, as far as it was measured, and else as that of the design.
fn host_model(facts: &HostFacts, stretch: &Stretch, spec: &ServiceSpec) -> HostModel {
    let measured = HostModel::measured();
    let requests = stretch.requests(spec);
    let exactly = |seconds: f64| {
        let ms = (seconds * 1e3).clamp(0.001, 600_000.0);
        Spread::new(ms, ms)
    };
    HostModel {
        source: "observed".to_owned(),
        clone: launch(&facts.launches).unwrap_or(measured.clone),
        service: requests.service_s.and_then(exactly).unwrap_or(measured.service),
        cpu_per_request: requests
            .cpu_s
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or(measured.cpu_per_request),
        cores: facts.cores.filter(|cores| *cores > 0),
        parallel_launches: facts.parallel_launches.unwrap_or(measured.parallel_launches).max(1),
        most_instances: facts.most_instances,
        instance: InstanceModel { burst: None, ..measured.instance },
        ..measured
    }
}

/// How long launches take: by the median of those that were measured, and the 99th percentile.
fn launch(took: &[Duration]) -> Option<Spread> {
    let mut ms: Vec<f64> =
        took.iter().map(|took| (took.as_secs_f64() * 1e3).clamp(0.001, 600_000.0)).collect();
    ms.sort_by(f64::total_cmp);
    let last = ms.len().checked_sub(1)?;
    Spread::new(ms[last / 2], ms[last * 99 / 100])
}

fn assumed(spec: &ServiceSpec, host: &HostModel, ready: u32) -> Result<Assumed, PreviewError> {
    let capacity = spec.requests_required().map_err(PreviewError::NoRequests)?.capacity;
    Ok(Assumed {
        bounds: spec.bounds,
        ready,
        launch_ms: host.clone.median_ms(),
        request_ms: host.service.mean_s() * 1e3,
        cpu_ms: host.cpu_per_request.as_secs_f64() * 1e3,
        instance_rps: capacity.requests_per_second,
    })
}
