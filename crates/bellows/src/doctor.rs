//! `bellows doctor`: whether this machine can run Bellows. Reading ([`reading`]) is apart from
//! judging (one small function a check), and all failures are told at once.

mod disk;
mod finding;
mod kernel;
mod ports;
mod reading;
mod software;

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;

use anyhow::anyhow;
use command_line::terminal;
use host::cgroups::Cgroups;
use host::command::HostRunner;
use host::id_map::IdMap;
use host::id_ranges::{IdRangeError, IdRanges};
use host::network::{Network, conflicts};
use host::settings::Settings;
use model::network::Drift;
use serde::Serialize;

use crate::code::Code;
use crate::error::Coded;
use crate::json::{self, FORMAT};
use crate::programs::{self, Programs};
use finding::{Finding, Shown, Verdict, bad};

/// The checks whose failure has a code of its own.
const ROOT: &str = "root";
const PORTS: &str = "ports";
const DISK: &str = "disk";

/// Prints every finding; fails when one is bad.
pub(crate) async fn run(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let findings = all(settings).await;
    let count = failures(&findings).len();
    if json {
        json::print(&List::of(&findings))?;
    } else {
        findings.iter().try_for_each(terminal::tell_line)?;
    }
    if count > 0 {
        let told = format!("{count} of the checks failed; nothing was changed");
        return Err(not_ready(&findings, &told));
    }
    if !json {
        terminal::tell_line("This machine can run Bellows.")?;
    }
    Ok(())
}

/// The findings, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    /// Whether this machine can run Bellows.
    is_ready: bool,
    checks: Vec<Shown<'a>>,
}

impl<'a> List<'a> {
    fn of(findings: &'a [Finding]) -> Self {
        let is_ready = findings.iter().all(|finding| finding.verdict.is_ok());
        let checks = findings.iter().map(Finding::shown).collect();
        Self { format: FORMAT, is_ready, checks }
    }
}

/// Every finding, a line for each.
pub(crate) async fn told(settings: &Settings) -> String {
    all(settings).await.iter().map(|finding| format!("{finding}\n")).collect()
}

async fn all(settings: &Settings) -> Vec<Finding> {
    let mut findings = examine(settings, programs::needs_egress(settings)).await;
    // Not for `up`, which puts them in place.
    findings.push(Finding { check: "rules", verdict: rules(settings).await });
    // Nor this, without which instances run all the same.
    findings.push(Finding { check: "swap", verdict: swap() });
    findings
}

/// Fails with all that is wrong, and prints nothing when nothing is. `needs_egress` says whether a service is to reach
/// anything beyond the host.
pub(crate) async fn require(settings: &Settings, needs_egress: bool) -> anyhow::Result<()> {
    let findings = examine(settings, needs_egress).await;
    let failures = failures(&findings);
    let (count, lines) = (failures.len(), failures.join("\n"));
    let told = format!("{count} of the checks failed; nothing was changed\n{lines}");
    if count == 0 { Ok(()) } else { Err(not_ready(&findings, &told)) }
}

/// Fails for anybody but root.
pub(crate) fn require_root() -> anyhow::Result<()> {
    let told = || Coded::new(Code::NotRoot, anyhow!("this needs root: run it with sudo"));
    nix::unistd::geteuid().is_root().then_some(()).ok_or_else(|| told().into())
}

/// The error of a machine that cannot run Bellows. Where one check alone failed, it has the code of that.
fn not_ready(findings: &[Finding], told: &str) -> anyhow::Error {
    let mut failed = findings.iter().filter(|finding| finding.verdict.is_err());
    let code = match (failed.next().map(|finding| finding.check), failed.next()) {
        (Some(ROOT), None) => Code::NotRoot,
        (Some(PORTS), None) => Code::PortTaken,
        (Some(DISK), None) => Code::DiskFull,
        _ => Code::HostNotReady,
    };
    Coded::new(code, anyhow!("{told}")).into()
}

fn failures(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|f| f.verdict.is_err()).map(ToString::to_string).collect()
}

async fn examine(settings: &Settings, needs_egress: bool) -> Vec<Finding> {
    let lxc_folder = reading::nearest_existing(&settings.paths.lxc);
    let actions = reading::text("/proc/sys/kernel/seccomp/actions_avail");
    let namespaces = reading::text("/proc/sys/user/max_user_namespaces");
    let apparmor = reading::text("/sys/module/apparmor/parameters/enabled");
    let apparmor_parser = programs::find("apparmor_parser");
    let mounts = reading::text("/proc/self/mounts").unwrap_or_default();
    let unified = reading::text("/sys/fs/cgroup/cgroup.controllers");
    let folders = [&settings.paths.state, &settings.paths.lxc];
    let verdicts = [
        (ROOT, software::root(nix::unistd::geteuid().as_raw())),
        ("programs", software::programs(&programs::search_path(), Path::exists)),
        ("lxc", software::lxc(&reading::lxc().await)),
        ("haproxy", software::haproxy(reading::haproxy_banner().await.as_deref())),
        ("overlay", kernel::overlay(reading::overlay(lxc_folder), lxc_folder)),
        ("loop devices", kernel::loop_devices(Path::new("/dev/loop-control").exists())),
        ("cgroups", kernel::cgroups(&mounts, unified.as_deref())),
        ("user namespaces", kernel::user_namespaces(namespaces.as_deref())),
        ("id ranges", id_ranges(settings)),
        ("seccomp", kernel::seccomp(actions.as_deref())),
        ("apparmor", kernel::apparmor(apparmor.as_deref(), apparmor_parser.is_absolute())),
        ("network devices", kernel::network_devices(reading::network_devices().await)),
        ("firewall", kernel::firewall(reading::firewall().await)),
        (PORTS, ports::ports(&wanted_ports(settings, needs_egress).await)),
        ("subnet", subnet(settings).await),
        ("certificate", certificate(settings).await),
        (DISK, disk::disk(&folders.map(|folder| reading::room(folder)))),
    ];
    verdicts.map(|(check, verdict)| Finding { check, verdict }).into()
}

async fn wanted_ports(settings: &Settings, needs_egress: bool) -> Vec<ports::Wanted> {
    let sockets = reading::tcp_sockets();
    let ours = our_pids(settings).await;
    let state = |(key, address)| {
        let address = SocketAddr::V4(address);
        let state = reading::port_state(&sockets, address, &ours);
        ports::Wanted { key, address, state }
    };
    addresses(settings, needs_egress).map(state).collect()
}

/// Where Bellows listens, by the keys that say so; without one, where nobody is to.
fn addresses(
    settings: &Settings,
    needs_egress: bool,
) -> impl Iterator<Item = (Option<&'static str>, SocketAddrV4)> {
    let listen = &settings.listen;
    let tls = settings.tls.as_ref().map(|tls| (Some("tls.listen"), tls.listen));
    let always = [
        (Some("listen.services"), listen.services),
        (Some("listen.statistics"), listen.statistics),
        (Some("listen.api"), listen.api),
        (Some("network.reach_port"), settings.network.reach()),
        (Some("network.reach_port"), settings.network.streams()),
        (None, host::haproxy::HOLD),
    ];
    // Another proxy may have its port where no service has a way out.
    let way_out = needs_egress.then(|| (Some("network.egress_port"), settings.network.egress()));
    always.into_iter().chain(tls).chain(way_out)
}

/// Whether HTTPS can be spoken where it is wanted.
async fn certificate(settings: &Settings) -> Verdict {
    let Some(tls) = &settings.tls else {
        return Ok("none: HTTPS is off ([tls] in bellows.toml)".into());
    };
    match host::haproxy::check_certificate(&programs::find("haproxy"), tls).await {
        Ok(()) => Ok(format!("{} can be used", tls.certificate.display())),
        Err(error) => {
            bad(format!("{:#}", anyhow::Error::from(error)), "mend [tls] in bellows.toml")
        }
    }
}

/// The processes of the running Bellows; empty where they cannot be told.
async fn our_pids(settings: &Settings) -> Vec<i32> {
    let Ok(programs) = Programs::new(settings) else { return Vec::new() };
    programs.pids().await
}

/// Whether the services have ids of their own, and another one can be given some; `up` adds a range to the
/// tables where nobody has it.
fn id_ranges(settings: &Settings) -> Verdict {
    let ranges = IdRanges::new(settings);
    let next = || -> Result<String, IdRangeError> {
        let given = ranges.given()?;
        for range in given.values() {
            IdMap::of_host(&settings.paths.state, *range).check()?;
        }
        let next = ranges.next(&given)?;
        Ok(format!(
            "{} given; the next is {} and the {} above",
            given.len(),
            next.first,
            next.count - 1
        ))
    };
    next().or_else(|error| {
        bad(error.to_string(), "free these ids, or set another id_map.first in bellows.toml")
    })
}

/// Whether nothing else on the host uses the instances' subnet.
async fn subnet(settings: &Settings) -> Verdict {
    let subnet = settings.network.subnet;
    match conflicts(&HostRunner, &settings.network).await {
        Ok(found) if found.is_empty() => Ok(format!("{subnet} is free or our own")),
        Ok(found) => {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            bad(
                format!("{subnet} overlaps {}", found.join(", ")),
                "set network.subnet in bellows.toml to another private network",
            )
        }
        Err(error) => bad(
            format!("the host's routes cannot be read: {error}"),
            "apt-get install --no-install-recommends iproute2",
        ),
    }
}

/// Whether instances stay within their memory where the host can swap.
fn swap() -> Verdict {
    match Cgroups::of_host() {
        Ok(cgroups) => kernel::swap(reading::has_swap(), cgroups.limit_swap()),
        Err(error) => bad(error.to_string(), "mount /proc"),
    }
}

/// Whether the instances' firewall is as it was put in place.
async fn rules(settings: &Settings) -> Verdict {
    let network = Network::new(settings, HostRunner);
    let drift = network.drift().await;
    judge_rules(network.is_promised(), drift.map_err(|error| error.to_string()))
}

fn judge_rules(is_promised: bool, drift: Result<Option<Drift>, String>) -> Verdict {
    match drift {
        Ok(None) if is_promised => Ok("the instances' firewall is in place".to_owned()),
        Ok(None) => Ok("none are in place; `up` makes them".to_owned()),
        Ok(Some(drift)) => bad(
            format!("rules of the instances' firewall are {drift}: instances reach the host"),
            "./just up puts them back; the scaler does so by itself while it runs",
        ),
        Err(error) => bad(
            format!("the instances' firewall cannot be compared: {error}"),
            "apt-get install --no-install-recommends nftables",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_missing_are_bad_and_none_before_the_first_up_are_not() {
        assert!(judge_rules(true, Ok(None)).is_ok());
        assert!(judge_rules(false, Ok(None)).is_ok());
        for drift in [Drift::Missing, Drift::Changed] {
            let verdict = judge_rules(true, Ok(Some(drift)));
            let text = Finding { check: "rules", verdict }.to_string();
            assert!(text.starts_with("  FAIL") && text.contains(&drift.to_string()), "{text}");
        }
    }

    #[test]
    fn every_port_is_looked_at_and_that_of_the_way_out_where_there_is_one() {
        let looked_at = |needs_egress| {
            let settings = Settings::default();
            let addresses = addresses(&settings, needs_egress);
            addresses.map(|(_, address)| address.to_string()).collect::<Vec<_>>()
        };
        let without = looked_at(false);
        insta::assert_snapshot!(without.join(" "), @"127.0.0.1:8080 127.0.0.1:8404 127.0.0.1:8090 10.117.0.1:8070 10.117.0.1:8071 127.0.0.1:1");
        assert_eq!(looked_at(true), [without, vec!["10.117.0.1:3128".to_owned()]].concat());
    }

    #[test]
    fn a_machine_that_is_not_ready_has_the_code_of_the_one_check_that_failed() {
        let told = |checks: &[&'static str]| {
            let finding = |check: &&'static str| Finding { check, verdict: bad("a", "b") };
            let well = Finding { check: "lxc", verdict: Ok(String::new()) };
            let findings: Vec<_> = checks.iter().map(finding).chain([well]).collect();
            not_ready(&findings, "not ready").downcast::<Coded>().unwrap().code()
        };
        assert_eq!(told(&[PORTS]), Code::PortTaken);
        assert_eq!(told(&[DISK]), Code::DiskFull);
        assert_eq!(told(&[ROOT]), Code::NotRoot);
        assert_eq!(told(&["cgroups"]), Code::HostNotReady);
        assert_eq!(told(&[PORTS, DISK]), Code::HostNotReady);
    }

    #[test]
    fn what_it_prints_is_read_by_the_scaler() {
        let findings = [("lxc", Ok("well".to_owned())), ("disk", bad("full", "make room"))]
            .map(|(check, verdict)| Finding { check, verdict });
        let printed = serde_json::to_value(List::of(&findings)).unwrap();
        let read: Vec<model::machine::Check> =
            serde_json::from_value(printed["checks"].clone()).unwrap();
        let told = read.iter().map(|it| (it.check.as_str(), it.is_well, it.cure.as_deref()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("lxc", true, None), ("disk", false, Some("make room"))]
        );
    }

    #[test]
    fn all_failures_are_shown_at_once_each_with_its_cure() {
        let findings = [
            ("root", Ok("running as root".to_owned())),
            ("lxc", bad("LXC is not installed", "apt-get install lxc")),
            ("disk", bad("0.1 GiB free", "make room")),
        ]
        .map(|(check, verdict)| Finding { check, verdict });
        assert_eq!(failures(&findings).len(), 2);
        let json = serde_json::to_value(List::of(&findings)).unwrap();
        assert_eq!((&json["format"], &json["is_ready"]), (&1.into(), &false.into()));
        assert_eq!(
            (&json["checks"][0]["cure"], &json["checks"][2]["cure"]),
            (&serde_json::Value::Null, &"make room".into())
        );
        insta::assert_snapshot!(findings.map(|finding| finding.to_string()).join("\n"), @r"
        ok    root             running as root
        FAIL  lxc              LXC is not installed
                               cure: apt-get install lxc
        FAIL  disk             0.1 GiB free
                               cure: make room
        ");
    }
}
