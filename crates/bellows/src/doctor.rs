//! `bellows doctor`: whether this machine can run Bellows. Reading ([`reading`]) is apart from
//! judging (one small function a check), and all failures are told at once.

mod disk;
mod finding;
mod kernel;
mod ports;
mod reading;
mod software;

use std::net::SocketAddr;
use std::path::Path;

use host::command::HostRunner;
use host::deployments::Deployments;
use host::id_map::{Grant, IdMap};
use host::network::conflicts;
use host::settings::Settings;

use crate::error::Error;
use crate::programs::{self, Programs};
use finding::{Check, Finding, Findings};

/// Prints every finding; fails when one is bad.
pub(crate) async fn run(settings: &Settings) -> Result<(), Error> {
    let findings = examine(settings).await;
    print!("{findings}");
    match findings.bad_count() {
        0 => {
            println!("This machine can run Bellows.");
            Ok(())
        }
        count => Err(Error::Doctor { count, failures: String::new() }),
    }
}

/// Fails with all that is wrong, and prints nothing when nothing is.
pub(crate) async fn require(settings: &Settings) -> Result<(), Error> {
    let findings = examine(settings).await;
    match findings.bad_count() {
        0 => Ok(()),
        count => Err(Error::Doctor { count, failures: format!("\n{}", findings.failures()) }),
    }
}

async fn examine(settings: &Settings) -> Findings {
    let lxc_folder = reading::nearest_existing(&settings.paths.lxc);
    let actions = reading::text("/proc/sys/kernel/seccomp/actions_avail");
    let namespaces = reading::text("/proc/sys/user/max_user_namespaces");
    let apparmor = reading::text("/sys/module/apparmor/parameters/enabled");
    let mounts = reading::text("/proc/self/mounts").unwrap_or_default();
    let unified = reading::text("/sys/fs/cgroup/cgroup.controllers");
    let folders = [&settings.paths.state, &settings.paths.lxc];
    Findings(vec![
        software::root(nix::unistd::geteuid().as_raw()),
        software::programs(&programs::search_path(), Path::exists),
        software::lxc(&reading::lxc().await),
        software::haproxy(reading::haproxy_banner().await.as_deref()),
        kernel::overlay(reading::overlay(lxc_folder), &lxc_folder.display().to_string()),
        kernel::cgroups(&mounts, unified.as_deref()),
        kernel::user_namespaces(namespaces.as_deref()),
        id_range(settings),
        kernel::seccomp(actions.as_deref()),
        kernel::apparmor(apparmor.as_deref(), programs::find("apparmor_parser").is_absolute()),
        kernel::network_devices(reading::network_devices().await),
        kernel::firewall(reading::firewall().await),
        ports::ports(&wanted_ports(settings).await),
        subnet(settings).await,
        disk::disk(&folders.map(|folder| reading::room(folder))),
    ])
}

async fn wanted_ports(settings: &Settings) -> Vec<ports::Wanted> {
    let sockets = reading::tcp_sockets();
    let ours = our_pids(settings).await;
    let listen = &settings.listen;
    [
        (Some("services"), listen.services),
        (Some("statistics"), listen.statistics),
        (Some("api"), listen.api),
        (None, host::haproxy::HOLD),
    ]
    .map(|(key, address)| {
        let address = SocketAddr::V4(address);
        let state = reading::port_state(&sockets, address, &ours);
        ports::Wanted { key, address, state }
    })
    .into()
}

/// The processes of the running Bellows; empty where they cannot be told.
async fn our_pids(settings: &Settings) -> Vec<i32> {
    let settings_file = Deployments::new(&settings.paths.state).settings_file();
    let Ok(programs) = Programs::new(settings, &settings_file) else {
        return Vec::new();
    };
    let running = programs.list().await.into_iter().flatten();
    running.filter_map(|program| programs::pid(program.status)).collect()
}

/// Whether instances can be given ids of their own; `up` adds the range where nobody has it.
fn id_range(settings: &Settings) -> Finding {
    let range = settings.id_map;
    let span = format!("{} to {}", range.first, range.first + (range.count - 1));
    match IdMap::of_host(&settings.paths.state, range).check() {
        Ok(Grant::Present) => Finding::good(Check::IdRange, format!("root has {span}")),
        Ok(Grant::Absent) => Finding::good(Check::IdRange, format!("{span} is free")),
        Err(error) => Finding::bad(
            Check::IdRange,
            error.to_string(),
            "set id_map.first in bellows.toml to the start of a range that nobody has",
        ),
    }
}

/// Whether nothing else on the host uses the instances' subnet.
async fn subnet(settings: &Settings) -> Finding {
    let subnet = settings.network.subnet;
    let cure = "set network.subnet in bellows.toml to another private network";
    match conflicts(&HostRunner, &settings.network).await {
        Ok(found) if found.is_empty() => {
            Finding::good(Check::Subnet, format!("{subnet} is free or our own"))
        }
        Ok(found) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            Finding::bad(Check::Subnet, format!("{subnet} overlaps {}", found.join(", ")), cure)
        }
        Err(error) => Finding::bad(
            Check::Subnet,
            format!("the host's routes cannot be read: {error}"),
            "apt-get install --no-install-recommends iproute2",
        ),
    }
}
