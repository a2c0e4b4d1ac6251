//! Holds a service at a fixed number of instances, and times what the scaler does for it.

use std::time::Duration;

use model::action::ActionKind;
use model::bounds::Bounds;
use model::names::ServiceName;
use model::status::ServiceStatus;
use model::tick::Tick;
use run::calibration::{HostFigures, Times};
use scaler_client::{Scaler, ScalerError, Setting};
use tokio::time::Instant;

use crate::error::Error;
use crate::follow::of;
use crate::interrupt::Interrupt;

/// How often the scaler is asked whether the fleet is there.
const LOOK: Duration = Duration::from_millis(100);
/// The fleet is there within this, or something is wrong: a draining instance may take 30 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service whose bounds are set, until [`Self::restore`].
#[derive(Debug)]
pub(super) struct Fleet {
    scaler: Scaler,
    service: ServiceName,
    /// The bounds that an operator had set; `None` where those of the service's file held.
    before: Option<Bounds>,
    /// The objective of the service's requests.
    objective: Duration,
    interrupt: Interrupt,
    /// The number to go on after, of who is asked: the scaler, or the console.
    next: u64,
    times: ActionTimes,
}

/// How long actions took, from planned to finished, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct ActionTimes {
    clone: Vec<f64>,
    drain: Vec<f64>,
    stop: Vec<f64>,
    failed: u64,
}

impl Fleet {
    /// The service as it is: nothing is changed yet.
    pub(super) async fn find(
        scaler: Scaler,
        service: &str,
        interrupt: Interrupt,
    ) -> Result<Self, Error> {
        let status = scaler.service(service).await?;
        Error::where_held(&status)?;
        let ServiceStatus { name, set, objective_ms, .. } = status;
        let (_, next) = scaler.newest_ticks(&of(&name), 1).await?;
        Ok(Self {
            scaler,
            service: name,
            before: set.bounds,
            objective: Duration::from_millis(objective_ms),
            interrupt,
            next,
            times: ActionTimes::default(),
        })
    }

    /// The objective of the service's requests.
    pub(super) fn objective(&self) -> Duration {
        self.objective
    }

    /// Lets the fleet grow up to `instances`.
    pub(super) async fn allow(&self, instances: u32) -> Result<(), Error> {
        Ok(self.set(Some(Bounds::new(1, instances)?)).await?)
    }

    /// Sets the fleet to `instances`, and waits until they are ready and no other is there.
    pub(super) async fn hold(&mut self, instances: u32) -> Result<(), Error> {
        let bounds = Bounds::new(instances, instances)?;
        self.set(Some(bounds)).await?;
        let begun = Instant::now();
        loop {
            let pause = tokio::time::sleep(LOOK);
            tokio::select! {
                () = pause => {}
                () = self.interrupt.requested() => return Err(Error::Interrupted),
            }
            // A scaler that does not answer may be restarting: it is asked again.
            let seen = self.scaler.service(self.service.as_str()).await;
            if seen.as_ref().is_ok_and(|status| is_settled(status, instances)) {
                break;
            }
            if begun.elapsed() > PATIENCE {
                let ready = seen?.phases.ready;
                return Err(Error::Fleet { wanted: instances, ready });
            }
        }
        Ok(self.catch_up().await?)
    }

    /// Gives the service its bounds back.
    pub(super) async fn restore(&self) -> Result<(), Error> {
        self.set(self.before).await.map_err(|source| Error::Restore {
            commands: format!("\n  {}", self.scaler.command(&self.setting(self.before))),
            source,
        })
    }

    async fn set(&self, bounds: Option<Bounds>) -> Result<(), ScalerError> {
        let setting = self.setting(bounds);
        self.scaler.patiently(async |scaler| scaler.set(&setting).await).await
    }

    fn setting(&self, bounds: Option<Bounds>) -> Setting<'_> {
        Setting::Bounds(self.service.as_str(), bounds)
    }

    /// What was timed so far.
    pub(super) fn times(&self) -> &ActionTimes {
        &self.times
    }

    async fn catch_up(&mut self) -> Result<(), ScalerError> {
        let (ticks, next) = self.scaler.ticks(&of(&self.service), self.next).await?;
        self.next = next;
        ticks.iter().for_each(|tick| self.times.tick(tick));
        Ok(())
    }
}

fn is_settled(status: &ServiceStatus, instances: u32) -> bool {
    let phases = status.phases;
    let others = phases.starting + phases.draining + phases.failed;
    phases.ready == instances && others == 0
}

impl ActionTimes {
    /// The times as the host's figures.
    pub(super) fn figures(&self) -> HostFigures {
        let Self { clone, drain, stop, failed } = self.clone();
        HostFigures {
            clone: Times::of(clone),
            drain: Times::of(drain),
            stop: Times::of(stop),
            failed_actions: failed,
            ..HostFigures::default()
        }
    }

    fn tick(&mut self, tick: &Tick) {
        for done in &tick.done {
            let ms = done.finished_at.since(done.planned_at).as_secs_f64() * 1e3;
            match (&done.error, done.kind) {
                (Some(_), _) => self.failed += 1,
                (None, ActionKind::Clone) => self.clone.push(ms),
                (None, ActionKind::Drain) => self.drain.push(ms),
                (None, ActionKind::Stop) => self.stop.push(ms),
                (None, ActionKind::Admit | ActionKind::Kill) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_timed_from_plan_to_end_and_failed_ones_counted() {
        let done = |action: &str, took: u64, error: &str| {
            format!(
                r#"{{"action":"{action}","instance":"bw-o-3-a","slot":3,"planned_at_ms":1000,
                    "finished_at_ms":{},"error":{error}}}"#,
                1_000 + took
            )
        };
        let done = [
            done("clone", 40, "null"),
            done("clone", 9_000, r#""no""#),
            done("drain", 3, "null"),
            done("stop", 50, "null"),
            done("admit", 5, "null"),
        ];
        let json = format!(
            r#"{{"sequence":1,"at_ms":2000,"service":"o",
                "observation":{{"offered_rps":null,"served_rps":null,"rejected_rps":null,
                  "queued":null,"in_flight":null,"cpu_cores":null,
                  "phases":{{"starting":0,"ready":1,"draining":0,"failed":0}}}},
                "decision":{{"kind":"target","ready":2,"reasons":["OfferedLoad"]}},
                "plan":[],"blocked":[],"done":[{}]}}"#,
            done.join(",")
        );
        let mut times = ActionTimes::default();
        times.tick(&serde_json::from_str(&json).unwrap());
        let figures = times.figures();
        let medians = [figures.clone, figures.drain, figures.stop].map(|t| (t.count, t.ms.p50));
        assert_eq!(medians, [(1, Some(40.0)), (1, Some(3.0)), (1, Some(50.0))]);
        assert_eq!(figures.failed_actions, 1);
    }
}
