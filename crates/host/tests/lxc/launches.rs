//! Launches, the list of instances, and their ends: whatever happens in between, nothing is left.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use host::command::{CommandLine, HostRunner, Runner};
use host::lxc::{Container, ContainerState, Containers, LxcContainers, TemplateStore};
use model::names::InstanceName;
use model::service::Replacement;

use super::world::{self, LXC, World, run};
use super::{KILL, init, wait_for};

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
        .args(["--exact", "launches::launch_in_a_process_that_is_killed", "--ignored"])
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
