//! What the build of an image may take, and reach.

use std::time::Duration;

use config_file::{Checked, Invalid};
use model::egress::{Destination, Egress};
use serde::Deserialize;

/// `[builds]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSettings {
    /// How long one may last.
    pub deadline: Duration,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// What it may write, and what is kept for the next one of the same service, in MiB.
    pub disk_mib: u32,
    /// What is kept for the next builds of all services together, in MiB.
    pub caches_mib: u32,
    /// What builds may reach beside what the image's recipe names.
    pub egress: Egress,
}

/// `[builds]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawBuilds {
    deadline_s: Option<u32>,
    memory_mib: Option<u32>,
    disk_mib: Option<u32>,
    caches_mib: Option<u32>,
    egress: Vec<String>,
}

impl Default for BuildSettings {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(900),
            memory_mib: 1024,
            disk_mib: 4096,
            caches_mib: 8192,
            egress: Egress::default(),
        }
    }
}

impl Checked for BuildSettings {
    type Raw = RawBuilds;

    fn from_raw(raw: RawBuilds) -> Result<Self, Invalid> {
        let default = Self::default();
        let number = |key, value, allowed| {
            let checked = |value| config_file::in_range(key, value, allowed);
            Option::map(value, checked).transpose()
        };
        let deadline = number("builds.deadline_s", raw.deadline_s, 1..=86_400)?;
        Ok(Self {
            deadline: deadline.map_or(default.deadline, |s| Duration::from_secs(s.into())),
            memory_mib: number("builds.memory_mib", raw.memory_mib, 64..=1_048_576)?
                .unwrap_or(default.memory_mib),
            disk_mib: number("builds.disk_mib", raw.disk_mib, 64..=1_048_576)?
                .unwrap_or(default.disk_mib),
            caches_mib: number("builds.caches_mib", raw.caches_mib, 0..=1_048_576)?
                .unwrap_or(default.caches_mib),
            egress: egress(&raw.egress)?,
        })
    }
}

fn egress(list: &[String]) -> Result<Egress, Invalid> {
    let parse = |(index, text): (usize, &String)| {
        let wrong = |error| Invalid::form(format!("builds.egress[{index}]"), &error);
        text.parse::<Destination>().map_err(wrong)
    };
    Ok(Egress::new(list.iter().enumerate().map(parse).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    fn read(text: &str) -> Result<Settings, String> {
        config_file::from_toml("b.toml", &format!("[builds]\n{text}"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_out_of_bounds_or_no_host_is_refused() {
        let refused = |text| read(text).unwrap_err();
        insta::assert_snapshot!(refused("deadline_s = 0"), @"b.toml, line 2: builds.deadline_s is 0: use 1 to 86400");
        insta::assert_snapshot!(refused("memory_mib = 1"), @"b.toml, line 2: builds.memory_mib is 1: use 64 to 1048576");
        insta::assert_snapshot!(refused("caches_mib = 1048577"), @"b.toml, line 2: builds.caches_mib is 1048577: use 0 to 1048576");
        let refused = refused("egress = [\"pypi.example\"]");
        assert!(
            refused.starts_with("b.toml, line 2: builds.egress[0]: `pypi.example` has no port"),
            "{refused}"
        );
        assert_eq!(read("caches_mib = 0").unwrap().builds.caches_mib, 0);
        let builds = read("deadline_s = 60\negress = [\"pypi.example.org:443\"]").unwrap().builds;
        assert_eq!((builds.deadline.as_secs(), builds.egress.destinations().len()), (60, 1));
    }
}
