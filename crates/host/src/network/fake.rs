//! A firewall in memory, for tests of what holds it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use model::network::Drift;

use super::{Firewall, Generation, Held, NetworkError};

/// A firewall that tests change, as a stranger would.
#[derive(Debug, Default)]
pub struct FakeFirewall {
    generation: AtomicU32,
    drift: Mutex<Option<Drift>>,
    is_refused: AtomicBool,
    looks: AtomicU32,
}

impl FakeFirewall {
    /// Somebody changes nftables: our rules, or with `None` only what is not ours.
    pub fn change(&self, drift: Option<Drift>) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if drift.is_some() {
            *self.drift.lock().unwrap_or_else(PoisonError::into_inner) = drift;
        }
    }

    /// From now on nothing can be put in place, or can again.
    pub fn refuse(&self, is_refused: bool) {
        self.is_refused.store(is_refused, Ordering::SeqCst);
    }

    /// How often the rules were compared.
    pub fn looks(&self) -> u32 {
        self.looks.load(Ordering::SeqCst)
    }
}

impl Firewall for FakeFirewall {
    fn generation(&self) -> Result<Generation, NetworkError> {
        Ok(self.generation.load(Ordering::SeqCst))
    }

    async fn hold(&self, _tcp_ports: &BTreeSet<u16>) -> Result<Held, NetworkError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let mut changed = self.drift.lock().unwrap_or_else(PoisonError::into_inner);
        if changed.is_some() && self.is_refused.load(Ordering::SeqCst) {
            return Err(NetworkError::Busy);
        }
        let drift = changed.take();
        if drift.is_some() {
            self.generation.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Held { generation: self.generation.load(Ordering::SeqCst), drift })
    }
}
