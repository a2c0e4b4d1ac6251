//! Launches, stops and removes instances.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::names::{InstanceName, TemplateName};
use model::service::Replacement;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::{Instant, sleep};

use super::error::ContainerError;
use super::inventory::{
    Container, ContainerState, Inventory, container_states, is_active_anywhere,
};
use super::launch_lock::lock_launches;
use super::layer;
use super::output::{OutputPipes, Outputs, Owner};
use super::profile::Profile;
use super::secrets::SecretFiles;
use super::stack;
use crate::cgroups::{Cgroups, CpuFiles};
use crate::command::{CommandLine, HostRunner, Runner};
use crate::files::{FileError, file_error, remove_tree};
use crate::network::ports;
use crate::processors::ProcessorTimes;
use crate::settings::Settings;
use crate::slots;

/// How long a call of `lxc-stop` may take. With `-k` it takes some 50 ms.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Calls of `lxc-stop` at a time: each takes some 50 ms of two programs of LXC, and the hundreds that
/// a steep fall of the load asks for would leave no CPU time for the requests.
const PARALLEL_STOPS: usize = 8;

/// How long LXC may take after a kill to remove an instance's folder. It takes milliseconds.
const REMOVAL_WAIT: Duration = Duration::from_secs(2);

/// The shortest and the longest pause between two looks at whether an instance is gone. A look at one
/// that is there is one system call.
const LOOKS: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];

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
        replacement: Replacement,
    ) -> impl Future<Output = Result<(), ContainerError>> + Send;

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

    /// All instances on the host, sorted by name.
    fn list(&self) -> impl Future<Output = Result<Vec<Container>, ContainerError>> + Send;

    /// The CPU time that each of these instances has used, of all cores together. One that does not
    /// run is left out.
    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration>;

    /// What the host's processors have done, for instances and all else; `None` where it cannot be told.
    fn processor_times(&self) -> Option<ProcessorTimes>;
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
    stops: Semaphore,
    outputs: Outputs,
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
            cgroups: Cgroups::of_host()?,
            cpu_files: CpuFiles::default(),
            stops: Semaphore::new(PARALLEL_STOPS),
            outputs: Outputs::new(&settings.paths.run),
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

    async fn launch(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        lock: Option<Arc<File>>,
        files: &LaunchFiles,
    ) -> Result<(), ContainerError> {
        let shared = self.lxc.join(template.as_str()).join("config");
        let shared = fs::read_to_string(&shared).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ContainerError::NoTemplate {
                instance: instance.to_string(),
                template: template.to_string(),
            },
            _ => file_error("read", &shared)(error).into(),
        })?;
        let shared = match self.cgroups.limit_swap() {
            true => shared,
            false => Profile::without_swap_limits(&shared),
        };
        let owner = Owner::of_config(&shared).ok_or_else(|| ContainerError::NoTemplate {
            instance: instance.to_string(),
            template: template.to_string(),
        })?;
        self.secrets.ensure(template, owner)?;
        self.outputs.make(instance, owner)?;
        // To the end of the launch, by when there is an instance.
        let _held = self.outputs.hold(instance)?;
        stack::check_mounted(&self.lxc, template)?;
        let layer = layer::of_template(&self.lxc, template)?;
        let home = layer.as_ref().unwrap_or(&self.lxc);
        self.hand_over_output(instance, home.join(instance.as_str()))?;
        let own = self.profile.launch_config(instance.slot(), &self.outputs.folder(instance))?;
        fs::write(&files.config, format!("{shared}\n{own}"))
            .map_err(file_error("write", &files.config))?;
        self.remove_interface(instance).await?;
        let command = CommandLine::new("lxc-copy")
            .arg("-P")
            .arg(&self.lxc)
            .args(["-n", template.as_str()])
            .arg("-p")
            .arg(home)
            .args(["-N", instance.as_str(), "-e", "-B", "overlay", "--keepmac"])
            .arg("--rcfile")
            .arg(&files.config)
            .args(["-l", "ERROR", "-o"])
            .arg(&files.log)
            .deadline(self.launch_timeout);
        let command = match lock {
            Some(lock) => command.holding(lock),
            None => command,
        };
        // It prints that it created the clone even when the start then failed: only its status
        // counts.
        self.runner.run(&command).await.map_err(|source| ContainerError::Launch {
            instance: instance.to_string(),
            log: cause(&files.log),
            source,
        })?;
        // LXC has no line for it.
        Ok(ports::isolate(&slots::interface(instance.slot()))?)
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

    /// Makes sure that no other instance of the service is there, nor processes of one that has lost
    /// its folder.
    async fn ensure_alone(&self, instance: &InstanceName) -> Result<(), ContainerError> {
        let of_service = |name: &InstanceName| name.service() == instance.service();
        let listed = container_states(&self.lxc)?;
        let mut listed = listed.iter().filter_map(|(name, _)| name.parse::<InstanceName>().ok());
        if let Some(holder) = listed.find(of_service) {
            let (instance, holder) = (instance.to_string(), holder.to_string());
            return Err(ContainerError::NotAlone { instance, holder });
        }
        for remnant in self.remnants()?.iter().filter(|name| of_service(name)) {
            self.destroy(remnant).await?;
        }
        Ok(())
    }

    fn is_running(&self, instance: &InstanceName) -> Result<bool, FileError> {
        let states = container_states(&self.lxc)?;
        let is_it = |(name, state): &(String, _)| {
            name == instance.as_str() && *state == ContainerState::Running
        };
        Ok(states.iter().any(is_it))
    }

    /// Sends the instance's init the signal to end, and returns whether the instance is gone within
    /// `grace`.
    async fn end(&self, instance: &InstanceName, grace: Duration) -> bool {
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
    async fn kill(&self, instance: &InstanceName) -> bool {
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
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // An error says that the semaphore was closed, which nobody does.
        self.stops.acquire().await.ok()
    }

    fn folder(&self, instance: &InstanceName) -> PathBuf {
        layer::home_of(&self.lxc, instance).join(instance.as_str())
    }

    /// Returns whether LXC has removed an instance within this time. The longer it lasts the rarer
    /// are the looks: each adds an eighth at most.
    async fn wait_until_removed(&self, instance: &InstanceName, within: Duration) -> bool {
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

impl<R: Runner> Containers for LxcContainers<R> {
    async fn clone_ephemeral(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        replacement: Replacement,
    ) -> Result<(), ContainerError> {
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
        let result = self.launch(template, instance, lock, &files).await;
        if result.is_err()
            && let Err(error) = self.stop(instance, Duration::ZERO).await
        {
            tracing::warn!(%instance, %error, "a failed launch could not be cleaned up");
        }
        result
    }

    async fn stop(&self, instance: &InstanceName, grace: Duration) -> Result<(), ContainerError> {
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
        remove_tree(&folder)?;
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
        Ok(self.inventory.list(&self.lxc)?)
    }

    fn cpu_times(&self, instances: &[&InstanceName]) -> BTreeMap<InstanceName, Duration> {
        self.cpu_files.read(&self.cgroups, instances)
    }

    fn processor_times(&self) -> Option<ProcessorTimes> {
        ProcessorTimes::read()
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
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    use futures_util::future::join_all;

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
        let error =
            containers.clone_ephemeral(&template, &instance, Replacement::Surge).await.unwrap_err();
        let expected = "bw-store-1000-b was not launched: bw-other-1000-a is in its slot";
        assert_eq!(error.to_string(), expected);
        assert!(containers.runner.calls().is_empty());
    }

    /// A host in a folder of its own, with a container that runs in each of these slots.
    fn host_with(
        slots: &[u32],
    ) -> (tempfile::TempDir, Vec<UnixListener>, LxcContainers<FakeRunner>) {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.lxc = root.path().join("lxc");
        settings.paths.run = root.path().join("run");
        let monitor = |slot: &u32| {
            let folder = settings.paths.lxc.join(format!("bw-store-{slot}-a"));
            fs::create_dir_all(&folder).unwrap();
            let command = SocketAddr::from_abstract_name(format!("{}/command", folder.display()));
            UnixListener::bind_addr(&command.unwrap()).unwrap()
        };
        let monitors = slots.iter().map(monitor).collect();
        let containers = LxcContainers::with_runner(&settings, FakeRunner::default()).unwrap();
        (root, monitors, containers)
    }

    #[tokio::test(start_paused = true)]
    async fn instances_that_ignore_their_signal_hold_up_no_other_stop() {
        let slots: Vec<u32> = (900..920).collect();
        let (_root, _monitors, containers) = host_with(&slots);
        let names: Vec<InstanceName> =
            slots.iter().map(|slot| format!("bw-store-{slot}-a").parse().unwrap()).collect();
        let grace = Duration::from_secs(10);
        let stops: Vec<_> = names.iter().map(|name| containers.stop(name, grace)).collect();
        for stopped in join_all(stops).await {
            stopped.unwrap();
        }
        let calls = containers.runner.calls();
        let nth = |ending: &str| calls.iter().filter(|call| call.ends_with(ending)).count();
        assert_eq!((nth("--nokill --nowait"), nth(" -k")), (20, 20));
        let first_kill = calls.iter().position(|call| call.ends_with(" -k")).unwrap();
        assert!(calls[..first_kill].iter().all(|call| call.ends_with("--nokill --nowait")));
        assert_eq!(first_kill, 20, "nobody was killed before all were asked to end");
    }

    #[tokio::test]
    async fn a_launch_whose_template_is_gone_says_how_it_is_made_again() {
        let (_root, _monitors, containers) = host_with(&[]);
        let (template, instance) = ("bw-store-t00000001", "bw-store-901-b");
        let (template, instance) = (template.parse().unwrap(), instance.parse().unwrap());
        let launched = containers.clone_ephemeral(&template, &instance, Replacement::Surge);
        let error = launched.await.unwrap_err().to_string();
        let told = "bw-store-901-b was not launched: its template bw-store-t00000001 is gone; \
                    `bellows up` makes it again";
        assert_eq!(error, told);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_grace_an_instance_is_killed_at_once() {
        let (_root, _monitors, containers) = host_with(&[900]);
        let name = "bw-store-900-a".parse().unwrap();
        containers.stop(&name, Duration::ZERO).await.unwrap();
        assert!(containers.runner.calls().iter().all(|call| !call.contains("--nokill")));
    }

    #[tokio::test]
    async fn a_service_that_is_recreated_gets_no_instance_beside_another() {
        let (_root, _monitors, containers) = host_with(&[900]);
        let (template, instance) = ("bw-store-t00000001", "bw-store-901-b");
        let (template, instance) = (template.parse().unwrap(), instance.parse().unwrap());
        let launched = containers.clone_ephemeral(&template, &instance, Replacement::Recreate);
        let error = launched.await.unwrap_err().to_string();
        let told =
            "bw-store-901-b was not launched: bw-store-900-a of the same service is still there";
        assert_eq!(error, told);
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
