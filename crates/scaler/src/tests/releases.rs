//! Release commands: the scaler waits for them, and for nothing else of a version meanwhile.

use host::lxc::fake::Call;
use host::lxc::{Containers as _, Release, ReleaseStatus};
use model::names::InstanceName;
use model::version::Rollout;

use super::*;

const OLD: Option<Version> = Some(Version::new(1));
const NEW: Option<Version> = Some(Version::new(2));

/// The store with a release command.
fn releasing() -> String {
    format!("release = \"./migrate\"\n{}", store_file())
}

/// A host whose first version has no release command, and whose second one has one that runs now.
async fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    rig.deploy(&[(&releasing(), 2)]);
    rig.ticks(3, 10).await;
    assert_eq!(rig.releases().len(), 1);
    rig
}

impl Rig {
    /// The instances on which a release command was run.
    fn releases(&self) -> Vec<InstanceName> {
        let calls = self.actor.containers().calls();
        let release = |call| if let Call::Release(instance) = call { Some(instance) } else { None };
        calls.into_iter().filter_map(release).collect()
    }

    fn end_release(&self, status: ReleaseStatus) {
        self.actor.containers().end_release(status);
    }

    fn ready_of(&self, version: Option<Version>) -> usize {
        let instances = self.status().instances;
        let is_ready = |it: &&model::instance::InstanceStatus| {
            it.version == version && it.phase == model::instance::Phase::Ready
        };
        instances.iter().filter(is_ready).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_is_tried_for_as_long_as_its_release_command_runs_and_replaces_the_others_then() {
    let mut rig = rig().await;
    // Ten times the launch timeout.
    rig.ticks(1000, 10).await;
    assert!(matches!(rig.status().rollout, Some(Rollout::Proving { .. })));
    assert_eq!((rig.ready_of(OLD), rig.ready_of(NEW), rig.releases().len()), (3, 0, 1));
    rig.end_release(ReleaseStatus::Well);
    rig.ticks(30, 10).await;
    assert_eq!((rig.ready_of(OLD), rig.ready_of(NEW)), (0, 3));
    assert_eq!(rig.releases().len(), 1, "later instances run none");
}

#[tokio::test(start_paused = true)]
async fn a_release_command_that_fails_gives_the_version_up_with_its_words_and_touches_nothing_else()
{
    let mut rig = rig().await;
    rig.end_release(ReleaseStatus::Status(3));
    rig.ticks(100, 10).await;
    let Some(Rollout::GivenUp { reason, .. }) = rig.status().rollout else { panic!("it goes on") };
    assert_eq!(reason, "release `./migrate` ended with status 3");
    assert_eq!((rig.ready_of(OLD), rig.status().instances.len(), rig.releases().len()), (3, 3, 1));
    rig.deploy(&[(&releasing(), 2)]);
    rig.ticks(3, 10).await;
    assert_eq!(rig.releases().len(), 1, "nothing else was deployed");
    // A deploy of the same version, after it was given up, runs it again.
    deploy_again(&rig.state, &[(&releasing(), 2)], rig.now);
    rig.ticks(3, 10).await;
    assert_eq!(rig.releases().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_release_command_that_does_not_end_in_its_time_is_stopped_and_told() {
    let mut rig = Rig::new();
    rig.ticks(20, 10).await;
    let file = releasing().replace("watch_ms = 0", "watch_ms = 0\nrelease_timeout_ms = 20_000");
    assert!(file.contains("release_timeout_ms"));
    rig.deploy(&[(&file, 2)]);
    rig.ticks(190, 10).await;
    assert!(matches!(rig.status().rollout, Some(Rollout::Proving { .. })));
    rig.ticks(30, 10).await;
    let Some(Rollout::GivenUp { reason, .. }) = rig.status().rollout else { panic!("it goes on") };
    assert!(reason.starts_with("release `./migrate` did not end within 20000 ms"), "{reason}");
    assert_eq!(rig.status().instances.len(), 3, "what was tried is gone");
}

#[tokio::test(start_paused = true)]
async fn a_scaler_that_comes_after_waits_for_the_release_command_that_runs() {
    let containers = FakeContainers::default();
    let name: InstanceName = "bw-object-store-5-a".parse().unwrap();
    let template = Some("bw-object-store-t00000001".parse().unwrap());
    let state = host::lxc::ContainerState::Running;
    containers.put(host::lxc::Container { name: name.clone(), template, state });
    containers.put_release(&name);
    let state = tempfile::tempdir().unwrap();
    deploy(&state, &[(&releasing(), 1)], crate::clock::now());
    let mut rig = Rig::on(state, containers);
    rig.ticks(300, 10).await;
    assert_eq!((rig.ready_of(OLD), rig.releases().len()), (0, 0), "it was not begun anew");
    rig.end_release(ReleaseStatus::Well);
    rig.ticks(30, 10).await;
    assert_eq!((rig.ready_of(OLD), rig.releases().len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_release_command_that_ended_well_is_not_run_again_by_the_scaler_after() {
    let mut rig = rig().await;
    rig.end_release(ReleaseStatus::Well);
    // The scaler is told, and killed before it takes note of it.
    let told = rig.actor.containers().release(&rig.releases()[0]).unwrap();
    assert_eq!(told, Release::Ended(ReleaseStatus::Well));
    rig.restart().await;
    rig.ticks(30, 10).await;
    assert_eq!((rig.ready_of(NEW), rig.releases().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deploy_of_another_version_does_not_wait_for_the_release_command_of_the_one_before() {
    let mut rig = rig().await;
    rig.deploy(&[(&releasing(), 3)]);
    rig.ticks(10, 10).await;
    let releases = rig.releases();
    assert_eq!(releases.len(), 2);
    let stopped = |call: &Call| *call == Call::Stop(releases[0].clone());
    let calls = rig.actor.containers().calls();
    let order = |wanted: &dyn Fn(&Call) -> bool| calls.iter().position(wanted);
    let second = order(&|call: &Call| *call == Call::Release(releases[1].clone()));
    assert!(order(&stopped) < second, "one after the other: {calls:?}");
    rig.end_release(ReleaseStatus::Well);
    rig.ticks(30, 10).await;
    assert_eq!(rig.ready_of(Some(Version::new(3))), 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_version_of_a_service_serves_after_its_release_command() {
    let mut rig = Rig::with_files(&[(&releasing(), 1)]);
    rig.ticks(50, 10).await;
    assert_eq!((rig.status().instances.len(), rig.releases().len()), (1, 1));
    assert_eq!(rig.in_rotation(ServerState::Ready), 0);
    rig.end_release(ReleaseStatus::Status(1));
    rig.ticks(100, 10).await;
    assert!(rig.status().rollout.is_some_and(|rollout| rollout.is_first()));
    assert_eq!((rig.status().instances.len(), rig.releases().len()), (0, 1), "nothing serves");
    rig.deploy(&[(&releasing(), 2)]);
    rig.ticks(3, 10).await;
    rig.end_release(ReleaseStatus::Well);
    rig.ticks(30, 10).await;
    assert_eq!((rig.ready_of(NEW), rig.releases().len()), (3, 2));
}
