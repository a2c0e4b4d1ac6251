//! Turns and services for tests and benches.

use model::decision::{Decision, Reason};
use model::feed::{InstanceFigures, ServiceFeed};
use model::instance::Phase;
use model::status::ServiceStatus;
use model::tick::{Observation, Tick};
use model::time::Timestamp;

/// A turn at which nothing is known but the target, which is 1.
///
/// # Panics
/// Where that is no name of a service.
#[expect(clippy::unwrap_used, reason = "for tests and benches alone")]
pub fn tick(service: &str, at_ms: u64) -> Tick {
    Tick {
        sequence: 0,
        at: Timestamp::from_millis(at_ms),
        service: service.parse().unwrap(),
        observation: Observation::default(),
        rollout: None,
        decision: Decision::Target { ready: 1, reasons: vec![Reason::OfferedLoad] },
        trail: None,
        room: None,
        plan: vec![],
        blocked: vec![],
        done: vec![],
        ended: vec![],
        given_up: vec![],
    }
}

/// A service with these instances, which are ready.
///
/// # Panics
/// Where one is no name.
#[expect(clippy::unwrap_used, reason = "for tests and benches alone")]
pub fn service_feed(service: &str, at_ms: u64, instances: &[&str]) -> ServiceFeed {
    let mut instances: Vec<model::names::InstanceName> =
        instances.iter().map(|name| name.parse().unwrap()).collect();
    instances.sort();
    let figures = instances.iter().map(|name| InstanceFigures {
        name: name.clone(),
        cpu_time_us: None,
        memory_bytes: None,
        in_flight: None,
        requests: None,
    });
    let statuses = instances.iter().map(|name| model::instance::InstanceStatus {
        name: name.clone(),
        slot: name.slot(),
        address: std::net::Ipv4Addr::new(10, 117, 0, 9),
        version: None,
        phase: Phase::Ready,
        since: Timestamp::from_millis(at_ms),
        to_be_removed: false,
    });
    let status = serde_json::json!({
        "name": service, "route": format!("/{service}"), "bounds": {"min": 1, "max": 10},
        "policy": "hpa", "policy_spec": {"kind": "hpa"}, "objective_ms": 250,
        "wanted": {"version": "0badcafe", "deployed_at_ms": 1}, "rollout": null,
        "set": {"bounds": null, "policy": null},
        "phases": {"starting": 0, "ready": instances.len(), "draining": 0, "failed": 0},
        "instances": [], "tick": null
    });
    let status: ServiceStatus = serde_json::from_value(status).unwrap();
    ServiceFeed {
        at: Timestamp::from_millis(at_ms),
        status: ServiceStatus { instances: statuses.collect(), ..status },
        instances: figures.collect(),
        terms: Some(serde_json::json!({
            "name": service, "image": service, "instance": {"port": 1, "cpus": 0.5},
            "bounds": {"min": 1, "max": 10}, "policy": {"kind": "hpa"},
            "capacity": {"requests_per_second": 50.0, "concurrency": 8, "burst": 10}
        })),
    }
}
