//! Where HAProxy runs and listens, and the one command line that starts it.

use std::fmt;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use model::output::harmless;
use serde::Serialize;

use crate::settings::{self, Membership, SourceSettings, TlsSettings};
use crate::slots::Subnet;
use crate::units::{ListenAddress, ListenSocket};

/// Longest path of a socket in bytes. Linux takes 107, and HAProxy binds `PATH.PID.tmp` first.
const PATH_MAX_BYTES: usize = 90;

/// The variables in which HAProxy finds the sockets that it inherits, and the pipe.
pub(super) const SERVICES_SOCKET: &str = "BELLOWS_SERVICES";
pub(super) const STATISTICS_SOCKET: &str = "BELLOWS_STATISTICS";
pub(super) const REACH_SOCKET: &str = "BELLOWS_REACH";
pub(super) const STREAMS_SOCKET: &str = "BELLOWS_STREAMS";
pub(super) const TLS_SOCKET: &str = "BELLOWS_TLS";
pub(super) const ANSWERS_PIPE: &str = "BELLOWS_ANSWERS";

/// A setting that HAProxy must not be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HaproxySettingsError {
    /// A path with characters that mean something to HAProxy, or one that is too long.
    #[error(
        "`{}` cannot be used here: give an absolute path of at most {PATH_MAX_BYTES} bytes, of A-Z, \
         a-z, 0-9, `.`, `_`, `-` and `/`",
        harmless(.0)
    )]
    Path(String),
    /// Not the name of an account.
    #[error("`{}` is not the name of a user or group: use 1 to 32 of a-z, 0-9, `_` and `-`", harmless(.0))]
    Account(String),
    /// Statistics that others could read.
    #[error("the statistics would listen on {0}: they tell all about the host, use 127.0.0.1")]
    PublicStatistics(SocketAddrV4),
    /// One address for two purposes.
    #[error("services and statistics would both listen on {0}: give them two ports")]
    SameAddress(SocketAddrV4),
}

/// An absolute path that is one plain word in HAProxy's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlainPath(String);

impl PlainPath {
    /// The path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for PlainPath {
    type Err = HaproxySettingsError;

    fn from_str(text: &str) -> Result<Self, HaproxySettingsError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
        let good = text.starts_with('/') && text.bytes().all(plain) && text.len() <= PATH_MAX_BYTES;
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| HaproxySettingsError::Path(text.to_owned()))
    }
}

impl fmt::Display for PlainPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a user or a group of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AccountName(String);

impl FromStr for AccountName {
    type Err = HaproxySettingsError;

    fn from_str(text: &str) -> Result<Self, HaproxySettingsError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        let good = (1..=32).contains(&text.len()) && text.bytes().all(plain);
        good.then(|| Self(text.to_owned()))
            .ok_or_else(|| HaproxySettingsError::Account(text.to_owned()))
    }
}

/// Where HAProxy runs and listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HaproxySettings {
    /// Where the services listen.
    pub listen: SocketAddrV4,
    /// Where the statistics listen for people and their programs: `/stats` and `/stats;csv`. On loopback.
    pub statistics: SocketAddrV4,
    /// Where instances reach other services: on their bridge's address.
    pub reach: SocketAddrV4,
    /// The same for services that take connections and not requests.
    pub streams: SocketAddrV4,
    /// HTTPS for the services, where it is wanted.
    pub tls: Option<TlsSettings>,
    /// What one source of connections may take.
    pub sources: SourceSettings,
    /// Where the statistics listen for the control loop: a socket that root alone may open.
    pub scrape_socket: PlainPath,
    /// The socket of the runtime API.
    pub admin_socket: PlainPath,
    /// The socket of the master process.
    pub master_socket: PlainPath,
    /// The rendered configuration, which is whole and current at any moment.
    pub config_file: PlainPath,
    /// An empty folder that becomes the workers' root.
    pub chroot: PlainPath,
    /// Whom the workers run as.
    pub user: AccountName,
    /// The group that the workers run as.
    pub group: AccountName,
    /// A template to use in place of the one built in.
    pub template: Option<PathBuf>,
    /// The network of the instances, by whose addresses their slots are known.
    pub subnet: Subnet,
    /// The pipe to which it writes a line of each answer, for the console to read.
    pub answers_pipe: PathBuf,
    /// The program, by path or by name.
    pub program: PathBuf,
    /// How a change of membership reaches the running process, until
    /// [`set_membership`](super::LoadBalancer::set_membership) says otherwise.
    pub membership: Membership,
}

impl HaproxySettings {
    /// What the host's settings say, with Debian's account and program and the template built in.
    ///
    /// # Errors
    /// The folder of sockets has a path that HAProxy cannot be given, or the statistics would not
    /// be on loopback.
    pub fn of_host(host: &settings::Settings) -> Result<Self, HaproxySettingsError> {
        let in_run = |name: &str| host.paths.run.join(name).to_string_lossy().parse();
        let settings = Self {
            listen: host.listen.services,
            statistics: host.listen.statistics,
            reach: host.network.reach(),
            streams: host.network.streams(),
            tls: host.tls.clone(),
            sources: host.sources.clone(),
            scrape_socket: in_run("haproxy-scrape.sock")?,
            admin_socket: in_run("haproxy-admin.sock")?,
            master_socket: in_run("haproxy-master.sock")?,
            config_file: in_run("haproxy.cfg")?,
            chroot: in_run("haproxy-root")?,
            user: "haproxy".parse()?,
            group: "haproxy".parse()?,
            template: None,
            subnet: host.network.subnet,
            answers_pipe: host.answers_pipe(),
            program: "haproxy".into(),
            membership: host.scaler.membership,
        };
        settings.check()?;
        Ok(settings)
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// The statistics are not on loopback, or both listen on one address.
    pub fn check(&self) -> Result<(), HaproxySettingsError> {
        if !self.statistics.ip().is_loopback() {
            return Err(HaproxySettingsError::PublicStatistics(self.statistics));
        }
        if self.listen == self.statistics {
            return Err(HaproxySettingsError::SameAddress(self.listen));
        }
        Ok(())
    }

    /// What a configuration of this generation reads beside itself: the records of its lines. Each
    /// has a file of its own, so that the one in place always finds the one it goes with.
    pub(super) fn records_file(&self, generation: u64) -> String {
        self.config_file.0.trim_end_matches(".cfg").to_owned() + &format!("-{generation}.map")
    }

    /// The sockets that HAProxy is to inherit, so that nobody is refused while it is started again, and the pipe that it
    /// writes to.
    pub fn sockets(&self) -> Vec<ListenSocket> {
        let tls = self.tls.as_ref().map(|tls| (TLS_SOCKET, tls.listen));
        let always = [
            (SERVICES_SOCKET, self.listen),
            (STATISTICS_SOCKET, self.statistics),
            (REACH_SOCKET, self.reach),
            (STREAMS_SOCKET, self.streams),
        ];
        let sockets = always.into_iter().chain(tls).map(|(name, it)| (name, it.into()));
        sockets
            .chain([(ANSWERS_PIPE, ListenAddress::Pipe(self.answers_pipe.clone()))])
            .map(|(variable, address)| ListenSocket { variable: variable.to_owned(), address })
            .collect()
    }

    /// The arguments with which HAProxy must be started: in the foreground, with a master that can
    /// be reloaded. When a worker dies the master ends too, so that a supervisor starts both anew.
    pub fn arguments(&self) -> Vec<String> {
        let master = format!("{},mode,600", self.master_socket);
        ["-W", "-db", "-S", &master, "-f", &self.config_file.0].map(str::to_owned).into()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Settings as shipped, with all files in `folder`.
    pub(crate) fn settings(folder: &Path) -> HaproxySettings {
        let mut host = settings::Settings::default();
        host.paths.run = folder.to_owned();
        HaproxySettings::of_host(&host).unwrap()
    }

    #[test]
    fn text_that_could_end_a_line_or_a_word_is_refused() {
        for bad in
            ["", "run", "/run/a b", "/run\n", "/run,level", "/run#", "/run\"", &"/x".repeat(46)]
        {
            assert!(bad.parse::<PlainPath>().is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "Root", "a\nuid 0", &"a".repeat(33)] {
            assert!(bad.parse::<AccountName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn statistics_stay_on_loopback() {
        let good = settings(Path::new("/run/bellows"));
        assert_eq!(good.check(), Ok(()));
        let statistics = "0.0.0.0:8404".parse().unwrap();
        let public = HaproxySettings { statistics, ..good.clone() };
        assert_eq!(public.check(), Err(HaproxySettingsError::PublicStatistics(statistics)));
        let same = HaproxySettings { listen: good.statistics, ..good };
        assert!(matches!(same.check(), Err(HaproxySettingsError::SameAddress(_))));
    }
}
