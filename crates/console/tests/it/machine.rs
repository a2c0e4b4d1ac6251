//! What the scaler says of the machine, as the tests of the page have it say it.

use serde_json::{Value, json};

use crate::history::now;
use crate::scaler::FakeScaler;

/// A machine on which one check fails.
pub(crate) fn told(scaler: &FakeScaler) {
    scaler.answers("GET /v1/host", machine());
    scaler.answers("GET /v1/cost", ledger());
    let check = |check: &str, found: &str, cure: Option<&str>| json!({ "check": check, "is_well": cure.is_none(), "found": found, "cure": cure });
    let checks = [
        check("root", "running as root", None),
        check("lxc", "LXC 1:5.0.2-1+deb12u3", None),
        check(
            "disk",
            "812 MiB free at /var/lib/bellows, 1024 MiB are needed",
            Some(
                "make room, or set paths.state and paths.lxc in bellows.toml to a larger file system",
            ),
        ),
        check("firewall", "<img src=x onerror=alert(1)>", None),
    ];
    let doctor = json!({ "at_ms": now().as_millis(), "problem": null, "checks": checks });
    scaler.answers("GET /v1/host/doctor", doctor);
}

fn ledger() -> Value {
    let row = |service: &str, cost: Option<f64>, unpriced_s: u64| {
        json!({ "service": service, "instances": 2, "launches": 31, "runtime_ms": 912_345_000, "charged_s": 912_360,
                "cost": cost, "unpriced_s": unpriced_s })
    };
    let services = [row("market", None, 912_360), row("shop", Some(12.671_6), 0)];
    json!({ "since_ms": 1_790_000_000_000_u64, "at_ms": now().as_millis(), "services": services })
}

fn machine() -> Value {
    let now = now().as_millis();
    json!({
        "at_ms": now, "name": "box", "release": "0.1.0", "since_ms": now - 7_260_000,
        "processors": { "cores": 2, "load": [0.52, 0.25, 0.125] },
        "memory": { "total_mib": 7_900, "available_mib": 5_000 },
        "disk": { "folder": "/var/lib/bellows", "total_mib": 81_920, "free_mib": 812 },
        "room": {
            "memory_mib": 7_644, "left_mib": 7_388, "promised_mib": 128,
            "slots_used": 2, "slots_free": 1_019, "slots_withheld": 3,
        },
        "haproxy": {
            "version": "2.6.12-1+deb12u4", "since_ms": now - 90_000_000, "reloads": 17, "old_workers": 1,
            "connections": 3, "connections_max": 4_000,
        },
        "network": { "put_back": 2, "last": { "at_ms": now, "drift": "missing", "within_a_minute": 1 }, "trouble": null },
    })
}
