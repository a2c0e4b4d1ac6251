//! Whether the generator holds 10,000 requests/s on one core: `cargo bench -p loadgen`.
//!
//! A trivial server runs in a process of its own, pinned to the last core; the generator, pinned
//! to the first, offers Poisson arrivals of GETs of 64 bytes for 10 s. Exit code 1 when the 99th
//! percentile of its lateness is 5 ms or more, or when a request failed.
//!
//! Without `--bench`, as `cargo test --bench pace` runs it, it offers 100 requests/s for 1 s and
//! judges only whether one failed.

// The store of the tests serves here as well; the faults that it can have are not used.
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../tests/suite/support.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use loadgen::{Interrupt, LoadedScenario, RunOptions, RunReport};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use support::{Conduct, Store};

/// The argument that makes this program the server.
const SERVE: &str = "serve";
const MAX_LATENESS_MS: f64 = 5.0;
const SCENARIO: &str = r#"
name = "pace"
service = "trivial"
seed = 1
warm_up_s = 1

[[phases]]
kind = "constant"
duration_s = 11
rate = RATE

[objects]
count = 100
size = { kind = "fixed", bytes = 64 }

[limits]
max_failed = 0
max_dropped = 0
"#;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == SERVE) {
        serve();
    }
    // The argument that `cargo bench` gives and `cargo test` does not.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let cores = cores();
    pin(cores[0]);
    let mut server = start_server();
    let report = measure(&mut server, whole);
    server.kill().expect("the server can be stopped");
    server.wait().expect("the server ends");
    print(&report, cores.len());
    let late = report.summary.generator.lateness_ms.p99.is_none_or(|ms| ms >= MAX_LATENESS_MS);
    ExitCode::from(u8::from((whole && late) || report.ending.exit_code() != 0))
}

/// Serves until it is killed.
fn serve() -> ! {
    pin(*cores().last().expect("a process has a core"));
    println!("{}", Store::start(|_| Conduct::Good).url());
    loop {
        std::thread::park();
    }
}

fn start_server() -> Child {
    let program = std::env::current_exe().expect("the program has a path");
    Command::new(program)
        .arg(SERVE)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server can be started")
}

fn measure(server: &mut Child, whole: bool) -> RunReport {
    let (rate, time_factor) = if whole { ("10000", 1.0) } else { ("100", 0.1) };
    let mut url = String::new();
    let output = server.stdout.take().expect("the output is piped");
    BufReader::new(output).read_line(&mut url).expect("the server says its address");
    let folder = tempfile::tempdir().expect("there is room for the results");
    let file = folder.path().join("pace.toml");
    std::fs::write(&file, SCENARIO.replace("RATE", rate)).expect("there is room for the scenario");
    let options = RunOptions {
        scenario: LoadedScenario::read(&file, folder.path(), time_factor, None)
            .expect("it is a good one"),
        target: url.trim().parse().expect("it is a URL"),
        scaler: None,
        results: folder.path().to_owned(),
    };
    let (_sender, interrupt) = Interrupt::manual();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be started");
    runtime.block_on(loadgen::run(options, interrupt)).expect("the run comes to its end")
}

fn print(report: &RunReport, cores: usize) {
    let seconds = report.summary.duration_s;
    let rate = report.summary.requests.ok as f64 / seconds;
    println!("{rate:.0} requests/s for {seconds:.0} s, {cores} cores");
    print!("{}", report.text());
}

/// The cores that this process may use.
fn cores() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("the cores can be asked for");
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).expect("the core is one of this process");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a process may pin itself");
}
