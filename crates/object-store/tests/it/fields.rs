//! The header fields of objects.

use reqwest::{Method, StatusCode};

use crate::harness::{JsonBody, Server, UNLIMITED, header};

fn start() -> (tempfile::TempDir, Server) {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), UNLIMITED);
    (objects, server)
}

/// RFC 9110, 8.4: packed bytes that are not labelled so would be taken for the content.
#[tokio::test]
async fn what_a_client_says_of_a_content_comes_back_with_it() {
    const FIELDS: [(&str, &str); 5] = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("content-language", "de, en"),
        ("content-disposition", "attachment; filename=\"a.json\""),
        ("cache-control", "max-age=60"),
    ];
    let (_objects, server) = start();
    // Sent whole from memory, and part by part from the file.
    for length in [100, 300_000] {
        let mut request = server.request(Method::PUT, "/objs/a").body("x".repeat(length));
        for (name, value) in FIELDS {
            request = request.header(name, value);
        }
        let tag = header(&request.send().await.unwrap(), "etag").to_owned();
        let read = server.get("/objs/a").await;
        let part = server.request(Method::GET, "/objs/a").header("range", "bytes=10-");
        let part = part.send().await.unwrap();
        for (name, value) in FIELDS {
            assert_eq!(header(&read, name), value);
            assert_eq!(header(&part, name), value);
        }
        assert_eq!(read.bytes().await.unwrap().len(), length);
        assert_eq!(part.bytes().await.unwrap().len(), length - 10);
        // RFC 9110, 15.4.5.
        let same = server.request(Method::GET, "/objs/a").header("if-none-match", tag);
        let same = same.send().await.unwrap();
        assert_eq!(header(&same, "cache-control"), "max-age=60");
        assert_eq!(header(&same, "content-type"), "");
    }
}

/// RFC 9111, 4.2.2: without `Cache-Control`, a cache may guess for how long it need not ask.
#[tokio::test]
async fn an_object_of_which_nothing_is_said_is_asked_for_each_time() {
    let (_objects, server) = start();
    let request = server.request(Method::PUT, "/objs/a").header("content-encoding", "gzip");
    request.body("packed").send().await.unwrap();
    let tag = header(&server.put("/objs/a", "plain").await, "etag").to_owned();
    let read = server.get("/objs/a").await;
    assert_eq!(header(&read, "content-type"), "application/octet-stream");
    assert_eq!(header(&read, "content-encoding"), "");
    assert_eq!(header(&read, "cache-control"), "no-cache");
    let same = server.request(Method::GET, "/objs/a").header("if-none-match", tag);
    assert_eq!(header(&same.send().await.unwrap(), "cache-control"), "no-cache");
}

#[tokio::test]
async fn fields_that_cannot_be_kept_are_refused() {
    let (_objects, server) = start();
    let long = "y".repeat(2046);
    let twice = [("content-type", "a/b"), ("content-type", "c/d")];
    for fields in [&[("content-type", &*long)][..], &twice] {
        let mut request = server.request(Method::PUT, "/objs/a").body("x");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(refused.code().await, "bad_content_field");
    }
    assert_eq!(server.ids().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_object_is_never_a_page_of_the_origin_that_serves_it() {
    let (_objects, server) = start();
    let page = server.request(Method::PUT, "/objs/a").header("content-type", "text/html");
    page.body("<script>alert(1)</script>").send().await.unwrap();
    for range in ["", "bytes=0-9"] {
        let read = server.request(Method::GET, "/objs/a").header("range", range);
        let read = read.send().await.unwrap();
        assert_eq!(header(&read, "content-type"), "text/html");
        assert_eq!(header(&read, "x-content-type-options"), "nosniff");
        assert_eq!(header(&read, "content-security-policy"), "sandbox");
    }
}

#[tokio::test]
async fn an_object_that_the_build_before_stored_is_served() {
    let (objects, server) = start();
    let record = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records/version-1");
    std::fs::copy(record, objects.path().join("objects/=captured%2F1")).unwrap();
    let read = server.get("/objs/captured/1").await;
    assert_eq!(header(&read, "content-type"), "text/plain; charset=utf-8");
    let tag = "\"71a11c89b098f3f3eaa7894ed5cac07406cbfd6a2b5d4eb1bc135a461a61af6f\"";
    assert_eq!(header(&read, "etag"), tag);
    assert_eq!(read.text().await.unwrap(), "stored by the build before");
}
