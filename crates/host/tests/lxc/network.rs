//! Whom an instance reaches, and who reaches it.

use std::collections::BTreeSet;
use std::net::TcpListener;

use host::command::HostRunner;
use host::lxc::{Containers as _, LxcContainers};
use host::network::{Firewall as _, Network};

use super::KILL;
use super::world::{TABLE, World, run};

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
    // One that a release launched which isolated none.
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
async fn the_port_of_an_instance_that_a_restarted_scaler_adopts_is_isolated() {
    let world = World::new().await;
    let restarted = LxcContainers::new(&world.settings).unwrap();
    // The last comes into the slot of another.
    for slot in [241, 242, 242] {
        let instance = world.launch(slot).await;
        let isolated = format!("/sys/class/net/bw{slot}/brport/isolated");
        // As `lxc-copy` leaves it when the scaler that called it is killed.
        std::fs::write(&isolated, "0").unwrap();
        restarted.list().await.unwrap();
        assert_eq!(std::fs::read_to_string(&isolated).unwrap(), "1\n", "{instance}");
        restarted.stop(&instance, KILL).await.unwrap();
    }
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
