//! Single objects: storing, reading, parts.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::harness::{JsonBody, Server, UNLIMITED, header};

fn start() -> (tempfile::TempDir, Server) {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), UNLIMITED);
    (objects, server)
}

#[tokio::test]
async fn an_object_is_stored_replaced_read_and_deleted() {
    let (_objects, server) = start();
    let created = server.put("/objs/a", "one").await;
    assert_eq!(created.status(), StatusCode::CREATED);
    let tag = header(&created, "etag").to_owned();

    let read = server.get("/objs/a").await;
    assert_eq!(header(&read, "etag"), tag);
    assert_eq!(header(&read, "content-type"), "application/octet-stream");
    assert_eq!(read.text().await.unwrap(), "one");

    let replaced = server.request(Method::PUT, "/objs/a").header("content-type", "text/x; y=z");
    let replaced = replaced.body("two!").send().await.unwrap();
    assert_eq!(replaced.status(), StatusCode::NO_CONTENT);
    assert_ne!(header(&replaced, "etag"), tag);

    let head = server.request(Method::HEAD, "/objs/a").send().await.unwrap();
    assert_eq!(header(&head, "content-length"), "4");
    assert_eq!(header(&head, "content-type"), "text/x; y=z");
    assert_eq!(head.text().await.unwrap(), "");

    assert_eq!(server.delete("/objs/a").await.status(), StatusCode::NO_CONTENT);
    let gone = server.delete("/objs/a").await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(gone.code().await, "no_such_object");
    let gone = server.get("/objs/a").await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(gone.code().await, "no_such_object");
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let (_objects, server) = start();
    // Unlike others, reqwest sends no length of its own accord where it is 0.
    let request = server.request(Method::PUT, "/objs/a").header("content-length", "0");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED);
    let read = server.get("/objs/a").await;
    assert_eq!(header(&read, "content-length"), "0");
    assert_eq!(read.text().await.unwrap(), "");
}

/// RFC 9110, 14.1.2: "If the selected representation is shorter than the specified suffix-length,
/// the entire representation is used."
#[tokio::test]
async fn the_last_bytes_of_an_empty_object_are_all_of_it() {
    let (_objects, server) = start();
    server.request(Method::PUT, "/objs/a").header("content-length", "0").send().await.unwrap();
    let read = server.request(Method::GET, "/objs/a").header("range", "bytes=-5");
    let read = read.send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    assert_eq!(read.text().await.unwrap(), "");
}

/// RFC 9110, 14.2: ranges are for GET alone.
#[tokio::test]
async fn head_knows_no_ranges() {
    let (_objects, server) = start();
    server.put("/objs/a", "content").await;
    for range in ["bytes=2-4", "bytes=999-"] {
        let head = server.request(Method::HEAD, "/objs/a").header("range", range);
        let head = head.send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(header(&head, "content-length"), "7");
        assert_eq!(header(&head, "content-range"), "");
    }
}

/// RFC 9110, 9.3.2.
#[tokio::test]
async fn head_is_get_without_the_content() {
    let (_objects, server) = start();
    server.put("/objs/a", "content").await;
    for path in ["/objs/a", "/objs/b", "/", "/?limit=x", "/nowhere", "/healthz"] {
        let get = server.get(path).await;
        let head = server.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(head.status(), get.status(), "{path}");
        let without_date = |mut headers: HeaderMap| {
            headers.remove("date");
            headers
        };
        assert_eq!(without_date(head.headers().clone()), without_date(get.headers().clone()));
        assert_eq!(head.text().await.unwrap(), "");
    }
}

/// RFC 9110, 14.5: `curl -C 3 -T` sends such a part, which would take the place of the whole.
#[tokio::test]
async fn a_part_does_not_replace_the_whole() {
    let (_objects, server) = start();
    server.put("/objs/a", "whole!").await;
    for (path, range) in [("/objs/a", "bytes 3-5/6"), ("/objs/a", "x"), ("/objs/b", "bytes 0-2/*")]
    {
        let part = server.request(Method::PUT, path).header("content-range", range).body("new");
        let refused = part.send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(refused.code().await, "content_range");
    }
    assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "whole!");
    assert_eq!(server.ids().await, ["a"]);
}

#[tokio::test]
async fn equal_contents_have_equal_tags_whatever_their_ids() {
    let (_objects, server) = start();
    let tag = header(&server.put("/objs/a", "same").await, "etag").to_owned();
    // `printf same | sha256sum`
    assert_eq!(tag, "\"0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5\"");
    assert_eq!(header(&server.put("/objs/b", "same").await, "etag"), tag);
    assert_eq!(header(&server.put("/objs/a", "same").await, "etag"), tag);
}

#[tokio::test]
async fn parts_of_small_and_large_objects_are_sent() {
    let (_objects, server) = start();
    for length in [1000_usize, 300_000] {
        let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let tag = header(&server.put("/objs/a", content.clone()).await, "etag").to_owned();
        let read = async |range: &str, if_range: &str| {
            let request = server.request(Method::GET, "/objs/a").header("range", range);
            request.header("if-range", if_range).send().await.unwrap()
        };
        let part = read("bytes=10-899", &tag).await;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(header(&part, "content-range"), format!("bytes 10-899/{length}"));
        assert_eq!(header(&part, "content-length"), "890");
        assert_eq!(part.bytes().await.unwrap(), content[10..900]);
        let end = read("bytes=-7", &tag).await;
        assert_eq!(end.bytes().await.unwrap(), content[length - 7..]);
        let changed = read("bytes=10-899", "\"x\"").await;
        assert_eq!(changed.status(), StatusCode::OK);
        assert_eq!(changed.bytes().await.unwrap(), content);
        let beyond = read(&format!("bytes={length}-"), &tag).await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(header(&beyond, "content-range"), format!("bytes */{length}"));
        assert_eq!(beyond.code().await, "range_not_satisfiable");
    }
}

#[tokio::test]
async fn a_large_object_passes_both_ways_in_little_memory() {
    const LENGTH: usize = 96 << 20;
    let (_objects, server) = start();
    let content = vec![b'x'; LENGTH];
    assert_eq!(server.put("/objs/a", content.clone()).await.status(), StatusCode::CREATED);
    let read = server.get("/objs/a").await;
    assert_eq!(header(&read, "content-length"), LENGTH.to_string());
    assert!(read.bytes().await.unwrap() == content);
    let peak = server.peak_memory();
    assert!(peak < 24 << 20, "{peak} bytes");
}

#[tokio::test]
async fn odd_ids_are_kept_as_they_are() {
    let (_objects, server) = start();
    let long = "y".repeat(1024);
    let euros = "%E2%82%AC".repeat(341);
    let mut paths = vec!["a%2Fb", "...", "%20", "%25%32%35", "%22%5C%0A", "%F0%9F%98%80"];
    paths.extend(["a+b", "~x", "%3Dx"]);
    paths.extend([long.as_str(), euros.as_str(), "/a", "a//b/"]);
    for path in &paths {
        let path = format!("/objs/{path}");
        assert_eq!(server.put(&path, path.clone()).await.status(), StatusCode::CREATED, "{path}");
    }
    for path in &paths {
        let path = format!("/objs/{path}");
        assert_eq!(server.get(&path).await.text().await.unwrap(), path);
    }
    let mut ids = vec!["a/b", "...", " ", "%25", "\"\\\n", "\u{1F600}", "a+b", "~x", "=x", "/a"];
    let euros = "\u{20AC}".repeat(341);
    ids.extend(["a//b/", &long, &euros]);
    ids.sort_unstable();
    assert_eq!(server.ids().await, ids);
    // A slash is a slash, encoded or not.
    assert_eq!(server.get("/objs/a/b").await.text().await.unwrap(), "/objs/a%2Fb");
}

#[tokio::test]
async fn a_damaged_file_is_a_failure_until_it_is_replaced() {
    let (objects, server) = start();
    server.put("/objs/a", "one").await;
    server.put("/objs/b", "two").await;
    let file = objects.path().join("objects/=a");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let read = server.get("/objs/a").await;
    assert_eq!(read.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(read.code().await, "internal");
    assert_eq!(server.ids().await, ["a", "b"]);
    assert_eq!(server.put("/objs/a", "three").await.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "three");
}
