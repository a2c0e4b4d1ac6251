//! Work for the host that outlives the request for it, as the API tells it: what it is, how far it has come, and how it
//! ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::access::Who;
use crate::names::ServiceName;
use crate::output::harmless;
use crate::time::Timestamp;

/// The name of a job: 16 hex digits, drawn by chance. It is a folder's name, and leads nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct JobId(u64);

/// A text that is no name of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the id of a job: it is 16 digits of 0-9 and a-f", harmless(.0))]
pub struct JobIdError(String);

impl JobId {
    /// The one with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_good = text.len() == 16 && text.bytes().all(is_digit);
        let number = is_good.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or_else(|| JobIdError(text.to_owned()))
    }
}

impl TryFrom<String> for JobId {
    type Error = JobIdError;

    fn try_from(text: String) -> Result<Self, JobIdError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum JobKind {
    /// Deploys an application, of a folder or of an archive.
    Deploy,
    /// Goes back to a version that is kept.
    Rollback,
    /// Has a service be what a file says.
    File,
    /// Removes a service.
    Destroy,
    /// Takes everything down.
    Stop,
    /// Offers a service the load of a scenario, and measures what comes of it.
    Experiment,
}

/// What a job is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Its process begins, and looks at what it is asked for.
    Begin,
    /// An image is made.
    Image,
    /// The application is started once, to see how it shows that it can serve.
    Health,
    /// A template is made, and then it is what the scaler is to serve.
    Template,
    /// The scaler proves a version, watches it and brings it in, or goes back.
    Rollout,
    /// Something is removed.
    Removal,
    /// Load is offered, and measured.
    Load,
}

/// A stage that a job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// When it came to it. It was at it until the next one, or its end.
    #[serde(rename = "begun_at_ms")]
    pub begun_at: Timestamp,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// Whether what was asked for is so.
    pub is_well: bool,
    /// What is said of it last.
    pub verdict: String,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobStatus {
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The service; `None` for what is the whole host's.
    pub service: Option<ServiceName>,
    /// Who asked for it; `None` where whoever reads may not know.
    pub who: Option<Who>,
    /// When it was asked for.
    #[serde(rename = "begun_at_ms")]
    pub begun_at: Timestamp,
    /// When it ended; `None` while it has not, and of one that was cut off.
    #[serde(rename = "ended_at_ms")]
    pub ended_at: Option<Timestamp>,
    /// What it is at, or was at last.
    pub stage: Stage,
    /// The stages that it came to, in their order; none of a job that a release before carried out.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// How it ended; `None` while it goes on.
    pub outcome: Option<Outcome>,
}

/// The jobs that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobList {
    /// The one that was asked for last first.
    pub jobs: Vec<JobStatus>,
}

/// The answer to who has everything taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StopAnswer {
    /// The job that does it.
    pub job: JobStatus,
    /// What is to be known of it.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sixteen_digits_and_no_path() {
        let id = JobId::new(0xab);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "ab",
            "00000000000000AB",
            "+0000000000000ab",
            "../../../../../../",
            "0000000000000/ab",
            "00000000000000ab0",
        ] {
            let error = bad.parse::<JobId>().unwrap_err().to_string();
            assert!(error.contains("16 digits of 0-9 and a-f"), "{bad}: {error}");
        }
    }
}
