//! The boundary against a real HAProxy: no request is lost, no reload is missed, and any restart
//! comes up right.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod answer_pipe;
mod answers;
mod health;
mod killed;
mod lines;
mod long;
mod reach;
mod refusals;
mod repeats;
mod rig;
mod routes;
mod smuggling;
mod sources;
mod statistics;
mod streams;
mod supervised;
mod tls;
mod waiting;

use std::time::{Duration, Instant};

use host::haproxy::{
    Haproxy, HaproxyError, HaproxySettings, LoadBalancer, ServerState, ServerStatus, Way, increase,
};
use host::settings::Membership;
use nix::sys::signal::Signal;
use rig::{Instance, Load, Rig, ask, kill, slot, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_changes_by_command_lose_no_request() {
    let mut rig = Rig::start(Membership::Runtime, 8).await;
    let mut instances: Vec<_> = vec![rig.scale_out(1).await.0, rig.scale_out(2).await.0];
    let load = Load::start(rig.url("/"));
    for number in 3_u32..13 {
        let (instance, applied) = rig.scale_out((number - 1) % 8 + 1).await;
        assert!(matches!(applied.way, Way::Commands(_)), "{applied:?}");
        instances.push(instance);
        tokio::time::sleep(Duration::from_millis(500)).await;
        rig.scale_in((number - 3) % 8 + 1).await;
        drop(instances.remove(0));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let sent = load.stop().await;
    assert!(sent > 1_500, "only {sent} requests");
    assert_eq!(rig.stats().await.worker.generation, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirteen_changes_by_reload_lose_no_request() {
    let mut rig = Rig::start(Membership::Reload, 8).await;
    let mut instances: Vec<_> = vec![rig.scale_out(1).await.0, rig.scale_out(2).await.0];
    let load = Load::start(rig.url("/"));
    for number in 3_u32..7 {
        let (instance, applied) = rig.scale_out(number).await;
        assert!(matches!(applied.way, Way::Reload { .. }), "{applied:?}");
        instances.push(instance);
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.scale_in(number - 2).await;
        drop(instances.remove(0));
    }
    let sent = load.stop().await;
    assert!(sent > 600, "only {sent} requests");
    // All but the first instance's entry are reloads.
    assert_eq!(rig.stats().await.worker.generation, 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_of_a_change_can_be_switched_while_it_runs_and_loses_no_request() {
    let mut rig = Rig::start(Membership::Runtime, 8).await;
    let mut instances = vec![rig.scale_out(1).await.0];
    let load = Load::start(rig.url("/"));
    for number in 2_u32..8 {
        let membership = [Membership::Runtime, Membership::Reload][number as usize % 2];
        rig.haproxy.set_membership(membership);
        let (instance, applied) = rig.scale_out(number).await;
        let reloads = matches!(applied.way, Way::Reload { .. });
        assert_eq!(reloads, membership == Membership::Reload, "{applied:?}");
        instances.push(instance);
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.scale_in(number - 1).await;
        drop(instances.remove(0));
    }
    let sent = load.stop().await;
    assert!(sent > 600, "only {sent} requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_dies_in_rotation_costs_no_request_that_may_be_repeated() {
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    let mut instances = Vec::new();
    for number in 1..=3 {
        instances.push(rig.scale_out(number).await.0);
    }
    let load = Load::repeatable(rig.url("/"));
    for number in [1, 2, 3, 1, 2, 3] {
        tokio::time::sleep(Duration::from_millis(400)).await;
        drop(instances.remove(0));
        tokio::time::sleep(Duration::from_millis(400)).await;
        instances.push(Instance::start(rig.set(number, ServerState::Ready)));
    }
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_is_lost_is_asked_for_again() {
    let mut rig = Rig::start(Membership::Reload, 2).await;
    let _instance = rig.scale_out(2).await;
    let deaf = rig.folder.path().join("deaf.sock");
    let listener = tokio::net::UnixListener::bind(&deaf).unwrap();
    let master = rig.settings.master_socket.clone();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut reloads = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut command = String::new();
            stream.read_to_string(&mut command).await.unwrap();
            reloads += u32::from(command.trim() == "reload");
            if reloads != 1 {
                let reply = ask(master.as_path(), command.trim()).await;
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        }
    });
    let master_socket = deaf.to_str().unwrap().parse().unwrap();
    let owner = Haproxy::new(HaproxySettings { master_socket, ..rig.settings.clone() }).unwrap();
    rig.set(1, ServerState::Ready);
    let applied = owner.apply(&rig.backends()).await.unwrap();
    assert_eq!((applied.generation, applied.way), (2, Way::Reload { asks: 2 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_by_others_at_the_same_time_do_no_harm() {
    let mut rig = Rig::start(Membership::Reload, 2).await;
    let _instance = rig.scale_out(2).await;
    for state in [ServerState::Ready, ServerState::Drain, ServerState::Maint] {
        kill(rig.master(), Signal::SIGUSR2);
        rig.set(1, state);
        let applied = rig.apply().await;
        assert_eq!(rig.stats().await.worker.generation, applied.generation);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_arrive_during_a_reload_go_with_the_next() {
    let mut rig = Rig::start(Membership::Reload, 5).await;
    let desired: Vec<_> = (1..=5)
        .map(|number| {
            rig.set(number, ServerState::Ready);
            rig.backends()
        })
        .collect();
    let apply = |index: usize| rig.haproxy.apply(&desired[index]);
    let (a, b, c, d, e) = tokio::join!(apply(0), apply(1), apply(2), apply(3), apply(4));
    for applied in [a, b, c, d, e] {
        // The first may have been under way before the others were wanted.
        assert!(applied.unwrap().generation <= 3);
    }
    assert_eq!(statuses(&rig).await.len(), 5);
}

/// The statuses that HAProxy says, without anything having been applied to it.
async fn statuses(rig: &Rig) -> Vec<ServerStatus> {
    rig.stats().await.services[&store()].servers.values().map(|server| server.status).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_haproxy_that_was_killed_comes_up_right_from_the_file() {
    use ServerState::{Drain, Ready};
    use ServerStatus::Up;
    let mut rig = Rig::start(Membership::Runtime, 4).await;
    let _first = rig.scale_out(1).await;
    let _second = rig.scale_out(2).await;
    let expected = [Up, ServerStatus::Drain];
    rig.set(2, Drain);
    assert_eq!(rig.apply().await.way, Way::Commands(1));
    rig.haproxy.flush().await;

    let worker: i32 = ask(rig.settings.admin_socket.as_path(), "show info")
        .await
        .lines()
        .find_map(|line| line.strip_prefix("Pid: ")?.parse().ok())
        .unwrap();
    kill(worker, Signal::SIGKILL);
    rig.reap();
    rig.start_haproxy().await;
    assert_eq!(statuses(&rig).await, expected);
    assert_eq!(rig.apply().await.way, Way::Unchanged);

    kill(rig.master(), Signal::SIGKILL);
    rig.reap();
    rig.start_haproxy().await;
    assert_eq!(statuses(&rig).await, expected);

    // A server that was rendered with weight 0 gets its weight back.
    rig.set(2, Ready);
    assert_eq!(rig.apply().await.way, Way::Commands(2));
    assert_eq!(statuses(&rig).await, [Up, Up]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_while_haproxy_is_away_is_in_the_file_when_it_comes_back() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    kill(rig.master(), Signal::SIGTERM);
    rig.reap();
    rig.set(1, ServerState::Ready);
    let error = rig.haproxy.apply(&rig.backends()).await.unwrap_err();
    assert!(matches!(error, HaproxyError::Socket { .. }), "{error:?}");
    assert!(rig.haproxy.scrape().await.is_err());
    rig.start_haproxy().await;
    assert_eq!(rig.apply().await.way, Way::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_commanded_is_put_right_by_the_next_change() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    rig.set(1, ServerState::Ready);
    rig.apply().await;
    rig.tamper("set server store/store.1 state maint").await;
    rig.tamper("set server store/store.2 state ready").await;
    assert_eq!(rig.apply().await.way, Way::Commands(2));
    assert_eq!(rig.apply().await.way, Way::Unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commands_cannot_change_is_a_reload_in_either_way_of_membership() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    let _instance = rig.scale_out(1).await;
    let desired = host::haproxy::Backends::new(vec![rig.backend(), rig.other()]).unwrap();
    let applied = rig.haproxy.apply(&desired).await.unwrap();
    assert!(matches!(applied.way, Way::Reload { .. }), "{applied:?}");
    assert_eq!(rig.haproxy.apply(&desired).await.unwrap().way, Way::Unchanged);
    let status = async |path| reqwest::get(rig.url(path)).await.unwrap().status().as_u16();
    let asked =
        tokio::join!(status("/"), status("/otherwise"), status("/other"), status("/other/a"));
    assert_eq!(asked, (200, 200, 503, 503));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_worker_with_a_request_for_it_keeps_a_server_from_being_drained() {
    let mut rig = Rig::start(Membership::Reload, 2).await;
    let _instance = rig.scale_out(1).await;
    let _other = rig.set(2, ServerState::Ready);
    // A client that sends half of its request keeps the worker of before the reload alive.
    let mut stream = tokio::net::TcpStream::connect(rig.settings.listen).await.unwrap();
    // More than HAProxy's buffer, so that it is at the instance.
    let head = "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100004\r\n\r\n".to_owned();
    let most = head + &"x".repeat(100_000);
    tokio::io::AsyncWriteExt::write_all(&mut stream, most.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.set(1, ServerState::Drain);
    rig.apply().await;
    for _ in 0..5 {
        assert!(rig.drained().await.is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"half").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while rig.drained().await != [(store(), slot(1))].into() {
        assert!(Instant::now() < deadline, "s1 does not drain");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_counted_once_across_reloads_and_restarts() {
    let mut rig = Rig::start(Membership::Reload, 4).await;
    let _instance = rig.scale_out(1).await;
    // Connections of their own: one that is kept gets a last answer from the worker of before.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let (mut sent, mut counted) = (0, 0);
    let mut before = rig.stats().await;
    for round in 0..6 {
        for _ in 0..=round * 7 {
            assert_eq!(client.get(rig.url("/")).send().await.unwrap().status(), 200);
            sent += 1;
        }
        for _ in 0..3 {
            let now = rig.stats().await;
            let grown = increase(&before, &now).services[&store()];
            counted += grown.sessions.unwrap();
            before = now;
        }
        if round == 3 {
            kill(rig.master(), Signal::SIGKILL);
            rig.reap();
            rig.start_haproxy().await;
        } else {
            let state = if round % 2 == 0 { ServerState::Drain } else { ServerState::Maint };
            rig.set(2, state);
            rig.apply().await;
        }
    }
    assert_eq!((sent, counted), (111, 111));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_learn_the_server_and_cannot_forge_where_they_come_from() {
    let mut rig = Rig::start(Membership::Runtime, 2).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let start = Instant::now();
    let refused = client.get(rig.url("/")).send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let held = start.elapsed().as_secs_f64();
    assert!((9.0..15.0).contains(&held), "held for {held} s, of about 10");
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["connection"], "close", "it leaves its place to others");
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(problem["error"]["code"], "no_instance");
    let _instance = rig.scale_out(2).await;
    let request = client.get(rig.url("/")).header("x-forwarded-for", "8.8.8.8");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-bellows-server"], "s2");
    let seen = response.text().await.unwrap();
    assert!(seen.contains("127.0.0.1") && !seen.contains("8.8.8.8"), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_haproxy_refuses_changes_nothing() {
    let mut rig = Rig::start(Membership::Reload, 2).await;
    let file = rig.settings.config_file.as_path();
    let before = std::fs::read_to_string(file).unwrap();
    let template = rig.folder.path().join("mine.tera");
    std::fs::write(&template, "global\n    maxcon 4096\n").unwrap();
    let settings = HaproxySettings { template: Some(template), ..rig.settings.clone() };
    let error = Haproxy::new(settings).unwrap().apply(&rig.backends()).await.unwrap_err();
    let HaproxyError::Rejected { template, kept, source } = error else { panic!("{error}") };
    assert!(template.ends_with("mine.tera"));
    assert!(source.to_string().contains("maxcon"), "{source}");
    assert!(source.to_string().contains(&format!("{}:2", kept.display())), "{source}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), before);
    let _instance = rig.scale_out(1).await;
    rig.set(2, ServerState::Ready);
    assert_eq!(rig.apply().await.generation, 2);
}

/// Prints what a change costs, which the documentation states: run with `--nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_command_takes_less_than_a_third_of_a_reload() {
    for slots in [10, 1000] {
        let mut medians = Vec::new();
        for membership in [Membership::Runtime, Membership::Reload] {
            let mut rig = Rig::start(membership, slots).await;
            let _instance = Instance::start(rig.set(1, ServerState::Ready));
            let mut times = Vec::new();
            for round in 0..11 {
                let state = if round % 2 == 0 { ServerState::Ready } else { ServerState::Maint };
                rig.set(2, state);
                let start = Instant::now();
                rig.apply().await;
                times.push(start.elapsed());
            }
            times.sort();
            println!("{slots} slots, {membership:?}: median {:?}, worst {:?}", times[5], times[10]);
            medians.push(times[5]);
        }
        assert!(medians[0] * 3 < medians[1], "{slots} slots: {medians:?}");
    }
}
