//! Addresses of others, which the programs of these tests try to reach: whatever the firewall does, and whatever is
//! taken away first, this host sends nothing there.

use super::run;

/// One of documentation, which nobody has, and that of metadata services, which a cloud's host has.
pub(crate) const BEYOND: [&str; 2] = ["192.0.2.9", "169.254.169.254"];

/// Worse than that of any other route, so that a test may lead one of the addresses to a machine of its own.
const METRIC: &str = "4000000000";

/// Routes that lead nowhere, as long as this lives. The instances' own network is not among them: that it leads
/// nowhere without its bridge is what a test is to see of the route that Bellows makes.
pub(crate) struct Held;

impl Held {
    /// Who calls holds the lock of these tests.
    pub(super) fn take() -> Self {
        for address in BEYOND {
            run("ip", &["route", "replace", "unreachable", address, "metric", METRIC]);
            let route = run("ip", &["route", "get", address]);
            assert_eq!(route, "", "there is a way to {address}");
        }
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for address in BEYOND {
            run("ip", &["route", "del", "unreachable", address, "metric", METRIC]);
        }
    }
}
