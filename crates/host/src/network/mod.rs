//! The instances' network: a bridge, a route that holds its addresses while it is away, and a
//! firewall.

mod conflicts;
mod firewall;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

pub use conflicts::{Conflict, conflicts};
pub use firewall::TABLE;
use model::names::Slot;

use crate::command::{CommandError, CommandLine, Runner};
use crate::render::RenderError;
use crate::settings::NetworkSettings;
use crate::slots::{self, BRIDGE_MAC};

/// The metric of the fallback route. The bridge's own route has metric 0 and wins while it is there.
const FALLBACK_METRIC: &str = "100000";

/// A network that could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// What a command printed is not what it prints.
    #[error("`{command}` printed what is not its JSON; check the version of iproute2")]
    Output {
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The firewall's rules could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The load balancer's user does not exist.
    #[error("there is no user `{0}`; install haproxy")]
    NoUser(String),
    /// An interface of the bridge's name is something else.
    #[error("{0} exists and is no bridge of Bellows; choose another [network] bridge")]
    Foreign(String),
    /// A kernel setting cannot be written.
    #[error("{file} cannot be written; check that this runs as root")]
    Kernel {
        /// The setting.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// The instances' network on this host.
#[derive(Debug)]
pub struct Network<R> {
    runner: R,
    settings: NetworkSettings,
    table: String,
}

impl<R: Runner> Network<R> {
    /// The network with these settings.
    pub fn new(settings: &NetworkSettings, runner: R) -> Self {
        Self { runner, settings: settings.clone(), table: TABLE.to_owned() }
    }

    /// Names the firewall's tables, so that two networks on one host have one each.
    #[must_use]
    pub fn with_table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.table);
        self
    }

    /// Makes what is not there. Returns whether the bridge had to be made.
    ///
    /// The fallback route comes first and the firewall before the bridge is up: at no moment does
    /// a packet to an instance's address follow the default route off the host, or an instance
    /// reach the host.
    ///
    /// # Errors
    /// When a command fails, or an interface of the bridge's name is not ours.
    pub async fn ensure(&self) -> Result<bool, NetworkError> {
        let exists = self.exists()?;
        let subnet = self.settings.subnet.to_string();
        self.ip(["route", "replace", "unreachable", &subnet, "metric", FALLBACK_METRIC]).await?;
        firewall::apply(&self.runner, &self.table, self.settings.bridge.as_str()).await?;
        if !exists {
            let bridge = self.settings.bridge.as_str();
            self.ip(["link", "add", "name", bridge, "address", BRIDGE_MAC, "type", "bridge"])
                .await?;
        }
        self.disable_ipv6()?;
        let batch = self.batch();
        let command = CommandLine::new("ip").args(["-batch", "-"]).input(batch);
        self.runner.run(&command).await?;
        Ok(!exists)
    }

    /// Removes what [`Network::ensure`] made and nothing else.
    ///
    /// # Errors
    /// When a command fails.
    pub async fn remove(&self) -> Result<(), NetworkError> {
        if self.exists()? {
            self.ip(["link", "delete", "dev", self.settings.bridge.as_str()]).await?;
        }
        firewall::remove(&self.runner, &self.table).await?;
        let subnet = self.settings.subnet.to_string();
        let route = ["route", "del", "unreachable", &subnet, "metric", FALLBACK_METRIC];
        match self.ip(route).await {
            Err(error) if error.stderr().contains("No such process") => Ok(()),
            result => Ok(result?),
        }
    }

    /// Whether the bridge is there.
    ///
    /// # Errors
    /// [`NetworkError::Foreign`] when the name is taken by something that is not ours.
    pub fn exists(&self) -> Result<bool, NetworkError> {
        let name = self.settings.bridge.as_str();
        let folder = Path::new("/sys/class/net").join(name);
        if !folder.exists() {
            return Ok(false);
        }
        let address = fs::read_to_string(folder.join("address")).unwrap_or_default();
        if folder.join("bridge").exists() && address.trim() == BRIDGE_MAC {
            Ok(true)
        } else {
            Err(NetworkError::Foreign(name.to_owned()))
        }
    }

    /// What `ip` shall do with the bridge, again or for the first time.
    ///
    /// Every address an instance can have gets a fixed entry in the neighbour table, as its MAC is
    /// fixed too. Without, the first connection to a new instance waits 1 s: the kernel's question
    /// for the MAC is lost while the bridge has no carrier, and is asked again after a second.
    fn batch(&self) -> String {
        let bridge = self.settings.bridge.as_str();
        let subnet = self.settings.subnet;
        let mut batch = format!(
            "link set {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             address replace {}/{} dev {bridge}\n\
             link set {bridge} up\n",
            subnet.gateway(),
            subnet.network().prefix_len()
        );
        for (slot, address) in addresses(subnet) {
            let mac = slots::mac(slot);
            let line =
                format!("neighbour replace {address} lladdr {mac} dev {bridge} nud permanent\n");
            batch.push_str(&line);
        }
        batch
    }

    fn disable_ipv6(&self) -> Result<(), NetworkError> {
        let file = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", self.settings.bridge);
        if !Path::new(&file).exists() {
            // A kernel without IPv6 has nothing to disable.
            return Ok(());
        }
        fs::write(&file, "1").map_err(|source| NetworkError::Kernel { file, source })
    }

    async fn ip<const N: usize>(&self, arguments: [&str; N]) -> Result<(), CommandError> {
        self.runner.run(&CommandLine::new("ip").args(arguments)).await.map(drop)
    }
}

fn addresses(subnet: slots::Subnet) -> impl Iterator<Item = (Slot, Ipv4Addr)> {
    let slots = (1..=subnet.last_slot()).filter_map(|n| Slot::try_from(u32::from(n)).ok());
    slots.filter_map(move |slot| Some((slot, subnet.address(slot)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;
    use crate::settings::Settings;

    #[test]
    fn the_bridge_and_every_slots_neighbour_are_one_batch() {
        let mut settings = Settings::default().network;
        settings.subnet = "10.117.8.0/28".parse().unwrap();
        let batch = Network::new(&settings, HostRunner).batch();
        let head: Vec<&str> = batch.lines().take(5).collect();
        insta::assert_snapshot!(head.join("\n"), @"
        link set bellows0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
        address replace 10.117.8.1/28 dev bellows0
        link set bellows0 up
        neighbour replace 10.117.8.2 lladdr 02:62:77:00:00:01 dev bellows0 nud permanent
        neighbour replace 10.117.8.3 lladdr 02:62:77:00:00:02 dev bellows0 nud permanent
        ");
        assert_eq!(batch.lines().count(), 3 + 13);
    }

    #[test]
    fn an_interface_that_is_not_ours_is_refused() {
        let mut settings = Settings::default().network;
        settings.bridge = "lo".parse().unwrap();
        let error = Network::new(&settings, HostRunner).exists().unwrap_err();
        assert_eq!(
            error.to_string(),
            "lo exists and is no bridge of Bellows; choose another [network] bridge"
        );
    }
}
