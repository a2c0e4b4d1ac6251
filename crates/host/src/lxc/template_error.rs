//! Why a template could not be made or removed.

use super::error::ContainerError;
use crate::files::FileError;
use crate::id_ranges::IdRangeError;
use crate::lock::to_kill;
use crate::render::RenderError;
use crate::secrets::SecretError;

/// A template that could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// Its container could not be made.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Its configuration could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The service can be given no ids.
    #[error(transparent)]
    IdRange(#[from] IdRangeError),
    /// A secret of the service cannot be given.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The configuration of the service cannot be written as TOML.
    #[error("the [application] table of {service} cannot be written; look at its values")]
    Application {
        /// The service.
        service: String,
        /// What TOML cannot hold.
        source: toml::ser::Error,
    },
    /// The image has a file or a link where a folder is to be mounted.
    #[error(
        "{target} is no folder in the image, or a symbolic link leads there: name the folder that it \
         leads to in instance.mounts or instance.writable"
    )]
    MountPoint {
        /// Where it is to be mounted.
        target: String,
    },
    /// The image does not have the user whom its program is to run as.
    #[error(
        "the image has no user or group `{0}`: name one that its /etc/passwd and /etc/group have, or a number, in instance.user"
    )]
    NoUser(String),
    /// The image has no shell, which the release command needs.
    #[error(
        "release is `{0}`, which is a line for /bin/sh, and the image has none: write the program and its arguments, \
         such as [\"./server\", \"migrate\"]"
    )]
    NoShell(String),
    /// An image is still copied into a template, for an earlier call.
    #[error(
        "an image is still copied into a template, which an earlier `bellows up` began: wait until that has ended, or \
         end it{}",
        to_kill(holders)
    )]
    UnderWay {
        /// The processes that copy it.
        holders: Vec<u32>,
    },
    /// Instances still stand on it.
    #[error("{template} is the lower layer of {instance}; stop that first")]
    InUse {
        /// The template.
        template: String,
        /// One of its instances.
        instance: String,
    },
}
