//! Loop devices, by which the kernel mounts a file: the disks of builds, and the layers of instances.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use crate::command::{CommandError, CommandLine, Runner};
use crate::files::{FileError, names_in};

/// The folder of all block devices.
const DEVICES: &str = "/sys/block";

/// What the kernel adds to the path of a file that was removed, or replaced by another.
const DELETED: &str = " (deleted)";

/// How soon a device is looked at again, and how often: the kernel frees it after the end of its mount.
const PAUSE: Duration = Duration::from_millis(10);
const LOOKS: u32 = 50;

/// A device that has a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    name: String,
    file: PathBuf,
    /// Whether the file has no name any more.
    is_deleted: bool,
}

/// Mounts the file system in a file. Its device is one that the kernel frees by itself with the mount, from the first
/// moment on, so whoever is killed leaves none.
///
/// # Errors
/// When it cannot be mounted.
pub(crate) async fn mount(
    runner: &impl Runner,
    file: &Path,
    folder: &Path,
    options: &str,
) -> Result<(), CommandError> {
    let mount = CommandLine::new("mount").args(["-t", "ext4", "-o", &format!("loop,{options}")]);
    runner.run(&mount.arg(file).arg(folder)).await?;
    // Without direct I/O the page cache holds all twice, and an instance at its limit of memory took 39 s for what takes
    // 3. Where the disk that holds the file does not know it, it is as it is.
    let ours = |device: &Device| !device.is_deleted && device.file == resolved(file);
    for device in devices().unwrap_or_default().iter().filter(|it| ours(it)) {
        let direct = CommandLine::new("losetup").arg("--direct-io=on").arg(device.path());
        let _ = runner.run(&direct).await;
    }
    Ok(())
}

/// Detaches the devices of all files for whose paths, without links, this holds: at once, or where something of one is
/// in use, as soon as it is not.
///
/// # Errors
/// When the kernel's list cannot be read.
pub(crate) async fn detach(
    runner: &impl Runner,
    is_ours: impl Fn(&Path) -> bool,
) -> Result<(), FileError> {
    for device in devices()?.iter().filter(|device| is_ours(&device.file)) {
        // One that was freed meanwhile is what was wanted.
        let _ = runner.run(&CommandLine::new("losetup").arg("--detach").arg(device.path())).await;
    }
    Ok(())
}

/// Detaches the devices of a file, and says whether none has it any more. One has it for as long as somebody has
/// something open there, also when no mount is to be seen.
///
/// # Errors
/// When the kernel's list cannot be read.
pub(crate) async fn let_go(runner: &impl Runner, file: &Path) -> Result<bool, FileError> {
    let file = resolved(file);
    detach(runner, |path| path == file).await?;
    for _ in 0..LOOKS {
        if !devices()?.iter().any(|device| !device.is_deleted && device.file == file) {
            return Ok(true);
        }
        sleep(PAUSE).await;
    }
    Ok(false)
}

/// The path as the kernel has it, in which no link leads elsewhere, be there such a file or not.
pub(crate) fn resolved(file: &Path) -> PathBuf {
    let folder = file.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, file.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => file.to_owned(),
    }
}

/// All devices that have a file.
fn devices() -> Result<Vec<Device>, FileError> {
    let folder = Path::new(DEVICES);
    let names = names_in(folder)?.into_iter().filter(|name| name.starts_with("loop"));
    let device = |name: String| {
        let place = folder.join(&name).join("loop/backing_file");
        // One that cannot be read has no file, or has lost it just now.
        Some(Device::parse(name, &fs::read(place).ok()?))
    };
    Ok(names.filter_map(device).collect())
}

impl Device {
    /// `text` is what the kernel says of its file.
    fn parse(name: String, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let path = text.trim_end_matches('\n');
        let deleted = path.strip_suffix(DELETED);
        Self { name, file: deleted.unwrap_or(path).into(), is_deleted: deleted.is_some() }
    }

    fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HostRunner;

    #[tokio::test]
    async fn a_file_is_let_go_of_once_nobody_uses_its_device() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::File::create(&file).unwrap().set_len(1 << 20).unwrap();
        assert!(let_go(&HostRunner, &file).await.unwrap(), "it has none");
        let attach = CommandLine::new("losetup").args(["--find", "--show"]).arg(&file);
        let device = HostRunner.run(&attach).await.unwrap().stdout;
        // As the kernel does for a mount that is not seen any more.
        let held = fs::File::open(device.trim()).unwrap();
        assert!(!let_go(&HostRunner, &file).await.unwrap());
        drop(held);
        assert!(let_go(&HostRunner, &file).await.unwrap());
        HostRunner.run(&attach).await.unwrap();
        assert!(let_go(&HostRunner, &file).await.unwrap(), "nobody uses it");
    }

    #[test]
    fn a_device_is_known_by_its_file_also_when_that_is_gone() {
        let device = |text: &str| Device::parse("loop3".to_owned(), text.as_bytes());
        let there = device("/var/lib/bellows/builds/a.ext4\n");
        assert_eq!(
            (there.file.to_str().unwrap(), there.is_deleted),
            ("/var/lib/bellows/builds/a.ext4", false)
        );
        assert_eq!(there.path(), Path::new("/dev/loop3"));
        let gone = device("/var/lib/bellows/builds/a.ext4 (deleted)\n");
        assert_eq!((gone.file, gone.is_deleted), (there.file, true));
    }
}
