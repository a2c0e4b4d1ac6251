//! The memory that instances need. No decision goes by it: it is looked at for those who follow the feed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use host::lxc::Containers;
use model::names::InstanceName;
use tokio::time::Instant;

/// How often it is looked at: 200 instances take some 3.5 ms, and there are ten turns a second.
const EVERY: Duration = Duration::from_secs(1);

/// Looks again and again, as long as somebody is told.
#[derive(Debug, Default)]
pub(crate) struct MemoryObserver {
    looked_at: Option<Instant>,
    bytes: Arc<BTreeMap<InstanceName, u64>>,
}

impl MemoryObserver {
    /// The memory of each instance that runs, in bytes, as it was within the last second; nothing where nobody is told.
    pub(crate) fn look(
        &mut self,
        host: &impl Containers,
        running: &BTreeSet<&InstanceName>,
        is_told: bool,
    ) -> Arc<BTreeMap<InstanceName, u64>> {
        if !is_told {
            *self = Self::default();
        } else if self.looked_at.is_none_or(|at| at.elapsed() >= EVERY) {
            let bytes = |name: &&InstanceName| Some(((*name).clone(), host.memory_bytes(name)?));
            self.bytes = Arc::new(running.iter().filter_map(bytes).collect());
            self.looked_at = Some(Instant::now());
        }
        Arc::clone(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use host::lxc::fake::FakeContainers;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_is_looked_at_once_a_second_and_only_while_somebody_is_told() {
        let name: InstanceName = "bw-a-1-x".parse().unwrap();
        let running = BTreeSet::from([&name]);
        let (host, mut observer) = (FakeContainers::default(), MemoryObserver::default());
        let mut look = |bytes, is_told| {
            host.set_memory(&name, bytes);
            observer.look(&host, &running, is_told).get(&name).copied()
        };
        assert_eq!(look(1, false), None);
        assert_eq!(look(2, true), Some(2), "whoever has just come is told at once");
        tokio::time::advance(Duration::from_millis(900)).await;
        assert_eq!(look(3, true), Some(2));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(look(4, true), Some(4));
        assert_eq!(look(5, false), None);
        assert_eq!(look(6, true), Some(6));
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let (told, untold) = ("bw-a-1-x".parse().unwrap(), "bw-a-2-x".parse().unwrap());
        let host = FakeContainers::default();
        host.set_memory(&told, 9);
        let running = BTreeSet::from([&told, &untold]);
        let memory = MemoryObserver::default().look(&host, &running, true);
        assert_eq!(*memory, BTreeMap::from([(told.clone(), 9)]));
    }
}
