//! Turns become seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use model::feed::{InstanceFigures, ServiceFeed};
use model::instance::InstanceStatus;
use model::names::{InstanceName, ServiceName};
use model::tick::Tick;
use model::time::Timestamp;

use super::answers::Answers;
use super::figure::Figure;
use super::point::{InstancePoint, Row, ServicePoint};

/// The shortest span of which a rate is taken. The scaler tells of instances once a second and at turns that change
/// something, which may be a tenth after: rates of both would weigh the same.
const RATE_SPAN: Duration = Duration::from_millis(500);

/// Seconds that turns are still coming for, at most one of each service.
#[derive(Debug, Default)]
pub struct Seconds {
    open: BTreeMap<ServiceName, Row>,
    counted: BTreeMap<ServiceName, BTreeMap<InstanceName, Counted>>,
}

/// What only grows of an instance, when it was told last.
#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Timestamp,
    cpu_time_us: Option<u64>,
    requests: Option<u64>,
}

impl Seconds {
    /// Takes in a turn; gives the second before it where that is over now.
    pub fn tick(&mut self, tick: &Tick) -> Option<Row> {
        let second = tick.at.as_millis() / 1000;
        let point = ServicePoint::of(tick);
        if let Some(open) = self.open.get_mut(&tick.service)
            && open.second == second
        {
            open.point.merge(&point);
            return None;
        }
        let service = tick.service.clone();
        let row = Row { service: service.clone(), second, point, instances: Vec::new() };
        self.open.insert(service, row)
    }

    /// Takes in what is told of a service's instances. Where no turn of that second is known, nothing is.
    pub fn instances(&mut self, feed: &ServiceFeed) {
        let service = &feed.status.name;
        let before = self.counted.remove(service).unwrap_or_default();
        let mut counted = BTreeMap::new();
        let points = feed.status.instances.iter().map(|status| {
            let figures = feed.instances.iter().find(|it| it.name == status.name);
            let last = before.get(&status.name).copied();
            let (point, now) = point(status, figures, last, feed.at);
            counted.extend(now.map(|now| (status.name.clone(), now)));
            point
        });
        let points: Vec<_> = points.collect();
        self.counted.insert(service.clone(), counted);
        let second = feed.at.as_millis() / 1000;
        let Some(open) = self.open.get_mut(service).filter(|open| open.second == second) else {
            return;
        };
        for point in points {
            match open.instances.binary_search_by(|it| it.name.cmp(&point.name)) {
                Ok(at) => open.instances[at].merge(&point),
                Err(at) => open.instances.insert(at, point),
            }
        }
    }

    /// Takes in what a service answered since it was last asked: it goes to the second that is open. Where no turn of one
    /// is known, nothing is.
    pub fn answers(&mut self, service: &ServiceName, answers: &Answers) {
        if let Some(open) = self.open.get_mut(service) {
            open.point.answers.merge(answers);
        }
    }

    /// Gives the seconds before this moment's, for which no turn comes any more.
    pub fn close_before(&mut self, now: Timestamp) -> Vec<Row> {
        let second = now.as_millis() / 1000;
        let over: Vec<_> = self
            .open
            .iter()
            .filter(|(_, row)| row.second < second)
            .map(|(name, _)| name.clone())
            .collect();
        over.iter().filter_map(|name| self.open.remove(name)).collect()
    }

    /// Gives all that is open, whole or not, and forgets what was counted: after a gap, nothing is known of the time
    /// between.
    pub fn close_all(&mut self) -> Vec<Row> {
        self.counted.clear();
        std::mem::take(&mut self.open).into_values().collect()
    }
}

/// An instance at one moment, and what it is to be compared with next.
fn point(
    status: &InstanceStatus,
    figures: Option<&InstanceFigures>,
    last: Option<Counted>,
    at: Timestamp,
) -> (InstancePoint, Option<Counted>) {
    let mut point = InstancePoint {
        name: status.name.clone(),
        phase: status.phase,
        cpu_cores: Figure::default(),
        in_flight: Figure::default(),
        requests_rps: Figure::default(),
    };
    let Some(figures) = figures else { return (point, None) };
    point.in_flight = Figure::of(figures.in_flight.map(f64::from));
    let now = Counted { at, cpu_time_us: figures.cpu_time_us, requests: figures.requests };
    let Some(last) = last else { return (point, Some(now)) };
    let elapsed = at.since(last.at);
    if elapsed < RATE_SPAN {
        return (point, Some(last));
    }
    let rate = |now: Option<u64>, before: Option<u64>, unit: f64| {
        let grown = u32::try_from(now?.checked_sub(before?)?).ok()?;
        Some(f64::from(grown) * unit / elapsed.as_secs_f64())
    };
    point.cpu_cores = Figure::of(rate(now.cpu_time_us, last.cpu_time_us, 1e-6));
    point.requests_rps = Figure::of(rate(now.requests, last.requests, 1.0));
    (point, Some(now))
}

#[cfg(test)]
impl Seconds {
    /// The open second of a service.
    pub(super) fn open_row(&self, service: &str) -> &Row {
        &self.open[&service.parse().unwrap()]
    }
}
