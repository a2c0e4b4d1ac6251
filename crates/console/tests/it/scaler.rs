//! A scaler that says what a test wants, on a socket, and the console as a program in front of it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use console::samples;
use futures_util::StreamExt as _;
use model::bounds::Bounds;
use model::feed::FeedLine;
use model::policies::PolicySpec;
use model::status::TickPage;
use model::tick::Tick;
use model::value::Checked;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::json_body::JsonBody;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::written::Written;

/// Nobody, on Debian.
pub(crate) const USER: u32 = 65_534;

/// After which the feed ends.
const END: Bytes = Bytes::new();

/// What is answered to a method and a path.
type Answers = Arc<Mutex<BTreeMap<String, (StatusCode, Value)>>>;

/// A scaler.
pub(crate) struct FakeScaler {
    pub(crate) socket: PathBuf,
    feed: broadcast::Sender<Bytes>,
    record: Arc<Mutex<Vec<Tick>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    tokens: Arc<Mutex<BTreeMap<String, Value>>>,
    answers: Answers,
    output: Written,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Told {
    feed: broadcast::Sender<Bytes>,
    record: Arc<Mutex<Vec<Tick>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    tokens: Arc<Mutex<BTreeMap<String, Value>>>,
    answers: Answers,
    output: Written,
}

/// What was asked of the scaler beside what the console itself asks.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Deserialize)]
struct Since {
    since: u64,
}

impl FakeScaler {
    /// One that listens in the folder.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::with(folder, Arc::default())
    }

    fn with(folder: &Path, record: Arc<Mutex<Vec<Tick>>>) -> Self {
        let socket = folder.join("console.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        let feed = broadcast::Sender::new(4096);
        let (asked, tokens, answers) = (Arc::default(), Arc::default(), Arc::default());
        let output = Written::default();
        let told = Told {
            feed: feed.clone(),
            record: Arc::clone(&record),
            asked: Arc::clone(&asked),
            tokens: Arc::clone(&tokens),
            answers: Arc::clone(&answers),
            output: output.clone(),
        };
        let routes = Router::new()
            .route("/v1/feed", get(read_feed))
            .route("/v1/ticks", get(ticks))
            .route("/v1/caller", get(caller))
            .route("/v1/login", post(login).delete(passed_on))
            .route("/v1/services/{name}/recording", get(recording))
            // As the scaler does, so that what is said is what it says.
            .route("/v1/services/{name}/policy/check", post(checked::<PolicySpec>))
            .route("/v1/services/{name}/bounds/check", post(checked::<Bounds>))
            .fallback(passed_on)
            // So that nobody speaks on with one that is killed.
            .layer(axum::middleware::map_response(async |answer: Response| {
                ([("connection", "close")], answer)
            }))
            .with_state(told);
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { socket, feed, record, asked, tokens, answers, output, server }
    }

    /// Has a token with this secret.
    pub(crate) fn knows(&self, secret: &str, rights: &[&str], services: Option<&[&str]>) {
        let token =
            json!({"name": secret, "rights": rights, "services": services, "made_at_ms": 1});
        self.tokens.lock().unwrap().insert(secret.to_owned(), token);
    }

    /// Has none with this secret any more.
    pub(crate) fn revokes(&self, secret: &str) {
        self.tokens.lock().unwrap().remove(secret);
    }

    /// The token with this secret has ended.
    pub(crate) fn ends(&self, secret: &str) {
        self.tokens.lock().unwrap().insert(secret.to_owned(), Value::Null);
    }

    /// What instances wrote.
    pub(crate) fn output(&self) -> &Written {
        &self.output
    }

    /// Answers so what is asked by this method and path, with a tag of the answer: with JSON, or a text as it is.
    pub(crate) fn answers(&self, line: &str, answer: Value) {
        self.answers.lock().unwrap().insert(line.to_owned(), (StatusCode::OK, answer));
    }

    /// Refuses so what is asked by this method and path.
    pub(crate) fn refuses(&self, line: &str, status: StatusCode, message: &str) {
        let said = json!({"error": {"code": "refused", "message": message}});
        self.answers.lock().unwrap().insert(line.to_owned(), (status, said));
    }

    /// It is killed.
    pub(crate) fn end(&self) {
        self.server.abort();
        let _ = self.feed.send(END);
        std::fs::remove_file(&self.socket).unwrap();
    }

    /// How many read what it tells.
    pub(crate) fn readers(&self) -> usize {
        self.feed.receiver_count()
    }

    /// What was asked so far, and is forgotten with that.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// It is killed, and one that has its record comes after some time.
    pub(crate) async fn restart(&mut self, after: Duration) {
        self.end();
        tokio::time::sleep(after).await;
        self.begin_anew();
    }

    /// One that has its record comes after it was killed.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self::with(self.socket.parent().unwrap(), Arc::clone(&self.record));
    }

    /// Waits until the console reads the feed.
    pub(crate) async fn is_read(&self) {
        while self.feed.receiver_count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The record is asked after the feed.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// A turn that its record keeps under this number.
    pub(crate) fn keep(&self, tick: &Tick) {
        self.record.lock().unwrap().push(tick.clone());
    }

    /// Tells of a turn, and keeps it where it has a number.
    pub(crate) fn tick(&self, tick: &Tick) {
        if tick.sequence > 0 {
            self.keep(tick);
        }
        self.tell(&[FeedLine::Tick(Box::new(tick.clone()))]);
    }

    /// Tells of a service with these instances.
    pub(crate) fn service(&self, name: &str, at_ms: u64, instances: &[&str]) {
        let feed = samples::service_feed(name, at_ms, instances);
        self.tell(&[FeedLine::Service(Box::new(feed))]);
    }

    /// Tells something.
    pub(crate) fn tell(&self, lines: &[FeedLine]) {
        let text = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n");
        let _ = self.feed.send(text.collect::<String>().into());
    }
}

impl Drop for FakeScaler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read_feed(State(told): State<Told>) -> impl IntoResponse {
    let receiver = told.feed.subscribe();
    let lines = futures_util::stream::unfold(receiver, async |mut receiver| {
        let lines = receiver.recv().await.ok().filter(|lines| *lines != END)?;
        Some((Ok::<_, std::convert::Infallible>(lines), receiver))
    });
    Body::from_stream(lines)
}

async fn ticks(
    State(told): State<Told>,
    Query(Since { since }): Query<Since>,
) -> impl IntoResponse {
    let record = told.record.lock().unwrap();
    let ticks: Vec<_> = record.iter().filter(|tick| tick.sequence > since).cloned().collect();
    let next = ticks.last().map_or(since, |tick| tick.sequence);
    Json(TickPage { ticks, next })
}

/// Whose the secret of a request is.
fn token(told: &Told, headers: &HeaderMap) -> Option<Result<Value, Response>> {
    let secret = headers.get("authorization")?.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let token = told.tokens.lock().unwrap().get(secret).cloned();
    let wrong = |code| refusal(StatusCode::UNAUTHORIZED, code);
    Some(match token {
        Some(Value::Null) => Err(wrong("token_ended")),
        token => token.ok_or_else(|| wrong("unauthorized")),
    })
}

/// What instances and jobs write is for a token with the right to read.
fn may_not_read(told: &Told, headers: &HeaderMap) -> Option<Response> {
    let Some(Ok(token)) = token(told, headers) else {
        return Some(refusal(StatusCode::UNAUTHORIZED, "unauthorized"));
    };
    let reads = |right: &Value| right == "read" || right == "all";
    let may = token["rights"].as_array().is_some_and(|rights| rights.iter().any(reads));
    (!may).then(|| refusal(StatusCode::FORBIDDEN, "too_few_rights"))
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let body = json!({"error": {"code": code, "message": format!("It is {code}.")}});
    let mut answer = (status, Json(body)).into_response();
    let headers = answer.headers_mut();
    headers.insert("www-authenticate", "Bearer".parse().unwrap());
    headers.insert("retry-after", "7".parse().unwrap());
    headers.insert("etag", "\"now\"".parse().unwrap());
    answer
}

fn note(told: &Told, request: &Request, body: Bytes) {
    let line = format!("{} {}", request.method(), request.uri());
    told.asked.lock().unwrap().push(Asked { line, headers: request.headers().clone(), body });
}

async fn caller(State(told): State<Told>, request: Request) -> Response {
    note(&told, &request, Bytes::new());
    match token(&told, request.headers()) {
        None => Json(json!({"kind": "reader"})).into_response(),
        Some(Ok(token)) => Json(json!({"kind": "token", "token": token})).into_response(),
        Some(Err(wrong)) => wrong,
    }
}

/// Lines that come one by one, as the test has ticks told.
async fn recording(State(told): State<Told>, request: Request) -> Response {
    note(&told, &request, Bytes::new());
    ([("content-type", "application/x-ndjson")], read_feed(State(told)).await).into_response()
}

/// Takes what is allowed.
async fn checked<T: Checked + Serialize>(JsonBody(value): JsonBody<T>) -> Json<T> {
    Json(value)
}

/// The code `good` is one.
async fn login(State(told): State<Told>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    note(&told, &Request::from_parts(head, Body::empty()), body.clone());
    if let Some((status, answer)) = told.answers.lock().unwrap().get("POST /v1/login") {
        return (*status, Json(answer.clone())).into_response();
    }
    match &body[..] {
        br#"{"code":"good"}"# => {
            (StatusCode::CREATED, Json(json!({"secret": "bellows_1"}))).into_response()
        }
        _ => refusal(StatusCode::FORBIDDEN, "bad_login_code"),
    }
}

/// One tag for one value.
pub(crate) fn tag(value: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    format!("\"{:x}\"", hasher.finish())
}

/// Whatever else is asked: what is not to be done is said by the header If-Match.
async fn passed_on(State(told): State<Told>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = Request::from_parts(head, Body::empty());
    note(&told, &request, body);
    let is_change = !request.method().is_safe();
    match token(&told, request.headers()) {
        Some(Err(wrong)) => return wrong,
        None if is_change => return refusal(StatusCode::UNAUTHORIZED, "unauthorized"),
        _ => {}
    }
    let path = request.uri().path();
    let is_written = path.ends_with("/output") || path.ends_with("/log");
    if is_written && let Some(refused) = may_not_read(&told, request.headers()) {
        return refused;
    }
    let line = format!("{} {}", request.method(), request.uri());
    match told.answers.lock().unwrap().get(&line) {
        Some((_, Value::String(text))) => return text.clone().into_response(),
        Some((status, answer)) => {
            return (*status, [("etag", tag(answer))], Json(answer.clone())).into_response();
        }
        None if path.ends_with("/output") => return told.output.answer(&request),
        None => {}
    }
    match request.headers().get("if-match").map(|it| it.to_str().unwrap()) {
        Some("\"old\"") => refusal(StatusCode::PRECONDITION_FAILED, "changed_meanwhile"),
        Some("\"strange\"") => (StatusCode::IM_A_TEAPOT, "short and stout").into_response(),
        Some("\"never\"") => std::future::pending().await,
        _ => {
            let headers = [("etag", "\"new\""), ("location", "/v1/jobs/1"), ("x-secret", "hush")];
            let body = json!({"target": request.uri().to_string()});
            (StatusCode::ACCEPTED, headers, Json(body)).into_response()
        }
    }
}

/// The console, as a user without rights.
pub(crate) struct Console {
    child: Child,
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
}

impl Console {
    /// Starts it with its history in the folder.
    pub(crate) fn start(scaler: &FakeScaler, folder: &Path) -> Self {
        Self::started(&mut command(&scaler.socket, folder))
    }

    /// Starts it by this command.
    pub(crate) fn started(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            line["address"].as_str()?.parse().ok()
        });
        // What it logs goes on to be read, or it would stop at a full pipe.
        let is_shown = std::env::var_os("SHOW_LOG").is_some();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|_| is_shown) {
                eprintln!("{line}");
            }
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { child, address: address.unwrap(), http }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The status and the JSON of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let answer = self.ask(path, &[]).await;
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        self.send("GET", path, headers, "").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{}{path}", self.address.port());
        let mut request = self.http.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_owned()).send().await.unwrap()
    }

    /// The status of an answer, and the code of what went wrong.
    pub(crate) async fn code(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let answer = self.send(method, path, headers, "").await;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(
        &self,
        path: &str,
        is_so: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        for _ in 0..100 {
            let (_, answer) = self.get(path).await;
            if is_so(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{path}: {:?}", self.get(path).await);
    }

    /// Listens to what happens.
    pub(crate) async fn listen(&self, path: &str, last_id: Option<&str>) -> Live {
        self.events(path, last_id.map(|id| ("last-event-id", id)).as_slice()).await
    }

    /// Follows a page.
    pub(crate) async fn follow(&self, path: &str) -> Live {
        self.events(path, &[("accept", "text/event-stream")]).await
    }

    async fn events(&self, path: &str, headers: &[(&str, &str)]) -> Live {
        let answer = self.ask(path, headers).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let parts = answer.bytes_stream().map(|part| part.unwrap_or_default());
        Live { parts: Box::pin(parts), text: String::new() }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program on loopback, and a folder that its user may write to.
pub(crate) fn command(socket: &Path, folder: &Path) -> Command {
    command_at("127.0.0.1:0", socket, folder)
}

/// The program at this address.
pub(crate) fn command_at(listen: &str, socket: &Path, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command
        .arg("--scaler")
        .arg(socket)
        .args(["--listen", listen, "--history-mib", "32", "--history"])
        .arg(folder.join("history.sqlite"))
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .uid(USER)
        .gid(USER);
    command
}

/// A folder of that user.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(USER), Some(USER)).unwrap();
    folder
}

/// What happens, as it is told.
pub(crate) struct Live {
    pub(crate) parts: std::pin::Pin<Box<dyn futures_util::Stream<Item = Bytes> + Send>>,
    text: String,
}

/// One message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: serde_json::Value,
}

impl Live {
    /// Waits for the next message with this name.
    pub(crate) async fn next(&mut self, name: &str) -> Message {
        let wait = async {
            loop {
                while let Some((message, rest)) = self.text.split_once("\n\n") {
                    let message = message_of(message);
                    self.text = rest.to_owned();
                    if message.name == name {
                        return message;
                    }
                }
                let part = self.parts.next().await.expect("it goes on");
                self.text.push_str(std::str::from_utf8(&part).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap()
    }
}

fn message_of(text: &str) -> Message {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Message {
        id: field("id: ").to_owned(),
        name: field("event: ").to_owned(),
        data: serde_json::from_str(field("data: ")).unwrap_or_default(),
    }
}
