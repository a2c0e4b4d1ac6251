//! The whole system on real containers: brought up by the recipes that people run, used, scaled,
//! hurt, and taken down.
//!
//! It takes a running system down first, so it runs only when asked for:
//! `cargo test --workspace --test end_to_end -- --ignored --nocapture`, which `just test` does.

#[path = "end_to_end/api.rs"]
mod api;
#[path = "end_to_end/client.rs"]
mod client;
#[path = "end_to_end/console.rs"]
mod console;
#[path = "end_to_end/deploy.rs"]
mod deploy;
#[path = "end_to_end/egress.rs"]
mod egress;
#[path = "end_to_end/experiment.rs"]
mod experiment;
#[path = "end_to_end/killed.rs"]
mod killed;
#[path = "end_to_end/login.rs"]
mod login;
#[path = "end_to_end/logs.rs"]
mod logs;
#[path = "end_to_end/machine.rs"]
mod machine;
#[path = "end_to_end/operator.rs"]
mod operator;
#[path = "end_to_end/rollout.rs"]
mod rollout;
#[path = "end_to_end/secrets.rs"]
mod secrets;
#[path = "end_to_end/stranger.rs"]
mod stranger;
#[path = "end_to_end/system.rs"]
mod system;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use api::{
    a_program_deploys_acts_and_is_told_of_others_by_the_api, everything_is_stopped_by_the_api,
};
use client::Client;
use console::a_killed_console_costs_no_request_and_no_turn_and_remembers;
use deploy::{
    a_first_deploy_that_failed_is_shown_until_it_is_removed,
    a_flask_application_is_deployed_goes_back_by_itself_and_by_hand,
    a_folder_of_files_and_a_program_are_deployed,
    an_asgi_application_with_a_websocket_and_events_lives_through_a_deploy,
    what_a_stateful_service_keeps_goes_only_where_that_is_said,
    what_is_nothing_that_runs_is_refused_and_leaves_nothing,
};
use egress::the_way_out_is_there_where_a_file_names_hosts_and_leads_nowhere_else;
use experiment::an_experiment_runs_without_rights_and_leaves_all_as_it_was;
use killed::{
    a_killed_instance_is_replaced, a_policy_that_is_set_outlives_the_scaler,
    an_instance_that_stands_still_costs_no_request, killed_programs_are_back_within_a_second,
};
use login::a_browser_logs_in_once_by_the_link_of_an_operator_and_logs_out;
use logs::{only_those_who_may_read_it_see_what_instances_wrote, what_instances_write_is_kept};
use machine::{Machine, command_lines, output};
use operator::an_operator_holds_a_number_and_is_told_why_and_why_not;
use rollout::{
    a_typing_error_in_the_health_path_fails_no_request, another_version_is_rolled_out_under_load,
    copy_of_the_tree,
};
use secrets::a_secret_reaches_instances_and_is_shown_by_nothing;
use stranger::{
    a_stranger_connects_to_what_is_for_strangers_alone,
    a_stranger_gets_nothing_of_instances_by_lxcs_tools, a_stranger_reads_and_changes_nothing,
    a_strangers_process_with_a_units_mark_counts_for_nothing,
    a_token_is_of_use_until_it_is_revoked,
    of_all_that_lies_on_the_disk_a_stranger_reads_little_and_writes_nothing,
};
use system::{
    Down, SetAside, bellows, cargo, expect_code, from_elsewhere, instances, just,
    just_with_strict_umask, program_of, program_pid, programs, scaler, status, text, tree, within,
};

/// Where installed releases are.
const RELEASES: &str = "/var/lib/bellows/releases";

/// How long HAProxy and the scaler may be away after `kill -9`.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// How long `up` may take when everything is built.
const SECOND_UP_WITHIN: Duration = Duration::from_secs(10);

#[test]
#[ignore = "brings the whole system up and down: run by `just test`"]
fn the_system_comes_up_serves_scales_heals_and_leaves_nothing_behind() {
    expect_code(&just(&["down"]), 0);
    let _set_aside = SetAside::take();
    let before = Machine::read();
    bad_input_changes_nothing(&before);

    let down = Down;
    comes_up_and_a_second_time_changes_nothing();
    a_second_scaler_does_not_start();
    let client = Client::new();
    objects_are_stored_and_fetched(&client);
    the_readmes_examples_work_as_they_stand();
    bad_input_leaves_the_running_system_alone(&client);
    no_request_fails("ramp");
    no_tree_is_needed();
    a_newer_release_takes_over_and_no_request_fails();
    a_policy_that_is_set_outlives_the_scaler();
    an_operator_holds_a_number_and_is_told_why_and_why_not(&client);
    killed_programs_are_back_within_a_second(&client);
    a_killed_console_costs_no_request_and_no_turn_and_remembers(&client);
    a_killed_instance_is_replaced(&client);
    an_instance_that_stands_still_costs_no_request(&client);
    rules_that_somebody_removed_are_back();
    an_idle_service_has_no_instance_and_answers(&client);
    what_instances_write_is_kept();
    a_token_is_of_use_until_it_is_revoked();
    a_browser_logs_in_once_by_the_link_of_an_operator_and_logs_out();
    the_running_system_can_be_measured();
    a_typing_error_in_the_health_path_fails_no_request(&client, || {
        only_those_who_may_read_it_see_what_instances_wrote();
    });
    another_version_is_rolled_out_under_load(&client);
    the_way_out_is_there_where_a_file_names_hosts_and_leads_nowhere_else();
    a_secret_reaches_instances_and_is_shown_by_nothing();
    what_is_nothing_that_runs_is_refused_and_leaves_nothing();
    a_flask_application_is_deployed_goes_back_by_itself_and_by_hand(&client);
    an_asgi_application_with_a_websocket_and_events_lives_through_a_deploy(&client);
    a_folder_of_files_and_a_program_are_deployed(&client);
    what_a_stateful_service_keeps_goes_only_where_that_is_said();
    a_first_deploy_that_failed_is_shown_until_it_is_removed();
    a_program_deploys_acts_and_is_told_of_others_by_the_api(&client);
    an_experiment_runs_without_rights_and_leaves_all_as_it_was(&client);
    // Once there is all that is to be closed to him: tokens, secrets, output.
    a_stranger_reads_and_changes_nothing();
    of_all_that_lies_on_the_disk_a_stranger_reads_little_and_writes_nothing();
    a_stranger_connects_to_what_is_for_strangers_alone();
    a_stranger_gets_nothing_of_instances_by_lxcs_tools();
    a_strangers_process_with_a_units_mark_counts_for_nothing();
    switch_to_reloads();
    no_request_fails("spike");
    everything_is_stopped_by_the_api(&client);
    Machine::read().assert_same_as(&before);
    expect_code(&bellows(&["up"]), 0);

    std::mem::forget(down);
    goes_down_and_leaves_nothing(&before);
}

fn bad_input_changes_nothing(before: &Machine) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.toml");
    fs::write(&file, "[network]\nbridge = \"bellows0\"\nsubnet = \"8.8.8.0/24\"\n")
        .expect("written");
    let output = bellows(&["--settings", &file.to_string_lossy(), "up"]);
    expect_code(&output, 2);
    for part in ["bad.toml", "subnet", "8.8.8.0/24", "10.0.0.0/8"] {
        assert!(text(&output).contains(part), "{part} is not in:\n{}", text(&output));
    }
    Machine::read().assert_same_as(before);
}

fn comes_up_and_a_second_time_changes_nothing() {
    let first = just_with_strict_umask(&["up"]);
    expect_code(&first, 0);
    assert!(text(&first).contains("curl http://127.0.0.1:8080/"), "{}", text(&first));
    let (haproxy, scaler) = (program_pid("haproxy"), program_pid("scaler"));
    let names = instances("ready");

    let start = Instant::now();
    let second = bellows(&["up"]);
    expect_code(&second, 0);
    assert!(start.elapsed() < SECOND_UP_WITHIN, "up took {:?}", start.elapsed());
    assert!(text(&second).contains("nothing had to be changed"), "{}", text(&second));
    assert_eq!((program_pid("haproxy"), program_pid("scaler")), (haproxy, scaler));
    assert_eq!(instances("ready"), names);
}

/// What runs runs from an installed release, and so does the command on the `PATH`.
fn no_tree_is_needed() {
    assert!(program_of(program_pid("scaler")).starts_with(RELEASES));
    let command = fs::canonicalize("/usr/local/bin/bellows").expect("it is on the PATH");
    assert!(command.starts_with(RELEASES), "{command:?}");
    for words in [
        &["status"][..],
        &["doctor"],
        &["bounds", "object-store"],
        &["policy", "object-store", "hpa-quick"],
        &["policy", "object-store", "default"],
        &["membership"],
    ] {
        expect_code(&from_elsewhere("bellows", words), 0);
    }
    let nothing = from_elsewhere("bellows", &["up"]);
    expect_code(&nothing, 2);
    assert!(text(&nothing).contains("--tree"), "{}", text(&nothing));
}

fn a_newer_release_takes_over_and_no_request_fails() {
    let build = tempfile::tempdir().expect("a folder");
    for name in
        ["bellows", "scaler", "console", "egress", "object-store", "init", "loadgen", "report"]
    {
        fs::copy(programs().join(name), build.path().join(name)).expect("copied");
    }
    // A byte that changes nothing makes it another build.
    let file = fs::OpenOptions::new().append(true).open(build.path().join("scaler"));
    file.and_then(|mut file| file.write_all(b" ")).expect("written");
    let (haproxy, scaler) = (program_pid("haproxy"), program_pid("scaler"));
    let before = program_of(scaler);
    let load = std::thread::spawn(|| no_request_fails("steps"));
    std::thread::sleep(Duration::from_secs(5));
    let newer = build.path().join("bellows");
    let newer = newer.to_str().expect("text");
    let tree = tree();
    let up = from_elsewhere(newer, &["--tree", tree.to_str().expect("text"), "up"]);
    expect_code(&up, 0);
    load.join().expect("no request failed");
    assert_eq!(program_pid("haproxy"), haproxy, "HAProxy runs on");
    assert_ne!(program_pid("scaler"), scaler);
    let after = program_of(program_pid("scaler"));
    assert!(after.starts_with(RELEASES) && after != before, "{after:?}");
    drop(build);
    assert!(text(&from_elsewhere("bellows", &["status"])).contains("object-store"));
    expect_code(&bellows(&["up"]), 0);
    assert_eq!(
        program_of(program_pid("scaler")),
        before,
        "the release of before is in force again"
    );
}

fn a_second_scaler_does_not_start() {
    let first = program_pid("scaler");
    let second = scaler(&["--settings", "/run/bellows/bellows.toml"]);
    expect_code(&second, 1);
    assert!(text(&second).contains(&format!("held by process {first}")), "{}", text(&second));
    assert_eq!(program_pid("scaler"), first);
}

fn objects_are_stored_and_fetched(client: &Client) {
    let path = "/objs/end-to-end%2Fpicture";
    let body: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let put = client.send(Method::PUT, path, |r| r.body(body.clone()));
    assert_eq!(put.status, StatusCode::CREATED);
    let again = client.send(Method::PUT, path, |r| r.body(body.clone()));
    assert_eq!(again.status, StatusCode::NO_CONTENT);

    let got = client.send(Method::GET, path, |r| r);
    assert_eq!((got.status, &got.body), (StatusCode::OK, &body));
    let server = got.headers["x-bellows-server"].to_str().expect("text");
    assert!(server.starts_with('s'), "{server}");
    let etag = got.headers["etag"].clone();
    let known = client.send(Method::GET, path, |r| r.header("if-none-match", etag));
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let part = client.send(Method::GET, path, |r| r.header("range", "bytes=10-19"));
    assert_eq!((part.status, part.body.as_slice()), (StatusCode::PARTIAL_CONTENT, &body[10..20]));

    let list = client.send(Method::GET, "/?prefix=end-to-end", |r| r);
    let ids: Vec<String> = serde_json::from_slice(&list.body).expect("a list of ids");
    assert_eq!(ids, ["end-to-end/picture"]);
    assert_eq!(client.send(Method::DELETE, path, |r| r).status, StatusCode::NO_CONTENT);
    let gone = client.send(Method::GET, path, |r| r);
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let problem: Value = serde_json::from_slice(&gone.body).expect("errors are JSON");
    assert!(problem["error"]["code"].is_string() && problem["error"]["message"].is_string());
    let bad = client.send(Method::GET, "/objs/%00", |r| r);
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

/// Every block of the README that starts with curl or sets bounds is pasted into a shell.
fn the_readmes_examples_work_as_they_stand() {
    let readme = fs::read_to_string(tree().join("README.md")).expect("README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let is_example = |block: &&str| block.starts_with("curl") || block.starts_with("./just bounds");
    let examples: Vec<&str> = blocks.filter(is_example).collect();
    assert!(examples.len() >= 3, "the README has {} examples", examples.len());
    for block in examples {
        let script = block.replace("curl ", "curl --fail-with-body --silent --show-error ");
        let output =
            Command::new("sh").args(["-euc", &script]).current_dir(tree()).output().expect("sh");
        expect_code(&output, 0);
    }
}

fn bad_input_leaves_the_running_system_alone(client: &Client) {
    let (haproxy, scaler) = (program_pid("haproxy"), program_pid("scaler"));
    let copy = copy_of_the_tree();
    let file = copy.path().join("services/object-store.toml");
    let good = fs::read_to_string(&file).expect("the service's file");
    // The second is for the service's own program to judge.
    let refused = [
        ("memory_mib", "memory_mib = 1", ["instance.memory_mib", "is 1", "4 to"]),
        ("burst", "burst = 0", ["[application]", "rate_limit.burst is 0", "1 to"]),
    ];
    for (key, bad, parts) in refused {
        let line = good.lines().find(|line| line.starts_with(key)).expect("the key");
        fs::write(&file, good.replace(line, bad)).expect("written");
        let output = bellows(&["--tree", &copy.path().to_string_lossy(), "up"]);
        expect_code(&output, 2);
        for part in ["services/object-store.toml"].into_iter().chain(parts) {
            assert!(text(&output).contains(part), "{part} is not in:\n{}", text(&output));
        }
    }
    fs::write(&file, good).expect("written");
    what_cannot_move_is_refused(&copy.path().to_string_lossy());
    assert!(client.serves());
    assert_eq!((program_pid("haproxy"), program_pid("scaler")), (haproxy, scaler));
}

/// While the system is up, its network, folders and ids stay where they are.
fn what_cannot_move_is_refused(tree: &str) {
    let file = Path::new(tree).join("bellows.toml");
    let shipped = fs::read_to_string(&file).expect("bellows.toml");
    let moved = [
        ("network", "10.117.0.0/22", "10.118.0.0/22"),
        ("paths", "/var/lib/bellows", "/var/lib/bellows-elsewhere"),
        ("id_map", "1000000", "3000000"),
    ];
    for (table, from, to) in moved {
        fs::write(&file, shipped.replace(from, to)).expect("written");
        let output = bellows(&["--tree", tree, "up"]);
        expect_code(&output, 2);
        for part in [&format!("[{table}]"), "run `./just down` first"] {
            assert!(text(&output).contains(part), "{part} is not in:\n{}", text(&output));
        }
    }
}

fn no_request_fails(scenario: &str) {
    let output = just(&["experiment", scenario, "--time-factor", "0.15"]);
    expect_code(&output, 0);
    let file = tree().join("results/latest/summary.json");
    let summary = fs::read_to_string(&file).expect("summary.json");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    let requests = &summary["requests"];
    assert_eq!(requests["failed"], 0, "{summary}");
    assert_eq!(requests["dropped"], 0, "{summary}");
    assert!(requests["ok"].as_u64().is_some_and(|ok| ok > 0), "{summary}");
    assert_eq!(requests["ok"], requests["due"], "{summary}");
    assert!(summary["scaling"]["out"].as_u64().is_some_and(|out| out > 0), "{summary}");
    for name in ["chart.svg", "ticks.jsonl", "series.csv"] {
        let size = fs::metadata(tree().join("results/latest").join(name)).map(|m| m.len());
        assert!(size.is_ok_and(|bytes| bytes > 0), "results/latest/{name} is missing or empty");
    }
}

/// Our own tables alone: others on this machine have theirs.
fn rules_that_somebody_removed_are_back() {
    let rules = || {
        ["inet", "bridge"].map(|family| {
            let list = Command::new("nft").args(["list", "table", family, "bellows"]).output();
            list.expect("nft starts").stdout
        })
    };
    let before = rules();
    output("nft", &["delete table inet bellows; delete table bridge bellows"]);
    assert_ne!(rules(), before);
    within(BACK_WITHIN, "the firewall's rules are back", || rules() == before);
    let told = || status()["network"]["put_back"].as_u64().is_some_and(|times| times > 0);
    within(BACK_WITHIN, "it is told", told);
    assert!(text(&bellows(&["status"])).contains("were put back"));
    expect_code(&bellows(&["doctor"]), 0);

    let scaler = Pid::from_raw(program_pid("scaler"));
    kill(scaler, Signal::SIGSTOP).expect("it runs");
    output("nft", &["delete table bridge bellows"]);
    let doctor = bellows(&["doctor"]);
    kill(scaler, Signal::SIGCONT).expect("it runs");
    expect_code(&doctor, 1);
    assert!(text(&doctor).contains("firewall are missing"), "{}", text(&doctor));
    within(BACK_WITHIN, "the firewall's rules are back", || rules() == before);
}

fn an_idle_service_has_no_instance_and_answers(client: &Client) {
    expect_code(&just(&["bounds", "object-store", "0", "3"]), 0);
    within(Duration::from_secs(30), "the last instance went", || {
        status()["instances"].as_array().is_some_and(Vec::is_empty)
    });
    let body = vec![b'x'; 300_000];
    let put = client.send(Method::PUT, "/objs/from-zero", |r| r.body(body));
    assert_eq!(put.status, StatusCode::CREATED);
    assert_eq!(instances("ready").len(), 1);
    let gone = client.send(Method::DELETE, "/objs/from-zero", |r| r);
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    expect_code(&just(&["bounds", "object-store", "default"]), 0);
}

/// The short form of the bench that `just bench` runs: the others need no running system.
fn the_running_system_can_be_measured() {
    let bench = cargo(&["test", "--workspace", "--bench", "system", "--locked"]);
    expect_code(&bench, 0);
    for figure in ["bare", "first request served", "ratio", "% of a core", "MB"] {
        assert!(text(&bench).contains(figure), "{figure} is not in:\n{}", text(&bench));
    }
}

fn switch_to_reloads() {
    let shipped = fs::read_to_string(tree().join("bellows.toml")).expect("bellows.toml");
    let changed = shipped.replace("membership = \"runtime\"", "membership = \"reload\"");
    assert_ne!(changed, shipped, "the shipped settings say membership = \"runtime\"");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellows.toml");
    fs::write(&file, changed).expect("written");
    let haproxy = program_pid("haproxy");
    expect_code(&bellows(&["--settings", &file.to_string_lossy(), "up"]), 0);
    assert_eq!(program_pid("haproxy"), haproxy, "HAProxy needs no restart for it");
}

fn goes_down_and_leaves_nothing(before: &Machine) {
    let objects = "/var/lib/bellows/objects";
    assert!(fs::exists(objects).is_ok_and(|there| there));
    expect_code(&just(&["down"]), 0);
    Machine::read().assert_same_as(before);
    assert!(fs::exists(objects).is_ok_and(|there| there), "objects are kept");
    let left: Vec<_> =
        command_lines().into_iter().filter(|(_, line)| line.contains("/run/bellows")).collect();
    assert!(left.is_empty(), "{left:?}");
    let again = bellows(&["down"]);
    expect_code(&again, 0);
    assert!(text(&again).contains("nothing had to be removed"), "{}", text(&again));
}
