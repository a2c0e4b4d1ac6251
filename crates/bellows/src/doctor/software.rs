//! The checks of who runs Bellows and of the programs it starts.

use std::path::{Path, PathBuf};

use super::finding::{Verdict, bad};

/// The programs that Bellows and LXC run for it, each with the Debian package that holds it.
const PROGRAMS: [(&str, &str); 9] = [
    ("lxc-copy", "lxc"),
    ("lxc-stop", "lxc"),
    ("lxc-destroy", "lxc"),
    ("haproxy", "haproxy"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("newuidmap", "uidmap"),
    ("mkfs.ext4", "e2fsprogs"),
    ("losetup", "mount"),
];

/// The first LXC package of Debian 12 whose ephemeral overlay clones start.
pub(super) const LXC_DEBIAN_MINIMUM: &str = "1:5.0.2-1+deb12u2";

/// The LXC release that the same fix went into, for hosts without Debian's packages.
const LXC_UPSTREAM_MINIMUM: [u32; 3] = [5, 0, 3];

/// The oldest HAProxy that the configuration was tried with.
const HAPROXY_MINIMUM: [u32; 3] = [2, 6, 0];

/// Whether this process may make containers, bridges and firewall rules.
pub(super) fn root(effective_user: u32) -> Verdict {
    if effective_user == 0 {
        Ok("running as root".to_owned())
    } else {
        bad(
            format!("running as user {effective_user}; containers, bridge and firewall need root"),
            "run the same command with sudo",
        )
    }
}

/// Whether every program is in one of the folders of `search_path`.
pub(super) fn programs(search_path: &[PathBuf], exists: impl Fn(&Path) -> bool) -> Verdict {
    let missing: Vec<(&str, &str)> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| !search_path.iter().any(|folder| exists(&folder.join(program))))
        .collect();
    if missing.is_empty() {
        return Ok(format!("all {} found", PROGRAMS.len()));
    }
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    bad(
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
pub(super) fn lxc(found: &Lxc) -> Verdict {
    match found {
        Lxc::Debian { version, new_enough: true } => Ok(version.clone()),
        Lxc::Debian { version, new_enough: false } => bad(
            format!(
                "{version}: ephemeral overlay clones fail to start before {LXC_DEBIAN_MINIMUM}"
            ),
            "apt-get update && apt-get install lxc",
        ),
        Lxc::Other(version) => match version_number(version) {
            Some(number) if number >= LXC_UPSTREAM_MINIMUM => Ok(version.clone()),
            _ => bad(
                format!("`{version}` is not known to be 5.0.3 or newer"),
                "install LXC 5.0.3 or newer",
            ),
        },
        Lxc::Missing => bad("LXC is not installed", "apt-get install --no-install-recommends lxc"),
    }
}

/// Whether the configuration was tried with this HAProxy; `banner` is what `haproxy -v` prints.
pub(super) fn haproxy(banner: Option<&str>) -> Verdict {
    let cure = "apt-get install --no-install-recommends haproxy";
    let Some(banner) = banner else {
        return bad("HAProxy is not installed", cure);
    };
    let version = banner.split_whitespace().nth(2).unwrap_or_default();
    match version_number(version) {
        Some(number) if number >= HAPROXY_MINIMUM => Ok(version.to_owned()),
        _ => bad(format!("`{version}` is older than 2.6"), cure),
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
    use super::super::finding::Finding;
    use super::*;

    #[test]
    fn only_root_may_run_bellows() {
        assert!(root(0).is_ok());
        assert!(root(1000).is_err());
    }

    #[test]
    fn a_missing_program_names_its_package_once() {
        let folders = [PathBuf::from("/usr/bin")];
        let verdict = programs(&folders, |path| !path.to_string_lossy().contains("lxc-"));
        insta::assert_snapshot!(Finding { check: "programs", verdict }, @r"
        FAIL  programs         not found: lxc-copy, lxc-stop, lxc-destroy
                               cure: apt-get install --no-install-recommends lxc
        ");
        assert!(programs(&folders, |_| true).is_ok());
    }

    #[test]
    fn lxc_before_the_overlay_fix_is_refused() {
        let debian = |new_enough| Lxc::Debian { version: "1:5.0.2-1".to_owned(), new_enough };
        assert!(lxc(&debian(false)).is_err());
        assert!(lxc(&debian(true)).is_ok());
        assert!(lxc(&Lxc::Other("5.0.2".to_owned())).is_err());
        assert!(lxc(&Lxc::Other("5.0.3".to_owned())).is_ok());
        assert!(lxc(&Lxc::Other("6.0.4".to_owned())).is_ok());
        assert!(lxc(&Lxc::Other("devel".to_owned())).is_err());
        assert!(lxc(&Lxc::Missing).is_err());
    }

    #[test]
    fn haproxy_before_2_6_is_refused() {
        let banner = "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n";
        assert!(haproxy(Some(banner)).is_ok());
        assert!(haproxy(Some("HAProxy version 3.0.0 2024/05/29")).is_ok());
        assert!(haproxy(Some("HA-Proxy version 2.2.9-2+deb11u6 2023/02/14")).is_err());
        assert!(haproxy(Some("")).is_err());
        assert!(haproxy(None).is_err());
    }
}
