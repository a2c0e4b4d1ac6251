//! The console in front of a scaler that answers each request as the description says: with its example, or now and then with
//! one of its problems. `scripts/schemathesis` asks it for everything.
//!
//! `described FOLDER`: it listens on loopback, says its address on its first line, and ends with its standard input.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use bytes::Bytes;
use console::api::{self, Known, Previews, Rules};
use console::experiments::{Experiments, Scenarios};
use console::history::{self, Place};
use console::live::Hub;
use console::metrics::Counted;
use console::rights::Rights;
use console::samples;
use console::upstream::Upstream;
use console::watch::{Follower, Now};
use model::feed::FeedLine;
use model::network::NetworkStatus;
use model::time::Timestamp;
use prometheus_client::registry::Registry;
use scaler_client::Scaler;
use serde_json::{Value, json};
use service::form::Form;
use service::listener::Tcp;
use service::metrics::HttpMetrics;
use service::server::{Limits, serve};
use tokio::net::{TcpListener, UnixListener};

/// The one token of the scaler.
const SECRET: &str = "Bearer schemathesis";

/// Every so many requests are refused, each time with another problem of those that the scaler may tell.
const REFUSES: usize = 5;

/// What the console says itself and the scaler does not.
const OWN: [&str; 9] = [
    "bad_request",
    "unauthorized",
    "unknown_host",
    "foreign_origin",
    "body_too_slow",
    "body_too_large",
    "head_too_large",
    "internal",
    "not_written",
];

/// The scaler.
struct Fake {
    document: Value,
    asked: AtomicUsize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("described FOLDER"))?;
    let folder = Path::new(&folder);
    let socket = folder.join("console.sock");
    let listener = UnixListener::bind(&socket)?;
    tokio::spawn(
        async move { axum::serve(listener, scaler()?).await.map_err(anyhow::Error::from) },
    );
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(ended);
    });
    console(&socket, folder, async move { drop(end.await) }).await
}

async fn console(
    socket: &Path,
    folder: &Path,
    end: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let file = folder.join("history.sqlite");
    let (recorder, history) = history::open(Place { file, size_bytes: 32 * 1024 * 1024 });
    let (now, hub) = (Arc::new(Now::default()), Arc::new(Hub::new(Timestamp::from_millis(1))));
    let mut registry = Registry::default();
    let requests = HttpMetrics::register(&mut registry);
    let counted = Counted::register(&mut registry);
    let scaler = Scaler::new(&socket.display().to_string())?;
    let follower = Follower {
        scaler,
        answered: Arc::default(),
        now: Arc::clone(&now),
        hub: Arc::clone(&hub),
        counted,
        recorder,
        notifier: None,
    };
    tokio::spawn(follower.run(history.clone(), std::future::pending()));
    let upstream = Upstream::new(socket)?;
    let rights = Rights::new(upstream.clone());
    let registry = Arc::new(registry);
    let previews = Previews::default();
    let known = Known {
        now,
        history,
        hub,
        registry,
        upstream,
        rights,
        previews,
        experiments: Experiments::new(None),
        scenarios: Arc::new(Scenarios::default()),
        entrance: None,
    };
    let rate_factor = NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN);
    let routes = api::routes(known, Rules { rate_factor, ..Rules::default() }, requests);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let limits = Limits { form: Form::ProblemJson, ..Limits::default() };
    let _ = serve(Tcp(listener), move |_| routes.clone(), limits, end).await;
    Ok(())
}

fn scaler() -> anyhow::Result<Router> {
    let document: Value = serde_json::from_str(include_str!("../openapi.json"))?;
    let fake = Arc::new(Fake { document, asked: AtomicUsize::new(0) });
    let paths = api::forward::list::all().map(|it| it.path);
    let paths = paths.chain(["/v1/services", "/v1/services/{name}"]);
    // One path has several methods.
    let paths: BTreeMap<_, _> = paths.map(|path| (path, ())).collect();
    let routes = Router::new()
        .route("/v1/feed", get(feed))
        .route("/v1/ticks", get(|| async { Json(json!({"ticks": [], "next": 0})) }))
        .route("/v1/caller", get(caller));
    let routes = paths.into_keys().fold(routes, |routes, path| routes.route(path, any(answer)));
    Ok(routes.with_state(fake))
}

fn is_named(request: &Request) -> Option<bool> {
    let told = request.headers().get("authorization")?;
    Some(told == SECRET)
}

async fn caller(request: Request) -> Response {
    match is_named(&request) {
        Some(true) => Json(json!({ "kind": "token", "token": {
            "name": "schemathesis", "rights": ["all"], "services": null, "made_at_ms": 1, "expires_at_ms": null,
        } }))
        .into_response(),
        Some(false) => refusal(401, "unauthorized"),
        None => Json(json!({ "kind": "reader" })).into_response(),
    }
}

/// A turn, a service and the network each second.
async fn feed() -> Response {
    let lines = futures_util::stream::unfold((), async |()| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let lines = [
            FeedLine::Tick(Box::new(samples::tick("store", at_ms))),
            FeedLine::Service(Box::new(samples::service_feed("store", at_ms, &["bw-store-1-a"]))),
            FeedLine::Network(NetworkStatus::default()),
        ];
        let lines = lines.map(|line| serde_json::to_string(&line).unwrap_or_default() + "\n");
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(lines.concat())), ()))
    });
    Body::from_stream(lines).into_response()
}

async fn answer(State(fake): State<Arc<Fake>>, path: MatchedPath, request: Request) -> Response {
    let method = request.method().as_str().to_lowercase();
    let operation = &fake.document["paths"][path.as_str()][&method];
    let needs_token = operation["security"].as_array().is_some_and(|ways| ways.len() == 1);
    if is_named(&request) == Some(false) || (needs_token && is_named(&request).is_none()) {
        return refusal(401, "unauthorized");
    }
    let asked = fake.asked.fetch_add(1, Ordering::Relaxed);
    let problems = problems(operation);
    match problems.get(asked / REFUSES % problems.len().max(1)) {
        Some((status, code)) if asked % REFUSES == 0 => refusal(*status, code),
        _ => good(operation),
    }
}

/// The problems of an operation that come from the scaler and are no failures.
fn problems(operation: &Value) -> Vec<(u16, String)> {
    let mut problems = Vec::new();
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let schema = &answer["content"]["application/problem+json"]["schema"];
        let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
        let codes = codes.into_iter().flatten().filter_map(Value::as_str);
        let status: u16 = status.parse().unwrap_or_default();
        let codes = codes.filter(|code| !OWN.contains(code) && status < 500);
        problems.extend(codes.map(|code| (status, code.to_owned())));
    }
    problems
}

fn good(operation: &Value) -> Response {
    let answers = operation["responses"].as_object().into_iter().flatten();
    let mut good = answers.filter(|(status, _)| status.starts_with('2'));
    let Some((status, answer)) = good.next() else { return refusal(404, "no_such_path") };
    let Some((kind, content)) = answer["content"].as_object().into_iter().flatten().next() else {
        return refusal(404, "no_such_path");
    };
    let example = &content["example"];
    let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
    let status = StatusCode::from_bytes(status.as_bytes()).unwrap_or_default();
    (status, [("content-type", kind.clone()), ("connection", "close".to_owned())], text)
        .into_response()
}

fn refusal(status: u16, code: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(json!({ "error": { "code": code, "message": "So says the fake." } })))
        .into_response()
}
