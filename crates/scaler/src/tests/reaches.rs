//! What instances may reach: from before their programs start, by their own version, until they are gone.

use host::haproxy::HaproxyError;
use host::lxc::fake::Fault;
use model::names::InstanceName;

use super::*;

/// The file of a service that reaches these.
fn front(reaches: &[&str]) -> String {
    store_file()
        .replacen("name = \"object-store\"", "name = \"front\"", 1)
        .replace("path_prefix = \"/\"", "path_prefix = \"/front\"")
        .replacen("port = 8000", &format!("port = 8000\nreaches = {reaches:?}"), 1)
}

/// What the load balancer lets the instances of each service reach, in the order of their addresses.
fn reaches(rig: &Rig) -> Vec<String> {
    let held = rig.balancer().held();
    let told = held.reaches().iter().map(|reach| {
        let reached: Vec<_> = reach.reached.iter().map(ServiceName::as_str).collect();
        format!("{} {}: {}", reach.address, reach.service, reached.join(" "))
    });
    told.collect()
}

fn instance(rig: &Rig) -> InstanceName {
    rig.status_of("front").instances[0].name.clone()
}

#[tokio::test(start_paused = true)]
async fn an_instance_may_reach_a_service_before_its_program_starts_and_no_more_once_it_is_gone() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    rig.actor.containers().next_launch(Fault::Hangs);
    rig.deploy(&[(&store_file(), 1), (&front(&["object-store"]), 1)]);
    rig.ticks(4, 1).await;
    assert_eq!(reaches(&rig), ["10.117.0.3 front: object-store"], "its launch does not return");

    let mut rig = Rig::with_files(&[(&store_file(), 1), (&front(&["object-store"]), 1)]);
    rig.ticks(6, 1).await;
    assert_eq!(reaches(&rig), ["10.117.0.2 front: object-store"]);
    rig.actor.containers().die(&instance(&rig));
    rig.ticks(1, 1).await;
    assert!(!reaches(&rig).contains(&"10.117.0.2 front: object-store".to_owned()));
    rig.deploy(&[(&store_file(), 1)]);
    rig.ticks(310, 1).await;
    assert_eq!(reaches(&rig), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_launched_that_could_not_be_let_reach_what_it_needs() {
    let mut rig = Rig::new();
    rig.ticks(6, 1).await;
    let launches = rig.launches();
    rig.deploy(&[(&store_file(), 1), (&front(&["object-store"]), 1)]);
    // The turn that takes the service up, and plans a launch.
    rig.turn(1).await;
    let refused =
        || HaproxyError::Refused { command: "add map".to_owned(), reply: "no".to_owned() };
    rig.balancer().fail_apply(Some(refused));
    rig.turn(1).await;
    assert_eq!(rig.launches(), launches);
    rig.balancer().fail_apply(None);
    rig.ticks(30, 1).await;
    assert_eq!(rig.status_of("front").phases, ready(1));
    assert_eq!(reaches(&rig).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_keeps_what_its_own_version_may_reach() {
    let later = set::later();
    let mut rig =
        Rig::with_files(&[(&store_file(), 1), (&later, 1), (&front(&["object-store"]), 1)]);
    rig.ticks(6, 1).await;
    let old = reaches(&rig).remove(0);
    assert!(old.ends_with(" front: object-store"), "{old}");
    rig.actor.containers().next_launch(Fault::Hangs);
    rig.deploy(&[(&store_file(), 1), (&later, 1), (&front(&["later", "object-store"]), 2)]);
    rig.ticks(3, 1).await;
    let both = reaches(&rig);
    assert_eq!((both.len(), &both[0]), (2, &old));
    assert!(both[1].ends_with(" front: later object-store"), "{both:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_scaler_and_a_restarted_load_balancer_go_on_with_what_instances_may_reach() {
    let mut rig = Rig::with_files(&[(&store_file(), 1), (&front(&["object-store"]), 1)]);
    rig.ticks(6, 1).await;
    let before = reaches(&rig);
    assert_eq!(before.len(), 1);
    rig.restart().await;
    rig.ticks(3, 1).await;
    assert_eq!(reaches(&rig), before);
    // From a file that was written before the last command took effect.
    let older = rig.balancer().held().with_reaches(Vec::new());
    rig.balancer().restart_from(&older);
    assert_eq!(reaches(&rig), [""; 0]);
    rig.ticks(1, 1).await;
    assert_eq!(reaches(&rig), before);
}

/// The file of a service that takes connections.
fn database() -> String {
    let text = front(&[]);
    let (head, rest) = text.split_once("[route]").unwrap();
    let (_, tail) = rest.split_once("[instance]").unwrap();
    // Actions are for who has a route.
    let (tail, _) = tail.split_once("[actions.").unwrap();
    format!("{head}[instance]\nprotocol = \"tcp\"{tail}")
        .replacen("name = \"front\"", "name = \"db\"", 1)
        .replacen("port = 8000", "port = 5432", 1)
        .replacen("health_path = \"/healthz\"\n", "", 1)
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_connections_is_ready_by_them_and_scaled_by_them() {
    let mut rig = Rig::with_files(&[(&store_file(), 1), (&front(&["db"]), 1), (&database(), 1)]);
    let db: ServiceName = "db".parse().unwrap();
    rig.ticks(6, 1).await;
    assert_eq!(rig.status_of("db").phases, ready(1));
    let held = rig.balancer().held();
    let backend = held.iter().find(|backend| backend.service == db).unwrap();
    assert_eq!((backend.tcp_port, &backend.route), (Some(5432), &None));
    assert_eq!(backend.servers[0].health_path, None);
    for _ in 0..20 {
        // HAProxy has no column of statuses for them.
        rig.balancer().set_figures(|services| {
            let counters = &mut services.get_mut(&db).unwrap().counters;
            counters.sessions = counters.sessions.map(|sessions| sessions + 20);
            (counters.requests, counters.success, counters.server_error) = (None, None, None);
        });
        rig.turn(1).await;
    }
    assert_eq!(rig.status_of("db").phases, ready(5), "200 a second, of which one serves 50");
}
