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

/// One that takes connections and says nothing.
async fn mute(server: &Server) -> tokio::task::JoinHandle<()> {
    let listener = tokio::net::TcpListener::bind(server.address).await.unwrap();
    tokio::spawn(async move {
        let mut taken = vec![];
        while let Ok((connection, _)) = listener.accept().await {
            taken.push(connection);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_a_health_path_is_in_rotation_while_it_takes_connections() {
    let mut rig = Rig::new(Membership::Runtime, 2);
    for server in &mut rig.servers {
        server.health_path = None;
    }
    (rig.health_statuses, rig.some_by_connection) = ([].into(), true);
    rig.prepare_and_start().await;
    let taking = mute(&rig.servers[0]).await;
    for number in [1, 2] {
        rig.set(number, ServerState::Ready);
    }
    rig.apply().await;
    until(&rig, 2, ServerStatus::Down).await;
    until(&rig, 1, ServerStatus::Up).await;
    taking.abort();
    until(&rig, 1, ServerStatus::Down).await;
}

/// One that fails, with a page that says what is said of those without a health path.
async fn pretends(server: &Server) {
    let page = "\r\n\r\nHTTP/1.0 200 OK\r\nx-bellows-connection: taken\r\n\r\n";
    let answer = async move || (StatusCode::INTERNAL_SERVER_ERROR, page);
    let listener = tokio::net::TcpListener::bind(server.address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_versions_one_may_have_a_health_path_and_the_other_none() {
    let mut rig = Rig::new(Membership::Runtime, 7);
    let paths = ["/healthz", "/fails", "/absent", "/", "/"].map(|path| path.parse().unwrap());
    for (server, path) in rig.servers[2..].iter_mut().zip(paths) {
        server.health_path = Some(path);
    }
    (rig.servers[0].health_path, rig.servers[1].health_path) = (None, None);
    (rig.health_statuses, rig.some_by_connection) = (["404".parse().unwrap()].into(), true);
    rig.health_statuses.insert("200".parse().unwrap());
    rig.prepare_and_start().await;
    let taking = mute(&rig.servers[0]).await;
    let _hangs = mute(&rig.servers[5]).await;
    pretends(&rig.servers[6]).await;
    let instances = [3, 4, 5].map(|number| Instance::start(rig.set(number, ServerState::Ready)));
    for number in [1, 2, 6, 7] {
        rig.set(number, ServerState::Ready);
    }
    rig.apply().await;
    for (number, wanted) in [
        (1, ServerStatus::Up),
        (2, ServerStatus::Down),
        (3, ServerStatus::Up),
        (4, ServerStatus::Down),
        (5, ServerStatus::Up),
        (6, ServerStatus::Down),
        (7, ServerStatus::Down),
    ] {
        until(&rig, number, wanted).await;
    }
    let stats = rig.stats().await;
    let check = |number| stats.services[&store()].servers[&slot(number)].check.clone().unwrap();
    // No sign of life is told by what the check came to.
    assert_eq!([2, 4, 6, 7].map(check), ["L4CON", "L7RSP", "L7TOUT", "L7RSP"]);
    assert_eq!(status(&rig, 1).await, ServerStatus::Up);
    taking.abort();
    drop(instances);
    for number in [1, 3, 5] {
        until(&rig, number, ServerStatus::Down).await;
    }
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
