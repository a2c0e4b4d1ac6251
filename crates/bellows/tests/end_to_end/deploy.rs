//! Applications of somebody's own, deployed from their folders as a user would.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::client::Client;
use super::machine::output;
use super::system::{bellows, expect_code, instances, programs, status, text, tree, within};

/// How long the scaler may take from the first bad answer of a watched version to give it up.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// A folder of a user's, with the files of one of the examples.
struct Folder {
    _root: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    fn of_example(name: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(name);
        let example = tree().join("examples").join(name);
        output("cp", &["-r", &example.to_string_lossy(), &path.to_string_lossy()]);
        Self { _root: root, path }
    }

    fn empty(name: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join(name);
        fs::create_dir(&path).expect("made");
        Self { _root: root, path }
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path.join(file), content).expect("written");
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path.join(file)).expect("read");
        assert!(text.contains(from), "{from} is not in {file}");
        self.write(file, text.replace(from, to));
    }

    fn deploy(&self) -> Output {
        bellows(&["deploy", &self.path.to_string_lossy()])
    }

    /// Deploys it, which must go well.
    #[track_caller]
    fn deploy_well(&self) -> String {
        let deploy = self.deploy();
        expect_code(&deploy, 0);
        last_line(&deploy)
    }

    /// Deploys it in the background.
    fn begin(&self) -> Child {
        let mut command = Command::new(programs().join("bellows"));
        let command = command.args(["deploy", &self.path.to_string_lossy()]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    }
}

/// The verdict: on the standard output, or on the other where it did not go well.
fn last_line(output: &Output) -> String {
    text(output).lines().last().unwrap_or_default().to_owned()
}

fn body(client: &Client, path: &str) -> String {
    let answer = client.send(Method::GET, path, |request| request);
    String::from_utf8(answer.body).expect("text")
}

/// The files that are called after a service. Locks stay, for who is about to take one has it open.
fn left_of(service: &str) -> String {
    let name = format!("*{service}*");
    let named = ["-name", &name, "-not", "-name", "*.lock"];
    output("find", &[&["/var/lib/bellows", "/var/lib/lxc"][..], &named].concat())
}

/// The line with the ids that a service has.
fn ids_of(service: &str) -> Option<String> {
    let ranges = fs::read_to_string("/var/lib/bellows/id_ranges").expect("read");
    let is_its = |line: &&str| line.split(' ').next() == Some(service);
    ranges.lines().find(is_its).map(str::to_owned)
}

/// The version of a service that serves.
fn serving(service: &str) -> String {
    let status = status();
    let services = status["services"].as_array().expect("services");
    let found = services.iter().find(|it| it["name"] == service).expect("it is deployed");
    found["rollout"]["version"].as_str().expect("a version").to_owned()
}

fn processes_of(words: &[&str]) -> Vec<Pid> {
    let lines = super::machine::command_lines().into_iter();
    let ours = lines.filter(|(_, line)| words.iter().all(|word| line.contains(word)));
    ours.map(|(pid, _)| Pid::from_raw(pid)).collect()
}

/// The folders of all jobs.
fn jobs() -> Vec<PathBuf> {
    let folders = fs::read_dir("/var/lib/bellows/jobs").into_iter().flatten().flatten();
    folders.map(|folder| folder.path()).collect()
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

pub(crate) fn what_is_nothing_that_runs_is_refused_and_leaves_nothing() {
    let nothing = Folder::empty("nothing");
    nothing.write("Dockerfile", "FROM scratch\n");
    let refused = nothing.deploy();
    expect_code(&refused, 2);
    assert!(text(&refused).contains("a Dockerfile is not read"), "{}", text(&refused));
    let taken = Folder::of_example("static");
    taken.write("bellows.toml", "route = { path_prefix = \"/\" }\n[instance]\nprot = 3\n");
    let refused = taken.deploy();
    expect_code(&refused, 2);
    assert!(text(&refused).contains("line 3: instance.prot: unknown field"), "{}", text(&refused));
    taken.write("bellows.toml", "route = { path_prefix = \"/\" }\n");
    let refused = taken.deploy();
    expect_code(&refused, 2);
    assert!(text(&refused).contains("as that of object-store"), "{}", text(&refused));
    taken.write("bellows.toml", "instance = { cpus = 900 }\n");
    let refused = taken.deploy();
    expect_code(&refused, 2);
    assert!(text(&refused).contains("instance.cpus is 900"), "{}", text(&refused));
    let data = "instance = { mounts = [{ source = \"objects\", target = \"/objects\", shared = true }] }\n";
    taken.write("bellows.toml", data);
    let refused = taken.deploy();
    expect_code(&refused, 2);
    assert!(text(&refused).contains("both mount the folder objects"), "{}", text(&refused));
    let named = bellows(&["deploy", &taken.path.to_string_lossy(), "--name", "object-store"]);
    expect_code(&named, 2);
    assert!(!Path::new("/var/lib/bellows/deploys").exists());
    assert_eq!(status()["services"].as_array().map(Vec::len), Some(1));
}

pub(crate) fn a_flask_application_is_deployed_goes_back_by_itself_and_by_hand(client: &Client) {
    let flask = Folder::of_example("hello-flask");
    let start = Instant::now();
    let verdict = flask.deploy_well();
    println!("end to end: the first Python application after {:?}: {verdict}", start.elapsed());
    assert!(verdict.contains("hello-flask serves as version"), "{verdict}");
    assert_eq!(body(client, "/hello-flask"), "Hello, world!\n");
    let first = serving("hello-flask");

    it_goes_back_from_what_does_not_start(client, &flask, &first);
    it_goes_back_from_what_fails_every_second_request(client, &flask, &first);

    flask.edit("app.py", "failures = count()\n", "");
    flask.edit("app.py", "    if next(failures) % 2:\n        return \"\", 500\n", "");
    flask.edit("app.py", "Hello, ", "Good day, ");
    let start = Instant::now();
    let (verdict, answers) = client.meanwhile("/hello-flask", || flask.deploy_well());
    println!("end to end: another version after {:?}: {verdict}", start.elapsed());
    assert!(answers.iter().all(|it| *it == Some(StatusCode::OK)), "{answers:?}");
    assert_eq!(body(client, "/hello-flask"), "Good day, world!\n");

    let (back, answers) =
        client.meanwhile("/hello-flask", || bellows(&["rollback", "hello-flask"]));
    expect_code(&back, 0);
    assert!(answers.iter().all(|it| *it == Some(StatusCode::OK)), "{answers:?}");
    assert_eq!(
        (body(client, "/hello-flask"), serving("hello-flask")),
        ("Hello, world!\n".into(), first)
    );

    expect_code(&bellows(&["up"]), 0);
    assert_eq!(body(client, "/hello-flask"), "Hello, world!\n", "`up` leaves it alone");
    a_deploy_goes_on_without_its_terminal_and_one_at_a_time(client, &flask);
    a_deploy_that_was_killed_is_told_and_harms_nothing(client, &flask);
    it_is_scaled_by_what_its_instances_have_to_do(client, &flask);
    it_is_destroyed_without_a_trace(client);
}

fn it_goes_back_from_what_does_not_start(client: &Client, flask: &Folder, first: &str) {
    flask.edit("app.py", "def hello():", "def hello(:");
    let (deploy, answers) = client.meanwhile("/hello-flask", || flask.deploy());
    expect_code(&deploy, 1);
    let told = text(&deploy);
    assert!(told.contains("SyntaxError") && told.contains("goes on to serve"), "{told}");
    assert!(last_line(&deploy).contains("of hello-flask was given up"), "{told}");
    assert!(answers.iter().all(|it| *it == Some(StatusCode::OK)), "{answers:?}");
    assert_eq!(serving("hello-flask"), first);
    flask.edit("app.py", "def hello(:", "def hello():");
    flask.edit("requirements.txt", "flask", "no-package-has-this-name-9f3b\nflask");
    let deploy = flask.deploy();
    expect_code(&deploy, 1);
    assert!(text(&deploy).contains("no-package-has-this-name-9f3b"), "{}", text(&deploy));
    flask.edit("requirements.txt", "no-package-has-this-name-9f3b\n", "");
    assert_eq!(serving("hello-flask"), first);
}

fn it_goes_back_from_what_fails_every_second_request(client: &Client, flask: &Folder, first: &str) {
    flask.edit("app.py", "greetings = count(1)\n", "greetings = count(1)\nfailures = count()\n");
    let fails = "def hello():\n    if next(failures) % 2:\n        return \"\", 500\n";
    flask.edit("app.py", "def hello():\n", fails);
    let (deploy, answers) = client.meanwhile("/hello-flask", || flask.deploy());
    expect_code(&deploy, 1);
    assert!(text(&deploy).contains("was given up"), "{}", text(&deploy));
    // Asked 50 times a second; each of the two versions gets half, and the new one fails half of its own.
    let bad = answers.iter().position(|it| *it != Some(StatusCode::OK)).expect("a bad answer");
    let last = answers.iter().rposition(|it| *it != Some(StatusCode::OK)).expect("a bad answer");
    let took = Duration::from_millis(20) * u32::try_from(last - bad).expect("few");
    println!("end to end: the last bad answer came {took:?} after the first, of {}", answers.len());
    assert!(took < BACK_WITHIN, "{took:?}");
    assert_eq!(serving("hello-flask"), first);
}

/// The follower is killed as a terminal's end would.
fn a_deploy_goes_on_without_its_terminal_and_one_at_a_time(client: &Client, flask: &Folder) {
    flask.edit("app.py", "Good day, ", "Good evening, ");
    let mut follower = flask.begin();
    let is_told = || {
        let deploys = status()["deploys"].clone();
        deploys.as_array().is_some_and(|all| all.iter().any(|it| it["goes_on"] == true))
    };
    within(Duration::from_secs(10), "the deploy is shown", is_told);
    // Who is gone before the job has begun takes it along. What it writes first comes after that.
    within(Duration::from_secs(20), "the job is at it", || {
        let wrote = |job: &PathBuf| {
            let is_at_it = !processes_of(&["--settings", " job ", &name_of(job)]).is_empty();
            is_at_it && fs::read(job.join("log")).is_ok_and(|words| !words.is_empty())
        };
        jobs().iter().any(wrote)
    });
    let follower_pid = Pid::from_raw(i32::try_from(follower.id()).expect("a pid"));
    kill(follower_pid, Signal::SIGHUP).expect("it ran");
    follower.wait().expect("it ended");
    let second = flask.deploy();
    expect_code(&second, 1);
    assert!(text(&second).contains("a job of hello-flask is under way"), "{}", text(&second));
    within(Duration::from_secs(60), "it serves", || {
        body(client, "/hello-flask") == "Good evening, world!\n"
    });
    within(Duration::from_secs(30), "nothing goes on", || !is_told());
}

fn a_deploy_that_was_killed_is_told_and_harms_nothing(client: &Client, flask: &Folder) {
    flask.edit("app.py", "Good evening, ", "Good night, ");
    // Everything is built anew, so that there is something to kill.
    flask.edit("requirements.txt", "flask", "# anew\nflask");
    let follower = flask.begin();
    let at_it = || {
        let of = |job: &PathBuf| processes_of(&["--settings", " job ", &name_of(job)]);
        jobs().iter().flat_map(of).collect::<Vec<_>>()
    };
    // Who starts it has its command line for a moment, and may be gone before it is killed.
    let mut killed = 0;
    within(Duration::from_secs(10), "the job was there and is killed", || {
        killed += at_it().into_iter().filter(|it| kill(*it, Signal::SIGKILL).is_ok()).count();
        killed > 0 && at_it().is_empty()
    });
    let told = follower.wait_with_output().expect("it ended");
    expect_code(&told, 1);
    assert!(text(&told).contains("was cut off"), "{}", text(&told));
    // One that began a moment ago may only not have come to its lock.
    within(Duration::from_secs(20), "it is shown as cut off", || {
        text(&bellows(&["status"])).contains("was cut off")
    });
    assert_eq!(body(client, "/hello-flask"), "Good evening, world!\n");
    flask.deploy_well();
    assert_eq!(body(client, "/hello-flask"), "Good night, world!\n");
    assert!(!text(&bellows(&["status"])).contains("was cut off"));
}

/// Its file is not there, and nobody said what an instance can carry.
fn it_is_scaled_by_what_its_instances_have_to_do(client: &Client, flask: &Folder) {
    flask.edit(
        "app.py",
        "from itertools import count\n",
        "from itertools import count\nfrom time import sleep\n",
    );
    let slow = "@app.get(\"/slow\")\ndef slow():\n    sleep(0.3)\n    return \"\"\n\n\n@app.get(\"/healthz\")";
    flask.edit("app.py", "@app.get(\"/healthz\")", slow);
    flask.deploy_well();
    let (took, answers) = client.under_load("/hello-flask/slow", 24, || {
        let start = Instant::now();
        let are_more =
            || instances("ready").iter().filter(|it| it.contains("hello-flask")).count() > 2;
        within(Duration::from_secs(20), "there are three instances", are_more);
        start.elapsed()
    });
    println!("end to end: three instances after {took:?}, {} answers", answers.len());
    assert!(answers.iter().all(|it| *it == Some(StatusCode::OK)), "{answers:?}");
}

fn it_is_destroyed_without_a_trace(client: &Client) {
    let unsaid = bellows(&["destroy", "hello-flask"]);
    expect_code(&unsaid, 2);
    assert!(text(&unsaid).contains("--yes"), "{}", text(&unsaid));
    expect_code(&bellows(&["destroy", "hello-flask", "--yes"]), 0);
    let gone = client.send(Method::GET, "/hello-flask", |request| request);
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!((left_of("hello-flask"), ids_of("hello-flask")), (String::new(), None));
    expect_code(&bellows(&["destroy", "object-store", "--yes"]), 2);
}

pub(crate) fn an_asgi_application_with_a_websocket_and_events_lives_through_a_deploy(
    client: &Client,
) {
    let asgi = Folder::of_example("hello-asgi");
    asgi.deploy_well();
    assert_eq!(body(client, "/hello-asgi"), "Hello, world!\n");
    let mut socket = TcpStream::connect("127.0.0.1:8080").expect("HAProxy listens");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let upgrade = "GET /hello-asgi/echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("an answer");
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    let mut events = TcpStream::connect("127.0.0.1:8080").expect("HAProxy listens");
    events.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    events.write_all(b"GET /hello-asgi/events HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    echo(&mut socket);
    asgi.edit("main.py", "Hello, ", "Good day, ");
    let (_, answers) = client.meanwhile("/hello-asgi", || {
        asgi.deploy_well();
        echo(&mut socket);
        let mut bytes = [0; 4096];
        let read = events.read(&mut bytes).expect("events");
        assert!(String::from_utf8_lossy(&bytes[..read]).contains("data: "), "a stream of events");
    });
    assert!(answers.iter().all(|it| *it == Some(StatusCode::OK)), "{answers:?}");
    assert_eq!(body(client, "/hello-asgi"), "Good day, world!\n");
    drop((socket, events));
    expect_code(&bellows(&["destroy", "hello-asgi", "--yes"]), 0);
}

/// Sends a word in a frame with an empty mask, and waits for the same (RFC 6455, 5.2).
fn echo(socket: &mut TcpStream) {
    socket.write_all(b"\x81\x85\0\0\0\0hello").expect("sent");
    let mut frame = [0; 7];
    socket.read_exact(&mut frame).expect("an echo");
    assert_eq!(&frame, b"\x81\x05hello");
}

pub(crate) fn a_folder_of_files_and_a_program_are_deployed(client: &Client) {
    let pages = Folder::of_example("static");
    pages.deploy_well();
    let page = client.send(Method::GET, "/static/", |request| request);
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.body, fs::read(pages.path.join("index.html")).expect("read"));
    expect_code(&bellows(&["destroy", "static", "--yes"]), 0);

    let program = Folder::empty("mine");
    fs::copy(programs().join("static-server"), program.path.join("server")).expect("copied");
    program.write("page.html", "one");
    program.write("config.toml", "folder = \"/srv/app\"\n");
    let command = "instance = { command = [\"./server\", \"--config\", \"config.toml\"] }\n";
    program.write("bellows.toml", command);
    program.deploy_well();
    for number in 0..10 {
        program.write("page.html", number.to_string());
        let (_, answers) = client.meanwhile("/mine/page.html", || program.deploy_well());
        assert!(answers.iter().all(|it| *it == Some(StatusCode::OK)), "{number}: {answers:?}");
        assert_eq!(body(client, "/mine/page.html"), number.to_string());
    }
    let kept = text(&bellows(&["versions", "mine"]));
    assert_eq!(kept.lines().count(), 4, "the head and three versions: {kept}");
    expect_code(&bellows(&["destroy", "mine", "--yes"]), 0);
    let deploys: Value = status()["deploys"].clone();
    assert_eq!(deploys, serde_json::json!([]));
}

pub(crate) fn what_a_stateful_service_keeps_goes_only_where_that_is_said() {
    let pages = Folder::of_example("static");
    pages.write("bellows.toml", "name = \"keeps\"\nstateful = true\n");
    let data = Path::new("/var/lib/bellows/stateful/keeps");
    let range = || ids_of("keeps");
    pages.deploy_well();
    fs::write(data.join("rows"), "1").expect("written");
    let first = range();
    let destroyed = bellows(&["destroy", "keeps", "--yes"]);
    expect_code(&destroyed, 0);
    let told = text(&destroyed);
    assert!(told.contains("`bellows destroy keeps --data` removes it"), "{told}");
    pages.deploy_well();
    assert_eq!(fs::read_to_string(data.join("rows")).expect("it stayed"), "1");
    assert!(first.is_some() && range() == first);
    expect_code(&bellows(&["destroy", "keeps", "--yes", "--data"]), 0);
    assert!(!data.exists() && range().is_none());
    assert_eq!(left_of("keeps"), "");
}

pub(crate) fn a_first_deploy_that_failed_is_shown_until_it_is_removed() {
    let fails = Folder::of_example("hello-flask");
    fails.edit("requirements.txt", "flask", "no-package-has-this-name-9f3b");
    let deploy = bellows(&["deploy", &fails.path.to_string_lossy(), "--name", "never"]);
    expect_code(&deploy, 1);
    assert!(text(&bellows(&["status"])).contains("never is not deployed"));
    let destroyed = bellows(&["destroy", "never", "--yes"]);
    expect_code(&destroyed, 0);
    let told = text(&destroyed);
    assert!(told.contains("never is not deployed. What was left of it is removed"), "{told}");
    assert!(!text(&bellows(&["status"])).contains("never"));
    assert_eq!(ids_of("never"), None);
    a_first_version_that_does_not_serve_says_why();
    let again = bellows(&["destroy", "never", "--yes"]);
    expect_code(&again, 2);
    assert!(text(&again).contains("there is no service never"), "{}", text(&again));
}

/// There is nothing to go back to.
fn a_first_version_that_does_not_serve_says_why() {
    let alone = Folder::of_example("hello-flask");
    let command = ["gunicorn", "--bind", "127.0.0.1:8000", "app:app"];
    alone.write("bellows.toml", format!("instance = {{ command = {command:?} }}\n"));
    let deploy = alone.deploy();
    expect_code(&deploy, 1);
    let verdict = last_line(&deploy);
    assert!(verdict.contains("it listens on 127.0.0.1:8000 alone: have it listen"), "{verdict}");
    expect_code(&bellows(&["destroy", "hello-flask", "--yes"]), 0);
}
