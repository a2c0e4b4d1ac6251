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
    /// What cannot be a token's secret.
    #[error("what is given as a token is none: `bellows token make` makes one")]
    Token,
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
            Self::Place(_) | Self::Token => true,
            Self::Refused { status, .. } => status.is_client_error(),
            Self::Client(_)
            | Self::Away { .. }
            | Self::Silent { .. }
            | Self::Denied { .. }
            | Self::Strange { .. } => false,
        }
    }
}

/// Why something was refused or failed, in the words of who answers: the scaler, or the console on its port.
///
/// # Errors
/// The body is not what its type says.
pub(crate) fn message(
    status: StatusCode,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<String, serde_json::Error> {
    // RFC 9110, 8.3.1: parameters may follow, and case does not count.
    let kind = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(PROBLEM_JSON) {
        return serde_json::from_slice(body).map(|Problem { error }| error.message);
    }
    let RfcProblem { title, detail } = serde_json::from_slice(body)?;
    Ok(detail.or(title).unwrap_or_else(|| status.to_string()))
}

/// What the console's errors are: RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";

/// What every server of the project answers when it refuses or fails.
#[derive(Deserialize)]
struct Problem {
    error: ProblemText,
}

#[derive(Deserialize)]
struct ProblemText {
    message: String,
}

/// A problem of RFC 9457, of which no member has to be there.
#[derive(Deserialize)]
struct RfcProblem {
    title: Option<String>,
    detail: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_its_detail_or_else_by_what_there_is_of_it() {
        let told = |kind: &str, body: &str| {
            message(StatusCode::NOT_FOUND, Some(kind), body.as_bytes()).ok()
        };
        let own = r#"{"error":{"code":"no_such_service","message":"There is none."}}"#;
        assert_eq!(told("application/json", own).as_deref(), Some("There is none."));
        assert!(message(StatusCode::NOT_FOUND, None, own.as_bytes()).is_ok());
        let whole = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"There is none.","code":"x"}"#;
        for kind in [PROBLEM_JSON, "Application/Problem+JSON; charset=utf-8"] {
            assert_eq!(told(kind, whole).as_deref(), Some("There is none."), "{kind}");
        }
        let untold = r#"{"title":"Not Found"}"#;
        assert_eq!(told(PROBLEM_JSON, untold).as_deref(), Some("Not Found"));
        assert_eq!(told(PROBLEM_JSON, "{}").as_deref(), Some("404 Not Found"));
        assert_eq!(told(PROBLEM_JSON, "<html>"), None);
        assert_eq!(told("application/json", whole), None);
    }
}
