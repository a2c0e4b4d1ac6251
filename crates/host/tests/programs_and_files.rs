//! Programs and files as their users have them, from a folder to instances that answer, on real LXC.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod userland;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use application::{Bounds, detect, read};
use host::build::{Application, Builds};
use host::command::HostRunner;
use host::lxc::{Image, Recipe};
use model::names::InstanceName;
use world::{LXC, World, built, init_program, run};

/// A port that nothing has by default.
const PORT: u16 = 8123;

/// A host of its own, and the application that is built there.
struct Rig {
    world: World,
    folder: PathBuf,
}

impl Rig {
    async fn new() -> Self {
        let world = World::new().await;
        let folder = world.folder().join("application");
        fs::create_dir(&folder).unwrap();
        Self { world, folder }
    }

    /// The same of a program that this line of a `Procfile` starts: our server of files, which shows all that an
    /// instance has.
    async fn serving(line: &str) -> Self {
        Self::of_program("static-server", line).await
    }

    /// The same of one of our programs.
    async fn of_program(program: &str, line: &str) -> Self {
        let rig = Self::new().await;
        assert!(built(program).exists(), "run `cargo build -p {program}`");
        fs::copy(built(program), rig.folder.join("server")).unwrap();
        rig.write("Procfile", &format!("web: {line}\n"));
        rig.write("server.toml", "folder = \"/\"\n");
        rig.write("pages/hello", "hello");
        rig
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// The application's image, which stands on what is chosen for it.
    async fn build_for(&self, service: &str) -> Image {
        let found = read(&self.folder, Bounds::default()).unwrap();
        let chosen = detect(&found, None).unwrap();
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rootfs");
        let programs = built("static-server").parent().unwrap().to_owned();
        let name = chosen.image().parse().unwrap();
        let recipe = Recipe::load(&name, &[recipes], &programs).unwrap();
        // Debian's userland is made once for all tests.
        let images = match chosen.image() {
            "debian" => Path::new(env!("CARGO_TARGET_TMPDIR")).join("images"),
            _ => self.images(),
        };
        let base = recipe.ensure(&HostRunner, &images).await.unwrap();
        let service = service.parse().unwrap();
        let application = Application {
            service: &service,
            found: &found,
            chosen: &chosen,
            base: &base,
            recipe: &recipe,
        };
        let builds = Builds::new(&self.world.settings, HostRunner);
        let builds = builds.with_programs(init_program(), built("egress"));
        builds.build_application(&application, |line| panic!("{line}")).await.unwrap()
    }

    fn images(&self) -> PathBuf {
        self.world.settings.paths.state.join("images")
    }

    /// The images of this host, in the order of their names. Locks stay beside them.
    fn made(&self) -> Vec<String> {
        let entries = fs::read_dir(self.images()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// An instance of the image that listens at the port of these tests.
    async fn launch(&self, image: &Image, lines: &str, slot: u32) -> InstanceName {
        let port = [("port = 8000", "port = 8123")];
        let template = self.world.beside_with("test-app", image, lines, &port).await;
        self.world.launch_mute_from(&template, slot).await
    }

    /// What an instance answers once it does.
    async fn answer(&self, instance: &InstanceName, path: &str) -> String {
        let begun = Instant::now();
        loop {
            match self.world.get_at(PORT, instance, path) {
                Ok(body) => return body,
                Err(error) => assert!(begun.elapsed().as_secs() < 10, "{path}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_static_program_finds_its_port_its_files_and_what_programs_look_for_and_nothing_to_run() {
    let rig = Rig::serving("./server --config server.toml").await;
    let image = rig.build_for("test-app").await;
    let instance = rig.launch(&image, "user = \"www-data\"", 242).await;
    assert_eq!(rig.answer(&instance, "/srv/app/pages/hello").await, "hello");
    for (file, holds) in [
        ("/etc/ssl/certs/ca-certificates.crt", "-----BEGIN CERTIFICATE-----"),
        ("/etc/ssl/cert.pem", "-----BEGIN CERTIFICATE-----"),
        ("/usr/share/zoneinfo/tzdata.zi", "Europe/Berlin"),
        ("/etc/nsswitch.conf", "hosts: files dns"),
        ("/etc/hosts", "127.0.0.1 localhost"),
        ("/etc/passwd", "www-data:x:33:33:"),
        ("/etc/group", "nogroup:x:65534:"),
    ] {
        assert!(rig.answer(&instance, file).await.contains(holds), "{file}");
    }
    let of_base = &image.bases[0].display().to_string();
    assert_eq!(run("find", &[of_base, "-type", "f", "-perm", "/111"]), "");
    assert_eq!(fs::metadata(image.bases[0].join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    // They are its root's, whom the other user is not.
    let rootfs = Path::new(LXC).join(run("ls", &[LXC]).lines().find(|it| is_ours(it)).unwrap());
    let owner = |path: &str| fs::metadata(rootfs.join("rootfs").join(path)).unwrap();
    let (root, program) = (owner("etc").uid(), owner("srv/app/server"));
    assert!(root >= rig.world.settings.id_map.first, "{root}");
    assert_eq!((program.uid(), program.gid(), program.mode() & 0o777), (root, root, 0o755));
    assert_eq!(owner("srv/app/pages/hello").mode() & 0o777, 0o644);
}

/// Whether it is the template of the application.
fn is_ours(name: &str) -> bool {
    name.starts_with("bw-test-app-t")
}

#[tokio::test]
async fn what_did_not_change_is_not_made_anew_and_what_two_programs_stand_on_is_there_once() {
    let rig = Rig::of_program("init", "server").await;
    let first = rig.build_for("test-app").await;
    let made = rig.made();
    assert_eq!(rig.build_for("test-app").await, first);
    assert_eq!(rig.made(), made);
    rig.write("pages/hello", "good bye");
    let second = rig.build_for("test-app").await;
    assert_eq!((&second.bases, rig.made().len()), (&first.bases, made.len() + 1));
    assert!(second.folder != first.folder && second.digest != first.digest);
    // The same files of another service are another part of an image, and no other base.
    let other = rig.build_for("test-other").await;
    assert_eq!((&other.bases, rig.made().len()), (&first.bases, made.len() + 2));
}

#[tokio::test]
async fn a_folder_of_files_is_served_at_the_instances_port_by_the_server_of_its_base() {
    let mut rig = Rig::new().await;
    rig.folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/static");
    let image = rig.build_for("test-app").await;
    let page = fs::read_to_string(rig.folder.join("index.html")).unwrap();
    // As the first process, and started by our init as somebody else.
    for (lines, slot) in [("", 242), ("user = \"33\"", 243)] {
        let instance = rig.launch(&image, lines, slot).await;
        assert_eq!(rig.answer(&instance, "/").await, page, "{lines}");
        assert!(rig.answer(&instance, "/about/").await.contains("<"), "{lines}");
    }
}

#[tokio::test]
async fn a_program_that_a_shell_starts_stands_on_the_userland_of_all() {
    let rig = Rig::serving("./server --config ${CONFIG-server.toml}").await;
    let image = rig.build_for("test-app").await;
    let python = userland::python().await;
    assert_eq!(image.bases, python.bases);
    let instance = rig.launch(&image, "user = \"www-data\"", 242).await;
    assert_eq!(rig.answer(&instance, "/srv/app/pages/hello").await, "hello");
}
