//! What `status` shows, as plain data: the table and the JSON are two renderings of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use model::action::Blocked;
use model::bounds::Bounds;
use model::decision::Reason;
use model::failure::Failure;
use model::hold::Hold;
use model::job::Stage;
use model::names::{ServiceName, Slot};
use model::network::NetworkStatus;
use model::policies::PolicySpec;
use model::status::MembershipStatus;
use model::version::{Rollout, Version};
use serde::Serialize;

/// The whole of what `status` knows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) format: u32,
    /// When it was read, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// Who told: without the scaler, services and phases are not known.
    pub(crate) source: Source,
    /// Why the scaler did not tell; `None` when it did.
    pub(crate) scaler_error: Option<String>,
    /// The long-running programs.
    pub(crate) programs: Vec<Program>,
    /// How changes of membership reach HAProxy, as the scaler tells.
    pub(crate) membership: Option<MembershipStatus>,
    /// What became of the instances' firewall, as the scaler tells.
    pub(crate) network: Option<NetworkStatus>,
    /// The services, as the scaler tells.
    pub(crate) services: Vec<Service>,
    /// Deploys from folders and by the API that go on, or did not end well.
    pub(crate) deploys: Vec<DeployState>,
    /// The instances, in the order of service and slot.
    pub(crate) instances: Vec<Instance>,
}

/// How far the last deploy of a service has come.
#[derive(Debug, Serialize)]
pub(crate) struct DeployState {
    pub(crate) service: ServiceName,
    pub(crate) folder: PathBuf,
    pub(crate) begun_at_ms: u64,
    /// What it is at, or was at last.
    pub(crate) stage: Stage,
    /// Whether a process is at it.
    pub(crate) goes_on: bool,
    /// What was said of it last; `None` while it goes on, and of one that was cut off.
    pub(crate) verdict: Option<String>,
}

/// Where the figures come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// The scaler's API answered.
    Scaler,
    /// The scaler did not tell: the list is what LXC runs.
    Host,
}

/// A long-running program of Bellows.
#[derive(Debug, Serialize)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// `running`, `restarting` after it died, `unsupervised` when nothing would start it again, or
    /// `stopped`.
    pub(crate) state: &'static str,
    /// Its process, when it runs.
    pub(crate) pid: Option<i32>,
}

/// One service and its last decision.
#[derive(Debug, Serialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// `None` where it gets no requests from outside.
    pub(crate) route: Option<String>,
    /// The services that its instances may send requests to.
    pub(crate) reaches: BTreeSet<ServiceName>,
    /// The policy's name.
    pub(crate) policy: String,
    /// The policy with its figures.
    pub(crate) policy_spec: PolicySpec,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Which version serves, and how far the change to the wanted one has come.
    pub(crate) rollout: Option<Rollout>,
    /// The number that an operator holds it at; `None` where its policy decides.
    pub(crate) hold: Option<Hold>,
    /// What is in force of that number within its bounds.
    #[serde(skip)]
    pub(crate) held_at: Option<u32>,
    /// What went wrong last.
    pub(crate) last_failure: Option<Failure>,
    /// The policy of its file, where an operator set another one.
    pub(crate) policy_set: Option<Set<PolicySpec>>,
    /// The bounds of its file, where an operator set others.
    pub(crate) bounds_set: Option<Set<Bounds>>,
    /// What is wrong with the kept versions whose files cannot be read.
    pub(crate) unreadable: BTreeMap<Version, String>,
    /// What an instance costs for each hour, as its file or its size says; `None` where neither does.
    pub(crate) price_per_hour: Option<f64>,
    /// What its instances cost for each hour now, whatever their phases and versions.
    pub(crate) cost_per_hour: Option<f64>,
    /// Requests per second that clients ask for; `None` when not known.
    pub(crate) offered_rps: Option<f64>,
    pub(crate) decision: Option<Decided>,
}

/// The mark of what an operator set while the service runs.
#[derive(Debug, Serialize)]
pub(crate) struct Set<T> {
    /// What would hold else; `None` when the file cannot be read.
    pub(crate) file_says: Option<T>,
    /// What was set, where it is not in force: it waits until the service's file allows it.
    pub(crate) waits: Option<T>,
}

/// What the scaler decided last for a service.
#[derive(Debug, Serialize)]
pub(crate) struct Decided {
    pub(crate) at_ms: u64,
    /// How many ready instances it wants; `None` when it holds what there is.
    pub(crate) ready: Option<u32>,
    pub(crate) reasons: Vec<Reason>,
    /// What was wanted beside and waits.
    pub(crate) blocked: Vec<Blocked>,
}

/// One instance.
#[derive(Debug, Serialize)]
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) slot: Slot,
    /// None when the subnet has become too small for the slot.
    pub(crate) address: Option<Ipv4Addr>,
    /// Its version; `None` where the scaler does not tell.
    pub(crate) version: Option<Version>,
    /// Its phase; without the scaler, `running` or `stopped`.
    pub(crate) phase: &'static str,
    /// Whether an operator wants it gone.
    pub(crate) to_be_removed: bool,
    /// When it was planned, in milliseconds since 1970.
    pub(crate) born_ms: u64,
}
