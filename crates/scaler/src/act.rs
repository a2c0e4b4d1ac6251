//! Carries out the actions of a plan. It decides nothing.

use std::net::SocketAddrV4;
use std::time::Duration;

use host::deployments::DeployedService;
use host::haproxy::{LoadBalancer, ServerState};
use host::lxc::{ContainerError, Containers};
use host::probe::{Probe, ProbeError};
use model::action::{Action, ActionKind};
use model::names::InstanceName;
use tokio::sync::Semaphore;

use crate::rotation::{Rotation, RotationError};
use crate::services::Services;

/// An action that did not come to its end. The next turn sees what is left and plans anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    /// The container could not be made or removed.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The instance did not become healthy.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The load balancer did not take the change.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The service was withdrawn, or its network has no address for the slot.
    #[error(
        "{0} has no address: its service is not deployed or its slot is outside of the network"
    )]
    NoAddress(InstanceName),
}

/// Stops at a time: each takes some 50 ms of two programs of LXC, and the hundreds that a steep
/// fall of the load asks for would leave no CPU time for the requests.
const PARALLEL_STOPS: usize = 8;

/// The means to carry out actions.
#[derive(Debug)]
pub(crate) struct Actor<C, L, P> {
    containers: C,
    rotation: Rotation<L>,
    probe: P,
    services: Services,
    launch_timeout: Duration,
    stops: Semaphore,
}

impl<C: Containers, L: LoadBalancer, P: Probe> Actor<C, L, P> {
    /// An actor for these services, that gives an instance `launch_timeout` to become healthy.
    pub(crate) fn new(
        containers: C,
        rotation: Rotation<L>,
        probe: P,
        services: Services,
        launch_timeout: Duration,
    ) -> Self {
        let stops = Semaphore::new(PARALLEL_STOPS);
        Self { containers, rotation, probe, services, launch_timeout, stops }
    }

    /// The host's containers.
    pub(crate) fn containers(&self) -> &C {
        &self.containers
    }

    /// What asks instances whether they can serve.
    #[cfg(test)]
    pub(crate) fn probe(&self) -> &P {
        &self.probe
    }

    /// What takes requests.
    pub(crate) fn rotation(&self) -> &Rotation<L> {
        &self.rotation
    }

    /// Carries out one action and returns when it has come to its end.
    ///
    /// # Errors
    /// [`ActError`] says which part failed. Nothing is rolled back: what is left shows at the next
    /// look at the host.
    pub(crate) async fn carry_out(&self, action: &Action) -> Result<(), ActError> {
        let instance = &action.instance;
        match action.kind {
            ActionKind::Clone => {
                let (deployed, _) = self.home(instance)?;
                self.containers.clone_ephemeral(&deployed.template, instance).await?;
                self.admit(instance).await
            }
            ActionKind::Admit => self.admit(instance).await,
            ActionKind::Drain => self.rotate(instance, ServerState::Drain).await,
            ActionKind::Stop => {
                // An error says that the semaphore was closed, which nobody does.
                let _turn = self.stops.acquire().await;
                self.rotate(instance, ServerState::Maint).await?;
                Ok(self.containers.stop(instance).await?)
            }
        }
    }

    async fn admit(&self, instance: &InstanceName) -> Result<(), ActError> {
        let (deployed, address) = self.home(instance)?;
        let path = deployed.spec.instance.health_path.as_str();
        self.probe.until_healthy(address, path, self.launch_timeout).await?;
        self.rotate(instance, ServerState::Ready).await
    }

    async fn rotate(&self, instance: &InstanceName, state: ServerState) -> Result<(), ActError> {
        self.rotation.set(instance.service(), instance.slot(), state).await?;
        Ok(())
    }

    /// The service of an instance, and the instance's address.
    fn home(&self, instance: &InstanceName) -> Result<(&DeployedService, SocketAddrV4), ActError> {
        let home = || {
            let deployed = self.services.get(instance.service())?;
            let address = self.services.address(&deployed.spec, instance.slot())?;
            Some((deployed, address))
        };
        home().ok_or_else(|| ActError::NoAddress(instance.clone()))
    }
}
