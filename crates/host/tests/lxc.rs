//! Instances on real LXC: they launch, are confined, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use host::command::{CommandLine, HostRunner, Runner};
use host::lxc::{Container, ContainerState, Containers, TemplateStore};
use model::names::InstanceName;
use world::{LXC, World, run};

/// The pid on the host of an instance's init.
fn init(instance: &InstanceName) -> String {
    run("lxc-info", &["-P", LXC, "-n", instance.as_str(), "-p", "-H"]).trim().to_owned()
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
async fn the_list_equals_that_of_lxc_ls() {
    let world = World::new().await;
    let running = [world.launch(241).await, world.launch(242).await];
    let stopped = world.launch(243).await;
    kill_monitor(&stopped).await;

    let ours = |options: &[&str]| {
        let names = run("lxc-ls", &[&["-P", LXC], options].concat());
        let names = names.lines().map(str::trim).filter(|name| name.starts_with("bw-test-"));
        names.map(str::to_owned).collect::<Vec<_>>()
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
        world.containers.clone_ephemeral(&world.template, &instance).await.unwrap();
        world.first_answer(&instance);
        assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
        world.containers.stop(&instance).await.unwrap();
        assert!(world.is_gone(&instance), "something of {instance} is left");
    }
    world.containers.stop(&world.name(244)).await.unwrap();
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
        world.containers.stop(&instance).await.unwrap();
        assert!(world.is_gone(&instance), "something of {instance} is left");
    }
    assert!(seen_stopped > 0, "no launch was killed halfway");

    let half = world.name(245);
    std::fs::create_dir(Path::new(LXC).join(half.as_str())).unwrap();
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
    std::fs::remove_dir_all(Path::new(LXC).join(instance.as_str())).unwrap();
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
    let error = world.containers.clone_ephemeral(&world.template, &instance).await.unwrap_err();
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
    assert!(store.remove(&world.template).is_err());
    world.containers.stop(&instance).await.unwrap();
    store.remove(&world.template).unwrap();
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
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
