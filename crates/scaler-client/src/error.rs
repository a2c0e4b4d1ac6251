//! Why the scaler did not say or do what was asked.

use reqwest::StatusCode;
use serde::Deserialize;

/// The scaler did not say or do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ScalerError {
    /// Neither a socket nor an address.
    #[error(
        "the scaler is said to be at `{0}`: use /run/bellows/operator.sock, or http://HOST:PORT to read"
    )]
    Place(String),
    /// Nothing can be asked by HTTP.
    #[error("an HTTP client cannot be made; check this host's resolver")]
    Client(#[source] reqwest::Error),
    /// No answer, or not all of it.
    #[error("the scaler gives no answer at {address}; `./just up` brings it up")]
    Away {
        /// Host and port.
        address: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// An answer began, and nothing more of it came.
    #[error("the scaler at {address} has fallen silent; `bellows status` shows how it is")]
    Silent {
        /// Host and port.
        address: String,
    },
    /// Operators alone may speak to it there.
    #[error(
        "you may not use {socket}: use sudo, or join its group by \
         `sudo usermod -aG bellows-operators $USER` and log in anew"
    )]
    Denied {
        /// The operators' socket.
        socket: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// An answer that cannot be read: that of another version of the scaler, or another server.
    #[error("what answers at {address} is no scaler of this version; `./just up` starts this one")]
    Strange {
        /// Host and port.
        address: String,
        /// What is not as it should be.
        source: serde_json::Error,
    },
    /// A refusal or a failure.
    #[error("the scaler did not do it: {message}")]
    Refused {
        /// What it answered.
        status: StatusCode,
        /// Why, in its own words.
        message: String,
    },
}

impl ScalerError {
    /// Whether what the user gave is at fault, and nothing was changed.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Place(_) => true,
            Self::Refused { status, .. } => status.is_client_error(),
            Self::Client(_)
            | Self::Away { .. }
            | Self::Silent { .. }
            | Self::Denied { .. }
            | Self::Strange { .. } => false,
        }
    }
}

/// What every server of the project answers when it refuses or fails.
#[derive(Deserialize)]
pub(crate) struct Problem {
    pub(crate) error: ProblemText,
}

#[derive(Deserialize)]
pub(crate) struct ProblemText {
    pub(crate) message: String,
}
