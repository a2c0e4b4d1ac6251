//! Finds out whether the instances' subnet is already in use on this host.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::Deserialize;

use super::NetworkError;
use crate::command::{CommandLine, Runner};
use crate::settings::NetworkSettings;

/// A route or an address of this host that shares addresses with the subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The route or address.
    pub destination: String,
    /// The interface that has it, or the kind of route without one.
    pub interface: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.destination, self.interface)
    }
}

/// Everything on this host that the subnet collides with, save our own bridge and fallback route.
///
/// # Errors
/// When `ip` fails or prints what is not understood.
pub async fn conflicts(
    runner: &impl Runner,
    settings: &NetworkSettings,
) -> Result<Vec<Conflict>, NetworkError> {
    let routes = CommandLine::new("ip").args(["-json", "-4", "route", "show", "table", "all"]);
    let addresses = CommandLine::new("ip").args(["-json", "-4", "address"]);
    let routes = runner.run(&routes).await?.stdout;
    let addresses = runner.run(&addresses).await?.stdout;
    let mut found = routes_in_conflict(&routes, settings)?;
    found.extend(addresses_in_conflict(&addresses, settings)?);
    found.dedup();
    Ok(found)
}

#[derive(Deserialize)]
struct Route {
    dst: Option<String>,
    dev: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Option<Ipv4Addr>,
    prefixlen: u8,
}

fn routes_in_conflict(
    json: &str,
    settings: &NetworkSettings,
) -> Result<Vec<Conflict>, NetworkError> {
    let routes: Vec<Route> = parse(json, "ip -json route")?;
    let bridge = settings.bridge.as_str();
    let conflicts = routes.into_iter().filter_map(|route| {
        let destination = route.dst?;
        let network = parse_destination(&destination)?;
        let kind = route.kind.unwrap_or_default();
        let ours = route.dev.as_deref() == Some(bridge)
            || (kind == "unreachable" && destination == settings.subnet.to_string());
        (!ours && settings.subnet.overlaps(network))
            .then(|| Conflict { destination, interface: route.dev.unwrap_or(kind) })
    });
    Ok(conflicts.collect())
}

fn addresses_in_conflict(
    json: &str,
    settings: &NetworkSettings,
) -> Result<Vec<Conflict>, NetworkError> {
    let interfaces: Vec<Interface> = parse(json, "ip -json address")?;
    let mut conflicts = Vec::new();
    for interface in interfaces.iter().filter(|it| it.ifname != settings.bridge.as_str()) {
        for address in &interface.addr_info {
            let Some(local) = address.local else { continue };
            let Ok(network) = Ipv4Net::new(local, address.prefixlen) else { continue };
            if settings.subnet.overlaps(network) {
                conflicts.push(Conflict {
                    destination: network.to_string(),
                    interface: interface.ifname.clone(),
                });
            }
        }
    }
    Ok(conflicts)
}

/// A destination as `ip` prints it: a network, or one address. `None` for `default`, which covers
/// everything and so is no conflict.
fn parse_destination(text: &str) -> Option<Ipv4Net> {
    text.parse().ok().or_else(|| Some(Ipv4Addr::from_str(text).ok()?.into()))
}

fn parse<T: for<'a> Deserialize<'a>>(json: &str, command: &'static str) -> Result<T, NetworkError> {
    // `ip` prints no JSON, not even an empty list, where there is no route or address.
    let json = if json.trim().is_empty() { "[]" } else { json };
    serde_json::from_str(json).map_err(|source| NetworkError::Output { command, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;
    use crate::settings::Settings;

    const ROUTES: &str = r#"[
        {"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
        {"type":"unreachable","dst":"10.117.0.0/22","metric":100000,"flags":[]},
        {"dst":"10.117.0.0/22","dev":"bellows0","protocol":"kernel","scope":"link","flags":[]},
        {"type":"local","dst":"10.117.0.1","dev":"bellows0","table":"local","flags":[]},
        {"dst":"192.0.2.0/24","dev":"eth0","protocol":"kernel","scope":"link","flags":[]},
        {"dst":"10.0.0.0/8","gateway":"192.0.2.9","dev":"wg0","flags":[]},
        {"type":"local","dst":"10.117.2.9","dev":"tun0","table":"local","flags":[]}]"#;

    #[test]
    fn routes_of_others_collide_and_our_own_do_not() {
        let found = routes_in_conflict(ROUTES, &Settings::default().network).unwrap();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.0/8 on wg0", "10.117.2.9 on tun0"]);
    }

    #[test]
    fn addresses_of_others_collide_and_our_own_do_not() {
        let json = r#"[{"ifname":"lo","addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
            {"ifname":"bellows0","addr_info":[{"family":"inet","local":"10.117.0.1","prefixlen":22}]},
            {},{"ifname":"br-lab","addr_info":[{"family":"inet","local":"10.117.3.1","prefixlen":24}]}]"#;
        let found = addresses_in_conflict(json, &Settings::default().network).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "10.117.3.1/24 on br-lab");
    }

    #[test]
    fn what_is_not_json_names_the_command() {
        let error = routes_in_conflict("Object \"x\"", &Settings::default().network).unwrap_err();
        assert!(error.to_string().starts_with("`ip -json route` printed"));
    }

    #[tokio::test]
    async fn this_hosts_own_tables_are_understood() {
        conflicts(&HostRunner, &Settings::default().network).await.unwrap();
    }
}
