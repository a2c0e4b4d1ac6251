//! The instances' firewall, as nftables tables of our own.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::Serialize;

use super::NetworkError;
use crate::accounts;
use crate::command::{CommandLine, Runner};
use crate::render::{RenderError, render};
use crate::settings::NetworkSettings;

/// The name of our tables in nftables.
pub const TABLE: &str = "bellows";

/// The families that have a table of ours.
const FAMILIES: [&str; 2] = ["inet", "bridge"];

const TEMPLATE: &str = include_str!("../../../../lxc/firewall.nft.tera");

#[derive(Serialize)]
struct Values<'a> {
    table: &'a str,
    bridge: &'a str,
    egress: Place,
    allowed_users: [u32; 2],
}

/// Where something listens on the bridge's address.
#[derive(Serialize)]
struct Place {
    address: Ipv4Addr,
    port: u16,
}

impl From<SocketAddrV4> for Place {
    fn from(place: SocketAddrV4) -> Self {
        Self { address: *place.ip(), port: place.port() }
    }
}

/// The rules for a bridge, to be put in place of those that were there, in one transaction.
pub(super) fn rules(table: &str, settings: &NetworkSettings) -> Result<String, NetworkError> {
    let user = accounts::user(accounts::LOAD_BALANCER);
    let user = user.ok_or_else(|| NetworkError::NoUser(accounts::LOAD_BALANCER.to_owned()))?;
    Ok(rendered(&Values {
        table,
        bridge: settings.bridge.as_str(),
        egress: settings.egress().into(),
        allowed_users: [0, user.as_raw()],
    })?)
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

    #[tokio::test]
    async fn nft_itself_takes_the_rules() {
        let egress = Place::from("10.117.0.1:3128".parse::<SocketAddrV4>().unwrap());
        let values = Values { table: "bellows", bridge: "br9", egress, allowed_users: [0, 102] };
        let rules = rendered(&values).unwrap();
        assert!(rules.contains("meta skuid { 0, 102 } accept"), "{rules}");
        assert!(rules.contains("ip daddr 10.117.0.1 tcp dport 3128 accept"), "{rules}");
        let check = CommandLine::new("nft").args(["--check", "-f", "-"]).input(rules);
        HostRunner.run(&check).await.unwrap();
    }
}
