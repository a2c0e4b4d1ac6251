//! Carries out the actions of a plan. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use host::haproxy::{LoadBalancer, ServerState};
use host::lxc::Containers;
use host::probe::Probe;
use model::action::{Action, ActionKind};
use tokio::sync::Semaphore;

use crate::rotation::Rotation;
use crate::services::Services;

/// Stops at a time: each takes some 50 ms of two programs of LXC, and the hundreds that a steep
/// fall of the load asks for would leave no CPU time for the requests.
const PARALLEL_STOPS: usize = 8;

/// The means to carry out actions.
#[derive(Debug)]
pub(crate) struct Actor<C, L, P> {
    containers: C,
    rotation: Rotation<L>,
    probe: P,
    services: Arc<Services>,
    launch_timeout: Duration,
    stops: Semaphore,
}

impl<C: Containers, L: LoadBalancer, P: Probe> Actor<C, L, P> {
    /// An actor for these services, that gives an instance `launch_timeout` to become healthy.
    pub(crate) fn new(
        containers: C,
        rotation: Rotation<L>,
        probe: P,
        services: Arc<Services>,
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
    /// A part of it failed. Nothing is rolled back: what is left shows at the next look at the
    /// host, and the next turn plans anew.
    pub(crate) async fn carry_out(&self, action: &Action) -> anyhow::Result<()> {
        let (instance, version) = (&action.instance, action.version);
        match action.kind {
            ActionKind::Clone => {
                let deployed = self.services.get(instance.service());
                let deployed =
                    deployed.with_context(|| format!("{instance}'s service is not deployed"))?;
                let version = version.context("the plan names no version to clone")?;
                self.containers.clone_ephemeral(&deployed.template(version), instance).await?;
                self.admit(action).await
            }
            ActionKind::Admit => self.admit(action).await,
            ActionKind::Drain => self.rotation.set(instance, version, ServerState::Drain).await,
            ActionKind::Stop => {
                // An error says that the semaphore was closed, which nobody does.
                let _turn = self.stops.acquire().await;
                self.rotation.set(instance, version, ServerState::Maint).await?;
                Ok(self.containers.stop(instance).await?)
            }
        }
    }

    async fn admit(&self, action: &Action) -> anyhow::Result<()> {
        let (instance, version) = (&action.instance, action.version);
        let server = self.services.server(instance, version).with_context(|| {
            format!("{instance}'s service is not deployed, or its slot is outside of the network")
        })?;
        let path = server.health_path.as_str();
        self.probe.until_healthy(server.address, path, self.launch_timeout).await?;
        self.rotation.set(instance, version, ServerState::Ready).await
    }
}
