//! What one instance costs another: requests that this one answers while that one takes what it can of
//! memory, disk, network and output, beside those that it answers while that one takes its CPU time alone, which
//! is its own. Prints a table, and ends with 1 when one costs more than a tenth.
//!
//! The client and the instance that answers are on one core, the other instance is on another: what is left to
//! tell apart is what leaks from one to the other through the host, and not how the kernel divides a core between
//! three. A core at rest would wake slowly and make attacks look like help; beside `spin` both are awake.
//! `--only=KIND` does one of them. Without `--bench`, as `cargo test` runs it, each is done once.

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
use world::{World, run};

/// Shorter than an attack lasts.
const WINDOW: Duration = Duration::from_millis(700);

/// What is left to others of what they have beside the attacker's CPU time alone.
const WANTED: f64 = 0.9;

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
        keep_on(0, std::process::id());
        keep_on(0, first_process(&world, &answers));
        keep_on(1, first_process(&world, &attacks));
        println!(
            "{:12} {:>8} {:>8} {:>7} {:>13}",
            "attack", "spin /s", "under /s", "ratio", "quartiles"
        );
        let mut costly = Vec::new();
        for kind in KINDS.iter().filter(|kind| only.as_ref().is_none_or(|only| only == *kind)) {
            let ratio = row(&world, &answers, &attacks, kind, pairs);
            if whole && ratio < WANTED {
                costly.push(format!("{kind}: {ratio:.2}"));
            }
        }
        let told = || std::io::Error::other(format!("below {WANTED}: {}", costly.join(", ")));
        if costly.is_empty() { Ok(()) } else { Err(told()) }
    })
}

/// All threads of it, and those that they start.
fn keep_on(core: u32, process: u32) {
    let told = run("taskset", &["-a", "-c", "-p", &core.to_string(), &process.to_string()]);
    assert!(told.contains("new affinity"), "this machine has no core {core}");
}

fn first_process(world: &World, instance: &InstanceName) -> u32 {
    let home = world.home();
    let told =
        run("lxc-info", &["-P", home.to_str().unwrap(), "-n", instance.as_str(), "-p", "-H"]);
    told.trim().parse().unwrap()
}

/// In turns, so that what else the host does meets both. Returns the median of the ratios.
fn row(
    world: &World,
    answers: &InstanceName,
    attacks: &InstanceName,
    kind: &str,
    pairs: usize,
) -> f64 {
    let mut turns: Vec<(f64, f64)> = (0..pairs)
        .map(|_| (under(world, answers, attacks, "spin"), under(world, answers, attacks, kind)))
        .collect();
    turns.sort_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
    let ratio = |at: usize| turns[at].1 / turns[at].0;
    let (spin, attacked) = turns[pairs / 2];
    let (low, median, high) = (ratio(pairs / 4), ratio(pairs / 2), ratio(pairs * 3 / 4));
    println!("{kind:12} {spin:8.0} {attacked:8.0} {median:7.2} {low:6.2}-{high:.2}");
    median
}

/// Requests that the one answers in a second, while the other does this.
fn under(world: &World, answers: &InstanceName, attacks: &InstanceName, kind: &str) -> f64 {
    // On a busy host the attack of before may still have all descriptors of its instance.
    let begun = (0..20).find_map(|_| world.get(attacks, &format!("/attack?{kind}")).ok());
    assert_eq!(begun.as_deref(), Some("true"));
    let count = answered(world, answers);
    // It has ended before the next turn.
    std::thread::sleep(Duration::from_millis(500));
    f64::from(count) / WINDOW.as_secs_f64()
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
