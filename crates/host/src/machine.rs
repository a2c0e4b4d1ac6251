//! What the kernel says of this machine, for people.

use std::fs;
use std::path::Path;

use model::machine::{Disk, Memory, Processors};
use nix::sys::statvfs::statvfs;
use procfs::{Current as _, LoadAverage, Meminfo};

use crate::processors::ProcessorTimes;

const MIB: u64 = 1024 * 1024;

/// What the machine is called; `None` where that is nothing that can be read.
pub fn name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Its processors; `None` where the kernel does not tell.
pub fn processors() -> Option<Processors> {
    let LoadAverage { one, five, fifteen, .. } = LoadAverage::current().ok()?;
    Some(Processors { cores: ProcessorTimes::read()?.cores, load: [one, five, fifteen] })
}

/// Its memory; `None` where the kernel does not tell.
pub fn memory() -> Option<Memory> {
    let told = Meminfo::current().ok()?;
    let available_mib = told.mem_available.map(|bytes| bytes / MIB);
    Some(Memory { total_mib: told.mem_total / MIB, available_mib })
}

/// The file system that holds a folder; `None` where that is not there.
pub fn disk(folder: &Path) -> Option<Disk> {
    let told = statvfs(folder).ok()?;
    let mib = |blocks: u64| blocks.saturating_mul(told.fragment_size()) / MIB;
    Some(Disk {
        folder: folder.display().to_string(),
        total_mib: mib(told.blocks()),
        free_mib: mib(told.blocks_available()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_says_what_it_has() {
        assert!(name().is_some());
        assert!(processors().unwrap().cores >= 1);
        let memory = memory().unwrap();
        assert!(memory.available_mib.unwrap() <= memory.total_mib);
        let disk = disk(Path::new("/")).unwrap();
        assert!(disk.free_mib <= disk.total_mib && disk.total_mib > 0, "{disk:?}");
        assert_eq!(super::disk(Path::new("/does/not/exist")), None);
    }
}
