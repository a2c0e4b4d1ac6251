//! An experiment that a program with a token asks for: it runs without rights, and leaves all as it was.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::api::Program;
use super::client::Client;
use super::machine::command_lines;
use super::system::{bellows, expect_code, text, within};

const EXPERIMENTS: &str = "/v1/experiments";
const KEPT: &str = "/var/lib/bellows/experiments";
const POLICY: &str = "/v1/services/object-store/policy";

/// How long the load generator may take to begin: the service comes to rest first, and 200 objects are stored.
const BEGINS: Duration = Duration::from_secs(60);

/// How long an experiment may take to end in order: what is under way has 10 s, and 200 objects are removed.
const ENDS: Duration = Duration::from_secs(60);

pub(crate) fn an_experiment_runs_without_rights_and_leaves_all_as_it_was(client: &Client) {
    let program = Program::make(client, "tries", "read,operate", Some("object-store"));
    let before = program.get(POLICY);
    it_is_carried_out_and_its_results_are_kept(&program, &before);
    it_is_ended_before_its_time(&program, &before);
    one_whose_process_is_killed_leaves_nothing_set(&program, &before);
    expect_code(&bellows(&["token", "revoke", "tries"]), 0);
}

/// The tokens of experiments.
fn tokens() -> Vec<String> {
    let listed = text(&bellows(&["token", "list"]));
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with("experiment-")).map(str::to_owned).collect()
}

fn it_is_carried_out_and_its_results_are_kept(program: &Program, before: &Value) {
    // 20 s of load, and then until the service is at rest.
    let asked = json!({"scenario": "any-service", "policy": "target_tracking", "time_factor": 0.2});
    let place = begin(program, &asked);
    let pid = load_generator();
    assert_eq!(without_rights(pid), None);
    within(BEGINS, "its policy is set", || program.get(POLICY)["set"]["kind"] == "target_tracking");
    let second = program.send(Method::POST, EXPERIMENTS, |request| request.json(&asked));
    assert_eq!(second.status, StatusCode::CONFLICT, "{}", second.text());
    assert_eq!(tokens().len(), 1, "those that others left are gone");
    let job = ended(program, &place, Duration::from_secs(150));
    assert_eq!(job["outcome"]["is_well"], true, "{job}");
    assert_eq!(tokens(), [""; 0]);
    assert_eq!(program.get(POLICY), *before);

    let id = job["id"].as_str().expect("an id");
    let folder = Path::new(KEPT).join(id);
    let results = fs::canonicalize(folder.join("results/latest")).expect("there are results");
    let owner = fs::metadata(Path::new("/var/lib/bellows/console")).expect("read").uid();
    for name in ["summary.json", "series.csv", "ticks.jsonl", "chart.svg", "report.html"] {
        let file = fs::metadata(results.join(name)).expect(name);
        assert_eq!((file.uid(), file.len() > 100), (owner, true), "{name}");
    }
    assert!(!folder.join("services").exists());
    let listed = program.get(EXPERIMENTS);
    assert_eq!(listed["experiments"][0]["experiment"]["id"], id, "{listed}");
    let one = program.get(&format!("{EXPERIMENTS}/{id}"));
    let figures = &one["runs"][0]["result"]["figures"];
    assert_eq!(figures["requests.failed"], 0.0, "{one}");
    assert!(figures["requests.due"].as_f64().is_some_and(|due| due > 1_000.0), "{one}");
    for path in ["runs/run/chart.svg", "report"] {
        let path = format!("{EXPERIMENTS}/{id}/{path}");
        let answer = program.send(Method::GET, &path, |request| request);
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        let policy = answer.headers["content-security-policy"].to_str().expect("text").to_owned();
        assert!(policy.contains("sandbox"), "{path}: {policy}");
    }
}

fn it_is_ended_before_its_time(program: &Program, before: &Value) {
    let place = begin(program, &json!({"scenario": "ramp", "policy": "hpa"}));
    offers_load(program, &place);
    let path = format!("{place}/interrupt");
    let asked = program.send(Method::POST, &path, |request| request);
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.text());
    let job = ended(program, &place, ENDS);
    let verdict = job["outcome"]["verdict"].as_str().unwrap_or_default();
    assert!(verdict.contains("what was measured is kept"), "{job}");
    assert_eq!(program.get(POLICY), *before);
    let again = program.send(Method::POST, &path, |request| request);
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.text());
}

fn one_whose_process_is_killed_leaves_nothing_set(program: &Program, before: &Value) {
    let place = begin(program, &json!({"scenario": "ramp", "policy": "hpa"}));
    let load = load_generator();
    offers_load(program, &place);
    let id = place.rsplit('/').next().expect("an id");
    let process = format!("job {id}");
    let (pid, _) = command_lines()
        .into_iter()
        .find(|(_, line)| line.contains(&process))
        .expect("the job's process");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
    within(ENDS, "the load generator ended in order", || !Path::new(&proc_of(load)).exists());
    assert_eq!(program.get(POLICY), *before);
    let job = ended(program, &place, ENDS);
    let verdict = job["outcome"]["verdict"].as_str().unwrap_or_default();
    assert!(verdict.contains("cut off"), "{job}");
    // Nobody revoked its token: it ends by itself, or the next experiment does.
    assert_eq!(tokens(), [format!("experiment-{id}")]);
}

/// Where the job is told of.
fn begin(program: &Program, asked: &Value) -> String {
    let begun = program.send(Method::POST, EXPERIMENTS, |request| request.json(asked));
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.text());
    begun.headers["location"].to_str().expect("text").to_owned()
}

fn ended(program: &Program, place: &str, limit: Duration) -> Value {
    let mut job = Value::Null;
    within(limit, "the experiment ended", || {
        std::thread::sleep(Duration::from_millis(200));
        job = program.get(place);
        !job["outcome"].is_null()
    });
    job
}

/// The process of the load generator.
fn load_generator() -> i32 {
    let mut found = None;
    within(BEGINS, "the load generator runs", || {
        let is_it = |(_, line): &(i32, String)| line.contains("/load-generator --with-parent");
        found = command_lines().into_iter().find(is_it).map(|(pid, _)| pid);
        found.is_some()
    });
    found.expect("it was found")
}

/// Waits until it has said what came of the first seconds of load.
fn offers_load(program: &Program, place: &str) {
    let log = format!("{place}/log");
    within(BEGINS, "load is offered", || {
        std::thread::sleep(Duration::from_millis(200));
        program.send(Method::GET, &log, |request| request).text().contains(" ok, ")
    });
}

fn proc_of(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// What it may do that it must not; nothing where all is well.
fn without_rights(pid: i32) -> Option<String> {
    let status = fs::read_to_string(proc_of(pid).join("status")).expect("it runs");
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.map(str::trim).unwrap_or_default().to_owned()
    };
    let is_root = line("Uid:").split_whitespace().any(|id| id == "0");
    let is_in_roots_groups = line("Groups:").split_whitespace().any(|id| id == "0");
    let has_rights = ["CapPrm:", "CapEff:"].iter().any(|name| line(name) != "0000000000000000");
    let may_win_some = line("NoNewPrivs:") != "1";
    (is_root || is_in_roots_groups || has_rights || may_win_some).then_some(status)
}
