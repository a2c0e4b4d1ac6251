//! The objects of a run: stored before its load begins, removed after its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use workload::{KeyIndex, ObjectOperation, ObjectSource, Objects, Operation, Operations};

use crate::client::Client;
use crate::interrupt::Interrupt;
use crate::outcome::Failure;

/// The most requests of these that are in flight at a time.
const IN_FLIGHT: usize = 16;
/// How often a request is tried, with a pause that doubles from 100 ms: for 13 s in all, within
/// which a service that still starts is there.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Half of the load's first rate: more would scale the service out before the load begins, and once
/// more after it has come back.
const SHARE: f64 = 0.5;
/// Requests per second, at least and at most, whatever the load's rate is.
const RATE: std::ops::RangeInclusive<f64> = 10.0..=1_000.0;

/// The objects could not be stored or removed.
#[derive(Debug, thiserror::Error)]
#[error(
    "object {key} of the run could not be {done} ({failure}, {ATTEMPTS} times): is the service up? \
     Try `curl -i` on its address"
)]
pub struct ObjectsError {
    key: u32,
    done: &'static str,
    failure: Failure,
}

/// The objects of one run, stored and removed at a share of the rate with which its load begins:
/// the fleet is left as small as the beginning of the load needs it.
#[derive(Debug)]
pub(crate) struct StoredObjects {
    /// `None` where the operations are not about objects: then there is nothing to store.
    objects: Option<Objects>,
    /// The number of keys, counted from the first, that may have an object.
    stored: u32,
    /// The time from one request to the next.
    apart: Duration,
}

impl StoredObjects {
    /// No object yet, for the operations of a load that begins with `load_rps` requests per second.
    pub(crate) fn new(operations: &Operations, load_rps: f64) -> Self {
        let objects = match operations {
            Operations::Objects(objects) => Some(*objects),
            Operations::Http(_) => None,
        };
        let rate = (SHARE * load_rps).clamp(*RATE.start(), *RATE.end());
        Self { objects, stored: 0, apart: Duration::from_secs_f64(1.0 / rate) }
    }

    /// How long storing or removing all of them takes when nothing is tried twice; `None` when there
    /// is nothing to store.
    pub(crate) fn expected(&self) -> Option<Duration> {
        self.objects.map(|objects| self.apart * objects.count)
    }

    /// Stores an object under every key, with sizes that follow from `seed`. False when an interrupt
    /// came first: some are there, and are to be removed.
    pub(crate) async fn store(
        &mut self,
        client: &Arc<Client>,
        seed: u64,
        interrupt: &mut Interrupt,
    ) -> Result<bool, ObjectsError> {
        let Self { objects: Some(objects), stored, apart } = self else { return Ok(true) };
        let mut sizes = ObjectSource::new(objects, seed);
        let puts = (0..objects.count).map(|k| {
            *stored = k + 1;
            ObjectOperation::Put { key: KeyIndex(k), bytes: sizes.size() }
        });
        let all = tokio::select! {
            all = each(client, puts, *apart, "stored") => all,
            () = interrupt.requested() => return Ok(false),
        };
        all.map(|()| true)
    }

    /// Removes those that were stored.
    pub(crate) async fn remove(&self, client: &Arc<Client>) -> Result<(), ObjectsError> {
        let deletes = (0..self.stored).map(|k| ObjectOperation::Delete(KeyIndex(k)));
        each(client, deletes, self.apart, "removed").await
    }
}

/// Carries out operations at a bounded rate; the first that fails for good ends it. `done` is what
/// is then said not to have been done.
async fn each(
    client: &Arc<Client>,
    operations: impl Iterator<Item = ObjectOperation>,
    apart: Duration,
    done: &'static str,
) -> Result<(), ObjectsError> {
    let mut turns = tokio::time::interval(apart);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    for operation in operations {
        turns.tick().await;
        if tasks.len() >= IN_FLIGHT
            && let Some(task) = tasks.join_next().await
        {
            ended(task)?;
        }
        tasks.spawn(persist(Arc::clone(client), operation, done));
    }
    while let Some(task) = tasks.join_next().await {
        ended(task)?;
    }
    Ok(())
}

fn ended(task: Result<Result<(), ObjectsError>, JoinError>) -> Result<(), ObjectsError> {
    // Nobody cancels these tasks, so one that did not end has panicked.
    task.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn persist(
    client: Arc<Client>,
    operation: ObjectOperation,
    done: &'static str,
) -> Result<(), ObjectsError> {
    let request = Operation::Object(operation);
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        match client.carry_out(&request, Instant::now() + TIMEOUT).await.result {
            Ok(()) => break,
            Err(failure) if attempt == ATTEMPTS => {
                return Err(ObjectsError { key: operation.key().0, done, failure });
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Ok(())
}
