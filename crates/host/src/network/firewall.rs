//! The instances' firewall, as nftables tables of our own.

use serde::Serialize;

use super::NetworkError;
use crate::accounts;
use crate::command::{CommandLine, Runner};
use crate::render::{RenderError, render};

/// The name of our tables in nftables.
pub const TABLE: &str = "bellows";

const TEMPLATE: &str = include_str!("../../../../lxc/firewall.nft.tera");

#[derive(Serialize)]
struct Values<'a> {
    table: &'a str,
    bridge: &'a str,
    allowed_users: [u32; 2],
}

/// Puts the rules in place, instead of those that were there, in one transaction.
pub(super) async fn apply(
    runner: &impl Runner,
    table: &str,
    bridge: &str,
) -> Result<(), NetworkError> {
    let user = accounts::user(accounts::LOAD_BALANCER);
    let user = user.ok_or_else(|| NetworkError::NoUser(accounts::LOAD_BALANCER.to_owned()))?;
    let rules = rules(&Values { table, bridge, allowed_users: [0, user.as_raw()] })?;
    runner.run(&CommandLine::new("nft").args(["-f", "-"]).input(rules)).await?;
    Ok(())
}

/// Removes our tables.
pub(super) async fn remove(runner: &impl Runner, table: &str) -> Result<(), NetworkError> {
    let rules = ["inet", "bridge"]
        .map(|family| format!("table {family} {table} {{}}\ndelete table {family} {table}\n"))
        .concat();
    runner.run(&CommandLine::new("nft").args(["-f", "-"]).input(rules)).await?;
    Ok(())
}

fn rules(values: &Values<'_>) -> Result<String, RenderError> {
    render("lxc/firewall.nft.tera", TEMPLATE, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;

    #[tokio::test]
    async fn nft_itself_takes_the_rules() {
        let rules = rules(&Values { table: "bellows", bridge: "br9", allowed_users: [0, 102] });
        let rules = rules.unwrap();
        assert!(rules.contains("meta skuid { 0, 102 } accept"), "{rules}");
        let check = CommandLine::new("nft").args(["--check", "-f", "-"]).input(rules);
        HostRunner.run(&check).await.unwrap();
    }
}
