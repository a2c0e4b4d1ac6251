//! What one instance costs another: requests that this one answers while that one takes what it can of
//! processor, memory, disk, network and output, beside those that it answers while that one rests. Prints a
//! table and has no bound that it could fail.
//!
//! The client and the instance that answers take a core together, and the limit of the other, `cpus = 1.0`, leaves
//! it to them on a host of two. `--only=KIND` does one of them. Without `--bench`, as `cargo test` runs it, each is
//! done once.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[path = "../examples/probe.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod probe;
#[path = "../tests/world/mod.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod world;

use std::time::{Duration, Instant};

use model::names::InstanceName;
use probe::attacks::{COPY, KINDS};
use world::World;

/// Shorter than an attack lasts.
const WINDOW: Duration = Duration::from_millis(700);

/// This program is also the init of the instances that it launches, and what that starts.
fn main() -> std::io::Result<()> {
    if std::process::id() == 1 || std::env::var_os(COPY).is_some() {
        return probe::main();
    }
    let whole = std::env::args().any(|argument| argument == "--bench");
    let pairs = if whole { 15 } else { 1 };
    let only = std::env::args().find_map(|it| it.strip_prefix("--only=").map(str::to_owned));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let world = World::with(&std::env::current_exe()?, "", "").await;
        let (answers, attacks) = (world.launch(251).await, world.launch(252).await);
        println!("{:12} {:>9} {:>9} {:>6}", "attack", "quiet /s", "under /s", "ratio");
        for kind in KINDS.iter().filter(|kind| only.as_ref().is_none_or(|only| only == *kind)) {
            row(&world, &answers, &attacks, kind, pairs);
        }
        Ok(())
    })
}

/// In turns, so that what else the host does meets both.
fn row(world: &World, answers: &InstanceName, attacks: &InstanceName, kind: &str, pairs: usize) {
    let (mut quiet, mut under) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        quiet.push(answered(world, answers));
        assert_eq!(world.get(attacks, &format!("/attack?{kind}")).unwrap(), "true");
        under.push(answered(world, answers));
        // It has ended before the next turn.
        std::thread::sleep(Duration::from_millis(500));
    }
    quiet.sort_unstable();
    under.sort_unstable();
    let per_second = |counts: &[u32]| f64::from(counts[pairs / 2]) / WINDOW.as_secs_f64();
    let (quiet, under) = (per_second(&quiet), per_second(&under));
    println!("{kind:12} {quiet:9.0} {under:9.0} {:6.2}", under / quiet);
}

/// How many requests, one after the other, it answers within the window.
fn answered(world: &World, instance: &InstanceName) -> u32 {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < WINDOW {
        world.get(instance, "/").unwrap();
        count += 1;
    }
    count
}
