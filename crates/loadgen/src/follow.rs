//! Follows one service through the scaler's API while a run lasts.

use std::sync::Arc;
use std::time::Duration;

use model::names::ServiceName;
use model::status::{Membership, ServiceStatus};
use model::tick::Tick;
use model::time::Timestamp;
use run::FleetHistory;
use run::summary::Scaling;
use scaler_client::{Scaler, ScalerError, TickFilter};

use crate::measurements::Measurements;
use crate::serving::PlannedInstances;

/// How often the scaler is asked: far from anything that it would notice.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// A service under observation.
pub(crate) struct Follower {
    /// The service as it was when the load began.
    pub(crate) before: Before,
    start: Timestamp,
    next: u64,
    measurements: Arc<Measurements>,
    /// The service's kept ticks since the start.
    pub(crate) ticks: Vec<Tick>,
    /// Its fleet.
    pub(crate) history: FleetHistory,
    planned: PlannedInstances,
}

/// A service right before a load.
pub(crate) struct Before {
    scaler: Scaler,
    /// What the scaler says of it.
    pub(crate) status: ServiceStatus,
    /// How HAProxy learns of members.
    pub(crate) membership: Membership,
    /// The number to go on after, of who is asked: the scaler, or the console.
    next: u64,
}

/// The ticks of a service.
pub(crate) fn of(service: &ServiceName) -> TickFilter {
    TickFilter { service: Some(service.clone()), ..TickFilter::default() }
}

impl Before {
    /// Asks for it.
    pub(crate) async fn look(scaler: Scaler, service: &str) -> Result<Self, ScalerError> {
        let status = scaler.service(service).await?;
        let membership = scaler.membership().await?.membership;
        // The status has the last turn, which need not be a kept one; and the console has numbers of its own.
        let (_, next) = scaler.newest_ticks(&of(&status.name), 1).await?;
        Ok(Self { scaler, status, membership, next })
    }
}

impl Follower {
    /// Follows a service from `start` on, the first moment of the load.
    pub(crate) fn new(before: Before, start: Timestamp, measurements: Arc<Measurements>) -> Self {
        let decided = before.status.tick.as_ref().and_then(Tick::target);
        Self {
            start,
            next: before.next,
            measurements,
            ticks: Vec::new(),
            history: FleetHistory::new(start, before.status.phases, decided),
            planned: PlannedInstances::default(),
            before,
        }
    }

    /// Instances ready, as far as is known.
    pub(crate) fn ready(&self) -> Option<u32> {
        self.history.steps().last().map(|step| step.ready)
    }

    /// Takes in what has happened since the last call.
    pub(crate) async fn catch_up(&mut self) -> Result<(), ScalerError> {
        let Before { scaler, status, .. } = &self.before;
        let (ticks, next) = scaler.ticks(&of(&status.name), self.next).await?;
        self.next = next;
        let log = self.measurements.serving();
        for tick in ticks {
            if tick.at >= self.start {
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
        let Before { scaler, status, .. } = &self.before;
        let status = scaler.service(status.name.as_str()).await?;
        self.catch_up().await?;
        Ok(self.history.at_rest_since(status.rests_at()))
    }

    /// What the scaler did.
    pub(crate) fn scaling(&self) -> Scaling {
        Scaling {
            plan_to_serving_ms: self.planned.plan_to_serving_ms(),
            never_served: Some(self.planned.never_served()),
            ..self.history.scaling()
        }
    }
}
