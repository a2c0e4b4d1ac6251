//! One calibration under way: its stages, in order, and what they have measured so far.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use command_line::terminal;
use model::bounds::Bounds;
use model::service::ServiceSpec;
use run::Calibration;
use run::calibration::{HostFigures, LimitedBy, OBJECTIVE_OUTSIDE_PERCENT, Point, Times, Verdict};
use run::summary::{Percentiles, millis};
use workload::Scenario;

use super::CalibrateOptions;
use super::fleet::Fleet;
use super::search::{Search, Step};
use super::text;
use super::trial::{self, Bench};
use crate::client::Client;
use crate::driver::objects::RunIdentity;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::open_files;
use crate::serving::WallMicros;
use crate::stored_objects::StoredObjects;

/// Of the rate of the largest fleet, for the time of a request: a fleet that scales is loaded about
/// so, and hardly any request waits. One that finds an idle service takes twice as long (1.05 ms
/// where 0.46 ms is the median of a load), for the cores sleep between two of them.
const USUAL_SHARE: f64 = 0.6;
/// The first search begins at what the service's file says, and the strides suit a rough guess.
pub(super) const FIRST_STRIDE: f64 = 0.08;
/// The others begin at what the fleet before them showed.
pub(super) const NEXT_STRIDE: f64 = 0.03;
/// Launches to time at least: enough for a median, and a tail that is not one accident alone.
const LAUNCHES: u32 = 35;
/// Launches double from 1 at a time within a round, as a fleet grows under a rising load; more than
/// this many instances add nothing new, for a host launches 4 at a time.
const LARGEST_ROUND: u32 = 8;

/// A calibration under way.
pub(super) struct Session {
    spec: ServiceSpec,
    /// What one instance serves, as the service's file says: the first rate that is tried.
    rate_of_one: f64,
    fleet: Fleet,
    bench: Bench,
    calibration: Calibration,
    /// A request to a fleet that is loaded as usual.
    service: Times,
    objects: StoredObjects,
}

impl Session {
    /// Gets everything ready; nothing is changed yet.
    pub(super) async fn begin(
        options: CalibrateOptions,
        interrupt: Interrupt,
    ) -> Result<Self, Error> {
        let CalibrateOptions { scenario, spec, instances, target, scaler, .. } = options;
        let requests = scenario.scenario;
        let capacity = spec.requests_from_outside()?.capacity;
        let rate_of_one =
            capacity.rate_required(&spec.name, "the first search of a calibration")?;
        open_files::make_room(requests.in_flight.get())?;
        let service = spec.name.as_str();
        let fleet = Fleet::find(scaler.clone(), service, interrupt.clone()).await?;
        let started = WallMicros::now();
        let name = format!("calibration-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
        let identity = RunIdentity::new(requests.seed, started);
        let calibration = Calibration {
            service: spec.name.to_string(),
            started_at_ms: started.timestamp().as_millis(),
            finished_at_ms: 0,
            complete: false,
            instances,
            conditions: conditions(&requests, fleet.objective()),
            points: Vec::new(),
            host: HostFigures::default(),
            trials: Vec::new(),
        };
        let objects = StoredObjects::new(&requests.operations, rate_of_one);
        let bench = Bench {
            client: Arc::new(Client::new(target, &name, identity)),
            burst: capacity.burst,
            objective: fleet.objective(),
            requests,
            scaler,
            interrupt,
            cpu: trial::CpuTime::default(),
            count: 0,
        };
        Ok(Self {
            spec,
            rate_of_one,
            fleet,
            bench,
            calibration,
            service: Times::default(),
            objects,
        })
    }

    /// All of it.
    pub(super) async fn measure(&mut self) -> Result<(), Error> {
        let sizes = sizes(self.calibration.instances);
        terminal::note(text::announcement(&self.calibration.service, &sizes));
        // A host without slots for the largest fleet says so now, not minutes later.
        self.fleet.allow(self.largest()).await?;
        self.fleet.hold(1).await?;
        self.store().await?;
        for instances in sizes {
            self.fleet.hold(instances).await?;
            self.capacity(instances).await?;
        }
        self.usual_service().await?;
        self.launches().await
    }

    /// Gives the service its bounds back and removes the objects, also after a failure.
    pub(super) async fn clean_up(&mut self) -> Result<(), Error> {
        let restored = self.fleet.restore().await;
        let removed = self.objects.remove(&self.bench.client).await;
        restored.and(removed.map_err(Into::into))
    }

    /// What was measured. It is complete when `all` of it was, and the curve begins at 1.
    pub(super) fn finish(self, all: bool) -> Calibration {
        let mut calibration = self.calibration;
        calibration.finished_at_ms = WallMicros::now().timestamp().as_millis();
        calibration.host = HostFigures {
            service: self.service,
            cpu_ms_per_request: self.bench.cpu.ms_per_request(),
            ..self.fleet.times().figures()
        };
        calibration.complete = all && calibration.rates().is_some();
        calibration
    }

    async fn store(&mut self) -> Result<(), Error> {
        let Bench { client, requests, interrupt, .. } = &mut self.bench;
        let stored = self.objects.store(client, requests.seed, interrupt).await?;
        if stored { Ok(()) } else { Err(Error::Interrupted) }
    }

    /// How long a request takes in the largest fleet, which is there.
    async fn usual_service(&mut self) -> Result<(), Error> {
        let last = self.calibration.points.last();
        let Some((instances, met)) = last.and_then(|p| Some((p.instances, p.met_rps?))) else {
            return Ok(());
        };
        let trial = self.bench.trial(instances, USUAL_SHARE * met).await?;
        terminal::note(text::trial(&trial));
        if trial.verdict == Verdict::Met {
            let ms = Percentiles { p50: trial.latency_ms.p50, p99: trial.latency_ms.p99 };
            self.service = Times { count: trial.requests.ok, ms };
        }
        self.calibration.trials.push(trial);
        Ok(())
    }

    /// Searches the highest rate of a fleet that is there.
    async fn capacity(&mut self, instances: u32) -> Result<(), Error> {
        let last = self.calibration.points.last();
        let each = last.and_then(|point| Some(point.met_rps? / f64::from(point.instances)));
        let (each, stride) = each.map_or((self.rate_of_one, FIRST_STRIDE), |e| (e, NEXT_STRIDE));
        let mut search = Search::new(each * f64::from(instances), stride);
        let found = loop {
            match search.next() {
                Step::Found(found) => break found,
                Step::Try(rate_rps) => {
                    let trial = self.bench.trial(instances, rate_rps).await?;
                    terminal::note(text::trial(&trial));
                    search.heard(trial.verdict);
                    self.calibration.trials.push(trial);
                }
            }
        };
        let point = Point {
            instances,
            met_rps: found.met,
            missed_rps: found.missed,
            limited_by: found.limited_by,
        };
        terminal::note(text::point(&point));
        self.calibration.points.push(point);
        // Without the rate of one instance there is no curve, whatever the other fleets serve.
        match found.limited_by {
            LimitedBy::Generator if instances == 1 => Err(Error::Generator),
            LimitedBy::Trials if instances == 1 => Err(Error::NotFound(self.rate_of_one)),
            _ => Ok(()),
        }
    }

    /// Lets the fleet grow from 1 and shrink again, for the times of the actions.
    async fn launches(&mut self) -> Result<(), Error> {
        let fleets = round(self.largest());
        let Some(largest) = fleets.last() else { return Ok(()) };
        let in_a_round = largest - 1;
        let launches = rounds(in_a_round) * in_a_round;
        terminal::note(format_args!("launching {launches} instances and stopping them"));
        self.fleet.hold(1).await?;
        for _ in 0..rounds(in_a_round) {
            for instances in &fleets {
                self.fleet.hold(*instances).await?;
            }
            self.fleet.hold(1).await?;
        }
        Ok(())
    }

    /// The largest fleet there will be.
    fn largest(&self) -> u32 {
        largest(self.calibration.instances, self.spec.bounds)
    }
}

/// The fleets to measure, up to the largest: each about 1.4 times as large as the one before. What
/// lies between is as good as a straight line.
fn sizes(largest: u32) -> Vec<u32> {
    let next = |size: &u32| Some((size + 1).max((size * 14).div_ceil(10)));
    let mut sizes: Vec<u32> =
        std::iter::successors(Some(1), next).take_while(|size| *size < largest).collect();
    sizes.push(largest);
    sizes
}

/// The largest fleet of a calibration up to `instances`: of two at least where the service may have as
/// many, for a second one is what can be launched and stopped.
fn largest(instances: u32, bounds: Bounds) -> u32 {
    instances.max(bounds.max().min(2))
}

/// The fleets of a round of launches, from one instance on; none where one is the most.
fn round(largest: u32) -> Vec<u32> {
    let largest = largest.min(LARGEST_ROUND);
    std::iter::successors(Some(2), |size| Some(size * 2)).take_while(|s| *s <= largest).collect()
}

const fn rounds(in_a_round: u32) -> u32 {
    LAUNCHES.div_ceil(in_a_round)
}

fn conditions(requests: &Scenario, objective: Duration) -> BTreeMap<String, String> {
    let condition = |key: &str, value: String| (key.to_owned(), value);
    let share = 100.0 - OBJECTIVE_OUTSIDE_PERCENT;
    let mut conditions = BTreeMap::from([
        condition("objective", format!("{share}% within {} ms, none failed", millis(objective))),
        condition("requests", format!("those of the scenario {}", requests.name)),
    ]);
    if let Ok(cores) = std::thread::available_parallelism() {
        conditions.extend([condition("cores", cores.to_string())]);
    }
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleets_grow_by_two_fifths_up_to_the_largest() {
        assert_eq!(sizes(10), [1, 2, 3, 5, 7, 10]);
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(2), [1, 2]);
        assert_eq!(sizes(9), [1, 2, 3, 5, 7, 9]);
        assert!(sizes(750).is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn rounds_launch_one_two_and_four_at_a_time() {
        assert_eq!(round(10), [2, 4, 8]);
        assert_eq!(round(5), [2, 4]);
        assert_eq!(round(3), [2]);
        assert!(round(1).is_empty());
        assert_eq!([7, 3, 1].map(rounds), [5, 12, 35]);
    }

    #[test]
    fn a_second_instance_is_launched_only_where_the_service_may_have_it() {
        let [one, ten] = [1, 10].map(|max| Bounds::new(1, max).unwrap());
        assert_eq!(
            [largest(1, one), largest(1, ten), largest(3, ten), largest(3, one)],
            [1, 2, 3, 3]
        );
    }
}
