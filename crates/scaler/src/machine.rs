//! What is known of the machine, told to whoever asks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use host::haproxy::{Account, HaproxySettings};
use host::machine;
use model::machine::{DoctorStatus, HaproxyStatus, MachineRoom, MachineStatus};
use model::network::NetworkStatus;
use model::time::Timestamp;

use crate::clock::now;
use crate::doctor::Doctor;
use crate::lock::lock;

/// The machine, as far as this process knows it.
#[derive(Debug)]
pub(crate) struct Machine {
    state: PathBuf,
    haproxy: HaproxySettings,
    since: Timestamp,
    doctor: Arc<Doctor>,
    /// What instances may take, after the last turn.
    room: Mutex<Option<MachineRoom>>,
}

impl Machine {
    /// That with this state folder, on which this HAProxy runs.
    pub(crate) fn new(state: &Path, haproxy: HaproxySettings, doctor: Doctor) -> Self {
        Self {
            state: state.to_owned(),
            haproxy,
            since: now(),
            doctor: Arc::new(doctor),
            room: Mutex::default(),
        }
    }

    /// This is what instances may take from now on.
    pub(crate) fn show_room(&self, room: MachineRoom) {
        *lock(&self.room) = Some(room);
    }

    /// The machine now. What does not answer is not known.
    pub(crate) async fn status(&self, network: NetworkStatus) -> MachineStatus {
        let at = now();
        let haproxy = Account::ask(&self.haproxy).await.map_err(|error| {
            tracing::debug!(error = service::exit::chain(&error), "HAProxy says nothing of itself");
        });
        MachineStatus {
            at,
            name: machine::name(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.since,
            processors: machine::processors(),
            memory: machine::memory(),
            disk: machine::disk(&self.state),
            room: *lock(&self.room),
            haproxy: haproxy.ok().map(|account| told(account, at)),
            network,
        }
    }

    /// What `bellows doctor` found last.
    pub(crate) async fn doctor(&self) -> DoctorStatus {
        self.doctor.status().await
    }
}

fn told(account: Account, at: Timestamp) -> HaproxyStatus {
    let Account { version, age, reloads, old_workers, connections, connections_max } = account;
    let since = at.before(age);
    HaproxyStatus { version, since, reloads, old_workers, connections, connections_max }
}
