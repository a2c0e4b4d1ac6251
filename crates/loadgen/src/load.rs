//! Offers a load: the pacing thread, the thread of the requests, and what they measure.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use report::Recorder;
use tokio::sync::{Semaphore, mpsc, oneshot};
use workload::{Arrival, Arrivals};

use crate::client::Client;
use crate::outcome::Outcome;
use crate::pacing::pace;
use crate::serving::{ServingLog, WallMicros};

/// What to offer, and within which bounds.
pub(crate) struct Load {
    pub(crate) arrivals: Arrivals,
    pub(crate) in_flight: NonZeroUsize,
    pub(crate) timeout: Duration,
}

/// What the requests measure while they run.
#[derive(Debug)]
pub(crate) struct Measurements {
    recorder: Mutex<Recorder>,
    serving: Mutex<ServingLog>,
}

/// A load that is being offered.
pub(crate) struct RunningLoad {
    stop: Arc<AtomicBool>,
    /// Sent once the last request has ended; dropped should the thread of the requests break down.
    ended: oneshot::Receiver<LoadEnd>,
}

/// What is known of a load when it is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadEnd {
    /// CPU time of this process in percent of one core; unknown when the system does not tell.
    pub(crate) cpu_percent: Option<f64>,
}

/// The generator could not run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A thread could not be started.
    #[error("the generator's thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// It stopped half-way.
    #[error("the generator's thread broke down: its figures are lost")]
    BrokeDown,
}

impl Measurements {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self { recorder: Mutex::new(recorder), serving: Mutex::default() }
    }

    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn serving(&self) -> MutexGuard<'_, ServingLog> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RunningLoad {
    /// Offers nothing more; requests under way are still awaited.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until the last request has ended. It can be waited for again after a cancellation.
    pub(crate) async fn end(&mut self) -> Result<LoadEnd, LoadError> {
        (&mut self.ended).await.map_err(|_| LoadError::BrokeDown)
    }
}

/// Starts to offer a load; its first moment is `start`.
///
/// All requests share one thread, apart from the one that runs the rest of the program: at 20 us a
/// request it is good for 30,000 requests/s, and nothing else delays it.
pub(crate) fn offer(
    load: Load,
    start: Instant,
    client: Arc<Client>,
    measurements: Arc<Measurements>,
) -> Result<RunningLoad, LoadError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Thread)?;
    let (due, arrivals) = mpsc::channel(load.in_flight.get());
    let pacer = Pacer { arrivals: load.arrivals, start, stop: Arc::clone(&stop), due };
    let (in_flight, timeout) = (load.in_flight, load.timeout);
    let work = move || {
        let before = cpu_time();
        let dropped = Arc::clone(&measurements);
        let Ok(pacing) = std::thread::Builder::new()
            .name("pacing".to_owned())
            .spawn(move || pacer.run(&dropped))
        else {
            return;
        };
        let requests = Requests { client, measurements, start, timeout };
        runtime.block_on(requests.drive(arrivals, in_flight));
        if pacing.join().is_ok() {
            let cpu_percent = cpu_percent(before, cpu_time(), start.elapsed());
            // The receiver is gone only when the run has been given up.
            let _ = sender.send(LoadEnd { cpu_percent });
        }
    };
    std::thread::Builder::new()
        .name("requests".to_owned())
        .spawn(work)
        .map_err(LoadError::Thread)?;
    Ok(RunningLoad { stop, ended })
}

/// The pacing thread's share.
struct Pacer {
    arrivals: Arrivals,
    start: Instant,
    stop: Arc<AtomicBool>,
    due: mpsc::Sender<Arrival>,
}

impl Pacer {
    fn run(self, measurements: &Measurements) {
        let dropped = |arrival: Arrival| measurements.recorder().dropped(arrival.due, 1);
        pace(self.arrivals, self.start, &self.stop, &self.due, dropped);
    }
}

/// What every request needs.
struct Requests {
    client: Arc<Client>,
    measurements: Arc<Measurements>,
    start: Instant,
    timeout: Duration,
}

impl Requests {
    /// Carries out arrivals as they come, until there are no more and the last one has ended.
    async fn drive(self, mut arrivals: mpsc::Receiver<Arrival>, in_flight: NonZeroUsize) {
        let shared = Arc::new(self);
        let permits = Arc::new(Semaphore::new(in_flight.get()));
        while let Some(arrival) = arrivals.recv().await {
            match Arc::clone(&permits).try_acquire_owned() {
                Ok(permit) => {
                    let requests = Arc::clone(&shared);
                    tokio::spawn(async move {
                        requests.carry_out(arrival).await;
                        drop(permit);
                    });
                }
                Err(_) => shared.measurements.recorder().dropped(arrival.due, 1),
            }
        }
        let all = u32::try_from(in_flight.get()).unwrap_or(u32::MAX);
        // It fails only when the semaphore is closed, which nobody does.
        let _ = permits.acquire_many(all).await;
    }

    async fn carry_out(&self, arrival: Arrival) {
        let taken_up = self.start.elapsed();
        let deadline = (self.start + arrival.due + self.timeout).into();
        let answer = self.client.carry_out(arrival.operation, deadline).await;
        let done = self.start.elapsed();
        if let Some(slot) = answer.slot {
            self.measurements.serving().served(slot, WallMicros::now());
        }
        let outcome = Outcome { due: arrival.due, taken_up, done, answer };
        outcome.record(&mut self.measurements.recorder());
    }
}

/// CPU time that this process has used; unknown when the system does not tell.
fn cpu_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(micros).ok().map(Duration::from_micros)
}

fn cpu_percent(
    before: Option<Duration>,
    after: Option<Duration>,
    elapsed: Duration,
) -> Option<f64> {
    let used = after?.checked_sub(before?)?.as_secs_f64();
    (!elapsed.is_zero()).then(|| 100.0 * used / elapsed.as_secs_f64())
}
