//! What an instance writes: two pipes of the host's, one for each of its outputs, which stand in the
//! instance as `/dev/bellows/stdout` and `/dev/bellows/stderr`.
//!
//! A pipe holds 64 KiB, whoever reads and whoever does not, and costs nothing at rest. LXC's console, a
//! terminal, merges both outputs, and its copying is work of LXC's monitor, outside of the instance's limits.

use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use model::names::InstanceName;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::release;
use crate::files::{FileError, file_error, names_in, remove_tree};

/// The folder in the run folder.
const FOLDER: &str = "output";

const NAMES: [&str; 2] = ["stdout", "stderr"];

/// The host's ends of an instance's outputs. A read of one gives what has come, and waits for nothing. It
/// gives 0 bytes while no process of the instance has it open: when all have ended, and also between
/// the end of the launch and the moment at which the first process opens it.
#[derive(Debug)]
pub struct OutputPipes {
    /// What it writes to its standard output.
    pub stdout: File,
    /// What it writes to its standard error.
    pub stderr: File,
    folder: PathBuf,
    container: PathBuf,
}

impl OutputPipes {
    /// These ends, which stand in `folder`, of the instance whose container LXC keeps in `container`.
    pub const fn new(stdout: File, stderr: File, folder: PathBuf, container: PathBuf) -> Self {
        Self { stdout, stderr, folder, container }
    }

    /// Whether the instance has ended, so that nobody is to open them any more.
    pub fn is_over(&self) -> bool {
        !self.container.exists() || !self.folder.exists()
    }

    /// Removes them from the host's folders, where whoever ended the instance has not: it ended by itself.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn remove(&self) -> Result<(), FileError> {
        remove_tree(&self.folder).map(drop)
    }
}

/// Whom an instance's pipes and secrets belong to: the user of its first process, as the host knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The group of the instance's root, which passes through the folder.
    root: u32,
}

impl Owner {
    /// The owner that the configuration of a template says.
    pub(super) fn of_config(config: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut values = config.lines().filter_map(|line| line.split_once('='));
            values.find(|(found, _)| found.trim() == key).map(|(_, value)| value.trim())
        };
        let number = |key: &str| value(key).map_or(Some(0), |text| text.parse::<u32>().ok());
        let root: u32 = value("lxc.idmap")?.split(' ').nth(2)?.parse().ok()?;
        Some(Self {
            uid: root.checked_add(number("lxc.init.uid")?)?,
            gid: root.checked_add(number("lxc.init.gid")?)?,
            root,
        })
    }
}

/// The pipes of one host's instances.
#[derive(Debug)]
pub(super) struct Outputs {
    folder: PathBuf,
}

impl Outputs {
    pub(super) fn new(run: &Path) -> Self {
        Self { folder: run.join(FOLDER) }
    }

    /// The folder of an instance's pipes.
    pub(super) fn folder(&self, instance: &InstanceName) -> PathBuf {
        self.folder.join(instance.as_str())
    }

    /// Makes the pipes of an instance that is about to be launched, with one for a release command where that is due.
    pub(super) fn make(
        &self,
        instance: &InstanceName,
        owner: Owner,
        release: bool,
    ) -> Result<(), FileError> {
        let folder = self.folder(instance);
        remove_tree(&folder)?;
        // LXC mounts what is inside as the instance's root, which passes through and reads nothing.
        make_folder(&self.folder, 0o711)?;
        make_pipes(&folder, owner)?;
        if release { make_pipe(&folder.join(release::NAME), owner) } else { Ok(()) }
    }

    /// Opens both for reading, of the instance that is in the folder `container`.
    pub(super) fn open(
        &self,
        instance: &InstanceName,
        container: PathBuf,
    ) -> Result<OutputPipes, FileError> {
        let folder = self.folder(instance);
        let open = |name: &str| open(&folder.join(name), OpenOptions::new().read(true));
        let [stdout, stderr] = NAMES;
        Ok(OutputPipes::new(open(stdout)?, open(stderr)?, folder.clone(), container))
    }

    /// Holds both open as a writer does, so that a reader finds no end before there is an instance.
    pub(super) fn hold(&self, instance: &InstanceName) -> Result<[File; 2], FileError> {
        let folder = self.folder(instance);
        let open = |name: &str| open(&folder.join(name), OpenOptions::new().read(true).write(true));
        let [stdout, stderr] = NAMES;
        Ok([open(stdout)?, open(stderr)?])
    }

    /// Removes the pipes of an instance that is gone. Whoever has them open reads what is in them.
    pub(super) fn remove(&self, instance: &InstanceName) -> Result<(), FileError> {
        remove_tree(&self.folder(instance)).map(drop)
    }

    /// The instances that have pipes.
    pub(super) fn instances(&self) -> Result<Vec<InstanceName>, FileError> {
        Ok(names_in(&self.folder)?.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

/// Makes both pipes in a folder that is not there.
pub(super) fn make_pipes(folder: &Path, owner: Owner) -> Result<(), FileError> {
    make_folder(folder, 0o710)?;
    chown(folder, None, Some(owner.root)).map_err(file_error("change the group of", folder))?;
    NAMES.iter().try_for_each(|name| make_pipe(&folder.join(name), owner))
}

fn make_pipe(pipe: &Path, owner: Owner) -> Result<(), FileError> {
    mkfifo(pipe, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|error| file_error("make", pipe)(error.into()))?;
    chown(pipe, Some(owner.uid), Some(owner.gid)).map_err(file_error("change the owner of", pipe))
}

fn open(pipe: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    options.custom_flags(OFlag::O_NONBLOCK.bits()).open(pipe).map_err(file_error("open", pipe))
}

fn make_folder(folder: &Path, mode: u32) -> Result<(), FileError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
        .map_err(file_error("make", folder))?;
    // Whatever the umask.
    fs::set_permissions(folder, Permissions::from_mode(mode))
        .map_err(file_error("change the mode of", folder))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn pipes_belong_to_the_user_of_the_first_process() {
        let config = "lxc.init.uid = 33\nlxc.init.gid = 7\nlxc.idmap = u 0 1000000 65536\n\
                      lxc.idmap = g 0 1000000 65536\n";
        let owner = Owner { uid: 1_000_033, gid: 1_000_007, root: 1_000_000 };
        assert_eq!(Owner::of_config(config), Some(owner));
        let root = Owner { uid: 5, gid: 5, root: 5 };
        assert_eq!(Owner::of_config("lxc.idmap = u 0 5 65536"), Some(root));
        assert_eq!(Owner::of_config("lxc.init.uid = 33"), None);
    }

    #[test]
    fn what_was_written_is_read_after_its_writer_and_its_files_are_gone() {
        let run = tempfile::tempdir().unwrap();
        let (outputs, instance) = (Outputs::new(run.path()), "bw-store-1-a".parse().unwrap());
        outputs.make(&instance, Owner { uid: 0, gid: 0, root: 0 }, false).unwrap();
        assert_eq!(outputs.instances().unwrap(), std::slice::from_ref(&instance));
        let container = run.path().join("container");
        std::fs::create_dir(&container).unwrap();
        let mut pipes = outputs.open(&instance, container).unwrap();
        assert!(!pipes.is_over());
        let [mut stdout, _stderr] = outputs.hold(&instance).unwrap();
        let mut text = [0; 16];
        assert_eq!(
            pipes.stdout.read(&mut text).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
        stdout.write_all(b"last words").unwrap();
        drop(stdout);
        outputs.remove(&instance).unwrap();
        assert_eq!(outputs.instances().unwrap(), []);
        assert!(pipes.is_over());
        assert_eq!(pipes.stdout.read(&mut text).unwrap(), 10);
        assert_eq!(pipes.stdout.read(&mut text).unwrap(), 0);
    }
}
