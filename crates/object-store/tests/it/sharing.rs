//! Several processes on one folder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};

use crate::harness::{Server, UNLIMITED, header};

fn start<const N: usize>() -> (tempfile::TempDir, [Arc<Server>; N]) {
    let objects = tempfile::tempdir().unwrap();
    let servers = std::array::from_fn(|_| Arc::new(Server::start(objects.path(), UNLIMITED)));
    (objects, servers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_of_many_creators_wins() {
    let (_objects, servers) = start::<3>();
    for round in 0..20 {
        let path = format!("/objs/{round}");
        let creators = (0..12).map(|creator| {
            let request = servers[creator % 3].request(Method::PUT, &path);
            let request = request.header("if-none-match", "*").body(creator.to_string());
            async move { request.send().await.unwrap().status() }
        });
        let answers = join_all(creators).await;
        let winners: Vec<_> =
            (0..12).filter(|&creator| answers[creator] == StatusCode::CREATED).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        let losers = answers.iter().filter(|&&status| status == StatusCode::PRECONDITION_FAILED);
        assert_eq!(losers.count(), 11, "{answers:?}");
        let content = servers[0].get(&path).await.text().await.unwrap();
        assert_eq!(content, winners[0].to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_kept_by_if_match_loses_no_increment() {
    const INCREMENTS: u32 = 15;
    let (_objects, servers) = start::<3>();
    servers[0].put("/objs/counter", "0").await;
    let clients = servers.iter().cloned().chain(servers.iter().cloned()).map(|server| {
        tokio::spawn(async move {
            for _ in 0..INCREMENTS {
                increment(&server).await;
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let count = servers[0].get("/objs/counter").await.text().await.unwrap();
    assert_eq!(count, (6 * INCREMENTS).to_string());
}

async fn increment(server: &Server) {
    loop {
        let read = server.get("/objs/counter").await;
        let tag = header(&read, "etag").to_owned();
        let count: u32 = read.text().await.unwrap().parse().unwrap();
        let request = server.request(Method::PUT, "/objs/counter").header("if-match", tag);
        match request.body((count + 1).to_string()).send().await.unwrap().status() {
            StatusCode::NO_CONTENT => return,
            status => assert_eq!(status, StatusCode::PRECONDITION_FAILED),
        }
    }
}

/// Contents of small and of large objects that tell by any byte which they are.
fn content(writer: usize, round: usize) -> Vec<u8> {
    let length = if round.is_multiple_of(2) { 3000 } else { 200_000 };
    vec![b'a' + u8::try_from(writer * 10 + round % 10).unwrap(); length]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_objects_while_writers_of_other_processes_replace_them() {
    let (_objects, servers) = start::<2>();
    servers[0].put("/objs/a", content(0, 0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let (server, done) = (servers[reader % 2].clone(), done.clone());
            tokio::spawn(async move {
                let mut reads = 0;
                while !done.load(Ordering::Relaxed) {
                    let read = server.get("/objs/a").await;
                    assert_eq!(read.status(), StatusCode::OK);
                    let bytes = read.bytes().await.unwrap();
                    assert!(matches!(bytes.len(), 3000 | 200_000), "{}", bytes.len());
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let server = servers[writer].clone();
            tokio::spawn(async move {
                for round in 0..60 {
                    let stored = server.put("/objs/a", content(writer, round)).await;
                    assert_eq!(stored.status(), StatusCode::NO_CONTENT);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_acknowledged_after_a_clear_returned_survives_it() {
    let (_objects, servers) = start::<2>();
    let end = Instant::now() + Duration::from_secs(3);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let server = servers[writer % 2].clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while Instant::now() < end {
                    let id = format!("{writer}-{}", acknowledged.len());
                    let stored = server.put(&format!("/objs/{id}"), "x").await;
                    assert_eq!(stored.status(), StatusCode::CREATED);
                    acknowledged.push((id, Instant::now()));
                }
                acknowledged
            })
        })
        .collect();
    let mut last_begun = Instant::now();
    let mut last_returned = last_begun;
    while Instant::now() + Duration::from_millis(300) < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
        last_begun = Instant::now();
        assert_eq!(servers[0].delete("/").await.status(), StatusCode::NO_CONTENT);
        last_returned = Instant::now();
    }
    let mut before = 0;
    let mut after = 0;
    for (id, at) in join_all(writers).await.into_iter().flat_map(Result::unwrap) {
        let status = servers[1].get(&format!("/objs/{id}")).await.status();
        if at < last_begun {
            assert_eq!(status, StatusCode::NOT_FOUND, "{id} was to be deleted");
            before += 1;
        } else if at > last_returned {
            assert_eq!(status, StatusCode::OK, "{id} was to survive");
            after += 1;
        }
    }
    assert!(before > 0 && after > 0, "{before} before, {after} after");
}
