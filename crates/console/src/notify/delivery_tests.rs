//! Delivery to servers on loopback that answer late, wrongly, elsewhere, for ever, or not at all.

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
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
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

#[tokio::test]
async fn a_beginning_and_its_end_are_posted_with_their_keys() {
    let folder = folder();
    let mut server = Server::start(|_| Answer::Status(204)).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    let asked = server.next().await;
    assert_eq!(asked.path, "/SECRET");
    let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), concat!("bellows/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("idempotency-key"), "failed_deploy-store-1000-began");
    insta::assert_snapshot!(asked.body, @r#"{"at_ms":1000,"episode":"failed_deploy-store-1000","format":1,"host":"web1","kind":"failed_deploy","service":"store","state":"began","text":"version 00000002 of store was given up: see `bellows events store`, then deploy another one or go back."}"#);
    running.until("bellows_episodes{service=\"store\",kind=\"failed_deploy\"} 1").await;
    running.serves("store");
    let ended = server.next().await;
    assert_eq!(ended.headers["idempotency-key"], "failed_deploy-store-1000-ended");
    assert_eq!(
        (&ended.body["state"], &ended.body["episode"]),
        (&"ended".into(), &asked.body["episode"])
    );
    running.until(&outcome("webhook_1", "delivered", 2)).await;
    assert!(!running.metrics().contains("bellows_episodes{"), "{}", running.metrics());
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_key_and_what_comes_later_waits() {
    let folder = folder();
    let number = std::sync::atomic::AtomicUsize::new(0);
    let answers = move |_: &Asked| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        [Answer::Status(500), Answer::Never, Answer::Status(429)]
            .get(number)
            .copied()
            .unwrap_or(Answer::Status(200))
    };
    let mut server = Server::start(answers).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.given_up("shop");
    assert_eq!(server.services(5).await, ["store", "store", "store", "store", "shop"]);
    running.until(&outcome("webhook_1", "delivered", 2)).await;
    running.until("bellows_notify_waiting{receiver=\"webhook_1\"} 0").await;
}

#[tokio::test]
async fn nobody_is_followed_elsewhere_and_the_next_message_goes_on() {
    let folder = folder();
    let answers = |asked: &Asked| {
        if asked.body["service"] == "store" { Answer::Elsewhere } else { Answer::Status(200) }
    };
    let mut server = Server::start(answers).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.given_up("shop");
    let (first, second) = (server.next().await, server.next().await);
    assert_eq!((&*first.path, &*second.path), ("/SECRET", "/SECRET"));
    assert_eq!(second.body["service"], "shop");
    running.until(&outcome("webhook_1", "refused", 1)).await;
    running.until(&outcome("webhook_1", "delivered", 1)).await;
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read() {
    let folder = folder();
    let server = Server::start(|_| Answer::Endless).await;
    let running = Running::start(folder.path(), &[server.url()]);
    running.given_up("store");
    running.until(&outcome("webhook_1", "delivered", 1)).await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_and_holds_up_no_other() {
    let folder = folder();
    let mut dead = Server::start(|_| Answer::Never).await;
    let mut good = Server::start(|_| Answer::Status(200)).await;
    let running = Running::start(folder.path(), &[dead.url(), good.url()]);
    let names: Vec<_> = (0..20).map(|number| format!("s{number}")).collect();
    names.iter().for_each(|name| running.given_up(name));
    assert_eq!(good.services(20).await, names);
    assert_eq!(dead.services(6).await, ["s0", "s0", "s0", "s0", "s0", "s1"]);
    running.until(&outcome("webhook_1", "given_up", 1)).await;
}

#[tokio::test]
async fn of_a_flood_the_newest_wait_and_the_others_are_counted() {
    let folder = folder();
    let server = Server::start(|_| Answer::Never).await;
    let running = Running::start(folder.path(), &[server.url()]);
    for number in 0..WAITING_MAX + 10 {
        running.given_up(&format!("s{number}"));
    }
    running.until(&outcome("webhook_1", "dropped", 10)).await;
    running.until("bellows_notify_waiting{receiver=\"webhook_1\"} 64").await;
}

#[tokio::test]
async fn what_waits_is_sent_by_the_next_run_and_what_goes_on_is_not_told_again() {
    let folder = folder();
    let is_well = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&is_well);
    let answers =
        move |_: &Asked| if own.load(SeqCst) { Answer::Status(200) } else { Answer::Never };
    let mut slow = Server::start(answers).await;
    let mut good = Server::start(|_| Answer::Status(200)).await;
    let running = Running::start(folder.path(), &[slow.url(), good.url()]);
    running.given_up("store");
    assert_eq!(good.services(1).await, ["store"]);
    let began = slow.next().await;
    running.until(&outcome("webhook_2", "delivered", 1)).await;
    running.stop().await;

    let kept = std::fs::read_to_string(folder.path().join("kept.json")).unwrap();
    assert!(!kept.contains("SECRET") && !kept.contains("127.0.0.1"), "{kept}");
    is_well.store(true, SeqCst);
    let again = Running::start(folder.path(), &[slow.url(), good.url()]);
    let told = slow.next().await;
    assert_eq!(told.headers["idempotency-key"], began.headers["idempotency-key"]);
    again.given_up("store");
    again.serves("store");
    for server in [&mut slow, &mut good] {
        let key = server.next().await.headers["idempotency-key"].clone();
        assert_eq!(key, "failed_deploy-store-1000-ended");
    }
}

#[tokio::test]
async fn of_what_is_not_wanted_nothing_is_sent() {
    let folder = folder();
    let mut server = Server::start(|_| Answer::Status(200)).await;
    let kinds = [EpisodeKind::FullDisk].into();
    let settings =
        NotifySettings { webhooks: vec![server.url()], kinds, ..NotifySettings::default() };
    let running = Running::with(folder.path(), settings, RootCertStore::empty(), 1);
    running.given_up("store");
    running.until("bellows_episodes{service=\"store\",kind=\"failed_deploy\"} 1").await;
    running.until("bellows_notify_waiting{receiver=\"webhook_1\"} 0").await;
    assert!(server.asked.try_recv().is_err());
}

/// A server with a certificate for `localhost`, and who signed it.
async fn with_tls() -> (Server, RootCertStore) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, routes, asked) = Server::parts(Arc::new(|_: &Asked| Answer::Status(200))).await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = hyper_util::service::TowerToHyperService::new(routes.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await);
        }
    });
    (Server { address, asked }, roots)
}

#[tokio::test]
async fn a_webhook_by_https_is_reached_where_its_certificate_is_trusted_and_else_not() {
    let (mut server, roots) = with_tls().await;
    // By its name, which the host is asked for.
    let url = format!("https://localhost:{}/SECRET", server.address.port());
    let webhooks = vec![url.parse::<WebhookUrl>().unwrap()];
    let settings = NotifySettings { webhooks, ..NotifySettings::default() };
    let (one, two) = (folder(), folder());
    let trusting = Running::with(one.path(), settings.clone(), roots, 1);
    trusting.given_up("store");
    assert_eq!(server.next().await.path, "/SECRET");
    trusting.until(&outcome("webhook_1", "delivered", 1)).await;
    let strict = Running::with(two.path(), settings, RootCertStore::empty(), 1);
    strict.given_up("store");
    strict.until(&outcome("webhook_1", "given_up", 1)).await;
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test]
async fn why_a_message_was_not_taken_says_nothing_of_a_webhooks_path() {
    let (server, _) = with_tls().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, why) in [
        (format!("http://{closed}/SECRET"), "refused"),
        ("https://nothing.invalid/SECRET".to_owned(), "no address"),
        (format!("https://localhost:{}/SECRET", server.address.port()), "certificate"),
    ] {
        let webhooks = vec![url.parse::<WebhookUrl>().unwrap()];
        let settings = NotifySettings { webhooks, ..NotifySettings::default() };
        let (patience, first_wait) = (LONG, Duration::ZERO);
        let means = Means { roots: RootCertStore::empty(), mail_port: 1, patience, first_wait };
        let receivers = Receiver::by(means, &settings, "web1").unwrap();
        let message = Message {
            kind: EpisodeKind::FullDisk,
            state: Change::Began,
            service: None,
            at: Timestamp::default(),
            episode: "full_disk-host-0".to_owned(),
            text: String::new(),
        };
        let error = receivers[0].send(&message, "web1").await.unwrap_err();
        let told = format!("{error} {error:?} {receivers:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!error.to_string().contains("SECRET"), "{told}");
    }
}

/// A mail server that answers a message's recipients with this, then the next, and then takes all; and what it took.
async fn mail_server(refusals: Vec<&'static str>) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, took) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut refusals = refusals.into_iter();
        while let Ok((stream, _)) = listener.accept().await {
            tell.send(dialogue(stream, refusals.next()).await).unwrap();
        }
    });
    (port, took)
}

/// What a client says in one connection.
async fn dialogue(stream: tokio::net::TcpStream, refusal: Option<&str>) -> String {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut said, mut is_mail) = (String::new(), false);
    write.write_all(b"220 web1 ESMTP\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        said.push_str(&line);
        said.push('\n');
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "." => "250 queued",
            _ if is_mail => continue,
            "RCPT" => refusal.unwrap_or("250 ok"),
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 ok",
        };
        is_mail = answer.starts_with("354");
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            break;
        }
    }
    said
}

fn mailing(folder: &Path, port: u16) -> Running {
    let mail_to = ["ops@example.org", "root@localhost"].map(|to| to.parse().unwrap()).into();
    let settings = NotifySettings { mail_to, ..NotifySettings::default() };
    Running::with(folder, settings, RootCertStore::empty(), port)
}

#[tokio::test]
async fn a_mail_goes_to_all_in_one_and_again_where_the_server_was_busy() {
    let folder = folder();
    let (port, mut took) = mail_server(vec!["451 busy"]).await;
    let running = mailing(folder.path(), port);
    running.given_up("store");
    assert!(!timeout(LONG, took.recv()).await.unwrap().unwrap().contains("DATA"));
    let said = timeout(LONG, took.recv()).await.unwrap().unwrap();
    for line in [
        "MAIL FROM:<bellows@web1>",
        "RCPT TO:<ops@example.org>",
        "RCPT TO:<root@localhost>",
        "Subject: [bellows web1] failed_deploy of store began",
        "Episode: failed_deploy-store-1000",
    ] {
        assert!(said.lines().any(|it| it.starts_with(line)), "{line}: {said}");
    }
    running.until(&outcome("mail", "delivered", 1)).await;
}

#[tokio::test]
async fn a_mail_that_the_server_will_never_take_is_not_sent_again_and_no_server_is_no_end() {
    let (one, two) = (folder(), folder());
    let (port, _took) = mail_server(vec!["550 no such user"]).await;
    let running = mailing(one.path(), port);
    running.given_up("store");
    running.until(&outcome("mail", "refused", 1)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let running = mailing(two.path(), closed);
    running.given_up("store");
    running.until(&outcome("mail", "given_up", 1)).await;
}
