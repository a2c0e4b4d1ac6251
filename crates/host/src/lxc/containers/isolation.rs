//! The ports of instances that somebody else launched: an `lxc-copy` that outlived its scaler ends a launch that
//! nobody isolates, and a release of before may have isolated none.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use model::names::InstanceName;

use super::super::inventory::{Container, ContainerState};
use crate::network::ports;
use crate::slots;

/// The instances whose ports of the bridge were isolated since this process started.
#[derive(Debug, Default)]
pub(super) struct Isolated {
    instances: Mutex<BTreeSet<InstanceName>>,
}

impl Isolated {
    /// Isolates the port of each instance that runs, once. One that LXC has not made yet is looked for again with
    /// the next list: that is one system call.
    pub(super) fn ensure(&self, listed: &[Container]) {
        let mut known = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let running = listed.iter().filter(|it| it.state == ContainerState::Running);
        let isolated = running.filter_map(|Container { name, .. }| {
            known.take(name).or_else(|| isolate(name).then(|| name.clone()))
        });
        let isolated = isolated.collect();
        *known = isolated;
    }
}

/// Whether there is nothing left to do about an instance's port. What the kernel refuses is said once: it is no
/// reason to see no instances at all.
fn isolate(instance: &InstanceName) -> bool {
    ports::isolate(&slots::interface(instance.slot())).unwrap_or_else(|error| {
        tracing::error!(%instance, %error, "its port of the bridge is not isolated");
        true
    })
}
