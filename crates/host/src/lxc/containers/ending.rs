//! How an instance ends: it is asked, and killed when it does not.

use std::time::Duration;

use model::names::InstanceName;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep};

use super::LxcContainers;
use crate::command::Runner;

/// How long a call of `lxc-stop` may take. With `-k` it takes some 50 ms.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// How long LXC may take after a kill to remove an instance's folder. It takes milliseconds.
const REMOVAL_WAIT: Duration = Duration::from_secs(2);

/// The shortest and the longest pause between two looks at whether an instance is gone. A look at one
/// that is there is one system call.
const LOOKS: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];

impl<R: Runner> LxcContainers<R> {
    /// Sends the instance's init the signal to end, and returns whether the instance is gone within
    /// `grace`.
    pub(super) async fn end(&self, instance: &InstanceName, grace: Duration) -> bool {
        if grace.is_zero() {
            return false;
        }
        let signal = self.lxc("lxc-stop", instance).args(["--nokill", "--nowait"]);
        {
            let _turn = self.turn().await;
            if let Err(error) = self.runner.run(&signal.deadline(STOP_DEADLINE)).await {
                tracing::debug!(%instance, %error, "it was not asked to end");
                return false;
            }
        }
        self.wait_until_removed(instance, grace).await
    }

    /// Kills the instance, and returns whether it is gone.
    pub(super) async fn kill(&self, instance: &InstanceName) -> bool {
        let command = self.lxc("lxc-stop", instance).arg("-k").deadline(STOP_DEADLINE);
        match self.runner.run(&command).await {
            Ok(_) => self.wait_until_removed(instance, REMOVAL_WAIT).await,
            // It ended by itself in the meantime, or its monitor is still busy with the start and
            // answers nobody: what there is now decides, and not what was asked of it.
            Err(error) => {
                tracing::debug!(%instance, %error, "lxc-stop left it to us");
                false
            }
        }
    }

    /// A turn to call `lxc-stop`. Waiting for an instance to end needs none.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // An error says that the semaphore was closed, which nobody does.
        self.stops.acquire().await.ok()
    }

    /// Returns whether LXC has removed an instance within this time. The longer it lasts the rarer
    /// are the looks: each adds an eighth at most.
    pub(super) async fn wait_until_removed(
        &self,
        instance: &InstanceName,
        within: Duration,
    ) -> bool {
        let started = Instant::now();
        let [shortest, longest] = LOOKS;
        let folder = self.folder(instance);
        while folder.exists() || self.cgroups.exists(instance.as_str()) {
            let waited = started.elapsed();
            if waited >= within {
                return false;
            }
            sleep((waited / 8).clamp(shortest, longest).min(within - waited)).await;
        }
        true
    }
}
