//! A program with a token: it deploys, goes back, acts and changes by the console's port, and somebody who is told of
//! episodes learns what went wrong.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::client::{Answer, Client};
use super::machine::{command_lines, output};
use super::rollout::copy_of_the_tree;
use super::system::{bellows, expect_code, text, tree, within};

const API: &str = "http://127.0.0.1:8090";

/// Who deploys by the API in this test.
const SERVICE: &str = "static";

/// How long a job may take, with the build of an image of files and the watch over its version.
const JOB: Duration = Duration::from_secs(90);

/// How long it may take until an episode of what just happened is at its receiver.
const TOLD: Duration = Duration::from_secs(10);

/// A program that asks with a token.
pub(crate) struct Program<'a> {
    client: &'a Client,
    secret: String,
}

impl<'a> Program<'a> {
    pub(crate) fn make(
        client: &'a Client,
        name: &str,
        rights: &str,
        services: Option<&str>,
    ) -> Self {
        // One that a test left which was killed would be in the way.
        bellows(&["token", "revoke", name]);
        let mut words = vec!["token", "make", name, "--rights", rights];
        words.extend(services.iter().flat_map(|services| ["--services", services]));
        let made = bellows(&words);
        expect_code(&made, 0);
        let secret = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        Self { client, secret }
    }

    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Answer {
        let with_token = |request: RequestBuilder| build(request.bearer_auth(&self.secret));
        self.client.send_to(API, method, path, with_token)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, |request| request);
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    /// Begins a job and gives how it ended.
    fn job(
        &self,
        method: Method,
        path: &str,
        build: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Value {
        let begun = self.send(method, path, build);
        assert_eq!(begun.status, StatusCode::ACCEPTED, "{path}: {}", begun.text());
        let place = begun.headers["location"].to_str().expect("text").to_owned();
        let mut job = Value::Null;
        within(JOB, "the job ended", || {
            std::thread::sleep(Duration::from_millis(200));
            job = self.get(&place);
            !job["outcome"].is_null()
        });
        job
    }

    /// Deploys a page with that text, whose health is asked for at that path.
    fn deploy(&self, page: &str, health_path: &str) -> Value {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("index.html"), page).expect("written");
        let file = format!("[instance]\nhealth_path = \"{health_path}\"\n");
        fs::write(folder.path().join("bellows.toml"), file).expect("written");
        let archive = folder.path().with_extension("tgz");
        let (from, to) = (folder.path().to_string_lossy(), archive.to_string_lossy());
        output("tar", &["-cz", "-f", &to, "-C", &from, "index.html", "bellows.toml"]);
        let body = fs::read(&archive).expect("read");
        fs::remove_file(&archive).expect("removed");
        let path = format!("/v1/services/{SERVICE}/deploys");
        self.job(Method::POST, &path, |request| {
            request.header("content-type", "application/gzip").body(body)
        })
    }
}

/// A receiver of webhooks on loopback: the bodies, as they come.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a connection"));
            let mut length = 0;
            for line in reader.by_ref().lines() {
                let line = line.expect("a line").to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("sent");
            if sender.send(serde_json::from_slice(&body).expect("JSON")).is_err() {
                return;
            }
        }
    });
    (url, received)
}

pub(crate) fn a_program_deploys_acts_and_is_told_of_others_by_the_api(client: &Client) {
    let (hook, told) = receiver();
    up_telling(&hook);
    let program = Program::make(client, "end-to-end", "read,deploy,operate", None);
    an_archive_is_deployed_and_goes_back_by_itself_and_by_hand(&program, &told);
    all_that_can_be_read_is_answered_as_described(&program);
    a_token_of_one_service_sees_and_does_nothing_of_another(client);
    it_is_removed(&program);
    a_service_is_asked_to_delete_all_that_it_keeps(&program);
    the_later_of_two_operators_is_told_what_changed(&program);
    expect_code(&bellows(&["token", "revoke", "end-to-end"]), 0);
    let refused = program.send(Method::GET, "/v1/changes", |request| request);
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.text());
    expect_code(&bellows(&["--tree", &tree().to_string_lossy(), "up"]), 0);
}

/// Brings the system up with a receiver of what the console tells.
fn up_telling(hook: &str) {
    let copy = copy_of_the_tree();
    let file = copy.path().join("bellows.toml");
    let shipped = fs::read_to_string(&file).expect("bellows.toml");
    let changed = shipped.replace("webhooks = []  ", &format!("webhooks = [\"{hook}\"]  "));
    assert_ne!(changed, shipped, "the shipped settings name no webhook");
    fs::write(&file, changed).expect("written");
    expect_code(&bellows(&["--tree", &copy.path().to_string_lossy(), "up"]), 0);
}

/// Waits until the receiver is told that a failed deploy of the service began or ended, and gives its episode. The end of one
/// of a run that was killed may come before.
#[track_caller]
fn told_of(told: &Receiver<Value>, state: &str) -> Value {
    loop {
        let message = told.recv_timeout(TOLD).expect("the receiver is told");
        if (&message["kind"], &message["state"]) == (&json!("failed_deploy"), &json!(state)) {
            assert_eq!(message["service"], SERVICE, "{message}");
            return message["episode"].clone();
        }
    }
}

fn an_archive_is_deployed_and_goes_back_by_itself_and_by_hand(
    program: &Program<'_>,
    told: &Receiver<Value>,
) {
    let page = |client: &Client| client.send(Method::GET, "/static/", |request| request).text();
    let first = program.deploy("first", "/");
    assert_eq!(first["outcome"]["is_well"], true, "{first}");
    assert_eq!(page(program.client), "first");
    let second = program.deploy("second", "/");
    assert_eq!(second["outcome"]["is_well"], true, "{second}");

    let broken = program.deploy("third", "/not-there");
    assert_eq!(broken["outcome"]["is_well"], false, "{broken}");
    assert_eq!(page(program.client), "second", "the one before goes on to serve");
    let log = format!("/v1/jobs/{}/log", broken["id"].as_str().expect("an id"));
    let log = program.send(Method::GET, &log, |request| request).text();
    assert!(log.contains("wrote last:"), "{log}");
    let verdict = broken["outcome"]["verdict"].as_str().expect("a verdict");
    assert!(verdict.contains("/not-there"), "{verdict}");
    let episode = told_of(told, "began");

    let rollback = format!("/v1/services/{SERVICE}/rollback");
    for goes_on in ["second", "first"] {
        let back = program.job(Method::POST, &rollback, |request| request.json(&json!({})));
        assert_eq!(back["outcome"]["is_well"], true, "{back}");
        assert_eq!(page(program.client), goes_on);
    }
    assert_eq!(told_of(told, "ended"), episode, "the same one");
}

/// Each operation that reads is asked five times, by the names that there are and others: with all that `just test-api` asks
/// of a running system it would take a minute more.
fn all_that_can_be_read_is_answered_as_described(program: &Program<'_>) {
    let script = tree().join("scripts/schemathesis");
    let mut command = Command::new(script);
    command.args(["--system", API, "--phases", "examples,fuzzing", "--max-examples", "5"]);
    let asked = command.env("BELLOWS_TOKEN", &program.secret).output().expect("it starts");
    assert!(asked.status.success(), "{}", text(&asked));
}

fn it_is_removed(program: &Program<'_>) {
    let service = format!("/v1/services/{SERVICE}");
    let gone = program.job(Method::DELETE, &service, |request| request);
    assert_eq!(gone["outcome"]["is_well"], true, "{gone}");
    let answer = program.send(Method::GET, &service, |request| request);
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
}

fn a_service_is_asked_to_delete_all_that_it_keeps(program: &Program<'_>) {
    let path = "/objs/by-the-api";
    let put = program.client.send(Method::PUT, path, |request| request.body("kept"));
    assert_eq!(put.status, StatusCode::CREATED);
    let action = "/v1/services/object-store/actions/delete-all";
    let ask = |confirm: &str| {
        program.send(Method::POST, action, |request| request.json(&json!({ "confirm": confirm })))
    };
    let refused = ask("object");
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    assert_eq!(refused.json()["code"], "not_confirmed");
    let done = ask("object-store");
    assert_eq!(done.json()["status"], 204, "{}", done.text());
    let got = program.client.send(Method::GET, path, |request| request);
    assert_eq!(got.status, StatusCode::NOT_FOUND);
}

fn the_later_of_two_operators_is_told_what_changed(program: &Program<'_>) {
    let path = "/v1/services/object-store/bounds";
    let read = program.send(Method::GET, path, |request| request);
    let tag = read.headers["etag"].clone();
    let set = |max: u32| {
        program.send(Method::PUT, path, |request| {
            request.header("if-match", tag.clone()).json(&json!({ "min": 1, "max": max }))
        })
    };
    assert_eq!(set(5).status, StatusCode::OK);
    let later = set(6);
    assert_eq!(later.status, StatusCode::PRECONDITION_FAILED, "{}", later.text());
    for part in ["changed_meanwhile", "end-to-end", "\"max\":5"] {
        let told = later.text().replace("\\\"", "\"");
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let back = program.send(Method::DELETE, path, |request| request);
    assert_eq!(back.status, StatusCode::OK, "{}", back.text());
    let changes = text(&bellows(&["changes"]));
    assert!(changes.contains("end-to-end"), "{changes}");
}

fn a_token_of_one_service_sees_and_does_nothing_of_another(client: &Client) {
    let other = Program::make(client, "end-to-end-other", "all", Some(SERVICE));
    for path in ["/v1/services/object-store", "/v1/services/object-store/file"] {
        let answer = other.send(Method::GET, path, |request| request);
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text());
    }
    let stop = json!({ "confirm": "stop everything" });
    let stopped = other.send(Method::POST, "/v1/stop", |request| request.json(&stop));
    assert_eq!(stopped.status, StatusCode::FORBIDDEN, "{}", stopped.text());
    expect_code(&bellows(&["token", "revoke", "end-to-end-other"]), 0);
}

/// Everything is taken down by a program that may, and the console with it.
pub(crate) fn everything_is_stopped_by_the_api(client: &Client) {
    let program = Program::make(client, "end-to-end", "all", None);
    let refused = program.send(Method::POST, "/v1/stop", |request| request.json(&json!({})));
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text());
    assert!(client.serves());
    let stop = json!({ "confirm": "stop everything" });
    let begun = program.send(Method::POST, "/v1/stop", |request| request.json(&stop));
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.text());
    let is_down = || {
        !client.is_good(&format!("{API}/healthz"))
            && text(&bellows(&["status"])).contains("brings the system up")
    };
    within(Duration::from_secs(30), "everything is down", is_down);
    // What goes last is the job's own.
    let has_ended = || {
        let is_of_a_job = |line: &str| line.contains("bellows ") && line.contains(" job ");
        !command_lines().iter().any(|(_, line)| is_of_a_job(line))
    };
    within(Duration::from_secs(30), "the job has ended", has_ended);
}
