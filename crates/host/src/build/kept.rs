//! What the builds of services keep for the next ones, and what is removed of it: a plan first, and then its execution.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use model::names::ServiceName;

use super::error::BuildError;
use super::run::{self, Places};
use super::{Builds, lock, lock_file};
use crate::command::Runner;
use crate::disk_use::allocated;
use crate::files::{FileError, names_in, remove_file};
use crate::lock::holders;
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
    /// When a build wrote to it last, which each one does.
    pub used_at: SystemTime,
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

/// What has to go of what is kept for all services, so that no more than `bound` bytes stay: what was used longest ago,
/// first, and nothing of those that are `busy`.
pub fn above(kept: &[Kept], bound: u64, busy: &BTreeSet<ServiceName>) -> Vec<Kept> {
    let mut sum: u64 = kept.iter().map(|kept| kept.bytes).sum();
    let mut oldest: Vec<_> = kept.iter().filter(|kept| !busy.contains(&kept.service)).collect();
    oldest.sort_by_key(|kept| kept.used_at);
    let goes = oldest.into_iter().take_while(|kept| {
        let is_above = sum > bound;
        sum = sum.saturating_sub(kept.bytes);
        is_above
    });
    goes.cloned().collect()
}

impl<R: Runner> Builds<R> {
    /// What builds keep, in the order of the services' names.
    ///
    /// # Errors
    /// When the folder of builds cannot be read.
    pub fn kept(&self) -> Result<Vec<Kept>, BuildError> {
        let home = self.home();
        let mut kept: BTreeMap<ServiceName, Kept> = BTreeMap::new();
        for name in names_in(&home)? {
            let mut services = DISKS.iter().filter_map(|end| name.strip_suffix(end)?.parse().ok());
            let Some(service) = services.next() else { continue };
            let file = home.join(&name);
            let (bytes, used_at) = (allocated(&file), written_at(&file));
            let first = || Kept { service: ServiceName::clone(&service), bytes: 0, used_at };
            let known = kept.entry(service.clone()).or_insert_with(first);
            known.bytes += bytes;
            known.used_at = known.used_at.max(used_at);
        }
        Ok(kept.into_values().collect())
    }

    /// Whether a process builds for a service at this moment, or is about to.
    pub fn is_busy(&self, service: &ServiceName) -> bool {
        !holders(&lock_file(&self.home(), service)).is_empty()
    }

    /// Removes what was used longest ago of what is kept for all services, until that is within `bound_mib`, but for
    /// those that are being built.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn keep_within(&self, bound_mib: u32) -> Result<Pruned, BuildError> {
        let kept = self.kept()?;
        let services = kept.iter().map(|kept| &kept.service);
        let busy = services.filter(|service| self.is_busy(service)).cloned().collect();
        self.prune(&above(&kept, u64::from(bound_mib) << 20, &busy)).await
    }

    /// Removes what is kept for these services, but for those that are being built.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn prune(&self, unneeded: &[Kept]) -> Result<Pruned, BuildError> {
        let mut pruned = Pruned::default();
        for kept in unneeded {
            match self.forget(&kept.service).await {
                Ok(bytes) => pruned.removed.push(Kept { bytes, ..kept.clone() }),
                Err(BuildError::Busy { .. }) => pruned.busy.push(kept.service.clone()),
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
        let lock = lock(&home, service)?;
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
        // While it is held: who is about to take it sees that it is gone.
        remove_file(&lock_file(&home, service))?;
        drop(lock);
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

/// The kernel notes it also where the file is written to by way of its loop device.
fn written_at(file: &Path) -> SystemTime {
    let written = fs::metadata(file).and_then(|found| found.modified());
    written.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Of so many bytes, used so many seconds after another.
    fn kept_at(service: &str, bytes: u64, seconds: u64) -> Kept {
        let used_at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Kept { service: service.parse().unwrap(), bytes, used_at }
    }

    #[test]
    fn above_the_bound_what_was_used_longest_ago_goes_and_nothing_that_is_being_built() {
        let all = [kept_at("a", 10, 3), kept_at("b", 20, 1), kept_at("c", 30, 2)];
        let goes = |bound, busy: &[&str]| -> Vec<String> {
            let busy = busy.iter().map(|name| name.parse().unwrap()).collect();
            let goes = above(&all, bound, &busy);
            goes.iter().map(|kept| kept.service.to_string()).collect()
        };
        assert_eq!(goes(60, &[]), [""; 0]);
        assert_eq!(goes(59, &[]), ["b"]);
        assert_eq!(goes(40, &[]), ["b"]);
        assert_eq!(goes(39, &[]), ["b", "c"]);
        assert_eq!(goes(39, &["b"]), ["c"]);
        assert_eq!(goes(20, &["b"]), ["c", "a"]);
        assert_eq!(goes(0, &[]), ["b", "c", "a"]);
        assert_eq!(goes(0, &["a", "b", "c"]), [""; 0]);
    }

    #[test]
    fn what_is_kept_for_services_that_are_not_deployed_is_unneeded() {
        let kept = |service: &str, bytes| kept_at(service, bytes, 0);
        let all = vec![kept("a", 1), kept("b", 2), kept("c", 3)];
        let deployed = ["b", "d"].map(|name| name.parse().unwrap()).into();
        assert_eq!(unneeded(all.clone(), &deployed), [kept("a", 1), kept("c", 3)]);
        assert_eq!(unneeded(all.clone(), &BTreeSet::new()), all);
    }
}
