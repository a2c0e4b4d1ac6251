//! The instances' network: a bridge, a route that holds its addresses while it is away, and a
//! firewall.

mod conflicts;
pub mod fake;
mod firewall;
mod generation;
mod own;
pub(crate) mod ports;
mod promise;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

pub use conflicts::{Conflict, conflicts};
pub use firewall::TABLE;
pub use generation::Generation;
use model::network::Drift;
use model::service::ServiceSpec;
pub use own::is_own;

use crate::command::{CommandError, CommandLine, Runner};
use crate::files::FileError;
use crate::lock::{Lock, LockError};
use crate::render::RenderError;
use crate::settings::{NetworkSettings, Settings};
use crate::slots::{self, BRIDGE_MAC};

/// The metric of the fallback route. The bridge's own route has metric 0 and wins while it is there.
const FALLBACK_METRIC: &str = "100000";

/// Putting rules in place takes some 100 ms; a process that takes 5 s is stuck.
const LOCK_WAIT: Duration = Duration::from_secs(5);

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
    /// The kernel does not say whether nftables were changed.
    #[error("nftables cannot be asked whether they were changed; check that this runs as root")]
    Generation(#[source] io::Error),
    /// Another program changed nftables each time that the rules were put in place.
    #[error(
        "another program changes nftables without a pause, so that nobody knows which rules are in \
         force; `nft monitor` shows what it does"
    )]
    Busy,
    /// Another process of ours is putting the rules in place, and does not come to an end.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// What was promised cannot be written down, or a port of the bridge cannot be isolated.
    #[error(transparent)]
    File(#[from] FileError),
    /// A kernel setting cannot be written.
    #[error("{file} cannot be written; check that this runs as root")]
    Kernel {
        /// The setting.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What holds the firewall of the instances at what was promised.
pub trait Firewall: Send + Sync {
    /// The generation of nftables, which is another one after every change by whomever.
    ///
    /// # Errors
    /// The kernel does not tell.
    fn generation(&self) -> Result<Generation, NetworkError>;

    /// Compares the rules in force with those promised, and puts these back in one transaction where
    /// they differ. Where nothing was promised, rules by which instances reach `tcp_ports` are. Isolates the
    /// ports of instances that are not, such as those that an earlier release launched.
    ///
    /// # Errors
    /// The rules could not be compared or put back.
    fn hold(
        &self,
        tcp_ports: &BTreeSet<u16>,
    ) -> impl Future<Output = Result<Held, NetworkError>> + Send;
}

/// The firewall as it is now: as it was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The generation of nftables in which it is.
    pub generation: Generation,
    /// What was found and put right.
    pub drift: Option<Drift>,
}

/// The instances' network on this host.
#[derive(Debug)]
pub struct Network<R> {
    runner: R,
    settings: NetworkSettings,
    table: String,
    /// The folder of the note on what was promised.
    run: PathBuf,
    /// The ports by which instances reach services that take connections.
    tcp_ports: BTreeSet<u16>,
}

impl<R: Runner> Network<R> {
    /// The network with these settings.
    pub fn new(settings: &Settings, runner: R) -> Self {
        let (network, run) = (settings.network.clone(), settings.paths.run.clone());
        let tcp_ports = BTreeSet::new();
        Self { runner, settings: network, table: TABLE.to_owned(), run, tcp_ports }
    }

    /// The same, by which instances reach the services among these that take connections.
    #[must_use]
    pub fn serving<'a>(self, services: impl Iterator<Item = &'a ServiceSpec>) -> Self {
        Self { tcp_ports: services.filter_map(ServiceSpec::tcp_port).collect(), ..self }
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
        {
            let _lock = self.lock().await?;
            promise::make(&self.runner, &self.table, &self.run, self.rules()?).await?;
        }
        if !exists {
            let bridge = self.settings.bridge.as_str();
            self.ip(["link", "add", "name", bridge, "address", BRIDGE_MAC, "type", "bridge"])
                .await?;
        }
        self.disable_ipv6()?;
        let batch = self.batch();
        let command = CommandLine::new("ip").args(["-batch", "-"]).input(batch);
        self.runner.run(&command).await?;
        // Those of a release that left them open.
        ports::isolate_all(self.settings.bridge.as_str())?;
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
        promise::forget(&self.run)?;
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

    /// Whether rules were put in place that nobody took back.
    pub fn is_promised(&self) -> bool {
        promise::made(&self.run).is_some()
    }

    /// What of the firewall is not as it was promised; `None` also where nothing was.
    ///
    /// # Errors
    /// The rules cannot be listed.
    pub async fn drift(&self) -> Result<Option<Drift>, NetworkError> {
        let Some(promised) = promise::made(&self.run) else { return Ok(None) };
        promise::drift(&self.runner, &self.table, &promised).await
    }

    fn rules(&self) -> Result<String, NetworkError> {
        firewall::rules(&self.table, &self.settings, &self.tcp_ports)
    }

    /// Keeps another process from changing the rules, such as `up` of another release beside the
    /// scaler: each of the two would take the other's for the work of a stranger.
    async fn lock(&self) -> Result<Lock, NetworkError> {
        Ok(Lock::acquire_within(&self.run.join("network.lock"), LOCK_WAIT).await?)
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
        for (slot, address) in subnet.slots() {
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

impl<R: Runner> Firewall for Network<R> {
    fn generation(&self) -> Result<Generation, NetworkError> {
        generation::generation().map_err(NetworkError::Generation)
    }

    async fn hold(&self, tcp_ports: &BTreeSet<u16>) -> Result<Held, NetworkError> {
        // The rules are the wall on all sides, and come first. Neither waits for the other to be whole.
        let held = self.hold_rules(tcp_ports).await;
        let isolated = ports::isolate_all(self.settings.bridge.as_str());
        let held = held?;
        isolated?;
        Ok(held)
    }
}

impl<R: Runner> Network<R> {
    /// Has the rules in force that were promised.
    async fn hold_rules(&self, tcp_ports: &BTreeSet<u16>) -> Result<Held, NetworkError> {
        let _lock = self.lock().await?;
        let seen = generation::generation().map_err(NetworkError::Generation)?;
        let Some(promised) = promise::made(&self.run) else {
            // A release that wrote nothing down, or a note that was removed.
            let rules = firewall::rules(&self.table, &self.settings, tcp_ports)?;
            let generation = promise::make(&self.runner, &self.table, &self.run, rules).await?;
            return Ok(Held { generation, drift: None });
        };
        let drift = promise::drift(&self.runner, &self.table, &promised).await?;
        let generation = match drift {
            None => seen,
            // Those promised, and not this release's own: another one may be taking over.
            Some(_) => promise::make(&self.runner, &self.table, &self.run, promised.rules).await?,
        };
        Ok(Held { generation, drift })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;

    #[test]
    fn the_bridge_and_every_slots_neighbour_are_one_batch() {
        let mut settings = Settings::default();
        settings.network.subnet = "10.117.8.0/28".parse().unwrap();
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
        let mut settings = Settings::default();
        settings.network.bridge = "lo".parse().unwrap();
        let error = Network::new(&settings, HostRunner).exists().unwrap_err();
        assert_eq!(
            error.to_string(),
            "lo exists and is no bridge of Bellows; choose another [network] bridge"
        );
    }
}
