//! What the running HAProxy holds, in its own words, and the commands that lead from there to what
//! it should hold.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

use model::names::ServiceName;
use tokio::time::{Instant, sleep};

use super::admin::{Session, ask_once};
use super::backends::{Backends, ServerState};
use super::error::HaproxyError;
use super::template::Shape;
use crate::slots;

/// The id of a process of HAProxy.
pub(super) type Pid = u32;

/// The current worker's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Running {
    pub(super) generation: u64,
    pub(super) shape: Shape,
    /// By backend and server.
    servers: BTreeMap<(String, String), RunningServer>,
}

/// A server as the worker holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RunningServer {
    address: Option<SocketAddrV4>,
    state: ServerState,
    /// Rendered as draining, which is a weight of 0. The state `ready` alone does not raise it.
    weightless: bool,
    /// Whether its checks fail.
    down: bool,
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
    pub(super) async fn observe(session: &mut Session) -> Result<Self, HaproxyError> {
        let info = session.ask(INFO).await?;
        let state = session.ask(STATE).await?;
        let (generation, shape) = description(&info).unwrap_or((0, Shape::reported("")));
        Ok(Self { generation, shape, servers: servers(&state)? })
    }

    /// The commands that bring the servers to their desired states, or `None` when commands cannot,
    /// because a server is not there or is elsewhere. Those that add capacity come first.
    pub(super) fn commands(&self, desired: &Backends) -> Option<Vec<Command>> {
        let mut commands = Vec::new();
        for (service, server) in desired.servers() {
            let mut command = |text| {
                let state = server.state;
                commands.push((state, Command { service: service.clone(), text }));
            };
            let name = slots::server(server.slot);
            let path = format!("{service}/{name}");
            let held = self.servers.get(&(service.to_string(), name))?;
            if held.address != Some(server.address) {
                return None;
            }
            let raise = server.state == ServerState::Ready && held.weightless;
            if raise {
                command(format!("set server {path} weight 1"));
            }
            if held.state != server.state {
                let word = match server.state {
                    ServerState::Ready => "ready",
                    ServerState::Drain => "drain",
                    ServerState::Maint => "maint",
                };
                command(format!("set server {path} state {word}"));
            }
        }
        commands.sort_by_key(|(state, _)| *state);
        Some(commands.into_iter().map(|(_, command)| command).collect())
    }

    /// Whether some instance of the service takes requests.
    pub(super) fn has_in_rotation(&self, service: &ServiceName) -> bool {
        self.servers.iter().any(|((owner, name), held)| {
            owner.as_str() == service.as_str()
                && slots::of_server(name).is_some()
                && held.state == ServerState::Ready
                && !held.down
        })
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

/// Reads `show servers state`: a version, a header and a line for each server.
fn servers(text: &str) -> Result<BTreeMap<(String, String), RunningServer>, HaproxyError> {
    let malformed = |what| HaproxyError::Malformed { command: STATE, what };
    let mut lines = text.lines().skip_while(|line| !line.starts_with("# "));
    let header = lines.next().ok_or(malformed("header"))?;
    let names: Vec<_> = header.trim_start_matches("# ").split(' ').collect();
    let mut servers = BTreeMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let fields: Vec<_> = line.split(' ').collect();
        let field = |name: &'static str| {
            let index = names.iter().position(|known| *known == name);
            index.and_then(|index| fields.get(index)).copied().ok_or(malformed(name))
        };
        let number = |name| field(name)?.parse::<u32>().map_err(|_| malformed(name));
        let address = format!("{}:{}", field("srv_addr")?, field("srv_port")?);
        let weightless = number("srv_uweight")? == 0;
        let down = number("srv_op_state")? == 0;
        let admin = number("srv_admin_state")?;
        let state = if admin & MAINT_BITS != 0 {
            ServerState::Maint
        } else if admin & DRAIN_BITS != 0 || weightless {
            ServerState::Drain
        } else {
            ServerState::Ready
        };
        let name = (field("be_name")?.to_owned(), field("srv_name")?.to_owned());
        servers
            .insert(name, RunningServer { address: address.parse().ok(), state, weightless, down });
    }
    Ok(servers)
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
    use super::super::backends::tests::backend;
    use super::*;
    use ServerState::{Drain, Maint, Ready};

    /// Captured from HAProxy 2.6.12. s1 was rendered ready, s2 with weight 0, s3 as disabled,
    /// s4 as disabled and then told to drain, s5 as disabled and then told to be ready. The checks
    /// of the last two fail.
    const CAPTURED: &str = include_str!("fixtures/servers-state.txt");

    fn running(text: &str) -> Running {
        Running { generation: 1, shape: Shape::reported("x"), servers: servers(text).unwrap() }
    }

    fn desired(states: &[ServerState]) -> Backends {
        Backends::new(vec![backend("store", "/", 1, states)]).unwrap()
    }

    /// The commands from what was captured to these states.
    fn commands(states: &[ServerState]) -> Vec<String> {
        let commands = running(CAPTURED).commands(&desired(states)).unwrap();
        commands.into_iter().map(|command| command.text).collect()
    }

    #[test]
    fn states_are_what_was_commanded_whatever_the_checks_say() {
        let held: Vec<_> = running(CAPTURED).servers.into_values().map(|held| held.state).collect();
        assert_eq!(held, [Ready, Drain, Maint, Drain, Ready]);
    }

    #[test]
    fn nothing_is_commanded_when_all_is_as_desired() {
        assert_eq!(commands(&[Ready, Drain, Maint, Drain, Ready]), Vec::<String>::new());
    }

    #[test]
    fn capacity_is_added_before_it_is_taken_and_weight_before_state() {
        let expected = [
            "set server store/s2 weight 1",
            "set server store/s2 state ready",
            "set server store/s3 state ready",
            "set server store/s5 state drain",
            "set server store/s1 state maint",
        ];
        assert_eq!(commands(&[Maint, Ready, Ready, Drain, Drain]), expected);
    }

    #[test]
    fn a_server_that_is_down_and_the_one_that_holds_requests_are_no_instances_in_rotation() {
        let lines: Vec<_> = CAPTURED.lines().take(3).collect();
        assert!(lines[2].contains(" s1 "), "{lines:?}");
        let only = |name: &str| lines.join("\n").replace(" s1 ", &format!(" {name} "));
        let (store, other) = ("store".parse().unwrap(), "stor".parse().unwrap());
        assert!(running(&only("s1")).has_in_rotation(&store));
        assert!(!running(&only("s1")).has_in_rotation(&other));
        assert!(!running(&only("hold")).has_in_rotation(&store));
        let up = "127.0.1.1 2 ";
        assert!(lines[2].contains(up));
        assert!(!running(&only("s1").replace(up, "127.0.1.1 0 ")).has_in_rotation(&store));
    }

    #[test]
    fn a_server_that_is_missing_or_elsewhere_is_no_matter_of_commands() {
        let running = running(CAPTURED);
        assert_eq!(running.commands(&desired(&[Ready; 6])), None);
        let mut moved = backend("store", "/", 1, &[Ready]);
        moved.servers[0].address.set_port(1);
        assert_eq!(running.commands(&Backends::new(vec![moved]).unwrap()), None);
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
