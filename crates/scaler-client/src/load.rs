//! What instances do at the moment, from what the feed tells of them.

use std::collections::BTreeMap;
use std::time::Duration;

use model::feed::{InstanceFigures, ServiceFeed};
use model::instance::Phase;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;

/// The shortest span of which a rate is taken. The scaler tells of instances once a second and at turns that change
/// something, which may be a tenth after: rates of both would weigh the same.
const RATE_SPAN: Duration = Duration::from_millis(500);

/// What an instance does at one moment. What is not known is `None`, never 0.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceLoad {
    /// The instance.
    pub name: InstanceName,
    /// What it is doing.
    pub phase: Phase,
    /// Requests that it works on.
    pub in_flight: Option<u32>,
    /// The memory that it needs, in bytes.
    pub memory_bytes: Option<u64>,
    /// What it used and was given since it was told of before; `None` where that was not half a second ago.
    pub rates: Option<InstanceRates>,
}

/// What an instance used and was given over a span.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct InstanceRates {
    /// CPU time, in cores.
    pub cpu_cores: Option<f64>,
    /// Requests, per second.
    pub requests_rps: Option<f64>,
}

/// What only grows of instances, as it was told last, so that rates can be taken of it.
#[derive(Debug, Default)]
pub struct InstanceLoads(BTreeMap<ServiceName, BTreeMap<InstanceName, Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    at: Timestamp,
    cpu_time_us: Option<u64>,
    requests: Option<u64>,
}

impl InstanceLoads {
    /// Takes in what is told of a service; gives the load of its instances, in the order of their names.
    pub fn take(&mut self, feed: &ServiceFeed) -> Vec<InstanceLoad> {
        let service = &feed.status.name;
        let before = self.0.remove(service).unwrap_or_default();
        let mut counted = BTreeMap::new();
        let loads = feed.status.instances.iter().map(|status| {
            let figures = feed.instances.iter().find(|it| it.name == status.name);
            let last = before.get(&status.name).copied();
            let (rates, now) = rates(figures, last, feed.at);
            counted.extend(now.map(|now| (status.name.clone(), now)));
            InstanceLoad {
                name: status.name.clone(),
                phase: status.phase,
                in_flight: figures.and_then(|figures| figures.in_flight),
                memory_bytes: figures.and_then(|figures| figures.memory_bytes),
                rates,
            }
        });
        let loads = loads.collect();
        self.0.insert(service.clone(), counted);
        loads
    }

    /// Forgets what was told: after a gap, nothing is known of the time between.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// The rates of an instance, and what it is to be compared with next.
fn rates(
    figures: Option<&InstanceFigures>,
    last: Option<Counted>,
    at: Timestamp,
) -> (Option<InstanceRates>, Option<Counted>) {
    let Some(figures) = figures else { return (None, None) };
    let now = Counted { at, cpu_time_us: figures.cpu_time_us, requests: figures.requests };
    let Some(last) = last else { return (None, Some(now)) };
    let elapsed = at.since(last.at);
    if elapsed < RATE_SPAN {
        return (None, Some(last));
    }
    let rate = |now: Option<u64>, before: Option<u64>, unit: f64| {
        let grown = u32::try_from(now?.checked_sub(before?)?).ok()?;
        Some(f64::from(grown) * unit / elapsed.as_secs_f64())
    };
    let rates = InstanceRates {
        cpu_cores: rate(now.cpu_time_us, last.cpu_time_us, 1e-6),
        requests_rps: rate(now.requests, last.requests, 1.0),
    };
    (Some(rates), Some(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One instance at a moment that has used so much CPU time, in milliseconds, and was given so many requests.
    fn feed(at_ms: u64, cpu_ms: u64, requests: Option<u64>) -> ServiceFeed {
        let json = format!(
            r#"{{"at_ms":{at_ms},"status":{{"name":"shop","route":"/","bounds":{{"min":1,"max":2}},"policy":"hpa",
            "policy_spec":{{"kind":"hpa"}},"objective_ms":250,"wanted":{{"version":"00000001","deployed_at_ms":1}},
            "rollout":null,"set":{{"bounds":null,"policy":null}},
            "phases":{{"starting":0,"ready":1,"draining":0,"failed":0}},"instances":[{{"name":"bw-shop-1-a","slot":1,
            "address":"10.117.0.1","version":null,"phase":"ready","since_ms":1,"to_be_removed":false}}],"tick":null}},
            "instances":[{{"name":"bw-shop-1-a","cpu_time_us":{},"in_flight":3,"memory_bytes":4096}}]}}"#,
            cpu_ms * 1_000
        );
        let mut feed: ServiceFeed = serde_json::from_str(&json).unwrap();
        feed.instances[0].requests = requests;
        feed
    }

    fn rates(cpu_cores: Option<f64>, requests_rps: Option<f64>) -> Option<InstanceRates> {
        Some(InstanceRates { cpu_cores, requests_rps })
    }

    #[test]
    fn rates_are_taken_of_half_a_second_at_least_and_of_nothing_that_began_anew() {
        let mut loads = InstanceLoads::default();
        let mut taken = |feed| loads.take(&feed).remove(0);
        let first = taken(feed(10_000, 100, Some(7)));
        assert_eq!((first.in_flight, first.memory_bytes), (Some(3), Some(4096)));
        assert_eq!(first.rates, None, "nothing to compare it with");
        assert_eq!(taken(feed(10_100, 150, Some(17))).rates, None);
        let since_the_first = rates(Some(0.25), Some(10.0));
        assert_eq!(taken(feed(12_000, 600, Some(27))).rates, since_the_first);
        // Another worker of HAProxy counts from 0.
        assert_eq!(taken(feed(13_000, 1_600, Some(2))).rates, rates(Some(1.0), None));
        assert_eq!(taken(feed(14_000, 1_600, None)).rates, rates(Some(0.0), None));
        loads.forget();
        assert_eq!(loads.take(&feed(15_000, 1_700, Some(3)))[0].rates, None);
    }
}
