//! The folders of the host that are mounted in instances.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::service::{Capability, InstanceSpec};

use super::error::ContainerError;
use super::mounts::{is_mounted, mount_points};
use crate::command::{CommandLine, Runner};
use crate::files::{FileError, file_error};

/// What nobody can do in a shared folder, on the host or in an instance.
const OPTIONS: &str = "nosuid,nodev,noexec";

/// Makes a folder that instances share: owned by their root where it is new, and a mount of its own.
///
/// LXC 5 drops `nosuid`, `nodev` and `noexec` from a bind mount (it compares them with the source's
/// and then skips the remount that sets them). As a mount that has them on the host, the folder
/// hands them to every mount of it, where an instance cannot take them off again.
///
/// # Errors
/// When the folder cannot be made, owned or mounted.
pub async fn ensure_shared_folder(
    runner: &impl Runner,
    folder: &Path,
    owner: u32,
) -> Result<(), ContainerError> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(file_error("make", parent))?;
        // LXC mounts what is inside as the instance's root, which needs the right to pass through.
        let passable = fs::Permissions::from_mode(0o711);
        fs::set_permissions(parent, passable).map_err(file_error("open", parent))?;
    }
    // Who owns one that is there is said by whoever knows the service's users: they may have given it on.
    if !folder.exists() {
        fs::create_dir_all(folder).map_err(file_error("make", folder))?;
        std::os::unix::fs::chown(folder, Some(owner), Some(owner))
            .map_err(file_error("change the owner of", folder))?;
    }
    if !is_mounted(folder)? {
        let options = format!("bind,{OPTIONS}");
        runner
            .run(&CommandLine::new("mount").args(["-o", &options]).arg(folder).arg(folder))
            .await?;
    }
    Ok(())
}

/// Closes the folders below `state` that these instances mount to all but their owner, where no other user is in
/// an instance that mounts it: where all of them run as their root, which is one of `roots` on the host and owns
/// the folder. Who has several users, or gave the folder to one, says by its mode whom he lets in. Instances
/// that are not among these mount none of the folders.
///
/// # Errors
/// When the disk fails.
pub fn close_shared_folders<'a>(
    state: &Path,
    roots: &BTreeSet<u32>,
    instances: impl Iterator<Item = &'a InstanceSpec> + Clone,
) -> Result<(), FileError> {
    let mounted = |it: &'a InstanceSpec| it.mounts.iter().map(|mount| mount.source.as_str());
    let others = instances.clone().filter(|instance| !is_root_alone(instance));
    let of_others: BTreeSet<&str> = others.flat_map(mounted).collect();
    for source in instances.flat_map(mounted).filter(|source| !of_others.contains(source)) {
        let folder = state.join(source);
        let owner = match fs::metadata(&folder) {
            // What only an earlier version mounts may have been removed since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            status => status.map_err(file_error("look at", &folder))?.uid(),
        };
        if roots.contains(&owner) {
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(&folder, mode).map_err(file_error("close", &folder))?;
        }
    }
    Ok(())
}

/// Whether nobody but its root can be in an instance: without the right to become another user, and with
/// `no_new_privs`, under which no program is set-uid.
fn is_root_alone(instance: &InstanceSpec) -> bool {
    instance.start.user.is_none() && !instance.capabilities.contains(&Capability::Setuid)
}

/// Undoes the mount and keeps the folder with what is in it.
///
/// # Errors
/// When the folder is mounted and in use.
pub async fn remove_shared_folder(
    runner: &impl Runner,
    folder: &Path,
) -> Result<(), ContainerError> {
    while is_mounted(folder)? {
        runner.run(&CommandLine::new("umount").arg(folder)).await?;
    }
    Ok(())
}

/// The shared folders that are mounted below `state`, innermost first.
///
/// # Errors
/// When the kernel's table of mounts cannot be read.
pub fn shared_folders_below(state: &Path) -> Result<Vec<PathBuf>, FileError> {
    Ok(below(state, mount_points()?))
}

fn below(state: &Path, mut points: Vec<PathBuf>) -> Vec<PathBuf> {
    points.retain(|point| point != state && point.starts_with(state));
    points.sort();
    points.dedup();
    points.reverse();
    points
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use model::service::{Mount, ServiceSpec};

    use super::super::mounts::parse;
    use super::*;

    /// Instances that mount a folder, with this in the table `[instance]` of their file.
    fn mounting(folder: &str, line: &str) -> InstanceSpec {
        let shipped = include_str!("../../../../services/object-store.toml");
        let text = shipped.replacen("[instance]", &format!("[instance]\n{line}"), 1);
        let spec: ServiceSpec = config_file::from_toml("service.toml", &text).unwrap();
        let mount = Mount { source: folder.to_owned(), target: "/data".to_owned(), shared: false };
        InstanceSpec { mounts: vec![mount], ..spec.instance }
    }

    #[test]
    fn a_folder_is_closed_to_the_host_where_its_owner_alone_is_in_whoever_mounts_it() {
        let state = tempfile::tempdir().unwrap();
        for (folder, owner) in [("own", 3_000_000), ("given-on", 3_000_033), ("shared", 3_000_000)]
        {
            let folder = state.path().join(folder);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            chown(&folder, Some(owner), Some(owner)).unwrap();
        }
        let root = |folder| mounting(folder, "");
        let close = |instances: &[InstanceSpec]| {
            close_shared_folders(state.path(), &[3_000_000].into(), instances.iter()).unwrap();
            ["own", "given-on", "shared"]
                .map(|it| fs::metadata(state.path().join(it)).unwrap().mode() & 0o7777)
        };
        for line in ["user = \"33\"", "capabilities = [\"setuid\"]"] {
            let shared = [root("shared"), mounting("shared", line)];
            let others =
                [vec![root("own"), root("given-on"), root("gone")], shared.to_vec()].concat();
            assert_eq!(close(&others), [0o700, 0o755, 0o755], "{line}");
        }
        assert_eq!(close(&[root("shared")]), [0o700, 0o755, 0o700]);
    }

    #[test]
    fn only_mounts_below_the_state_folder_are_undone_and_inner_ones_first() {
        let table = b"\
22 1 254:0 / / rw - ext4 /dev/vda rw
90 22 254:0 /var/lib/bellows/objects /var/lib/bellows/objects rw,nosuid - ext4 /dev/vda rw
91 90 0:40 / /var/lib/bellows/objects/inner rw - tmpfs tmpfs rw
92 22 254:1 / /var/lib/bellows rw - ext4 /dev/vdb rw
93 22 254:0 / /var/lib/bellows-other/objects rw - ext4 /dev/vda rw
94 22 254:0 /var/lib/bellows/objects /var/lib/bellows/objects rw,nosuid - ext4 /dev/vda rw
";
        let found = below(Path::new("/var/lib/bellows"), parse(table));
        let expected =
            ["/var/lib/bellows/objects/inner", "/var/lib/bellows/objects"].map(PathBuf::from);
        assert_eq!(found, expected);
    }
}
