//! Instances on real LXC: they launch, are confined, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod confinement;
mod launches;
mod limits;
mod network;
#[path = "../world/mod.rs"]
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::time::{Duration, Instant};

use model::names::InstanceName;
use world::run;

/// No time to end: the probe is process 1 of its instance and has no handler unless it is told to.
const KILL: Duration = Duration::ZERO;

/// The pid on the host of an instance's init.
fn init(instance: &InstanceName) -> String {
    let home = world::homes().into_iter().find(|home| home.join(instance.as_str()).exists());
    let home = home.unwrap().display().to_string();
    run("lxc-info", &["-P", &home, "-n", instance.as_str(), "-p", "-H"]).trim().to_owned()
}

async fn wait_for(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(5), "it did not come to hold in 5 s");
        // A launch, and its file, lasts for 16 ms on a machine at rest.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
