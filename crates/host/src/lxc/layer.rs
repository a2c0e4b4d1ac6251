//! Where the instances of a version are that may write to their roots: in a file system of bounded size,
//! which is a file of their template. What they fill is their own, and never the disk of the host.
//!
//! It holds nothing that outlives them, so it is made anew whenever it is mounted, and needs no journal.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use model::names::{InstanceName, TemplateName};

use super::error::ContainerError;
use super::mounts::is_mounted;
use crate::command::{CommandLine, Runner};
use crate::files::{file_error, free_bytes, names_in};
use crate::loop_devices;

/// The file below a template's folder.
const FILE: &str = "layer.ext4";

/// What the folders start with in which the layers of versions are mounted: short, since LXC names a
/// container's socket after the folder.
const PREFIX: &str = "bwl-";

/// Nobody's programs run as another user from there, whatever an instance leaves; and the kernel writes
/// no tables ahead that nobody needs.
const OPTIONS: &str = "nosuid,nodev,noatime,discard,noinit_itable";

const MIB: u64 = 1024 * 1024;

/// Has the folder of a template, or of a run that is no instance, hold a layer of this size. The file takes as much of the disk as is written.
pub(super) fn reserve(template: &Path, size_mib: u32) -> Result<(), ContainerError> {
    let path = template.join(FILE);
    let free_mib = free_bytes(template)? / MIB;
    if free_mib < u64::from(size_mib) {
        return Err(ContainerError::NoRoomForLayer { size_mib, free_mib, folder: template.into() });
    }
    let file = File::create(&path).map_err(file_error("make", &path))?;
    Ok(file.set_len(u64::from(size_mib) * MIB).map_err(file_error("extend", &path))?)
}

/// The folder in which the instances of a template are made, if it has a layer.
///
/// # Errors
/// It is not mounted: what they write would have no bound.
pub(super) fn of_template(
    lxc: &Path,
    template: &TemplateName,
) -> Result<Option<PathBuf>, ContainerError> {
    if !lxc.join(template.as_str()).join(FILE).exists() {
        return Ok(None);
    }
    let folder = folder(lxc, template);
    if is_mounted(&folder)? { Ok(Some(folder)) } else { Err(ContainerError::NoLayer { folder }) }
}

/// The folder in which an instance is: that of a layer, or else LXC's own, where it would be made.
pub(super) fn home_of(lxc: &Path, instance: &InstanceName) -> PathBuf {
    let names = names_in(lxc).unwrap_or_default();
    let mut layers = folders_among(lxc, &names).into_iter();
    layers.find(|layer| layer.join(instance.as_str()).exists()).unwrap_or_else(|| lxc.into())
}

/// Those of the names in LXC's folder that are layers', mounted or not, as paths.
pub(super) fn folders_among(lxc: &Path, names: &[String]) -> Vec<PathBuf> {
    names.iter().filter(|name| name.starts_with(PREFIX)).map(|name| lxc.join(name)).collect()
}

/// Mounts the layer of a template that has one, empty, where it is not mounted.
pub(super) async fn ensure(
    runner: &impl Runner,
    lxc: &Path,
    template: &TemplateName,
) -> Result<(), ContainerError> {
    let file = lxc.join(template.as_str()).join(FILE);
    let folder = folder(lxc, template);
    if !file.exists() || is_mounted(&folder)? {
        return Ok(());
    }
    mount(runner, &lxc.join(template.as_str()), &folder).await
}

/// Makes the layer that this folder holds anew, and mounts it there.
///
/// # Errors
/// When the disk or a command fails.
pub(super) async fn mount(
    runner: &impl Runner,
    holder: &Path,
    folder: &Path,
) -> Result<(), ContainerError> {
    let file = holder.join(FILE);
    fs::create_dir_all(folder).map_err(file_error("make", folder))?;
    let size = fs::metadata(&file).map_err(file_error("read", &file))?.len();
    // Another file than the one of before: who still has that mounted, such as an instance that is about to end,
    // would write what it holds of it over this one, which then was no file system ("Structure needs cleaning").
    let draft = file.with_extension("draft");
    let empty = File::create(&draft).map_err(file_error("make", &draft))?;
    empty.set_len(size).map_err(file_error("extend", &draft))?;
    let make = CommandLine::new("mkfs.ext4")
        .args(["-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"])
        .arg(&draft);
    runner.run(&make).await?;
    fs::rename(&draft, &file).map_err(file_error("rename", &draft))?;
    Ok(loop_devices::mount(runner, &file, folder, OPTIONS).await?)
}

/// Undoes the mount of a template's layer.
pub(super) async fn remove(
    runner: &impl Runner,
    lxc: &Path,
    template: &TemplateName,
) -> Result<(), ContainerError> {
    remove_folder(runner, &folder(lxc, template)).await
}

/// Undoes the mounts of all layers below LXC's folder, those among them that lost their templates, and takes back the
/// loop devices that a release left which was killed between making one and mounting it; gives how many mounts there
/// were.
///
/// # Errors
/// When one is in use.
pub async fn remove_layers(runner: &impl Runner, lxc: &Path) -> Result<usize, ContainerError> {
    let folders = folders_among(lxc, &names_in(lxc)?);
    for folder in &folders {
        remove_folder(runner, folder).await?;
    }
    let ours = loop_devices::resolved(&lxc.join(FILE));
    let is_ours = |path: &Path| {
        path.file_name() == ours.file_name()
            && path.parent().and_then(Path::parent) == ours.parent()
    };
    loop_devices::detach(runner, is_ours).await?;
    Ok(folders.len())
}

async fn remove_folder(runner: &impl Runner, folder: &Path) -> Result<(), ContainerError> {
    while is_mounted(folder)? {
        runner.run(&CommandLine::new("umount").arg(folder)).await?;
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(file_error("remove", folder)(error).into())
        }
        _ => Ok(()),
    }
}

fn folder(lxc: &Path, template: &TemplateName) -> PathBuf {
    lxc.join(format!("{PREFIX}{}", template.version()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;

    #[tokio::test]
    async fn a_loop_device_of_a_layer_that_a_kill_left_is_taken_back() {
        let lxc = tempfile::tempdir().unwrap();
        let file = lxc.path().join("bw-store-t01234567").join(FILE);
        fs::create_dir(file.parent().unwrap()).unwrap();
        File::create(&file).unwrap().set_len(MIB).unwrap();
        let attach = CommandLine::new("losetup").args(["--find", "--show"]).arg(&file);
        HostRunner.run(&attach).await.unwrap();
        // Its template is gone by then.
        fs::remove_file(&file).unwrap();
        let ours = lxc.path().display().to_string();
        let list = async || HostRunner.run(&CommandLine::new("losetup").arg("--list")).await;
        assert!(list().await.unwrap().stdout.contains(&ours));
        assert_eq!(remove_layers(&HostRunner, lxc.path()).await.unwrap(), 0);
        assert!(!list().await.unwrap().stdout.contains(&ours));
    }

    #[test]
    fn a_template_has_a_layer_once_it_is_reserved_and_takes_no_disk_for_it() {
        use std::os::unix::fs::MetadataExt as _;
        let lxc = tempfile::tempdir().unwrap();
        let template: TemplateName = "bw-store-t01234567".parse().unwrap();
        let of_template = lxc.path().join(template.as_str());
        fs::create_dir(&of_template).unwrap();
        assert_eq!(super::of_template(lxc.path(), &template).unwrap(), None);
        reserve(&of_template, 64).unwrap();
        let error = super::of_template(lxc.path(), &template).unwrap_err().to_string();
        assert!(error.contains("/bwl-01234567 is not mounted"), "{error}");
        let file = fs::metadata(of_template.join(FILE)).unwrap();
        assert_eq!((file.len(), file.blocks()), (64 * MIB, 0));
        let error = reserve(&of_template, u32::MAX).unwrap_err().to_string();
        assert!(error.contains("instance.layer_mib"), "{error}");
    }
}
