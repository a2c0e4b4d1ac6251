use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use futures_util::future::join_all;

use super::*;
use crate::command::FakeRunner;

#[tokio::test]
async fn a_slot_that_another_container_is_in_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.paths.lxc = root.path().join("lxc");
    settings.paths.run = root.path().join("run");
    fs::create_dir_all(settings.paths.lxc.join("bw-other-1000-a")).unwrap();
    let containers = LxcContainers::with_runner(&settings, FakeRunner::default()).unwrap();
    let instance = "bw-store-1000-b".parse().unwrap();
    let template = "bw-store-t00000001".parse().unwrap();
    let error =
        containers.clone_ephemeral(&template, &instance, Replacement::Surge).await.unwrap_err();
    let expected = "bw-store-1000-b was not launched: bw-other-1000-a is in its slot";
    assert_eq!(error.to_string(), expected);
    assert!(containers.runner.calls().is_empty());
}

/// A host in a folder of its own, with a container that runs in each of these slots.
fn host_with(slots: &[u32]) -> (tempfile::TempDir, Vec<UnixListener>, LxcContainers<FakeRunner>) {
    let root = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.paths.lxc = root.path().join("lxc");
    settings.paths.run = root.path().join("run");
    let monitor = |slot: &u32| {
        let folder = settings.paths.lxc.join(format!("bw-store-{slot}-a"));
        fs::create_dir_all(&folder).unwrap();
        let command = SocketAddr::from_abstract_name(format!("{}/command", folder.display()));
        UnixListener::bind_addr(&command.unwrap()).unwrap()
    };
    let monitors = slots.iter().map(monitor).collect();
    let containers = LxcContainers::with_runner(&settings, FakeRunner::default()).unwrap();
    (root, monitors, containers)
}

#[tokio::test(start_paused = true)]
async fn instances_that_ignore_their_signal_hold_up_no_other_stop() {
    let slots: Vec<u32> = (900..920).collect();
    let (_root, _monitors, containers) = host_with(&slots);
    let names: Vec<InstanceName> =
        slots.iter().map(|slot| format!("bw-store-{slot}-a").parse().unwrap()).collect();
    let grace = Duration::from_secs(10);
    let stops: Vec<_> = names.iter().map(|name| containers.stop(name, grace)).collect();
    for stopped in join_all(stops).await {
        stopped.unwrap();
    }
    let calls = containers.runner.calls();
    let nth = |ending: &str| calls.iter().filter(|call| call.ends_with(ending)).count();
    assert_eq!((nth("--nokill --nowait"), nth(" -k")), (20, 20));
    let first_kill = calls.iter().position(|call| call.ends_with(" -k")).unwrap();
    assert!(calls[..first_kill].iter().all(|call| call.ends_with("--nokill --nowait")));
    assert_eq!(first_kill, 20, "nobody was killed before all were asked to end");
}

#[tokio::test]
async fn a_launch_whose_template_is_gone_says_how_it_is_made_again() {
    let (_root, _monitors, containers) = host_with(&[]);
    let (template, instance) = ("bw-store-t00000001", "bw-store-901-b");
    let (template, instance) = (template.parse().unwrap(), instance.parse().unwrap());
    let launched = containers.clone_ephemeral(&template, &instance, Replacement::Surge);
    let error = launched.await.unwrap_err().to_string();
    let told = "bw-store-901-b was not launched: its template bw-store-t00000001 is gone; \
                `bellows up` makes it again";
    assert_eq!(error, told);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_an_instance_is_killed_at_once() {
    let (_root, _monitors, containers) = host_with(&[900]);
    let name = "bw-store-900-a".parse().unwrap();
    containers.stop(&name, Duration::ZERO).await.unwrap();
    assert!(containers.runner.calls().iter().all(|call| !call.contains("--nokill")));
}

#[tokio::test]
async fn a_service_that_is_recreated_gets_no_instance_beside_another() {
    let (_root, _monitors, containers) = host_with(&[900]);
    let (template, instance) = ("bw-store-t00000001", "bw-store-901-b");
    let (template, instance) = (template.parse().unwrap(), instance.parse().unwrap());
    let launched = containers.clone_ephemeral(&template, &instance, Replacement::Recreate);
    let error = launched.await.unwrap_err().to_string();
    let told = "bw-store-901-b was not launched: bw-store-900-a of the same service is still there";
    assert_eq!(error, told);
    assert!(containers.runner.calls().is_empty());
}
