//! What another policy would have run, asked of the console.

use console::history::Batch;
use console::samples;
use console::series::point::Row;
use console::series::seconds::Seconds;
use host::answer_pipe::Class;
use model::action::{ActionKind, Done};
use model::feed::{FeedLine, ServiceFeed};
use model::tick::{HostCpu, Room, Tick};
use model::time::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::history::{now, of_turns, open};
use crate::scaler::{Console, FakeScaler, command, folder};

const PATH: &str = "/v1/services/store/preview";

/// What decisions read of the store: 50 requests/s an instance.
fn terms() -> Value {
    json!({
        "name": "store", "image": "store", "instance": { "port": 1, "cpus": 0.5 },
        "bounds": { "min": 1, "max": 5 }, "policy": { "kind": "target_tracking" },
        "capacity": { "requests_per_second": 50.0, "concurrency": 8, "burst": 10 },
        "scale_in": { "patience_ms": 3_000 },
    })
}

/// The store as the scaler tells it, with bounds of 1 to 10, which an operator set.
fn told(terms: Option<Value>) -> FeedLine {
    let feed = samples::service_feed("store", now().as_millis(), &["bw-store-1-a"]);
    FeedLine::Service(Box::new(ServiceFeed { terms, ..feed }))
}

/// A turn at which so much was offered to four instances.
fn turn(at_ms: u64, rps: f64) -> Tick {
    let mut tick = samples::tick("store", at_ms);
    let seen = &mut tick.observation;
    (seen.offered_rps, seen.served_rps, seen.queued) = (Some(rps), Some(rps), Some(0));
    (seen.in_flight, seen.cpu_cores, seen.phases.ready) = (Some(1), Some(0.1), 4);
    seen.host_cpu = Some(HostCpu { cores: 4, busy: 0.1 });
    tick.room = Some(Room { launches: 4, slots: 4, memory: 100, launches_wait_until: None });
    tick
}

fn row(second: u64, rps: f64) -> Row {
    let mut seconds = Seconds::default();
    seconds.tick(&turn(second * 1000, rps));
    seconds.close_all().remove(0)
}

/// With ten answers, of which one failed, late, and two more are late.
fn answered(mut row: Row) -> Row {
    let answers = &mut row.point.answers;
    (0..7).for_each(|_| answers.add(Class::Success, 5));
    (0..2).for_each(|_| answers.add(Class::Success, 900));
    answers.add(Class::ServerError, 900);
    row
}

/// A launch of 2 s that ended then.
fn launched(at: Timestamp) -> Tick {
    let done = Done {
        kind: ActionKind::Clone,
        instance: "bw-store-1-a".parse().unwrap(),
        slot: "bw-store-1-a".parse::<model::names::InstanceName>().unwrap().slot(),
        version: None,
        planned_at: at.before(std::time::Duration::from_secs(2)),
        finished_at: at,
        error: None,
        last_lines: vec![],
        release: None,
        steps: Vec::new(),
    };
    Tick { sequence: 1, done: vec![done], ..turn(at.as_millis(), 150.0) }
}

/// The last five minutes: 150 requests/s, of which the third is missing, and 20 requests/s in the last.
async fn five_minutes(folder: &TempDir) {
    let (recorder, _history) = open(folder.path());
    let end = now().as_millis() / 1000 - 3;
    let rows = (0..300_u64)
        .filter(|at| !(120..180).contains(at))
        .map(|at| row(end - 300 + at, if at < 240 { 150.0 } else { 20.0 }))
        .map(answered);
    let launch = launched(Timestamp::from_millis((end - 200) * 1000));
    recorder.record(Batch { rows: rows.collect(), ..of_turns([launch]) });
    recorder.flush().await;
    // The program is another user.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::os::unix::fs::chown(file.unwrap().path(), Some(65_534), Some(65_534)).unwrap();
    }
}

async fn started(scaler: &FakeScaler, folder: &TempDir) -> Console {
    five_minutes(folder).await;
    let console = Console::started(&mut command(&scaler.socket, folder.path()));
    scaler.is_read().await;
    scaler.tell(&[told(Some(terms()))]);
    scaler.tick(&turn(now().as_millis(), 20.0));
    console.until("/v1/services/store", |it| it["tick"].is_object()).await;
    console.until("/v1/history", |it| it["problem"].is_null()).await;
    console
}

/// Asks for a preview of a service that is told of, as each is once a second: of others the console knows nothing.
async fn asked_of(scaler: &FakeScaler, console: &Console, path: &str, body: &str) -> (u16, Value) {
    scaler.tell(&[told(Some(terms()))]);
    asked(console, path, body).await
}

async fn asked(console: &Console, path: &str, body: &str) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let answer = console.send("POST", path, &headers, body).await;
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_policy_is_previewed_under_the_load_of_the_last_minutes_and_a_hole_in_it_stays_one() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, &folder).await;
    // While it told nothing yet, the console asked it for the service.
    drop(scaler.asked());
    let tracking = r#"{"kind":"target_tracking","target_percent":80}"#;
    let (status, preview) =
        asked_of(&scaler, &console, &format!("{PATH}?minutes=5"), tracking).await;
    assert_eq!(status, 200, "{preview}");
    let points = preview["points"].as_array().unwrap();
    // The turn that was just told may have ended one more second.
    assert!((295..=300).contains(&points.len()), "{}", points.len());
    assert_eq!(
        (&preview["step_s"], &preview["policy"]["kind"]),
        (&json!(1), &json!("target_tracking"))
    );
    let ready = |at: usize| points[at]["ready"].as_f64().unwrap();
    assert!((ready(60) - 4.0).abs() < 1e-9, "150 requests/s at 40 an instance");
    let is_hole = |point: &&Value| point["offered_rps"].is_null();
    let holes: Vec<_> = points.iter().filter(is_hole).collect();
    assert!((58..=66).contains(&holes.len()), "{}", holes.len());
    assert!(
        holes[2..58].iter().all(|it| it["ready"] == 4.0 && it["target"].is_null()),
        "{holes:?}"
    );
    assert!(ready(285) < 2.0, "20 requests/s need one");
    let totals = &preview["totals"];
    let cost = totals["instance_seconds"].as_f64().unwrap();
    assert!(cost < preview["ran"]["instance_seconds"].as_f64().unwrap(), "{preview}");
    assert_eq!(
        (&totals["failed"], &preview["assumed"]["bounds"]),
        (&json!(0), &json!({"min": 1, "max": 10}))
    );
    assert_eq!(
        (&preview["assumed"]["launch_ms"], &preview["assumed"]["ready"]),
        (&json!(2_000.0), &json!(4))
    );
    let ran = |key: &str| preview["ran"][key].as_u64().unwrap();
    assert!((230..=240).contains(&ran("failed")), "{}", preview["ran"]);
    assert_eq!((ran("answers"), ran("late")), (10 * ran("failed"), 3 * ran("failed")));
    assert_eq!((&points[60]["ran_ready"], &holes[10]["ran_ready"]), (&json!(4.0), &Value::Null));
    let decisions = preview["decisions"].as_array().unwrap();
    let holds = |it: &&Value| it["decision"]["reasons"] == json!(["NoData"]);
    assert!(decisions.iter().any(|it| holds(&it)), "{decisions:?}");

    // More of each instance is fewer instances; the same question has the same answer.
    let fuller = r#"{"kind":"target_tracking","target_percent":99}"#;
    let (_, fewer) = asked_of(&scaler, &console, &format!("{PATH}?minutes=5"), fuller).await;
    assert!(fewer["totals"]["instance_seconds"].as_f64().unwrap() < cost, "{}", fewer["totals"]);
    // And it set nothing, and asked nobody.
    assert!(scaler.asked().is_empty());
}

#[tokio::test]
async fn a_policy_is_previewed_over_hours_by_minutes() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, &folder).await;
    // The minutes are made of the seconds at the start.
    let path = "/v1/services/store/series?step=1m";
    console.until(path, |it| it["points"].as_array().is_some_and(|it| it.len() >= 2)).await;
    let (status, preview) =
        asked_of(&scaler, &console, &format!("{PATH}?hours=24"), r#"{"kind":"hpa"}"#).await;
    assert_eq!((status, &preview["step_s"]), (200, &json!(60)), "{preview}");
    let points = preview["points"].as_array().unwrap();
    assert!((2..=6).contains(&points.len()), "{points:?}");
    assert!(points[0]["offered_rps"].is_number(), "{points:?}");
}

#[tokio::test]
async fn what_cannot_be_previewed_is_said_with_a_code() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, &folder).await;
    let hpa = r#"{"kind":"hpa"}"#;
    for (path, body, status, code) in [
        (format!("{PATH}?minutes=31"), hpa, 400, "bad_query"),
        (format!("{PATH}?minutes=0"), hpa, 400, "bad_query"),
        (format!("{PATH}?hours=25"), hpa, 400, "bad_query"),
        (format!("{PATH}?hours=1&minutes=1"), hpa, 400, "bad_query"),
        (format!("{PATH}?seconds=1"), hpa, 400, "bad_query"),
        (PATH.to_owned(), "{", 400, "bad_body"),
        (PATH.to_owned(), r#"{"kind":"magic"}"#, 422, "bad_body"),
        (PATH.to_owned(), r#"{"kind":"target_tracking","target_percent":0}"#, 422, "bad_value"),
        ("/v1/services/other/preview".to_owned(), hpa, 404, "no_such_service"),
        ("/v1/services/No!/preview".to_owned(), hpa, 404, "no_such_service"),
    ] {
        let (got, problem) = asked_of(&scaler, &console, &path, body).await;
        assert_eq!(
            (got, problem["code"].as_str()),
            (status, Some(code)),
            "{path} {body}: {problem}"
        );
    }
    let long = format!(r#"{{"kind":"{}"}}"#, "x".repeat(200_000));
    assert_eq!(asked_of(&scaler, &console, PATH, &long).await.1["code"], "body_too_large");
    // Without the figure of the file the policy is not set either.
    let mut without = terms();
    without["capacity"] = json!({ "concurrency": 8 });
    without["policy"] = json!({ "kind": "utilization" });
    let tracking = r#"{"kind":"target_tracking"}"#;
    let mut refused = (0, Value::Null);
    for _ in 0..50 {
        scaler.tell(&[told(Some(without.clone()))]);
        refused = asked(&console, &format!("{PATH}?minutes=1"), tracking).await;
        if refused.0 == 422 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!((refused.0, &refused.1["code"]), (422, &json!("bad_value")), "{}", refused.1);
    assert!(refused.1["detail"].as_str().unwrap().contains("capacity.requests_per_second"));
    let mut older = Value::Null;
    for _ in 0..50 {
        scaler.tell(&[told(None)]);
        older = asked(&console, &format!("{PATH}?minutes=1"), hpa).await.1;
        if older["code"] == "scaler_older" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(older["code"], "scaler_older", "{older}");
}

#[tokio::test]
async fn who_may_read_the_service_may_ask_and_nobody_else() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    scaler.knows("reader", &[], None);
    scaler.knows("others", &[], Some(&["other"]));
    let console = started(&scaler, &folder).await;
    let ask = async |secret: &str| {
        let bearer = format!("Bearer {secret}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        scaler.tell(&[told(Some(terms()))]);
        console.send("POST", PATH, &headers, r#"{"kind":"hpa"}"#).await.status().as_u16()
    };
    assert_eq!([ask("reader").await, ask("others").await, ask("nobody").await], [200, 404, 401]);
    // A page of others has it asked by nobody's browser.
    let foreign = [("content-type", "application/json"), ("origin", "http://evil.example")];
    assert_eq!(
        console.send("POST", PATH, &foreign, r#"{"kind":"hpa"}"#).await.status().as_u16(),
        403
    );
}

#[tokio::test]
async fn previews_count_as_questions_to_the_history_and_are_computed_one_at_a_time() {
    let folder = folder();
    let scaler = FakeScaler::start(folder.path());
    let console = started(&scaler, &folder).await;
    let path = format!("{PATH}?minutes=1");
    scaler.tell(&[told(Some(terms()))]);
    let asked = futures_util::future::join_all(
        (0..120).map(|_| asked(&console, &path, r#"{"kind":"hpa"}"#)),
    );
    let answers = asked.await;
    let with = |status: u16| answers.iter().filter(|it| it.0 == status).count();
    // Of 400 at once each counts as ten; who waits too long for the place is told so.
    assert!(
        with(429) >= 5 && with(200) >= 1,
        "{:?}",
        answers.iter().map(|it| it.0).collect::<Vec<_>>()
    );
    for (_, problem) in answers.iter().filter(|it| it.0 == 503) {
        assert_eq!(problem["code"], "too_many_at_once");
    }
    assert_eq!(with(200) + with(429) + with(503), 120);
}
