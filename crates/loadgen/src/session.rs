//! A run whose objects are in place: its load, the settling after it, and what is written down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use run::{ResultsError, ResultsFolder};
use scaler_client::Scaler;
use tokio::time::{Interval, MissedTickBehavior};
use workload::OfferedLoad;

use crate::client::Client;
use crate::error::Error;
use crate::finished::Finished;
use crate::follow::{self, Before, Follower};
use crate::interrupt::Interrupt;
use crate::load::{self, LEAD, LoadEnd, RunningLoad};
use crate::measurements::Measurements;
use crate::progress::{Length, Progress};
use crate::run_report::{Ending, RunReport};
use crate::scenario_file::LoadedScenario;
use crate::serving::WallMicros;

/// What the stages of a run share.
pub(crate) struct Session<'a> {
    pub(crate) loaded: &'a LoadedScenario,
    pub(crate) interrupt: Interrupt,
    pub(crate) progress: Progress,
    pub(crate) client: Arc<Client>,
    pub(crate) measurements: Arc<Measurements>,
}

/// The load, once it is over.
struct Offered {
    end: LoadEnd,
    /// How long it was offered: shorter than the scenario says when interrupted.
    lasted: Duration,
}

/// The time after the load.
#[derive(Default)]
struct Settled {
    lasted: Duration,
    /// Seconds until the service was back at its lower bound; unknown when it was not.
    back_to_min_s: Option<f64>,
}

impl Session<'_> {
    /// Offers the load, waits until the fleet has settled, and writes the results.
    pub(crate) async fn record(
        &mut self,
        scaler: Option<Scaler>,
        folder: &ResultsFolder,
    ) -> Result<RunReport, Error> {
        let LoadedScenario { scenario, offered: load, .. } = self.loaded;
        let before = match scaler {
            Some(scaler) => Some(Before::look(scaler, &scenario.service).await?),
            None => None,
        };
        let (start, started_at) =
            (Instant::now() + LEAD, WallMicros::now().timestamp().after(LEAD));
        let mut follower =
            before.map(|before| Follower::new(before, started_at, Arc::clone(&self.measurements)));
        let running = load::offer(scenario, load, start, &self.client, &self.measurements)?;
        let offered = self.while_offered(running, start, follower.as_mut()).await?;
        let settled = match follower.as_mut() {
            Some(follower) => self.settle(start, offered.lasted, follower).await,
            None => Settled::default(),
        };
        let lost_scaler = match follower.as_mut() {
            Some(follower) => follower.catch_up().await.err(),
            None => None,
        };
        let finished = Finished {
            name: folder.name(),
            loaded: self.loaded,
            start: started_at,
            offered: offered.lasted,
            settled: settled.lasted,
            back_to_min_s: settled.back_to_min_s,
            interrupted: self.interrupt.is_requested(),
            load_end: offered.end,
            client: &self.client,
            follower: follower.as_ref(),
        };
        let report = self.write(&finished, folder)?;
        lost_scaler.map_or(Ok(report), |error| Err(error.into()))
    }

    /// Waits for the end of the load; an interrupt brings it about.
    async fn while_offered(
        &mut self,
        mut running: RunningLoad,
        start: Instant,
        mut follower: Option<&mut Follower>,
    ) -> Result<Offered, Error> {
        let load = &self.loaded.offered;
        self.progress.stage(
            "load",
            match load {
                OfferedLoad::Open(open) => Length::Time(open.curve.duration()),
                OfferedLoad::Closed(stages) => Length::Requests(stages.requests()),
            },
        );
        let mut turns = turns();
        let mut stopped = None;
        let end = loop {
            tokio::select! {
                end = running.end() => break end?,
                () = self.interrupt.requested(), if stopped.is_none() => {
                    running.stop();
                    stopped = Some(start.elapsed());
                    self.progress.warn("interrupted: waiting for the requests under way");
                }
                _ = turns.tick() => self.look(start.elapsed(), follower.as_deref_mut()).await,
            }
        };
        let whole = load.duration().unwrap_or(end.lasted);
        Ok(Offered { end, lasted: stopped.map_or(whole, |at| at.min(whole)) })
    }

    /// Goes on recording until the service is back at its lower bound, or the time is over.
    async fn settle(
        &mut self,
        start: Instant,
        offered: Duration,
        follower: &mut Follower,
    ) -> Settled {
        let allowed = self.loaded.scenario.settle;
        let load_over = start + offered;
        self.progress.stage("settling", Length::Time(allowed));
        let mut turns = turns();
        let mut back_to_min_s = None;
        while load_over.elapsed() < allowed && !self.interrupt.is_requested() {
            turns.tick().await;
            self.look(load_over.elapsed(), Some(follower)).await;
            match follower.at_rest_since().await {
                Ok(Some(at_s)) => {
                    back_to_min_s = Some((at_s - offered.as_secs_f64()).max(0.0));
                    break;
                }
                Ok(None) => {}
                Err(error) => self.progress.warn(&error.to_string()),
            }
        }
        Settled { lasted: load_over.elapsed(), back_to_min_s }
    }

    /// Catches up with the scaler and shows how far the stage is. A scaler that does not answer
    /// is asked again: it may be restarting, and keeps its ticks.
    async fn look(&mut self, elapsed: Duration, follower: Option<&mut Follower>) {
        let mut ready = None;
        if let Some(follower) = follower {
            if let Err(error) = follower.catch_up().await {
                self.progress.warn(&error.to_string());
            }
            ready = follower.ready();
        }
        let requests = self.measurements.recorder().requests();
        self.progress.update(elapsed, requests, ready);
    }

    fn write(
        &self,
        finished: &Finished,
        folder: &ResultsFolder,
    ) -> Result<RunReport, ResultsError> {
        let (summary, rows) = {
            let recorder = self.measurements.recorder();
            (finished.summary(&recorder), recorder.rows(finished.end_s()))
        };
        let series = finished.series(rows, &summary);
        folder.write(&summary, &series, finished.follower.map_or(&[], |f| &f.ticks))?;
        let ending = if finished.interrupted {
            Ending::Interrupted
        } else if summary.limits.broken().is_empty() {
            Ending::Held
        } else {
            Ending::NotHeld
        };
        Ok(RunReport { summary, folder: folder.path(), ending })
    }
}

fn turns() -> Interval {
    let mut turns = tokio::time::interval(follow::INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}
