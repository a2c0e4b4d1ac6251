//! What a user of the host without rights can do, what one of the operators' group can, and what a token
//! is good for.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::egress;
use crate::machine::output;
use crate::system::{self, bellows, expect_code, instances, just, program_pid, text};

/// LXC's folder of containers, in which others may have some too.
const CONTAINERS: &str = "/var/lib/lxc";

/// What a stranger may read of what Bellows keeps: the programs, which user has which ids, and HAProxy's
/// configuration, of which the statistics tell as much. `*` stands for any text.
const READABLE: [&str; 7] = [
    "/var/lib/bellows/releases*",
    "/var/lib/bellows/id_map.added",
    "/var/lib/bellows/id_ranges",
    "/var/lib/bellows/id_range_of_builds",
    "/run/bellows/haproxy-root",
    "/run/bellows/haproxy.cfg",
    "/run/bellows/haproxy-*.map",
];

/// What is there to be kept from strangers, or the walk would find nothing and say that all is well.
const CLOSED: [&str; 22] = [
    "/var/lib/bellows/bellows.toml",
    "/var/lib/bellows/changes.jsonl",
    "/var/lib/bellows/console",
    "/var/lib/bellows/console/history.sqlite",
    "/var/lib/bellows/deployment.json",
    "/var/lib/bellows/ending-tokens.json",
    "/var/lib/bellows/images",
    "/var/lib/bellows/ledger.jsonl",
    "/var/lib/bellows/objects",
    "/var/lib/bellows/output",
    "/var/lib/bellows/overrides.json",
    "/var/lib/bellows/secrets",
    "/var/lib/bellows/ticks.jsonl",
    "/var/lib/bellows/tokens.json",
    "/run/bellows/console.sock",
    "/run/bellows/firewall.json",
    "/run/bellows/haproxy-admin.sock",
    "/run/bellows/haproxy-master.sock",
    "/run/bellows/launches",
    "/run/bellows/operator.lock",
    "/run/bellows/operator.sock",
    "/run/bellows/scaler.lock",
];

/// Where a stranger may connect: the services, the statistics and the API, which only reads without a token; and the two by which
/// instances reach other services, which know nobody else.
const LISTENERS: [&str; 5] =
    ["10.117.0.1:8070", "10.117.0.1:8071", "127.0.0.1:8080", "127.0.0.1:8090", "127.0.0.1:8404"];

/// The way out of instances, which knows nobody else either: where a service has one.
const WAY_OUT: &str = "10.117.0.1:3128";

/// Words of `setpriv` for a user without rights.
pub(crate) const STRANGER: [&str; 5] = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];

/// The same user, in the operators' group.
const OPERATOR: [&str; 6] =
    ["--reuid", "65534", "--regid", "65534", "--groups", "bellows-operators"];

/// Words of curl that set bounds, but for the place of the API.
pub(crate) const SET_BOUNDS: [&str; 6] = [
    "--request",
    "PUT",
    "--header",
    "content-type: application/json",
    "--data",
    r#"{"min":1,"max":9}"#,
];

const BOUNDS: &str = "/v1/services/object-store/bounds";

/// Whether a command succeeds that somebody else runs.
fn succeeds(who: &[&str], command: &[&str]) -> bool {
    let done = Command::new("setpriv").args(who).args(command).output();
    done.expect("setpriv runs").status.success()
}

/// The status that a request of somebody else gets; 000 where there is no answer.
fn status(who: &[&str], words: &[&str]) -> String {
    let curl = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"];
    let done = Command::new("setpriv").args(who).args(curl).args(words).output();
    text(&done.expect("setpriv runs"))
}

/// Words of curl for a socket of the scaler.
fn by(socket: &str) -> [String; 3] {
    let path = format!("/run/bellows/{socket}.sock");
    ["--unix-socket".to_owned(), path, format!("http://localhost{BOUNDS}")]
}

fn set_by_socket(who: &[&str], socket: &str, more: &[&str]) -> String {
    let place = by(socket);
    let place = place.each_ref().map(String::as_str);
    status(who, &[SET_BOUNDS.as_slice(), more, &place].concat())
}

pub(crate) fn a_stranger_reads_and_changes_nothing() {
    let services = "http://127.0.0.1:8090/v1/services";
    assert_eq!(status(&STRANGER, &[services]), "200");
    assert_eq!(status(&STRANGER, &["--header", "host: evil.example", services]), "403");
    let bounds = format!("http://127.0.0.1:8090{BOUNDS}");
    assert_eq!(status(&STRANGER, &[SET_BOUNDS.as_slice(), &[&bounds]].concat()), "401");
    for socket in ["operator", "console"] {
        assert_eq!(set_by_socket(&STRANGER, socket, &[]), "000", "{socket}");
    }
    // The record outlives the system, and so an earlier run of this test.
    let changes = || text(&bellows(&["changes"])).matches("nobody").count();
    let before = changes();
    assert_eq!(set_by_socket(&OPERATOR, "operator", &[]), "200");
    assert_eq!(changes(), before + 1);
    expect_code(&just(&["bounds", "object-store", "default"]), 0);
}

/// Every place below Bellows' folders, and in them of each of its containers, as root lists them.
fn places() -> Vec<String> {
    let of_bellows = |name: &str| name.starts_with("bw") || name.starts_with(".bw");
    let containers = fs::read_dir(CONTAINERS).expect("LXC's folder").flatten();
    let containers = containers.filter(|it| it.file_name().to_str().is_some_and(of_bellows));
    let containers: Vec<_> = containers.map(|it| it.path().display().to_string()).collect();
    assert!(containers.len() >= 2, "a template and an instance: {containers:?}");
    let folders = ["/var/lib/bellows", "/run/bellows"].into_iter();
    let folders: Vec<_> = folders.chain(containers.iter().map(String::as_str)).collect();
    // What goes while it is listed is no fault.
    let listed = Command::new("find").args(folders).output().expect("find starts");
    String::from_utf8(listed.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// Those of the places with which a stranger can do what find's `test` says: the kernel is asked, as the
/// stranger, and nothing is done.
fn with_which_a_stranger_can(test: &str, places: &[String]) -> BTreeSet<String> {
    let asked = ["find", "-files0-from", "-", "-maxdepth", "0", test];
    let mut find = Command::new("setpriv")
        .args(STRANGER)
        .args(asked)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("setpriv starts");
    let mut input = find.stdin.take().expect("a pipe");
    let names = places.join("\0");
    let writer = std::thread::spawn(move || input.write_all(names.as_bytes()));
    let found = find.wait_with_output().expect("find ends");
    writer.join().expect("it wrote").expect("find read all of it");
    String::from_utf8(found.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn may_be_read(place: &str) -> bool {
    READABLE.iter().any(|allowed| match allowed.split_once('*') {
        Some((start, end)) => place.starts_with(start) && place.ends_with(end),
        None => place == *allowed,
    })
}

pub(crate) fn of_all_that_lies_on_the_disk_a_stranger_reads_little_and_writes_nothing() {
    let places = places();
    let without_systemd = !Path::new("/run/systemd/system").exists();
    let log = without_systemd.then_some("/run/bellows/units/scaler.log");
    for closed in CLOSED.into_iter().chain(log) {
        assert!(places.iter().any(|place| place == closed), "{closed} is not there");
    }
    let readable = with_which_a_stranger_can("-readable", &places);
    assert!(readable.contains("/var/lib/bellows/releases"), "{readable:?}");
    let open: Vec<_> = readable.iter().filter(|place| !may_be_read(place)).collect();
    assert!(open.is_empty(), "a stranger reads {open:#?}");
    // To connect to a socket is to write to it; to lock a file, to open it.
    let writable = with_which_a_stranger_can("-writable", &places);
    assert!(writable.is_empty(), "a stranger writes to {writable:#?}");
}

/// Where a program of Bellows listens: addresses, and names of abstract sockets behind an `@`.
fn listeners() -> BTreeSet<String> {
    let running =
        ["haproxy", "scaler", "console"].into_iter().chain(egress::runs().then_some("egress"));
    let programs: Vec<_> = running.map(|name| format!("pid={},", program_pid(name))).collect();
    let of_lxc = format!("@{CONTAINERS}/bw");
    let listed = output("ss", &["--no-header", "-lxtnp"]);
    let lines = listed.lines().filter(|line| {
        line.contains(&of_lxc) || programs.iter().any(|program| line.contains(program))
    });
    let addresses = lines.filter_map(|line| line.split_whitespace().nth(4));
    // Those with a path were walked.
    addresses.filter(|address| !address.starts_with('/')).map(str::to_owned).collect()
}

pub(crate) fn a_stranger_connects_to_what_is_for_strangers_alone() {
    let (of_lxc, addresses): (BTreeSet<_>, BTreeSet<_>) =
        listeners().into_iter().partition(|address| address.starts_with('@'));
    let way_out = egress::runs().then_some(WAY_OUT);
    assert_eq!(addresses, LISTENERS.into_iter().chain(way_out).map(str::to_owned).collect());
    assert!(
        of_lxc.iter().all(|name| name.starts_with(&format!("@{CONTAINERS}/bw-"))),
        "{of_lxc:?}"
    );
    let reach = ["--header", "host: object-store", "http://10.117.0.1:8070/"];
    assert_eq!(status(&STRANGER, &reach), "403");
    assert_eq!(status(&STRANGER, &["http://10.117.0.1:8071/"]), "000");
    let root = ["--reuid", "0"];
    for instance in system::status()["instances"].as_array().expect("instances") {
        let url = format!("http://{}:8000/healthz", instance["address"].as_str().expect("text"));
        let get = ["--max-time", "2", &url];
        assert_eq!((status(&root, &get), status(&STRANGER, &get)), ("200".into(), "000".into()));
    }
}

pub(crate) fn a_stranger_gets_nothing_of_instances_by_lxcs_tools() {
    // Where LXC may keep its locks, or that alone would stop it.
    let home = tempfile::tempdir().expect("a folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let home = format!("HOME={}", home.path().display());
    let name = instances("ready").remove(0);
    let at = ["-P", CONTAINERS, "-n", &name];
    let can = |who: &[&str], words: &[&str]| {
        let env = ["env", "-u", "XDG_RUNTIME_DIR", &home];
        succeeds(who, &[&env[..], words, &at].concat())
    };
    assert!(can(&["--reuid", "0"], &["lxc-info", "-p"]));
    for words in [&["lxc-info", "-p"][..], &["lxc-attach"], &["lxc-freeze"], &["lxc-stop", "-k"]] {
        assert!(!can(&STRANGER, words), "{words:?}");
    }
    assert!(instances("ready").contains(&name));
}

pub(crate) fn a_strangers_process_with_a_units_mark_counts_for_nothing() {
    let before = ["haproxy", "scaler"].map(program_pid);
    let marked = ["haproxy", "scaler"].map(|unit| {
        let mark = format!("/run/bellows/units/{unit}");
        let mut sleep = Command::new("setpriv");
        sleep.args(STRANGER).args(["sleep", "60"]);
        sleep.env("BELLOWS_UNIT", &mark).env("BELLOWS_SUPERVISOR", &mark);
        sleep.spawn().expect("setpriv starts")
    });
    expect_code(&bellows(&["up"]), 0);
    assert_eq!(["haproxy", "scaler"].map(program_pid), before);
    for mut child in marked {
        assert!(child.try_wait().expect("it is ours").is_none(), "it was ended for a unit's");
        child.kill().expect("it runs");
        child.wait().expect("it is ours");
    }
}

pub(crate) fn a_token_is_of_use_until_it_is_revoked() {
    let make = ["token", "make", "ci", "--rights", "operate", "--services", "object-store"];
    let made = bellows(&make);
    expect_code(&made, 0);
    let secret = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    expect_code(&bellows(&make), 2);
    assert!(!text(&bellows(&["token", "list"])).contains(&secret));
    let bearer = format!("authorization: Bearer {secret}");
    let root = ["--reuid", "0"];
    let answer = || set_by_socket(&root, "console", &["--header", &bearer]);
    assert_eq!(answer(), "200");
    let url = format!("http://127.0.0.1:8090{BOUNDS}");
    let by_port =
        |who: &[&str]| status(who, &[SET_BOUNDS.as_slice(), &["--header", &bearer, &url]].concat());
    assert_eq!(by_port(&STRANGER), "200", "the token alone counts");
    assert_eq!(set_by_socket(&root, "console", &[]), "401");
    assert!(!output("bellows", &["changes"]).contains(&secret));
    expect_code(&bellows(&["token", "revoke", "ci"]), 0);
    assert_eq!(answer(), "401");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(by_port(&STRANGER), "401");
    expect_code(&bellows(&["token", "revoke", "ci"]), 2);
    expect_code(&just(&["bounds", "object-store", "default"]), 0);
}
