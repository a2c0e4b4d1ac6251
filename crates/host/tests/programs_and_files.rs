//! Programs and files as their users have them, from a folder to instances that answer, on real LXC.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod rig;
mod userland;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use host::lxc::Image;
use model::names::InstanceName;
use rig::Rig;
use world::{LXC, built, run};

/// A port that nothing has by default.
const PORT: u16 = 8123;

/// An application that this line of a `Procfile` starts: our server of files, which shows all that an instance has.
async fn serving(line: &str) -> Rig {
    of_program("static-server", line).await
}

/// The same of one of our programs.
async fn of_program(program: &str, line: &str) -> Rig {
    let rig = Rig::new().await;
    assert!(built(program).exists(), "run `cargo build -p {program}`");
    fs::copy(built(program), rig.folder.join("server")).unwrap();
    rig.write("Procfile", &format!("web: {line}\n"));
    rig.write("server.toml", "folder = \"/\"\n");
    rig.write("pages/hello", "hello");
    rig
}

/// The image of this service, of which nothing is built.
async fn image_for(rig: &Rig, service: &str) -> Image {
    let (image, lines) = rig.build_for(service).await;
    assert_eq!(lines, [""; 0]);
    image.unwrap()
}

/// The images of this host, in the order of their names. Locks stay beside them.
fn images(rig: &Rig) -> Vec<String> {
    let entries = fs::read_dir(rig.world.settings.paths.state.join("images")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// An instance of the image that listens at the port of these tests.
async fn launch(rig: &Rig, image: &Image, lines: &str, slot: u32) -> InstanceName {
    let port = [("port = 8000", "port = 8123")];
    let template = rig.world.beside_with("test-app", image, lines, &port).await;
    rig.world.launch_mute_from(&template, slot).await
}

/// What an instance answers once it does.
async fn answer(rig: &Rig, instance: &InstanceName, path: &str) -> String {
    let begun = Instant::now();
    loop {
        match rig.world.get_at(PORT, instance, path) {
            Ok(body) => return body,
            Err(error) => assert!(begun.elapsed().as_secs() < 10, "{path}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_static_program_finds_its_port_its_files_and_what_programs_look_for_and_nothing_to_run() {
    let rig = serving("./server --config server.toml").await;
    let image = image_for(&rig, "test-app").await;
    let instance = launch(&rig, &image, "user = \"www-data\"", 242).await;
    assert_eq!(answer(&rig, &instance, "/srv/app/pages/hello").await, "hello");
    for (file, holds) in [
        ("/etc/ssl/certs/ca-certificates.crt", "-----BEGIN CERTIFICATE-----"),
        ("/etc/ssl/cert.pem", "-----BEGIN CERTIFICATE-----"),
        ("/usr/share/zoneinfo/tzdata.zi", "Europe/Berlin"),
        ("/etc/nsswitch.conf", "hosts: files dns"),
        ("/etc/hosts", "127.0.0.1 localhost"),
        ("/etc/passwd", "www-data:x:33:33:"),
        ("/etc/group", "nogroup:x:65534:"),
    ] {
        assert!(answer(&rig, &instance, file).await.contains(holds), "{file}");
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
    let rig = of_program("init", "server").await;
    let first = image_for(&rig, "test-app").await;
    let made = images(&rig);
    assert_eq!(image_for(&rig, "test-app").await, first);
    assert_eq!(images(&rig), made);
    rig.write("pages/hello", "good bye");
    let second = image_for(&rig, "test-app").await;
    assert_eq!((&second.bases, images(&rig).len()), (&first.bases, made.len() + 1));
    assert!(second.folder != first.folder && second.digest != first.digest);
    // The same files of another service are another part of an image, and no other base.
    let other = image_for(&rig, "test-other").await;
    assert_eq!((&other.bases, images(&rig).len()), (&first.bases, made.len() + 2));
}

#[tokio::test]
async fn a_folder_of_files_is_served_at_the_instances_port_by_the_server_of_its_base() {
    let rig = Rig::new().await.of_example("static");
    let image = image_for(&rig, "test-app").await;
    let page = fs::read_to_string(rig.folder.join("index.html")).unwrap();
    // As the first process, and started by our init as somebody else.
    for (lines, slot) in [("", 242), ("user = \"33\"", 243)] {
        let instance = launch(&rig, &image, lines, slot).await;
        assert_eq!(answer(&rig, &instance, "/").await, page, "{lines}");
        assert!(answer(&rig, &instance, "/about/").await.contains("<"), "{lines}");
    }
}

#[tokio::test]
async fn a_program_that_a_shell_starts_stands_on_the_userland_of_all() {
    let rig = serving("./server --config ${CONFIG-server.toml}").await;
    let image = image_for(&rig, "test-app").await;
    let python = userland::python().await;
    assert_eq!(image.bases, python.bases);
    let instance = launch(&rig, &image, "user = \"www-data\"", 242).await;
    assert_eq!(answer(&rig, &instance, "/srv/app/pages/hello").await, "hello");
}
