//! Launches, stops and removes instances.

mod ending;
mod isolation;
mod launch;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::names::{InstanceName, TemplateName};
use model::service::Replacement;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::error::ContainerError;
use super::inventory::{
    Container, ContainerState, Inventory, container_states, is_active_anywhere,
};
use super::launch_lock::lock_launches;
use super::layer;
use super::output::{OutputPipes, Outputs};
use super::profile::Profile;
use super::release::{Release, Releases, has_ended_well};
use super::secrets::SecretFiles;
use crate::cgroups::{Cgroups, CpuFiles};
use crate::command::{CommandLine, HostRunner, Runner};
use crate::files::{FileError, remove_strangers_tree};
use crate::listeners;
use crate::processors::ProcessorTimes;
use crate::settings::Settings;
use isolation::Isolated;
use launch::LaunchFiles;

/// Calls of `lxc-stop` at a time: each takes some 50 ms of two programs of LXC, and the hundreds that
/// a steep fall of the load asks for would leave no CPU time for the requests.
const PARALLEL_STOPS: usize = 8;

/// How an instance is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// How instances of its service take each other's place.
    pub replacement: Replacement,
    /// Whether it runs its release command before its program.
    pub release: bool,
}

impl From<Replacement> for Launch {
    /// Without a release command.
    fn from(replacement: Replacement) -> Self {
        Self { replacement, release: false }
    }
}

/// The instances of this host. Each operation has a deadline of its own.
pub trait Containers: Send + Sync {
    /// Clones a template into a new instance and starts it. Returns once its init runs: the first
    /// connection to it then waits for no address resolution. After an error nothing is left, or
    /// the list shows what is. A service that is replaced by recreating gets no instance while
    /// another one of it is there.
    fn clone_ephemeral(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        launch: impl Into<Launch> + Send,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

    /// How far an instance is that was launched with its release command. That it ended is told once.
    ///
    /// # Errors
    /// When the host's pipe to it cannot be opened or removed.
    fn release(&self, instance: &InstanceName) -> Result<Release, ContainerError>;

    /// Whether an instance's release command has ended well, also where that was told before.
    fn has_released(&self, instance: &InstanceName) -> bool;

    /// Asks an instance to end, kills it when it has not within `grace`, and removes all of it. One
    /// that is gone is no error.
    fn stop(
        &self,
        instance: &InstanceName,
        grace: Duration,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

    /// Removes an instance that does not run, whatever is left of it.
    fn destroy(
        &self,
        instance: &InstanceName,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

    /// All instances on the host, sorted by name. The port of the bridge of each that runs is isolated, whoever
    /// launched it.
    fn list(&self) -> impl Future<Output = Result<Vec<Container>, ContainerError>> + Send;

    /// The CPU time that each of these instances has used, of all cores together. One that does not
    /// run is left out.
    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration>;

    /// The memory that an instance needs, in bytes: without the pages of files that nobody used lately. `None` where it
    /// does not run.
    fn memory_bytes(&self, instance: &InstanceName) -> Option<u64>;

    /// What the host's processors have done, for instances and all else; `None` where it cannot be told.
    fn processor_times(&self) -> Option<ProcessorTimes>;

    /// What keeps others from connecting to this port of an instance, as far as its processes tell: a part of a
    /// sentence, which ends with the cure. It takes some 4 ms, which is how long the kernel takes for its tables.
    fn obstacle(
        &self,
        instance: &InstanceName,
        port: u16,
    ) -> impl Future<Output = Option<String>> + Send;
}

/// The instances that LXC runs.
#[derive(Debug)]
pub struct LxcContainers<R = HostRunner> {
    runner: R,
    profile: Profile,
    lxc: PathBuf,
    launches: PathBuf,
    launch_timeout: Duration,
    inventory: Inventory,
    isolated: Isolated,
    cgroups: Cgroups,
    cpu_files: CpuFiles,
    stops: Semaphore,
    outputs: Outputs,
    releases: Releases,
    secrets: SecretFiles,
    /// Who reads what instances write; nobody where they are only to be ended.
    reader: Option<mpsc::UnboundedSender<(InstanceName, OutputPipes)>>,
}

impl LxcContainers {
    /// The instances of this host.
    ///
    /// # Errors
    /// When the control groups cannot be found.
    pub fn new(settings: &Settings) -> Result<Self, FileError> {
        Self::with_runner(settings, HostRunner)
    }
}

impl<R: Runner> LxcContainers<R> {
    /// The instances of a host whose programs run through `runner`.
    ///
    /// # Errors
    /// When the control groups cannot be found.
    pub fn with_runner(settings: &Settings, runner: R) -> Result<Self, FileError> {
        Ok(Self {
            runner,
            profile: Profile::new(settings),
            lxc: settings.paths.lxc.clone(),
            launches: settings.paths.run.join("launches"),
            launch_timeout: settings.scaler.launch_timeout,
            inventory: Inventory::default(),
            isolated: Isolated::default(),
            cgroups: Cgroups::of_host()?,
            cpu_files: CpuFiles::default(),
            stops: Semaphore::new(PARALLEL_STOPS),
            outputs: Outputs::new(&settings.paths.run),
            releases: Releases::default(),
            secrets: SecretFiles::new(settings),
            reader: None,
        })
    }

    /// The same, with somebody who reads what instances write: each gets its pipes before it starts, and
    /// those that run do now.
    ///
    /// # Errors
    /// When the pipes of one that runs cannot be opened.
    pub fn with_reader(
        self,
        reader: mpsc::UnboundedSender<(InstanceName, OutputPipes)>,
    ) -> Result<Self, ContainerError> {
        let containers = Self { reader: Some(reader), ..self };
        for instance in containers.outputs.instances()? {
            if containers.is_running(&instance)? {
                containers.hand_over_output(&instance, containers.folder(&instance))?;
            } else {
                containers.outputs.remove(&instance)?;
            }
        }
        Ok(containers)
    }

    fn hand_over_output(
        &self,
        instance: &InstanceName,
        container: PathBuf,
    ) -> Result<(), FileError> {
        if let Some(reader) = &self.reader {
            // One that has ended reads no more.
            let _ = reader.send((instance.clone(), self.outputs.open(instance, container)?));
        }
        Ok(())
    }

    /// Instances that have left only control groups, as LXC does after a start that failed. No list
    /// shows them; [`Containers::destroy`] removes them. A container that runs from another folder
    /// than ours is not among them.
    ///
    /// # Errors
    /// When the kernel's list of sockets cannot be read.
    pub fn remnants(&self) -> Result<Vec<InstanceName>, FileError> {
        let mut remnants = Vec::new();
        for name in self.cgroups.containers() {
            let Ok(instance) = name.parse() else { continue };
            if !self.folder(&instance).exists() && !is_active_anywhere(&name)? {
                remnants.push(instance);
            }
        }
        Ok(remnants)
    }

    /// Calls an LXC program for an instance.
    fn lxc(&self, program: &str, instance: &InstanceName) -> CommandLine {
        let home = layer::home_of(&self.lxc, instance);
        CommandLine::new(program).arg("-P").arg(home).args(["-n", instance.as_str()])
    }

    fn is_running(&self, instance: &InstanceName) -> Result<bool, FileError> {
        let states = container_states(&self.lxc)?;
        let is_it = |(name, state): &(String, _)| {
            name == instance.as_str() && *state == ContainerState::Running
        };
        Ok(states.iter().any(is_it))
    }

    fn folder(&self, instance: &InstanceName) -> PathBuf {
        layer::home_of(&self.lxc, instance).join(instance.as_str())
    }
}

impl<R: Runner> Containers for LxcContainers<R> {
    async fn clone_ephemeral(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        launch: impl Into<Launch> + Send,
    ) -> Result<(), ContainerError> {
        let Launch { replacement, release } = launch.into();
        if let Some((other, _)) = self.others_in_slot(instance)?.first() {
            let (instance, holder) = (instance.to_string(), other.to_string());
            return Err(ContainerError::SlotHeld { instance, holder });
        }
        let files = LaunchFiles::new(&self.launches, instance)?;
        let lock = match replacement {
            Replacement::Surge => None,
            Replacement::Recreate => {
                let lock = lock_launches(&self.launches, instance)?;
                self.ensure_alone(instance).await?;
                Some(lock)
            }
        };
        let result = self.launch(template, instance, lock, &files, release).await;
        if result.is_err()
            && let Err(error) = self.stop(instance, Duration::ZERO).await
        {
            tracing::warn!(%instance, %error, "a failed launch could not be cleaned up");
        }
        result
    }

    fn release(&self, instance: &InstanceName) -> Result<Release, ContainerError> {
        let is_gone = || !self.folder(instance).exists();
        Ok(self.releases.look(instance, &self.outputs.folder(instance), is_gone)?)
    }

    fn has_released(&self, instance: &InstanceName) -> bool {
        has_ended_well(&self.outputs.folder(instance))
    }

    async fn stop(&self, instance: &InstanceName, grace: Duration) -> Result<(), ContainerError> {
        self.releases.forget(instance);
        if self.is_running(instance)? && self.end(instance, grace).await {
            return Ok(self.outputs.remove(instance)?);
        }
        let _turn = self.turn().await;
        if self.is_running(instance)? && self.kill(instance).await {
            return Ok(self.outputs.remove(instance)?);
        }
        self.destroy(instance).await
    }

    async fn destroy(&self, instance: &InstanceName) -> Result<(), ContainerError> {
        self.releases.forget(instance);
        let folder = self.folder(instance);
        self.cgroups.kill(instance.as_str());
        if folder.exists() {
            let command = self.lxc("lxc-destroy", instance).arg("-f");
            if let Err(error) = self.runner.run(&command).await {
                // It refuses what is half-made, for want of a configuration.
                tracing::debug!(%instance, %error, "lxc-destroy left it to us");
            }
        }
        // LXC may be faster.
        remove_strangers_tree(&folder)?;
        let runs = |(_, state): &(_, ContainerState)| *state == ContainerState::Running;
        if !self.others_in_slot(instance)?.iter().any(runs) {
            self.remove_interface(instance).await?;
        }
        self.outputs.remove(instance)?;
        self.cgroups.remove(instance.as_str()).await;
        if self.cgroups.exists(instance.as_str()) {
            let left = "a control group with a process in it".to_owned();
            return Err(ContainerError::Left { instance: instance.to_string(), left });
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Container>, ContainerError> {
        // Not handed to another thread: it takes less time than the hand-over would.
        let listed = self.inventory.list(&self.lxc)?;
        self.isolated.ensure(&listed);
        Ok(listed)
    }

    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration> {
        self.cpu_files.read(&self.cgroups, instances)
    }

    fn memory_bytes(&self, instance: &InstanceName) -> Option<u64> {
        self.cgroups.memory_bytes(instance.as_str())
    }

    fn processor_times(&self) -> Option<ProcessorTimes> {
        ProcessorTimes::read()
    }

    async fn obstacle(&self, instance: &InstanceName, port: u16) -> Option<String> {
        let Some(process) = self.cgroups.process_of(instance.as_str()) else {
            return Some("its program has ended: see what it wrote last".to_owned());
        };
        let process = Path::new("/proc").join(process.to_string());
        // One that ended just now is looked at by whoever tries again.
        let listening = spawn_blocking(move || listeners::of_process(&process)).await;
        listeners::problem(port, &listening.ok()?.ok()?)
    }
}

#[cfg(test)]
mod tests;
