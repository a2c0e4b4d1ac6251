//! Processes and clients that go away at the wrong moment.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;

use crate::harness::{Server, UNLIMITED, eventually, incoming};

/// Sends half of a body that is large enough for the server to have written some of it.
fn half_a_put(server: &Server, path: &str) -> TcpStream {
    let mut stream = server.connect();
    write!(stream, "PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000\r\n\r\n").unwrap();
    stream.write_all(&[b'x'; 1_000_000]).unwrap();
    stream
}

async fn upload_begun(objects: &Path) {
    eventually("an upload has begun", || incoming(objects) == 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_halfway_leaves_the_old_object_and_no_file() {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), UNLIMITED);
    server.put("/objs/a", "old").await;
    let upload = half_a_put(&server, "/objs/a");
    upload_begun(objects.path()).await;
    drop(upload);
    eventually("the upload is removed", || incoming(objects.path()) == 0).await;
    assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "old");
}

#[tokio::test]
async fn a_process_killed_in_the_middle_of_a_put_leaves_nothing_visible() {
    let objects = tempfile::tempdir().unwrap();
    let mut killed = Server::start(objects.path(), UNLIMITED);
    let survivor = Server::start(objects.path(), UNLIMITED);
    killed.put("/objs/a", "old").await;
    let _upload = half_a_put(&killed, "/objs/a");
    upload_begun(objects.path()).await;
    killed.signal("KILL");
    killed.wait();
    for server in [&survivor, &Server::start(objects.path(), UNLIMITED)] {
        assert_eq!(server.ids().await, ["a"]);
        assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "old");
        assert_eq!(server.put("/objs/a", "old").await.status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_new_process_sweeps_old_uploads_of_the_dead_and_no_others() {
    let objects = tempfile::tempdir().unwrap();
    let mut killed = Server::start(objects.path(), UNLIMITED);
    let _upload = half_a_put(&killed, "/objs/dead");
    upload_begun(objects.path()).await;
    killed.signal("KILL");
    killed.wait();

    let survivor = Server::start(objects.path(), UNLIMITED);
    let _upload = half_a_put(&survivor, "/objs/alive");
    eventually("two uploads are there", || incoming(objects.path()) == 2).await;
    // Only age and a dead process together make an upload one to sweep: the second one is old,
    // but its process lives.
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for entry in std::fs::read_dir(objects.path().join("incoming")).unwrap() {
        let file = File::options().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    let _third = Server::start(objects.path(), UNLIMITED);
    eventually("the dead one is swept", || incoming(objects.path()) == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(incoming(objects.path()), 1);
}

#[tokio::test]
async fn a_young_upload_of_a_dead_process_is_not_swept() {
    let objects = tempfile::tempdir().unwrap();
    let mut killed = Server::start(objects.path(), UNLIMITED);
    let _upload = half_a_put(&killed, "/objs/dead");
    upload_begun(objects.path()).await;
    killed.signal("KILL");
    killed.wait();
    let server = Server::start(objects.path(), UNLIMITED);
    server.put("/objs/a", "x").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(incoming(objects.path()), 1);
}
