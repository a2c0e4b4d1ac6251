//! Versions of a service, and how far a change from one to the next has come.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::ServiceName;
use crate::output::harmless;
use crate::time::Timestamp;

/// A text that is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a version: it has 8 digits of 0-9 and a-f",
        harmless(.0))]
pub struct VersionError(String);

/// One version of a service: a digest of all that an instance sees, in 8 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Version(u32);

impl Version {
    /// The version with this digest.
    pub const fn new(digest: u32) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let digest = (text.len() == 8 && text.bytes().all(is_hex))
            .then(|| u32::from_str_radix(text, 16).ok())
            .flatten();
        digest.map(Self).ok_or_else(|| VersionError(text.to_owned()))
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

/// The version that a service was last deployed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Wanted {
    /// The version.
    pub version: Version,
    /// When it was deployed. Deployed again, a version that was given up is tried again.
    #[serde(rename = "deployed_at_ms")]
    pub deployed_at: Timestamp,
}

/// Which version of a service serves, and how far the change to the one that is wanted has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Rollout {
    /// This version serves. Instances of other versions are being replaced.
    Serving {
        /// It has had a healthy instance.
        version: Version,
    },
    /// The wanted version is tried on one new instance.
    Proving {
        /// It serves meanwhile. It is the wanted one itself where none has served yet: see [`Rollout::is_first`].
        version: Version,
        /// What is tried.
        next: Wanted,
        /// Since when.
        #[serde(rename = "since_ms")]
        since: Timestamp,
    },
    /// One instance of the wanted version takes its share of the requests beside all of the version that
    /// serves, and is watched.
    Watching {
        /// It serves meanwhile.
        version: Version,
        /// What is watched.
        next: Wanted,
        /// Since when.
        #[serde(rename = "since_ms")]
        since: Timestamp,
    },
    /// The wanted version did not get healthy in its time, or did worse than the one that serves while it
    /// was watched, and is not tried any more.
    GivenUp {
        /// It goes on to serve. It is the wanted one itself where none has served yet.
        version: Version,
        /// What was tried.
        next: Wanted,
        /// How the last try ended, or what was seen of it.
        reason: String,
    },
}

impl Rollout {
    /// The version that serves, and of which new instances are made.
    pub const fn serving(&self) -> Version {
        match self {
            Self::Serving { version }
            | Self::Proving { version, .. }
            | Self::Watching { version, .. }
            | Self::GivenUp { version, .. } => *version,
        }
    }

    /// The version that is tried on one new instance.
    pub const fn proving(&self) -> Option<Version> {
        match self {
            Self::Proving { next, .. } => Some(next.version),
            Self::Serving { .. } | Self::Watching { .. } | Self::GivenUp { .. } => None,
        }
    }

    /// The version of which one instance is watched beside those of the version that serves.
    pub const fn watched(&self) -> Option<Version> {
        match self {
            Self::Watching { next, .. } => Some(next.version),
            Self::Serving { .. } | Self::Proving { .. } | Self::GivenUp { .. } => None,
        }
    }

    /// Whether no version has served yet, and the wanted one may not before its release command has ended well.
    pub fn is_first(&self) -> bool {
        match self {
            Self::Proving { version, next, .. } | Self::GivenUp { version, next, .. } => {
                *version == next.version
            }
            Self::Serving { .. } | Self::Watching { .. } => false,
        }
    }

    /// Whether there is to be an instance of this version.
    pub fn wants(&self, version: Version) -> bool {
        let serves = self.serving() == version && !self.is_first();
        serves || self.proving() == Some(version)
    }
}

/// What is known of a version that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It serves.
    Serves,
    /// Its first instance is tried.
    OnTrial,
    /// It is watched beside the one that serves.
    Watched,
    /// It was given up.
    GivenUp,
    /// It served before.
    ServedBefore,
    /// It served, and somebody went back from it.
    GoneBackFrom,
    /// It is kept, and nothing else is known of it.
    Kept,
}

/// A version that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionStatus {
    /// The version.
    pub version: Version,
    /// When it was deployed last; `None` where it is not known.
    #[serde(rename = "deployed_at_ms")]
    pub deployed_at: Option<Timestamp>,
    /// What is known of it.
    pub state: VersionState,
    /// Why it was given up; `None` where it was not.
    pub reason: Option<String>,
}

/// The versions of a service that are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionList {
    /// The service.
    pub service: ServiceName,
    /// The one that was deployed last first.
    pub versions: Vec<VersionStatus>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_version_that_was_given_up_is_wanted_no_more() {
        let version = Version::new(1);
        let next = Wanted { version, deployed_at: Timestamp::from_millis(1) };
        let first = Rollout::Proving { version, next, since: Timestamp::from_millis(1) };
        assert!(first.is_first() && first.wants(version));
        let given_up = Rollout::GivenUp { version, next, reason: String::new() };
        assert!(given_up.is_first() && !given_up.wants(version));
        let another = Rollout::GivenUp { version: Version::new(2), next, reason: String::new() };
        assert!(!another.is_first() && another.wants(Version::new(2)) && !another.wants(version));
    }

    #[test]
    fn a_version_has_one_spelling() {
        let version: Version = "0badcafe".parse().unwrap();
        assert_eq!((version, version.to_string()), (Version::new(0x0bad_cafe), "0badcafe".into()));
        for text in ["", "badcafe", "0BADCAFE", "+badcafe", "0badcafe0"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
