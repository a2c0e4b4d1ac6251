//! What the running HAProxy holds, in its own words, and the commands that lead from there to what
//! it should hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use model::names::{ServiceName, Slot};
use tokio::time::{Instant, sleep};

use super::admin::{Session, ask_once};
use super::backends::{Backends, Server, ServerState};
use super::error::HaproxyError;
use super::lines::{self, Layout, RunningLine, RunningLines};
use super::reach::{self, Entries};
use super::settings::HaproxySettings;
use super::template::Shape;
use crate::slots::Subnet;

/// The id of a process of HAProxy.
pub(super) type Pid = u32;

/// The current worker's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) generation: u64,
    pub(super) shape: Shape,
    /// By backend.
    lines: BTreeMap<String, RunningLines>,
    /// What instances may reach.
    entries: Entries,
    /// The name of the map of the lines' records and of what instances may reach.
    records: String,
}

/// A command on the admin socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// The service whose server it changes.
    pub(super) service: ServiceName,
    pub(super) text: String,
}

const INFO: &str = "show info";
const STATE: &str = "show servers state";
const PROCESSES: &str = "show proc";

/// Bits of `srv_admin_state` for maintenance: forced, inherited, or for want of an address. The bit
/// 0x04 only recalls that the server was disabled in the file.
const MAINT_BITS: u32 = 0x01 | 0x02 | 0x20;
/// Bits of `srv_admin_state` for draining: forced or inherited.
const DRAIN_BITS: u32 = 0x08 | 0x10;

impl Running {
    /// Asks the current worker. A configuration that Bellows did not render gets the empty shape. No
    /// rendered one has that, so the next change is a reload.
    pub(super) async fn observe(
        session: &mut Session,
        settings: &HaproxySettings,
    ) -> Result<Self, HaproxyError> {
        let info = session.ask(INFO).await?;
        let (generation, shape) = description(&info).unwrap_or((0, Shape::reported("")));
        let records = settings.records_file(generation);
        // A process without this map says so in words, in which no record is found.
        let map = session.ask(&format!("show map {records}")).await?;
        let map = parse_records(&map);
        let lines = lines(&session.ask(STATE).await?, &map)?;
        Ok(Self { generation, shape, lines, entries: parse_entries(&map), records })
    }

    /// The lines of this process for `desired`; `None` when there are too few.
    pub(super) fn layout(&self, desired: &Backends) -> Option<Layout> {
        Layout::within(&self.lines, desired)
    }

    /// The commands that bring what instances may reach to what is wanted. They are about no lines, and no
    /// reload is wanted for them: an instance has them before its program starts.
    pub(super) fn reach_commands(&self, layout: &Layout) -> Vec<String> {
        reach::commands(&self.records, &self.entries, &layout.entries)
    }

    /// The commands that bring the lines to what `layout`, which is of this process, says. Those that
    /// add capacity come first.
    pub(super) fn commands(&self, layout: &Layout) -> Vec<Command> {
        let mut commands = Vec::new();
        for backend in &layout.backends {
            for (number, held) in self.lines.get(backend.service.as_str()).into_iter().flatten() {
                let server = backend.servers.get(number);
                let name = lines::name(&backend.service, *number);
                let command = |text| Command { service: backend.service.clone(), text };
                let state = server.map_or(ServerState::Maint, |server| server.state);
                let texts = self.texts(&backend.service, &name, held, server);
                commands.extend(texts.into_iter().map(|text| (state, command(text))));
            }
        }
        commands.sort_by_key(|(state, _)| *state);
        commands.into_iter().map(|(_, command)| command).collect()
    }

    /// The commands for one line, where `server` is what it is to be used for. It is told to take
    /// requests only once all else is as it should be.
    fn texts(
        &self,
        service: &ServiceName,
        name: &str,
        held: &RunningLine,
        server: Option<&Server>,
    ) -> Vec<String> {
        let path = format!("{service}/{name}");
        let mut texts = Vec::new();
        if let Some(server) = server {
            let (ip, port) = (server.address.ip(), server.address.port());
            if held.address != Some(server.address) {
                texts.push(format!("set server {path} addr {ip} port {port}"));
            }
            let record = lines::record(server);
            if held.record.as_ref() != Some(&record) {
                texts.push(format!("set maxconn server {path} {}", server.concurrency));
                let verb = if held.record.is_some() { "set" } else { "add" };
                texts.push(format!("{verb} map {} {name} {record}", self.records));
            }
        }
        let state = server.map_or(ServerState::Maint, |server| server.state);
        if held.weightless && state == ServerState::Ready {
            texts.push(format!("set server {path} weight 1"));
        }
        if held.state != state {
            let word = match state {
                ServerState::Ready => "ready",
                ServerState::Drain => "drain",
                ServerState::Maint => "maint",
            };
            texts.push(format!("set server {path} state {word}"));
        }
        texts
    }

    /// Whether some instance of the service takes requests.
    pub(super) fn has_in_rotation(&self, service: &ServiceName) -> bool {
        let mut lines = self.lines.get(service.as_str()).into_iter().flatten();
        lines.any(|(_, line)| line.state == ServerState::Ready && !line.down)
    }
}

/// The generation of the worker that answers on the admin socket.
pub(super) async fn generation(admin: &Path) -> Result<u64, HaproxyError> {
    let described = description(&ask_once(admin, INFO).await?);
    let malformed = HaproxyError::Malformed { command: INFO, what: "description of Bellows" };
    described.map(|(generation, _)| generation).ok_or(malformed)
}

/// Reads `description: gen-17 shape-0123456789abcdef` out of `show info`.
fn description(info: &str) -> Option<(u64, Shape)> {
    let text = info.lines().find_map(|line| line.strip_prefix("description: gen-"))?;
    let (generation, shape) = text.trim().split_once(" shape-")?;
    Some((generation.parse().ok()?, Shape::reported(shape)))
}

/// The columns of `show servers state` that are read.
const COLUMNS: [&str; 7] = [
    "be_name",
    "srv_name",
    "srv_addr",
    "srv_port",
    "srv_uweight",
    "srv_op_state",
    "srv_admin_state",
];

/// Reads `show servers state`, a version, a header and a row for each server, of which some are lines.
fn lines(
    text: &str,
    records: &BTreeMap<&str, &str>,
) -> Result<BTreeMap<String, RunningLines>, HaproxyError> {
    let malformed = |what| HaproxyError::Malformed { command: STATE, what };
    let mut rows = text.lines().skip_while(|row| !row.starts_with("# "));
    let header = rows.next().ok_or(malformed("header"))?;
    let names: Vec<_> = header.trim_start_matches("# ").split(' ').collect();
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = names.iter().position(|name| *name == column).ok_or(malformed(column))?;
    }
    let mut backends: BTreeMap<String, RunningLines> = BTreeMap::new();
    for row in rows.filter(|row| !row.is_empty()) {
        let fields: Vec<_> = row.split(' ').collect();
        let field = |index: usize| fields.get(places[index]).copied().unwrap_or_default();
        let (backend, server) = (field(0), field(1));
        let Some(number) = lines::number(backend, server) else { continue };
        let figure = |index| field(index).parse::<u32>().map_err(|_| malformed(COLUMNS[index]));
        let (weightless, down, admin) = (figure(4)? == 0, figure(5)? == 0, figure(6)?);
        let state = if admin & MAINT_BITS != 0 {
            ServerState::Maint
        } else if admin & DRAIN_BITS != 0 || weightless {
            ServerState::Drain
        } else {
            ServerState::Ready
        };
        let address = format!("{}:{}", field(2), field(3)).parse().ok();
        let record = records.get(server).map(|record| (*record).to_owned());
        let line = RunningLine { address, state, weightless, down, record };
        backends.entry(backend.to_owned()).or_default().insert(number, line);
    }
    Ok(backends)
}

/// Reads `show map`: an address in memory, a line's name and its record in each row.
fn parse_records(text: &str) -> BTreeMap<&str, &str> {
    let rows = text.lines().filter(|row| row.starts_with("0x"));
    rows.filter_map(|row| row.split_once(' ')?.1.split_once(' ')).collect()
}

/// What instances may reach, out of all rows of the map.
fn parse_entries(map: &BTreeMap<&str, &str>) -> Entries {
    let entries = map.iter().filter(|(key, _)| reach::is_entry(key));
    entries.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The workers of a master.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Workers {
    /// Those that take new connections; one, except in the middle of a reload.
    pub(super) current: Vec<Pid>,
    /// Those that end what they have.
    pub(super) old: Vec<Pid>,
}

/// The master's socket refuses for some milliseconds after the new worker of a reload answers.
const MASTER_BACK_WITHIN: Duration = Duration::from_secs(1);

/// Asks the master for its workers.
pub(super) async fn workers(master: &Path) -> Result<Workers, HaproxyError> {
    let start = Instant::now();
    loop {
        match ask_once(master, PROCESSES).await.and_then(|reply| parse_workers(&reply)) {
            Ok(workers) => return Ok(workers),
            Err(error) if start.elapsed() > MASTER_BACK_WITHIN => return Err(error),
            Err(_) => sleep(Duration::from_millis(5)).await,
        }
    }
}

/// The slots that a worker of this master may send requests to, and by which services. An old worker takes
/// no commands, but still tells what it knows.
pub(super) async fn known_to(
    master: &Path,
    worker: Pid,
    subnet: Subnet,
) -> Result<BTreeSet<(ServiceName, Slot)>, HaproxyError> {
    let reply = ask_once(master, &format!("@!{worker} {STATE}")).await?;
    let mut known = BTreeSet::new();
    for (backend, lines) in lines(&reply, &BTreeMap::new())? {
        let malformed = HaproxyError::Malformed { command: STATE, what: "name of a service" };
        let service: ServiceName = backend.parse().map_err(|_| malformed)?;
        let used = lines.values().filter(|line| line.state != ServerState::Maint);
        let slots = used.filter_map(|line| subnet.slot(*line.address?.ip()));
        known.extend(slots.map(|slot| (service.clone(), slot)));
    }
    Ok(known)
}

/// Reads `show proc`, whose sections are `# workers`, `# old workers` and `# programs`.
fn parse_workers(text: &str) -> Result<Workers, HaproxyError> {
    let malformed = |what| HaproxyError::Malformed { command: PROCESSES, what };
    let mut workers = Workers::default();
    let mut old = false;
    for line in text.lines() {
        if line.starts_with('#') {
            old = line.trim() == "# old workers";
            continue;
        }
        let mut fields = line.split_whitespace();
        let (Some(pid), Some("worker")) = (fields.next(), fields.next()) else { continue };
        let pid = pid.parse().map_err(|_| malformed("worker's id"))?;
        if old { workers.old.push(pid) } else { workers.current.push(pid) }
    }
    if workers.current.is_empty() { Err(malformed("current worker")) } else { Ok(workers) }
}

#[cfg(test)]
mod tests {
    use super::super::backends::Backend;
    use super::super::backends::tests::backend;
    use super::super::reach::tests::reach;
    use super::*;
    use ServerState::{Drain, Maint, Ready};

    /// Captured from HAProxy 2.6.12. The first line was rendered ready, the second with weight 0, the
    /// others free. The third was never used, the fourth was told to drain, the fifth to be ready. The
    /// checks of the last two fail.
    const CAPTURED: &str = include_str!("fixtures/servers-state.txt");
    const RECORDS: &str = include_str!("fixtures/records.txt");

    fn running(text: &str) -> Running {
        Running {
            generation: 1,
            shape: Shape::reported("x"),
            lines: lines(text, &parse_records(RECORDS)).unwrap(),
            entries: parse_entries(&parse_records(RECORDS)),
            records: "/run/haproxy-1.map".to_owned(),
        }
    }

    /// The commands from what was captured to a backend of this, whose slots are as the lines.
    fn commands(desired: Backend) -> Option<Vec<String>> {
        let running = running(CAPTURED);
        let layout = running.layout(&Backends::new(vec![desired]).unwrap())?;
        Some(running.commands(&layout).into_iter().map(|command| command.text).collect())
    }

    /// What was captured, as it would be desired.
    fn as_captured() -> Backend {
        let mut store = backend("store", "/", 1, &[Ready, Drain, Maint, Drain, Ready]);
        store.servers[0].concurrency = 1.try_into().unwrap();
        store
    }

    #[test]
    fn states_are_what_was_commanded_whatever_the_checks_say() {
        let lines = running(CAPTURED).lines.remove("store").unwrap();
        let held: Vec<_> = lines.into_values().map(|line| line.state).collect();
        assert_eq!(held, [Ready, Drain, Maint, Drain, Ready]);
    }

    #[test]
    fn what_instances_may_reach_is_read_out_of_the_map_of_the_lines() {
        let reaches = vec![reach("10.117.0.9", "front", &["store"])];
        let desired = Backends::new(vec![as_captured()]).unwrap();
        let told = |desired: &Backends| {
            let running = running(CAPTURED);
            running.reach_commands(&running.layout(desired).unwrap())
        };
        assert_eq!(told(&desired.clone().with_reaches(reaches)), [""; 0]);
        let gone = [
            "del map /run/haproxy-1.map 10.117.0.9",
            "del map /run/haproxy-1.map 10.117.0.9/store",
        ];
        assert_eq!(told(&desired), gone);
    }

    #[test]
    fn nothing_is_commanded_when_all_is_as_desired() {
        assert_eq!(commands(as_captured()), Some(vec![]));
    }

    #[test]
    fn capacity_is_added_before_it_is_taken_and_weight_before_state() {
        let mut desired = as_captured();
        for (index, state) in [(0, Maint), (1, Ready), (3, Ready), (4, Drain)] {
            desired.servers[index].state = state;
        }
        let expected = [
            "set server store/store.2 weight 1",
            "set server store/store.2 state ready",
            "set server store/store.4 state ready",
            "set server store/store.5 state drain",
            "set server store/store.1 state maint",
        ];
        assert_eq!(commands(desired).unwrap(), expected);
    }

    #[test]
    fn a_new_instance_gets_a_free_line_with_all_that_is_its_own_before_requests() {
        let mut desired = as_captured();
        desired.servers[2].state = Ready;
        desired.servers[2].concurrency = 3.try_into().unwrap();
        let expected = [
            "set server store/store.3 addr 10.117.0.4 port 8080",
            "set maxconn server store/store.3 3",
            "add map /run/haproxy-1.map store.3 s3/3/healthz",
            "set server store/store.3 state ready",
        ];
        assert_eq!(commands(desired).unwrap(), expected);
    }

    #[test]
    fn another_version_in_the_same_place_is_told_apart_and_leaves_no_line_to_the_one_before() {
        let mut desired = as_captured();
        desired.servers[0].health_path = Some("/other".parse().unwrap());
        let expected =
            ["set maxconn server store/store.1 1", "set map /run/haproxy-1.map store.1 s1/1/other"];
        assert_eq!(commands(desired.clone()).unwrap(), expected);
        desired.servers[0].address.set_port(99);
        let expected = [
            "set server store/store.3 addr 10.117.0.2 port 99",
            "set maxconn server store/store.3 1",
            "add map /run/haproxy-1.map store.3 s1/1/other",
            "set server store/store.3 state ready",
            "set server store/store.1 state maint",
        ];
        assert_eq!(commands(desired).unwrap(), expected);
    }

    #[test]
    fn a_server_that_is_down_and_the_one_that_holds_requests_are_no_instances_in_rotation() {
        let rows: Vec<_> = CAPTURED.lines().take(4).collect();
        assert!(rows[2].contains(" hold ") && rows[3].contains(" store.1 "), "{rows:?}");
        let has = |row: &str, service: &str| {
            running(&[rows[1], row].join("\n")).has_in_rotation(&service.parse().unwrap())
        };
        assert!(has(rows[3], "store"));
        assert!(!has(rows[3], "stor"));
        assert!(!has(rows[2], "store"));
        let up = "10.117.0.2 2 ";
        assert!(rows[3].contains(up));
        assert!(!has(&rows[3].replace(up, "10.117.0.2 0 "), "store"));
    }

    #[test]
    fn what_has_no_line_is_no_matter_of_commands() {
        let mut desired = as_captured();
        desired.servers.extend(backend("store", "/", 6, &[Ready]).servers);
        assert_eq!(commands(desired.clone()).unwrap().len(), 4);
        desired.servers[2].state = Ready;
        assert_eq!(commands(desired), None);
        assert_eq!(commands(backend("other", "/", 1, &[])), None);
    }

    #[test]
    fn a_state_without_a_column_is_malformed() {
        let text = CAPTURED.replace(" srv_port ", " srv_gate ");
        let error = lines(&text, &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, HaproxyError::Malformed { what: "srv_port", .. }), "{error}");
    }

    #[test]
    fn a_description_of_somebody_else_has_no_generation() {
        assert_eq!(
            description("Pid: 1\ndescription: gen-17 shape-ab\n"),
            Some((17, Shape::reported("ab")))
        );
        for other in ["", "Pid: 1\n", "description: mine", "description: gen-x shape-ab"] {
            assert_eq!(description(other), None);
        }
    }

    #[test]
    fn workers_are_current_or_old() {
        let text = include_str!("fixtures/processes.txt");
        let expected = Workers { current: vec![23573], old: vec![22995] };
        assert_eq!(parse_workers(text).unwrap(), expected);
        assert!(parse_workers("").is_err());
    }
}
