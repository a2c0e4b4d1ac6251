//! Control groups: the CPU time and memory of instances, and the removal of groups that outlived their
//! instance. Hosts have version 1, version 2, or both at once.

mod memory;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::names::{CONTAINER_PREFIX, InstanceName};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::files::{FileError, file_error};

/// The host's control groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// Every mounted hierarchy.
    hierarchies: Vec<Hierarchy>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    /// The controllers of a hierarchy of version 1; empty for version 2.
    controllers: Vec<String>,
    /// The folder in which LXC makes the groups of instances.
    base: PathBuf,
}

impl Cgroups {
    /// The control groups of this host.
    ///
    /// # Errors
    /// When the kernel's tables cannot be read.
    pub fn of_host() -> Result<Self, FileError> {
        // Any user who may mount by FUSE chooses a name in the table of mounts, UTF-8 or not.
        let read = |path: &str| {
            let content = fs::read(path).map_err(file_error("read", Path::new(path)))?;
            Ok(String::from_utf8_lossy(&content).into_owned())
        };
        Ok(Self::parse(&read("/proc/self/mounts")?, &read("/proc/1/cgroup")?))
    }

    /// `mounts` is the text of `/proc/self/mounts`, `init` that of `/proc/1/cgroup`: LXC puts
    /// containers beside the host's init.
    fn parse(mounts: &str, init: &str) -> Self {
        let hierarchies = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            let controllers = match kind {
                "cgroup" => options.split(',').map(str::to_owned).collect(),
                "cgroup2" => Vec::new(),
                _ => return None,
            };
            let base = Path::new(place).join(init_path(init, &controllers)?);
            Some(Hierarchy { controllers, base })
        });
        Self { hierarchies: hierarchies.collect() }
    }

    /// The file that tells the CPU time of the container; `None` when it does not run.
    fn cpu_file(&self, container: &str) -> Option<File> {
        let payload = format!("lxc.payload.{container}");
        let version_1 = self.version_1("cpuacct").map(|base| (base, "cpuacct.usage"));
        let version_2 = self.version_2().map(|base| (base, "cpu.stat"));
        let mut places = version_1.into_iter().chain(version_2);
        places.find_map(|(base, file)| File::open(base.join(&payload).join(file)).ok())
    }

    /// Whether the kernel can limit the swap space of a group: it has files for it. One that was built or
    /// started without accounting of swap space has not.
    pub fn limit_swap(&self) -> bool {
        match (self.version_1("memory"), self.version_2()) {
            (Some(base), _) => base.join("memory.memsw.limit_in_bytes").exists(),
            // The root of version 2 has no limits; every group in it has.
            (None, Some(base)) => {
                groups_in(base).any(|group| group.join("memory.swap.max").exists())
            }
            (None, None) => false,
        }
    }

    /// The names of all containers that have a group and carry the prefix.
    pub fn containers(&self) -> BTreeSet<String> {
        let entries = self.hierarchies.iter().flat_map(|it| fs::read_dir(&it.base)).flatten();
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter_map(|group| {
                let name = group
                    .strip_prefix("lxc.payload.")
                    .or_else(|| group.strip_prefix("lxc.monitor."))?;
                name.starts_with(CONTAINER_PREFIX).then(|| name.to_owned())
            })
            .collect()
    }

    /// Whether the container still has a group of its own.
    pub fn exists(&self, container: &str) -> bool {
        self.folders(container).any(|folder| folder.exists())
    }

    /// Where the files of these names are in the container's groups, for whichever version has them.
    pub(crate) fn files<'a>(
        &self,
        container: &str,
        names: &'a [&'a str],
    ) -> impl Iterator<Item = PathBuf> + use<'a> {
        let payload = format!("lxc.payload.{container}");
        let folders = self.hierarchies.iter().map(move |it| it.base.join(&payload));
        let folders: Vec<_> = folders.collect();
        folders.into_iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)))
    }

    /// A process of the container, of those that run in it; `None` when it does not run.
    pub(crate) fn process_of(&self, container: &str) -> Option<i32> {
        let payload = format!("lxc.payload.{container}");
        let mut hierarchies = self.hierarchies.iter();
        hierarchies.find_map(|it| processes(&it.base.join(&payload)).first().copied())
    }

    /// Kills every process in the container's groups, and in those that it made below them.
    pub fn kill(&self, container: &str) {
        for pid in self.folders(container).flat_map(|folder| processes(&folder)) {
            // One that ended in the meantime is what was wanted.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Removes the container's groups. The kernel refuses while a process is left in one, and one
    /// that was killed takes its time to end on a busy host, so this tries for up to 2 s.
    pub async fn remove(&self, container: &str) {
        for _ in 0..200 {
            self.folders(container).for_each(|folder| remove_tree(&folder));
            if !self.exists(container) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn folders(&self, container: &str) -> impl Iterator<Item = PathBuf> {
        let names = [format!("lxc.payload.{container}"), format!("lxc.monitor.{container}")];
        let bases = self.hierarchies.iter().map(|hierarchy| &hierarchy.base);
        bases.flat_map(move |base| names.clone().map(|name| base.join(name)))
    }

    fn version_1(&self, controller: &str) -> Option<&Path> {
        let has = |hierarchy: &&Hierarchy| hierarchy.controllers.iter().any(|c| c == controller);
        self.hierarchies.iter().find(has).map(|hierarchy| hierarchy.base.as_path())
    }

    fn version_2(&self) -> Option<&Path> {
        let found = self.hierarchies.iter().find(|hierarchy| hierarchy.controllers.is_empty());
        found.map(|hierarchy| hierarchy.base.as_path())
    }
}

/// Files kept open at a time: a process may have 1,024 unless somebody raises that, and other files
/// beside these.
const OPEN_MAX: usize = 500;

/// The files that tell the CPU time of instances. They stay open: 200 of them are read in 0.1 ms of CPU
/// time, and opened, read and closed in 1.4 ms, ten times a second.
#[derive(Debug, Default)]
pub(crate) struct CpuFiles(Mutex<HashMap<InstanceName, File>>);

impl CpuFiles {
    /// The CPU time of each of these instances, of all cores together, as far as they run.
    pub(crate) fn read(
        &self,
        cgroups: &Cgroups,
        instances: &[&InstanceName],
    ) -> BTreeMap<InstanceName, Duration> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *kept);
        let mut times = BTreeMap::new();
        for name in instances {
            let file = before.remove(*name).or_else(|| cgroups.cpu_file(name.as_str()));
            // The file of an instance that is gone cannot be read any more.
            let Some((file, time)) = file.and_then(|file| cpu_time(&file).map(|t| (file, t)))
            else {
                continue;
            };
            times.insert((*name).clone(), time);
            if kept.len() < OPEN_MAX {
                kept.insert((*name).clone(), file);
            }
        }
        times
    }
}

/// Reads a file of version 1, a number of nanoseconds, or of version 2, which begins with
/// `usage_usec` and a number of microseconds.
fn cpu_time(file: &File) -> Option<Duration> {
    let mut bytes = [0; 64];
    let length = file.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(&bytes[..length]).ok()?;
    let line = text.lines().next()?;
    match line.strip_prefix("usage_usec ") {
        Some(microseconds) => microseconds.parse().ok().map(Duration::from_micros),
        None => line.parse().ok().map(Duration::from_nanos),
    }
}

/// The group of the host's init in the hierarchy with one of these controllers (version 2 when
/// there are none), without systemd's own scope, relative to the mount.
fn init_path(init: &str, controllers: &[String]) -> Option<PathBuf> {
    let path = init.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        let same = match controllers {
            [] => names.is_empty(),
            _ => names.split(',').all(|name| controllers.iter().any(|c| c == name)),
        };
        (same && names.is_empty() == controllers.is_empty()).then_some(path)
    })?;
    let path = path.strip_suffix("/init.scope").unwrap_or(path);
    Some(PathBuf::from(path.trim_start_matches('/')))
}

/// The processes in a group and in all below it.
fn processes(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let own = text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 1);
    own.chain(groups_in(folder).flat_map(|group| processes(&group))).collect()
}

fn groups_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// A control group is removed from its leaves up, and its files cannot be removed at all.
fn remove_tree(folder: &Path) {
    groups_in(folder).for_each(|group| remove_tree(&group));
    // Refused while in use; the caller looks again.
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID_MOUNTS: &str = "\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
";
    const HYBRID_INIT: &str = "\
3:name=systemd:/init.scope
2:memory:/
1:cpu,cpuacct:/
0::/init.scope
";

    #[test]
    fn a_hybrid_host_has_its_controllers_in_version_1() {
        let cgroups = Cgroups::parse(HYBRID_MOUNTS, HYBRID_INIT);
        let cpu = Path::new("/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(cgroups.version_1("cpuacct"), Some(cpu));
        assert_eq!(cgroups.version_1("pids"), None);
        assert_eq!(cgroups.version_2(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(cgroups.hierarchies.len(), 4);
    }

    #[test]
    fn a_version_2_host_has_one_hierarchy() {
        let mounts = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n";
        let cgroups = Cgroups::parse(mounts, "0::/init.scope\n");
        assert_eq!(cgroups.version_1("memory"), None);
        assert_eq!(cgroups.version_2(), Some(Path::new("/sys/fs/cgroup")));
    }

    #[test]
    fn cpu_times_come_from_whichever_version_has_them_as_long_as_the_instance_is_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let name: InstanceName = "bw-a-1-b".parse().unwrap();
        let payload = root.path().join("lxc.payload.bw-a-1-b");
        fs::create_dir(&payload).unwrap();
        let hierarchy = |controllers: Vec<String>| Cgroups {
            hierarchies: vec![Hierarchy { controllers, base: root.path().to_owned() }],
        };
        let files = CpuFiles::default();
        let read = |cgroups: &Cgroups| files.read(cgroups, &[&name]).remove(&name);
        let version_2 = hierarchy(Vec::new());
        assert_eq!(read(&version_2), None);
        let write = |file, text| fs::write(payload.join(file), text).unwrap();
        write("cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
        assert_eq!(read(&version_2), Some(Duration::from_micros(1500)));
        write("cpu.stat", "usage_usec 99\nuser_usec 10\n");
        assert_eq!(read(&version_2), Some(Duration::from_micros(99)));
        assert!(files.read(&version_2, &[]).is_empty());
        fs::remove_file(payload.join("cpu.stat")).unwrap();
        assert_eq!(read(&version_2), None, "its file is not kept");
        write("cpuacct.usage", "2500000\n");
        let version_1 = hierarchy(vec!["cpuacct".to_owned()]);
        assert_eq!(read(&version_1), Some(Duration::from_micros(2500)));
    }

    #[test]
    fn processes_in_groups_that_an_instance_made_are_found() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("system.slice/web")).unwrap();
        fs::write(root.path().join("cgroup.procs"), "1\n100001\n").unwrap();
        fs::write(root.path().join("system.slice/web/cgroup.procs"), "100002\n").unwrap();
        assert_eq!(processes(root.path()), [100_001, 100_002]);
    }

    #[tokio::test]
    async fn groups_of_a_container_are_removed_with_what_is_below() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("lxc.payload.bw-a-1-b/ns/deep")).unwrap();
        fs::create_dir_all(root.path().join("lxc.monitor.bw-a-1-b")).unwrap();
        fs::create_dir_all(root.path().join("lxc.payload.bw-a-1-bc")).unwrap();
        let hierarchy = Hierarchy { controllers: Vec::new(), base: root.path().to_owned() };
        let cgroups = Cgroups { hierarchies: vec![hierarchy] };
        assert!(cgroups.exists("bw-a-1-b"));
        assert_eq!(cgroups.containers().into_iter().collect::<Vec<_>>(), ["bw-a-1-b", "bw-a-1-bc"]);
        cgroups.remove("bw-a-1-b").await;
        assert!(!cgroups.exists("bw-a-1-b"));
        assert!(cgroups.exists("bw-a-1-bc"));
    }
}
