//! What the builds of services keep for the next ones, and what is removed of it: a plan first, and then its execution.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use model::names::ServiceName;

use super::error::BuildError;
use super::run::{self, Places};
use super::{Builds, lock};
use crate::command::Runner;
use crate::files::{FileError, names_in, remove_file};
use crate::loop_devices;

/// What a disk's file, and the one that it is made in, end with.
const DISKS: [&str; 2] = [".ext4", ".draft"];

/// What the builds of one service keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose builds.
    pub service: ServiceName,
    /// What it takes of the host's disk.
    pub bytes: u64,
}

/// What pruning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was removed, each with the bytes that are free since.
    pub removed: Vec<Kept>,
    /// The services that are being built at this moment, of which nothing was removed.
    pub busy: Vec<ServiceName>,
}

/// What is kept for services that are not among these, which nobody needs.
pub fn unneeded(kept: Vec<Kept>, deployed: &BTreeSet<ServiceName>) -> Vec<Kept> {
    kept.into_iter().filter(|kept| !deployed.contains(&kept.service)).collect()
}

impl<R: Runner> Builds<R> {
    /// What builds keep, in the order of the services' names.
    ///
    /// # Errors
    /// When the folder of builds cannot be read.
    pub fn kept(&self) -> Result<Vec<Kept>, BuildError> {
        let home = self.home();
        let mut kept = BTreeMap::new();
        for name in names_in(&home)? {
            let mut services = DISKS.iter().filter_map(|end| name.strip_suffix(end)?.parse().ok());
            if let Some(service) = services.next() {
                *kept.entry(service).or_insert(0) += allocated(&home.join(name));
            }
        }
        Ok(kept.into_iter().map(|(service, bytes)| Kept { service, bytes }).collect())
    }

    /// Removes what is kept for these services, but for those that are being built.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn prune(&self, unneeded: &[Kept]) -> Result<Pruned, BuildError> {
        let mut pruned = Pruned::default();
        for Kept { service, .. } in unneeded {
            match self.forget(service).await {
                Ok(bytes) => pruned.removed.push(Kept { service: service.clone(), bytes }),
                Err(BuildError::Busy { .. }) => pruned.busy.push(service.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(pruned)
    }

    /// Removes what the builds of a service keep, and what one of them left that was killed: the next one begins with
    /// nothing. Gives the bytes that are free since.
    ///
    /// # Errors
    /// [`BuildError::Busy`] while it is being built, or when something cannot be removed.
    pub async fn forget(&self, service: &ServiceName) -> Result<u64, BuildError> {
        if !self.home().exists() {
            return Ok(0);
        }
        Ok(self.forget_all_of(service).await?.1)
    }

    /// The same; says as well whether there was anything.
    pub(super) async fn forget_all_of(
        &self,
        service: &ServiceName,
    ) -> Result<(bool, u64), BuildError> {
        let home = self.home();
        // The lock's file stays: who is about to take it has it open.
        let _lock = lock(&home, service)?;
        let mut was_there = Places::new(self, service)?.remove(&self.runner).await?;
        let disk = run::disk_file(&home, service);
        let mut bytes = 0;
        for file in [disk.with_extension("draft"), disk] {
            // A device that nobody uses would keep the bytes.
            let place = loop_devices::resolved(&file);
            loop_devices::detach(&self.runner, |path| path == place).await?;
            bytes += allocated(&file);
            was_there |= remove_file(&file)?;
        }
        Ok((was_there, bytes))
    }

    /// The services that something is kept for, or that were built at any time.
    pub(super) fn known(&self) -> Result<BTreeSet<ServiceName>, FileError> {
        let names = names_in(&self.home())?;
        let ends = || DISKS.into_iter().chain([".lock"]);
        let service = |name: &String| ends().find_map(|end| name.strip_suffix(end)?.parse().ok());
        Ok(names.iter().filter_map(service).collect())
    }
}

/// What a file takes of the disk, which is less than its length where it has holes.
fn allocated(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |found| found.blocks() * 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_services_that_are_not_deployed_is_unneeded() {
        let kept = |service: &str, bytes| Kept { service: service.parse().unwrap(), bytes };
        let all = vec![kept("a", 1), kept("b", 2), kept("c", 3)];
        let deployed = ["b", "d"].map(|name| name.parse().unwrap()).into();
        assert_eq!(unneeded(all.clone(), &deployed), [kept("a", 1), kept("c", 3)]);
        assert_eq!(unneeded(all.clone(), &BTreeSet::new()), all);
    }
}
