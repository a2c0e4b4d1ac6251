//! Plain HTTP requests against a small web service of another kind: what is not as expected is found.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use loadgen::{Ending, Interrupt, LoadedScenario, RunOptions, RunReport};

/// What was asked for: method, path with query, the header `x-token`, and the body.
type Asked = Arc<Mutex<Vec<[String; 4]>>>;

const OPEN: &str = r#"
name = "plain"
service = "greeter"
seed = 5
timeout_ms = 1500

[limits]
max_failed = 0

[[phases]]
kind = "constant"
duration_s = 1
rate = 200
"#;

const CLOSED: &str = r#"
name = "plain"
service = "greeter"
seed = 5
timeout_ms = 1500

[limits]
max_failed = 0

[[stages]]
threads = 4
requests_per_thread = 50
max_delay_ms = 5
"#;

/// Greets whoever it is asked to, a tenth of a megabyte late in the body, and remembers who asked.
async fn greet(State(asked): State<Asked>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1_000).await.unwrap();
    let token = head.headers.get("x-token").map_or("", |value| value.to_str().unwrap());
    let body = String::from_utf8(body.to_vec()).unwrap();
    let all = [head.method.to_string(), head.uri.to_string(), token.to_owned(), body.clone()];
    asked.lock().unwrap().push(all);
    match head.uri.path() {
        "/greet" => format!("{}Hello, {body}!", " ".repeat(100_000)).into_response(),
        "/busy" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Starts the service on a free port of loopback.
fn greeter() -> (String, Asked) {
    let asked = Asked::default();
    let routes = Router::new().fallback(greet).with_state(Arc::clone(&asked));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, routes).await.unwrap();
        });
    });
    (url, asked)
}

fn run(url: &str, text: &str) -> RunReport {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plain.toml");
    std::fs::write(&file, text).unwrap();
    let options = RunOptions {
        scenario: LoadedScenario::read(&file, Path::new("none"), 1.0, None).unwrap(),
        target: url.parse().unwrap(),
        scaler: None,
        results: folder.path().join("results"),
    };
    let (_sender, interrupt) = Interrupt::manual();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(loadgen::run(options, interrupt)).unwrap()
}

#[test]
fn an_open_and_a_closed_load_make_the_requests_as_they_are_described() {
    let requests = "[[requests]]\nmethod = \"POST\"\npath = \"/greet?a=b\"\nbody = \"World\"\n\
        headers = { x-token = \"t\" }\nexpected_text = \"Hello, World!\"\n\
        [[requests]]\npath = \"/nobody\"\nexpected_statuses = [410, 404]\n";
    for load in [OPEN, CLOSED] {
        let (url, asked) = greeter();
        let report = run(&url, &format!("{load}{requests}"));
        assert_eq!(report.ending, Ending::Held, "{}", report.text());
        let asked = asked.lock().unwrap();
        let due = usize::try_from(report.summary.requests.due).unwrap();
        // Nothing is stored before the load, and nothing removed after it.
        assert_eq!(asked.len(), due);
        let post = ["POST", "/greet?a=b", "t", "World"].map(str::to_owned);
        let posts = asked.iter().filter(|request| **request == post).count();
        let get = ["GET", "/nobody", "", ""].map(str::to_owned);
        let gets = asked.iter().filter(|request| **request == get).count();
        assert_eq!(posts + gets, due);
        // Half of some 200, with a standard deviation of 7.
        assert!(posts.abs_diff(gets) < 85, "{posts} {gets}");
    }
}

#[test]
fn another_status_or_a_body_without_the_text_is_a_failure() {
    let cases = [
        ("path = \"/nobody\"", "status_404", 0),
        ("path = \"/busy\"", "status_503", 200),
        ("path = \"/greet\"\nexpected_statuses = [204]", "status_200", 0),
        ("path = \"/greet\"\nexpected_text = \"Hello, World!\"", "wrong_body", 0),
    ];
    for (request, cause, rejected) in cases {
        let (url, _) = greeter();
        let report = run(&url, &format!("{CLOSED}[[requests]]\n{request}\n"));
        let summary = &report.summary;
        assert_eq!(summary.failures, [(cause.to_owned(), 200)].into(), "{}", report.text());
        assert_eq!((summary.requests.failed, summary.requests.rejected), (200, rejected));
        assert_eq!(report.ending, Ending::NotHeld);
    }
}
