//! Offers a load: the thread of the requests, and the one that tells it the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::sync::{oneshot, watch};
use workload::{OfferedLoad, Scenario};

use crate::alarms::Alarms;
use crate::client::Client;
use crate::dispatcher::Dispatcher;
use crate::error::Error;
use crate::measurements::Measurements;
use crate::threads;

/// The threads have this long to get ready before the first request can be due.
pub(crate) const LEAD: Duration = Duration::from_millis(100);

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

impl RunningLoad {
    /// Offers nothing more; requests under way are still awaited.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the last request has ended. It can be waited for again after a cancellation.
    pub(crate) async fn end(&mut self) -> Result<LoadEnd, Error> {
        (&mut self.ended).await.map_err(|_| Error::BrokeDown)
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
    client: &Arc<Client>,
    measurements: &Arc<Measurements>,
) -> Result<RunningLoad, Error> {
    let (stop, stopped) = watch::channel(false);
    let (sender, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    let (scenario, offered) = (scenario.clone(), offered.clone());
    let (client, measurements) = (Arc::clone(client), Arc::clone(measurements));
    let work = move || {
        let before = cpu_time();
        let dispatcher = Dispatcher { client, measurements, start, timeout: scenario.timeout };
        let whole = match offered {
            OfferedLoad::Open(open) => {
                let arrivals = workload::arrivals(&scenario.operations, scenario.seed, open);
                dispatcher.offer_open(&runtime, arrivals, scenario.in_flight, stopped)
            }
            OfferedLoad::Closed(stages) => Alarms::start().is_ok_and(|alarms| {
                let threads = threads::run(dispatcher, &scenario, &stages, &alarms, &stopped);
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
    std::thread::Builder::new().name("requests".to_owned()).spawn(work).map_err(Error::Thread)?;
    Ok(RunningLoad { stop, ended })
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
