//! What the console is told as it happens.

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures_util::{FutureExt as _, StreamExt as _};
use model::feed::{FeedLine, ServiceFeed};
use tower::ServiceExt as _;

use super::*;
use crate::doors::identify::{self, Unnamed};
use crate::tests::doors::{operators, send, token};

const FEED: &str = "/v1/feed";

/// The body of a reader of the console's socket.
async fn read(routes: &Router) -> Result<BodyDataStream, StatusCode> {
    let request = Request::get(FEED).body(Body::empty()).unwrap();
    let answer = routes.clone().oneshot(request).await.unwrap();
    match answer.status() {
        StatusCode::OK => Ok(answer.into_body().into_data_stream()),
        status => Err(status),
    }
}

fn console(rig: &Rig) -> Router {
    identify::routes(&rig.shared, Unnamed::Reads)
}

/// The lines that are there.
fn lines(body: &mut BodyDataStream) -> Vec<FeedLine> {
    let chunks = std::iter::from_fn(|| body.next().now_or_never().flatten());
    let bytes: Vec<u8> = chunks.flat_map(|chunk| chunk.unwrap().to_vec()).collect();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ticks(lines: &[FeedLine]) -> Vec<&Tick> {
    let ticks = lines.iter().filter_map(|line| match line {
        FeedLine::Tick(tick) => Some(&**tick),
        _ => None,
    });
    ticks.collect()
}

fn services(lines: &[FeedLine]) -> Vec<&ServiceFeed> {
    let services = lines.iter().filter_map(|line| match line {
        FeedLine::Service(service) => Some(&**service),
        _ => None,
    });
    services.collect()
}

#[tokio::test(start_paused = true)]
async fn every_turn_is_told_as_it_happens_and_those_of_the_record_with_their_numbers() {
    let mut rig = Rig::new();
    let mut body = read(&console(&rig)).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..30 {
        rig.tick(20).await;
        let lines = lines(&mut body);
        assert_eq!(ticks(&lines).len(), 1, "in the turn itself");
        told.extend(lines);
    }
    let kept: Vec<_> = ticks(&told).into_iter().filter(|tick| tick.sequence > 0).cloned().collect();
    assert_eq!(kept, rig.shared.ticks(0, 99));
    assert!(kept.len() < 30, "the others have none");
}

#[tokio::test(start_paused = true)]
async fn services_and_their_instances_are_told_once_a_second_and_when_something_changed() {
    let mut rig = Rig::new();
    rig.ticks(60, 1).await;
    rig.actor.containers().set_memory(&rig.status().instances[0].name, 47 << 20);
    let mut body = read(&console(&rig)).await.unwrap();
    rig.ticks(50, 1).await;
    // Turns that somebody was late for.
    let lines = {
        let lines = lines(&mut body);
        assert!(lines.is_empty(), "50 turns are more than a reader may be behind");
        let mut body = read(&console(&rig)).await.unwrap();
        rig.ticks(30, 1).await;
        self::lines(&mut body)
    };
    let told = services(&lines);
    assert!((3..=4).contains(&told.len()), "{}", told.len());
    let networks = lines.iter().filter(|line| matches!(line, FeedLine::Network(_))).count();
    assert_eq!(networks, told.len());
    let feed = told[0];
    assert_eq!(feed.status, ServiceStatus { tick: None, ..rig.status() });
    let name = &rig.status().instances[0].name;
    assert_eq!((&feed.instances[0].name, feed.instances.len()), (name, 1));
    assert!(feed.instances[0].requests.is_some() && feed.instances[0].in_flight.is_some());
    assert_eq!(feed.instances[0].memory_bytes, Some(47 << 20));
    // What decisions read of its file, and nothing that its program is told.
    let read = policy::terms::spec(feed.terms.as_ref().unwrap()).unwrap();
    let file = config_file::from_toml::<ServiceSpec>("store.toml", &store_file()).unwrap();
    assert_eq!(policy::terms::Terms::of(&read), policy::terms::Terms::of(&file));
    assert!(read.application.is_empty() && !file.application.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_follow_is_cut_off_and_the_turns_go_on() {
    let mut rig = Rig::new();
    let mut slow = read(&console(&rig)).await.unwrap();
    let mut quick = read(&console(&rig)).await.unwrap();
    let mut followed = 0;
    for _ in 0..100 {
        rig.tick(1).await;
        followed += ticks(&lines(&mut quick)).len();
    }
    assert_eq!(followed, 100);
    assert!(slow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_feed_has_a_few_readers_on_the_sockets_who_may_see_all() {
    let rig = Rig::with_files(&[(&store_file(), 1), (&set::later(), 1)]);
    let routes = console(&rig);
    let request = ("GET", FEED, "");
    let secret = token(&rig, "later", r#"{"rights":["all"],"services":["later"]}"#).await;
    let bearer = format!("Bearer {secret}");
    let (status, _) = send(&routes, request, &[("authorization", &bearer)]).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(read(&operators(&rig)).await.unwrap());
    }
    assert_eq!(read(&routes).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
    readers.pop();
    assert!(read(&routes).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_instances_wrote_is_in_no_line() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let mut body = read(&console(&rig)).await.unwrap();
    let name = rig.status().instances[0].name.clone();
    let folder = rig.state.path().join("output/object-store");
    std::fs::create_dir_all(&folder).unwrap();
    let line = "1 e a password of the application's\n";
    std::fs::write(folder.join(format!("{name}.log")), line).unwrap();
    rig.actor.containers().die(&name);
    let mut told = Vec::new();
    for _ in 0..20 {
        rig.tick(1).await;
        told.extend(lines(&mut body));
    }
    let kept = rig.shared.ticks(0, 99);
    let written = kept.iter().flat_map(|tick| &tick.ended).flat_map(|ended| &ended.last_lines);
    assert!(
        written.clone().any(|line| line.contains("password")),
        "{:?}",
        written.collect::<Vec<_>>()
    );
    assert!(ticks(&told).iter().any(|tick| !tick.ended.is_empty()));
    assert!(!serde_json::to_string(&told).unwrap().contains("password"));
}

#[tokio::test(start_paused = true)]
async fn the_feed_ends_with_the_process() {
    let mut rig = Rig::new();
    let mut body = read(&console(&rig)).await.unwrap();
    rig.tick(1).await;
    assert_eq!(ticks(&lines(&mut body)).len(), 1);
    rig.shared.feed().close();
    assert!(body.next().await.is_none());
}
