//! Release commands and folders of a service's own, on real LXC.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod running;
#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use host::id_ranges::IdRanges;
use host::lxc::{Containers as _, Launch, LxcContainers, Release, ReleaseStatus};
use model::names::InstanceName;
use model::service::Replacement;
use running::Running;
use world::World;

/// A service whose release command is this script, whose program writes `serves` and waits, and of which one instance
/// was launched that runs both.
async fn releasing(script: &str, lines: &str) -> (Running, LxcContainers) {
    assert!(Path::new(world::BUSYBOX).exists(), "run `scripts/setup benches`");
    let head = format!("release = '''{script}'''");
    let program = "command = [\"/bin/sh\", \"-c\", \"echo serves; exec busybox sleep 60\"]";
    let world = World::with(Path::new(world::BUSYBOX), &head, &format!("{program}\n{lines}")).await;
    let launch = Launch { replacement: Replacement::Surge, release: true };
    Running::launched(world, 246, launch).await
}

/// How the release command of an instance ended.
async fn ended(containers: &LxcContainers, instance: &InstanceName) -> ReleaseStatus {
    let started = Instant::now();
    loop {
        match containers.release(instance).unwrap() {
            Release::Ended(status) => return status,
            Release::UnderWay => {}
            Release::None => panic!("it runs none"),
        }
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_release_command_runs_once_before_the_program_with_all_that_this_has() {
    let script = "echo \"$A|$PWD|$(busybox id -u)\"; echo done >>/objects/released";
    let lines = "environment = { A = \"x y\" }\nworking_folder = \"/opt/app\"";
    let (mut instance, containers) = releasing(script, lines).await;
    assert_eq!(ended(&containers, &instance.name).await, ReleaseStatus::Well);
    let mut stdout = String::new();
    instance.wait_for(&mut stdout, "serves\n").await;
    assert_eq!(stdout, "x y|/opt/app|0\nserves\n");
    assert_eq!(containers.release(&instance.name).unwrap(), Release::None);
    // Every other instance starts the program alone.
    instance.world.launch_mute(247).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let released = instance.world.settings.paths.state.join("objects/released");
    assert_eq!(fs::read_to_string(released).unwrap(), "done\n");
}

#[tokio::test]
async fn an_instance_whose_release_command_fails_ends_with_its_words() {
    let (mut instance, containers) = releasing("echo no such table >&2; exit 3", "").await;
    let (stdout, stderr) = instance.written().await;
    let told = "no such table\nbellows: the release command ended with status 3\n";
    assert_eq!((stdout.as_str(), stderr.as_str()), ("", told));
    // It took all that the host had of it along.
    instance.pipes.remove().unwrap();
    let status = ended(&containers, &instance.name).await;
    assert_eq!(status, ReleaseStatus::Status(3));
    assert!(instance.world.is_gone(&instance.name));
}

#[tokio::test]
async fn who_comes_after_finds_the_release_command_that_runs_and_how_it_ends() {
    let (instance, containers) = releasing(WAITS, "").await;
    let after = LxcContainers::new(&instance.world.settings).unwrap();
    assert_eq!(after.release(&instance.name).unwrap(), Release::UnderWay);
    drop(containers);
    go_on(&instance);
    assert_eq!(ended(&after, &instance.name).await, ReleaseStatus::Well);
    let third = LxcContainers::new(&instance.world.settings).unwrap();
    assert_eq!(third.release(&instance.name).unwrap(), Release::None);
    assert!(third.has_released(&instance.name));
}

#[tokio::test]
async fn how_a_release_command_ended_is_known_also_where_nobody_waited_at_that_moment() {
    let (mut instance, containers) = releasing(WAITS, "").await;
    drop(containers);
    go_on(&instance);
    let mut stdout = String::new();
    instance.wait_for(&mut stdout, "serves\n").await;
    let after = LxcContainers::new(&instance.world.settings).unwrap();
    let well = Release::Ended(ReleaseStatus::Well);
    assert_eq!(after.release(&instance.name).unwrap(), well);
}

#[tokio::test]
async fn all_programs_of_a_release_command_that_is_stopped_are_asked_to_end() {
    let migration =
        "trap 'echo rolled back; exit 0' TERM; echo begun; while :; do busybox sleep 0.01; done";
    let (mut instance, containers) =
        releasing(&format!("/bin/sh -c \"{migration}\" && echo next"), "").await;
    instance.wait_for(&mut String::new(), "begun\n").await;
    containers.stop(&instance.name, Duration::from_secs(5)).await.unwrap();
    let (stdout, stderr) = instance.written().await;
    assert_eq!(stdout, "rolled back\n");
    assert!(stderr.ends_with("the release command was stopped with its instance\n"), "{stderr}");
}

/// A release command that ends once [`go_on`] says so.
const WAITS: &str = "while [ ! -e /objects/go ]; do busybox sleep 0.01; done";

fn go_on(instance: &Running) {
    fs::write(instance.world.settings.paths.state.join("objects/go"), "").unwrap();
}

#[tokio::test]
async fn a_stateful_service_has_a_folder_that_outlives_its_instances_and_belongs_to_its_user() {
    assert!(Path::new(world::BUSYBOX).exists(), "run `scripts/setup benches`");
    let world = World::with(Path::new(world::BUSYBOX), "", "").await;
    let stateful =
        [("[route]", "stateful = true\n[route]"), ("[bounds]\n    min = 1\n    max = 10", "")];
    let version = |script: &str| {
        format!(
            "user = \"app\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}; exec busybox sleep 60\"]"
        )
    };
    let write = version("echo kept >/data/file");
    let template = world.beside_with("test-keeper", &world.image, &write, &stateful).await;
    let folder = world.settings.paths.state.join("stateful/test-keeper");
    let found = fs::metadata(&folder).unwrap();
    let given = IdRanges::new(&world.settings).given().unwrap();
    let ids = given[&"test-keeper".parse().unwrap()].first;
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (ids + 500, ids + 501, 0o700));
    let first = world.launch_mute_from(&template, 248).await;
    let is = |text: &str| {
        let started = Instant::now();
        while fs::read_to_string(folder.join("file")).unwrap_or_default() != text {
            assert!(started.elapsed() < Duration::from_secs(5), "{text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    is("kept\n");
    world.containers.stop(&first, Duration::ZERO).await.unwrap();
    let append = version("echo more >>/data/file");
    let template = world.beside_with("test-keeper", &world.image, &append, &stateful).await;
    world.launch_mute_from(&template, 248).await;
    is("kept\nmore\n");
}
