//! A service's file: what an operator says of a service, validated.

mod actions;
mod capacity;
mod egress;
mod health;
mod instance;
mod places;
mod protocol;
mod raw;
mod reaches;
mod release;
mod rollout;
mod route;
#[cfg(feature = "schema")]
pub mod schema;
mod secrets;
mod shared;
mod start;
mod stateful;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::actions::{ActionAnswer, ActionMethod, ServiceAction, ServiceActions};
pub use self::capacity::Capacity;
pub use self::health::{HealthCheck, HealthStatus, HealthStatusError};
pub use self::protocol::{HttpHealth, Protocol};
pub use self::raw::RawService;
pub use self::reaches::{ReachError, check_reaches};
pub use self::release::ReleaseCommand;
pub use self::route::{Route, SameRoute, check_routes};
pub use self::secrets::SecretSpec;
pub use self::shared::{NotShared, check_mounts};
pub use self::start::StartSpec;
pub use self::stateful::{STATEFUL, own_folder};
use crate::bounds::Bounds;
use crate::egress::Egress;
use crate::names::{ActionName, ImageName, ServiceName};
use crate::policies::PolicySpec;
use crate::size::Sizes;
use crate::value::{Checked, Invalid, check};

/// A service, as described by its file in `services/`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// Its name, unique on the host.
    pub name: ServiceName,
    /// The recipe in `rootfs/` that makes its image.
    pub image: ImageName,
    /// What it is asked for.
    pub demand: Demand,
    /// What an instance is given.
    pub instance: InstanceSpec,
    /// What an instance costs for each hour that it is there; `None` where nobody has said it.
    pub price_per_hour: Option<f64>,
    /// How its instances' health is checked.
    pub health_check: HealthCheck,
    /// What it may reach beyond this host.
    pub egress: Egress,
    /// The objective of a request: the expected answer within this time of the moment it was due.
    pub objective: Duration,
    /// How many ready instances there may be, until an operator sets others.
    pub bounds: Bounds,
    /// How the number of ready instances is chosen.
    pub policy: PolicySpec,
    /// What holds back more instances.
    pub scale_out: Rules,
    /// How instances leave.
    pub scale_in: ScaleIn,
    /// How an instance takes the place of another.
    pub replacement: Replacement,
    /// How long a new version's first instance is watched beside the old ones before it serves. Zero where
    /// it is not, which is always so where the old one leaves first.
    pub watch: Duration,
    /// How long its release command may take.
    pub release_timeout: Duration,
    /// Whether it has one instance at most and a folder of its own.
    pub stateful: bool,
    /// What can be done with it by one request.
    pub actions: BTreeMap<ActionName, ServiceAction>,
    /// The service's own configuration, handed to each instance as `/etc/bellows/service.toml`.
    pub application: toml::Table,
}

/// What a service is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// Requests through the load balancer.
    Requests(Requests),
    /// Nothing that is counted: its policy goes by the clock or by the CPU time of its instances.
    Uncounted,
}

/// The requests that a service is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Requests {
    /// Which of those from outside go to the service. `None` for a service that is there for others alone,
    /// which reach it by its name.
    pub route: Option<Route>,
    /// What an instance can do with them.
    pub capacity: Capacity,
}

/// What an instance of a service is given.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSpec {
    /// What it runs, and as whom.
    pub start: StartSpec,
    /// TCP port that it serves on.
    pub port: u16,
    /// What it serves there.
    pub protocol: Protocol,
    /// Memory limit in MiB.
    pub memory_mib: u32,
    /// Share of CPU time in cores.
    pub cpus: f64,
    /// Its share beside others where the host has not enough for all; `None` is the kernel's own, 100.
    pub cpu_weight: Option<u32>,
    /// Limit on processes and threads.
    pub processes: u32,
    /// Limit on the files, sockets and pipes that each of its processes has open.
    pub open_files: u32,
    /// The rights of root that its root has, over its own users, files and ports alone.
    pub capabilities: BTreeSet<Capability>,
    /// What it may do with its root file system.
    pub root: RootAccess,
    /// What all instances of a version may write to their roots, together, in MiB; `None` where these are
    /// read-only.
    pub layer_mib: Option<u32>,
    /// Folders of its own that it may write to, in its memory.
    pub writable: Vec<WritableFolder>,
    /// Folders of the host that are mounted in it.
    pub mounts: Vec<Mount>,
    /// What it is told that nobody else is.
    pub secrets: Vec<SecretSpec>,
    /// The services that it may send requests to, by their names.
    pub reaches: BTreeSet<ServiceName>,
}

/// A right of root that an instance's root may have: those that images need to start as root and step
/// down to another user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Give files to others.
    Chown,
    /// Read and write files whatever their mode.
    DacOverride,
    /// Change mode and times of files of others.
    Fowner,
    /// Become another user.
    Setuid,
    /// Become another group.
    Setgid,
    /// Send signals to processes of others.
    Kill,
    /// Listen on ports below 1024.
    NetBindService,
}

/// What an instance may do with its root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RootAccess {
    /// Write to a layer of its own, on the disk of the host and within [`InstanceSpec::layer_mib`].
    #[default]
    Writable,
    /// Read.
    ReadOnly,
}

/// A folder that an instance may write to, as a tmpfs: it counts as memory, and ends with the instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WritableFolder {
    /// Absolute path in the instance.
    pub path: String,
    /// The most that it holds, in MiB.
    pub size_mib: u32,
    /// Whether programs in it can be run.
    #[serde(default)]
    pub exec: bool,
}

/// A folder below the state directory, mounted in every instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The folder below the state directory: one with a name, or the service's own, `stateful/NAME`.
    pub source: String,
    /// Absolute path in the instance.
    pub target: String,
    /// Whether other services that say the same may mount it too.
    pub shared: bool,
}

/// The rules of one direction, out or in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// How long the need must have stayed beyond the number that is decided, without a break. The
    /// least of what was asked for in that time is done.
    pub patience: Duration,
    /// Out: the least time from one rise to the next. In: from any change to a fall, so that
    /// nothing is taken away that was just given.
    pub cooldown: Duration,
    /// The largest change at once; `None` for any.
    pub largest_step: Option<LargestStep>,
}

/// The largest change at once. Where both are given, the larger one counts; it is one instance at
/// least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargestStep {
    /// Instances.
    pub count: Option<u32>,
    /// Percent of the number decided before, rounded up.
    pub percent: Option<u32>,
}

/// How instances leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleIn {
    /// What holds back fewer instances.
    pub rules: Rules,
    /// How long a draining instance may take to finish its requests before it is stopped.
    pub drain_timeout: Duration,
    /// How long its processes may take from SIGTERM to their end before they are killed; zero kills
    /// at once.
    pub stop_grace: Duration,
}

impl ScaleIn {
    /// The grace of a service whose file says nothing else, and of one whose file is gone.
    pub const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);
}

/// How an instance takes the place of an outdated or unhealthy one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// The new one is launched first and the old one leaves when it is ready: no gap.
    #[default]
    Surge,
    /// The old one leaves first: there is never more than one, and a gap between them.
    Recreate,
}

impl Replacement {
    /// Whether a service that is replaced so may have these bounds.
    ///
    /// # Errors
    /// [`Invalid`] says that more than one instance can never be reached.
    pub fn allows(self, bounds: Bounds) -> Result<(), Invalid> {
        check(
            self == Self::Surge || bounds.max() == 1,
            "bounds.max",
            bounds.max(),
            "1, since rollout.replacement = \"recreate\" never has two instances; or choose \"surge\"",
        )
    }
}

impl ServiceSpec {
    /// The requests that it is asked for; `None` where it gets none.
    pub const fn requests(&self) -> Option<&Requests> {
        match &self.demand {
            Demand::Requests(requests) => Some(requests),
            Demand::Uncounted => None,
        }
    }

    /// The requests that it is asked for, for who can offer it nothing else.
    ///
    /// # Errors
    /// It gets none.
    pub fn requests_required(&self) -> Result<&Requests, Invalid> {
        let none = || format!("service {} has none: choose one that gets requests", self.name);
        self.requests().ok_or_else(|| Invalid::form("route", &none()))
    }

    /// The same for who offers them from outside.
    ///
    /// # Errors
    /// It gets none, or from other services alone.
    pub fn requests_from_outside(&self) -> Result<&Requests, Invalid> {
        let none = || {
            format!("service {} has none: only the services that reach it can ask it", self.name)
        };
        let requests = self.requests_required()?;
        self.route().map(|_| requests).ok_or_else(|| Invalid::form("route", &none()))
    }

    /// Which requests from outside go to it; `None` where none do.
    pub fn route(&self) -> Option<&Route> {
        self.requests().and_then(|requests| requests.route.as_ref())
    }

    /// How long an instance may take to its first good answer, on a host with this setting.
    pub fn launch_timeout(&self, of_host: Duration) -> Duration {
        self.health_check.launch_timeout.unwrap_or(of_host)
    }

    /// The port by which others reach it, where it takes connections and not requests.
    pub fn tcp_port(&self) -> Option<u16> {
        (self.instance.protocol == Protocol::Tcp).then_some(self.instance.port)
    }

    /// Checks that a policy can decide for the service.
    ///
    /// # Errors
    /// It goes by requests, and the service gets none; or by the rate that an instance serves, and nobody has
    /// said it.
    pub fn check_policy(&self, policy: &PolicySpec) -> Result<(), Invalid> {
        let by_requests = policy.policies().iter().find(|policy| policy.goes_by_requests());
        match (&self.demand, by_requests) {
            (Demand::Requests(requests), _) => requests.capacity.check_policy(policy),
            (Demand::Uncounted, Some(policy)) => Err(Invalid::new(
                "policy.kind",
                policy.kind(),
                "schedule, or hpa, ratio, steps or threshold with measure = \"cpu\": the service has \
                 no [route], and so no requests to go by",
            )),
            (Demand::Uncounted, None) => Ok(()),
        }
    }
}

impl LargestStep {
    /// The largest change from `current`, in instances.
    pub fn from(self, current: u32) -> u32 {
        let share = |percent| u32::saturating_mul(current, percent).div_ceil(100);
        let count = self.count.unwrap_or(0);
        count.max(self.percent.map_or(0, share)).max(1)
    }
}

impl Checked for ServiceSpec {
    type Raw = RawService;

    fn from_raw(raw: RawService) -> Result<Self, Invalid> {
        raw.checked(&Sizes::default())
    }
}
