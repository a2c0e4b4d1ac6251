//! A small installation of its own for tests on real LXC: other names, another bridge and another
//! subnet than the running system's, and all of it taken away again, also after a failed test.

pub(crate) mod held;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host::command::HostRunner;
use host::id_map::IdMap;
use host::id_ranges::IdRanges;
use host::lock::{Lock, LockError};
use host::lxc::{ContainerError, Containers, Image, ImageStart, LxcContainers, TemplateStore};
use host::network::Network;
use host::secrets::SecretStore;
use host::settings::Settings;
use model::access::Who;
use model::names::{InstanceName, ServiceName, Slot, TemplateName};
use model::secrets::SecretValue;
use model::service::{InstanceSpec, Replacement, SecretSpec, ServiceSpec};
use model::time::Timestamp;

use held::Held;

/// Every container of these tests is named `bw-test...`.
const SERVICE: &str = r#"
    name = "test"
    image = "test"
    [route]
    path_prefix = "/"
    [instance]
    port = 8000
    health_path = "/"
    memory_mib = 48
    cpus = 1.0
    processes = 24
    mounts = [{ source = "objects", target = "/objects" }]
    [capacity]
    requests_per_second = 50
    concurrency = 8
    [bounds]
    min = 1
    max = 10
"#;

pub(crate) const TABLE: &str = "bellows_test";

/// A folder of containers of our own: a scaler that runs on this host stops instances of services
/// that it does not know.
pub(crate) const LXC: &str = "/var/lib/bellows-test-lxc";

/// Debian's package busybox-static, which `scripts/setup benches` installs.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) containers: LxcContainers,
    service: ServiceSpec,
    pub(crate) image: Image,
    pub(crate) template: TemplateName,
    ids: IdMap,
    folder: tempfile::TempDir,
    // In this order: after all that is taken away, and before the next world begins.
    _held: Held,
    _lock: Lock,
}

impl World {
    /// A world whose instances run the probe that cargo builds beside the tests.
    pub(crate) async fn new() -> Self {
        Self::given("").await
    }

    /// The same, with these lines in the service's table `[instance]`.
    pub(crate) async fn given(lines: &str) -> Self {
        Self::with(&probe(), "", lines).await
    }

    /// The same, of a service that may reach this.
    pub(crate) async fn reaching(egress: &str, lines: &str) -> Self {
        Self::with(&probe(), &format!("egress = [\"{egress}\"]"), lines).await
    }

    /// The same, of an image of this program alone. `head` stands before the tables of the service's file.
    pub(crate) async fn with(program: &Path, head: &str, lines: &str) -> Self {
        Self::of(|folder| image(folder, program), head, lines).await
    }

    /// The same, of an image that is made in the world's folder. Waits for other runs of these tests on this
    /// host, and takes away what a killed one left.
    pub(crate) async fn of(image: impl FnOnce(&Path) -> Image, head: &str, lines: &str) -> Self {
        let lock = lock();
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        fs::create_dir_all(LXC).unwrap();
        fs::create_dir_all(&settings.paths.run).unwrap();
        clear(&settings);
        let held = Held::take();
        // The instance's root walks through to its mounts.
        run("chmod", &["711", &folder.path().display().to_string()]);
        let ids = IdMap::of_host(&settings.paths.state, settings.id_map);
        ids.ensure().unwrap();
        Network::new(&settings, HostRunner).with_table(TABLE).ensure().await.unwrap();
        let service = service(head, lines);
        set_secrets(&settings, &service);
        let image = image(folder.path());
        let template = ensure_template(&settings, &service, &image).await;
        let containers = LxcContainers::new(&settings).unwrap();
        Self {
            settings,
            containers,
            service,
            image,
            template,
            ids,
            folder,
            _held: held,
            _lock: lock,
        }
    }

    /// The template of the version that the service is now.
    pub(crate) async fn deploy(&self) -> TemplateName {
        ensure_template(&self.settings, &self.service, &self.image).await
    }

    /// The same, where it may be refused.
    pub(crate) async fn try_deploy(&self) -> Result<TemplateName, String> {
        let store = TemplateStore::new(&self.settings, HostRunner).with_init(init_program());
        store.ensure(&self.service, &self.image).await.map_err(|error| error.to_string())
    }

    /// The template of the version that the service is with these lines in its table `[instance]`.
    pub(crate) async fn deploy_with(&self, lines: &str) -> TemplateName {
        ensure_template(&self.settings, &service("", lines), &self.image).await
    }

    /// The template of another service, which has a range of ids of its own, with these lines in its table
    /// `[instance]`.
    pub(crate) async fn beside(&self, name: &str, image: &Image, lines: &str) -> TemplateName {
        self.beside_with(name, image, lines, &[]).await
    }

    /// The same, with other texts in its file in the place of these.
    pub(crate) async fn beside_with(
        &self,
        name: &str,
        image: &Image,
        lines: &str,
        others: &[(&str, &str)],
    ) -> TemplateName {
        // Who mounts the same folder has the same ids.
        let service = named(name, "", lines, &[&[("mounts = ", "# ")], others].concat());
        let store = TemplateStore::new(&self.settings, HostRunner);
        let ids = store.ensure_mounts(&service).await.unwrap().ids;
        IdMap::of_host(&self.settings.paths.state, ids).ensure().unwrap();
        ensure_template(&self.settings, &service, image).await
    }

    /// A name that was never used, in a slot that the running system is unlikely to use.
    pub(crate) fn name(&self, slot: u32) -> InstanceName {
        name_of(self.template.service(), slot)
    }

    /// Launches an instance and waits for its first answer.
    pub(crate) async fn launch(&self, slot: u32) -> InstanceName {
        self.launch_from(&self.template, slot).await
    }

    /// The same, of this template.
    pub(crate) async fn launch_from(&self, template: &TemplateName, slot: u32) -> InstanceName {
        let name = self.launch_mute_from(template, slot).await;
        self.first_answer(&name);
        name
    }

    /// Launches an instance and waits for nothing.
    pub(crate) async fn launch_mute(&self, slot: u32) -> InstanceName {
        self.launch_mute_from(&self.template, slot).await
    }

    /// The same, of this template.
    pub(crate) async fn launch_mute_from(
        &self,
        template: &TemplateName,
        slot: u32,
    ) -> InstanceName {
        let name = name_of(template.service(), slot);
        self.containers.clone_ephemeral(template, &name, Replacement::Surge).await.unwrap();
        name
    }

    /// Launches an instance of a service that never has two.
    pub(crate) async fn launch_alone(&self, name: &InstanceName) -> Result<(), ContainerError> {
        self.containers.clone_ephemeral(&self.template, name, Replacement::Recreate).await
    }

    /// Has again what a boot forgets.
    pub(crate) async fn ensure_mounts(&self) {
        let store = TemplateStore::new(&self.settings, HostRunner);
        let failed = store.ensure_mounts(&self.service).await.unwrap().failed;
        assert!(failed.is_empty(), "{failed:?}");
    }

    /// The same, where some versions cannot have it: which, and why.
    pub(crate) async fn ensure_mounts_but(&self) -> Vec<(TemplateName, String)> {
        let store = TemplateStore::new(&self.settings, HostRunner);
        let failed = store.ensure_mounts(&self.service).await.unwrap().failed;
        failed.into_iter().map(|(template, error)| (template, error.to_string())).collect()
    }

    /// The template of the version that the service is with this folder in the place of its own, and what its
    /// instances are given.
    pub(crate) async fn deploy_mounting(&self, source: &str) -> (TemplateName, InstanceSpec) {
        let service = named("test", "", "", &[("\"objects\"", &format!("\"{source}\""))]);
        let template = ensure_template(&self.settings, &service, &self.image).await;
        (template, service.instance)
    }

    /// Has again what a boot forgets of a version that is kept.
    pub(crate) async fn ensure_folders(&self, kept: &InstanceSpec) {
        let store = TemplateStore::new(&self.settings, HostRunner);
        let ids = store.ensure_mounts(&self.service).await.unwrap().ids;
        store.ensure_folders(kept, ids).await.unwrap();
    }

    /// The folder in which its instances are: a layer, or LXC's own.
    pub(crate) fn home(&self) -> PathBuf {
        Self::home_of(&self.template)
    }

    /// The same of the instances of a template.
    pub(crate) fn home_of(template: &TemplateName) -> PathBuf {
        let layer = PathBuf::from(format!("{LXC}/bwl-{}", template.version()));
        if layer.exists() { layer } else { LXC.into() }
    }

    /// The host's id of the root of a template's service, which depends on what else is on this host.
    pub(crate) fn root_of(&self, template: &TemplateName) -> u32 {
        let given = IdRanges::new(&self.settings).given().unwrap();
        given[template.service()].first
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn address(&self, instance: &InstanceName) -> Ipv4Addr {
        self.settings.network.subnet.address(instance.slot()).unwrap()
    }

    /// Asks until the instance answers, for at most 2 s.
    pub(crate) fn first_answer(&self, instance: &InstanceName) {
        let started = Instant::now();
        while self.get(instance, "/").is_err() {
            assert!(started.elapsed() < Duration::from_secs(2), "{instance} does not answer");
            std::thread::sleep(Duration::from_micros(300));
        }
    }

    /// The body of the instance's answer.
    pub(crate) fn get(&self, instance: &InstanceName, target: &str) -> std::io::Result<String> {
        self.get_at(8000, instance, target)
    }

    /// The same at another port.
    pub(crate) fn get_at(
        &self,
        port: u16,
        instance: &InstanceName,
        target: &str,
    ) -> std::io::Result<String> {
        let address = SocketAddrV4::new(self.address(instance), port);
        let mut stream = TcpStream::connect_timeout(&address.into(), Duration::from_millis(500))?;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        write!(stream, "GET {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
            _ => Err(std::io::Error::other(format!("no answer: {answer:?}"))),
        }
    }

    /// Whether an instance has left neither folder, interface, control group nor socket.
    pub(crate) fn is_gone(&self, instance: &InstanceName) -> bool {
        let groups = run("find", &["/sys/fs/cgroup", "-name", &format!("lxc.*.{instance}")]);
        let interface = format!("/sys/class/net/bw{}", instance.slot());
        let sockets = fs::read_to_string("/proc/net/unix").unwrap();
        groups.is_empty()
            && !Path::new(&interface).exists()
            && homes().iter().all(|home| !home.join(instance.as_str()).exists())
            && !sockets.contains(instance.as_str())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        clear(&self.settings);
        let _ = fs::remove_dir(LXC);
        let _ = self.ids.remove();
    }
}

/// A name that was never used.
fn name_of(service: &ServiceName, slot: u32) -> InstanceName {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let birth = Timestamp::from_millis(u64::try_from(now.as_micros()).unwrap());
    InstanceName::new(service, Slot::try_from(slot).unwrap(), birth)
}

/// Sets each secret that the service names to its own name.
fn set_secrets(settings: &Settings, service: &ServiceSpec) {
    let store = SecretStore::new(settings);
    for SecretSpec { name, .. } in &service.instance.secrets {
        let value = SecretValue::new(name.as_str().into()).unwrap();
        store.set(&service.name, name, &value, (Who::Up, Timestamp::default())).unwrap();
    }
}

async fn ensure_template(
    settings: &Settings,
    service: &ServiceSpec,
    image: &Image,
) -> TemplateName {
    let store = TemplateStore::new(settings, HostRunner).with_init(init_program());
    store.ensure(service, image).await.unwrap()
}

/// Our init as it was built, where it was: tests that need none run without.
pub(crate) fn init_program() -> PathBuf {
    built("init")
}

/// What cargo builds beside the tests.
fn probe() -> PathBuf {
    let probe = built("examples/probe");
    assert!(probe.exists(), "{} is missing; run `cargo test -p host`", probe.display());
    probe
}

/// A program as it was built.
pub(crate) fn built(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join(name)
}

/// The service of these tests, with these lines before its tables and in its table `[instance]`.
fn service(head: &str, lines: &str) -> ServiceSpec {
    named("test", head, lines, &[])
}

/// The same under another name, and with other texts in the place of these.
fn named(name: &str, head: &str, lines: &str, others: &[(&str, &str)]) -> ServiceSpec {
    let text = SERVICE.replacen("\"test\"", &format!("\"{name}\""), 1);
    let text = others.iter().fold(text, |text, (from, to)| text.replacen(from, to, 1));
    let text = text.replacen("[route]", &format!("{head}\n[route]"), 1);
    let text = text.replacen("[instance]", &format!("[instance]\n{lines}"), 1);
    config_file::from_toml("probe.toml", &text).unwrap()
}

/// The settings of a world whose files are in this folder.
pub(crate) fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.network.bridge = "bellowst0".parse().unwrap();
    settings.network.subnet = "10.117.8.0/24".parse().unwrap();
    // Not the running system's ids: taking these back must not take its own away.
    settings.id_map.first = 2_000_000;
    settings.paths.state = folder.join("state");
    settings.paths.run = folder.join("run");
    settings.paths.lxc = LXC.into();
    settings
}

pub(crate) fn lock() -> Lock {
    loop {
        match Lock::acquire(Path::new("/run/bellows-test.lock")) {
            Err(LockError::Held { .. }) => std::thread::sleep(Duration::from_millis(100)),
            result => return result.unwrap(),
        }
    }
}

/// An image of one static binary.
fn image(folder: &Path, program: &Path) -> Image {
    let image = folder.join("image");
    for name in ["bin", "dev", "proc", "sys", "tmp", "etc", "objects", "opt/app/cache"] {
        fs::create_dir_all(image.join(name)).unwrap();
    }
    // For its root alone.
    fs::DirBuilder::new().mode(0o700).create(image.join("closed")).unwrap();
    fs::write(image.join("opt/app/cache/file"), "of the image").unwrap();
    fs::copy(program, image.join("bin/probe")).unwrap();
    fs::write(image.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:500:501::/srv:\n")
        .unwrap();
    fs::write(image.join("etc/group"), "app:x:501:\ntape:x:26:\n").unwrap();
    // A userland of one static file, for the tests that have one.
    if Path::new(BUSYBOX).exists() {
        fs::copy(BUSYBOX, image.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", image.join("bin/sh")).unwrap();
    }
    Image {
        folder: image,
        bases: Vec::new(),
        digest: "test".to_owned(),
        start: ImageStart::Init("/bin/probe".to_owned()),
    }
}

/// The folders in which LXC may have containers of these tests: first those of layers.
pub(crate) fn homes() -> Vec<PathBuf> {
    let names = names_in(Path::new(LXC)).into_iter();
    let layers =
        names.filter(|name| name.starts_with("bwl-")).map(|name| Path::new(LXC).join(name));
    layers.chain([LXC.into()]).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Takes away all that these tests may have made.
fn clear(settings: &Settings) {
    let ours = |name: &String| name.starts_with("bw-test-") || name.starts_with(".bw-test-");
    // Before what is mounted there is walked through.
    unmount(&[format!("{LXC}/bw-test-"), format!("{LXC}/.bw-test-")]);
    for home in homes() {
        let path = home.display().to_string();
        for name in names_in(&home).into_iter().filter(ours) {
            run("lxc-stop", &["-P", &path, "-k", "-n", &name]);
            run("lxc-destroy", &["-P", &path, "-f", "-n", &name]);
            let _ = fs::remove_dir_all(home.join(name));
        }
        if home != Path::new(LXC) {
            run("umount", &[&path]);
            let _ = fs::remove_dir(home);
        }
    }
    let groups = ["/sys/fs/cgroup", "-depth", "-path", "*/lxc.*.bw-test-*", "-type", "d"];
    run("find", &[groups.as_slice(), &["-exec", "rmdir", "{}", ";"]].concat());
    unmount(&[&settings.paths.state, &settings.paths.run].map(|path| path.display().to_string()));
    run("ip", &["link", "delete", "dev", "bellowst0"]);
    run("ip", &["route", "del", "unreachable", "10.117.8.0/24", "metric", "100000"]);
    run("nft", &["delete", "table", "inet", TABLE]);
    run("nft", &["delete", "table", "bridge", TABLE]);
}

/// Undoes all mounts whose places start like this.
fn unmount(starts: &[String]) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for place in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
        if starts.iter().any(|start| place.starts_with(start)) {
            run("umount", &["--lazy", place]);
        }
    }
}

/// What a program prints, whether it ends well or not.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}
