//! Instances on real LXC: they launch, are confined, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[expect(dead_code, reason = "a part of it is for other tests")]
mod world;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use host::command::{CommandLine, HostRunner, Runner};
use host::id_ranges::IdRanges;
use host::lxc::{Container, ContainerState, Containers, LxcContainers, TemplateStore};
use host::network::{Firewall as _, Network};
use model::names::InstanceName;
use model::service::Replacement;
use world::{LXC, TABLE, World, run};

/// No time to end: the probe is process 1 of its instance and has no handler unless it is told to.
const KILL: Duration = Duration::ZERO;

/// The pid on the host of an instance's init.
fn init(instance: &InstanceName) -> String {
    let home = world::homes().into_iter().find(|home| home.join(instance.as_str()).exists());
    let home = home.unwrap().display().to_string();
    run("lxc-info", &["-P", &home, "-n", instance.as_str(), "-p", "-H"]).trim().to_owned()
}

#[tokio::test]
async fn an_instance_answers_and_is_confined() {
    let world = World::new().await;
    let instance = world.launch(241).await;

    let status = world.get(&instance, "/file?/proc/self/status").unwrap();
    let field = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("{key} is not in {status}")).to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2");
    assert_eq!(field("Uid"), "0\t0\t0\t0");

    let on_host = std::fs::read_to_string(format!("/proc/{}/status", init(&instance))).unwrap();
    assert!(on_host.contains("\nUid:\t2000000\t"), "its root is not in the map: {on_host}");

    let mounts = world.get(&instance, "/file?/proc/self/mountinfo").unwrap();
    let objects = mounts.lines().find(|line| line.contains(" /objects ")).unwrap();
    assert!(objects.contains("nosuid,nodev,noexec"), "{objects}");
    assert_eq!(world.get(&instance, "/write?/objects/x").unwrap(), "written");
    let file = world.settings.paths.state.join("objects/x");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "text");
    let denied = world.get(&instance, "/write?/proc/sys/kernel/core_pattern").unwrap();
    assert_ne!(denied, "written");
}

#[tokio::test]
async fn an_instances_root_has_the_capabilities_that_its_services_file_names_and_no_other() {
    let some = r#"capabilities = ["chown", "setuid", "setgid", "net_bind_service"]"#;
    // Bits of include/uapi/linux/capability.h: 0, 7, 6 and 10.
    let cases = [(some, "00000000000004c1"), ("", "0000000000000000")];
    for (lines, set) in cases {
        let world = World::given(lines).await;
        let instance = world.launch(241).await;
        let get = |target: &str| world.get(&instance, target).unwrap();
        let status = get("/file?/proc/self/status");
        for name in ["CapPrm", "CapEff", "CapBnd"] {
            assert!(status.contains(&format!("{name}:\t{set}\n")), "{lines}: {status}");
        }
        assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");
        let (owned, became, listens) = (get("/own?/opt/app"), get("/become"), get("/listen?80"));
        if lines.is_empty() {
            assert!(owned.starts_with("Operation not permitted"), "{owned}");
            assert!(became.starts_with("Operation not permitted"), "{became}");
            assert!(listens.starts_with("Permission denied"), "{listens}");
        } else {
            assert_eq!((owned.as_str(), listens.as_str()), ("given", "listens"));
            assert!(became.contains("\nUid:\t33\t33\t33\t33\n"), "{became}");
            assert!(became.contains("\nCapEff:\t0000000000000000\n"), "{became}");
            let on_host =
                std::fs::metadata(world.home().join(format!("{instance}/overlay/delta/opt/app")));
            assert_eq!(on_host.unwrap().uid(), 2_000_033, "an id of the host's was given");
        }
    }
}

#[tokio::test]
async fn what_a_template_holds_is_read_by_its_own_service_alone() {
    let world = World::new().await;
    let instance = world.launch(241).await;
    assert_eq!(world.get(&instance, "/file?/etc/bellows/service.toml").unwrap(), "");
    assert_eq!(world.get(&instance, "/file?/opt/app/cache/file").unwrap(), "of the image");
    // The root of another service's instances, which has got out of them.
    let file = format!("{LXC}/{}/rootfs/opt/app/cache/file", world.template);
    let as_user = |id: u32| {
        let id = id.to_string();
        run("setpriv", &["--reuid", &id, "--regid", &id, "--clear-groups", "cat", &file])
    };
    assert_eq!(as_user(2_000_000), "of the image");
    assert_eq!(as_user(2_065_536), "");
    assert_eq!(as_user(65_534), "");
    let given = IdRanges::new(&world.settings).given().unwrap();
    assert_eq!(given.values().map(|range| range.first).collect::<Vec<_>>(), [2_000_000]);
}

#[tokio::test]
async fn an_instance_removes_and_replaces_folders_of_its_image() {
    let world = World::new().await;
    let instance = world.launch(241).await;
    let get = |target: &str| world.get(&instance, target).unwrap();
    assert_eq!(get("/file?/opt/app/cache/file"), "of the image");
    assert_eq!(get("/remove?/opt/app/cache"), "removed");
    assert_eq!(get("/make?/opt/app/cache"), "made");
    assert!(get("/file?/opt/app/cache/file").contains("No such file"), "it was not replaced");
    assert_eq!(get("/write?/opt/app/cache/file"), "written");
    assert_eq!(get("/rename?/opt/app/cache:/opt/renamed"), "renamed");
    assert_eq!(get("/file?/opt/renamed/file"), "text");
    // What tells `mv` to copy and remove.
    assert!(get("/rename?/opt/app:/opt/moved").contains("cross-device"), "an overlay renames it");
    assert_eq!(get("/remove?/opt"), "removed");
    // The next instance has the image as it was.
    let next = world.launch(242).await;
    assert_eq!(world.get(&next, "/file?/opt/app/cache/file").unwrap(), "of the image");
}

#[tokio::test]
async fn an_instance_reaches_neither_host_nor_neighbour_nor_the_world() {
    let world = World::new().await;
    let (one, other) = (world.launch(241).await, world.launch(242).await);
    let listener = TcpListener::bind((world.settings.network.subnet.gateway(), 0)).unwrap();
    let host = listener.local_addr().unwrap();
    for target in
        [host.to_string(), format!("{}:8000", world.address(&other)), "192.0.2.9:80".to_owned()]
    {
        let answer = world.get(&one, &format!("/connect?{target}")).unwrap();
        assert!(answer.starts_with("failed: "), "{target}: {answer}");
    }
    // Of the host one port answers, that of the way out, on the bridge's address alone.
    let network = &world.settings.network;
    let _way_out = TcpListener::bind(network.egress()).unwrap();
    let _elsewhere = TcpListener::bind(("127.0.0.1", network.egress_port)).unwrap();
    let connect = |target: &str| world.get(&one, &format!("/connect?{target}")).unwrap();
    assert_eq!(connect(&network.egress().to_string()), "connected");
    let elsewhere = connect(&format!("127.0.0.1:{}", network.egress_port));
    assert!(elsewhere.starts_with("failed: "), "{elsewhere}");
    // The rule lets the load balancer's user and root in, and no one else.
    let url = format!("http://{}:8000/", world.address(&one));
    let as_user = |user: &str| {
        let id = run("id", &["-u", user]);
        run("setpriv", &["--reuid", id.trim(), "--clear-groups", "curl", "-s", "-m", "1", &url])
    };
    assert_eq!(as_user("haproxy"), "ok");
    assert_eq!(as_user("nobody"), "");
}

#[tokio::test]
async fn the_bridge_itself_keeps_instances_apart_when_all_rules_are_gone() {
    let world = World::new().await;
    let (one, other) = (world.launch(241).await, world.launch(242).await);
    let flush = || {
        for family in ["inet", "bridge"] {
            run("nft", &["delete", "table", family, TABLE]);
        }
    };
    let neighbour = format!("{}:8000", world.address(&other));
    let connect = || world.get(&one, &format!("/connect?{neighbour}")).unwrap();
    flush();
    assert!(connect().starts_with("failed: "), "{}", connect());
    assert_eq!(world.get(&other, "/").unwrap(), "ok", "the host reaches it");
    // One that a release launched which isolated none, and which a scaler adopts.
    let isolated = "/sys/class/net/bw242/brport/isolated";
    std::fs::write(isolated, "0").unwrap();
    // A system that runs on this host has rules for all interfaces of these names, and keeps them apart as well.
    if run("nft", &["list", "table", "bridge", "bellows"]).is_empty() {
        assert_eq!(connect(), "connected");
    }
    let network = Network::new(&world.settings, HostRunner).with_table(TABLE);
    network.hold(&BTreeSet::new()).await.unwrap();
    assert_eq!(std::fs::read_to_string(isolated).unwrap(), "1\n");
    flush();
    assert!(connect().starts_with("failed: "), "{}", connect());
}

#[tokio::test]
async fn while_the_bridge_is_down_nothing_for_an_instance_leaves_the_host() {
    let world = World::new().await;
    let instance = world.launch(241).await;
    let route = |address: &str| run("ip", &["route", "get", address]);
    let address = world.address(&instance).to_string();
    assert!(route(&address).contains("dev bellowst0"), "{}", route(&address));
    run("ip", &["link", "set", "bellowst0", "down"]);
    assert_eq!(route(&address), "", "another route takes what was for the instance");
    let error = world.get(&instance, "/").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::HostUnreachable, "{error}");
}

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
    let limit = cgroup_file(&other, "memory.memsw.limit_in_bytes", "memory.swap.max");
    assert!(["50331648", "0"].contains(&limit.as_str()), "it may swap: {limit}");
    assert!(world.get(&greedy, "/allocate?4096").is_err(), "it took more than its 48 MiB");
    wait_for(|| world.is_gone(&greedy)).await;
    let events = cgroup_file(&other, "memory.oom_control", "memory.events");
    assert!(events.lines().any(|line| line == "oom_kill 0"), "{events}");
    assert_eq!(world.get(&other, "/").unwrap(), "ok");
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

/// A file of an instance's control group, on a host of either version.
fn cgroup_file(instance: &InstanceName, version_1: &str, version_2: &str) -> String {
    let group = format!("lxc.payload.{instance}");
    let places = [format!("memory/{group}/{version_1}"), format!("{group}/{version_2}")];
    let read = |place: &String| std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(place));
    places.iter().find_map(|place| read(place).ok()).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_list_equals_that_of_lxc_ls() {
    let world = World::new().await;
    let running = [world.launch(241).await, world.launch(242).await];
    let stopped = world.launch(243).await;
    kill_monitor(&stopped).await;

    let ours = |options: &[&str]| {
        let home =
            |home: PathBuf| run("lxc-ls", &[&["-P", home.to_str().unwrap()], options].concat());
        let names: String = world::homes().into_iter().map(home).collect();
        let names = names.lines().map(str::trim).filter(|name| name.starts_with("bw-test-"));
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let listed = world.containers.list().await.unwrap();
    let listed: Vec<Container> =
        listed.into_iter().filter(|it| it.name.service().as_str() == "test").collect();
    let names = |kept: &dyn Fn(&&Container) -> bool| {
        listed.iter().filter(kept).map(|it| it.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&|it| it.state == ContainerState::Running), ours(&["-1", "--active"]));
    let mut all = names(&|_| true);
    all.push(world.template.to_string());
    all.sort();
    assert_eq!(all, ours(&["-1"]));
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|it| it.template.as_ref() == Some(&world.template)));
    let nobody = world.name(250);
    let asked: Vec<_> = running.iter().chain([&nobody]).collect();
    let times = world.containers.cpu_times(&asked);
    assert_eq!(times.len(), running.len());
    assert!(running.iter().all(|name| !times[name].is_zero()), "{times:?}");
}

#[tokio::test]
async fn a_stop_leaves_nothing_and_its_slot_answers_again_at_once() {
    let world = World::new().await;
    for _ in 0..5 {
        let instance = world.name(244);
        let started = Instant::now();
        world
            .containers
            .clone_ephemeral(&world.template, &instance, Replacement::Surge)
            .await
            .unwrap();
        world.first_answer(&instance);
        assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
        world.containers.stop(&instance, KILL).await.unwrap();
        assert!(world.is_gone(&instance), "something of {instance} is left");
    }
    world.containers.stop(&world.name(244), KILL).await.unwrap();
}

#[tokio::test]
async fn an_instance_that_is_asked_to_end_has_time_for_its_last_file() {
    let world = World::new().await;
    let instance = world.launch(251).await;
    assert_eq!(world.get(&instance, "/on-halt?/objects/last").unwrap(), "will end");
    let started = Instant::now();
    world.containers.stop(&instance, Duration::from_secs(10)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(world.is_gone(&instance), "something of {instance} is left");
    let last = std::fs::read_to_string(world.settings.paths.state.join("objects/last"));
    assert_eq!(last.unwrap(), "ended");
}

#[tokio::test]
async fn an_instance_that_ignores_that_is_killed_after_its_grace() {
    let world = World::new().await;
    let instance = world.launch(251).await;
    let (started, grace) = (Instant::now(), Duration::from_millis(700));
    world.containers.stop(&instance, grace).await.unwrap();
    let took = started.elapsed();
    assert!(took > grace && took < grace + Duration::from_secs(2), "{took:?}");
    assert!(world.is_gone(&instance), "something of {instance} is left");
}

#[tokio::test]
async fn a_service_that_is_recreated_gets_no_instance_beside_the_processes_of_another() {
    let world = World::new().await;
    let (first, second) = (world.launch(252).await, world.name(253));
    let error = world.launch_alone(&second).await.unwrap_err().to_string();
    assert!(error.ends_with(&format!("{first} of the same service is still there")), "{error}");
    // Its folder is lost and its processes go on: no list shows it any more.
    kill_monitor(&first).await;
    std::fs::remove_dir_all(world.home().join(first.as_str())).unwrap();
    assert!(world.containers.remnants().unwrap().contains(&first));
    world.launch_alone(&second).await.unwrap();
    assert!(world.is_gone(&first), "something of {first} is left");
    world.first_answer(&second);
}

#[tokio::test]
async fn a_launch_that_outlives_its_scaler_keeps_a_service_that_is_recreated_from_a_second_one() {
    let world = World::new().await;
    let exists = |name: &InstanceName| world.home().join(name.as_str()).exists();
    let (mut held_up, mut outlived) = (0, 0);
    for milliseconds in 0..12 {
        let (orphan, next) = (world.name(240), world.name(241));
        kill_in_the_middle_of_a_launch(&world, &orphan, Duration::from_millis(milliseconds)).await;
        let launched = world.launch_alone(&next).await.map_err(|error| error.to_string());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!(exists(&orphan) && exists(&next)), "two after {milliseconds} ms: {launched:?}");
        let goes_on = |error: &String| error.contains("an earlier launch of its service goes on");
        held_up += usize::from(launched.is_err_and(|error| goes_on(&error)));
        outlived += usize::from(exists(&orphan));
        for name in [&orphan, &next] {
            world.containers.stop(name, KILL).await.unwrap();
        }
    }
    assert!(
        held_up > 0 && outlived > 0,
        "{held_up} were held up, {outlived} outlived their scaler"
    );
    // Nobody holds the lock on.
    for _ in 0..3 {
        let next = world.name(241);
        world.launch_alone(&next).await.unwrap();
        world.containers.stop(&next, KILL).await.unwrap();
    }
}

/// The variables in which [`launch_in_a_process_that_is_killed`] finds what to launch, and where.
const FOLDER: &str = "BELLOWS_TEST_FOLDER";
const TEMPLATE: &str = "BELLOWS_TEST_TEMPLATE";
const INSTANCE: &str = "BELLOWS_TEST_INSTANCE";

/// Kills a process so long after it is about to call `lxc-copy`.
async fn kill_in_the_middle_of_a_launch(world: &World, instance: &InstanceName, after: Duration) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "launch_in_a_process_that_is_killed", "--ignored"])
        .env(FOLDER, world.folder())
        .env(TEMPLATE, world.template.as_str())
        .env(INSTANCE, instance.as_str())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let config = world.settings.paths.run.join(format!("launches/{instance}.conf"));
    wait_for(|| config.exists()).await;
    tokio::time::sleep(after).await;
    process.kill().unwrap();
    process.wait().unwrap();
}

#[tokio::test]
#[ignore = "the process that the test above kills"]
async fn launch_in_a_process_that_is_killed() {
    let value = |key| std::env::var(key).unwrap();
    let settings = world::settings(Path::new(&value(FOLDER)));
    let (template, instance) = (value(TEMPLATE).parse().unwrap(), value(INSTANCE).parse().unwrap());
    let containers = LxcContainers::new(&settings).unwrap();
    containers.clone_ephemeral(&template, &instance, Replacement::Recreate).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_launch_leaves_is_listed_and_can_be_destroyed() {
    let world = World::new().await;
    let mut seen_stopped = 0;
    for milliseconds in 1..25 {
        let instance = world.name(245);
        // Killed at many moments, one of which is between the clone and its start.
        let copy = CommandLine::new("lxc-copy")
            .args([
                "-P",
                LXC,
                "-n",
                world.template.as_str(),
                "-N",
                instance.as_str(),
                "-e",
                "-B",
                "overlay",
            ])
            .deadline(Duration::from_millis(milliseconds));
        let _ = HostRunner.run(&copy).await;
        let listed = world.containers.list().await.unwrap();
        let left = listed.into_iter().find(|it| it.name == instance);
        seen_stopped += usize::from(left.is_some_and(|it| it.state == ContainerState::Stopped));
        world.containers.stop(&instance, KILL).await.unwrap();
        assert!(world.is_gone(&instance), "something of {instance} is left");
    }
    assert!(seen_stopped > 0, "no launch was killed halfway");

    let half = world.name(245);
    std::fs::create_dir(world.home().join(half.as_str())).unwrap();
    let listed = world.containers.list().await.unwrap();
    assert!(listed.iter().any(|it| it.name == half && it.state == ContainerState::Stopped));
    world.containers.destroy(&half).await.unwrap();
    assert!(world.is_gone(&half));
}

#[tokio::test]
async fn an_instance_without_its_monitor_is_stopped_and_can_be_destroyed() {
    let world = World::new().await;
    let instance = world.launch(246).await;
    kill_monitor(&instance).await;
    let listed = world.containers.list().await.unwrap();
    let left = listed.iter().find(|it| it.name == instance).unwrap();
    assert_eq!(left.state, ContainerState::Stopped);
    std::fs::remove_dir_all(world.home().join(instance.as_str())).unwrap();
    let remnants = world.containers.remnants().unwrap();
    assert!(remnants.contains(&instance), "{remnants:?}");
    world.containers.destroy(&instance).await.unwrap();
    assert!(world.is_gone(&instance));
}

#[tokio::test]
async fn an_interface_that_was_left_over_does_not_stop_a_launch() {
    let world = World::new().await;
    run("ip", &["link", "add", "bw247", "type", "veth", "peer", "name", "bwleft"]);
    let instance = world.launch(247).await;
    assert_eq!(world.get(&instance, "/").unwrap(), "ok");
}

#[tokio::test]
async fn a_launch_that_fails_says_why_and_leaves_nothing() {
    let world = World::new().await;
    let binary = Path::new(LXC).join(world.template.as_str()).join("rootfs/bin/probe");
    std::fs::remove_file(binary).unwrap();
    let instance = world.name(248);
    let error = world
        .containers
        .clone_ephemeral(&world.template, &instance, Replacement::Surge)
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("No such file or directory"), "{error}");
    assert!(world.is_gone(&instance));
    assert!(!world.containers.remnants().unwrap().contains(&instance));
}

#[tokio::test]
async fn a_template_is_not_removed_under_its_instances() {
    let world = World::new().await;
    let store = TemplateStore::new(&world.settings, HostRunner);
    let instance = world.launch(249).await;
    assert!(store.remove(&world.template).await.is_err());
    world.containers.stop(&instance, KILL).await.unwrap();
    store.remove(&world.template).await.unwrap();
    assert!(!store.list().unwrap().contains(&world.template));
}

/// Kills LXC's monitor of an instance, as the kernel does when memory runs out.
async fn kill_monitor(instance: &InstanceName) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", init(instance))).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).unwrap();
    run("kill", &["-9", parent]);
    let socket = format!("/{instance}/command");
    wait_for(|| !std::fs::read_to_string("/proc/net/unix").unwrap().contains(&socket)).await;
}

async fn wait_for(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(5), "it did not come to hold in 5 s");
        // A launch, and its file, lasts for 16 ms on a machine at rest.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
