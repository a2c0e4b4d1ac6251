//! What the console costs with 20 services of which the load balancer tells 1,000 answers a second, and 10,000.
//!
//! `cargo bench -p console --bench answers` runs the program for 10 s with each, and judges the first. In a test it runs for
//! a second and judges nothing.

#![allow(clippy::unwrap_used, reason = "in a bench, to panic is to fail")]

#[path = "../tests/it/scaler.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod scaler;
#[path = "../tests/it/written.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod written;

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use console::samples;
use model::feed::FeedLine;
use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use scaler::{Console, FakeScaler, command, folder};

const SERVICES: u64 = 20;

/// How often lines are written in a second.
const WRITES: u64 = 100;

/// What the answers of 1,000 requests a second may take of a core.
const SHARE_MAX: f64 = 0.03;

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let seconds = if is_full { 10 } else { 1 };
    let folder = folder();
    let path = folder.path().join("answers.pipe");
    let mut pipe = pipe(&path);
    let scaler = FakeScaler::start(folder.path());
    let console =
        Console::started(command(&scaler.socket, folder.path()).arg("--answers").arg(path));
    scaler.is_read().await;
    let mut shares = Vec::new();
    for rate in [0, 1_000, 10_000, 0, 1_000] {
        let (began, before) = (Instant::now(), cpu_time(console.pid()));
        let mut timer =
            tokio::time::interval(Duration::from_secs(1) / u32::try_from(WRITES).unwrap());
        for turn in 0..seconds * WRITES {
            timer.tick().await;
            if turn.is_multiple_of(WRITES / 10) {
                scaler.tell(&turns());
            }
            pipe.write_all(&lines(turn, rate / WRITES)).unwrap();
        }
        let used = cpu_time(console.pid()) - before;
        let share = used.as_secs_f64() / began.elapsed().as_secs_f64();
        println!("{rate} answers a second: {:.2}% of a core", share * 100.0);
        shares.push(share);
    }
    // What is in the pipe is read within 50 ms.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = console.ask("/metrics", &[]).await.text().await.unwrap();
    let counted = told.lines().filter(|line| line.contains("response_seconds_count"));
    let counted: u64 =
        counted.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(counted, seconds * 12_000, "none is lost");
    let more = (shares[1] - shares[0]).max(shares[4] - shares[3]);
    println!("of 1,000 answers a second: {:.2}% of a core", more * 100.0);
    if is_full {
        assert!(more < SHARE_MAX, "{more}");
    }
}

/// A pipe that is held open as the load balancer's is.
fn pipe(path: &Path) -> File {
    nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap()
}

/// One turn of all services.
fn turns() -> Vec<FeedLine> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = u64::try_from(since_1970.as_millis()).unwrap();
    let turn = |number| FeedLine::Tick(Box::new(samples::tick(&format!("service-{number}"), at)));
    (0..SERVICES).map(turn).collect()
}

/// So many answers, between 3 and 90 ms.
fn lines(turn: u64, count: u64) -> Vec<u8> {
    let line = |number: u64| {
        let (service, time) = ((turn + number) % SERVICES, 3 + (turn * 31 + number * 7) % 88);
        format!("first service-{service} 200 +{time} --\n")
    };
    (0..count).map(line).collect::<String>().into_bytes()
}

fn cpu_time(pid: u32) -> Duration {
    let mut all = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        // In ns; of a thread that ended meanwhile it is lost.
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        all += text.split(' ').next().unwrap().parse().unwrap_or(0);
    }
    Duration::from_nanos(all)
}
