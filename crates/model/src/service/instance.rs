//! What an instance is given, as a service's file has it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::health::RawHealthStatus;
use super::protocol::RawProtocol;
use super::stateful::RawMount;
use super::{
    Capability, Demand, InstanceSpec, ReleaseCommand, RootAccess, StartSpec, WritableFolder,
    places, secrets, stateful,
};
use crate::names::ServiceName;
use crate::size::{Size, Sizes};
use crate::value::{Invalid, check, within};

/// The table `[instance]` as it is written.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct RawInstance {
    /// The port that it serves on.
    port: u16,
    /// What it serves there.
    #[serde(default)]
    pub(super) protocol: RawProtocol,
    /// `GET` of it answers when the instance can serve; without one it can when it takes connections.
    health_path: Option<String>,
    /// The statuses that say so: 200 unless it is said.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::health_status"))]
    health_status: Option<RawHealthStatus>,
    /// One of the host's sizes: `small` unless it is said.
    size: Option<String>,
    /// The most memory, in MiB, 4 to 1048576.
    memory_mib: Option<u32>,
    /// The most CPU time, in cores, 0.01 to 1024.
    cpus: Option<f64>,
    /// Its share where the host has not enough CPU time for all, 1 to 10000: 100 unless it is said.
    cpu_weight: Option<u32>,
    /// The most processes and threads, 1 to 4194304.
    processes: Option<u32>,
    /// What an instance costs for each hour that it is there, in whatever currency: its size's price unless it is
    /// said.
    price_per_hour: Option<f64>,
    /// What each of its processes may have open, 16 to 1048576.
    open_files: Option<u32>,
    /// Rights of root that its root has, over its own users, files and ports alone.
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    /// What it may do with its root file system.
    #[serde(default)]
    root: RootAccess,
    /// MiB that all instances of a version together may write to roots that are writable, 16 to 1048576.
    layer_mib: Option<u32>,
    /// Folders that it may write to, in its memory.
    #[serde(default)]
    writable: Vec<WritableFolder>,
    /// Folders below the state directory that are mounted in it.
    #[serde(default)]
    mounts: Vec<RawMount>,
    /// Other services that it may send requests to.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeSet<String>"))]
    reaches: BTreeSet<ServiceName>,
    /// The program and its arguments: the recipe's unless they are said.
    command: Option<Vec<String>>,
    /// Variables.
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Whom it runs as, by name or number, and a group behind a colon.
    user: Option<String>,
    /// The folder that it starts in.
    working_folder: Option<String>,
    /// What it is told that nobody else is.
    #[serde(default)]
    secrets: Vec<secrets::RawSecret>,
}

/// What the kernel gives a process that asks for nothing else; and where that is more, two for each request
/// that an instance is given at once: the client's connection, and a file or a connection of its own.
fn open_files(demand: &Demand) -> u32 {
    match demand {
        Demand::Requests(requests) => requests.capacity.concurrency.saturating_mul(2).max(1024),
        Demand::Uncounted => 1024,
    }
}

/// What an instance is given by keys outside of its table.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// What is run once a deploy.
    pub(super) release: Option<ReleaseCommand>,
    /// The folder of the service's own.
    pub(super) own_folder: Option<String>,
}

impl RawInstance {
    pub(super) fn checked(
        self,
        sizes: &Sizes,
        demand: &Demand,
        Beside { release, own_folder }: Beside,
    ) -> Result<InstanceSpec, Invalid> {
        check(self.port != 0, "instance.port", self.port, "1 to 65535")?;
        let size = self.size(sizes)?;
        let open_files = self.open_files.unwrap_or_else(|| open_files(demand));
        within("instance.open_files", open_files, 16..=1_048_576, "16 to 1048576")?;
        let mounts = stateful::mounts(self.mounts, own_folder)?;
        places::check_all(&mounts, &self.writable, size.memory_mib)?;
        let Self { command, environment, user, working_folder, .. } = self;
        let start = StartSpec { command, environment, user, working_folder, release }.checked()?;
        let secrets =
            secrets::check_all(self.secrets, &start.environment, &mounts, &self.writable)?;
        Ok(InstanceSpec {
            start,
            port: self.port,
            protocol: self.protocol.checked(
                self.health_path.as_deref(),
                self.health_status.as_ref(),
                self.port,
            )?,
            memory_mib: size.memory_mib,
            cpus: size.cpus,
            cpu_weight: size.cpu_weight,
            processes: size.processes,
            open_files,
            capabilities: self.capabilities,
            root: self.root,
            layer_mib: layer_mib(self.root, self.layer_mib)?,
            writable: self.writable,
            mounts,
            secrets,
            reaches: self.reaches,
        })
    }

    /// What an instance costs for each hour; `None` where nobody has said it. No part of [`InstanceSpec`]: what it
    /// costs is nothing that it sees.
    pub(super) fn price_per_hour(&self, sizes: &Sizes) -> Result<Option<f64>, Invalid> {
        Ok(self.size(sizes)?.price_per_hour)
    }

    /// What it may take: by its size, but for the figures that the file gives itself.
    fn size(&self, sizes: &Sizes) -> Result<Size, Invalid> {
        let name = self.size.as_deref().unwrap_or(Sizes::DEFAULT);
        let named = sizes.named("instance.size", name)?;
        let size = Size {
            cpus: self.cpus.unwrap_or(named.cpus),
            cpu_weight: self.cpu_weight.or(named.cpu_weight),
            memory_mib: self.memory_mib.unwrap_or(named.memory_mib),
            processes: self.processes.unwrap_or(named.processes),
            // With other cores or memory it is not of that size.
            price_per_hour: self.price_per_hour.or(named
                .price_per_hour
                .filter(|_| self.cpus.is_none() && self.memory_mib.is_none())),
        };
        size.check("instance")?;
        Ok(size)
    }
}

/// How much a version's instances may write to their roots unless the file says otherwise.
const LAYER_MIB: u32 = 1024;

fn layer_mib(root: RootAccess, size: Option<u32>) -> Result<Option<u32>, Invalid> {
    if root == RootAccess::ReadOnly {
        let Some(size) = size else { return Ok(None) };
        let allowed =
            "it with root = \"writable\" alone: nothing is written to a root that is read-only";
        return Err(Invalid::new("instance.layer_mib", size.to_string(), allowed));
    }
    let size = size.unwrap_or(LAYER_MIB);
    within("instance.layer_mib", size, 16..=1_048_576, "16 to 1048576 (MiB)")?;
    Ok(Some(size))
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    #[test]
    fn a_size_is_four_figures_and_the_file_has_the_last_word() {
        let size = |lines: &str| {
            let figures = "memory_mib = 64\n        cpus = 1.0\n        processes = 64";
            assert!(GOOD.contains(figures));
            parse(&GOOD.replacen(figures, lines, 1)).map(|spec| {
                let InstanceSpec { cpus, cpu_weight, memory_mib, processes, .. } = spec.instance;
                let price_per_hour = spec.price_per_hour;
                Size { cpus, cpu_weight, memory_mib, processes, price_per_hour }
            })
        };
        let named = |name| Sizes::default().named("instance.size", name).unwrap();
        assert_eq!(size("").unwrap(), named("small"));
        assert_eq!(size("size = \"large\"").unwrap(), named("large"));
        let own = Size { cpu_weight: Some(300), memory_mib: 96, ..named("medium") };
        let lines = "size = \"medium\"\nmemory_mib = 96\ncpu_weight = 300";
        assert_eq!(size(lines).unwrap(), own);
        let error = size("size = \"gigantic\"").unwrap_err();
        assert!(error.starts_with("instance.size is \"gigantic\": use large, medium"), "{error}");
    }

    #[test]
    fn an_instance_costs_what_its_file_says_or_its_size_where_it_is_of_that_size() {
        let size = "[small]\ncpus = 0.5\nmemory_mib = 128\nprocesses = 64\nprice_per_hour = 0.25";
        let sizes = Sizes::with(toml::from_str(size).unwrap()).unwrap();
        let price = |lines: &str| {
            let figures = "memory_mib = 64\n        cpus = 1.0\n        processes = 64";
            let text = GOOD.replacen(figures, lines, 1);
            let raw: crate::service::RawService = toml::from_str(&text).unwrap();
            raw.checked(&sizes).map(|spec| spec.price_per_hour).map_err(|error| error.to_string())
        };
        assert_eq!(price(""), Ok(Some(0.25)));
        assert_eq!(price("processes = 9"), Ok(Some(0.25)));
        assert_eq!(price("size = \"large\""), Ok(None));
        assert_eq!(price("memory_mib = 64"), Ok(None), "what nobody gave a price for has none");
        assert_eq!(price("memory_mib = 64\nprice_per_hour = 0.5"), Ok(Some(0.5)));
        assert_eq!(price("price_per_hour = 0"), Ok(Some(0.0)));
        let error = price("price_per_hour = -1").unwrap_err();
        assert!(error.starts_with("instance.price_per_hour is -1: use 0 to 1000000"), "{error}");
    }

    #[test]
    fn open_files_suffice_for_the_requests_at_once_unless_the_file_says_otherwise() {
        let with =
            |from: &str, to: &str| parse(&GOOD.replacen(from, to, 1)).unwrap().instance.open_files;
        assert_eq!(with("concurrency = 8", "concurrency = 512"), 1024);
        assert_eq!(with("concurrency = 8", "concurrency = 100000"), 200_000);
        assert_eq!(with("processes = 64", "processes = 64\nopen_files = 16"), 16);
    }

    #[test]
    fn an_instance_has_the_capabilities_of_the_closed_list_that_its_file_names() {
        let with = |list: &str| {
            let line = format!("processes = 64\ncapabilities = {list}");
            parse(&GOOD.replacen("processes = 64", &line, 1)).map(|spec| spec.instance.capabilities)
        };
        assert!(parse(GOOD).unwrap().instance.capabilities.is_empty());
        let two = with(r#"["setuid", "chown", "setuid"]"#).unwrap();
        assert_eq!(two, [Capability::Chown, Capability::Setuid].into());
        let error = with(r#"["sys_admin"]"#).unwrap_err();
        let list = "unknown variant `sys_admin`, expected one of `chown`, `dac_override`, `fowner`, \
                    `setuid`, `setgid`, `kill`, `net_bind_service`";
        assert!(error.contains(list), "{error}");
    }
}
