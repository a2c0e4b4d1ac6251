//! Offers a load: the thread of the requests, the one that tells it the time, and what they measure.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use run::Recorder;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use workload::{Arrival, Arrivals, OfferedLoad, Operation, Scenario};

use crate::alarms::Alarms;
use crate::client::Client;
use crate::outcome::Outcome;
use crate::pacing::pace;
use crate::serving::{ServingLog, WallMicros};
use crate::threads;

/// What the requests measure while they run.
#[derive(Debug)]
pub(crate) struct Measurements {
    recorder: Mutex<Recorder>,
    serving: Mutex<ServingLog>,
}

/// A load that is being offered.
pub(crate) struct RunningLoad {
    stop: watch::Sender<bool>,
    /// Sent once the last request has ended; dropped should the thread of the requests break down.
    ended: oneshot::Receiver<LoadEnd>,
}

/// What is known of a load when it is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadEnd {
    /// CPU time of this process in percent of one core; unknown when the system does not tell.
    pub(crate) cpu_percent: Option<f64>,
    /// From the start of the load to the end of its last request.
    pub(crate) lasted: Duration,
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
        self.stop.send_replace(true);
    }

    /// Waits until the last request has ended. It can be waited for again after a cancellation.
    pub(crate) async fn end(&mut self) -> Result<LoadEnd, LoadError> {
        (&mut self.ended).await.map_err(|_| LoadError::BrokeDown)
    }
}

/// Starts to offer the load of a scenario, `offered`; its first moment is `start`.
///
/// All requests share one thread, apart from the one that runs the rest of the program: at 20 us a
/// request it is good for 30,000 requests/s, and nothing else delays it.
pub(crate) fn offer(
    scenario: &Scenario,
    offered: &OfferedLoad,
    start: Instant,
    client: Arc<Client>,
    measurements: Arc<Measurements>,
) -> Result<RunningLoad, LoadError> {
    let (stop, stopped) = watch::channel(false);
    let (sender, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Thread)?;
    let (scenario, offered) = (scenario.clone(), offered.clone());
    let work = move || {
        let before = cpu_time();
        let requests = Requests { client, measurements, start, timeout: scenario.timeout };
        let whole = match offered {
            OfferedLoad::Open(open) => {
                let arrivals = Arrivals::new(&scenario, open);
                requests.offer_open(&runtime, arrivals, scenario.in_flight, stopped)
            }
            OfferedLoad::Closed(stages) => Alarms::start().is_ok_and(|alarms| {
                let threads = threads::run(requests, &scenario, &stages, &alarms, &stopped);
                runtime.block_on(threads);
                true
            }),
        };
        if whole {
            let lasted = start.elapsed();
            let cpu_percent = cpu_percent(before, cpu_time(), lasted);
            // The receiver is gone only when the run has been given up.
            let _ = sender.send(LoadEnd { cpu_percent, lasted });
        }
    };
    std::thread::Builder::new()
        .name("requests".to_owned())
        .spawn(work)
        .map_err(LoadError::Thread)?;
    Ok(RunningLoad { stop, ended })
}

/// What every request needs.
pub(crate) struct Requests {
    client: Arc<Client>,
    measurements: Arc<Measurements>,
    start: Instant,
    timeout: Duration,
}

impl Requests {
    /// When the load starts.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// Carries out arrivals as a thread of their own paces them; `false` when that broke down.
    fn offer_open(
        self,
        runtime: &Runtime,
        arrivals: Arrivals,
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
                    let requests = Arc::clone(&shared);
                    tokio::spawn(async move {
                        let late = requests.start.elapsed().saturating_sub(due);
                        requests.carry_out(operation, due, late).await;
                        drop(permit);
                    });
                }
                Err(_) => shared.measurements.recorder().dropped(due, 1),
            }
        }
        let all = u32::try_from(in_flight.get()).unwrap_or(u32::MAX);
        // It fails only when the semaphore is closed, which nobody does.
        let _ = permits.acquire_many(all).await;
    }

    /// Carries out a request that is due at `due` from the start, and taken up `late` by so much.
    pub(crate) async fn carry_out(&self, operation: Operation, due: Duration, late: Duration) {
        let deadline = (self.start + due + self.timeout).into();
        let answer = self.client.carry_out(operation, deadline).await;
        let done = self.start.elapsed();
        if let Some(slot) = answer.slot {
            self.measurements.serving().served(slot, WallMicros::now());
        }
        Outcome { due, late, done, answer }.record(&mut self.measurements.recorder());
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
