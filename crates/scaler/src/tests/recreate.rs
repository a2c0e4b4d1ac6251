//! A service that never has two instances: the old one leaves before the new one comes, also when the
//! scaler is killed in between.

use host::lxc::{Container, ContainerState};
use model::names::InstanceName;
use model::version::Rollout;

use super::failures::falls_silent;
use super::*;

const OLD: Version = Version::new(1);
const NEW: Version = Version::new(2);

/// The store as a service of one instance at most, which takes 500 ms to end.
fn recreated() -> String {
    let file = store_file()
        .replace("max = 10", "max = 1")
        .replace("watch_ms = 0", "replacement = \"recreate\"")
        .replace("stop_grace_ms = 10_000", "stop_grace_ms = 500");
    assert!(file.contains("recreate") && file.contains("= 500"), "{file}");
    file
}

/// The same with a typing error in its health path.
fn mistyped() -> String {
    recreated().replace("\"/healthz\"", "\"/healthy\"")
}

/// A host with version 1 of it, one instance of which runs and ignores that it is asked to end.
async fn rig() -> Rig {
    let mut rig = Rig::with_files(&[(&recreated(), 1)]);
    rig.actor.containers().set_ignore_halt(true);
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    rig
}

impl Rig {
    /// The versions of the containers that there are. There is one at most.
    async fn lone_version(&self) -> Option<Version> {
        use host::lxc::Containers as _;
        let containers = self.actor.containers().list().await.unwrap();
        assert!(containers.len() <= 1, "{containers:?}");
        Some(containers.first()?.template.as_ref()?.version())
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_instance_is_gone_before_the_new_one_comes() {
    let mut rig = rig().await;
    rig.deploy(&[(&recreated(), 2)]);
    let mut seen = Vec::new();
    for _ in 0..30 {
        rig.tick(1).await;
        seen.push(rig.lone_version().await);
    }
    seen.dedup();
    assert!(
        [vec![Some(OLD), Some(NEW)], vec![Some(OLD), None, Some(NEW)]].contains(&seen),
        "{seen:?}"
    );
    assert_eq!(rig.status().rollout, Some(Rollout::Serving { version: NEW }));
    assert_eq!(rig.status().phases, ready(1));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_never_gets_healthy_gives_its_place_back() {
    let mut rig = rig().await;
    rig.actor.probe().set_sick_at("/healthy");
    rig.deploy(&[(&mistyped(), 2)]);
    for _ in 0..140 {
        rig.tick(1).await;
        rig.lone_version().await;
    }
    assert!(matches!(rig.status().rollout, Some(Rollout::GivenUp { version: OLD, .. })));
    assert_eq!((rig.status().phases, rig.lone_version().await), (ready(1), Some(OLD)));
}

#[tokio::test(start_paused = true)]
async fn a_scaler_killed_at_any_moment_of_it_never_leads_to_two() {
    for killed_after in 0..30 {
        let mut rig = rig().await;
        rig.deploy(&[(&recreated(), 2)]);
        for turn in 0..60 {
            if turn == killed_after {
                rig.restart().await;
            }
            rig.tick(1).await;
            rig.lone_version().await;
        }
        let end = (rig.status().phases, rig.lone_version().await);
        assert_eq!(end, (ready(1), Some(NEW)), "killed after {killed_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_no_sign_of_life_is_killed_without_drain_and_grace_and_another_comes() {
    let mut rig = rig().await;
    let victim = rig.status().instances[0].name.clone();
    falls_silent(&rig, &victim, "L7TOUT");
    for _ in 0..20 {
        rig.tick(1).await;
        rig.lone_version().await;
    }
    assert_eq!(rig.actor.containers().grace_of(&victim), Some(Duration::ZERO));
    assert_eq!(rig.status().phases, ready(1));
    assert_ne!(rig.status().instances[0].name, victim);
}

#[tokio::test(start_paused = true)]
async fn one_that_appears_beside_another_is_stopped_at_once() {
    let mut rig = rig().await;
    let serving = rig.status().instances[0].name.clone();
    let late: InstanceName = "bw-object-store-40-z".parse().unwrap();
    let template = Some("bw-object-store-t00000001".parse().unwrap());
    let state = ContainerState::Running;
    rig.actor.containers().put(Container { name: late.clone(), template, state });
    rig.tick(1).await;
    rig.ticks(8, 1).await;
    assert!(rig.actor.containers().calls().contains(&Call::Stop(late)));
    assert_eq!(rig.status().phases, ready(1));
    assert_eq!(rig.status().instances[0].name, serving);
}

#[tokio::test(start_paused = true)]
async fn bounds_that_were_set_for_more_wait_while_there_may_be_one() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let set = Some(Bounds::new(3, 5).unwrap());
    rig.shared.set_bounds(root(), &rig.deployed().spec, set).unwrap();
    assert_eq!(rig.ticks(6, 1).await, ready(3));
    rig.deploy(&[(&recreated(), 1)]);
    assert_eq!(rig.ticks(20, 1).await, ready(1));
    assert_eq!((rig.status().bounds.max(), rig.status().set.bounds), (1, set));
    rig.deploy(&[(&store_file(), 1)]);
    assert_eq!(rig.ticks(20, 1).await, ready(3));
}

#[tokio::test(start_paused = true)]
async fn instances_have_the_grace_of_their_services_file_and_without_one_the_usual_grace() {
    let mut rig = rig().await;
    let first = rig.status().instances[0].name.clone();
    rig.deploy(&[(&recreated(), 2)]);
    rig.ticks(30, 1).await;
    let second = rig.status().instances[0].name.clone();
    let forgotten: InstanceName = "bw-forgotten-40-c".parse().unwrap();
    let (name, state) = (forgotten.clone(), ContainerState::Running);
    rig.actor.containers().put(Container { name, template: None, state });
    rig.deploy(&[(&set::later(), 1)]);
    for _ in 0..5 {
        rig.turn(1).await;
    }
    let grace = |name| rig.actor.containers().grace_of(name);
    assert_eq!(grace(&first), Some(Duration::from_millis(500)));
    assert_eq!(grace(&second), Some(Duration::from_millis(500)), "withdrawn a moment ago");
    assert_eq!(grace(&forgotten), Some(Duration::from_secs(10)));
}
