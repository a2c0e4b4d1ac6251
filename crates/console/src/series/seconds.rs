//! Turns become seconds.

use std::collections::BTreeMap;

use model::feed::ServiceFeed;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use scaler_client::{InstanceLoad, InstanceLoads, InstanceRates};

use super::answers::Answers;
use super::figure::Figure;
use super::point::{InstancePoint, Row, ServicePoint};

/// Seconds that turns are still coming for, at most one of each service.
#[derive(Debug, Default)]
pub struct Seconds {
    open: BTreeMap<ServiceName, Row>,
    loads: InstanceLoads,
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
        let loads = self.loads.take(feed);
        let second = feed.at.as_millis() / 1000;
        let Some(open) = self.open.get_mut(service).filter(|open| open.second == second) else {
            return;
        };
        for point in loads.into_iter().map(point) {
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
        self.loads.forget();
        std::mem::take(&mut self.open).into_values().collect()
    }
}

/// An instance at one moment.
fn point(load: InstanceLoad) -> InstancePoint {
    // Memory is told of now, and not kept.
    let InstanceLoad { name, phase, in_flight, memory_bytes: _, rates } = load;
    let InstanceRates { cpu_cores, requests_rps } = rates.unwrap_or_default();
    InstancePoint {
        name,
        phase,
        cpu_cores: Figure::of(cpu_cores),
        in_flight: Figure::of(in_flight.map(f64::from)),
        requests_rps: Figure::of(requests_rps),
    }
}

#[cfg(test)]
impl Seconds {
    /// The open second of a service.
    pub(super) fn open_row(&self, service: &str) -> &Row {
        &self.open[&service.parse().unwrap()]
    }
}
