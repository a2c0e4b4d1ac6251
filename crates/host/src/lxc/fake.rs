//! Containers in memory, for tests of what stands on this crate: they can be told to fail, to hang
//! and to die.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::names::{InstanceName, TemplateName};
use model::service::Replacement;

use super::containers::{Containers, Launch};
use super::error::ContainerError;
use super::inventory::{Container, ContainerState};
use super::release::{Release, ReleaseStatus};
use crate::command::{CommandError, Output};
use crate::processors::ProcessorTimes;

/// What goes wrong with a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and leaves nothing.
    Fails,
    /// It fails and leaves a stopped container behind.
    FailsHalfway,
    /// It never returns.
    Hangs,
}

/// What was done to the containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A launch was asked for.
    Clone(InstanceName),
    /// So was its release command.
    Release(InstanceName),
    /// A stop was asked for.
    Stop(InstanceName),
    /// A removal was asked for.
    Destroy(InstanceName),
}

/// Containers in memory.
#[derive(Debug, Default)]
pub struct FakeContainers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    containers: BTreeMap<InstanceName, Container>,
    launch_faults: VecDeque<Fault>,
    stops_fail: bool,
    lists_fail: bool,
    ignore_halt: bool,
    graces: BTreeMap<InstanceName, Duration>,
    cpu_times: BTreeMap<InstanceName, Duration>,
    memory_bytes: BTreeMap<InstanceName, u64>,
    processor_times: Option<ProcessorTimes>,
    obstacle: Option<String>,
    releases: BTreeMap<InstanceName, Release>,
    released: BTreeSet<InstanceName>,
    calls: Vec<Call>,
}

impl FakeContainers {
    /// Puts a container there, as if it had been before.
    pub fn put(&self, container: Container) {
        self.state().containers.insert(container.name.clone(), container);
    }

    /// The next launch without a fault of its own gets this one.
    pub fn next_launch(&self, fault: Fault) {
        self.state().launch_faults.push_back(fault);
    }

    /// Whether stops and removals fail from now on.
    pub fn set_stops_fail(&self, fail: bool) {
        self.state().stops_fail = fail;
    }

    /// The CPU time that an instance says it has used, from now on. Without one it is not known.
    pub fn set_cpu_time(&self, instance: &InstanceName, time: Duration) {
        self.state().cpu_times.insert(instance.clone(), time);
    }

    /// The memory that an instance needs, from now on. Without one it is not known.
    pub fn set_memory(&self, instance: &InstanceName, bytes: u64) {
        self.state().memory_bytes.insert(instance.clone(), bytes);
    }

    /// What the host's processors have done, from now on. Until then it is not known.
    pub fn set_processor_times(&self, times: Option<ProcessorTimes>) {
        self.state().processor_times = times;
    }

    /// What keeps others from connecting to any instance, from now on.
    pub fn set_obstacle(&self, obstacle: &str) {
        self.state().obstacle = Some(obstacle.to_owned());
    }

    /// Whether the list fails from now on.
    pub fn set_lists_fail(&self, fail: bool) {
        self.state().lists_fail = fail;
    }

    /// Whether instances ignore from now on that they are asked to end.
    pub fn set_ignore_halt(&self, ignore: bool) {
        self.state().ignore_halt = ignore;
    }

    /// The grace that the last stop of an instance gave it; `None` when none was asked for.
    pub fn grace_of(&self, instance: &InstanceName) -> Option<Duration> {
        self.state().graces.get(instance).copied()
    }

    /// The instance's init dies: LXC removes everything of it.
    pub fn die(&self, instance: &InstanceName) {
        self.state().containers.remove(instance);
    }

    /// An instance that is there runs its release command, as if it had been launched so before.
    pub fn put_release(&self, instance: &InstanceName) {
        self.state().releases.insert(instance.clone(), Release::UnderWay);
    }

    /// The release command that is under way ends; where it does not end well, so does its instance.
    pub fn end_release(&self, status: ReleaseStatus) {
        let mut state = self.state();
        let under_way = state.releases.iter_mut().filter(|(_, it)| **it == Release::UnderWay);
        let ended: Vec<_> = under_way
            .map(|(instance, release)| {
                *release = Release::Ended(status);
                instance.clone()
            })
            .collect();
        if status != ReleaseStatus::Well {
            state.containers.retain(|instance, _| !ended.contains(instance));
        }
    }

    /// The instance's monitor dies: its folder stays.
    pub fn lose_monitor(&self, instance: &InstanceName) {
        if let Some(container) = self.state().containers.get_mut(instance) {
            container.state = ContainerState::Stopped;
        }
    }

    /// All that was asked for, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, instance: &InstanceName, call: Call) -> Result<(), ContainerError> {
        let mut state = self.state();
        state.calls.push(call);
        if state.stops_fail {
            return Err(failed("lxc-stop").into());
        }
        state.containers.remove(instance);
        Ok(())
    }
}

fn failed(command: &str) -> CommandError {
    CommandError::Failed {
        command: command.to_owned(),
        status: "status 1".to_owned(),
        output: Box::new(Output { stdout: String::new(), stderr: "told to fail".to_owned() }),
    }
}

impl Containers for FakeContainers {
    async fn clone_ephemeral(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        launch: impl Into<Launch> + Send,
    ) -> Result<(), ContainerError> {
        let Launch { replacement, release } = launch.into();
        let fault = {
            let mut state = self.state();
            state.calls.push(Call::Clone(instance.clone()));
            if release {
                state.calls.push(Call::Release(instance.clone()));
                state.releases.insert(instance.clone(), Release::UnderWay);
            }
            let mut others = state.containers.keys();
            if replacement == Replacement::Recreate
                && let Some(holder) = others.find(|other| other.service() == instance.service())
            {
                let (instance, holder) = (instance.to_string(), holder.to_string());
                return Err(ContainerError::NotAlone { instance, holder });
            }
            let fault = state.launch_faults.pop_front();
            let container = |state| Container {
                name: instance.clone(),
                template: Some(template.clone()),
                state,
            };
            match fault {
                None => {
                    let running = container(ContainerState::Running);
                    state.containers.insert(instance.clone(), running);
                }
                Some(Fault::FailsHalfway) => {
                    let stopped = container(ContainerState::Stopped);
                    state.containers.insert(instance.clone(), stopped);
                }
                Some(Fault::Fails | Fault::Hangs) => {}
            }
            fault
        };
        match fault {
            None => Ok(()),
            Some(Fault::Hangs) => pending().await,
            Some(Fault::Fails | Fault::FailsHalfway) => Err(ContainerError::Launch {
                instance: instance.to_string(),
                log: String::new(),
                source: failed("lxc-copy"),
            }),
        }
    }

    fn release(&self, instance: &InstanceName) -> Result<Release, ContainerError> {
        let mut state = self.state();
        Ok(match state.releases.get(instance) {
            None => Release::None,
            Some(Release::UnderWay) if state.containers.contains_key(instance) => Release::UnderWay,
            Some(Release::Ended(status)) => {
                let status = *status;
                state.releases.remove(instance);
                if status == ReleaseStatus::Well {
                    state.released.insert(instance.clone());
                }
                Release::Ended(status)
            }
            Some(_) => {
                state.releases.remove(instance);
                Release::Ended(ReleaseStatus::Unknown)
            }
        })
    }

    fn has_released(&self, instance: &InstanceName) -> bool {
        self.state().released.contains(instance)
    }

    async fn stop(&self, instance: &InstanceName, grace: Duration) -> Result<(), ContainerError> {
        self.state().graces.insert(instance.clone(), grace);
        let ignores = self.state().ignore_halt;
        if ignores {
            tokio::time::sleep(grace).await;
        }
        self.remove(instance, Call::Stop(instance.clone()))
    }

    async fn destroy(&self, instance: &InstanceName) -> Result<(), ContainerError> {
        self.remove(instance, Call::Destroy(instance.clone()))
    }

    async fn list(&self) -> Result<Vec<Container>, ContainerError> {
        let state = self.state();
        if state.lists_fail {
            return Err(failed("read /var/lib/lxc").into());
        }
        Ok(state.containers.values().cloned().collect())
    }

    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration> {
        let mut times = self.state().cpu_times.clone();
        times.retain(|name, _| instances.contains(&name));
        times
    }

    fn memory_bytes(&self, instance: &InstanceName) -> Option<u64> {
        self.state().memory_bytes.get(instance).copied()
    }

    fn processor_times(&self) -> Option<ProcessorTimes> {
        self.state().processor_times
    }

    async fn obstacle(&self, _instance: &InstanceName, _port: u16) -> Option<String> {
        self.state().obstacle.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_hits_one_launch() {
        let host = FakeContainers::default();
        let template = "bw-store-tdeadbeef".parse().unwrap();
        let instance: InstanceName = "bw-store-1-a".parse().unwrap();
        host.next_launch(Fault::FailsHalfway);
        assert!(host.clone_ephemeral(&template, &instance, Replacement::Surge).await.is_err());
        assert_eq!(host.list().await.unwrap()[0].state, ContainerState::Stopped);
        host.destroy(&instance).await.unwrap();
        host.clone_ephemeral(&template, &instance, Replacement::Surge).await.unwrap();
        assert_eq!(host.list().await.unwrap()[0].state, ContainerState::Running);
        host.die(&instance);
        assert_eq!(host.list().await.unwrap(), []);
    }
}
