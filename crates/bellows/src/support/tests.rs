use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use flate2::read::GzDecoder;
use host::deployments::{Deployment, Deployments, NewService};
use host::settings::TlsSettings;
use model::version::Version;
use tempfile::TempDir;

use super::*;
use crate::code::Code;
use crate::error::Coded;
use crate::fake_scaler::FakeScaler;

/// What must be in no archive.
const PLANTED: [&str; 7] = [
    "env-hunter22",
    "arg-hunter22",
    "app-hunter22",
    "store-hunter22",
    "MIIEkey-hunter22",
    "url-hunter22",
    "comment-hunter22",
];

const WRITTEN: &str = "a line of an instance";

const SERVICE: &str = "name = \"shop\" # comment-hunter22\nimage = \"shop\"\n[route]\npath_prefix = \"/\"\n\
    [instance]\nport = 8000\nhealth_path = \"/healthz\"\nmemory_mib = 64\ncpus = 1.0\nprocesses = 64\n\
    command = [\"/srv/shop\", \"--password=arg-hunter22\"]\n\
    environment = { DB = \"postgres://me:url-hunter22@db/shop\", PASSWORD = \"env-hunter22\" }\n\
    [application]\nlicence = \"app-hunter22\"\n\
    [capacity]\nrequests_per_second = 50\nconcurrency = 8\n[bounds]\nmin = 1\nmax = 10\n";

/// A host with secrets in every place that has some.
struct World {
    root: TempDir,
    settings: Settings,
    _scaler: Option<FakeScaler>,
}

impl World {
    fn new(scaler: Option<FakeScaler>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.state = root.path().join("state");
        settings.paths.lxc = root.path().join("lxc");
        settings.paths.run = match &scaler {
            Some(scaler) => scaler.folder().to_owned(),
            None => root.path().join("run"),
        };
        let key = root.path().join("key.pem");
        fs::write(&key, "-----BEGIN PRIVATE KEY-----\nMIIEkey-hunter22\n-----END\n").unwrap();
        settings.tls = Some(TlsSettings {
            listen: "127.0.0.1:8443".parse().unwrap(),
            certificate: root.path().join("none.pem"),
            key: Some(key),
        });
        let world = Self { root, settings, _scaler: scaler };
        world.deploy();
        world
    }

    fn deploy(&self) {
        let state = &self.settings.paths.state;
        let secret = state.join("secrets/shop/db-password");
        fs::create_dir_all(&secret).unwrap();
        fs::write(secret.join("0000000000000001"), "store-hunter22\n").unwrap();
        let deployments = Deployments::new(state);
        deployments.deploy_settings("[paths] # comment-hunter22\nstate = \"/srv\"\n").unwrap();
        let (name, version) = ("shop".parse().unwrap(), Version::new(1));
        let new = NewService { name: &name, file: SERVICE, version, serving: None, again: false };
        let deployment = Deployment::default().followed_by(&[new], 3, Timestamp::from_millis(1));
        deployments.deploy(&deployment).unwrap();
        let run = &self.settings.paths.run;
        fs::create_dir_all(run).unwrap();
        let config = "frontend a # MIIEkey-hunter22\n  setenv A env-hunter22\n";
        fs::write(run.join("haproxy.cfg"), config).unwrap();
    }

    /// The names of what is in an archive of it, and all texts together.
    async fn archive(&self, output: bool) -> (Vec<String>, String) {
        let file = self.root.path().join(format!("report-{output}.tar.gz"));
        run(&self.settings, Some(file.clone()), output).await.unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(file).unwrap()));
        let (mut names, mut texts) = (Vec::new(), String::new());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            names.push(entry.path().unwrap().display().to_string());
            entry.read_to_string(&mut texts).unwrap();
        }
        (names, texts)
    }
}

/// A scaler of which a turn saw an instance end, that had written a secret and another line.
fn scaler() -> FakeScaler {
    FakeScaler::new(|path| {
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        Some(match path {
            "/v1/services" => r#"{"services":[]}"#.to_owned(),
            "/v1/changes" => r#"{"changes":[],"next":0}"#.to_owned(),
            "/v1/ticks" => format!(
                r#"{{"ticks":[{{"sequence":1,"at_ms":1795000000000,"service":"shop","observation":{{"offered_rps":0,
                "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,"cpu_cores":null,
                "phases":{{"starting":0,"ready":5,"draining":0,"failed":0}}}},
                "decision":{{"kind":"target","ready":2,"reasons":["OfferedLoad"]}},"plan":[],"blocked":[],
                "done":[{{"action":"clone","instance":"bw-shop-1-a","slot":1,"planned_at_ms":100,"finished_at_ms":180,
                "error":"`shop --password=arg-hunter22` ended"}}],
                "ended":[{{"instance":"bw-shop-2-a","last_lines":["{WRITTEN}, store-hunter22"]}}]}}],"next":1}}"#
            ),
            _ => return None,
        })
    })
}

fn found(texts: &str) -> Vec<&'static str> {
    PLANTED.into_iter().filter(|value| texts.contains(value)).collect()
}

#[tokio::test]
async fn no_secret_is_in_it_from_wherever_it_comes() {
    let world = World::new(Some(scaler()));
    for output in [false, true] {
        let (names, texts) = world.archive(output).await;
        assert_eq!(found(&texts), [""; 0], "{texts}");
        assert!(names.contains(&format!("report-{output}/ticks.json")), "{names:?}");
        assert!(texts.contains("requests_per_second = 50"), "the rest of the file is there");
        assert_eq!(texts.contains(WRITTEN), output, "what instances wrote, where it is asked for");
    }
}

#[tokio::test]
async fn while_the_scaler_is_away_the_rest_is_in_it_and_what_is_missing_is_told() {
    let world = World::new(None);
    let (names, texts) = world.archive(false).await;
    for name in ["contents.txt", "versions.txt", "doctor.txt", "services/shop.toml", "haproxy.cfg"]
    {
        assert!(names.contains(&format!("report-false/{name}")), "{name} of {names:?}");
    }
    assert!(texts.contains("what the scaler tells: the scaler gives no answer"), "{texts}");
    assert_eq!(found(&texts), [""; 0]);
}

#[tokio::test]
async fn it_is_written_over_nothing() {
    let world = World::new(None);
    let file = world.root.path().join("mine.tar.gz");
    fs::write(&file, "mine").unwrap();
    let told = run(&world.settings, Some(file.clone()), false).await.unwrap_err();
    let told = told.downcast::<crate::error::BadInput>().unwrap().0.remove(0);
    assert_eq!(told.downcast::<Coded>().unwrap().code(), Code::FileExists);
    assert_eq!(fs::read_to_string(file).unwrap(), "mine");
}

#[test]
fn it_is_named_after_the_time_and_unpacks_to_a_folder_of_its_name() {
    let at = Timestamp::from_millis(1_795_000_000_000);
    assert_eq!(name(at), "bellows-support-20261118T110640Z");
    assert_eq!(folder(Path::new("/tmp/a.tar.gz"), at), "a");
    assert_eq!(folder(Path::new("/tmp/.gz"), at), name(at));
}
