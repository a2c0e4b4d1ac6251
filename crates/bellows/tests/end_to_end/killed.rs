//! What is killed, or stands still: it is back, or another one is, and no request fails.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::BACK_WITHIN;
use super::client::Client;
use super::machine::output;
use super::rollout::without_a_failed_request;
use super::system::{
    bellows, expect_code, instances, just, program_pid, running_pid, status, within,
};

pub(crate) fn killed_programs_are_back_within_a_second(client: &Client) {
    let ready = instances("ready");
    // Its workers outlive HAProxy's master for a moment, and the console answers for the scaler: another process is to be there.
    let another = |name: &str, killed: i32| running_pid(name).is_some_and(|pid| pid != killed);
    for _ in 0..2 {
        let haproxy = program_pid("haproxy");
        kill_hard(haproxy);
        let serves = || another("haproxy", haproxy) && client.serves();
        within(BACK_WITHIN, "HAProxy serves again", serves);
        let scaler = program_pid("scaler");
        kill_hard(scaler);
        let answers = || another("scaler", scaler) && !status()["services"][0]["policy"].is_null();
        within(BACK_WITHIN, "the scaler answers again", answers);
    }
    let settled = Duration::from_secs(5);
    within(settled, "the instances were adopted", || instances("ready") == ready);
    assert!(client.serves());
}

pub(crate) fn a_policy_that_is_set_outlives_the_scaler() {
    let policy_in_force = || status()["services"][0]["policy"].clone();
    let of_file = policy_in_force();
    expect_code(&bellows(&["policy", "object-store", "magic"]), 2);
    expect_code(&just(&["policy", "object-store", "concurrency"]), 0);
    kill_hard(program_pid("scaler"));
    within(BACK_WITHIN, "the policy that was set decides", || policy_in_force() == "concurrency");
    expect_code(&bellows(&["policy", "object-store", "default"]), 0);
    assert_eq!(policy_in_force(), of_file);
}

pub(crate) fn a_killed_instance_is_replaced(client: &Client) {
    let ready = instances("ready");
    let victim = ready.first().expect("a ready instance");
    let pid = output("lxc-info", &["-n", victim, "-p", "-H"]).trim().parse().expect("a pid");
    kill_hard(pid);
    within(Duration::from_secs(5), "the killed instance was replaced", || {
        let now = instances("ready");
        now.len() == ready.len() && !now.contains(victim)
    });
    assert!(client.serves());
}

/// Its process is stopped, or all of its control group is frozen: the kernel takes connections for it and nobody answers.
pub(crate) fn an_instance_that_stands_still_costs_no_request(client: &Client) {
    expect_code(&bellows(&["bounds", "object-store", "3", "5"]), 0);
    within(Duration::from_secs(5), "three are ready", || instances("ready").len() >= 3);
    is_killed_when_it_stands_still(client, |_, pid| {
        kill(pid, Signal::SIGSTOP).expect("it ran");
    });
    is_killed_when_it_stands_still(client, |name, _| {
        output("lxc-freeze", &["-n", name]);
    });
    expect_code(&bellows(&["bounds", "object-store", "default"]), 0);
}

fn is_killed_when_it_stands_still(client: &Client, stand_still: impl FnOnce(&str, Pid)) {
    let victim = instances("ready").remove(0);
    let pid = output("lxc-info", &["-n", &victim, "-p", "-H"]).trim().parse().expect("a pid");
    let pid = Pid::from_raw(pid);
    let is_there = || kill(pid, None).is_ok();
    without_a_failed_request(client, || {
        std::thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        stand_still(&victim, pid);
        // A check begins within 1 s and waits for 0.5 s; the next, 0.2 s later, as long: 2.2 s. The silence
        // began when the first was in vain, and lasts for 1 s: 2.5 s. A tick and its end take 0.2 s.
        let left = Duration::from_secs(3).saturating_sub(began.elapsed());
        within(left, "what stands still was killed", || !is_there());
        std::thread::sleep(Duration::from_millis(500));
    });
    let replaced = || instances("ready").len() >= 3 && !instances("ready").contains(&victim);
    within(Duration::from_secs(2), "another took its place", replaced);
}

pub(crate) fn kill_hard(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it ran");
}
