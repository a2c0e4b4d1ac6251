//! A launch: what LXC is told, and what must not be there before.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::names::{InstanceName, TemplateName};

use super::super::error::ContainerError;
use super::super::inventory::{ContainerState, container_states};
use super::super::output::Owner;
use super::super::profile::Profile;
use super::super::{layer, stack};
use super::{Containers, LxcContainers};
use crate::command::{CommandLine, Runner};
use crate::files::{FileError, file_error};
use crate::network::ports;
use crate::slots;

impl<R: Runner> LxcContainers<R> {
    pub(super) async fn launch(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        lock: Option<Arc<File>>,
        files: &LaunchFiles,
        release: bool,
    ) -> Result<(), ContainerError> {
        let shared = self.shared_config(template, instance)?;
        let owner = Owner::of_config(&shared).ok_or_else(|| no_template(template, instance))?;
        self.secrets.ensure(template, owner)?;
        self.outputs.make(instance, owner, release)?;
        let output = self.outputs.folder(instance);
        self.releases.begin(instance, &output)?;
        // To the end of the launch, by when there is an instance.
        let _held = self.outputs.hold(instance)?;
        stack::check_mounted(&self.lxc, template)?;
        let layer = layer::of_template(&self.lxc, template)?;
        let home = layer.as_ref().unwrap_or(&self.lxc);
        self.hand_over_output(instance, home.join(instance.as_str()))?;
        let own = self.profile.launch_config(instance.slot(), &output, release)?;
        fs::write(&files.config, format!("{shared}\n{own}"))
            .map_err(file_error("write", &files.config))?;
        self.remove_interface(instance).await?;
        let command = self.copy_command(template, instance, home, files);
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
        ports::isolate(&slots::interface(instance.slot()))?;
        Ok(())
    }

    /// What a template's configuration says to all of its instances, as this kernel takes it.
    fn shared_config(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
    ) -> Result<String, ContainerError> {
        let file = self.lxc.join(template.as_str()).join("config");
        let shared = fs::read_to_string(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_template(template, instance),
            _ => file_error("read", &file)(error).into(),
        })?;
        Ok(match self.cgroups.limit_swap() {
            true => shared,
            false => Profile::without_swap_limits(&shared),
        })
    }

    fn copy_command(
        &self,
        template: &TemplateName,
        instance: &InstanceName,
        home: &Path,
        files: &LaunchFiles,
    ) -> CommandLine {
        CommandLine::new("lxc-copy")
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
            .deadline(self.launch_timeout)
    }

    /// Removes the host's end of the slot's veth pair. One that outlived its instance would make the
    /// next launch in the slot fail.
    pub(super) async fn remove_interface(
        &self,
        instance: &InstanceName,
    ) -> Result<(), ContainerError> {
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
    pub(super) fn others_in_slot(
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
    pub(super) async fn ensure_alone(&self, instance: &InstanceName) -> Result<(), ContainerError> {
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
}

fn no_template(template: &TemplateName, instance: &InstanceName) -> ContainerError {
    ContainerError::NoTemplate { instance: instance.to_string(), template: template.to_string() }
}

/// The files of one launch, removed with it.
pub(super) struct LaunchFiles {
    config: PathBuf,
    log: PathBuf,
}

impl LaunchFiles {
    pub(super) fn new(folder: &Path, instance: &InstanceName) -> Result<Self, FileError> {
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
