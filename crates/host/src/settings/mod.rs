//! The host's settings: `bellows.toml`, read raw and then checked.

mod builds;
mod console;
mod notify;
mod raw;
mod sources;
mod tls;
mod traces;

use std::fmt;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use builds::BuildSettings;
use config_file::ConfigError;
pub use console::ConsoleSettings;
use model::size::Sizes;
pub use model::status::Membership;
pub use notify::{EpisodeKind, MailAddress, NotifySettings, RawNotify, WebhookUrl};
pub use sources::{SourceNetwork, SourceSettings};
pub use tls::TlsSettings;
pub use traces::TracesEndpoint;

use crate::slots::Subnet;

/// The settings file that is used when none is named.
pub const DEFAULT_FILE: &str = "bellows.toml";

/// Everything about the host that its owner can choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The instances' network.
    pub network: NetworkSettings,
    /// Where the programs listen.
    pub listen: ListenSettings,
    /// HTTPS for the services, where it is wanted.
    pub tls: Option<TlsSettings>,
    /// What one source of connections may take.
    pub sources: SourceSettings,
    /// How the control loop works.
    pub scaler: ScalerSettings,
    /// What the console may keep.
    pub console: ConsoleSettings,
    /// How many versions of a service are kept, with their templates.
    pub versions_kept: usize,
    /// What the build of an image may take, and reach.
    pub builds: BuildSettings,
    /// Where traces are sent, by a build that can.
    pub traces: Option<TracesEndpoint>,
    /// Who is told what.
    pub notify: NotifySettings,
    /// The memory that instances are not given, in MiB: that of the kernel, of HAProxy and of the rest.
    pub memory_reserved_mib: u64,
    /// What services may be named after.
    pub sizes: Sizes,
    /// Where things are kept.
    pub paths: PathSettings,
    /// The users that instances run as.
    pub id_map: IdRange,
}

/// The file that is shipped: all keys, with their defaults.
pub const SHIPPED: &str = include_str!("../../../../bellows.toml");

/// The instances' network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// The bridge that `up` makes.
    pub bridge: BridgeName,
    /// The network on it.
    pub subnet: Subnet,
    /// The port of the bridge's address on which the load balancer takes what instances send to other
    /// services. They send it to port 80. What is not HTTP it takes on the port after that.
    pub reach_port: u16,
    /// The port on the bridge's address by which instances reach what their services may.
    pub egress_port: u16,
}

impl NetworkSettings {
    /// Where the load balancer takes what instances send to other services.
    pub fn reach(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.subnet.gateway(), self.reach_port)
    }

    /// The same for what is not HTTP.
    pub fn streams(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.subnet.gateway(), self.reach_port + 1)
    }

    /// Where the proxy listens by which instances reach what their services may.
    pub fn egress(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.subnet.gateway(), self.egress_port)
    }
}

/// Where the programs listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// The services, through HAProxy.
    pub services: SocketAddrV4,
    /// HAProxy's statistics.
    pub statistics: SocketAddrV4,
    /// The API, by the console.
    pub api: SocketAddrV4,
    /// The names that the API's host is known by, beside its addresses and `localhost`.
    pub api_hosts: Vec<String>,
}

/// How the control loop works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalerSettings {
    /// Time from one turn to the next.
    pub tick: Duration,
    /// How a change of membership reaches HAProxy.
    pub membership: Membership,
    /// Launches at a time.
    pub parallel_launches: usize,
    /// How long an instance may take to its first answer.
    pub launch_timeout: Duration,
}

/// Where things are kept, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSettings {
    /// Objects, images, deployed services: what outlives a reboot.
    pub state: PathBuf,
    /// Sockets, locks and rendered files: what does not.
    pub run: PathBuf,
    /// LXC's folder of containers.
    pub lxc: PathBuf,
    /// Where the command `bellows` is found: a folder on the `PATH`.
    pub bin: PathBuf,
}

/// A range of user and group ids on the host that instances' users map to, starting with root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The host's id of an instance's root.
    pub first: u32,
    /// The number of ids.
    pub count: u32,
}

/// The name of a network bridge: 1 to 15 of `a-z`, `0-9` and `-`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeName(String);

impl BridgeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BridgeName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=15).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(allowed)
            && !is_slot_interface(text);
        if good { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// `bw17` and its like are the instances' own interfaces.
fn is_slot_interface(text: &str) -> bool {
    text.strip_prefix("bw").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for BridgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            network: NetworkSettings {
                bridge: BridgeName("bellows0".to_owned()),
                subnet: Subnet::DEFAULT,
                reach_port: 8070,
                egress_port: 3128,
            },
            listen: ListenSettings {
                services: loopback(8080),
                statistics: loopback(8404),
                api: loopback(8090),
                api_hosts: Vec::new(),
            },
            tls: None,
            sources: SourceSettings::default(),
            scaler: ScalerSettings {
                tick: Duration::from_millis(100),
                membership: Membership::Runtime,
                parallel_launches: 4,
                launch_timeout: Duration::from_secs(10),
            },
            console: ConsoleSettings::default(),
            versions_kept: 3,
            builds: BuildSettings::default(),
            traces: None,
            notify: NotifySettings::default(),
            memory_reserved_mib: 256,
            sizes: Sizes::default(),
            paths: PathSettings {
                state: PathBuf::from("/var/lib/bellows"),
                run: PathBuf::from("/run/bellows"),
                lxc: PathBuf::from("/var/lib/lxc"),
                bin: PathBuf::from("/usr/local/bin"),
            },
            id_map: IdRange { first: 1_000_000, count: 65_536 },
        }
    }
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port)
}

impl Settings {
    /// Reads the file that was named. Without a name, reads `bellows.toml` in the current folder
    /// if it exists, and else gives the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, or holds a key or a value that is not allowed.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        match named {
            Some(file) => config_file::read(file),
            None if Path::new(DEFAULT_FILE).exists() => config_file::read(Path::new(DEFAULT_FILE)),
            None => Ok(Self::default()),
        }
    }

    /// Where operators speak to the scaler.
    pub fn operator_socket(&self) -> PathBuf {
        self.paths.run.join("operator.sock")
    }

    /// Where the scaler says which instance may reach what, for the proxy to read.
    pub fn egress_sources(&self) -> PathBuf {
        self.paths.run.join("egress.json")
    }

    /// Where `up` says whom the console is to tell, for the console to read.
    pub fn notify_file(&self) -> PathBuf {
        self.paths.run.join("notify.json")
    }

    /// Where the console speaks to the scaler.
    pub fn console_socket(&self) -> PathBuf {
        self.paths.run.join("console.sock")
    }

    /// The pipe by which the console learns of each answer of the load balancer.
    pub fn answers_pipe(&self) -> PathBuf {
        self.paths.run.join("answers.pipe")
    }

    /// The folder of the console's own, in which its history is.
    pub fn console_folder(&self) -> PathBuf {
        self.paths.state.join("console")
    }

    /// Where experiments are kept that were asked for by the API.
    pub fn experiments_folder(&self) -> PathBuf {
        self.paths.state.join("experiments")
    }
}

/// Where the scaler keeps what instances write, in a folder for each service, on a host with this state folder.
pub fn output_folder(state: &Path) -> PathBuf {
    state.join("output")
}

#[cfg(test)]
mod tests {
    use model::names::{InstanceName, ServiceName, Slot};
    use model::time::Timestamp;

    use super::*;

    fn error(text: &str) -> String {
        config_file::from_toml::<Settings>("b.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_file_equals_the_defaults() {
        let settings: Settings = config_file::from_toml("bellows.toml", SHIPPED).unwrap();
        assert_eq!(settings, Settings::default());
        // Every key is in the file: taking one out must not go unnoticed.
        assert_eq!(SHIPPED.matches(" = ").count(), 46);
    }

    #[test]
    fn nothing_listens_beyond_loopback_unless_the_file_says_so() {
        let listen = Settings::default().listen;
        for address in [listen.services, listen.statistics, listen.api] {
            assert!(address.ip().is_loopback(), "{address}");
        }
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let settings: Settings = config_file::from_toml("b.toml", "").unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_missing_file_counts_as_defaults_only_when_it_was_not_named() {
        let missing = Path::new("/does/not/exist.toml");
        let error = Settings::load(Some(missing)).unwrap_err();
        assert!(error.to_string().starts_with("/does/not/exist.toml cannot be read"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_those_that_are_known() {
        insta::assert_snapshot!(error("[scaler]\ntick = 3"), @"
        b.toml: TOML parse error at line 2, column 1
          |
        2 | tick = 3
          | ^^^^
        unknown field `tick`, expected one of `tick_ms`, `membership`, `parallel_launches`, `launch_timeout_ms`
        ");
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_place() {
        insta::assert_snapshot!(error("[scaler]\ntick_ms = \"fast\""), @r#"
        b.toml: TOML parse error at line 2, column 11
          |
        2 | tick_ms = "fast"
          |           ^^^^^^
        invalid type: string "fast", expected u64
        "#);
    }

    #[test]
    fn a_value_out_of_bounds_is_refused_with_the_bounds() {
        insta::assert_snapshot!(error("[scaler]\ntick_ms = 5"), @"b.toml, line 2: scaler.tick_ms is 5: use 20 to 10000");
        insta::assert_snapshot!(error("[network]\nsubnet = \"8.8.8.0/24\""), @r#"b.toml, line 2: network.subnet is "8.8.8.0/24": use a private IPv4 network (10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16) of /16 to /28 whose host bits are 0, such as 10.117.0.0/22"#);
        insta::assert_snapshot!(error("[paths]\nrun = \"/run/b ad\""), @r#"b.toml, line 2: paths.run is "/run/b ad": use an absolute path below a folder such as /run, of letters, digits, `-`, `_`, `.` and `/`, without `..`"#);
        insta::assert_snapshot!(error("[id_map]\nfirst = 0"), @"b.toml, line 2: id_map.first is 0: use 100000 to 4000000000");
    }

    #[test]
    fn folders_that_down_would_remove_with_others_in_them_are_refused() {
        for run in ["/", "/run", "//run/"] {
            assert!(
                error(&format!("[paths]\nrun = \"{run}\"")).contains("an absolute path below"),
                "{run}"
            );
        }
        insta::assert_snapshot!(error("[paths]\nrun = \"/var/lib/bellows\""), @r#"b.toml, line 2: paths.run is "/var/lib/bellows": use a folder that holds none of the other [paths], nor lies in one"#);
        assert!(error("[paths]\nrun = \"/var/lib\"").contains("holds none of the other"));
        assert!(error("[paths]\nstate = \"/var/lib/lxc/state\"").contains("nor lies in one"));
    }

    #[test]
    fn a_folder_of_containers_whose_sockets_lxc_would_hash_is_refused_with_the_longest_that_will_do()
     {
        let of_length = |bytes: usize| format!("[paths]\nlxc = \"/srv/{}\"", "x".repeat(bytes - 5));
        insta::assert_snapshot!(error(&of_length(37)), @r#"b.toml, line 2: paths.lxc is "/srv/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": use at most 36 bytes: LXC names a socket after the folder and an instance"#);
        let longest = config_file::from_toml::<Settings>("b.toml", &of_length(36)).unwrap();
        let service: ServiceName = "a".repeat(31).parse().unwrap();
        let slot = Slot::try_from(u32::from(Slot::MAX)).unwrap();
        // Nine digits are for the year 2059 and later.
        let birth = Timestamp::from_millis(36_u64.pow(8) - 1);
        let name = InstanceName::new(&service, slot, birth);
        let socket = longest.paths.lxc.join("bwl-01234567").join(name.as_str()).join("command");
        assert_eq!(socket.as_os_str().len(), 106);
    }

    #[test]
    fn two_listeners_on_one_port_are_refused() {
        insta::assert_snapshot!(error("[listen]\napi = \"127.0.0.1:8080\""), @r#"b.toml, line 2: listen.api is "127.0.0.1:8080": use a port from 1 to 65535 that no other listener has"#);
        insta::assert_snapshot!(error("[network]\negress_port = 8080"), @r#"b.toml, line 2: network.egress_port is "10.117.0.1:8080": use a port from 1 to 65535 that no other listener has"#);
    }

    #[test]
    fn a_bridge_never_takes_the_name_of_an_instances_interface() {
        assert!("bw17".parse::<BridgeName>().is_err());
        assert!("0bridge".parse::<BridgeName>().is_err());
        assert!("a-name-that-is-too-long".parse::<BridgeName>().is_err());
        assert!("bw-lab".parse::<BridgeName>().is_ok());
    }
}
