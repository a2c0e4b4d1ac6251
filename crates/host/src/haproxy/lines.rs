//! Which line of HAProxy's file each instance has, and how many lines there are.
//!
//! The lines of a backend are its servers `SERVICE.1`, `SERVICE.2` and so on. Commands give a free one
//! to an instance, with all that belongs to that; they cannot add a line. So there are spare ones, and
//! only when those are used up it takes a reload.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use model::names::ServiceName;
use model::paths::HealthPath;
use model::service::Route;

use super::backends::{Backend, Backends, Fixed, Server, ServerState};
use super::checks::Checks;
use super::limits::Limits;
use super::reach::{self, Entries};
use crate::slots;

/// Lines on a host. HAProxy counts a file descriptor for each and 18,044 for all else that the template
/// asks for (`Maxsock` of `show info`), and refuses to start above its hard limit, which is 20,000 on some
/// hosts. 1,300 lines take 10 MB of a worker's memory, and 1 ms at each change to list them.
const HOST_LINES_MAX: u32 = 1_500;

/// Lines beside those for a backend's upper bound, at least: a replacement starts before the instance it
/// replaces has drained, and a drain may take as long as the longest request.
const SPARE_MIN: u32 = 3;

/// Spare lines as a share of the upper bound, in percent.
const SPARE_PERCENT: u32 = 30;

/// The name of a server: the line `number` of the backend of `service`. Services have no dot in their
/// names, so each name is there once on the host.
pub(super) fn name(service: &ServiceName, number: u32) -> String {
    format!("{service}.{number}")
}

/// The number in such a name; `None` for a server that is no line of this backend.
pub(super) fn number(backend: &str, server: &str) -> Option<u32> {
    server.strip_prefix(backend)?.strip_prefix('.')?.parse().ok()
}

/// What is noted of a line beside its address, as `s17/8/healthz`: the instance's name for clients, its
/// limit, and the path of its health check, if it has one. HAProxy reads the first and the last from a map.
pub(super) fn record(server: &Server) -> String {
    let health_path = server.health_path.as_ref().map_or("", HealthPath::as_str);
    format!("{}/{}{health_path}", slots::server(server.slot), server.concurrency)
}

/// A line as the running process has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunningLine {
    pub(super) address: Option<SocketAddrV4>,
    pub(super) state: ServerState,
    /// Rendered as draining, which is a weight of 0. The state `ready` alone does not raise it.
    pub(super) weightless: bool,
    /// Whether its checks fail.
    pub(super) down: bool,
    /// See [`record`]; `None` of a line that was never used.
    pub(super) record: Option<String>,
}

/// The lines of a running backend by their numbers.
pub(super) type RunningLines = BTreeMap<u32, RunningLine>;

/// The lines of every backend, and what instances may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) backends: Vec<BackendLines>,
    pub(super) entries: Entries,
}

/// The lines of one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BackendLines {
    pub(super) service: ServiceName,
    pub(super) route: Option<Route>,
    /// Whether it takes connections and not requests.
    pub(super) is_tcp: bool,
    pub(super) limits: Limits,
    pub(super) checks: Checks,
    /// How many there are.
    pub(super) count: u32,
    /// The instances by the number of their line.
    pub(super) servers: BTreeMap<u32, Server>,
}

impl BackendLines {
    /// What is said of the backend that only a reload changes.
    pub(super) fn fixed(&self) -> Fixed<'_> {
        (&self.service, self.route.as_ref(), self.is_tcp, self.limits, self.checks.clone())
    }
}

impl Layout {
    /// The lines of a process that starts anew.
    pub(super) fn new(desired: &Backends) -> Self {
        let lines = |(backend, count): (&Backend, u32)| BackendLines {
            service: backend.service.clone(),
            route: backend.route.clone(),
            is_tcp: backend.tcp_port.is_some(),
            limits: Limits::of(backend.drain_timeout),
            checks: Checks::of(backend),
            count,
            servers: (1..).zip(backend.servers.iter().cloned()).collect(),
        };
        Self {
            backends: desired.iter().zip(counts(desired)).map(lines).collect(),
            entries: reach::entries(desired),
        }
    }

    /// The lines of a process that runs and keeps those it has: an instance stays where it is, and new
    /// ones get the first free lines. `None` when there are too few.
    pub(super) fn within(
        running: &BTreeMap<String, RunningLines>,
        desired: &Backends,
    ) -> Option<Self> {
        let lines = |backend: &Backend| {
            let running = running.get(backend.service.as_str())?;
            Some(BackendLines {
                service: backend.service.clone(),
                route: backend.route.clone(),
                is_tcp: backend.tcp_port.is_some(),
                limits: Limits::of(backend.drain_timeout),
                checks: Checks::of(backend),
                count: running.last_key_value().map_or(0, |(last, _)| *last),
                servers: place(running, &backend.servers)?,
            })
        };
        let backends = desired.iter().map(lines).collect::<Option<_>>()?;
        Some(Self { backends, entries: reach::entries(desired) })
    }
}

/// Gives each server a line: the one in use with its address, or else the first free one.
fn place(running: &RunningLines, servers: &[Server]) -> Option<BTreeMap<u32, Server>> {
    let is_free = |(_, line): &(&u32, &RunningLine)| line.state == ServerState::Maint;
    let (free, used): (BTreeMap<_, _>, BTreeMap<_, _>) = running.iter().partition(is_free);
    let mut free = free.into_keys();
    let by_address: BTreeMap<_, _> = used.into_iter().map(|(n, line)| (line.address, n)).collect();
    let place = |server: &Server| {
        let number = by_address.get(&Some(server.address)).copied().or_else(|| free.next())?;
        Some((*number, server.clone()))
    };
    servers.iter().map(place).collect()
}

/// How many lines each backend gets: enough for its upper bound and the spare ones, where that is
/// possible for all of them. Otherwise what no instance needs is shared out by how many instances there
/// are already: one that keeps growing gets several times as many lines with each reload.
fn counts(desired: &Backends) -> Vec<u32> {
    let used = |backend: &Backend| u32::try_from(backend.servers.len()).unwrap_or(u32::MAX);
    let wish = |backend: &Backend| {
        let wanted = backend.max_servers.max(used(backend));
        wanted + (wanted * SPARE_PERCENT).div_ceil(100).max(SPARE_MIN)
    };
    let (wishes, all_used): (Vec<_>, Vec<_>) = desired.iter().map(|b| (wish(b), used(b))).unzip();
    if wishes.iter().sum::<u32>() <= HOST_LINES_MAX {
        return wishes;
    }
    let total = all_used.iter().sum::<u32>();
    let left = HOST_LINES_MAX.saturating_sub(total);
    let shares = total + u32::try_from(wishes.len()).unwrap_or(u32::MAX);
    let count = |(wish, used): (u32, u32)| wish.min(used + left * (used + 1) / shares);
    wishes.into_iter().zip(all_used).map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::super::backends::ServerState::{Drain, Maint, Ready};
    use super::super::backends::tests::backend;
    use super::*;

    /// Backends of so many servers each, that may come to have so many.
    fn backends(all: &[(u32, u32)]) -> Backends {
        let mut first = 1;
        let backend = |(index, (used, max_servers)): (usize, &(u32, u32))| {
            let states = vec![Ready; *used as usize];
            let prefix = format!("/{index}");
            let made = backend(&format!("b{index}"), &prefix, first, &states);
            first += used;
            Backend { max_servers: *max_servers, ..made }
        };
        Backends::new(all.iter().enumerate().map(backend).collect()).unwrap()
    }

    fn line(address: Option<SocketAddrV4>, state: ServerState) -> RunningLine {
        RunningLine { address, state, weightless: false, down: false, record: None }
    }

    #[test]
    fn a_backend_has_lines_for_its_upper_bound_and_three_tenths_more() {
        let lines = counts(&backends(&[(2, 10), (0, 2), (9, 4), (0, 750)]));
        assert_eq!(lines, [13, 5, 12, 975]);
        assert_eq!(counts(&backends(&[(2, 10); 100])), [13; 100]);
    }

    #[test]
    fn where_upper_bounds_exceed_the_host_lines_follow_the_instances_and_stay_within_it() {
        let many = counts(&backends(&[(2, 100); 100]));
        assert_eq!(many, [15; 100]);
        let mut grown = [(2, 100); 100];
        grown[0] = (15, 100);
        assert_eq!(counts(&backends(&grown))[0], 80, "several times as many as were used up");
        for all in [vec![(900, 750), (50, 750), (50, 750)], vec![(0, 750); 400], vec![(1, 9); 1000]]
        {
            let desired = backends(&all);
            let counts = counts(&desired);
            assert!(counts.iter().sum::<u32>() <= HOST_LINES_MAX, "{counts:?}");
            assert!(desired.iter().zip(counts).all(|(b, count)| b.servers.len() <= count as usize));
        }
    }

    #[test]
    fn an_instance_stays_on_its_line_and_new_ones_get_the_first_free() {
        let desired = Backends::new(vec![backend("b", "/", 1, &[Ready, Drain, Ready])]).unwrap();
        let address = |index: usize| Some(desired.servers().nth(index).unwrap().1.address);
        let elsewhere = Some("10.117.0.200:8080".parse().unwrap());
        let running = |lines: Vec<RunningLine>| {
            [("b".to_owned(), (1..).zip(lines).collect::<RunningLines>())].into()
        };
        let placed = |lines: Vec<RunningLine>| {
            let layout = Layout::within(&running(lines), &desired)?;
            let servers = layout.backends[0].servers.iter();
            Some(servers.map(|(number, s)| (*number, s.slot.get())).collect::<Vec<_>>())
        };
        let lines = vec![
            line(elsewhere, Maint),
            line(address(1), Ready),
            line(elsewhere, Ready),
            line(elsewhere, Maint),
        ];
        assert_eq!(placed(lines.clone()), Some(vec![(1, 1), (2, 2), (4, 3)]));
        let mut few = lines;
        few.truncate(3);
        assert_eq!(placed(few), None);
        assert_eq!(Layout::within(&BTreeMap::new(), &desired), None);
    }

    #[test]
    fn a_number_is_read_only_from_a_line_of_the_same_backend() {
        let service = "store".parse().unwrap();
        assert_eq!(number("store", &name(&service, 17)), Some(17));
        for other in ["hold", "store", "store.x", "storey.1", "stor.1"] {
            assert_eq!(number("store", other), None, "{other}");
        }
    }
}
