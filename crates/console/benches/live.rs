//! What the console costs with 20 services, 200 instances and 10 readers, of live data and of pages.
//!
//! `cargo bench -p console@0.1.0 --bench live` runs the program for 30 s of each against a scaler that tells ten turns a second, and
//! judges the figures. In a test it runs for a second each and judges nothing.

#![allow(clippy::unwrap_used, reason = "in a bench, to panic is to fail")]

#[path = "../tests/it/scaler.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod scaler;
#[path = "../tests/it/written.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod written;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use console::samples;
use futures_util::StreamExt as _;
use model::feed::{FeedLine, InstanceFigures};
use scaler::{Console, FakeScaler, folder};

const SERVICES: u64 = 20;
const INSTANCES: u64 = 10;
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

/// One turn of all services; once a second with all instances.
fn lines(turn: u64) -> Vec<FeedLine> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = u64::try_from(since_1970.as_millis()).unwrap();
    let mut lines = Vec::new();
    for number in 0..SERVICES {
        let service = format!("service-{number}");
        let mut tick = samples::tick(&service, at);
        // One in a hundred changes something.
        tick.sequence =
            if (turn + number).is_multiple_of(100) { turn * SERVICES + number + 1 } else { 0 };
        tick.observation.offered_rps = Some(f64::from(u32::try_from(turn).unwrap()) / 3.0);
        (tick.observation.queued, tick.observation.in_flight) = (Some(0), Some(7));
        lines.push(FeedLine::Tick(Box::new(tick)));
        if turn.is_multiple_of(10) {
            let names: Vec<_> = (1..=INSTANCES)
                .map(|slot| format!("bw-{service}-{}-a", number * INSTANCES + slot))
                .collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let mut feed = samples::service_feed(&service, at, &names);
            for figures in &mut feed.instances {
                let name = figures.name.clone();
                let (cpu_time_us, requests) = (Some(turn * 1_000), Some(turn * 30));
                let (memory_bytes, in_flight) = (Some(turn << 20), Some(3));
                *figures = InstanceFigures { name, cpu_time_us, memory_bytes, in_flight, requests };
            }
            lines.push(FeedLine::Service(Box::new(feed)));
        }
    }
    lines
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
