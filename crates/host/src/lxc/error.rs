//! Why an instance could not be launched, stopped or removed.

use std::path::PathBuf;

use model::names::Slot;

use crate::command::CommandError;
use crate::files::FileError;
use crate::lock::LockError;
use crate::render::RenderError;
use crate::secrets::SecretError;
use crate::slots::Subnet;

/// An instance that could not be launched, stopped or removed.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// LXC did not launch it.
    #[error("{instance} was not launched{log}")]
    Launch {
        /// The instance.
        instance: String,
        /// What LXC's own log said, behind a colon; empty when it said nothing.
        log: String,
        /// How the command ended.
        source: CommandError,
    },
    /// Its template is gone.
    #[error(
        "{instance} was not launched: its template {template} is gone; `bellows up` makes it again"
    )]
    NoTemplate {
        /// The instance.
        instance: String,
        /// The template.
        template: String,
    },
    /// Another container is in its slot: one that an earlier scaler was launching when it died.
    #[error("{instance} was not launched: {holder} is in its slot")]
    SlotHeld {
        /// The instance.
        instance: String,
        /// The container in its slot.
        holder: String,
    },
    /// Another instance of its service is there, which may never have two.
    #[error("{instance} was not launched: {holder} of the same service is still there")]
    NotAlone {
        /// The instance.
        instance: String,
        /// The other one.
        holder: String,
    },
    /// A launch of its service that an earlier scaler began has not ended.
    #[error(
        "{instance} was not launched: an earlier launch of its service goes on; if it hangs, end the \
         process that holds {lock}, which `lslocks` shows"
    )]
    LaunchUnderWay {
        /// The instance.
        instance: String,
        /// The file that the other launch has locked.
        lock: String,
    },
    /// Its slot has no address.
    #[error(
        "slot {slot} has no address in the subnet {subnet}; choose a larger [network] subnet or \
         lower the services' bounds.max"
    )]
    NoAddress {
        /// The slot.
        slot: Slot,
        /// The subnet that is too small for it.
        subnet: Subnet,
    },
    /// The disk has less room than its service's instances may write.
    #[error(
        "{} has {free_mib} MiB left of the {size_mib} MiB of a layer: make room, or lower \
         instance.layer_mib", folder.display()
    )]
    NoRoomForLayer {
        /// What the layer is to hold, in MiB.
        size_mib: u32,
        /// What is left, in MiB.
        free_mib: u64,
        /// Where.
        folder: PathBuf,
    },
    /// The layer that bounds what it writes is not mounted.
    #[error("{} is not mounted, which bounds what instances write; `bellows up` mounts it", folder.display())]
    NoLayer {
        /// Where it belongs.
        folder: PathBuf,
    },
    /// A folder that a template stands on is gone, or another one has its name.
    #[error(
        "{} stands on {}, which {problem}: put that back, or `bellows up`, which makes a version that is deployed \
         anew once it has no instance, as after `bellows down`", template.display(), folder.display()
    )]
    StoodOn {
        /// The template.
        template: PathBuf,
        /// The folder of an image.
        folder: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The root file system of its template is not mounted.
    #[error(
        "{} is not mounted, the root file system of a template: `bellows up` mounts it", folder.display()
    )]
    NoRootfs {
        /// Where it belongs.
        folder: PathBuf,
    },
    /// The folders that a template stands on cannot be mounted with its service's ids.
    #[error(
        "{} cannot be mounted with other ids, as images with a base are: boot Linux 5.19 or later, and have \
         paths.state and paths.lxc on ext4, xfs or btrfs", folder.display()
    )]
    IdMap {
        /// One of them, or where all of them belong.
        folder: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The kernel makes no user namespace, by which owners are moved.
    #[error(
        "no user namespace can be made, by which images with a base get their owners: set \
         user.max_user_namespaces, `sysctl -w user.max_user_namespaces=10000`; `bellows doctor` tells more"
    )]
    NoUserNamespace(#[source] std::io::Error),
    /// Another process is mounting, and does not come to an end.
    #[error(transparent)]
    Locked(#[from] LockError),
    /// The tmpfs that holds its secrets is not mounted.
    #[error("{} is not mounted, which holds secrets; `bellows up` mounts it", folder.display())]
    NoSecrets {
        /// Where it belongs.
        folder: PathBuf,
    },
    /// A secret of its service cannot be given.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Its configuration could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something of it is still there.
    #[error("{instance} left {left} behind; remove it by hand")]
    Left {
        /// The instance.
        instance: String,
        /// What is left.
        left: String,
    },
}
