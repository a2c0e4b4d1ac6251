//! A closed load: threads that each send a request once they have the answer to the one before it.
//!
//! A request is due when its thread sends it. So a service that stalls gets fewer requests, and the
//! time for which its threads had to wait before they could send is in no latency. An open load shows
//! that time.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;
use workload::{Scenario, Stages, ThreadRequests};

use crate::alarms::Alarms;
use crate::dispatcher::Dispatcher;

/// Runs the stages one after the other. When `stop` is set no thread sends anything more, and the
/// requests under way are awaited.
pub(crate) async fn run(
    dispatcher: Dispatcher,
    scenario: &Scenario,
    stages: &Stages,
    alarms: &Alarms,
    stop: &watch::Receiver<bool>,
) {
    let dispatcher = Arc::new(dispatcher);
    for stage in 0..stages.stages.len() {
        let begin = dispatcher.start.max(Instant::now());
        let mut threads = JoinSet::new();
        for own in stages.thread_requests(&scenario.operations, scenario.seed, stage) {
            let dispatcher = Arc::clone(&dispatcher);
            threads.spawn(thread(dispatcher, own, begin, alarms.clone(), stop.clone()));
        }
        while let Some(ended) = threads.join_next().await {
            // Nobody cancels these tasks, so one that did not end has panicked.
            ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        if *stop.borrow() {
            return;
        }
    }
}

async fn thread(
    dispatcher: Arc<Dispatcher>,
    own: ThreadRequests,
    begin: Instant,
    alarms: Alarms,
    mut stop: watch::Receiver<bool>,
) {
    let mut free_since = begin;
    for (delay, operation) in own {
        let planned = free_since + delay;
        tokio::select! {
            biased;
            () = stopped(&mut stop) => return,
            () = alarms.wait_until(planned) => {}
        }
        let now = Instant::now();
        let (due, late) = (now - dispatcher.start, now.saturating_duration_since(planned));
        dispatcher.carry_out(&operation, due, late).await;
        free_since = Instant::now();
    }
}

/// Returns when the load is to end, also because its owner is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
