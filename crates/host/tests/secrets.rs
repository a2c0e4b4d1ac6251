//! Secrets on real LXC: they reach the program that is to have them, by file and by variable, and nothing
//! else on the host.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::command::HostRunner;
use host::lxc::{Containers, LxcContainers, OutputPipes, remove_secrets};
use host::secrets::SecretStore;
use host::settings::Settings;
use model::access::Who;
use model::names::{InstanceName, TemplateName};
use model::secrets::{SecretGeneration, SecretValue};
use model::service::Replacement;
use model::time::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use world::World;

/// What a search must not find anywhere. The test programs hold it in two pieces.
const PIECES: [&str; 2] = ["correct-horse-", "battery-staple"];

const LINES: &str = "user = \"app\"\nroot = \"read_only\"\n\
    writable = [{ path = \"/run\", size_mib = 1 }]\n\
    secrets = [{ name = \"db\", environment = \"DB_PASSWORD\" }, { name = \"tls.key\" }]";

fn password() -> Vec<u8> {
    [PIECES.concat().as_bytes(), b"\nsecond line \xff\n"].concat()
}

fn set(settings: &Settings, name: &str, value: &[u8]) -> SecretGeneration {
    let store = SecretStore::new(settings);
    let by = (Who::Up, Timestamp::from_millis(1));
    let value = SecretValue::new(value.to_vec()).unwrap();
    store.set(&"test".parse().unwrap(), &name.parse().unwrap(), &value, by).unwrap().after
}

/// A world whose service has two secrets and runs a script of the shell.
struct Secretive {
    world: World,
    template: TemplateName,
    containers: LxcContainers,
    launched: UnboundedReceiver<(InstanceName, OutputPipes)>,
}

impl Secretive {
    async fn new(script: &str, lines: &str) -> Self {
        assert!(Path::new(world::BUSYBOX).exists(), "run `scripts/setup benches`");
        let lines = format!("command = [\"/bin/sh\", \"-c\", '{script}']\n{lines}");
        let world = World::with(Path::new(world::BUSYBOX), "", &lines).await;
        set(&world.settings, "db", &password());
        set(&world.settings, "tls.key", b"\0\n");
        let template = world.deploy().await;
        let (sender, launched) = unbounded_channel();
        let containers = LxcContainers::new(&world.settings).unwrap().with_reader(sender).unwrap();
        Self { world, template, containers, launched }
    }

    /// Launches an instance, and waits until it has written `end`.
    async fn launch(&mut self, template: &TemplateName, slot: u32, end: &str) -> Vec<u8> {
        let name = self.world.name(slot);
        self.containers.clone_ephemeral(template, &name, Replacement::Surge).await.unwrap();
        let (_, mut pipes) = self.launched.recv().await.unwrap();
        let (mut text, started) = (Vec::new(), Instant::now());
        while !String::from_utf8_lossy(&text).contains(end) {
            read(&mut pipes.stdout, &mut text);
            read(&mut pipes.stderr, &mut text);
            let told = String::from_utf8_lossy(&text);
            assert!(started.elapsed() < Duration::from_secs(10), "{told}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        text
    }

    fn values(&self, template: &TemplateName) -> PathBuf {
        self.world.settings.paths.run.join("secrets").join(template.as_str())
    }
}

/// Takes what there is.
fn read(pipe: &mut File, text: &mut Vec<u8>) {
    let mut bytes = [0; 65_536];
    while let Ok(count @ 1..) = pipe.read(&mut bytes) {
        text.extend_from_slice(&bytes[..count]);
    }
}

/// The script goes on to run, so that it can be looked at.
const ON: &str = "echo \"<end>\"; while :; do busybox sleep 0.05; done";

#[tokio::test]
async fn a_program_finds_its_secrets_in_files_for_it_alone_and_in_its_environment() {
    let look = "busybox cat /run/secrets/db; echo \"[$DB_PASSWORD]\"; \
         busybox wc -c /run/secrets/tls.key; busybox stat -c \"%n %u %g %a\" /run/secrets /run/secrets/db; \
         busybox grep /run/secrets /proc/mounts; \
         echo x >/run/secrets/db || echo kept; busybox chmod 777 /run/secrets/db || echo kept; \
         busybox rm -f /run/secrets/db || echo kept; echo x >/run/other && echo free;";
    let mut secretive = Secretive::new(&format!("exec 2>/dev/null; {look} {ON}"), LINES).await;
    let template = secretive.template.clone();
    let told = secretive.launch(&template, 247, "<end>").await;
    let lines: Vec<&[u8]> = told.split(|byte| *byte == b'\n').collect();
    let value = PIECES.concat();
    assert_eq!(lines[0], value.as_bytes());
    assert_eq!(lines[1], b"second line \xff");
    assert_eq!(lines[2], [b"[", value.as_bytes()].concat());
    assert_eq!(lines[3], b"second line \xff]", "without the end of the last line");
    let rest = String::from_utf8(lines[4..].join(&b'\n')).unwrap();
    let (head, tail) = rest.split_once("bellows-secrets /run/secrets tmpfs ").unwrap();
    assert_eq!(
        head,
        "2 /run/secrets/tls.key\n/run/secrets 500 501 500\n/run/secrets/db 500 501 400\n"
    );
    let (options, tail) = tail.split_once(' ').unwrap();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(options.split(',').any(|it| it == option), "{option}: {options}");
    }
    assert!(tail.ends_with("\nkept\nkept\nkept\nfree\n<end>\n"), "{tail}");
}

#[tokio::test]
async fn the_value_of_a_secret_is_nowhere_else_on_the_host() {
    let lines = LINES.replace("root = \"read_only\"", "layer_mib = 16");
    let mut secretive = Secretive::new(ON, &lines).await;
    let template = secretive.template.clone();
    secretive.launch(&template, 247, "<end>").await;
    let paths = &secretive.world.settings.paths;
    let kept = [paths.state.join("secrets"), paths.run.join("secrets")];
    let mut files = Vec::new();
    for folder in [secretive.world.folder(), Path::new(world::LXC)] {
        collect(folder, &mut files);
    }
    let holders: Vec<_> = files.iter().filter(|file| holds(file)).collect();
    let elsewhere: Vec<_> =
        holders.iter().filter(|file| !kept.iter().any(|kept| file.starts_with(kept))).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert_eq!(holders.len(), 2, "the search finds what is there: {holders:?}");
    // The program's own user reads its environment, and nobody else's process has it.
    let user = 2_000_500;
    let mut seen = 0;
    for process in fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(status) = fs::metadata(&process) else { continue };
        assert!(!holds(&process.join("cmdline")), "{}", process.display());
        match holds(&process.join("environ")) {
            true if status.uid() == user => seen += 1,
            true => panic!("{} has it in its environment", process.display()),
            false => {}
        }
    }
    assert!(seen > 0, "the search finds what is there");
    let configuration = fs::read_to_string(format!("{}/{template}/config", world::LXC)).unwrap();
    assert!(configuration.contains(&secretive.values(&template).display().to_string()));
}

/// The files below a folder that can be read without waiting.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.is_dir() {
            collect(&path, files);
        } else if found.is_file() {
            files.push(path);
        }
    }
}

fn holds(file: &Path) -> bool {
    let value = PIECES.concat().into_bytes();
    fs::read(file).is_ok_and(|text| text.windows(value.len()).any(|part| part == value))
}

#[tokio::test]
async fn a_changed_secret_is_another_version_and_the_one_before_keeps_its_value() {
    let mut secretive = Secretive::new(&format!("echo \"[$DB_PASSWORD]\"; {ON}"), LINES).await;
    let before = secretive.template.clone();
    assert_eq!(secretive.world.deploy().await, before);
    set(&secretive.world.settings, "db", &password());
    assert_eq!(secretive.world.deploy().await, before, "the same value is no change");
    let first = set(&secretive.world.settings, "db", b"changed");
    let after = secretive.world.deploy().await;
    assert_ne!(after, before);
    let told = secretive.launch(&before, 246, "<end>").await;
    assert!(told.starts_with(format!("[{}\n", PIECES.concat()).as_bytes()), "{told:?}");
    assert!(secretive.launch(&after, 247, "<end>").await.starts_with(b"[changed]\n"));
    // The digest says nothing of the value: what is set back is yet another version.
    set(&secretive.world.settings, "db", &password());
    assert!(![&before, &after].contains(&&secretive.world.deploy().await));
    let value =
        secretive.world.settings.paths.state.join("secrets/test/db").join(first.to_string());
    assert!(value.exists(), "its version is there");
}

#[tokio::test]
async fn what_a_boot_emptied_is_made_again_and_no_value_is_written_to_a_disk() {
    let mut secretive = Secretive::new(ON, LINES).await;
    let template = secretive.template.clone();
    secretive.launch(&template, 246, "<end>").await;
    let values = secretive.values(&template);
    assert!(values.join("db").exists());
    let all = values.parent().unwrap().display().to_string();
    // Lazily, since an instance has it: a boot asks nobody.
    world::run("umount", &["-l", &all]);
    let name = secretive.world.name(247);
    let launched = secretive.containers.clone_ephemeral(&template, &name, Replacement::Surge).await;
    let error = launched.unwrap_err().to_string();
    assert_eq!(error, format!("{all} is not mounted, which holds secrets; `bellows up` mounts it"));
    assert!(secretive.world.is_gone(&name) && !values.exists());
    secretive.world.ensure_mounts().await;
    secretive.launch(&template, 247, "<end>").await;
    assert!(values.join("db").exists());
}

#[tokio::test]
async fn what_holds_secrets_goes_when_all_is_taken_down() {
    let mut secretive = Secretive::new(ON, LINES).await;
    let template = secretive.template.clone();
    secretive.launch(&template, 247, "<end>").await;
    let instances = secretive.containers.list().await.unwrap();
    for instance in instances.iter().map(|it| &it.name) {
        secretive.containers.stop(instance, Duration::ZERO).await.unwrap();
    }
    let run = &secretive.world.settings.paths.run;
    assert!(remove_secrets(&HostRunner, run).await.unwrap());
    assert!(!remove_secrets(&HostRunner, run).await.unwrap());
    fs::remove_dir_all(run).unwrap();
    let store = SecretStore::new(&secretive.world.settings);
    assert_eq!(store.list(&"test".parse().unwrap()).unwrap().len(), 2, "what was set stays");
}
