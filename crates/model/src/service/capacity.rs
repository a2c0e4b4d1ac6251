//! What one instance of a service can do with requests, as far as it is known, and which services get any.

use serde::Deserialize;

use super::protocol::RawProtocol;
use super::route::RawRoute;
use super::{Demand, Requests};
use crate::names::ServiceName;
use crate::policies::{Policy, PolicySpec};
use crate::value::{Invalid, within};

/// Requests that an instance is given at once where the file does not say: the threads with which gunicorn is
/// started where nothing else says how many. An instance that takes more is scaled out sooner than it need be;
/// one that takes fewer would keep the rest waiting where no other instance can have them.
const DEFAULT_CONCURRENCY: u32 = 8;

/// The same of connections: as many as PostgreSQL takes unless it is told otherwise. Most of them are idle, held
/// by a pool, and one that finds no place waits in vain.
const DEFAULT_CONNECTIONS: u32 = 100;

/// What one instance of a service can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Requests per second that it serves within the objective; `None` where nobody has said it.
    pub requests_per_second: Option<f64>,
    /// Requests that it is given at once; the load balancer queues the rest.
    pub concurrency: u32,
    /// Requests that it serves at once beyond that rate after it was idle.
    pub burst: u32,
}

/// The capacity of an instance as it is written, before any value is checked.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCapacity {
    /// Requests per second that one instance serves within the objective: without it, a service is scaled on what its
    /// instances are full of.
    requests_per_second: Option<f64>,
    /// Requests that one instance is given at once; the load balancer queues the rest.
    concurrency: Option<u32>,
    /// Requests that it serves at once beyond that rate after it was idle.
    burst: Option<u32>,
}

impl Capacity {
    /// Requests per second, for who needs the figure `for` something.
    ///
    /// # Errors
    /// Nobody has said it of the service.
    pub fn rate_required(self, service: &ServiceName, purpose: &str) -> Result<f64, Invalid> {
        let missing = || {
            format!(
                "service {service} has none, and {purpose} needs it: say in its file how many \
                 requests one instance serves in a second"
            )
        };
        let rate = self.requests_per_second;
        rate.ok_or_else(|| Invalid::form("capacity.requests_per_second", &missing()))
    }

    /// Checks that a policy has the figures that it goes by.
    pub(super) fn check_policy(self, policy: &PolicySpec) -> Result<(), Invalid> {
        let by_rate = policy.policies().iter().find(|policy| policy.goes_by_rate());
        match (self.requests_per_second, by_rate) {
            (None, Some(policy)) => Err(Invalid::new(
                "policy.kind",
                policy.kind(),
                format!(
                    "utilization, which needs no figure, or say capacity.requests_per_second: {} \
                     counts instances by the rate that one serves",
                    policy.kind()
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl RawCapacity {
    fn checked(self, protocol: RawProtocol) -> Result<Capacity, Invalid> {
        let (rate, burst) = (self.requests_per_second, self.burst.unwrap_or(0));
        let allowed = "0.001 to 1000000";
        within("capacity.requests_per_second", rate.unwrap_or(1.0), 0.001..=1e6, allowed)?;
        let concurrency = self.concurrency.unwrap_or(match protocol {
            RawProtocol::Http => DEFAULT_CONCURRENCY,
            RawProtocol::Tcp => DEFAULT_CONNECTIONS,
        });
        within("capacity.concurrency", concurrency, 1..=100_000, "1 to 100000")?;
        within("capacity.burst", burst, 0..=100_000, "0 to 100000 (requests)")?;
        if rate.is_none() && burst > 0 {
            let allowed = "it beside capacity.requests_per_second, beyond which it counts";
            return Err(Invalid::new("capacity.burst", burst, allowed));
        }
        Ok(Capacity { requests_per_second: rate, concurrency, burst })
    }
}

/// What a service with these tables is asked for. One whose file names neither a route nor a capacity gets
/// requests all the same where it is scaled on them: then another service reaches it, which `check_reaches`
/// looks for.
pub(super) fn demand(
    route: Option<RawRoute>,
    capacity: Option<RawCapacity>,
    policy: Option<&PolicySpec>,
    protocol: RawProtocol,
) -> Result<Demand, Invalid> {
    let is_scaled_on_them =
        policy.is_none_or(|policy| policy.policies().iter().any(Policy::goes_by_requests));
    if route.is_none() && capacity.is_none() && !is_scaled_on_them {
        return Ok(Demand::Uncounted);
    }
    let route = route.map(RawRoute::checked).transpose()?;
    let capacity = capacity.unwrap_or_default().checked(protocol)?;
    Ok(Demand::Requests(Requests { route, capacity }))
}

/// The policy of a service whose file says none: the one that needs no figure where there is none.
pub(super) fn default_policy(demand: &Demand) -> PolicySpec {
    match demand {
        Demand::Requests(Requests {
            capacity: Capacity { requests_per_second: None, .. }, ..
        }) => PolicySpec::without_a_figure(),
        Demand::Requests(_) | Demand::Uncounted => PolicySpec::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServiceSpec;
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    /// The service with these lines in place of its table of capacity.
    fn with(capacity: &str) -> Result<ServiceSpec, String> {
        let table = "[capacity]\n        requests_per_second = 50\n        concurrency = 8";
        assert!(GOOD.contains(table));
        parse(&GOOD.replacen(table, capacity, 1))
    }

    fn capacity(table: &str) -> Capacity {
        with(table).unwrap().requests_required().unwrap().capacity
    }

    #[test]
    fn a_service_may_leave_its_capacity_out_and_is_scaled_without_a_figure() {
        for (table, concurrency) in [("", 8), ("[capacity]", 8), ("[capacity]\nconcurrency = 3", 3)]
        {
            let expected = Capacity { requests_per_second: None, concurrency, burst: 0 };
            assert_eq!(capacity(table), expected, "{table}");
            assert_eq!(with(table).unwrap().policy.to_string(), "utilization", "{table}");
        }
        let figure = "[capacity]\nrequests_per_second = 20";
        assert_eq!(capacity(figure).requests_per_second, Some(20.0));
        assert_eq!(with(figure).unwrap().policy.to_string(), "target_tracking");
    }

    #[test]
    fn a_service_that_others_reach_by_connections_is_given_a_hundred_of_them() {
        let tcp = GOOD
            .replacen("[route]\n        path_prefix = \"/\"", "", 1)
            .replacen("health_path = \"/healthz\"", "protocol = \"tcp\"", 1)
            .replacen("[capacity]", "", 1)
            .replacen("requests_per_second = 50", "", 1)
            .replacen("concurrency = 8", "", 1);
        let spec = parse(&tcp).unwrap();
        assert_eq!(spec.requests_required().unwrap().capacity.concurrency, 100);
    }

    #[test]
    fn a_figure_that_is_none_is_refused_and_a_burst_without_one() {
        for (table, told) in [
            ("requests_per_second = 0", "requests_per_second is 0: use 0.001 to 1000000"),
            ("requests_per_second = nan", "requests_per_second is NaN: use 0.001 to 1000000"),
            ("concurrency = 0", "concurrency is 0: use 1 to 100000"),
            ("burst = 3", "burst is 3: use it beside capacity.requests_per_second"),
        ] {
            let error = with(&format!("[capacity]\n{table}")).unwrap_err();
            assert!(error.contains(told), "{table}: {error}");
        }
    }

    #[test]
    fn a_policy_that_goes_by_the_figure_is_refused_without_one() {
        let error = with("[policy]\nkind = \"target_tracking\"").unwrap_err();
        assert_eq!(
            error,
            "policy.kind is target_tracking: use utilization, which needs no figure, or say \
             capacity.requests_per_second: target_tracking counts instances by the rate that one \
             serves"
        );
        let (by_rate, not): (Vec<_>, Vec<_>) =
            Policy::all().partition(|policy| policy.goes_by_rate());
        for policy in &by_rate {
            let error = with(&format!("[policy]\nkind = \"{}\"", policy.kind())).unwrap_err();
            assert!(error.contains("use utilization"), "{error}");
        }
        for policy in &not {
            with(&format!("[policy]\nkind = \"{}\"", policy.kind())).unwrap();
        }
        let cpu = "[policy]\nkind = \"hpa\"\nmeasure = \"in_flight\"";
        with(cpu).unwrap();
        assert_eq!(not.len(), 7, "{not:?}");
    }

    #[test]
    fn who_needs_the_figure_is_told_whose_is_missing() {
        let error = capacity("").rate_required(&with("").unwrap().name, "a calibration");
        assert_eq!(
            error.unwrap_err().to_string(),
            "capacity.requests_per_second: service store has none, and a calibration needs it: say \
             in its file how many requests one instance serves in a second"
        );
    }
}
