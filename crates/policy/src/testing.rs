//! What the tests of this crate share.

use std::time::Duration;

use model::names::{InstanceName, ServiceName, Slot};
use model::service::{Capacity, Replacement, ServiceSpec};
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};

use crate::fleet::{ContainerPresence, InstanceObservation, RotationState, SilentCheck};
use crate::input::{Demand, PolicyInput};
use crate::load::OfferedLoad;
use crate::plan::PlanContext;

/// A service like the object store: 50 requests/s an instance, target 80%, 1 to 10 instances,
/// patience of 10 s.
pub(crate) fn store() -> ServiceSpec {
    let text = r#"
        name = "store"
        image = "store"
        route = { path_prefix = "/" }
        instance = { port = 8000, health_path = "/healthz", memory_mib = 64, cpus = 1.0, processes = 64 }
        capacity = { requests_per_second = 50, concurrency = 8 }
        bounds = { min = 1, max = 10 }
        policy = { kind = "target_tracking", target_percent = 80 }
        scale_in = { patience_ms = 10_000, drain_timeout_ms = 30_000 }
    "#;
    config_file::from_toml("store.toml", text).unwrap()
}

/// The moment `n` seconds after a fixed start.
pub(crate) fn seconds(n: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + n * 1000)
}

/// The name of [`store`].
pub(crate) fn store_name() -> ServiceName {
    store().name
}

/// Slots by their numbers.
pub(crate) fn slots(numbers: std::ops::RangeInclusive<u32>) -> impl Iterator<Item = Slot> {
    numbers.map(|number| Slot::try_from(number).unwrap())
}

/// The version of every [`observation`].
pub(crate) const VERSION: Version = Version::new(1);

/// This version, deployed at second 0.
pub(crate) fn wanted(version: Version) -> Wanted {
    Wanted { version, deployed_at: seconds(0) }
}

/// An idle instance of the store in `slot`, with nothing under way.
pub(crate) fn observation(
    slot: u32,
    container: ContainerPresence,
    rotation: RotationState,
) -> InstanceObservation {
    InstanceObservation {
        name: InstanceName::new(&store_name(), Slot::try_from(slot).unwrap(), seconds(0)),
        container,
        rotation,
        in_flight: Some(0),
        drained: false,
        version: Some(VERSION),
        under_way: None,
        silent: None,
        released: false,
    }
}

/// An instance that was marked down since its checks get no answer, and that does nothing.
pub(crate) fn silent(observed: InstanceObservation) -> InstanceObservation {
    let check = SilentCheck { is_down: true, answered: 7, cpu_time: Duration::from_secs(1) };
    InstanceObservation { silent: Some(check), ..observed }
}

/// What a plan for this service must know where nothing is in its way and the host takes four launches at once.
pub(crate) fn context<'a>(
    service: &'a ServiceName,
    rollout: &'a Rollout,
    free_slots: &'a [Slot],
) -> PlanContext<'a> {
    PlanContext {
        service,
        rollout,
        free_slots,
        launches_left: 4,
        fits: 100,
        launches_back_off: false,
        trial_backs_off: false,
        owes_release: false,
        backing_off: &[],
        drain_timeout: Duration::from_secs(30),
        replacement: Replacement::Surge,
    }
}

/// What is known of an idle [`store`] with one ready instance, at the start.
pub(crate) fn input() -> PolicyInput {
    PolicyInput {
        now: seconds(0),
        demand: Some(requests(OfferedLoad::default())),
        served_rps: Some(0.0),
        in_flight: Some(0),
        queued: Some(0),
        cpu_cores: Some(0.0),
        host_cpu: None,
        ready: 1,
        starting: 0,
        current: 1,
        changed_at: None,
        cpus: 1.0,
        start_up: None,
        bounds: store().bounds,
    }
}

/// The same, at this mean rate of arrivals.
pub(crate) fn offered(mean_rps: f64) -> PolicyInput {
    let load = OfferedLoad { mean_rps, burst_rps: 0.0, queue_rps: 0.0 };
    with_load(Some(load))
}

/// The same, with this load offered, or with one that is not known.
pub(crate) fn with_load(offered: Option<OfferedLoad>) -> PolicyInput {
    PolicyInput { demand: offered.map(requests), ..input() }
}

/// The requests that a [`store`] is asked for.
fn requests(offered: OfferedLoad) -> Demand {
    let capacity = Capacity { requests_per_second: Some(50.0), concurrency: 8, burst: 0 };
    Demand::Requests { offered, capacity }
}
