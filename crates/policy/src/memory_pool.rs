//! Which launches fit in the host's memory. Every instance may come to use all that it is given, so
//! what counts is its limit, and not what it uses at the moment.

use std::collections::BTreeMap;

use model::names::ServiceName;

/// The lower bounds ask for more memory than the instances of the host may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "service {service} always needs {needed_mib} MiB, and the services before it leave {left_mib} MiB of \
     the host's: lower a bounds.min or an instance.memory_mib"
)]
pub struct MemoryError {
    /// The first service that found no room.
    pub service: ServiceName,
    /// Its lower bound of instances, in MiB.
    pub needed_mib: u64,
    /// What no service before it takes, in MiB.
    pub left_mib: u64,
}

/// A number of instances of a service, each with so much memory.
#[derive(Debug, Clone, Copy)]
pub struct MemoryNeed<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// How many instances.
    pub instances: u32,
    /// The memory limit of each, in MiB.
    pub instance_mib: u32,
}

impl MemoryNeed<'_> {
    /// All of them together, in MiB.
    pub fn mib(&self) -> u64 {
        u64::from(self.instances) * u64::from(self.instance_mib)
    }
}

/// Whether `total_mib` are enough for each service to have its lower bound of instances at a time.
///
/// # Errors
/// [`MemoryError`] names the first service that they are not enough for.
pub fn suffice<'a>(
    lower_bounds: impl IntoIterator<Item = MemoryNeed<'a>>,
    total_mib: u64,
) -> Result<(), MemoryError> {
    let mut left_mib = total_mib;
    for need in lower_bounds {
        let needed_mib = need.mib();
        left_mib = left_mib.checked_sub(needed_mib).ok_or_else(|| MemoryError {
            service: need.service.clone(),
            needed_mib,
            left_mib,
        })?;
    }
    Ok(())
}

/// The memory that instances may have, in one turn of the loop.
#[derive(Debug)]
pub struct MemoryPool {
    left_mib: u64,
    /// What the lower bound of each service asks for beside the instances that it has.
    promised_mib: BTreeMap<ServiceName, u64>,
    /// All of that together, so that no service has to look at every other.
    all_promised_mib: u64,
}

impl MemoryPool {
    /// A pool of `total_mib`, of which nothing is held.
    pub const fn new(total_mib: u64) -> Self {
        Self { left_mib: total_mib, promised_mib: BTreeMap::new(), all_promised_mib: 0 }
    }

    /// Takes note of a service's lower bound, once, for which nobody else may have the memory.
    pub fn promise(&mut self, lower_bound: &MemoryNeed) {
        self.all_promised_mib += lower_bound.mib();
        self.promised_mib.insert(lower_bound.service.clone(), lower_bound.mib());
    }

    /// Takes note of an instance, after the promises.
    pub fn hold(&mut self, service: &ServiceName, mib: u32) {
        let mib = u64::from(mib);
        self.left_mib = self.left_mib.saturating_sub(mib);
        if let Some(promised) = self.promised_mib.get_mut(service) {
            let kept = mib.min(*promised);
            *promised -= kept;
            self.all_promised_mib -= kept;
        }
    }

    /// What nobody holds, in MiB.
    pub const fn left_mib(&self) -> u64 {
        self.left_mib
    }

    /// What of that is kept for lower bounds, in MiB.
    pub const fn promised_mib(&self) -> u64 {
        self.all_promised_mib
    }

    /// How many more instances of a service, of `mib` each, fit beside what is held and promised to
    /// others.
    pub fn fits(&self, service: &ServiceName, mib: u32) -> u32 {
        let own = self.promised_mib.get(service).copied().unwrap_or_default();
        let to_others = self.all_promised_mib - own;
        let room = self.left_mib.saturating_sub(to_others) / u64::from(mib.max(1));
        u32::try_from(room).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceName {
        name.parse().unwrap()
    }

    fn need(service: &ServiceName, instances: u32, instance_mib: u32) -> MemoryNeed<'_> {
        MemoryNeed { service, instances, instance_mib }
    }

    #[test]
    fn lower_bounds_must_fit_together() {
        let (a, b) = (service("a"), service("b"));
        let both = || [need(&a, 2, 128), need(&b, 1, 256)];
        assert_eq!(suffice(both(), 512), Ok(()));
        let error = MemoryError { service: b.clone(), needed_mib: 256, left_mib: 255 };
        assert_eq!(suffice(both(), 511), Err(error));
    }

    #[test]
    fn what_lower_bounds_ask_for_is_kept_for_them_until_their_instances_are_there() {
        let (a, b) = (service("a"), service("b"));
        let mut pool = MemoryPool::new(1000);
        pool.promise(&need(&a, 1, 100));
        pool.promise(&need(&b, 2, 200));
        assert_eq!((pool.fits(&a, 100), pool.fits(&b, 200)), (6, 4));
        pool.hold(&b, 200);
        pool.hold(&b, 200);
        pool.hold(&b, 200);
        assert_eq!((pool.fits(&a, 100), pool.fits(&b, 200)), (4, 1));
        pool.hold(&a, 100);
        assert_eq!((pool.fits(&a, 100), pool.fits(&b, 200)), (3, 1));
        pool.hold(&service("gone"), 900);
        assert_eq!(pool.fits(&a, 100), 0);
    }
}
