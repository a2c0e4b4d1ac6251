//! Delivery to servers on loopback: one that is posted to, and a notifier that runs.

mod mail;
mod webhooks;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use host::notify::Notify;
use host::settings::{EpisodeKind, NotifySettings, WebhookUrl};
use model::tick::Tick;
use model::time::Timestamp;
use model::version::{Rollout, Version, Wanted};
use prometheus_client::registry::Registry;
use rustls::RootCertStore;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::message::{Change, Message};
use super::notifier::Notifier;
use super::queue::WAITING_MAX;
use super::receiver::{Means, Receiver};
use crate::metrics::Notified;
use crate::samples;

/// Long for what takes milliseconds.
const LONG: Duration = Duration::from_secs(20);

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    /// To another path of it.
    Elsewhere,
    /// A body without an end.
    Endless,
    Never,
}

/// What a server was asked.
struct Asked {
    path: String,
    headers: HeaderMap,
    body: serde_json::Value,
}

/// A receiver.
struct Server {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<Asked>,
}

type Answers = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

impl Server {
    async fn start(answers: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let (listener, routes, asked) = Self::parts(Arc::new(answers)).await;
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, asked }
    }

    async fn parts(answers: Answers) -> (TcpListener, Router, mpsc::UnboundedReceiver<Asked>) {
        let (tell, asked) = mpsc::unbounded_channel();
        let routes = Router::new().fallback(answer).with_state((answers, tell));
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), routes, asked)
    }

    fn url(&self) -> WebhookUrl {
        format!("http://{}/SECRET", self.address).parse().unwrap()
    }

    async fn next(&mut self) -> Asked {
        timeout(LONG, self.asked.recv()).await.expect("it is asked").unwrap()
    }

    /// The services of the next requests.
    async fn services(&mut self, count: usize) -> Vec<String> {
        let mut services = Vec::new();
        for _ in 0..count {
            services.push(self.next().await.body["service"].as_str().unwrap().to_owned());
        }
        services
    }
}

async fn answer(
    State((answers, tell)): State<(Answers, mpsc::UnboundedSender<Asked>)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap();
    let asked = Asked { path: uri.path().to_owned(), headers, body };
    let answer = answers(&asked);
    tell.send(asked).unwrap();
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Elsewhere => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Answer::Endless => {
            let part = || Ok::<_, std::convert::Infallible>(Bytes::from_static(&[0; 4096]));
            Body::from_stream(futures_util::stream::repeat_with(part)).into_response()
        }
        Answer::Never => std::future::pending().await,
    }
}

/// A notifier that runs.
struct Running {
    notifier: Notifier,
    counted: Registry,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(folder: &Path, webhooks: &[WebhookUrl]) -> Self {
        let settings = NotifySettings { webhooks: webhooks.to_vec(), ..NotifySettings::default() };
        Self::with(folder, settings, RootCertStore::empty(), 1)
    }

    fn with(folder: &Path, settings: NotifySettings, roots: RootCertStore, mail_port: u16) -> Self {
        let (patience, first_wait) = (Duration::from_millis(500), Duration::from_millis(5));
        let means = Means { roots, mail_port, patience, first_wait };
        let receivers = Receiver::by(means, &settings, "web1").unwrap();
        let mut counted = Registry::default();
        let figures = Notified::register(&mut counted);
        let notify = Notify { settings, state: folder.to_owned() };
        let kept = folder.join("kept.json");
        let notifier = Notifier::with(notify, "web1".to_owned(), receivers, kept, figures);
        let (stop, is_stopped) = oneshot::channel();
        let run = notifier.clone().run(async move { drop(is_stopped.await) });
        Self { notifier, counted, stop, task: tokio::spawn(run) }
    }

    fn given_up(&self, service: &str) {
        let next = Wanted { version: Version::new(2), deployed_at: Timestamp::from_millis(1) };
        let rollout = Rollout::GivenUp { version: Version::new(1), next, reason: String::new() };
        self.notifier.tick(&Tick { rollout: Some(rollout), ..samples::tick(service, 1_000) });
    }

    fn serves(&self, service: &str) {
        let rollout = Some(Rollout::Serving { version: Version::new(3) });
        self.notifier.tick(&Tick { rollout, ..samples::tick(service, 61_000) });
    }

    /// Waits until a line of the metrics is there.
    async fn until(&self, line: &str) {
        let is_there = async {
            while !self.metrics().lines().any(|it| it == line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let found = timeout(LONG, is_there).await;
        assert!(found.is_ok(), "{line}: {}", self.metrics());
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.counted).unwrap();
        text
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

fn outcome(receiver: &str, outcome: &str, count: u32) -> String {
    format!(
        "bellows_notify_messages_total{{receiver=\"{receiver}\",outcome=\"{outcome}\"}} {count}"
    )
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
