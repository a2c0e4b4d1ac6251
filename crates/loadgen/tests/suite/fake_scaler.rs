//! A scaler that plays along with experiments, and notes down what it is told.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::{Method, StatusCode};
use axum::routing::{any, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// There is no room for a larger fleet.
const SLOTS: u64 = 20;

/// A scaler that takes every setting it has room for. It answers until it is told to end.
pub(crate) struct Fake {
    pub(crate) url: String,
    pub(crate) state: Arc<Mutex<Settings>>,
    pub(crate) end: Option<oneshot::Sender<()>>,
}

pub(crate) struct Settings {
    pub(crate) bounds: Value,
    pub(crate) policy: Value,
    pub(crate) membership: Value,
    /// What an operator holds the service at.
    pub(crate) hold: Value,
    pub(crate) ready: u32,
    /// The last turn of its loop.
    pub(crate) tick: Value,
    /// Every change, in order.
    pub(crate) log: Vec<String>,
}

type Shared = State<Arc<Mutex<Settings>>>;

impl Fake {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Settings {
            bounds: json!({"min": 1, "max": 4}),
            policy: Value::Null,
            membership: Value::Null,
            hold: Value::Null,
            ready: 1,
            tick: Value::Null,
            log: Vec::new(),
        }));
        let router = Router::new()
            .route("/v1/services/object-store", get(service))
            .route("/v1/services/object-store/{setting}", any(of_service))
            .route("/v1/membership", any(membership))
            .route("/v1/ticks", get(|| async { Json(json!({"ticks": [], "next": 0})) }))
            .with_state(Arc::clone(&state));
        let (end, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        Self { url, state, end: Some(end) }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub(crate) fn set(&self) -> [Value; 3] {
        let settings = self.state.lock().unwrap();
        [settings.bounds.clone(), settings.policy.clone(), settings.membership.clone()]
    }
}

fn status(settings: &Settings) -> Value {
    let own = json!({"kind": "target_tracking", "target_percent": 80});
    let policy = if settings.policy.is_null() { &own } else { &settings.policy };
    let bounds =
        if settings.bounds.is_null() { &json!({"min": 1, "max": 10}) } else { &settings.bounds };
    json!({"name": "object-store", "route": "/", "bounds": bounds, "policy": policy["kind"],
           "policy_spec": policy, "objective_ms": 250,
           "wanted": {"version": "00000001", "deployed_at_ms": 1}, "rollout": null,
           "set": {"bounds": settings.bounds, "policy": settings.policy},
           "phases": {"starting": 0, "ready": settings.ready, "draining": 0, "failed": 0},
           "hold": settings.hold, "instances": [], "tick": settings.tick})
}

async fn service(State(state): Shared) -> Json<Value> {
    Json(status(&state.lock().unwrap()))
}

async fn of_service(
    State(state): Shared,
    UrlPath(setting): UrlPath<String>,
    method: Method,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut settings = state.lock().unwrap();
    settings.log.push(format!("{method} {setting}"));
    if body["kind"] == "queue_depth" {
        let error = json!({"error": {"code": "bad_policy", "message": "It does not fit."}});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(error));
    }
    if body["max"].as_u64() > Some(SLOTS) {
        let error = json!({"error": {"code": "too_many_slots", "message": "No slots."}});
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(error));
    }
    match setting.as_str() {
        "policy" => settings.policy = body,
        "bounds" => settings.bounds = body,
        _ => return (StatusCode::NOT_FOUND, Json(Value::Null)),
    }
    (StatusCode::OK, Json(status(&settings)))
}

async fn membership(State(state): Shared, method: Method, body: Bytes) -> Json<Value> {
    let mut settings = state.lock().unwrap();
    if method != Method::GET {
        settings.log.push(format!("{method} membership"));
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        settings.membership = body["membership"].clone();
    }
    let set = settings.membership.clone();
    let in_force = if set.is_null() { json!("runtime") } else { set.clone() };
    Json(json!({"membership": in_force, "set": set}))
}
