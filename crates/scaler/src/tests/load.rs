//! Instances follow the load.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_service_is_shown_before_the_first_turn() {
    let rig = Rig::new();
    assert_eq!(rig.status().tick, None);
    assert_eq!(rig.status().phases, PhaseCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_service_starts_follows_its_load_and_comes_back_down() {
    let mut rig = Rig::new();
    assert_eq!(rig.ticks(6, 1).await, ready(1));
    assert_eq!(rig.ticks(15, 20).await, ready(5), "200 requests/s at 40 an instance");
    assert_eq!(rig.in_rotation(ServerState::Ready), 5);
    assert_eq!(rig.ticks(130, 1).await, ready(1), "13 s later, at a patience of 10 s");
    assert_eq!(rig.in_rotation(ServerState::Ready), 1);
    assert_eq!(rig.in_rotation(ServerState::Drain), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_neither_cuts_a_drain_short_nor_the_patience() {
    for jump in [Duration::from_secs(3600), Duration::from_secs(30)] {
        let mut rig = Rig::new();
        rig.ticks(20, 20).await;
        rig.ticks(50, 1).await;
        rig.now = rig.now.after(jump);
        assert_eq!(rig.ticks(90, 1).await, ready(5), "the patience starts anew");
        rig.balancer().set_figures(|services| {
            for server in services.get_mut(&store()).unwrap().servers.values_mut() {
                server.in_flight = Some(1);
            }
        });
        assert_eq!(rig.ticks(40, 1).await.draining, 4);
        rig.now = rig.now.after(jump);
        assert_eq!(rig.ticks(200, 1).await.draining, 4, "the requests under way go on");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_service_goes_to_none_and_the_first_request_brings_an_instance() {
    let mut rig = Rig::new();
    let bounds = Bounds::new(0, 3).unwrap();
    rig.shared.set_bounds(root(), &rig.deployed().spec, Some(bounds)).unwrap();
    assert_eq!(rig.ticks(20, 0).await, ready(0), "nobody has asked for it yet");
    assert_eq!(rig.launches(), 0);
    // Its one arrival was counted, and it waits in the load balancer.
    let hold = |rig: &Rig, held| {
        rig.balancer().set_figures(|services| {
            let figures = services.get_mut(&store()).unwrap();
            (figures.queued, figures.in_flight) = (Some(held), Some(held));
        });
    };
    hold(&rig, 1);
    assert_eq!(rig.tick(1).await.target(), Some(1));
    assert_eq!(rig.ticks(3, 0).await, ready(1));
    hold(&rig, 0);
    assert_eq!(rig.ticks(100, 0).await, ready(1), "patience");
    assert_eq!(rig.ticks(20, 0).await, ready(0));
    assert!(rig.status().instances.is_empty());
    rig.restart().await;
    assert_eq!(rig.ticks(20, 0).await, ready(0));
    assert_eq!(rig.launches(), 1);
}
