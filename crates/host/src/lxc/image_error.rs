//! Why an image could not be made.

use std::path::PathBuf;

use config_file::ConfigError;

use crate::command::CommandError;
use crate::files::FileError;
use crate::lock::to_kill;

/// An image that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file `recipe.toml` cannot be used.
    #[error(transparent)]
    Recipe(#[from] ConfigError),
    /// A file that the recipe needs is missing.
    #[error(
        "{}: {} is not there; build the project, or mend the name in binaries",
        recipe.display(),
        missing.display()
    )]
    Missing {
        /// The file `recipe.toml`.
        recipe: PathBuf,
        /// Its script, or one of its binaries.
        missing: PathBuf,
    },
    /// No recipe makes what the image is to stand on.
    #[error(
        "{}: base is `{base}`, and rootfs/{base} is not there: name a recipe in rootfs/, or leave base out",
        recipe.display()
    )]
    NoBase {
        /// The file `recipe.toml`.
        recipe: PathBuf,
        /// What it names.
        base: String,
    },
    /// What the image is to stand on stands on the image.
    #[error(
        "{}: base is `{base}`, which stands on this image itself: name another one, or leave base out",
        recipe.display()
    )]
    Circle {
        /// The file `recipe.toml`.
        recipe: PathBuf,
        /// What it names.
        base: String,
    },
    /// A program that the recipe needs is not installed.
    #[error(
        "the recipe of image {image} needs `{program}`: apt-get install --no-install-recommends {package}"
    )]
    Needs {
        /// The image.
        image: String,
        /// The program.
        program: String,
        /// The Debian package that has it.
        package: String,
    },
    /// The recipe is still run for an earlier call.
    #[error(
        "the recipe of image {image} still runs, which an earlier `bellows up` began: wait until it has ended, or \
         end it{}",
        to_kill(holders)
    )]
    UnderWay {
        /// The image.
        image: String,
        /// The processes that write to it.
        holders: Vec<u32>,
    },
    /// Others than root may have changed images.
    #[error(
        "{} stood open to users of the host, who may have put files there that instances would get: \
         `bellows down`, then `bellows up`, which makes images anew", folder.display()
    )]
    StoodOpen {
        /// An image that a template stands on, or the folder of images.
        folder: PathBuf,
    },
    /// The recipe failed.
    #[error("the recipe of image {image} failed")]
    Build {
        /// The image.
        image: String,
        /// How its script ended.
        source: CommandError,
    },
    /// The image's own program refuses the service's configuration.
    #[error("[application] is refused by the service's own program")]
    Application(#[source] CommandError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}
