//! The disk of a service's builds: a file of bounded size with a file system in it, which is mounted while a build runs.
//! What is kept for the next build is a cache, so whenever something is wrong with it, it is made anew.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;
use std::time::Duration;

use super::error::BuildError;
use crate::command::{CommandError, CommandLine, Runner};
use crate::files::{FileError, file_error, free_bytes, remove_file};
use crate::loop_devices;
use crate::lxc::is_mounted;
use crate::settings::IdRange;

/// Nobody's programs run as another user from there, whatever a build leaves.
const OPTIONS: &str = "nosuid,nodev,noatime,noinit_itable";

/// How long the check of a file system may take: one of 4 GiB takes 20 ms.
const CHECK_DEADLINE: Duration = Duration::from_secs(120);

/// How long the removal of what a build left may take: 4 GiB hold 260,000 files, of which 70,000 took 3 s.
const REMOVE_DEADLINE: Duration = Duration::from_secs(120);

/// What is kept for the next build.
const CACHE: &str = "cache";

/// What each build finds empty, with its mode.
const EMPTY: [(&str, u32); 3] = [("input", 0o755), ("out", 0o755), ("tmp", 0o1777)];

/// A disk with less free than this is full: what fails for want of room takes away again what it began.
const FULL_BYTES: u64 = 4 << 20;

const MIB: u64 = 1 << 20;

/// The disk, and where it is mounted.
#[derive(Debug)]
pub(super) struct Disk {
    file: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// The disk in this file, which is mounted at this folder.
    pub(super) fn new(file: PathBuf, folder: PathBuf) -> Self {
        Self { file, folder }
    }

    /// A folder of it.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether it has no room to speak of.
    pub(super) fn is_full(&self) -> bool {
        free_bytes(&self.folder).is_ok_and(|free| free < FULL_BYTES)
    }

    /// Mounts it, of this size, with what each build finds there. Nothing is mounted there.
    ///
    /// # Errors
    /// When the host's disk has no room for it, or a command fails.
    pub(super) async fn mount(
        &self,
        runner: &impl Runner,
        size_mib: u32,
        ids: IdRange,
    ) -> Result<(), BuildError> {
        fs::create_dir_all(&self.folder).map_err(file_error("make", &self.folder))?;
        self.check_room(size_mib)?;
        // What somebody has open on it still, which no mount shows any more, would be spoilt by a check and a second
        // mount, and would spoil these.
        let is_free = loop_devices::let_go(runner, &self.file).await?;
        if is_free
            && self.is_usable(runner, size_mib).await
            && self.attach(runner).await.is_ok()
            && self.prepare(runner, ids).await.is_ok()
        {
            return Ok(());
        }
        self.unmount(runner).await?;
        self.make(runner, size_mib).await?;
        self.attach(runner).await?;
        self.prepare(runner, ids).await
    }

    /// Takes away all that the next build does not find, and what is kept for it too once that takes half of the disk:
    /// the build needs the other half.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(super) async fn tidy(&self, runner: &impl Runner) -> Result<(), BuildError> {
        let size = fs::metadata(&self.file).map_err(file_error("read", &self.file))?.len();
        for (name, _) in EMPTY {
            self.remove(runner, name).await?;
        }
        if free_bytes(&self.folder)? < size / 2 {
            self.empty_cache(runner).await?;
        }
        // All at once, in 0.4 s: file by file, by the option `discard`, the removal of 190,000 took 9 minutes.
        let trim = CommandLine::new("fstrim").arg(&self.folder).deadline(REMOVE_DEADLINE);
        // Where the host's file system makes no holes in files, the file stays as large as it was.
        let _ = runner.run(&trim).await;
        Ok(())
    }

    /// Has the next build make it anew. What is mounted stays until it is no more.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub(super) fn discard(&self) -> Result<(), FileError> {
        remove_file(&self.file).map(drop)
    }

    /// Whether it is mounted where it belongs.
    ///
    /// # Errors
    /// When the kernel's table cannot be read.
    pub(super) fn is_mounted(&self) -> Result<bool, FileError> {
        is_mounted(&self.folder)
    }

    /// Takes away what was kept for the next build.
    pub(super) async fn empty_cache(&self, runner: &impl Runner) -> Result<(), BuildError> {
        self.remove(runner, CACHE).await
    }

    /// Removes a folder of it. A build can make folders in folders as deep as its disk has room for, and each level takes
    /// some of the stack of this process, but none of `rm`'s.
    async fn remove(&self, runner: &impl Runner, name: &str) -> Result<(), BuildError> {
        let remove = CommandLine::new("rm").args(["-rf", "--one-file-system", "--"]);
        runner.run(&remove.arg(self.folder(name)).deadline(REMOVE_DEADLINE)).await?;
        Ok(())
    }

    async fn unmount(&self, runner: &impl Runner) -> Result<(), BuildError> {
        while is_mounted(&self.folder)? {
            runner.run(&CommandLine::new("umount").arg(&self.folder)).await?;
        }
        Ok(())
    }

    fn check_room(&self, size_mib: u32) -> Result<(), BuildError> {
        let taken = fs::metadata(&self.file).map_or(0, |found| found.blocks() * 512);
        let free = free_bytes(&self.folder)?;
        if free + taken >= u64::from(size_mib) * MIB {
            return Ok(());
        }
        Err(BuildError::NoRoom { disk_mib: size_mib, free_mib: (free + taken) / MIB })
    }

    /// Whether there is a whole file system of this size.
    async fn is_usable(&self, runner: &impl Runner, size_mib: u32) -> bool {
        let bytes = u64::from(size_mib) * MIB;
        let check = CommandLine::new("e2fsck").arg("-p").arg(&self.file).deadline(CHECK_DEADLINE);
        fs::metadata(&self.file).is_ok_and(|found| found.len() == bytes)
            && runner.run(&check).await.is_ok()
    }

    /// Makes it anew, in another file than the one of before, which somebody may have mounted.
    async fn make(&self, runner: &impl Runner, size_mib: u32) -> Result<(), BuildError> {
        let draft = self.file.with_extension("draft");
        let file = File::create(&draft).map_err(file_error("make", &draft))?;
        file.set_permissions(Permissions::from_mode(0o600))
            .and_then(|()| file.set_len(u64::from(size_mib) * MIB))
            .map_err(file_error("extend", &draft))?;
        let make = CommandLine::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-O", "^has_journal"])
            .args(["-E", "lazy_itable_init=1,nodiscard"])
            .arg(&draft);
        runner.run(&make).await?;
        Ok(fs::rename(&draft, &self.file).map_err(file_error("rename", &draft))?)
    }

    async fn attach(&self, runner: &impl Runner) -> Result<(), CommandError> {
        loop_devices::mount(runner, &self.file, &self.folder, OPTIONS).await
    }

    /// Has the folders there that a build has, which belong to its root.
    async fn prepare(&self, runner: &impl Runner, ids: IdRange) -> Result<(), BuildError> {
        // Where the build before did not come to its end.
        self.tidy(runner).await?;
        let cache = self.folder(CACHE);
        if fs::metadata(&cache).is_ok_and(|found| found.uid() != ids.first) {
            // Of other ids, which builds had before.
            self.empty_cache(runner).await?;
        }
        for (name, mode) in EMPTY.into_iter().chain([(CACHE, 0o755)]) {
            let folder = self.folder(name);
            fs::create_dir_all(&folder).map_err(file_error("make", &folder))?;
            chown(&folder, Some(ids.first), Some(ids.first))
                .map_err(file_error("change the owner of", &folder))?;
            fs::set_permissions(&folder, Permissions::from_mode(mode))
                .map_err(file_error("change the mode of", &folder))?;
        }
        // Its root passes through.
        fs::set_permissions(&self.folder, Permissions::from_mode(0o711))
            .map_err(file_error("change the mode of", &self.folder))?;
        Ok(())
    }
}
