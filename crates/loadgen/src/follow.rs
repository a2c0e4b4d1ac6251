//! Follows one service through the scaler's API while a run lasts.

use std::sync::Arc;
use std::time::Duration;

use model::bounds::Bounds;
use model::names::ServiceName;
use model::policies::PolicySpec;
use model::status::{Membership, ServiceStatus};
use model::tick::Tick;
use model::time::Timestamp;
use run::FleetHistory;
use run::summary::Scaling;
use scaler_client::{Scaler, ScalerError};

use crate::measurements::Measurements;
use crate::serving::PlannedInstances;

/// How often the scaler is asked: far from anything that it would notice.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// A service under observation.
pub(crate) struct Follower {
    scaler: Scaler,
    service: ServiceName,
    policy: PolicySpec,
    bounds: Bounds,
    membership: Membership,
    objective: Duration,
    start: Timestamp,
    since: u64,
    measurements: Arc<Measurements>,
    ticks: Vec<Tick>,
    history: FleetHistory,
    planned: PlannedInstances,
}

/// What was seen of a service.
pub(crate) struct Followed {
    /// The service's kept ticks since the start.
    pub(crate) ticks: Vec<Tick>,
    /// Its fleet.
    pub(crate) history: FleetHistory,
    /// What the scaler did.
    pub(crate) scaling: Scaling,
    /// The policy in force when the load began.
    pub(crate) policy: PolicySpec,
    /// The bounds in force then.
    pub(crate) bounds: Bounds,
    /// How HAProxy learnt of members then.
    pub(crate) membership: Membership,
    /// The service's objective then.
    pub(crate) objective: Duration,
}

/// A service right before a load.
pub(crate) struct Before {
    scaler: Scaler,
    status: ServiceStatus,
    membership: Membership,
    last_sequence: u64,
}

impl Before {
    /// Asks for it.
    pub(crate) async fn look(scaler: Scaler, service: &str) -> Result<Self, ScalerError> {
        let status = scaler.service(service).await?;
        let membership = scaler.membership().await?.membership;
        // The status has the last turn, which need not be a kept one with a sequence number.
        let last_sequence = scaler.ticks_since(0).await?.last().map_or(0, |tick| tick.sequence);
        Ok(Self { scaler, status, membership, last_sequence })
    }
}

impl Follower {
    /// Follows a service from `start` on, the first moment of the load.
    pub(crate) fn new(before: Before, start: Timestamp, measurements: Arc<Measurements>) -> Self {
        let Before { scaler, status, membership, last_sequence } = before;
        let decided = status.tick.as_ref().and_then(Tick::target);
        Self {
            scaler,
            service: status.name,
            policy: status.policy_spec,
            bounds: status.bounds,
            membership,
            objective: Duration::from_millis(status.objective_ms),
            start,
            since: last_sequence,
            measurements,
            ticks: Vec::new(),
            history: FleetHistory::new(start, status.phases, decided),
            planned: PlannedInstances::default(),
        }
    }

    /// Instances ready, as far as is known.
    pub(crate) fn ready(&self) -> Option<u32> {
        self.history.steps().last().map(|step| step.ready)
    }

    /// Takes in what has happened since the last call.
    pub(crate) async fn catch_up(&mut self) -> Result<(), ScalerError> {
        let ticks = self.scaler.ticks_since(self.since).await?;
        let log = self.measurements.serving();
        for tick in ticks {
            self.since = tick.sequence;
            if tick.service == self.service && tick.at >= self.start {
                self.planned.tick(&tick, &log);
                self.history.tick(tick.at, &tick);
                self.ticks.push(tick);
            }
        }
        self.planned.look_up(&log);
        Ok(())
    }

    /// Since when, in seconds after the start, the service has been at rest.
    pub(crate) async fn at_rest_since(&mut self) -> Result<Option<f64>, ScalerError> {
        // The bound may have been changed while the run lasted, or a schedule may have.
        let status = self.scaler.service(self.service.as_str()).await?;
        self.catch_up().await?;
        Ok(self.history.at_rest_since(status.rests_at()))
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Followed {
        let mut scaling = self.history.scaling();
        scaling.plan_to_serving_ms = self.planned.plan_to_serving_ms();
        scaling.never_served = Some(self.planned.never_served());
        let Self { ticks, history, policy, bounds, membership, objective, .. } = self;
        Followed { ticks, history, scaling, policy, bounds, membership, objective }
    }
}
