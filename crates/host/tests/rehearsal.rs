//! Rehearsals on real LXC: what an application is found to serve by before anything of it is recorded, and what is left.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod site;
mod userland;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs;
use std::time::{Duration, Instant};

use host::command::HostRunner;
use host::lxc::{Image, ImageStart, remove_secrets, remove_unmounted};
use host::rehearsal::{Found, Rehearsals};
use host::secrets::SecretStore;
use model::access::Who;
use model::secrets::SecretValue;
use model::service::ServiceSpec;
use model::time::Timestamp;
use site::Site;

const SERVICE: &str = r#"
    name = "test"
    image = "test"
    [route]
    path_prefix = "/"
    [instance]
    port = 8000
    memory_mib = 48
    cpus = 1.0
    processes = 24
    LINES
    [bounds]
    min = 1
    max = 10
"#;

/// A program that serves these files, which hold what it writes about itself.
const SERVES: &str = "exec busybox httpd -f -p 8000 -h /www";

/// A service whose program is this script, with these lines in its table `[instance]`.
fn service(script: &str, lines: &str) -> ServiceSpec {
    let command = format!("command = [\"/bin/sh\", \"-c\", '{script}']\n{lines}");
    config_file::from_toml("test.toml", &SERVICE.replacen("LINES", &command, 1)).unwrap()
}

/// A site whose rehearsals are ended and removed, also after a failed test.
struct Stage(Site);

impl Stage {
    fn new() -> Self {
        Self(Site::new())
    }

    fn rehearsals(&self) -> Rehearsals<HostRunner> {
        Rehearsals::new(&self.0.settings, HostRunner).with_init(world::init_program())
    }

    /// What is found of this script within some seconds, and what it wrote.
    async fn find(&self, script: &str, lines: &str, seconds: u64) -> (Found, Vec<String>) {
        let (service, image) = (service(script, lines), self.0.base());
        let mut written = Vec::new();
        let found = self
            .rehearsals()
            .find_health(&service, &image, Duration::from_secs(seconds), |line| {
                written.push(line.to_owned());
            })
            .await
            .unwrap();
        assert_eq!(self.left(), [""; 0]);
        (found, written)
    }

    /// What rehearsals have left.
    fn left(&self) -> Vec<String> {
        let groups = world::run("find", &["/sys/fs/cgroup", "-name", "lxc.*.bw-rehearsal.*"]);
        let paths = &self.0.settings.paths;
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let rehearsals = paths.state.join("rehearsals").display().to_string();
        let mounts = mounts.lines().filter(|line| line.contains(&rehearsals)).map(str::to_owned);
        let places = [paths.state.join("rehearsals"), paths.run.join("secrets"), paths.lxc.clone()];
        let names = places.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // What other tests keep is not looked at.
        let names = names.filter(|name| name.starts_with("bw-rehearsal."));
        groups.lines().map(str::to_owned).chain(mounts).chain(names).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let paths = &self.0.settings.paths;
        let home = paths.state.join("rehearsals").display().to_string();
        world::run("lxc-stop", &["-P", &home, "-k", "-n", "bw-rehearsal.test"]);
        let _ = remove_unmounted(&paths.state.join("rehearsals"));
        world::run("umount", &["--lazy", &paths.run.join("secrets").display().to_string()]);
    }
}

fn path(path: &str, status: &str) -> Found {
    Found::Path { path: path.parse().unwrap(), status: status.parse().unwrap() }
}

fn why(found: &Found) -> (&str, &str) {
    match found {
        Found::Nothing { why, tail } => (why, tail),
        found => panic!("{found:?}"),
    }
}

#[tokio::test]
async fn the_first_path_that_answers_well_is_found_at_once_and_nothing_is_left() {
    let stage = Stage::new();
    let begun = Instant::now();
    let script =
        format!("busybox mkdir /www; echo up >/www/up; busybox ls /sys/class/net; {SERVES}");
    let (found, written) = stage.find(&script, "", 60).await;
    assert_eq!((found, written), (path("/up", "200-399"), vec!["lo".to_owned()]));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // Everybody has a page at `/`, and be it none.
    let script = format!("busybox mkdir /www; {SERVES}");
    assert_eq!(stage.find(&script, "", 60).await.0, path("/", "200-499"));
}

#[tokio::test]
async fn what_answers_503_while_it_starts_is_asked_again() {
    let stage = Stage::new();
    let answer =
        "printf \"HTTP/1.0 503 Wait\\\\r\\\\n\\\\r\\\\n\" | busybox nc -l -p 8000 >/dev/null";
    let script = format!(
        "busybox mkdir /www; for n in 1 2 3 4 5 6 7 8 9; do {answer}; done; echo >/www/healthz; {SERVES}"
    );
    assert_eq!(stage.find(&script, "", 60).await.0, path("/healthz", "200-399"));
}

#[tokio::test]
async fn a_port_that_takes_connections_is_found_where_nothing_answers_well() {
    let stage = Stage::new();
    let script = "while :; do echo no HTTP | busybox nc -l -p 8000 >/dev/null; done";
    assert_eq!(stage.find(script, "", 3).await.0, Found::Port);
}

#[tokio::test]
async fn why_nobody_can_connect_is_told_with_its_cure_and_the_last_lines() {
    let stage = Stage::new();
    let serves = |address| format!("echo begun >&2; exec busybox httpd -f -p {address} -h /");
    let cases = [
        (serves("127.0.0.1:8000"), "it listens on 127.0.0.1:8000 alone: have it listen on 0.0.0.0"),
        (serves("5000"), "it listens on port 5000, not on 8000, which an application has in PORT"),
        ("echo begun; exec busybox sleep 99".to_owned(), "it listens on no port: have it listen"),
        (
            "echo begun; exit 3".to_owned(),
            "its program ended with status 3: see what it wrote last",
        ),
        (
            "echo begun; exec busybox tail /dev/zero".to_owned(),
            "it needs more than 48 MiB of memory: raise instance.memory_mib",
        ),
    ];
    for (script, wanted) in cases {
        let (found, _) = stage.find(&script, "", 3).await;
        let (why, tail) = why(&found);
        assert!(why.starts_with(wanted), "{script}: {why}");
        assert!(tail.starts_with("\n    begun"), "{script}: {tail}");
    }
}

#[tokio::test]
async fn how_a_program_ended_is_told_however_much_it_wrote_before() {
    let stage = Stage::new();
    for output in [1, 2] {
        // 88,000 bytes, of which 65,536 are shown.
        let script = format!(
            "for n in $(busybox seq 2000); do echo as much as this and then some more of it, all; done >&{output}; exit 3"
        );
        let (found, _) = stage.find(&script, "", 20).await;
        assert_eq!(why(&found).0, "its program ended with status 3: see what it wrote last");
    }
}

#[tokio::test]
async fn what_it_writes_to_its_root_is_bounded_as_what_an_instance_writes() {
    let stage = Stage::new();
    let script = format!(
        "busybox dd if=/dev/zero of=/all bs=1M count=64 2>&1; busybox rm /all; busybox mkdir /www; {SERVES}"
    );
    let (found, written) = stage.find(&script, "layer_mib = 16", 60).await;
    assert_eq!(found, path("/", "200-499"));
    assert!(written.iter().any(|line| line.contains("No space left on device")), "{written:?}");
}

#[tokio::test]
async fn what_is_the_first_process_of_an_instance_is_started_by_our_init() {
    let stage = Stage::new();
    let start = ImageStart::Init("/bin/busybox false".to_owned());
    let image = Image { start, ..stage.0.base() };
    let text = SERVICE.replacen("LINES", "", 1);
    let service: ServiceSpec = config_file::from_toml("test.toml", &text).unwrap();
    let rehearsals = stage.rehearsals();
    let found = rehearsals.find_health(&service, &image, Duration::from_secs(10), |_| ()).await;
    assert_eq!(why(&found.unwrap()).0, "its program ended with status 1: see what it wrote last");
}

#[tokio::test]
async fn it_is_as_an_instance_is_but_for_the_data_that_instances_share() {
    let stage = Stage::new();
    let settings = &stage.0.settings;
    let name = "key".parse().unwrap();
    let value = SecretValue::new(b"of the host".as_slice().into()).unwrap();
    let store = SecretStore::new(settings);
    store.set(&"test".parse().unwrap(), &name, &value, (Who::Up, Timestamp::default())).unwrap();
    let lines = "root = \"read_only\"\nmounts = [{ source = \"data\", target = \"/objects\" }]\n\
                 secrets = [{ name = \"key\", environment = \"KEY\" }]\nenvironment = { A = \"b\" }";
    let script = format!(
        "echo $A $KEY; busybox ls /objects; echo x >/objects/x && busybox mkdir /objects/w; \
         (echo x >/x) 2>/dev/null || echo read-only; {}",
        SERVES.replacen("/www", "/objects/w", 1)
    );
    let (found, written) = stage.find(&script, lines, 60).await;
    assert_eq!(
        (found, written),
        (path("/", "200-499"), ["b of the host", "read-only"].map(str::to_owned).into())
    );
    let shared = fs::read_dir(settings.paths.state.join("data")).unwrap().count();
    assert_eq!(shared, 0, "nothing of it is there");
    remove_secrets(&HostRunner, &settings.paths.run).await.unwrap();
}

/// A server of Python's own that answers by the host that it is asked for, as frameworks do that know theirs.
const SERVER: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.headers.get("host") or ""
        self.send_response(200 if self.path == "/" or host.startswith("localhost") else 400)
        self.end_headers()
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[tokio::test]
async fn an_application_on_an_image_that_stands_on_others_is_asked_as_it_will_be() {
    let stage = Stage::new();
    let command = ["python3", "-c", SERVER].map(str::to_owned).to_vec();
    let path_of_programs = ("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    let start = ImageStart::Application {
        command,
        environment: [path_of_programs].into(),
        working_folder: "/srv".to_owned(),
    };
    let image = Image { start, ..userland::python().await };
    assert!(!image.bases.is_empty());
    let text = SERVICE.replacen("LINES", "", 1).replacen("= 48", "= 128", 1);
    let service: ServiceSpec = config_file::from_toml("test.toml", &text).unwrap();
    let finding = stage.rehearsals();
    let found = finding.find_health(&service, &image, Duration::from_secs(30), |_| ()).await;
    assert_eq!(found.unwrap(), path("/", "200-499"));
    assert_eq!(stage.left(), [""; 0]);
}

#[tokio::test]
async fn one_that_is_given_up_ends_and_the_rest_can_be_removed() {
    let stage = Stage::new();
    let begun =
        stage.0.settings.paths.state.join("rehearsals/bw-rehearsal.test/overlay/delta/begun");
    let (service, image) = (service("echo >/begun; exec busybox sleep 1000", ""), stage.0.base());
    let rehearsals = stage.rehearsals();
    let given_up = async {
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let other = stage.rehearsals().find_health(&service, &image, Duration::ZERO, |_| ()).await;
        assert!(other.unwrap_err().to_string().starts_with("test is rehearsed already"));
    };
    tokio::select! {
        found = rehearsals.find_health(&service, &image, Duration::from_secs(60), |_| ()) => panic!("{found:?}"),
        () = given_up => {}
    }
    assert_ne!(stage.left(), [""; 0]);
    assert_eq!(rehearsals.remove_all().await.unwrap(), 1);
    assert_eq!(stage.left(), [""; 0]);
    assert_eq!(rehearsals.remove_all().await.unwrap(), 0);
}
