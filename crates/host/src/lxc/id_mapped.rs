//! A folder of the host, mounted with other owners: what belongs to id 0 on disk belongs there to the first id of
//! a range. So what lies on disk once is the own of each service that has it.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use composefs_ioctls::mount::mount_setattr_idmap;
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_bind, mount_remount, move_mount,
    open_tree, unmount,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::command::{DEFAULT_DEADLINE, SEARCH_PATH};
use crate::settings::IdRange;

/// A user namespace in which the ids from 0 on are these of the host: what tells the kernel how to move owners. It
/// lasts as long as it is open, or a mount has it.
///
/// # Errors
/// With the words of the program, where there can be none.
pub(super) async fn user_namespace(ids: IdRange) -> io::Result<File> {
    // In a process of its own, for one with threads cannot enter such a namespace.
    user_namespace_by(Command::new("unshare").args(["--user", "cat"]), ids).await
}

/// The same, of a program that makes one and returns what it reads.
async fn user_namespace_by(program: &mut Command, ids: IdRange) -> io::Result<File> {
    let mut process = program
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let made = timeout(DEFAULT_DEADLINE, namespace_of(&mut process, ids)).await;
    process.kill().await?;
    match made {
        Ok(Err(error)) => Err(told(&mut process).await.map_or(error, io::Error::other)),
        made => made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    }
}

/// What a program that has ended said of its failure, if anything.
async fn told(process: &mut Child) -> Option<String> {
    let mut text = String::new();
    let reading = process.stderr.as_mut()?.read_to_string(&mut text);
    timeout(DEFAULT_DEADLINE, reading).await.ok()?.ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
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
    let tree = read_only(source, target)?;
    mount_setattr_idmap(&tree, user_namespace)?;
    Ok(move_mount(&tree, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A mount of `source` that is nowhere yet, through which nobody can write. A mount is made read-only where it is
/// (`mount_setattr` with another flag would do without, and no crate has that in a safe form), so it is one that
/// moves no owners at `target` first, and what is copied from that is read-only from the start.
fn read_only(source: &Path, target: &Path) -> io::Result<OwnedFd> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_bind(source, target)?;
    let copied = mount_remount(target, flags, "").and_then(|()| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(CWD, target, flags)
    });
    unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    Ok(copied?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown};

    use rustix::fs::{Mode, OFlags, openat};
    use rustix::io::Errno;

    use super::super::mounts::{is_mounted, unmount_below};
    use super::*;

    /// Below the target folder: /tmp may be a tmpfs, which a kernel before 6.3 mounts with no other owners.
    fn folder() -> tempfile::TempDir {
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn owners_are_moved_on_the_mount_and_nothing_can_be_written_there() {
        let root = folder();
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

    #[test]
    fn what_is_about_to_be_mounted_is_read_only_before_it_is_anywhere() {
        let root = folder();
        let [source, target] = ["source", "target"].map(|name| root.path().join(name));
        fs::create_dir(&source).unwrap();
        fs::create_dir(&target).unwrap();
        let tree = read_only(&source, &target).unwrap();
        assert!(!is_mounted(&target).unwrap());
        let made = openat(&tree, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR);
        assert_eq!(made.unwrap_err(), Errno::ROFS);
    }

    #[tokio::test]
    async fn where_there_can_be_no_namespace_it_is_told_why() {
        let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec unshare --user cat";
        let mut program = Command::new("unshare");
        // The figure is that of a namespace, and this one's own.
        program.args(["--user", "--map-root-user", "sh", "-c", script]);
        let ids = IdRange { first: 3_000_000, count: 65_536 };
        let error = user_namespace_by(&mut program, ids).await.unwrap_err();
        assert_eq!(error.to_string(), "unshare: unshare failed: No space left on device");
    }
}
