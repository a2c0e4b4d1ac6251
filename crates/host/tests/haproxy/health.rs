//! When an instance is in rotation: by which answers to its health check, and after how many of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use host::haproxy::{Server, ServerState, ServerStatus};
use host::settings::Membership;
use model::service::HealthCheck;

use super::rig::{Instance, Rig, slot, store};

async fn status(rig: &Rig, number: u32) -> ServerStatus {
    rig.stats().await.services[&store()].servers[&slot(number)].status
}

async fn until(rig: &Rig, number: u32, wanted: ServerStatus) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while status(rig, number).await != wanted {
        assert!(Instant::now() < deadline, "s{number} does not become {wanted:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server that answers with what is left of these statuses, and 200 after them.
async fn scripted(server: &Server, left: &Arc<Mutex<Vec<u16>>>) {
    let left = Arc::clone(left);
    let answer = async move || {
        let next = left.lock().unwrap().pop();
        next.map_or(StatusCode::OK, |status| StatusCode::from_u16(status).unwrap())
    };
    let listener = tokio::net::TcpListener::bind(server.address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_in_rotation_by_the_statuses_that_its_service_names_and_no_others() {
    let mut rig = Rig::start(Membership::Runtime, 3).await;
    rig.servers[1].health_path = Some("/absent".parse().unwrap());
    let _instances = [1, 2].map(|number| Instance::start(rig.set(number, ServerState::Ready)));
    // A redirect, and what is well without a content, say as little as an error.
    let left = Arc::new(Mutex::new([204, 302].repeat(200)));
    scripted(&rig.servers[2], &left).await;
    rig.set(3, ServerState::Ready);
    rig.apply().await;
    until(&rig, 2, ServerStatus::Down).await;
    until(&rig, 3, ServerStatus::Down).await;
    assert_eq!(status(&rig, 1).await, ServerStatus::Up);
    rig.health_statuses.insert("404".parse().unwrap());
    rig.apply().await;
    until(&rig, 2, ServerStatus::Up).await;
    until(&rig, 3, ServerStatus::Down).await;
    assert_eq!(status(&rig, 1).await, ServerStatus::Up);
    rig.health_statuses.insert("200-399".parse().unwrap());
    rig.apply().await;
    until(&rig, 3, ServerStatus::Up).await;
    assert!(!left.lock().unwrap().is_empty(), "it still answers 204 and 302");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_leaves_rotation_after_as_many_bad_answers_as_its_service_says_and_no_fewer() {
    let mut rig = Rig::new(Membership::Runtime, 2);
    rig.health_check = HealthCheck {
        interval: Duration::from_millis(300),
        rise: 2,
        fall: 3,
        launch_timeout: None,
    };
    rig.prepare_and_start().await;
    let left = Arc::default();
    scripted(&rig.servers[0], &left).await;
    rig.set(1, ServerState::Ready);
    rig.apply().await;
    // The last is the next. Until its first good answer, HAProxy takes one bad answer of a new server for all.
    *left.lock().unwrap() = vec![200, 200, 503, 503, 200, 503, 503, 200, 200];
    while !left.lock().unwrap().is_empty() {
        assert_eq!(status(&rig, 1).await, ServerStatus::Up, "two bad ones are not three");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    *left.lock().unwrap() = vec![503; 3];
    until(&rig, 1, ServerStatus::Down).await;
    assert!(left.lock().unwrap().is_empty());
    *left.lock().unwrap() = vec![503, 200];
    while !left.lock().unwrap().is_empty() {
        assert_eq!(status(&rig, 1).await, ServerStatus::Down, "one good one is not two");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until(&rig, 1, ServerStatus::Up).await;
}
