//! The memory of instances, as their control groups count it.

use std::fs;
use std::path::{Path, PathBuf};

use super::Cgroups;

impl Cgroups {
    /// The memory that a container needs, in bytes: what is charged to it without the pages of files that nobody used
    /// lately, which the kernel takes back before anything else. A program that reads 1 GB of files once is charged for
    /// all of it and needs little. `docker stats` and the kubelet's working set are the same figure. `None` where
    /// it does not run.
    ///
    /// Two small files are opened, read and closed: some 17 µs.
    pub(crate) fn memory_bytes(&self, container: &str) -> Option<u64> {
        let folder = self.memory_group(container)?;
        let (charged, unused) = match self.version_1("memory") {
            Some(_) => ("memory.usage_in_bytes", "total_inactive_file "),
            None => ("memory.current", "inactive_file "),
        };
        let charged: u64 = read(&folder, charged)?.trim_end().parse().ok()?;
        let counts = read(&folder, "memory.stat")?;
        let unused = counts.lines().find_map(|line| line.strip_prefix(unused))?.parse().ok()?;
        // The two are read one after the other.
        Some(charged.saturating_sub(unused))
    }

    /// The group in which a container's memory is counted, be it there or not; `None` where nothing counts memory.
    pub fn memory_group(&self, container: &str) -> Option<PathBuf> {
        // On a host with both versions the controller is in one of them, and version 1 has a hierarchy for it then.
        let base = self.version_1("memory").or_else(|| self.version_2())?;
        Some(base.join(format!("lxc.payload.{container}")))
    }
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Hierarchy;
    use super::*;

    /// The groups below this folder, of version 2 where there are no controllers.
    fn groups(root: &Path, controllers: &[&str]) -> Cgroups {
        let controllers = controllers.iter().map(|&name| name.to_owned()).collect();
        Cgroups { hierarchies: vec![Hierarchy { controllers, base: root.to_owned() }] }
    }

    #[test]
    fn memory_is_what_is_charged_without_what_the_kernel_takes_back_first() {
        let root = tempfile::tempdir().unwrap();
        let payload = root.path().join("lxc.payload.bw-a-1-b");
        fs::create_dir(&payload).unwrap();
        let write = |file, text| fs::write(payload.join(file), text).unwrap();
        let version_2 = groups(root.path(), &[]);
        assert_eq!(version_2.memory_bytes("bw-a-1-b"), None);
        write("memory.current", "5000\n");
        assert_eq!(version_2.memory_bytes("bw-a-1-b"), None, "half of it is not known");
        write("memory.stat", "anon 900\nfile 4000\ninactive_file 3000\nactive_file 1000\n");
        assert_eq!(version_2.memory_bytes("bw-a-1-b"), Some(2000));
        assert_eq!(version_2.memory_bytes("bw-a-2-c"), None);
        // Of version 1 the group's own count leaves out the groups below it.
        let version_1 = groups(root.path(), &["memory"]);
        write("memory.usage_in_bytes", "7000\n");
        write("memory.stat", "inactive_file 1\ntotal_cache 6000\ntotal_inactive_file 4500\n");
        assert_eq!(version_1.memory_bytes("bw-a-1-b"), Some(2500));
        write("memory.usage_in_bytes", "4000\n");
        assert_eq!(version_1.memory_bytes("bw-a-1-b"), Some(0), "more was read since");
    }
}
