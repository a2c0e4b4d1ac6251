//! The checks of who runs Bellows and of the programs it starts.

use std::path::{Path, PathBuf};

use super::finding::{Check, Finding};

/// The programs that Bellows and LXC run for it, each with the Debian package that holds it.
const PROGRAMS: [(&str, &str); 7] = [
    ("lxc-copy", "lxc"),
    ("lxc-stop", "lxc"),
    ("lxc-destroy", "lxc"),
    ("haproxy", "haproxy"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("newuidmap", "uidmap"),
];

/// The first LXC package of Debian 12 whose ephemeral overlay clones start.
pub(super) const LXC_DEBIAN_MINIMUM: &str = "1:5.0.2-1+deb12u2";

/// The LXC release that the same fix went into, for hosts without Debian's packages.
const LXC_UPSTREAM_MINIMUM: [u32; 3] = [5, 0, 3];

/// The oldest HAProxy that the configuration was tried with.
const HAPROXY_MINIMUM: [u32; 3] = [2, 6, 0];

/// Whether this process may make containers, bridges and firewall rules.
pub(super) fn root(effective_user: u32) -> Finding {
    if effective_user == 0 {
        Finding::good(Check::Root, "running as root")
    } else {
        Finding::bad(
            Check::Root,
            format!("running as user {effective_user}; containers, bridge and firewall need root"),
            "run the same command with sudo",
        )
    }
}

/// Whether every program is in one of the folders of `search_path`.
pub(super) fn programs(search_path: &[PathBuf], exists: impl Fn(&Path) -> bool) -> Finding {
    let missing: Vec<(&str, &str)> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !search_path.iter().any(|folder| exists(&folder.join(program))))
        .collect();
    if missing.is_empty() {
        return Finding::good(Check::Programs, format!("all {} found", PROGRAMS.len()));
    }
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Finding::bad(
        Check::Programs,
        format!("not found: {}", names.join(", ")),
        format!("apt-get install --no-install-recommends {}", packages.join(" ")),
    )
}

/// What is known of the installed LXC.
#[derive(Debug)]
pub(super) enum Lxc {
    /// Debian's package: its version, and whether dpkg holds it for new enough.
    Debian {
        version: String,
        new_enough: bool,
    },
    /// From elsewhere: what `lxc-copy --version` says.
    Other(String),
    Missing,
}

/// Whether ephemeral overlay clones start with this LXC.
pub(super) fn lxc(found: &Lxc) -> Finding {
    match found {
        Lxc::Debian { version, new_enough: true } => Finding::good(Check::Lxc, version.as_str()),
        Lxc::Debian { version, new_enough: false } => Finding::bad(
            Check::Lxc,
            format!(
                "{version}: ephemeral overlay clones fail to start before {LXC_DEBIAN_MINIMUM}"
            ),
            "apt-get update && apt-get install lxc",
        ),
        Lxc::Other(version) => match version_number(version) {
            Some(number) if number >= LXC_UPSTREAM_MINIMUM => {
                Finding::good(Check::Lxc, version.as_str())
            }
            _ => Finding::bad(
                Check::Lxc,
                format!("`{version}` is not known to be 5.0.3 or newer"),
                "install LXC 5.0.3 or newer",
            ),
        },
        Lxc::Missing => Finding::bad(
            Check::Lxc,
            "LXC is not installed",
            "apt-get install --no-install-recommends lxc",
        ),
    }
}

/// Whether the configuration was tried with this HAProxy; `banner` is what `haproxy -v` prints.
pub(super) fn haproxy(banner: Option<&str>) -> Finding {
    let cure = "apt-get install --no-install-recommends haproxy";
    let Some(banner) = banner else {
        return Finding::bad(Check::HaProxy, "HAProxy is not installed", cure);
    };
    let version = banner.split_whitespace().nth(2).unwrap_or_default();
    match version_number(version) {
        Some(number) if number >= HAPROXY_MINIMUM => Finding::good(Check::HaProxy, version),
        _ => Finding::bad(Check::HaProxy, format!("`{version}` is older than 2.6"), cure),
    }
}

/// The first three numbers of a version such as `2.6.12-1+deb12u4`.
fn version_number(text: &str) -> Option<[u32; 3]> {
    let mut parts = text.split(['.', '-', '+', '~']).map(|part| part.parse().ok());
    let major = parts.next()??;
    let minor = parts.next()??;
    Some([major, minor, parts.next().flatten().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_may_run_bellows() {
        assert!(!root(0).is_bad());
        assert!(root(1000).is_bad());
    }

    #[test]
    fn a_missing_program_names_its_package_once() {
        let folders = [PathBuf::from("/usr/bin")];
        let finding = programs(&folders, |path| !path.to_string_lossy().contains("lxc-"));
        insta::assert_snapshot!(finding, @r"
        FAIL  programs         not found: lxc-copy, lxc-stop, lxc-destroy
                               cure: apt-get install --no-install-recommends lxc
        ");
        assert!(!programs(&folders, |_| true).is_bad());
    }

    #[test]
    fn lxc_before_the_overlay_fix_is_refused() {
        let debian = |new_enough| Lxc::Debian { version: "1:5.0.2-1".to_owned(), new_enough };
        assert!(lxc(&debian(false)).is_bad());
        assert!(!lxc(&debian(true)).is_bad());
        assert!(lxc(&Lxc::Other("5.0.2".to_owned())).is_bad());
        assert!(!lxc(&Lxc::Other("5.0.3".to_owned())).is_bad());
        assert!(!lxc(&Lxc::Other("6.0.4".to_owned())).is_bad());
        assert!(lxc(&Lxc::Other("devel".to_owned())).is_bad());
        assert!(lxc(&Lxc::Missing).is_bad());
    }

    #[test]
    fn haproxy_before_2_6_is_refused() {
        let banner = "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n";
        assert!(!haproxy(Some(banner)).is_bad());
        assert!(!haproxy(Some("HAProxy version 3.0.0 2024/05/29")).is_bad());
        assert!(haproxy(Some("HA-Proxy version 2.2.9-2+deb11u6 2023/02/14")).is_bad());
        assert!(haproxy(Some("")).is_bad());
        assert!(haproxy(None).is_bad());
    }
}
