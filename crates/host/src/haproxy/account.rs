//! What the running HAProxy says of itself, for people.

use std::time::Duration;

use super::admin::ask_once;
use super::error::HaproxyError;
use super::settings::HaproxySettings;

const PROCESSES: &str = "show proc";
const INFO: &str = "show info";

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its version.
    pub version: String,
    /// How long it has run.
    pub age: Duration,
    /// How often it was reloaded.
    pub reloads: u64,
    /// The workers that a reload replaced, and that end what they have.
    pub old_workers: u32,
    /// Connections of the worker in charge, and the most that it takes.
    pub connections: u64,
    /// The most that it takes.
    pub connections_max: u64,
}

impl Account {
    /// Asks the master and the worker in charge, each within a second.
    ///
    /// # Errors
    /// One of them does not answer, or not as HAProxy 2.4 and later do.
    pub async fn ask(settings: &HaproxySettings) -> Result<Self, HaproxyError> {
        let (master, admin) = (settings.master_socket.as_path(), settings.admin_socket.as_path());
        let (processes, info) = tokio::join!(ask_once(master, PROCESSES), ask_once(admin, INFO));
        Self::parse(&processes?, &info?)
    }

    fn parse(processes: &str, info: &str) -> Result<Self, HaproxyError> {
        let of_processes = |what| HaproxyError::Malformed { command: PROCESSES, what };
        let master = processes.lines().find_map(master).ok_or_else(|| of_processes("master"))?;
        let (reloads, age, version) = master;
        let old = processes.lines().skip_while(|line| line.trim() != "# old workers").skip(1);
        let old = old.take_while(|line| !line.starts_with('#'));
        let old_workers = old.filter(|line| line.split_whitespace().nth(1) == Some("worker"));
        let of_info = |what| HaproxyError::Malformed { command: INFO, what };
        let number = |key: &'static str| {
            let value = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            value.and_then(|text| text.trim().parse().ok()).ok_or_else(|| of_info(key))
        };
        Ok(Self {
            version: version.to_owned(),
            age,
            reloads,
            old_workers: u32::try_from(old_workers.count()).unwrap_or(u32::MAX),
            connections: number("CurrConns")?,
            connections_max: number("Maxconn")?,
        })
    }
}

/// Reloads, age and version, where the line is the master's. Between them 2.6 says how many reloads failed.
fn master(line: &str) -> Option<(u64, Duration, &str)> {
    let mut fields = line.split_whitespace();
    let (_, "master", reloads) = (fields.next()?, fields.next()?, fields.next()?) else {
        return None;
    };
    let version = fields.next_back()?;
    Some((reloads.parse().ok()?, uptime(fields.next_back()?)?, version))
}

/// A time such as `1d02h03m04s`.
fn uptime(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    for (unit, length) in [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)] {
        let (number, behind) = rest.split_once(unit)?;
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(length)?)?;
        rest = behind;
    }
    rest.is_empty().then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from HAProxy 2.6.12.
    const CAPTURED: &str = include_str!("fixtures/processes.txt");
    const INFO_TEXT: &str = "Name: HAProxy\nVersion: 2.6.12\nMaxconn: 4000\nHard_maxconn: 4000\nCurrConns: 7\nCumConns: 90\n";

    #[test]
    fn a_load_balancer_says_how_old_it_is_and_what_it_has() {
        let account = Account::parse(CAPTURED, INFO_TEXT).unwrap();
        let expected = Account {
            version: "2.6.12-1+deb12u4".to_owned(),
            age: Duration::from_secs(10),
            reloads: 1,
            old_workers: 1,
            connections: 7,
            connections_max: 4000,
        };
        assert_eq!(account, expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |processes, info| Account::parse(processes, info).unwrap_err().to_string();
        assert!(missing("", INFO_TEXT).contains("master"));
        assert!(missing(CAPTURED, "Maxconn: 1\n").contains("CurrConns"));
        assert!(missing(CAPTURED, "CurrConns: 1\nMaxconn: many\n").contains("Maxconn"));
    }

    #[test]
    fn an_uptime_has_four_units() {
        assert_eq!(uptime("1d02h03m04s"), Some(Duration::from_secs(93_784)));
        for bad in ["", "10s", "1d02h03m", "1d02h03m04sx", "-1d00h00m00s"] {
            assert_eq!(uptime(bad), None, "{bad}");
        }
    }
}
