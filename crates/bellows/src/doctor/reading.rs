//! Reads from this machine what the checks need.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use host::command::{CommandLine, HostRunner, Runner};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;
use procfs::Current as _;
use procfs::net::TcpNetEntry;
use procfs::process::{FDTarget, Process, Stat, all_processes};

use super::disk::Room;
use super::ports::{self, PortState};
use super::software::{LXC_DEBIAN_MINIMUM, Lxc};

/// The text of a file of the kernel's, if it is there.
pub(super) fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The installed LXC: Debian's package where dpkg knows one.
pub(super) async fn lxc() -> Lxc {
    let query = CommandLine::new("dpkg-query").args(["-W", "-f", "${Version}", "lxc"]);
    if let Ok(output) = HostRunner.run(&query).await {
        let version = output.stdout.trim().to_owned();
        if !version.is_empty() {
            let compare = CommandLine::new("dpkg").args([
                "--compare-versions",
                &version,
                "ge",
                LXC_DEBIAN_MINIMUM,
            ]);
            let new_enough = HostRunner.run(&compare).await.is_ok();
            return Lxc::Debian { version, new_enough };
        }
    }
    match HostRunner.run(&CommandLine::new("lxc-copy").arg("--version")).await {
        Ok(output) => Lxc::Other(output.stdout.trim().to_owned()),
        Err(_) => Lxc::Missing,
    }
}

/// What `haproxy -v` prints, if HAProxy is installed.
pub(super) async fn haproxy_banner() -> Option<String> {
    let output = HostRunner.run(&CommandLine::new("haproxy").arg("-v")).await.ok()?;
    Some(output.stdout)
}

/// Makes a bridge and a veth pair in a network namespace that vanishes with the command.
pub(super) async fn network_devices() -> Result<(), String> {
    let batch = "link add bridge0 type bridge\nlink add veth0 type veth peer name veth1\n";
    let trial = CommandLine::new("unshare").args(["--net", "ip", "-batch", "-"]).input(batch);
    run(&trial).await
}

/// Has nftables check a table without adding it.
pub(super) async fn firewall() -> Result<(), String> {
    let rules = "table inet bellows_doctor {\n\
                 chain input {\n type filter hook input priority 0\n ct state established accept\n }\n\
                 chain nat {\n type nat hook prerouting priority -100\n tcp dport 80 redirect to :81\n }\n}\n\
                 table bridge bellows_doctor {\n\
                 chain port {\n type filter hook prerouting priority 0\n iifname bw1 drop\n }\n}\n";
    run(&CommandLine::new("nft").args(["--check", "--file", "-"]).input(rules)).await
}

async fn run(command: &CommandLine) -> Result<(), String> {
    HostRunner.run(command).await.map(drop).map_err(|error| error.to_string())
}

/// Mounts an overlay in a temporary folder of the file system that will hold the clones.
pub(super) fn overlay(place: &Path) -> nix::Result<()> {
    let folder = tempfile::Builder::new().prefix(".bellows-doctor-").tempdir_in(place);
    let folder = folder.map_err(|_| Errno::last())?;
    let paths = ["lower", "upper", "work", "merged"].map(|name| folder.path().join(name));
    for path in &paths {
        fs::create_dir(path).map_err(|_| Errno::last())?;
    }
    let [lower, upper, work, merged] = &paths;
    let options = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    let kind = Some("overlay");
    mount(kind, merged, kind, MsFlags::empty(), Some(options.as_str()))?;
    // Lazily, so that a slow reader of the mount table cannot keep the folder alive.
    let _ = umount2(merged, MntFlags::MNT_DETACH);
    Ok(())
}

/// Whether the host has swap space; where the kernel does not say, it counts as there.
pub(super) fn has_swap() -> bool {
    procfs::Meminfo::current().map_or(true, |memory| memory.swap_total > 0)
}

/// The free room of the file system that holds or will hold `folder`.
pub(super) fn room(folder: &Path) -> Room {
    let free_mib = statvfs(nearest_existing(folder))
        .map(|stat| stat.blocks_available() * stat.fragment_size() / (1024 * 1024))
        .map_err(|error| error.to_string());
    Room { folder: folder.display().to_string(), free_mib }
}

/// The folder itself, or the nearest one above it that exists.
pub(super) fn nearest_existing(folder: &Path) -> &Path {
    folder.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}

/// All TCP sockets of this network namespace.
pub(super) fn tcp_sockets() -> Vec<TcpNetEntry> {
    [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten().collect()
}

/// Whether `address` can be had; `our_pids` are the processes of the running Bellows.
pub(super) fn port_state(
    sockets: &[TcpNetEntry],
    address: SocketAddr,
    our_pids: &[i32],
) -> PortState {
    let Some(socket) = ports::in_the_way(sockets, address) else {
        return PortState::Usable;
    };
    let holders = holders_of(socket.inode);
    if holders.iter().any(|holder| descends_from(holder.pid, our_pids)) {
        return PortState::Usable;
    }
    match holders.into_iter().next() {
        Some(Stat { pid, comm: program, .. }) => PortState::Held { pid, program },
        None => PortState::HeldByUnknown,
    }
}

/// The processes that have the socket with this inode open.
fn holders_of(inode: u64) -> Vec<Stat> {
    let has_it = |process: &Process| {
        let mut files = process.fd().into_iter().flatten().flatten();
        files.any(|file| file.target == FDTarget::Socket(inode))
    };
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter(has_it).filter_map(|process| process.stat().ok()).collect()
}

/// Whether the process is one of `ancestors` or was started by one: HAProxy's worker holds the
/// ports, and its master is the program that we started. Systemd, which holds sockets for us, started
/// everybody.
fn descends_from(pid: i32, ancestors: &[i32]) -> bool {
    let parent = |pid: &i32| parent_of(*pid).filter(|parent| *parent != 1);
    std::iter::successors(Some(pid), parent).any(|pid| ancestors.contains(&pid))
}

fn parent_of(pid: i32) -> Option<i32> {
    Some(Process::new(pid).ok()?.stat().ok()?.ppid)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_held_by_this_process_is_found_with_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let state = |ours: &[i32]| port_state(&tcp_sockets(), address, ours);
        assert!(matches!(state(&[]), PortState::Held { pid, .. } if pid == own));
        assert!(
            matches!(state(&[1]), PortState::Held { .. }),
            "all descend from the first process"
        );
        let parent = parent_of(own).unwrap();
        assert_eq!(state(&[parent]), PortState::Usable);
        drop(listener);
        assert_eq!(state(&[]), PortState::Usable);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_measured_at_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("not/there/yet");
        assert_eq!(nearest_existing(&wanted), folder.path());
        assert!(room(&wanted).free_mib.is_ok());
    }
}
