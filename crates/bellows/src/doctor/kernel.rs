//! The checks of what the kernel offers: overlay, cgroups, user namespaces, seccomp, AppArmor.

use std::path::Path;

use nix::errno::Errno;

use super::finding::{Verdict, bad};

/// The v1 controllers that limit and measure an instance.
const CGROUP_V1_CONTROLLERS: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "freezer"];

/// The v2 controllers that do the same; accounting and freezing are always there.
const CGROUP_V2_CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Whether instances can be overlay clones below the folder `place`; `trial` is how the mount of one
/// there ended.
pub(super) fn overlay(trial: nix::Result<()>, place: &Path) -> Verdict {
    let place = place.display();
    match trial {
        Ok(()) => Ok(format!("mounts below {place}")),
        Err(Errno::ENODEV) => bad(
            "the kernel has no overlay file system",
            "modprobe overlay; if that fails, boot a kernel with CONFIG_OVERLAY_FS",
        ),
        // It is itself an overlay, or a network file system; or the option `userxattr` is not known.
        Err(Errno::EINVAL) => bad(
            format!("the file system of {place} cannot hold an overlay's upper layer"),
            format!(
                "mount an ext4, xfs or btrfs file system at {place}, and boot Linux 5.11 or later"
            ),
        ),
        // As in most containers.
        Err(Errno::EPERM | Errno::EACCES) => bad(
            "this process may not mount file systems",
            "run as root on the host itself, not in a container without CAP_SYS_ADMIN",
        ),
        Err(error) => bad(
            format!("a trial mount below {place} failed with error {}", error as i32),
            "look at the last lines of dmesg for the reason",
        ),
    }
}

/// Whether files can be mounted, as those that bound what instances write. The kernel makes the device
/// where its module can be loaded.
pub(super) fn loop_devices(has_control: bool) -> Verdict {
    if has_control {
        Ok("files can be mounted".to_owned())
    } else {
        bad(
            "there is no /dev/loop-control",
            "modprobe loop; in a container, give it the loop devices",
        )
    }
}

/// Whether instances can be limited and measured. `mounts` is the text of `/proc/self/mounts`,
/// `unified` that of `/sys/fs/cgroup/cgroup.controllers`, if that file is there.
pub(super) fn cgroups(mounts: &str, unified: Option<&str>) -> Verdict {
    if let Some(controllers) = unified {
        let held: Vec<&str> = controllers.split_whitespace().collect();
        return judge_controllers("v2", &CGROUP_V2_CONTROLLERS, &held);
    }
    let held: Vec<&str> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(2);
            (fields.next()? == "cgroup").then(|| fields.next())?
        })
        .flat_map(|options| options.split(','))
        .collect();
    judge_controllers("v1", &CGROUP_V1_CONTROLLERS, &held)
}

fn judge_controllers(version: &str, wanted: &[&str], held: &[&str]) -> Verdict {
    let missing: Vec<&str> = wanted.iter().filter(|name| !held.contains(name)).copied().collect();
    if missing.is_empty() {
        Ok(format!("{version} with {}", wanted.join(", ")))
    } else {
        bad(
            format!("{version} without {}", missing.join(", ")),
            "boot with systemd.unified_cgroup_hierarchy=1, or install the package \
             cgroupfs-mount where there is no systemd",
        )
    }
}

/// Whether an instance can grow into swap space beyond its memory.
pub(super) fn swap(has_swap: bool, is_limited: bool) -> Verdict {
    match (has_swap, is_limited) {
        (_, true) => Ok("counts as instances' memory".to_owned()),
        (false, false) => Ok("there is none that instances could grow into".to_owned()),
        (true, false) => bad(
            "the kernel does not limit it for instances: they grow into it beyond their memory_mib",
            "boot with swapaccount=1, or swapoff -a",
        ),
    }
}

/// Whether an instance's root can be nobody on the host. `maximum` is the text of
/// `/proc/sys/user/max_user_namespaces`.
pub(super) fn user_namespaces(maximum: Option<&str>) -> Verdict {
    match maximum.map(|text| text.trim().parse::<u64>()) {
        Some(Ok(0)) => bad(
            "switched off: user.max_user_namespaces is 0",
            "sysctl -w user.max_user_namespaces=10000",
        ),
        Some(Ok(number)) => Ok(format!("up to {number}")),
        _ => bad("the kernel has none", "boot a kernel with CONFIG_USER_NS"),
    }
}

/// Whether an allow-list of system calls works. `actions` is the text of
/// `/proc/sys/kernel/seccomp/actions_avail`.
pub(super) fn seccomp(actions: Option<&str>) -> Verdict {
    let known = actions.is_some_and(|text| text.split_whitespace().any(|word| word == "errno"));
    if known {
        Ok("filters work".to_owned())
    } else {
        bad("the kernel filters no system calls", "boot a kernel with CONFIG_SECCOMP_FILTER")
    }
}

/// Whether the instances' AppArmor profile can be loaded where the kernel enforces profiles.
/// `enabled` is the text of `/sys/module/apparmor/parameters/enabled`, if that file is there.
pub(super) fn apparmor(enabled: Option<&str>, parser_is_there: bool) -> Verdict {
    if !enabled.is_some_and(|text| text.starts_with('Y')) {
        return Ok("not in this kernel: instances go without".to_owned());
    }
    if parser_is_there {
        Ok("profiles can be loaded".to_owned())
    } else {
        bad(
            "the kernel enforces profiles, and there is no apparmor_parser to load ours",
            "apt-get install --no-install-recommends apparmor",
        )
    }
}

/// Whether the kernel makes bridges and veth pairs; `trial` is the error of making both in a
/// network namespace of their own.
pub(super) fn network_devices(trial: Result<(), String>) -> Verdict {
    match trial {
        Ok(()) => Ok("bridge and veth can be made".to_owned()),
        Err(error) => bad(
            format!("no bridge or veth can be made: {error}"),
            "modprobe bridge && modprobe veth",
        ),
    }
}

/// Whether nftables takes a table of the `inet` family; `trial` is the error of a dry run.
pub(super) fn firewall(trial: Result<(), String>) -> Verdict {
    match trial {
        Ok(()) => Ok("nftables takes rules".to_owned()),
        Err(error) => bad(
            format!("nftables refuses a table: {error}"),
            "modprobe nf_tables; if that fails, boot a kernel with CONFIG_NF_TABLES_INET, CONFIG_NF_TABLES_BRIDGE and CONFIG_NFT_REDIR",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Finding;
    use super::*;

    const HYBRID: &str = "\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0
cgroup /sys/fs/cgroup/cpuacct cgroup rw,relatime,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
";

    #[test]
    fn both_cgroup_versions_serve() {
        assert!(cgroups(HYBRID, None).is_ok());
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        assert!(cgroups(unified, Some("cpuset cpu io memory pids\n")).is_ok());
    }

    #[test]
    fn a_missing_controller_is_named() {
        let without_memory = HYBRID.replace(",memory", "");
        let verdict = cgroups(&without_memory, None);
        insta::assert_snapshot!(Finding { check: "cgroups", verdict }, @r"
        FAIL  cgroups          v1 without memory
                               cure: boot with systemd.unified_cgroup_hierarchy=1, or install the package cgroupfs-mount where there is no systemd
        ");
        assert!(cgroups("", Some("cpu pids")).is_err());
        assert!(cgroups("", None).is_err());
    }

    #[test]
    fn each_way_an_overlay_fails_has_its_own_cure() {
        let findings = [Errno::ENODEV, Errno::EINVAL, Errno::EPERM, Errno::EIO].map(|error| {
            let verdict = overlay(Err(error), Path::new("/var/lib/lxc"));
            assert!(verdict.is_err(), "{error}");
            Finding { check: "overlay", verdict }.to_string()
        });
        insta::assert_snapshot!(findings.join("\n"), @r"
        FAIL  overlay          the kernel has no overlay file system
                               cure: modprobe overlay; if that fails, boot a kernel with CONFIG_OVERLAY_FS
        FAIL  overlay          the file system of /var/lib/lxc cannot hold an overlay's upper layer
                               cure: mount an ext4, xfs or btrfs file system at /var/lib/lxc, and boot Linux 5.11 or later
        FAIL  overlay          this process may not mount file systems
                               cure: run as root on the host itself, not in a container without CAP_SYS_ADMIN
        FAIL  overlay          a trial mount below /var/lib/lxc failed with error 5
                               cure: look at the last lines of dmesg for the reason
        ");
    }

    #[test]
    fn user_namespaces_that_are_absent_or_switched_off_fail() {
        assert!(user_namespaces(None).is_err());
        assert!(user_namespaces(Some("0\n")).is_err());
        assert!(user_namespaces(Some("96365\n")).is_ok());
    }

    #[test]
    fn apparmor_needs_its_parser_only_where_the_kernel_has_it() {
        assert!(apparmor(Some("Y\n"), false).is_err());
        assert!(apparmor(Some("Y\n"), true).is_ok());
        assert!(apparmor(Some("N\n"), false).is_ok());
        assert!(apparmor(None, false).is_ok());
    }

    #[test]
    fn swap_space_that_instances_could_grow_into_is_told() {
        assert!(
            swap(false, false).is_ok() && swap(true, true).is_ok() && swap(false, true).is_ok()
        );
        insta::assert_snapshot!(Finding { check: "swap", verdict: swap(true, false) }, @r"
        FAIL  swap             the kernel does not limit it for instances: they grow into it beyond their memory_mib
                               cure: boot with swapaccount=1, or swapoff -a
        ");
    }

    #[test]
    fn seccomp_needs_the_errno_action() {
        assert!(seccomp(Some("kill_process trap errno trace log allow\n")).is_ok());
        assert!(seccomp(Some("kill_thread")).is_err());
        assert!(seccomp(None).is_err());
    }
}
