//! What it costs HAProxy to tell of each answer: pairs of runs with the line of the template and without it, both at the same
//! time, so that whatever else this host does falls on both. Prints requests a second and HAProxy's CPU time a request,
//! and ends with 1 when the line costs more than a tenth of it. Takes `wrk`, which `scripts/setup benches` installs.
//!
//! Without `--bench`, as `cargo test` runs it, there is one short pair and no judgement.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

#[path = "../tests/haproxy/rig.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod rig;
#[path = "../tests/haproxy/supervised.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod supervised;

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use host::answer_pipe::AnswerPipe;
use host::haproxy::ServerState;
use host::settings::{Membership, SourceSettings};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc::O_NONBLOCK;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use rig::Rig;
use supervised::processes;

/// What the line may cost of HAProxy's CPU time a request.
const COST_MAX: f64 = 1.1;

/// The lines of the template that tell.
const TELLS: [&str; 3] = [
    "    option logasap\n",
    "    log \"${ {{- answers_pipe -}} }\" format raw local0\n",
    "    log-format \"{{ attempt }} %b %ST %Ta %ts\"\n",
];

#[derive(Debug, Clone, Copy)]
struct Measured {
    requests_per_s: f64,
    cpu_us: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> std::io::Result<()> {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (pairs, seconds) = if whole { (31, 2) } else { (1, 1) };
    println!("{:>12} {:>12} {:>8} {:>8} {:>8}", "without /s", "with /s", "us", "us", "cost");
    let (mut costs, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        // Anew each time: between two starts the same HAProxy differs by more than the line costs.
        let (with, without) = (Side::start(true).await, Side::start(false).await);
        let (told, plain) = std::thread::scope(|scope| {
            let plain = scope.spawn(|| without.measure(seconds));
            (with.measure(seconds), plain.join().unwrap())
        });
        let (cost, rate) = (told.cpu_us / plain.cpu_us, told.requests_per_s / plain.requests_per_s);
        println!(
            "{:>12.0} {:>12.0} {:>8.2} {:>8.2} {cost:>8.3}",
            plain.requests_per_s, told.requests_per_s, plain.cpu_us, told.cpu_us
        );
        costs.push(cost);
        rates.push(rate);
    }
    let (cost, rate) = (median(costs), median(rates));
    println!("CPU time a request {cost:.3}, throughput {rate:.3} of that without");
    if whole && cost > COST_MAX {
        return Err(std::io::Error::other(format!("{cost:.3} is more than {COST_MAX}")));
    }
    Ok(())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// HAProxy with an instance behind it.
struct Side {
    rig: Rig,
    tells: bool,
    /// HAProxy, and the instance.
    children: [Child; 2],
}

impl Side {
    async fn start(tells: bool) -> Self {
        let mut rig = Rig::new(Membership::Runtime, 1);
        let none = TELLS.map(|line| (line, ""));
        // As many requests as come.
        let per_second = 1_000_000.try_into().unwrap();
        let sources = SourceSettings { per_second, ..SourceSettings::default() };
        rig.customise(sources, if tells { &[] } else { &none });
        rig.servers[0].concurrency = 1_000.try_into().unwrap();
        rig.set(1, ServerState::Ready);
        let instance = instance(&rig);
        rig.haproxy.prepare(&rig.backends()).await.unwrap();
        let pipe = pipe(&rig.settings.answers_pipe);
        let mut command = Command::new("haproxy");
        command.args(rig.settings.arguments()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("BELLOWS_ANSWERS", format!("fd@{}", pipe.as_raw_fd()));
        let children = [command.spawn().expect("haproxy must be installed"), instance];
        rig.stats().await;
        Self { rig, tells, children }
    }

    /// Has it answer as much as it can, with somebody who reads what it tells, as the console does.
    fn measure(&self, seconds: u32) -> Measured {
        let mut pipe = AnswerPipe::open(&self.rig.settings.answers_pipe).unwrap();
        let (ended, told) = (AtomicBool::new(false), AtomicU64::new(0));
        let before = self.cpu_ns();
        let requests = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(50));
                    let mut more = 0;
                    pipe.read(|_| more += 1).unwrap();
                    told.fetch_add(more, Ordering::Relaxed);
                }
            });
            let requests = wrk(&self.rig.url("/"), seconds);
            // The last lines are read too.
            std::thread::sleep(Duration::from_millis(200));
            ended.store(true, Ordering::Relaxed);
            requests
        });
        let used = self.cpu_ns() - before;
        let told = told.load(Ordering::Relaxed);
        // wrk does not count what was under way at its end.
        let expected = if self.tells { requests..=requests + 100 } else { 0..=0 };
        assert!(expected.contains(&told), "{told} answers of {requests} were told");
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let requests = requests as f64;
        Measured {
            requests_per_s: requests / f64::from(seconds),
            cpu_us: used.as_secs_f64() * 1e6 / requests,
        }
    }

    /// The CPU time of HAProxy's processes.
    fn cpu_ns(&self) -> Duration {
        let tasks =
            processes(&self.rig.settings.config_file.to_string()).0.into_iter().flat_map(|pid| {
                std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten()
            });
        let ns = tasks.map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0)
        });
        Duration::from_nanos(ns.sum())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        for child in &mut self.children {
            rig::kill(child.id().try_into().unwrap(), Signal::SIGTERM);
            child.wait().unwrap();
        }
    }
}

/// A pipe as the supervisor holds it for HAProxy, which inherits it.
fn pipe(path: &Path) -> File {
    nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let mut options = OpenOptions::new();
    let pipe = options.read(true).write(true).custom_flags(O_NONBLOCK).open(path).unwrap();
    fcntl(&pipe, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    pipe
}

/// An instance that answers at once: another HAProxy, the quickest that is here.
fn instance(rig: &Rig) -> Child {
    let file = rig.folder.path().join("instance.cfg");
    let config = format!(
        "defaults\n    mode http\n    timeout client 60s\n    timeout connect 1s\n    timeout server 1s\n\
         frontend all\n    bind {}\n    http-request return status 200 content-type text/plain string hello\n",
        rig.servers[0].address
    );
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("haproxy must be installed")
}

/// Requests that were answered.
fn wrk(url: &str, seconds: u32) -> u64 {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c32", &format!("-d{seconds}")]).arg(url);
    let output = wrk.output().expect("run `scripts/setup benches`");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("Non-2xx"), "{text}");
    let line = text.lines().find(|line| line.contains(" requests in ")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
