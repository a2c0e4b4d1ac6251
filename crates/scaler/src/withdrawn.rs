//! The instances of services that are no longer deployed, and when each is to be stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use model::names::InstanceName;
use tokio::time::Instant;

/// How long an instance may take to finish its requests whose service's file nobody remembers: the
/// default of `scale_in.drain_timeout_ms`.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// Time from one try to stop an instance to the next.
const RETRY: Duration = Duration::from_secs(30);

/// The instances of withdrawn services.
#[derive(Debug, Default)]
pub(crate) struct Withdrawn(BTreeMap<InstanceName, Times>);

#[derive(Debug, Clone, Copy)]
struct Times {
    /// When it has had its time, whatever it still does.
    overdue_at: Instant,
    /// When the next try to stop it may be made.
    next_try_at: Instant,
}

/// An instance of a withdrawn service.
#[derive(Debug)]
pub(crate) struct WithdrawnInstance<'a> {
    pub(crate) name: &'a InstanceName,
    /// Whether it gets no requests and has none, on old workers of the load balancer too.
    pub(crate) is_idle: bool,
    /// How long it may take to finish its requests.
    pub(crate) drain_timeout: Duration,
}

impl Withdrawn {
    /// Those to be stopped at `now` of these instances, which are all that there are.
    pub(crate) fn due(
        &mut self,
        instances: &[WithdrawnInstance],
        now: Instant,
    ) -> Vec<InstanceName> {
        let before = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for WithdrawnInstance { name, is_idle, drain_timeout } in instances {
            let first = Times { overdue_at: now + *drain_timeout, next_try_at: now };
            let mut times = before.get(*name).copied().unwrap_or(first);
            if (*is_idle || times.overdue_at <= now) && times.next_try_at <= now {
                due.push((*name).clone());
                times.next_try_at = now + RETRY;
            }
            self.0.insert((*name).clone(), times);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_stopped_when_it_is_idle_or_overdue_and_again_when_that_failed() {
        let name: InstanceName = "bw-gone-1-a".parse().unwrap();
        let start = Instant::now();
        let mut withdrawn = Withdrawn::default();
        let mut due = |second, is_idle| {
            let drain_timeout = Duration::from_secs(60);
            let instance = WithdrawnInstance { name: &name, is_idle, drain_timeout };
            withdrawn.due(&[instance], start + Duration::from_secs(second)).len()
        };
        assert_eq!([due(0, false), due(59, false), due(60, false)], [0, 0, 1]);
        assert_eq!([due(61, true), due(89, true), due(90, true)], [0, 0, 1]);
        let mut withdrawn = Withdrawn::default();
        let drain_timeout = Duration::from_secs(60);
        let idle = WithdrawnInstance { name: &name, is_idle: true, drain_timeout };
        assert_eq!(withdrawn.due(&[idle], start).len(), 1);
    }
}
