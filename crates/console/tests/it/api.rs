//! The console as a program: what it answers, tells and remembers.

use std::time::{Duration, Instant};

use model::action::{ActionKind, Done};
use model::decision::{Decision, Reason};
use model::tick::Tick;

use crate::history::now;
use crate::scaler::{Console, FakeScaler, folder};

fn decided(ready: u32, sequence: u64) -> Tick {
    let decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
    let mut tick = console::samples::tick("store", now().as_millis());
    tick.observation.offered_rps = Some(12.0);
    Tick { decision, sequence, ..tick }
}

/// Turns of some seconds, with a service and an instance told in each.
async fn seconds(scaler: &FakeScaler, tenths: u64) {
    for _ in 0..tenths {
        scaler.tick(&decided(1, 0));
        scaler.service("store", now().as_millis(), &["bw-store-1-a"]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_the_scaler_tells_is_answered_told_live_and_remembered() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let mut live = console.listen("/v1/live", None).await;
    scaler.tick(&decided(1, 1));
    seconds(&scaler, 25).await;
    let told = Instant::now();
    scaler.tick(&decided(3, 2));
    let event = live.next("event").await;
    let took = told.elapsed();
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert_eq!(event.data["what"]["kind"], "target");
    assert_eq!((&event.data["what"]["from"], &event.data["what"]["to"]), (&1.into(), &3.into()));

    let (status, host) = console.get("/v1/services").await;
    assert_eq!((status, host["services"][0]["name"].as_str()), (200, Some("store")));
    let (_, one) = console.get("/v1/services/store").await;
    assert_eq!(one["tick"]["decision"]["ready"], 3);
    assert_eq!(one["instances"][0]["name"], "bw-store-1-a");

    let events = console.until("/v1/events?kind=target", |it| it["events"][0].is_object()).await;
    assert_eq!(events["events"][0]["what"]["to"], 3);
    let ticks = console.until("/v1/ticks?service=store", |it| it["ticks"][1].is_object()).await;
    assert_eq!(ticks["ticks"][1]["sequence"], 2);
    let path = "/v1/services/store/series?step=1s";
    let series = console.until(path, |it| it["points"][1].is_object()).await;
    assert_eq!(series["points"][1]["offered_rps"]["mean"], 12.0);
    assert_eq!(series["points"][1]["queued"], serde_json::Value::Null);
    let path = "/v1/services/store/instances/bw-store-1-a/series?step=1s";
    let (_, series) = console.get(path).await;
    assert_eq!(series["points"][1]["phase"], "ready");
    let (_, turns) = console.get("/v1/services/store/turns").await;
    assert!(turns["ticks"].as_array().unwrap().len() > 15);
    let (_, history) = console.get("/v1/history").await;
    assert_eq!(
        (&history["problem"], &history["aside"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(history["kept"][0]["class"], "turns");
    let metrics = console.ask("/metrics", &[]).await.text().await.unwrap();
    assert!(
        metrics.contains("bellows_service_offered_requests_per_second{service=\"store\"} 12.0\n")
    );
    assert!(
        metrics.contains("bellows_events_total{service=\"store\",kind=\"target\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_killed_console_lost_a_second_at_the_most_and_fills_in_what_the_scaler_kept_meanwhile() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.tick(&decided(1, 1));
    scaler.tick(&decided(2, 2));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    console.kill();
    // A turn of the record that nobody heard of.
    scaler.keep(&decided(4, 3));
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.tick(&decided(5, 4));
    let ticks = console.until("/v1/ticks", |it| it["ticks"][3].is_object()).await;
    let numbers: Vec<_> =
        ticks["ticks"].as_array().unwrap().iter().map(|it| it["sequence"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let newest = console.get("/v1/ticks?newest=1").await.1;
    assert_eq!((newest["ticks"].as_array().unwrap().len(), &newest["next"]), (1, &ticks["next"]));
    assert_eq!(newest["ticks"][0]["sequence"], 4);
    let events = console.until("/v1/events?kind=target", |it| it["events"][1].is_object()).await;
    let to: Vec<_> =
        events["events"].as_array().unwrap().iter().map(|it| it["what"]["to"].clone()).collect();
    assert_eq!(to, [2, 5], "nothing is known of what the first turn after a start differs from");
}

#[tokio::test]
async fn a_scaler_that_is_away_is_told_and_followed_again_with_what_was_missed() {
    let folder = folder();
    let mut scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.tick(&decided(1, 1));
    scaler.service("store", now().as_millis(), &[]);
    console.until("/v1/services", |it| it["services"][0].is_object()).await;
    scaler.keep(&decided(2, 2));
    scaler.end();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let (status, problem) = console.get("/v1/services").await;
    assert_eq!((status, problem["code"].as_str()), (503, Some("scaler_away")));
    scaler.begin_anew();
    // One that is back is asked before it tells by itself.
    assert_eq!(console.get("/v1/services").await.0, 202);
    scaler.is_read().await;
    scaler.tick(&decided(3, 3));
    let ticks = console.until("/v1/ticks", |it| it["ticks"][2].is_object()).await;
    assert_eq!(ticks["ticks"][1]["sequence"], 2);
    let history = console.until("/v1/history", |it| it["gaps"][0].is_object()).await;
    assert_eq!(history["gaps"][0]["what"]["cause"], "scaler_away");
    // What the record had of the time between was told of, too.
    let events = console.get("/v1/events?kind=target").await.1;
    assert_eq!(events["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_listener_that_comes_back_goes_on_where_it_was() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let mut live = console.listen("/v1/live?service=store", None).await;
    scaler.tick(&decided(1, 1));
    let first = live.next("tick").await;
    drop(live);
    scaler.tick(&decided(1, 2));
    scaler.tick(&decided(1, 3));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut live = console.listen("/v1/live", Some(&first.id)).await;
    assert_eq!(live.next("tick").await.data["sequence"], 2);
    assert_eq!(live.next("tick").await.data["sequence"], 3);
    let mut live = console.listen("/v1/live", Some("1-1")).await;
    live.next("missed").await;
}

#[tokio::test]
async fn what_cannot_be_followed_is_a_problem_that_names_the_field() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    scaler.service("store", now().as_millis(), &[]);
    console.until("/v1/services", |it| it["services"][0].is_object()).await;
    for (path, status, told) in [
        ("/v1/services?x=1", 400, "no field \"x\" here: use none"),
        ("/v1/services/nothing", 404, "There is no service \"nothing\""),
        ("/v1/services/No%0aName/series", 404, "There is no service"),
        ("/v1/services/store/series?step=1h", 400, "step is \"1h\": use 1s or 1m"),
        ("/v1/services/store/series?from=x", 400, "from is \"x\": use a moment"),
        ("/v1/services/store/series?from=-1", 400, "from is \"-1\""),
        ("/v1/services/store/series?from=9&to=1", 400, "from is 9, and to is 1"),
        ("/v1/services/store/series?from=99999999999999999999", 400, "from is"),
        ("/v1/services/store/series?to=18446744073709551615", 200, ""),
        ("/v1/services/store/instances/x/series", 404, "\"x\" is no instance of store"),
        ("/v1/services/store/instances/bw-other-1-a/series", 404, "is no instance of store"),
        ("/v1/services/store/turns?limit=0", 400, "limit is 0: use a whole number from 1 to 1000"),
        ("/v1/ticks?limit=1001", 400, "limit is 1001"),
        ("/v1/ticks?newest=0", 400, "newest is 0: use a whole number from 1 to 1000"),
        ("/v1/ticks?newest=1&since=1", 400, "newest is there beside since"),
        ("/v1/ticks?limit=1&limit=2", 400, "limit is given twice"),
        ("/v1/ticks?since=abc", 400, "since is \"abc\": use a whole number: `next`"),
        ("/v1/ticks?service=A", 400, "service is \"A\": use the name of a service"),
        ("/v1/ticks?reason=Nothing", 400, "reason is \"Nothing\": use one of OfferedLoad,"),
        ("/v1/ticks?reason=HostMemory", 200, ""),
        ("/v1/events?kind=weather", 400, "kind is \"weather\": use one of target, started,"),
        ("/v1/events?since=%00", 400, "since is"),
        ("/v1/live?since=1", 400, "no field \"since\""),
        ("/v1/history?x", 400, "no field \"x\""),
        ("/v2", 404, "Nothing is served at"),
    ] {
        let answer = console.ask(path, &[]).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        if status != 200 {
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
            let problem: serde_json::Value = answer.json().await.unwrap();
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(told), "{path}: {detail}");
            assert_eq!(
                (&problem["status"], &problem["type"]),
                (&status.into(), &"about:blank".into())
            );
            assert!(problem["code"].is_string() && problem["title"].is_string());
        }
    }
}

#[tokio::test]
async fn foreign_hosts_and_pages_of_others_are_refused_and_nothing_can_be_changed() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    for (name, value, code) in [
        ("host", "evil.example", "unknown_host"),
        ("origin", "http://evil.example", "foreign_origin"),
        ("sec-fetch-site", "cross-site", "foreign_origin"),
    ] {
        for path in ["/v1/live", "/v1/services", "/metrics", "/nowhere"] {
            let answer = console.ask(path, &[(name, value)]).await;
            assert_eq!(answer.status().as_u16(), 403, "{name} {path}");
            assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], code);
        }
    }
    let url = format!("http://{}/v1/services", console.address);
    for method in ["PUT", "POST", "DELETE", "PATCH"] {
        let method = method.parse().unwrap();
        let answer = reqwest::Client::new().request(method, &url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 405);
        assert!(answer.headers().contains_key("allow"));
        assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], "method_not_allowed");
    }
}

#[tokio::test]
async fn a_flood_of_questions_is_refused_and_the_next_second_is_answered() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let mut refused = 0;
    for _ in 0..60 {
        let answer = console.ask("/v1/ticks", &[]).await;
        refused += u32::from(answer.status().as_u16() == 429);
        if answer.status().as_u16() == 429 {
            assert_eq!(answer.headers()["retry-after"], "1");
        }
    }
    assert!(refused > 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(console.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_listener_that_never_reads_is_cut_off_and_costs_bounded_memory() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let mut stuck = Vec::new();
    for _ in 0..5 {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = tokio::net::TcpStream::connect(console.address).await.unwrap();
        stream.write_all(b"GET /v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
        stuck.push(stream);
    }
    let mut quick = console.listen("/v1/live", None).await;
    // 24 MB in all, more than the kernel holds for each of them.
    let instance: model::names::InstanceName = "bw-store-1-a".parse().unwrap();
    let failed = Done {
        kind: ActionKind::Clone,
        slot: instance.slot(),
        instance,
        version: None,
        planned_at: now(),
        finished_at: now(),
        error: Some("x".repeat(200_000)),
        last_lines: vec![],
        release: None,
        steps: Vec::new(),
    };
    for sequence in 1..=60 {
        scaler.tick(&Tick { done: vec![failed.clone()], ..decided(1, sequence) });
        quick.next("tick").await;
    }
    let memory = resident_mib(console.pid());
    println!("{memory} MiB");
    assert!(memory < 100, "{memory} MiB");
    // Ten seconds later they are gone.
    for sequence in 61..=72 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scaler.tick(&decided(1, sequence));
        quick.next("tick").await;
    }
    let metrics = std::fs::read_dir(format!("/proc/{}/fd", console.pid())).unwrap();
    let sockets = metrics.filter(|it| {
        let target = std::fs::read_link(it.as_ref().unwrap().path()).unwrap_or_default();
        target.to_string_lossy().starts_with("socket:")
    });
    // Its own listener, the scaler's feed, the live reader and signals; not the five.
    assert!(sockets.count() < 9);
    drop(stuck);
}

pub(crate) fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn it_does_not_run_as_root_and_listens_on_loopback_unless_it_is_told_to() {
    let program = env!("CARGO_BIN_EXE_console");
    let as_root = std::process::Command::new(program).args(["--history", "/nowhere"]).output();
    let told = String::from_utf8(as_root.unwrap().stderr).unwrap();
    assert!(told.contains("this is not for root"), "{told}");
    let help = std::process::Command::new(program).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("[default: 127.0.0.1:8090]"), "{help}");
}

#[tokio::test]
async fn a_listener_to_whom_nothing_is_told_for_a_while_stays() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = Console::start(&scaler, folder.path());
    scaler.is_read().await;
    let mut live = console.listen("/v1/live", None).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    scaler.is_read().await;
    scaler.tick(&decided(1, 1));
    live.next("tick").await;
}
