//! The instances' firewall, as nftables tables of our own.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::NetworkError;
use crate::accounts;
use crate::command::{CommandLine, Runner};
use crate::render::{RenderError, render};
use crate::settings::NetworkSettings;
use crate::slots::{self, Subnet};

/// The name of our tables in nftables.
pub const TABLE: &str = "bellows";

/// The families that have a table of ours.
const FAMILIES: [&str; 2] = ["inet", "bridge"];

const TEMPLATE: &str = include_str!("../../../../lxc/firewall.nft.tera");

#[derive(Serialize)]
struct Values<'a> {
    table: &'a str,
    bridge: &'a str,
    subnet: Subnet,
    reach: Reach,
    tcp_ports: &'a BTreeSet<u16>,
    egress_port: u16,
    slots: Vec<SlotValues>,
    allowed_users: [u32; 2],
}

/// Where the load balancer takes what instances send to each other.
#[derive(Serialize)]
struct Reach {
    ip: Ipv4Addr,
    port: u16,
    streams: u16,
}

/// What the instance in a slot has of its own.
#[derive(Serialize)]
struct SlotValues {
    interface: String,
    mac: String,
    address: Ipv4Addr,
}

impl<'a> Values<'a> {
    fn new(
        table: &'a str,
        settings: &'a NetworkSettings,
        tcp_ports: &'a BTreeSet<u16>,
        allowed_users: [u32; 2],
    ) -> Self {
        let of_slot = |(slot, address)| SlotValues {
            interface: slots::interface(slot),
            mac: slots::mac(slot),
            address,
        };
        let reach = settings.reach();
        Self {
            table,
            bridge: settings.bridge.as_str(),
            subnet: settings.subnet,
            reach: Reach {
                ip: *reach.ip(),
                port: reach.port(),
                streams: settings.streams().port(),
            },
            tcp_ports,
            egress_port: settings.egress_port,
            slots: settings.subnet.slots().map(of_slot).collect(),
            allowed_users,
        }
    }
}

/// The rules for a network, to be put in place of those that were there, in one transaction.
pub(super) fn rules(
    table: &str,
    settings: &NetworkSettings,
    tcp_ports: &BTreeSet<u16>,
) -> Result<String, NetworkError> {
    let user = accounts::user(accounts::LOAD_BALANCER);
    let user = user.ok_or_else(|| NetworkError::NoUser(accounts::LOAD_BALANCER.to_owned()))?;
    Ok(rendered(&Values::new(table, settings, tcp_ports, [0, user.as_raw()]))?)
}

/// Puts rules in place.
pub(super) async fn apply(runner: &impl Runner, rules: &str) -> Result<(), NetworkError> {
    runner.run(&CommandLine::new("nft").args(["-f", "-"]).input(rules)).await?;
    Ok(())
}

/// What nft lists of each of our tables; `None` for one that is not there.
pub(super) async fn list(
    runner: &impl Runner,
    table: &str,
) -> Result<[Option<String>; 2], NetworkError> {
    let [inet, bridge] = FAMILIES.map(|family| list_one(runner, family, table));
    let (inet, bridge) = tokio::join!(inet, bridge);
    Ok([inet?, bridge?])
}

async fn list_one(
    runner: &impl Runner,
    family: &str,
    table: &str,
) -> Result<Option<String>, NetworkError> {
    let command = CommandLine::new("nft").args(["--stateless", "list", "table", family, table]);
    match runner.run(&command).await {
        Ok(output) => Ok(Some(output.stdout)),
        Err(error) if error.stderr().contains("No such file or directory") => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes our tables.
pub(super) async fn remove(runner: &impl Runner, table: &str) -> Result<(), NetworkError> {
    let rules = FAMILIES
        .map(|family| format!("table {family} {table} {{}}\ndelete table {family} {table}\n"))
        .concat();
    runner.run(&CommandLine::new("nft").args(["-f", "-"]).input(rules)).await?;
    Ok(())
}

fn rendered(values: &Values<'_>) -> Result<String, RenderError> {
    render("lxc/firewall.nft.tera", TEMPLATE, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;
    use crate::settings::Settings;

    #[tokio::test]
    async fn nft_itself_takes_the_rules() {
        let settings = Settings::default();
        let none = BTreeSet::new();
        let without =
            rendered(&Values::new("bellows", &settings.network, &none, [0, 102])).unwrap();
        assert_eq!(without.matches("redirect").count(), 1, "{without}");
        let ports = [5432, 6379].into();
        let rules = rendered(&Values::new("bellows", &settings.network, &ports, [0, 102])).unwrap();
        assert!(rules.contains("tcp dport { 5432, 6379 } redirect to :8071"), "{rules}");
        assert!(rules.contains("\"bw1000\" . 10.117.3.233 }"), "{rules}");
        assert!(rules.contains("tcp dport { 8070, 8071, 3128 } accept"), "{rules}");
        assert!(rules.contains("meta skuid { 0, 102 } accept"), "{rules}");
        for rules in [without, rules] {
            let check = CommandLine::new("nft").args(["--check", "-f", "-"]).input(rules);
            HostRunner.run(&check).await.unwrap();
        }
    }
}
