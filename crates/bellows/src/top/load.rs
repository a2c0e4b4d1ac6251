//! What each instance does, which the scaler's feed alone tells.

use std::collections::BTreeMap;
use std::time::Duration;

use model::feed::FeedLine;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;
use scaler_client::{Feed, InstanceLoad, InstanceLoads, InstanceRates, Scaler};
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

/// How long to wait before a feed that ended, or has as many readers as it takes, is asked for again.
const AGAIN: Duration = Duration::from_secs(5);

/// The scaler tells something in every second.
const SILENCE: Duration = Duration::from_secs(5);

/// What was told so long before the rest is not shown beside it: of each service it is told once a second.
const STALE: Duration = Duration::from_secs(3);

/// What was told of a service's instances at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) service: ServiceName,
    pub(super) loads: Vec<InstanceLoad>,
}

/// Follows the feed again and again, until nobody takes what it tells. That there is none is not told: the scaler is asked
/// beside it, which says so where it is away, and without a feed what instances do is not known.
pub(super) async fn forever(scaler: &Scaler, tell: &Sender<Vec<Told>>) {
    while !tell.is_closed() {
        if let Ok(feed) = scaler.feed().await {
            follow(feed, tell).await;
        }
        sleep(AGAIN).await;
    }
}

/// Follows one feed until it ends, breaks off or falls silent.
async fn follow(mut feed: Feed, tell: &Sender<Vec<Told>>) {
    let mut known = InstanceLoads::default();
    while let Ok(Some(lines)) = timeout(SILENCE, feed.next()).await.unwrap_or(Ok(None)) {
        let services = lines.into_iter().filter_map(|line| match line {
            FeedLine::Service(service) => Some(service),
            FeedLine::Tick(_) | FeedLine::Network(_) => None,
        });
        let told = services.map(|feed| Told {
            at: feed.at,
            service: feed.status.name.clone(),
            loads: known.take(&feed),
        });
        let told: Vec<Told> = told.collect();
        if !told.is_empty() && tell.send(told).await.is_err() {
            return;
        }
    }
}

/// What is known of instances.
#[derive(Debug, Default)]
pub(super) struct Loads(BTreeMap<ServiceName, BTreeMap<InstanceName, Known>>);

/// What is known of one.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    at: Timestamp,
    in_flight: Option<u32>,
    memory_bytes: Option<u64>,
    rates_at: Timestamp,
    rates: InstanceRates,
}

/// What an instance does; `None` is what is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Load {
    pub(super) in_flight: Option<u32>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) rates: InstanceRates,
}

impl Loads {
    /// Takes in what was told. Rates of which there are no new ones yet stay.
    pub(super) fn take(&mut self, Told { at, service, loads }: Told) {
        let before = self.0.remove(&service).unwrap_or_default();
        let known = loads.into_iter().map(|load| {
            let InstanceLoad { name, phase: _, in_flight, memory_bytes, rates } = load;
            let last = before.get(&name).copied().unwrap_or_default();
            let (rates_at, rates) = rates.map_or((last.rates_at, last.rates), |rates| (at, rates));
            (name, Known { at, in_flight, memory_bytes, rates_at, rates })
        });
        let known = known.collect();
        self.0.insert(service, known);
    }

    /// What an instance did at that moment, or shortly before.
    pub(super) fn of(&self, instance: &InstanceName, at: Timestamp) -> Load {
        let known = self.0.get(instance.service()).and_then(|known| known.get(instance));
        let Some(known) = known else { return Load::default() };
        let is_fresh = |told: Timestamp| at.since(told) < STALE;
        Load {
            in_flight: known.in_flight.filter(|_| is_fresh(known.at)),
            memory_bytes: known.memory_bytes.filter(|_| is_fresh(known.at)),
            rates: if is_fresh(known.rates_at) { known.rates } else { InstanceRates::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use model::instance::Phase;
    use tokio::sync::mpsc;

    use super::*;
    use crate::fake_scaler::FakeScaler;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_millis(1_000 * second)
    }

    fn told(second: u64, in_flight: u32, rates: Option<InstanceRates>) -> Told {
        let (service, name) = ("shop".parse().unwrap(), "bw-shop-1-a".parse().unwrap());
        let (phase, memory_bytes) = (Phase::Ready, Some(1 << 20));
        let load = InstanceLoad { name, phase, in_flight: Some(in_flight), memory_bytes, rates };
        Told { at: at(second), service, loads: vec![load] }
    }

    #[test]
    fn what_an_instance_does_stays_between_two_measurements_and_not_for_long() {
        let rates = InstanceRates { cpu_cores: Some(0.5), requests_rps: Some(20.0) };
        let (mut loads, instance) = (Loads::default(), "bw-shop-1-a".parse().unwrap());
        assert_eq!(loads.of(&instance, at(100)), Load::default());
        loads.take(told(100, 1, Some(rates)));
        loads.take(told(101, 2, None));
        let last = Load { in_flight: Some(2), memory_bytes: Some(1 << 20), rates };
        assert_eq!(loads.of(&instance, at(102)), last);
        let unknown = InstanceRates::default();
        assert_eq!(loads.of(&instance, at(103)), Load { rates: unknown, ..last });
        assert_eq!(loads.of(&instance, at(104)), Load::default());
        assert_eq!(loads.of(&"bw-shop-2-a".parse().unwrap(), at(101)), Load::default());
    }

    #[tokio::test]
    async fn rates_are_taken_of_what_the_feed_tells_until_nobody_takes_it() {
        let line = |second: u64| {
            let mut status = crate::top::status("shop");
            (status.tick, status.instances) = (None, status.instances.drain(..1).collect());
            let instances = serde_json::json!([{"name": status.instances[0].name,
                "cpu_time_us": 250_000 * second, "in_flight": 3, "requests": 40 * second}]);
            let service = serde_json::json!({"at_ms": 1_000 * second, "status": status, "instances": instances});
            serde_json::json!({"service": service}).to_string()
        };
        let lines = format!("{}\n{{\"weather\":1}}\n{}\n", line(100), line(102));
        let fake = FakeScaler::new(move |path| (path == "/v1/feed").then(|| lines.clone()));
        let scaler = fake.client();
        let (tell, mut told) = mpsc::channel(9);
        follow(scaler.feed().await.unwrap(), &tell).await;
        drop(tell);
        let mut loads = Vec::new();
        while let Some(told) = told.recv().await {
            loads.extend(told.into_iter().flat_map(|told| told.loads));
        }
        let rates = InstanceRates { cpu_cores: Some(0.25), requests_rps: Some(40.0) };
        assert_eq!(loads.iter().map(|load| load.rates).collect::<Vec<_>>(), [None, Some(rates)]);

        let (tell, told) = mpsc::channel(1);
        drop(told);
        forever(&scaler, &tell).await;
    }
}
