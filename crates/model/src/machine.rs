//! What is known of the machine that the services run on, as the API says it and its clients read it.

use serde::{Deserialize, Serialize};

use crate::network::NetworkStatus;
use crate::time::Timestamp;

/// The machine at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MachineStatus {
    /// The moment.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// What it is called.
    pub name: Option<String>,
    /// The version of Bellows whose scaler tells this.
    pub release: String,
    /// Since when that scaler runs.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
    /// How many cores it has, and how much wants to run there.
    pub processors: Option<Processors>,
    /// Its memory, as the kernel tells it.
    pub memory: Option<Memory>,
    /// The file system of the state folder.
    pub disk: Option<Disk>,
    /// What instances may take of it, and have; `None` before the first turn.
    pub room: Option<MachineRoom>,
    /// The load balancer; `None` where it does not answer.
    pub haproxy: Option<HaproxyStatus>,
    /// The instances' firewall.
    pub network: NetworkStatus,
}

/// The processors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Processors {
    /// How many there are.
    pub cores: u32,
    /// Programs that run or want to, or wait for a disk: means of the last 1, 5 and 15 minutes.
    pub load: [f32; 3],
}

/// The memory, in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Memory {
    /// All of it.
    pub total_mib: u64,
    /// What programs could be given without swapping.
    pub available_mib: Option<u64>,
}

/// A file system, in MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Disk {
    /// The folder that lies on it.
    pub folder: String,
    /// All of it.
    pub total_mib: u64,
    /// What may still be written.
    pub free_mib: u64,
}

/// What instances may take of the machine. Of memory counts what an instance may come to use, and not what it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MachineRoom {
    /// The memory of all instances, in MiB.
    pub memory_mib: u64,
    /// What is left of it beside those that are there.
    pub left_mib: u64,
    /// What of that is kept for lower bounds that have not their instances yet.
    pub promised_mib: u64,
    /// Slots in which an instance is, or is made, or gets requests.
    pub slots_used: u32,
    /// The others.
    pub slots_free: u32,
    /// Those of the free ones that only the service may have that had them last, while an old worker of HAProxy may still
    /// send there.
    pub slots_withheld: u32,
}

/// The load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HaproxyStatus {
    /// Its version.
    pub version: String,
    /// Since when it runs.
    #[serde(rename = "since_ms")]
    pub since: Timestamp,
    /// How often it was reloaded since then.
    pub reloads: u64,
    /// Processes that a reload replaced, and that end what they have.
    pub old_workers: u32,
    /// Connections that it has, and how many it takes at most.
    pub connections: u64,
    /// The most that it takes.
    pub connections_max: u64,
}

/// What `bellows doctor` found last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorStatus {
    /// When it ended; `None` where it has not yet.
    #[serde(rename = "at_ms")]
    pub at: Option<Timestamp>,
    /// What it found; none where it did not come to its end.
    pub checks: Vec<Check>,
    /// Why it did not come to its end, the last time.
    pub problem: Option<String>,
}

/// One thing that it looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What was looked at.
    pub check: String,
    /// Whether it is as Bellows needs it.
    pub is_well: bool,
    /// What was found, or what is wrong.
    pub found: String,
    /// What to do about it; `None` where all is well.
    pub cure: Option<String>,
}
