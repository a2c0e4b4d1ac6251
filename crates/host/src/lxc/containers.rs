//! Launches, stops and removes instances.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::names::{InstanceName, TemplateName};
use tokio::time::{Instant, sleep};

use super::error::ContainerError;
use super::inventory::{
    Container, ContainerState, Inventory, container_states, is_active_anywhere,
};
use super::profile::Profile;
use crate::cgroups::{Cgroups, CpuFiles};
use crate::command::{CommandLine, HostRunner, Runner};
use crate::files::{FileError, file_error, remove_tree};
use crate::settings::Settings;
use crate::slots;

/// How long a stop may take. `lxc-stop -k` takes some 50 ms.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// How long LXC may take after the stop to remove an instance's folder. It takes milliseconds.
const REMOVAL_WAIT: Duration = Duration::from_secs(2);

/// The instances of this host. Each operation has a deadline of its own.
pub trait Containers: Send + Sync {
    /// Clones a template into a new instance and starts it. Returns once its init runs: the first
    /// connection to it then waits for no address resolution. After an error nothing is left, or
    /// the list shows what is.
    fn clone_ephemeral(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

    /// Kills an instance and removes all of it. One that is gone is no error.
    fn stop(
        &self,
        instance: &InstanceName,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

    /// Removes an instance that does not run, whatever is left of it.
    fn destroy(
        &self,
        instance: &InstanceName,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

    /// All instances on the host, sorted by name.
    fn list(&self) -> impl Future<Output = Result<Vec<Container>, ContainerError>> + Send;

    /// The CPU time that each of these instances has used, of all cores together. One that does not
    /// run is left out.
    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration>;
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
    cgroups: Cgroups,
    cpu_files: CpuFiles,
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
            cgroups: Cgroups::of_host()?,
            cpu_files: CpuFiles::default(),
        })
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

    /// Calls an LXC program for one container.
    fn lxc(&self, program: &str, name: &str) -> CommandLine {
        CommandLine::new(program).arg("-P").arg(&self.lxc).args(["-n", name])
    }

    async fn launch(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        files: &LaunchFiles,
    ) -> Result<(), ContainerError> {
        let shared = self.lxc.join(template.as_str()).join("config");
        let shared = fs::read_to_string(&shared).map_err(file_error("read", &shared))?;
        let own = self.profile.launch_config(instance.slot())?;
        fs::write(&files.config, format!("{shared}\n{own}"))
            .map_err(file_error("write", &files.config))?;
        self.remove_interface(instance).await?;
        let command = self
            .lxc("lxc-copy", template.as_str())
            .args(["-N", instance.as_str(), "-e", "-B", "overlay", "--keepmac"])
            .arg("--rcfile")
            .arg(&files.config)
            .args(["-l", "ERROR", "-o"])
            .arg(&files.log)
            .deadline(self.launch_timeout);
        // It prints that it created the clone even when the start then failed: only its status
        // counts.
        self.runner.run(&command).await.map(drop).map_err(|source| ContainerError::Launch {
            instance: instance.to_string(),
            log: cause(&files.log),
            source,
        })
    }

    /// Removes the host's end of the slot's veth pair. One that outlived its instance would make the
    /// next launch in the slot fail.
    async fn remove_interface(&self, instance: &InstanceName) -> Result<(), ContainerError> {
        let interface = slots::interface(instance.slot());
        let exists = || Path::new("/sys/class/net").join(&interface).exists();
        if !exists() {
            return Ok(());
        }
        let command = CommandLine::new("ip").args(["link", "delete", "dev", &interface]);
        match self.runner.run(&command).await {
            Err(error) if exists() => Err(error.into()),
            // It is gone, or the kernel took it away in the meantime with its other end.
            _ => Ok(()),
        }
    }

    /// The other instances in the slot. The veth pair of one that runs must stay.
    fn others_in_slot(
        &self,
        instance: &InstanceName,
    ) -> Result<Vec<(InstanceName, ContainerState)>, FileError> {
        let instances = container_states(&self.lxc)?
            .into_iter()
            .filter_map(|(name, state)| Some((name.parse::<InstanceName>().ok()?, state)));
        let in_slot =
            instances.filter(|(other, _)| other != instance && other.slot() == instance.slot());
        Ok(in_slot.collect())
    }

    fn folder(&self, instance: &InstanceName) -> PathBuf {
        self.lxc.join(instance.as_str())
    }

    async fn wait_until_removed(&self, instance: &InstanceName) -> bool {
        let started = Instant::now();
        while self.folder(instance).exists() || self.cgroups.exists(instance.as_str()) {
            if started.elapsed() > REMOVAL_WAIT {
                return false;
            }
            sleep(Duration::from_millis(5)).await;
        }
        true
    }
}

impl<R: Runner> Containers for LxcContainers<R> {
    async fn clone_ephemeral(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
    ) -> Result<(), ContainerError> {
        if let Some((other, _)) = self.others_in_slot(instance)?.first() {
            let (instance, holder) = (instance.to_string(), other.to_string());
            return Err(ContainerError::SlotHeld { instance, holder });
        }
        let files = LaunchFiles::new(&self.launches, instance)?;
        let result = self.launch(template, instance, &files).await;
        if result.is_err()
            && let Err(error) = self.stop(instance).await
        {
            tracing::warn!(%instance, %error, "a failed launch could not be cleaned up");
        }
        result
    }

    async fn stop(&self, instance: &InstanceName) -> Result<(), ContainerError> {
        let running = container_states(&self.lxc)?
            .iter()
            .any(|(name, state)| name == instance.as_str() && *state == ContainerState::Running);
        if running {
            let command = self.lxc("lxc-stop", instance.as_str()).arg("-k");
            match self.runner.run(&command.deadline(STOP_DEADLINE)).await {
                Ok(_) if self.wait_until_removed(instance).await => return Ok(()),
                Ok(_) => {}
                // It ended by itself in the meantime, or its monitor is still busy with the start
                // and answers nobody: what there is now decides, and not what was asked of it.
                Err(error) => tracing::debug!(%instance, %error, "lxc-stop left it to us"),
            }
        }
        self.destroy(instance).await
    }

    async fn destroy(&self, instance: &InstanceName) -> Result<(), ContainerError> {
        let folder = self.folder(instance);
        self.cgroups.kill(instance.as_str());
        if folder.exists() {
            let command = self.lxc("lxc-destroy", instance.as_str()).arg("-f");
            if let Err(error) = self.runner.run(&command).await {
                // It refuses what is half-made, for want of a configuration.
                tracing::debug!(%instance, %error, "lxc-destroy left it to us");
            }
        }
        // LXC may be faster.
        remove_tree(&folder)?;
        let runs = |(_, state): &(_, ContainerState)| *state == ContainerState::Running;
        if !self.others_in_slot(instance)?.iter().any(runs) {
            self.remove_interface(instance).await?;
        }
        self.cgroups.remove(instance.as_str()).await;
        if self.cgroups.exists(instance.as_str()) {
            let left = "a control group with a process in it".to_owned();
            return Err(ContainerError::Left { instance: instance.to_string(), left });
        }
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Container>, ContainerError> {
        // Not handed to another thread: it takes less time than the hand-over would.
        Ok(self.inventory.list(&self.lxc)?)
    }

    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration> {
        self.cpu_files.read(&self.cgroups, instances)
    }
}

/// The files of one launch, removed with it.
struct LaunchFiles {
    config: PathBuf,
    log: PathBuf,
}

impl LaunchFiles {
    fn new(folder: &Path, instance: &InstanceName) -> Result<Self, FileError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(file_error("make", folder))?;
        let file = |ending| folder.join(format!("{instance}.{ending}"));
        Ok(Self { config: file("conf"), log: file("log") })
    }
}

impl Drop for LaunchFiles {
    fn drop(&mut self) {
        // What cannot be removed is a few hundred bytes in a folder that a reboot empties.
        let _ = fs::remove_file(&self.config);
        let _ = fs::remove_file(&self.log);
    }
}

/// The first error of LXC's log, behind a colon: it is the cause, and those after it follow from it.
fn cause(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let first = text.lines().find(|line| line.contains(" ERROR "));
    first.map_or_else(String::new, |line| {
        let place_ends = line.match_indices(" - ").nth(1).map_or(0, |(at, dash)| at + dash.len());
        format!(": {}", &line[place_ends..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::FakeRunner;

    #[tokio::test]
    async fn a_slot_that_another_container_is_in_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.lxc = root.path().join("lxc");
        settings.paths.run = root.path().join("run");
        fs::create_dir_all(settings.paths.lxc.join("bw-other-1000-a")).unwrap();
        let containers = LxcContainers::with_runner(&settings, FakeRunner::default()).unwrap();
        let instance = "bw-store-1000-b".parse().unwrap();
        let template = "bw-store-t00000001".parse().unwrap();
        let error = containers.clone_ephemeral(&template, &instance).await.unwrap_err();
        let expected = "bw-store-1000-b was not launched: bw-other-1000-a is in its slot";
        assert_eq!(error.to_string(), expected);
        assert!(containers.runner.calls().is_empty());
    }

    #[test]
    fn the_first_error_of_the_log_is_the_cause() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let text = "lxc-copy bw-x 20261122100050.632 ERROR    conf - ../src/lxc/conf.c:\
            setup_sysctl_parameters:3355 - Read-only file system - Failed to setup sysctl\n\
            lxc-copy bw-x 20261122100050.632 ERROR    start - ../src/start.c:x:1 - Failed\n";
        fs::write(log.path(), text).unwrap();
        assert_eq!(cause(log.path()), ": Read-only file system - Failed to setup sysctl");
        assert_eq!(cause(Path::new("/does/not/exist")), "");
    }
}
