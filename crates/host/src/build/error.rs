//! Why an image was not built.

use super::tree::TreeError;
use crate::command::CommandError;
use crate::files::FileError;
use crate::id_map::IdMapError;
use crate::id_ranges::IdRangeError;
use crate::lock::LockError;
use crate::lxc::{ContainerError, ImageError, TemplateError};

/// A build that made no image. Those of the build itself end with the last lines that it wrote.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Its program ended with a status other than 0, or by a signal.
    #[error("the build {how}: mend what its last lines name, and try again{tail}")]
    Failed {
        /// How, as "ended with status 1".
        how: String,
        /// Its last lines, each after the end of a line.
        tail: String,
    },
    /// It took too long.
    #[error(
        "the build was ended after {deadline_s} s: raise builds.deadline_s in bellows.toml if it needs \
         longer{tail}"
    )]
    Deadline {
        /// The seconds that it had.
        deadline_s: u64,
        /// Its last lines.
        tail: String,
    },
    /// The kernel killed a part of it.
    #[error(
        "the build needs more than {memory_mib} MiB of memory: raise builds.memory_mib in bellows.toml, or name \
         packages that need not be compiled{tail}"
    )]
    Memory {
        /// The memory that it had.
        memory_mib: u32,
        /// Its last lines.
        tail: String,
    },
    /// Its disk is full.
    #[error(
        "the build writes more than {disk_mib} MiB: raise builds.disk_mib in bellows.toml, or name fewer or \
         smaller packages; what was kept of earlier builds is removed, so the next one has all of it{tail}"
    )]
    Disk {
        /// The disk that it had.
        disk_mib: u32,
        /// Its last lines.
        tail: String,
    },
    /// It started too many processes.
    #[error(
        "the build wants more than {processes} processes at a time: look in its last lines for what starts \
         them{tail}"
    )]
    Processes {
        /// The processes that it had.
        processes: u32,
        /// Its last lines.
        tail: String,
    },
    /// Its container did not start.
    #[error(
        "the container of the build did not start; `bellows doctor` says what this host lacks: {log}"
    )]
    Start {
        /// What LXC said.
        log: String,
    },
    /// Another build of the service runs.
    #[error("{service} is being built already; wait until that has ended")]
    Busy {
        /// The service.
        service: String,
        /// Who holds the lock.
        source: LockError,
    },
    /// The host's disk has no room.
    #[error(
        "a build may write {disk_mib} MiB, and the disk that holds paths.state has {free_mib} free: make room, or \
         lower builds.disk_mib in bellows.toml"
    )]
    NoRoom {
        /// What a build may write.
        disk_mib: u32,
        /// What is free.
        free_mib: u64,
    },
    /// It has none for a part of an image.
    #[error(
        "a part of the image takes {mib} MiB, and the disk that holds paths.state has {free_mib} free: make room, or \
         name fewer or smaller packages"
    )]
    NoRoomForPart {
        /// What it takes.
        mib: u64,
        /// What is free.
        free_mib: u64,
    },
    /// The proxy of the build did not start.
    #[error("the way out of the build did not start; `bellows up` installs its program: {said}")]
    NoWayOut {
        /// What it said.
        said: String,
    },
    /// The recipe makes no images of applications.
    #[error(
        "the recipe has no script `packages` beside its recipe.toml, so no application stands on it: use \
         rootfs/python"
    )]
    NoScript,
    /// The application's files cannot be read.
    #[error("the application's files cannot be put into an image")]
    Pack(#[source] application::PackError),
    /// The same of writing them.
    #[error("the application's files cannot be put into an image")]
    Unpack(#[source] application::UnpackError),
    /// What the build left cannot become an image.
    #[error("what the build left in /srv cannot become an image: name fewer or smaller packages")]
    Result(#[source] TreeError),
    /// Its input cannot be used.
    #[error("the files that the build needs cannot be copied: deploy a smaller folder")]
    Input(#[source] TreeError),
    /// An image could not be made.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its container could not be made.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Its container could not be removed.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Builds can be given no ids.
    #[error(transparent)]
    IdRange(#[from] IdRangeError),
    /// The host's tables do not grant them.
    #[error(transparent)]
    IdMap(#[from] IdMapError),
    /// The lock of the service's builds cannot be used.
    #[error(transparent)]
    Lock(LockError),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}
