//! Recordings of what the loop decides, as their readers are handed them.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use policy::recording::{End, Header, Outcome, Replay, Step};
use tokio::sync::mpsc::Receiver;
use tower::ServiceExt as _;

use super::doors::{operators, send, token};
use super::*;
use crate::doors::identify::{self, Unnamed};
use crate::recordings::{MOST, Refused};

const RECORDING: &str = "/v1/services/object-store/recording";

/// The lines that wait for a reader.
fn waiting(reader: &mut Receiver<Vec<u8>>) -> Vec<String> {
    let lines = std::iter::from_fn(|| reader.try_recv().ok());
    lines.map(|line| String::from_utf8(line).unwrap()).collect()
}

/// What comes of the turns that these lines tell, which is what came of them then.
fn replayed(lines: &[String]) -> (Vec<Step>, Vec<Outcome>) {
    let mut replay = Replay::default();
    let steps = (1..).zip(lines).map(|(number, line)| replay.line(number, line).unwrap());
    let steps: Vec<_> = steps.collect();
    let decided = steps.iter().filter_map(|step| match step {
        Step::Decided(decided) => Some(decided),
        _ => None,
    });
    let outcomes = decided.map(|decided| {
        assert_eq!(decided.now(), decided.recorded);
        decided.now()
    });
    let outcomes = outcomes.collect();
    (steps, outcomes)
}

fn begin(rig: &Rig) -> Receiver<Vec<u8>> {
    rig.shared.recordings().begin(&store()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_out_is_decided_again_over_deploys_what_is_set_and_a_clock_that_is_set() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let mut reader = begin(&rig);
    let mut decided = Vec::new();
    for round in 0..60_u64 {
        match round {
            10 => {
                let bounds = Some(Bounds::new(2, 4).unwrap());
                rig.shared.set_bounds(root(), &rig.deployed().spec, bounds).unwrap();
            }
            20 => {
                let policy = Some(model::policies::PolicyKind::Concurrency.into());
                rig.shared.set_policy(root(), &rig.deployed().spec, policy).unwrap();
            }
            30 => rig.deploy(&[(&store_file(), 2)]),
            40 => rig.now = rig.now.before(Duration::from_secs(3600)),
            50 => rig.balancer().fail_scrape(Some(super::failures::malformed)),
            _ => {}
        }
        decided.push(Outcome::of(&rig.tick(round * 3).await));
    }
    let lines = waiting(&mut reader);
    let (steps, outcomes) = replayed(&lines);
    assert_eq!(outcomes, decided);
    let header = Header::of(store());
    assert!(matches!(&steps[0], Step::Begins(read) if *read == header), "{:?}", steps[0]);
    let starts: Vec<_> = (0..).zip(&steps).filter(|(_, it)| matches!(it, Step::Starts)).collect();
    // Before the first turn, and where the clock was set.
    assert_eq!(starts.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 42]);
    assert!(
        outcomes
            .iter()
            .any(|it| it.plan.iter().any(|action| action.version == Some(Version::new(2))))
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_loses_its_recording_with_a_word_and_others_and_the_loop_go_on()
{
    let mut rig = Rig::new();
    let (mut idle, mut reader) = (begin(&rig), begin(&rig));
    let mut taken = Vec::new();
    for _ in 0..300 {
        rig.tick(1).await;
        taken.extend(waiting(&mut reader));
    }
    assert_eq!(replayed(&taken).1.len(), 300);
    let lines = waiting(&mut idle);
    assert_eq!(lines.len(), 256, "and no more memory");
    let (steps, outcomes) = replayed(&lines);
    assert!(matches!(steps.last(), Some(Step::Ends(End::TooSlow))), "{:?}", steps.last());
    // A header, a start and the end are no turns.
    assert_eq!(outcomes.len(), 253);
    assert!(idle.is_closed() && !reader.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_recording_ends_with_a_word_when_its_service_goes_or_the_scaler_ends() {
    let mut rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    rig.ticks(5, 1).await;
    let mut of_store = begin(&rig);
    let mut of_later = rig.shared.recordings().begin(&"later".parse().unwrap()).unwrap();
    rig.tick(1).await;
    rig.deploy(&[(&set::later(), 1)]);
    rig.turn(0).await;
    let last = |reader: &mut Receiver<_>| waiting(reader).pop().unwrap();
    assert_eq!(last(&mut of_store), "{\"end\":\"withdrawn\"}\n");
    assert!(last(&mut of_later).starts_with("{\"turn\""));
    let shared = Arc::clone(&rig.shared);
    rig.daemon.run(std::future::ready(())).await;
    assert_eq!(last(&mut of_later), "{\"end\":\"scaler_ended\"}\n");
    let again = shared.recordings().begin(&"later".parse().unwrap());
    assert_eq!(again.err(), Some(Refused::Over));
}

#[tokio::test(start_paused = true)]
async fn there_are_four_recordings_at_a_time_and_who_leaves_makes_room() {
    let rig = Rig::new();
    let mut readers: Vec<_> = (0..MOST).map(|_| begin(&rig)).collect();
    let (status, text) = send(&operators(&rig), ("GET", RECORDING, ""), &[]).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{text}");
    assert!(text.contains("too_many_recordings"), "{text}");
    readers.pop();
    readers.push(begin(&rig));
}

#[tokio::test(start_paused = true)]
async fn a_recording_comes_line_by_line_and_holds_nothing_that_programs_are_told() {
    let file = store_file();
    let told = "[instance]\nenvironment = { PASSWORD = \"hunter2\" }\ncommand = [\"/hunter2\"]";
    let file = file
        .replace("[instance]", told)
        .replace("[application]", "[application]\nkey = \"hunter2\"");
    assert_eq!(file.matches("hunter2").count(), 3);
    let mut rig = Rig::with_files(&[(&file, 1)]);
    let request = Request::builder().uri(RECORDING).body(Body::empty()).unwrap();
    let answer = operators(&rig).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    assert!(!answer.headers().contains_key("content-length"));
    let mut body = answer.into_body();
    let mut lines = Vec::new();
    for _ in 0..20 {
        rig.tick(50).await;
        // A header at once, a start with the first turn, and a line for each turn when it is taken.
        let count = if lines.is_empty() { 3 } else { 1 };
        for _ in 0..count {
            let line = body.frame().await.unwrap().unwrap().into_data().unwrap();
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
    }
    assert_eq!(replayed(&lines).1.len(), 20);
    assert!(!lines.concat().contains("hunter2"));
    drop(body);
    rig.tick(0).await;
    (0..MOST).for_each(|_| drop(begin(&rig)));
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_for_operators_and_for_tokens_that_may_read_the_service() {
    let rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    let reads = token(&rig, "r", r#"{"rights":["read"],"services":["object-store"]}"#).await;
    let operates = token(&rig, "o", r#"{"rights":["operate"],"services":["object-store"]}"#).await;
    let other = token(&rig, "other", r#"{"rights":["all"],"services":["later"]}"#).await;
    let console = identify::routes(&rig.shared, Unnamed::Reads);
    for (who, routes, secret, status) in [
        ("an operator", &operators(&rig), None, 200),
        ("read", &console, Some(&reads), 200),
        ("operate", &console, Some(&operates), 403),
        ("all of another service", &console, Some(&other), 404),
        ("nobody", &console, None, 401),
    ] {
        let mut request = Request::builder().uri(RECORDING).header("host", "127.0.0.1");
        if let Some(secret) = secret {
            request = request.header("authorization", format!("Bearer {secret}"));
        }
        let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{who}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recording_ends_with_a_word_when_the_token_that_asked_for_it_is_revoked() {
    let mut rig = Rig::new();
    let secret = token(&rig, "r", r#"{"rights":["read"]}"#).await;
    let request = Request::builder()
        .uri(RECORDING)
        .header("host", "127.0.0.1")
        .header("authorization", format!("Bearer {secret}"))
        .body(Body::empty())
        .unwrap();
    let routes = identify::routes(&rig.shared, Unnamed::Reads);
    let mut body = routes.oneshot(request).await.unwrap().into_body();
    rig.tick(1).await;
    let mut line = async || body.frame().await.map(|it| it.unwrap().into_data().unwrap());
    for begins in ["{\"recording\"", "{\"start\"", "{\"turn\""] {
        assert!(line().await.unwrap().starts_with(begins.as_bytes()));
    }
    rig.shared.revoke_token(root(), &"r".parse().unwrap()).unwrap();
    rig.tick(1).await;
    assert_eq!(line().await.unwrap(), "{\"end\":\"token_ended\"}\n");
    assert_eq!(line().await, None);
    rig.tick(1).await;
    (0..MOST).for_each(|_| drop(begin(&rig)));
}
