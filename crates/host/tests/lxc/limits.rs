//! What an instance may take of the host: memory, processes, open files and disk.

use std::io::Write as _;
use std::path::Path;

use host::command::HostRunner;
use host::lxc::{Containers, TemplateStore};
use model::names::InstanceName;
use model::service::Replacement;

use super::world::{self, LXC, World, run};
use super::{KILL, wait_for};

#[tokio::test]
async fn memory_and_processes_are_limited() {
    let world = World::new().await;
    let instance = world.launch(243).await;
    let threads: u32 = world.get(&instance, "/fork").unwrap().parse().unwrap();
    assert!((10..24).contains(&threads), "{threads} threads beside the init, of 24 in all");
    assert!(world.get(&instance, "/allocate?16").is_ok());
    assert!(world.get(&instance, "/allocate?96").is_err(), "it took more than its 48 MiB");
    // The kernel killed its init, and LXC removes what is left.
    wait_for(|| world.is_gone(&instance)).await;
}

#[tokio::test]
async fn what_takes_memory_without_end_is_killed_in_its_own_group_and_nobody_else_notices() {
    let world = World::new().await;
    let (greedy, other) = (world.launch(243).await, world.launch(244).await);
    let limit = memory_file(&other, "memory.memsw.limit_in_bytes", "memory.swap.max");
    assert!(["50331648", "0"].contains(&limit.as_str()), "it may swap: {limit}");
    assert!(world.get(&greedy, "/allocate?4096").is_err(), "it took more than its 48 MiB");
    wait_for(|| world.is_gone(&greedy)).await;
    let events = memory_file(&other, "memory.oom_control", "memory.events");
    assert!(events.lines().any(|line| line == "oom_kill 0"), "{events}");
    assert_eq!(world.get(&other, "/").unwrap(), "ok");
}

#[tokio::test]
async fn a_share_of_the_cpu_time_that_others_want_too_is_as_the_file_says() {
    let world = World::given("cpu_weight = 200").await;
    let instance = world.launch(243).await;
    let share = cgroup_file("cpu", &instance, "cpu.shares", "cpu.weight");
    assert!(["2048", "200"].contains(&share.as_str()), "{share}");
}

#[tokio::test]
async fn open_files_are_limited_and_there_are_no_core_files() {
    let world = World::given("open_files = 64").await;
    let instance = world.launch(243).await;
    let opened = world.get(&instance, "/open").unwrap();
    let (count, error) = opened.split_once(": ").unwrap();
    assert!((40..64).contains(&count.parse().unwrap()), "{opened}");
    assert!(error.starts_with("Too many open files"), "{error}");
    let limits = world.get(&instance, "/file?/proc/self/limits").unwrap();
    for (name, values) in [
        ("Max open files", ["64", "64"]),
        ("Max core file size", ["0", "0"]),
        ("Max realtime priority", ["0", "0"]),
        ("Max nice priority", ["0", "0"]),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), values, "{name}");
    }
}

#[tokio::test]
async fn what_an_instance_writes_is_bounded_and_its_root_is_read_only() {
    let world = World::given(
        "root = \"read_only\"\nwritable = [{ path = \"/tmp\", size_mib = 8 }, \
         { path = \"/var/lib/app\", size_mib = 2, exec = true }, { path = \"/dev/shm\", size_mib = 1 }]",
    )
    .await;
    let instance = world.launch(243).await;
    let get = |target: &str| world.get(&instance, target).unwrap();
    for folder in ["", "/opt/app", "/etc/bellows", "/bin"] {
        assert!(get(&format!("/fill?{folder}")).starts_with("0: Read-only"), "{folder}");
    }
    for (folder, mib) in [("/tmp", 8), ("/var/lib/app", 2), ("/dev/shm", 1)] {
        assert_eq!(
            get(&format!("/fill?{folder}")),
            format!("{mib}: No space left on device (os error 28)")
        );
        assert_eq!(get(&format!("/remove?{folder}/full")), "removed");
        let files = get(&format!("/litter?{folder}"));
        assert!(files.contains(": No space left on device"), "{folder}: {files}");
    }
    let small = get("/fill?/dev");
    assert!(small.starts_with("0: "), "{small}");
    let mounts = get("/file?/proc/self/mountinfo");
    let options = |place: &str| {
        let line = mounts.lines().find(|line| line.contains(&format!(" {place} "))).unwrap();
        line.split(' ').nth(5).unwrap().to_owned()
    };
    assert!(options("/").starts_with("ro,"), "{mounts}");
    assert!(options("/tmp").contains("nosuid,nodev,noexec"), "{mounts}");
    let with_programs = options("/var/lib/app");
    assert!(
        with_programs.contains("nosuid,nodev") && !with_programs.contains("noexec"),
        "{mounts}"
    );
    // What is shared is written as before, and what the instance wrote to its memory ends with it.
    assert_eq!(get("/write?/objects/x"), "written");
    let folder = world.home().join(instance.as_str());
    let on_disk = run("find", &[folder.to_str().unwrap(), "-type", "f", "-size", "+64k"]);
    assert_eq!(on_disk, "", "the host's disk has what it wrote");
    world.containers.stop(&instance, KILL).await.unwrap();
    assert!(!std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(instance.as_str()));
}

#[tokio::test]
async fn what_instances_write_to_their_roots_is_theirs_and_not_the_hosts_disk() {
    let world = World::given("layer_mib = 32").await;
    let [full, other] = [world.launch(243).await, world.launch(244).await];
    let said = world.get(&full, "/fill?/opt/app").unwrap();
    let (mib, error) = said.split_once(": ").unwrap();
    assert_eq!(error, "No space left on device (os error 28)");
    let mib: u32 = mib.parse().unwrap();
    assert!((20..32).contains(&mib), "{said}");
    // It fills what its sibling writes to as well, and one more can be made and removed all the same.
    assert!(world.get(&other, "/fill?/opt/app").unwrap().starts_with("0: No space"));
    let third = world.launch(245).await;
    world.containers.stop(&third, KILL).await.unwrap();
    world.containers.stop(&full, KILL).await.unwrap();
    assert_ne!(world.get(&other, "/fill?/opt/app").unwrap().split(':').next(), Some("0"));
    // After a boot the layer is another one, and empty.
    world.containers.stop(&other, KILL).await.unwrap();
    // Somebody has the one of before open still, and writes to it at last.
    let mut options = std::fs::File::options();
    let mut held = options.write(true).create(true).open(world.home().join("held")).unwrap();
    run("umount", &["--lazy", world.home().to_str().unwrap()]);
    let name = world.name(246);
    let launch = || world.containers.clone_ephemeral(&world.template, &name, Replacement::Surge);
    let error = launch().await.unwrap_err().to_string();
    assert!(error.contains("is not mounted"), "{error}");
    world.ensure_mounts().await;
    held.write_all(&vec![b'x'; 24 << 20]).unwrap();
    held.sync_all().unwrap();
    drop(held);
    run("sh", &["-c", "echo 3 >/proc/sys/vm/drop_caches"]);
    launch().await.unwrap();
    world.first_answer(&name);
    assert_eq!(world.get(&name, "/write?/opt/app/x").unwrap(), "written");
    world.containers.stop(&name, KILL).await.unwrap();
    let store = TemplateStore::new(&world.settings, HostRunner);
    store.remove(&world.template).await.unwrap();
    assert_eq!(world::homes(), [Path::new(LXC)]);
    assert!(!run("losetup", &["--list"]).contains(LXC), "a loop device is left");
}

/// A file of an instance's control group that is about memory.
fn memory_file(instance: &InstanceName, version_1: &str, version_2: &str) -> String {
    cgroup_file("memory", instance, version_1, version_2)
}

/// A file of an instance's control group, on a host of either version; `controller` is the one that has it.
fn cgroup_file(
    controller: &str,
    instance: &InstanceName,
    version_1: &str,
    version_2: &str,
) -> String {
    let group = format!("lxc.payload.{instance}");
    let places = [format!("{controller}/{group}/{version_1}"), format!("{group}/{version_2}")];
    let read = |place: &String| std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(place));
    places.iter().find_map(|place| read(place).ok()).unwrap().trim().to_owned()
}
