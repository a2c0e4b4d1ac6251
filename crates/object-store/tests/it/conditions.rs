//! Conditional requests: RFC 9110, 13.

use reqwest::{Method, StatusCode};

use crate::harness::{JsonBody, Server, UNLIMITED, header};

fn start() -> (tempfile::TempDir, Server) {
    let objects = tempfile::tempdir().unwrap();
    let server = Server::start(objects.path(), UNLIMITED);
    (objects, server)
}

#[tokio::test]
async fn a_conditional_read_answers_304_or_412() {
    let (_objects, server) = start();
    let tag = header(&server.put("/objs/a", "one").await, "etag").to_owned();
    let read = async |name: &str, value: &str| {
        let request = server.request(Method::GET, "/objs/a").header(name, value);
        request.send().await.unwrap()
    };
    let same = read("if-none-match", &tag).await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&same, "etag"), tag);
    assert_eq!(same.text().await.unwrap(), "");
    assert_eq!(read("if-none-match", "\"x\"").await.status(), StatusCode::OK);
    assert_eq!(read("if-match", &tag).await.status(), StatusCode::OK);
    let other = read("if-match", "\"x\"").await;
    assert_eq!(other.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(other.code().await, "condition_not_met");
    assert_eq!(read("if-match", "x").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_conditional_write_holds_or_changes_nothing() {
    let (_objects, server) = start();
    let write = async |method: Method, name: &str, value: &str| {
        let request = server.request(method, "/objs/a").header(name, value).body("new");
        request.send().await.unwrap().status()
    };
    assert_eq!(write(Method::PUT, "if-match", "*").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(server.ids().await, Vec::<String>::new());
    assert_eq!(write(Method::PUT, "if-none-match", "*").await, StatusCode::CREATED);
    assert_eq!(write(Method::PUT, "if-none-match", "*").await, StatusCode::PRECONDITION_FAILED);
    let tag = header(&server.put("/objs/a", "old").await, "etag").to_owned();
    assert_eq!(write(Method::PUT, "if-match", "\"x\"").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(write(Method::DELETE, "if-match", "\"x\"").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "old");
    assert_eq!(write(Method::PUT, "if-match", &tag).await, StatusCode::NO_CONTENT);
    assert_eq!(write(Method::DELETE, "if-match", "*").await, StatusCode::NO_CONTENT);
    // Not 404: deliberately different from RFC 9110, 13.2.1; docs/operations/apis.md says why.
    assert_eq!(write(Method::DELETE, "if-match", "*").await, StatusCode::PRECONDITION_FAILED);
}

/// RFC 9110, 5.3 and 13.1.2: what is not understood is never taken for no condition.
#[tokio::test]
async fn an_object_is_not_overwritten_whatever_way_the_condition_is_spelt() {
    let (_objects, server) = start();
    server.put("/objs/a", "old").await;
    for lines in [
        "if-none-match: *\r\nif-none-match: *\r\n",
        "if-none-match: *, \"x\"\r\n",
        "if-none-match: \"a\"b\"\r\n",
        "if-none-match:\r\n",
        "if-match: \"a\" \"b\"\r\n",
    ] {
        for method in ["PUT", "DELETE"] {
            let head = format!("{method} /objs/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
            let answer =
                server.raw(format!("{head}content-length: 3\r\n{lines}\r\nnew").as_bytes());
            assert!(answer.starts_with("HTTP/1.1 400 "), "{lines}: {answer}");
            assert!(answer.contains("\"bad_condition\""), "{lines}: {answer}");
        }
    }
    assert_eq!(server.get("/objs/a").await.text().await.unwrap(), "old");
}

/// RFC 9110, 5.6.1.2 and 8.8.3.
#[tokio::test]
async fn tags_in_a_list_may_hold_commas_and_any_byte_and_elements_may_be_empty() {
    let (_objects, server) = start();
    let tag = header(&server.put("/objs/a", "one").await, "etag").to_owned();
    let status = |list: &[u8]| {
        let head = b"GET /objs/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\nif-none-match: ";
        let answer = server.raw(&[head, list, b"\r\n\r\n"].concat());
        answer["HTTP/1.1 ".len()..][..3].to_owned()
    };
    assert_eq!(status(b"\"a,b\""), "200");
    assert_eq!(status(b"\"\xe9\""), "200");
    for list in [format!("\"x\",, {tag}"), format!("{tag},"), format!("\"a,b\", {tag}")] {
        assert_eq!(status(list.as_bytes()), "304", "{list}");
    }
}

/// RFC 9110, 8.8.2, 13.1.3 and 13.1.4.
#[tokio::test]
async fn an_object_has_a_date_that_conditions_may_name() {
    let (objects, server) = start();
    server.put("/objs/a", "one").await;
    let stored =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_445_412_480_900);
    let file = std::fs::File::open(objects.path().join("objects/=a")).unwrap();
    file.set_modified(stored).unwrap();
    let send = async |method: Method, name: &str, date: &str| {
        let request = server.request(method, "/objs/a").header(name, date).body("new");
        request.send().await.unwrap()
    };
    const STORED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
    const SECOND_BEFORE: &str = "Wed, 21 Oct 2015 07:27:59 GMT";
    let (modified, unmodified) = ("if-modified-since", "if-unmodified-since");
    let read = send(Method::GET, modified, SECOND_BEFORE).await;
    assert_eq!(header(&read, "last-modified"), STORED);
    assert_eq!(read.text().await.unwrap(), "one");
    for method in [Method::GET, Method::HEAD] {
        let same = send(method, modified, STORED).await;
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
        // RFC 9110, 8.6: the length of the 200, or none.
        assert_ne!(header(&same, "content-length"), "0");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let refused = send(method, unmodified, SECOND_BEFORE).await;
        assert_eq!(refused.status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(refused.code().await, "condition_not_met");
    }
    assert_eq!(send(Method::PUT, unmodified, STORED).await.status(), StatusCode::NO_CONTENT);
}

/// RFC 9110, 13.1: the list of all objects has neither tag nor date.
#[tokio::test]
async fn nothing_is_deleted_when_a_condition_on_the_list_does_not_hold() {
    let (_objects, server) = start();
    server.put("/objs/a", "one").await;
    let clear = async |name: &str, value: &str| {
        let request = server.request(Method::DELETE, "/").header(name, value);
        request.send().await.unwrap().status()
    };
    assert_eq!(clear("if-match", "\"x\"").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(clear("if-none-match", "*").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(clear("if-match", "x").await, StatusCode::BAD_REQUEST);
    assert_eq!(server.ids().await, ["a"]);
    assert_eq!(clear("if-match", "*").await, StatusCode::NO_CONTENT);
    assert_eq!(server.ids().await, Vec::<String>::new());
}
