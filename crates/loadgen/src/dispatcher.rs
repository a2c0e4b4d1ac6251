//! Carries out the requests of a load as they become due.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use workload::{Arrival, Operation};

use crate::client::Client;
use crate::measurements::Measurements;
use crate::pacing::pace;
use crate::serving::WallMicros;

/// Carries out the requests of a load, and records what came of each.
pub(crate) struct Dispatcher {
    pub(crate) client: Arc<Client>,
    pub(crate) measurements: Arc<Measurements>,
    /// When the load starts.
    pub(crate) start: Instant,
    /// How long a request may take, from the moment at which it is due.
    pub(crate) timeout: Duration,
}

impl Dispatcher {
    /// Carries out arrivals as a thread of their own paces them; `false` when that broke down.
    pub(crate) fn offer_open(
        self,
        runtime: &Runtime,
        arrivals: impl Iterator<Item = Arrival> + Send + 'static,
        in_flight: NonZeroUsize,
        stop: watch::Receiver<bool>,
    ) -> bool {
        let (due, paced) = mpsc::channel(in_flight.get());
        let (start, measurements) = (self.start, Arc::clone(&self.measurements));
        let work = move || {
            let dropped = |arrival: Arrival| measurements.recorder().dropped(arrival.due, 1);
            pace(arrivals, start, &stop, &due, dropped);
        };
        let Ok(pacing) = std::thread::Builder::new().name("pacing".to_owned()).spawn(work) else {
            return false;
        };
        runtime.block_on(self.drive(paced, in_flight));
        pacing.join().is_ok()
    }

    /// Carries out arrivals as they come, until there are no more and the last one has ended.
    async fn drive(self, mut arrivals: mpsc::Receiver<Arrival>, in_flight: NonZeroUsize) {
        let shared = Arc::new(self);
        let permits = Arc::new(Semaphore::new(in_flight.get()));
        while let Some(Arrival { due, operation }) = arrivals.recv().await {
            match Arc::clone(&permits).try_acquire_owned() {
                Ok(permit) => {
                    let dispatcher = Arc::clone(&shared);
                    tokio::spawn(async move {
                        let late = dispatcher.start.elapsed().saturating_sub(due);
                        dispatcher.carry_out(&operation, due, late).await;
                        drop(permit);
                    });
                }
                Err(_) => shared.measurements.recorder().dropped(due, 1),
            }
        }
        let all = u32::try_from(in_flight.get()).unwrap_or(u32::MAX);
        // It fails only when the semaphore is closed, and it never is.
        let _ = permits.acquire_many(all).await;
    }

    /// Carries out a request that is due at `due` from the start, and taken up `late` by so much.
    pub(crate) async fn carry_out(&self, operation: &Operation, due: Duration, late: Duration) {
        let deadline = (self.start + due + self.timeout).into();
        let answer = self.client.carry_out(operation, deadline).await;
        let done = self.start.elapsed();
        if let Some(slot) = answer.slot {
            self.measurements.serving().served(slot, WallMicros::now());
        }
        let mut recorder = self.measurements.recorder();
        recorder.taken_up(due, due + late);
        answer.record(&mut recorder, due, done);
    }
}
