//! What the console costs with 20 services, 200 instances and 10 readers, of live data and of pages.
//!
//! `cargo bench -p console@0.1.0 --bench live` runs the program for 30 s of each against a scaler that tells ten turns a second, and
//! judges the figures. In a test it runs for a second each and judges nothing.

#![allow(clippy::unwrap_used, reason = "in a bench, to panic is to fail")]

#[allow(dead_code, reason = "other benches use more of it")]
mod large;
#[path = "../tests/it/scaler.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod scaler;
#[path = "../tests/it/written.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod written;

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use large::lines;
use scaler::{Console, FakeScaler, folder};

const READERS: usize = 10;

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    for path in ["/v1/live", "/", "/services/service-7"] {
        let (share, memory) = read(path, if is_full { 30 } else { 1 }).await;
        println!("{READERS} readers of {path}: {:.1}% of a core, {memory} MiB", share * 100.0);
        if is_full {
            assert!(share < 0.1, "{share}");
            assert!(memory < 100, "{memory}");
        }
    }
}

/// The share of a core and the memory that the console takes for so many seconds while this path is followed.
async fn read(path: &str, seconds: u64) -> (f64, u64) {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    // So that there are the services whose pages are followed.
    scaler.tell(&lines(0));
    console.until("/v1/services", |it| it["services"].as_array().map(Vec::len) == Some(20)).await;
    for _ in 0..READERS {
        let mut live = console.follow(path).await;
        std::thread::spawn(move || drop_all(&mut live));
    }
    // From here on, what it took to start does not count.
    let (began, before) = (Instant::now(), cpu_time(console.pid()));
    let mut timer = tokio::time::interval(Duration::from_millis(100));
    for turn in 1..=seconds * 10 {
        timer.tick().await;
        scaler.tell(&lines(turn));
    }
    let used = cpu_time(console.pid()) - before;
    (used.as_secs_f64() / began.elapsed().as_secs_f64(), resident_mib(console.pid()))
}

/// Takes what comes.
fn drop_all(live: &mut scaler::Live) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { while live.parts.next().await.is_some() {} });
}

fn cpu_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Ticks of a hundredth of a second, in this process and in the kernel for it.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}

fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
