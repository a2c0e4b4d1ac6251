//! How a command fails, and with which exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use host::deployments::DeploymentError;
use host::files::FileError;
use host::haproxy::HaproxyError;
use host::id_map::IdMapError;
use host::lock::LockError;
use host::lxc::{ContainerError, ImageError, TemplateError};
use host::network::NetworkError;
use host::units::UnitError;
use scaler_client::ScalerError;

use crate::set::SetError;
use crate::tree::TreeError;

/// Exit code for bad input, as `--help` documents it.
const BAD_INPUT: u8 = 2;

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}", lines(.0))]
    Input(Vec<TreeError>),
    #[error("{count} of the checks failed; nothing was changed{failures}")]
    Doctor {
        count: usize,
        /// The failures, where they were not printed already.
        failures: String,
    },
    #[error("this needs root: run it with sudo")]
    NotRoot,
    #[error(
        "{url} got no answer of an instance within {waited:?}: {last}. Look at `bellows status` \
         and at these last lines of the logs:\n{logs}"
    )]
    NoAnswer { url: String, waited: Duration, last: String, logs: String },
    #[error("{} cannot be made, read or removed; check the disk and that this runs as root", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the path of this program cannot be told; check that /proc is mounted")]
    OwnPath(#[source] io::Error),
    #[error("an HTTP client cannot be made; check this host's resolver")]
    Client(#[source] reqwest::Error),
    #[error("the status cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    #[error(transparent)]
    Set(#[from] SetError),
    #[error(transparent)]
    HaproxySettings(#[from] host::haproxy::HaproxySettingsError),
    #[error(transparent)]
    Haproxy(#[from] HaproxyError),
    #[error(transparent)]
    IdMap(#[from] IdMapError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Container(#[from] ContainerError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Unit(#[from] UnitError),
}

impl Error {
    /// The exit code that `--help` documents.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) | Self::HaproxySettings(_) => ExitCode::from(BAD_INPUT),
            Self::Set(error) if error.is_bad_input() => ExitCode::from(BAD_INPUT),
            _ => ExitCode::FAILURE,
        }
    }
}

/// A line for each problem, with what caused it.
fn lines(errors: &[TreeError]) -> String {
    let line = |error: &TreeError| {
        let texts: Vec<_> = anyhow::Chain::new(error).map(ToString::to_string).collect();
        texts.join(": ")
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Self {
        Self::Input(vec![error])
    }
}
