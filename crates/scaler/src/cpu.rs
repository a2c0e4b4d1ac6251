//! The CPU time that services and all of the host use, from one look to the next. What is counted only grows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use host::lxc::Containers;
use host::processors::ProcessorTimes;
use model::names::{InstanceName, ServiceName};
use model::tick::HostCpu;
use tokio::time::Instant;

/// What was used since the look before.
#[derive(Debug)]
pub(crate) struct CpuUse {
    /// What each service's instances in rotation, and those that drain, used together, in cores. A service of which
    /// one of these cannot be told is left out.
    pub(crate) cores: BTreeMap<ServiceName, f64>,
    /// The services of which an instance runs; `None` at the first look, which is compared with nothing.
    runs: Option<BTreeSet<ServiceName>>,
    /// The host's processors.
    pub(crate) host: Option<HostCpu>,
    /// CPU time that each instance has used since it began.
    pub(crate) times: Arc<BTreeMap<InstanceName, Duration>>,
}

impl CpuUse {
    /// What a service used, in cores: nothing where nothing of it runs, and `None` where it is not known.
    pub(crate) fn of(&self, service: &ServiceName) -> Option<f64> {
        let nothing_runs = || self.runs.as_ref().is_some_and(|runs| !runs.contains(service));
        self.cores.get(service).copied().or_else(|| nothing_runs().then_some(0.0))
    }
}

/// Looks again and again, and remembers what was counted.
#[derive(Debug, Default)]
pub(crate) struct CpuObserver {
    times: Arc<BTreeMap<InstanceName, Duration>>,
    /// Those that ran at the last look.
    running: BTreeSet<InstanceName>,
    looked_at: Option<Instant>,
    counted: Option<ProcessorTimes>,
    host: Option<HostCpu>,
}

impl CpuObserver {
    /// Looks at the instances that run; `serves` says of which of them the CPU time is the service's. What one
    /// takes to start says nothing of the load, and would ask for the next one: it counts from the first look on
    /// that finds it serving.
    pub(crate) fn look(
        &mut self,
        host: &impl Containers,
        running: &BTreeSet<&InstanceName>,
        serves: impl Fn(&InstanceName) -> bool,
    ) -> CpuUse {
        let now = Instant::now();
        let elapsed = self.looked_at.replace(now).map(|before| now - before);
        let read = host.cpu_times(&running.iter().copied().collect::<Vec<_>>());
        let used = running.iter().map(|name| {
            let used = || Some(read.get(*name)?.saturating_sub(*self.times.get(*name)?));
            let is_of_the_load = serves(name) && self.running.contains(*name);
            (name.service(), if is_of_the_load { used() } else { Some(Duration::ZERO) })
        });
        let cores = per_second(sums(used), elapsed);
        self.running = running.iter().copied().cloned().collect();
        self.times = Arc::new(read);
        let runs = || running.iter().map(|name| name.service().clone()).collect();
        let runs = elapsed.map(|_| runs());
        CpuUse { cores, runs, host: self.host(host), times: Arc::clone(&self.times) }
    }

    /// The host's processors since they were counted last. Two looks within a hundredth of a second may find the
    /// same counts: then what was before holds.
    fn host(&mut self, host: &impl Containers) -> Option<HostCpu> {
        let Some(counted) = host.processor_times() else {
            (self.counted, self.host) = (None, None);
            return None;
        };
        let before = self.counted.replace(counted);
        self.host = before.and_then(|before| counted.since(before)).or(self.host);
        self.host
    }
}

/// The sum of what the instances of each service used; `None` where one of them is not known.
fn sums<'a>(
    used: impl Iterator<Item = (&'a ServiceName, Option<Duration>)>,
) -> BTreeMap<&'a ServiceName, Option<Duration>> {
    let mut sums = BTreeMap::new();
    for (service, used) in used {
        let sum = sums.entry(service).or_insert(Some(Duration::ZERO));
        *sum = sum.zip(used).map(|(sum, used)| sum + used);
    }
    sums
}

/// In cores; nothing at the first look, and where no time has passed.
fn per_second(
    used: BTreeMap<&ServiceName, Option<Duration>>,
    elapsed: Option<Duration>,
) -> BTreeMap<ServiceName, f64> {
    let Some(elapsed) = elapsed.filter(|elapsed| !elapsed.is_zero()) else {
        return BTreeMap::new();
    };
    let known = used.into_iter().filter_map(|(service, used)| Some((service.clone(), used?)));
    known.map(|(service, used)| (service, used.div_duration_f64(elapsed))).collect()
}

#[cfg(test)]
mod tests {
    use host::lxc::fake::FakeContainers;

    use super::*;

    fn name(text: &str) -> InstanceName {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_services_cpu_time_is_that_of_its_instances_that_serve() {
        let (serving, starting, other) = (name("bw-a-1-x"), name("bw-a-2-x"), name("bw-b-3-x"));
        let running = BTreeSet::from([&serving, &starting, &other]);
        let (host, mut observer) = (FakeContainers::default(), CpuObserver::default());
        let mut look = |millis: [u64; 3]| {
            for (name, millis) in [&serving, &starting, &other].into_iter().zip(millis) {
                host.set_cpu_time(name, Duration::from_millis(millis));
            }
            observer.look(&host, &running, |name| *name != starting).cores
        };
        assert!(look([1_000, 0, 5_000]).is_empty(), "nothing to compare with");
        tokio::time::advance(Duration::from_millis(100)).await;
        let cores = look([1_050, 90, 5_000]);
        let expected =
            |a: f64| BTreeMap::from([("a".parse().unwrap(), a), ("b".parse().unwrap(), 0.0)]);
        assert_eq!(cores, expected(0.5));
        tokio::time::advance(Duration::from_millis(100)).await;
        let new = name("bw-a-4-x");
        host.set_cpu_time(&new, Duration::from_secs(2));
        let running = BTreeSet::from([&serving, &starting, &other, &new]);
        assert_eq!(observer.look(&host, &running, |_| true).cores, expected(0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_of_which_nothing_runs_uses_nothing_once_there_was_a_look_before() {
        let (host, mut observer) = (FakeContainers::default(), CpuObserver::default());
        let service = "a".parse().unwrap();
        assert_eq!(observer.look(&host, &BTreeSet::new(), |_| true).of(&service), None);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(observer.look(&host, &BTreeSet::new(), |_| true).of(&service), Some(0.0));
        // What runs and cannot be read may use anything.
        let untold = name("bw-a-1-x");
        let running = BTreeSet::from([&untold]);
        for known in [Some(0.0), None] {
            tokio::time::advance(Duration::from_millis(100)).await;
            assert_eq!(observer.look(&host, &running, |_| true).of(&service), known);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_one_instance_cannot_be_told_the_services_cpu_time_is_not_known() {
        let (told, untold) = (name("bw-a-1-x"), name("bw-a-2-x"));
        let (host, mut observer) = (FakeContainers::default(), CpuObserver::default());
        host.set_cpu_time(&told, Duration::from_secs(1));
        let running = BTreeSet::from([&told, &untold]);
        observer.look(&host, &running, |_| true);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(observer.look(&host, &running, |_| true).cores.is_empty());
        let one = BTreeSet::from([&told]);
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(observer.look(&host, &one, |_| true).cores.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_hosts_use_is_known_from_the_second_count_on_and_stays_while_nothing_is_counted() {
        let (host, mut observer) = (FakeContainers::default(), CpuObserver::default());
        let mut look = |counted: Option<(u64, u64)>| {
            let times = |(busy, idle)| ProcessorTimes { cores: 2, busy, idle };
            host.set_processor_times(counted.map(times));
            observer.look(&host, &BTreeSet::new(), |_| true).host.map(|host| host.busy)
        };
        assert_eq!(look(Some((100, 100))), None);
        assert_eq!(look(Some((115, 105))), Some(0.75));
        assert_eq!(look(Some((115, 105))), Some(0.75));
        assert_eq!(look(None), None);
        assert_eq!(look(Some((200, 200))), None);
    }
}
