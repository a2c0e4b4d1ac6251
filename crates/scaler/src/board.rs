//! What the loop and the API share: the record of ticks, the latest state of each service, and
//! what an operator set.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use policy::bounds::Bounds;
use policy::names::ServiceName;
use policy::spec::ServiceSpec;
use policy::status::{HostStatus, ServiceStatus};
use policy::tick::Tick;

use crate::journal::Journal;
use crate::overrides::Overrides;

/// The record of ticks, below the state directory.
const JOURNAL: &str = "ticks.jsonl";

/// What an operator set, below the state directory.
const OVERRIDES: &str = "overrides.json";

/// Written by the loop and read by the API; bounds go the other way.
#[derive(Debug)]
pub(crate) struct Board {
    journal: Mutex<Journal>,
    overrides: Mutex<Overrides>,
    statuses: Mutex<BTreeMap<ServiceName, ServiceStatus>>,
}

impl Board {
    /// Opens what earlier processes left in the state directory.
    ///
    /// # Errors
    /// A file there cannot be read.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let named = |file: &'static str| {
            move |error: io::Error| {
                let path = state.join(file);
                let text = format!("{}: {error}; mend it or move it away", path.display());
                io::Error::new(error.kind(), text)
            }
        };
        let journal = Journal::open(&state.join(JOURNAL)).map_err(named(JOURNAL))?;
        let overrides = Overrides::open(&state.join(OVERRIDES)).map_err(named(OVERRIDES))?;
        Ok(Self {
            journal: Mutex::new(journal),
            overrides: Mutex::new(overrides),
            statuses: Mutex::default(),
        })
    }

    /// The bounds in force for a service: those that were set, or its file's.
    pub(crate) fn bounds(&self, spec: &ServiceSpec) -> Bounds {
        lock(&self.overrides).bounds(&spec.name).unwrap_or(spec.bounds)
    }

    /// Sets the bounds of a service. They hold from the next turn on, and after a restart.
    ///
    /// # Errors
    /// They could not be written; those from before go on to hold.
    pub(crate) fn set_bounds(&self, service: &ServiceName, bounds: Bounds) -> io::Result<()> {
        lock(&self.overrides).set_bounds(service, bounds)?;
        self.show_bounds(service, bounds);
        Ok(())
    }

    /// Goes back to the bounds of a service's file.
    ///
    /// # Errors
    /// It could not be written; those that were set go on to hold.
    pub(crate) fn clear_bounds(&self, spec: &ServiceSpec) -> io::Result<()> {
        lock(&self.overrides).clear_bounds(&spec.name)?;
        self.show_bounds(&spec.name, spec.bounds);
        Ok(())
    }

    fn show_bounds(&self, service: &ServiceName, bounds: Bounds) {
        if let Some(status) = lock(&self.statuses).get_mut(service) {
            status.bounds = bounds;
        }
    }

    /// Shows the state of a service after a turn, and keeps the turn's tick if it is worth it.
    pub(crate) fn show(&self, status: ServiceStatus) {
        if let Some(tick) = &status.tick
            && let Err(error) = lock(&self.journal).offer(tick.clone())
        {
            tracing::error!(%error, "a tick is kept in memory only: check the state directory's disk");
        }
        lock(&self.statuses).insert(status.name.clone(), status);
    }

    /// All services.
    pub(crate) fn host_status(&self) -> HostStatus {
        HostStatus { services: lock(&self.statuses).values().cloned().collect() }
    }

    /// One service.
    pub(crate) fn service_status(&self, service: &ServiceName) -> Option<ServiceStatus> {
        lock(&self.statuses).get(service).cloned()
    }

    /// At most `limit` kept ticks with a sequence number above `since`, oldest first.
    pub(crate) fn ticks(&self, since: u64, limit: usize) -> Vec<Tick> {
        lock(&self.journal).since(since, limit)
    }
}

/// What these locks guard is whole at any moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
