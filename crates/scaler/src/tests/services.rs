//! Services come and go while the scaler runs, and share the host's slots.

use model::action::Blocked;
use model::decision::{Decision, Reason};
use model::names::Slot;

use super::set::later;
use super::*;

fn slots(status: &ServiceStatus) -> Vec<u16> {
    status.instances.iter().map(|instance| instance.slot).map(Slot::get).collect()
}

fn held_services(rig: &Rig) -> Vec<(String, String)> {
    let held = rig.balancer().held();
    let routes =
        held.iter().map(|b| (b.service.to_string(), b.route.as_ref().unwrap().to_string()));
    routes.collect()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_comes_moves_and_goes_leaves_the_others_as_they_are() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    let before = rig.status().instances;
    rig.deploy(&[(&store_file(), 1), (&later(), 1)]);
    rig.ticks(6, 20).await;
    let new = rig.status_of("later");
    assert_eq!((new.phases, slots(&new)), (ready(1), vec![6]));

    let moved = later().replace("\"/later\"", "\"/moved\"");
    let changes = rig.balancer().changes();
    rig.deploy(&[(&store_file(), 1), (&moved, 1)]);
    rig.ticks(6, 20).await;
    let routes = [("later", "/moved"), ("object-store", "/")];
    let routes = routes.map(|(name, route)| (name.to_owned(), route.to_owned()));
    assert_eq!(held_services(&rig), routes);
    assert_eq!(rig.balancer().changes(), changes + 1);

    rig.deploy(&[(&store_file(), 1)]);
    rig.tick(20).await;
    assert_eq!(held_services(&rig), routes[1..]);
    assert_eq!(rig.balancer().changes(), changes + 2);
    assert_eq!(rig.shared.host_status(|_| true).services.len(), 1);
    let stop = Call::Stop(new.instances[0].name.clone());
    assert!(!rig.actor.containers().calls().contains(&stop), "it may end its requests");
    rig.ticks(310, 20).await;
    assert!(rig.actor.containers().calls().contains(&stop));
    assert_eq!(rig.status().instances, before);
}

#[tokio::test(start_paused = true)]
async fn services_that_start_in_one_turn_get_slots_of_their_own() {
    let mut rig = Rig::new();
    rig.deploy(&[(&store_file(), 1), (&later(), 1)]);
    rig.ticks(6, 1).await;
    assert_eq!(slots(&rig.status_of("later")), [1]);
    assert_eq!(slots(&rig.status()), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_scaler_gives_out_slots_while_an_old_worker_lives_but_for_those_it_knows() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let known = [("object-store", 2), ("withdrawn", 3)];
    let known = known.map(|(name, slot)| (name.parse().unwrap(), Slot::try_from(slot).unwrap()));
    rig.balancer().set_old_workers([7].into());
    rig.balancer().set_known_to_old_workers(known.into());
    rig.restart().await;
    assert_eq!(rig.ticks(20, 20).await, ready(5));
    assert_eq!(slots(&rig.status()), [1, 2, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_an_old_worker_may_know_is_given_to_no_other_service() {
    let mut rig = Rig::new();
    rig.ticks(20, 20).await;
    rig.balancer().set_old_workers([7].into());
    rig.ticks(150, 1).await;
    assert_eq!(slots(&rig.status()), [1], "2 to 5 were given back");
    let two = |rig: &Rig, service: &str| {
        let spec = &rig.services.get(&service.parse().unwrap()).unwrap().spec;
        rig.shared.set_bounds(root(), spec, Some(Bounds::new(2, 9).unwrap())).unwrap();
    };
    rig.deploy(&[(&store_file(), 1), (&later(), 1)]);
    rig.ticks(6, 1).await;
    assert_eq!(slots(&rig.status_of("later")), [6]);
    two(&rig, "object-store");
    rig.ticks(6, 1).await;
    assert_eq!(slots(&rig.status()), [1, 2], "the service itself may have it at once");
    rig.balancer().set_old_workers([8].into());
    two(&rig, "later");
    rig.ticks(6, 1).await;
    assert_eq!(slots(&rig.status_of("later")), [3, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_many_keeps_no_other_waiting() {
    let many = store_file().replace("min = 1\n", "min = 200\n").replace("max = 10", "max = 200");
    let last = later().replacen("later", "the-last-by-name", 1);
    let mut rig = Rig::with_files(&[(&many, 1), (&last, 1)]);
    assert!(rig.ticks(6, 0).await.ready < 30);
    assert_eq!(rig.status_of("the-last-by-name").phases, ready(1));
    assert_eq!(rig.status().tick.unwrap().blocked, [Blocked::LaunchLimit]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_in_the_hosts_memory_is_not_launched_and_lower_bounds_keep_their_place() {
    // 128,000 MiB: one instance of the other service, and 199 of 640 MiB beside it.
    let many = store_file().replace("memory_mib = 128", "memory_mib = 640");
    let many = many.replace("max = 10", "max = 300");
    let large = later().replace("memory_mib = 128", "memory_mib = 512");
    let mut rig = Rig::with_files(&[(&many, 1), (&large, 1)]);
    assert_eq!(rig.ticks(120, 4000).await.ready, 199);
    assert!(rig.status().tick.unwrap().blocked.contains(&Blocked::HostMemory));
    rig.actor.containers().die(&rig.status_of("later").instances[0].name);
    assert_eq!(rig.ticks(6, 4000).await.ready, 199);
    assert_eq!(rig.status_of("later").phases, ready(1));
}

async fn turns(rig: &mut Rig) {
    for _ in 0..6 {
        rig.turn(0).await;
    }
}

/// A service that gets no requests, and has so many instances at any hour.
fn routeless(instances: u32) -> String {
    format!(
        r#"
        name = "worker"
        image = "worker"
        instance = {{ port = 8000, health_path = "/healthz", memory_mib = 64, cpus = 1.0, processes = 64 }}
        bounds = {{ min = 0, max = 10 }}
        [policy]
        kind = "schedule"
        entries = [{{ from = "00:00", to = "24:00", min = {instances}, max = {instances} }}]
        "#
    )
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_route_gets_ready_follows_its_policy_and_outlives_a_restart() {
    let mut rig = Rig::with_files(&[(&routeless(2), 1)]);
    turns(&mut rig).await;
    let status = rig.status_of("worker");
    assert_eq!((status.phases, status.route), (ready(2), None));
    assert_eq!(status.tick.unwrap().observation.offered_rps, None);
    rig.restart().await;
    rig.deploy(&[(&routeless(3), 1)]);
    turns(&mut rig).await;
    assert_eq!(rig.status_of("worker").phases, ready(3));
    rig.balancer().fail_scrape(Some(|| host::haproxy::StatsError::NoColumn("scur")));
    rig.deploy(&[(&routeless(1), 1)]);
    turns(&mut rig).await;
    let tick = rig.status_of("worker").tick.unwrap();
    let blind = Decision::Hold { reasons: vec![Reason::NoData] };
    assert_eq!((tick.decision, tick.plan), (blind, vec![]));
}
