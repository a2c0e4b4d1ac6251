//! Carries out the actions of a plan. It decides nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use host::haproxy::{LoadBalancer, ServerState};
use host::lxc::Containers;
use host::probe::Probe;
use model::action::{Action, ActionKind};
use model::names::ServiceName;
use model::service::ScaleIn;

use crate::egress::EgressSources;
use crate::rotation::Rotation;
use crate::services::Services;

/// The means to carry out actions.
#[derive(Debug)]
pub(crate) struct Actor<C, L, P> {
    containers: C,
    rotation: Rotation<L>,
    probe: P,
    services: Arc<Services>,
    egress: EgressSources,
    launch_timeout: Duration,
}

impl<C: Containers, L: LoadBalancer, P: Probe> Actor<C, L, P> {
    /// An actor for these services, that gives an instance `launch_timeout` to become healthy unless its service's file says
    /// otherwise.
    pub(crate) fn new(
        containers: C,
        rotation: Rotation<L>,
        probe: P,
        services: Arc<Services>,
        egress: EgressSources,
        launch_timeout: Duration,
    ) -> Self {
        Self { containers, rotation, probe, services, egress, launch_timeout }
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

    /// What tells the proxy which instance may reach what.
    pub(crate) fn egress(&self) -> &EgressSources {
        &self.egress
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
                let (template, replacement) =
                    (deployed.template(version), deployed.spec.replacement);
                // A program may ask for what it needs as soon as it starts, and end where it does not get it.
                self.rotation.let_reach(instance, Some(version)).await?;
                self.egress.admit(instance)?;
                self.containers.clone_ephemeral(&template, instance, replacement).await?;
                self.admit(action).await
            }
            ActionKind::Admit => self.admit(action).await,
            ActionKind::Drain => self.rotation.set(instance, version, ServerState::Drain).await,
            ActionKind::Stop => {
                self.rotation.set(instance, version, ServerState::Maint).await?;
                let grace = self.stop_grace(instance.service());
                Ok(self.containers.stop(instance, grace).await?)
            }
            ActionKind::Kill => {
                self.rotation.set(instance, version, ServerState::Maint).await?;
                Ok(self.containers.stop(instance, Duration::ZERO).await?)
            }
        }
    }

    /// How long instances of a service may take to end, which may have been withdrawn.
    fn stop_grace(&self, service: &ServiceName) -> Duration {
        let deployed = self.services.last_known(service);
        deployed.map_or(ScaleIn::DEFAULT_STOP_GRACE, |deployed| deployed.spec.scale_in.stop_grace)
    }

    async fn admit(&self, action: &Action) -> anyhow::Result<()> {
        let (instance, version) = (&action.instance, action.version);
        let launch = self.services.launch(instance, version, self.launch_timeout);
        let server = self.services.server(instance, version);
        let ((protocol, timeout), server) = launch.zip(server).with_context(|| {
            format!("{instance}'s service is not deployed, or its slot is outside of the network")
        })?;
        let healthy = self.probe.until_healthy(server.address, &protocol, timeout).await;
        let obstacle = || self.containers.obstacle(instance, server.address.port());
        healthy.map_err(|error| error.because(obstacle()))?;
        self.rotation.set(instance, version, ServerState::Ready).await
    }
}
