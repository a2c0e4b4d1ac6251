//! Carries out the actions of a plan. It decides nothing.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use host::haproxy::{LoadBalancer, ServerState};
use host::lxc::{Containers, Launch, Release, ReleaseStatus};
use host::probe::Probe;
use host::trace;
use model::action::{Action, ActionKind, LaunchStep, ReleaseEnd, StepTime};
use model::names::ServiceName;
use model::output::harmless;
use model::service::ScaleIn;
use tokio::time::{Instant, sleep};

use crate::egress::EgressSources;
use crate::rotation::Rotation;
use crate::services::Services;

/// Time between two looks at whether a release command has ended.
const RELEASE_LOOKS: Duration = Duration::from_millis(50);

/// How long what an instance wrote last takes to its reader, which is told of it when it comes.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How an action came to its end.
#[derive(Debug)]
pub(crate) struct CarriedOut {
    /// Whether it was done.
    pub(crate) result: anyhow::Result<()>,
    /// What it did on the way there.
    pub(crate) course: Course,
}

/// What an action did on the way to its end.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// What became of the release command that its instance was to run first.
    pub(crate) release: Option<ReleaseEnd>,
    /// How long each step of a launch took.
    pub(crate) steps: Vec<StepTime>,
}

impl Course {
    /// Takes a step of a launch, and its time.
    async fn step<T, E: Display>(
        &mut self,
        step: LaunchStep,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begin = Instant::now();
        let result = trace::step(step.into(), work).await;
        let took_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.steps.push(StepTime { step, took_ms });
        result
    }
}

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

    /// Carries out one action and returns when it has come to its end. Of what failed nothing is rolled back: what is
    /// left shows at the next look at the host, and the next turn plans anew.
    pub(crate) async fn carry_out(&self, action: &Action) -> CarriedOut {
        let mut course = Course::default();
        let result = trace::action(action, self.try_out(action, &mut course)).await;
        CarriedOut { result, course }
    }

    async fn try_out(&self, action: &Action, course: &mut Course) -> anyhow::Result<()> {
        let (instance, version) = (&action.instance, action.version);
        match action.kind {
            ActionKind::Clone => {
                self.launch(action, course).await?;
                self.admit(action, course).await
            }
            ActionKind::Admit => self.admit(action, course).await,
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

    async fn launch(&self, action: &Action, course: &mut Course) -> anyhow::Result<()> {
        let (instance, version) = (&action.instance, action.version);
        let deployed = self.services.get(instance.service());
        let deployed = deployed.with_context(|| format!("{instance}'s service is not deployed"))?;
        let version = version.context("the plan names no version to clone")?;
        let template = deployed.template(version);
        let launch = Launch { replacement: deployed.spec.replacement, release: action.releases };
        // A program may ask for what it needs as soon as it starts, and end where it does not get it.
        self.rotation.let_reach(instance, Some(version)).await?;
        self.egress.admit(instance)?;
        let clone = self.containers.clone_ephemeral(&template, instance, launch);
        Ok(course.step(LaunchStep::Clone, clone).await?)
    }

    /// How long instances of a service may take to end, which may have been withdrawn.
    fn stop_grace(&self, service: &ServiceName) -> Duration {
        let deployed = self.services.last_known(service);
        deployed.map_or(ScaleIn::DEFAULT_STOP_GRACE, |deployed| deployed.spec.scale_in.stop_grace)
    }

    /// Puts an instance in rotation once its release command has ended well, where it runs one, and it is healthy.
    async fn admit(&self, action: &Action, course: &mut Course) -> anyhow::Result<()> {
        let mut release = None;
        let ended =
            course.step(LaunchStep::Release, self.wait_for_release(action, &mut release)).await;
        course.release = release;
        ended?;
        if release.is_none() {
            // It had none to run.
            course.steps.pop();
        }
        let (instance, version) = (&action.instance, action.version);
        let launch = self.services.launch(instance, version, self.launch_timeout);
        let server = self.services.server(instance, version);
        let ((protocol, timeout), server) = launch.zip(server).with_context(|| {
            format!("{instance}'s service is not deployed, or its slot is outside of the network")
        })?;
        let healthy = self.probe.until_healthy(server.address, &protocol, timeout);
        let healthy = course.step(LaunchStep::Health, healthy).await;
        if let Err(error) = healthy {
            let obstacle = self.containers.obstacle(instance, server.address.port()).await;
            return Err(error.because(obstacle).into());
        }
        let ready = self.rotation.set(instance, version, ServerState::Ready);
        course.step(LaunchStep::Rotation, ready).await
    }

    /// Waits for an instance's release command, which a scaler before this one may have had it run.
    async fn wait_for_release(
        &self,
        action: &Action,
        release: &mut Option<ReleaseEnd>,
    ) -> anyhow::Result<()> {
        let (instance, begin) = (&action.instance, Instant::now());
        let status = loop {
            match self.containers.release(instance)? {
                Release::None => return Ok(()),
                Release::Ended(status) => break status,
                Release::UnderWay => {}
            }
            let deployed = self.services.get(instance.service());
            let deployed =
                deployed.with_context(|| format!("{instance}'s service is not deployed"))?;
            if action.version != Some(deployed.wanted.version) {
                bail!("another version was deployed before its release command had ended");
            }
            let timeout = deployed.spec.release_timeout;
            if begin.elapsed() >= timeout {
                *release = Some(ReleaseEnd::Failed);
                bail!(
                    "release {} did not end within {} ms: mend it, or raise rollout.release_timeout_ms",
                    self.release_of(action),
                    timeout.as_millis()
                );
            }
            sleep(RELEASE_LOOKS).await;
        };
        *release = match status {
            ReleaseStatus::Well => Some(ReleaseEnd::Well),
            // Nobody knows whether it would have ended well.
            ReleaseStatus::Stopped => None,
            _ => Some(ReleaseEnd::Failed),
        };
        if status == ReleaseStatus::Well {
            return Ok(());
        }
        sleep(LAST_WORDS).await;
        bail!("release {} {status}", self.release_of(action))
    }

    /// The release command of an instance's version, as its service's file has it.
    fn release_of(&self, action: &Action) -> String {
        let deployed = self.services.get(action.instance.service());
        let release = deployed
            .as_ref()
            .and_then(|deployed| deployed.instance(action.version).start.release.as_ref());
        release.map_or_else(String::new, |release| format!("`{}`", harmless(&release.to_string())))
    }
}
