//! A folder of the host, mounted with other owners: what belongs to id 0 on disk belongs there to the first id of
//! a range. So what lies on disk once is the own of each service that has it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use composefs_ioctls::mount::mount_setattr_idmap;
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, mount_remount, move_mount, open_tree,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::command::{DEFAULT_DEADLINE, SEARCH_PATH};
use crate::settings::IdRange;

/// A user namespace in which the ids from 0 on are these of the host: what tells the kernel how to move owners. It
/// lasts as long as it is open, or a mount has it.
pub(super) async fn user_namespace(ids: IdRange) -> io::Result<File> {
    // In a process of its own, for one with threads cannot enter such a namespace.
    let mut process = Command::new("unshare")
        .args(["--user", "cat"])
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let made = timeout(DEFAULT_DEADLINE, namespace_of(&mut process, ids)).await;
    process.kill().await?;
    made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn namespace_of(process: &mut Child, ids: IdRange) -> io::Result<File> {
    let ended = || io::Error::other("unshare has ended");
    let (input, output) = (process.stdin.as_mut(), process.stdout.as_mut());
    let (input, output) = input.zip(output).ok_or_else(ended)?;
    // What comes back says that the program runs, and so that it is in the namespace.
    input.write_all(b"\n").await?;
    output.read_exact(&mut [0]).await?;
    let folder = PathBuf::from(format!("/proc/{}", process.id().ok_or_else(ended)?));
    for map in ["uid_map", "gid_map"] {
        fs::write(folder.join(map), format!("0 {} {}", ids.first, ids.count))?;
    }
    File::open(folder.join("ns/user"))
}

/// Mounts `source` at `target`, read-only, with the owners that this namespace gives it.
///
/// # Errors
/// `InvalidInput` where the kernel, or the file system of `source`, cannot do that.
pub(super) fn mount(source: &Path, target: &Path, user_namespace: &File) -> io::Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, source, flags)?;
    mount_setattr_idmap(&tree, user_namespace)?;
    move_mount(&tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "")?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown};

    use super::super::mounts::unmount_below;
    use super::*;

    #[tokio::test]
    async fn owners_are_moved_on_the_mount_and_nothing_can_be_written_there() {
        let root = tempfile::tempdir().unwrap();
        let (source, target) = (root.path().join("source"), root.path().join("target"));
        fs::create_dir(&source).unwrap();
        fs::create_dir(&target).unwrap();
        fs::write(source.join("file"), "").unwrap();
        chown(source.join("file"), Some(33), Some(7)).unwrap();
        let ids = IdRange { first: 3_000_000, count: 65_536 };
        mount(&source, &target, &user_namespace(ids).await.unwrap()).unwrap();
        let moved = fs::metadata(target.join("file")).unwrap();
        assert_eq!((moved.uid(), moved.gid()), (3_000_033, 3_000_007));
        let there = fs::metadata(source.join("file")).unwrap();
        assert_eq!((there.uid(), there.ino()), (33, moved.ino()));
        let error = fs::write(target.join("other"), "").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
        unmount_below(&target).unwrap();
    }
}
