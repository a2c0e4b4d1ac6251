//! What a scaler finds that starts on a host where things run already.

use host::lxc::{Container, ContainerState};
use model::names::InstanceName;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_restarted_scaler_adopts_what_runs_and_touches_nothing() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let calls = rig.actor.containers().calls().len();
    rig.restart().await;
    assert_eq!(rig.ticks(3, 20).await, ready(5));
    assert_eq!(rig.actor.containers().calls().len(), calls);
    assert!(rig.shared.ticks(0, 100).windows(2).all(|w| w[0].sequence < w[1].sequence));
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_scaler_left_half_done_is_finished_or_removed() {
    let containers = FakeContainers::default();
    let put = |name: &str, state| {
        let template = Some("bw-object-store-t00000001".parse().unwrap());
        containers.put(Container { name: name.parse().unwrap(), template, state });
    };
    put("bw-object-store-1-a", ContainerState::Running);
    put("bw-object-store-2-b", ContainerState::Stopped);
    put("bw-withdrawn-40-c", ContainerState::Stopped);
    let mut rig = Rig::with(containers);
    assert_eq!(rig.ticks(5, 1).await, ready(1));
    assert_eq!(rig.status().instances[0].name.as_str(), "bw-object-store-1-a");
    let stopped = rig.actor.containers().calls();
    for name in ["bw-object-store-2-b", "bw-withdrawn-40-c"] {
        assert!(stopped.contains(&Call::Stop(name.parse().unwrap())), "{name}: {stopped:?}");
    }
    assert_eq!(rig.launches(), 0);
}

#[tokio::test(start_paused = true)]
async fn instances_of_a_withdrawn_service_have_its_drain_timeout_to_finish_their_requests() {
    // Before this process began, or while it goes on and knows how long the service gave them.
    for (is_known, seconds) in [(false, 30), (true, 60)] {
        for old_worker_ends in [false, true] {
            let mut rig = Rig::new();
            let name: InstanceName = "bw-later-40-c".parse().unwrap();
            if is_known {
                let later =
                    set::later().replace("drain_timeout_ms = 30_000", "drain_timeout_ms = 60_000");
                rig.deploy(&[(&store_file(), 1), (&later, 1)]);
                rig.ticks(1, 1).await;
            }
            let template = Some("bw-later-t00000001".parse().unwrap());
            let container =
                Container { name: name.clone(), template, state: ContainerState::Running };
            rig.actor.containers().put(container);
            let known = [(name.service().clone(), name.slot())];
            rig.balancer().set_known_to_old_workers(known.into());
            rig.deploy(&[(&store_file(), 1)]);
            let stops = |rig: &Rig| {
                let calls = rig.actor.containers().calls();
                calls.iter().filter(|call| **call == Call::Stop(name.clone())).count()
            };
            rig.ticks(seconds * 10 - 5, 1).await;
            assert_eq!(stops(&rig), 0);
            if old_worker_ends {
                rig.balancer().set_known_to_old_workers([].into());
            }
            rig.ticks(if old_worker_ends { 2 } else { 10 }, 1).await;
            assert_eq!(stops(&rig), 1, "{is_known} {old_worker_ends}");
        }
    }
}
