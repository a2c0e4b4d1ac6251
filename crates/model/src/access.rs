//! Who may do what with the scaler, and what was changed by whom.

mod grant;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use strum::IntoEnumIterator as _;

use crate::bounds::Bounds;
use crate::hold::Hold;
use crate::job::{JobId, JobKind};
use crate::names::{ActionName, InstanceName, SecretName, ServiceName, TokenName};
use crate::output::harmless;
use crate::policies::PolicySpec;
use crate::secrets::SecretGeneration;
use crate::status::Membership;
use crate::time::Timestamp;
use crate::version::Version;

pub use grant::{Grant, TokenTime};

/// What a token may be used for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumIter,
    strum::Display,
    strum::EnumString,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownRight, parse_err_fn = unknown)]
pub enum Right {
    /// What instances and jobs write may be read, and all that may be read without a token.
    Read,
    /// Bounds, policies and the way of membership may be set, numbers be held, and instances be removed.
    Operate,
    /// Services may be deployed, and their secrets set.
    Deploy,
    /// Each of these.
    All,
}

/// A text that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no right `{}`: use {all}", harmless(.0), all = Right::names())]
pub struct UnknownRight(String);

fn unknown(text: &str) -> UnknownRight {
    UnknownRight(text.to_owned())
}

impl Right {
    /// Every right, as a message lists them.
    pub fn names() -> String {
        Self::iter().map(|right| right.to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// A token, without its secret, which nobody keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Token {
    /// Its name.
    pub name: TokenName,
    /// What it may be used for.
    pub rights: BTreeSet<Right>,
    /// The services that it is for; `None` for the whole host.
    pub services: Option<BTreeSet<ServiceName>>,
    /// When it was made.
    #[serde(rename = "made_at_ms")]
    pub made_at: Timestamp,
    /// When it ends, by the clock of the host; `None` where it does not.
    #[serde(default, rename = "expires_at_ms")]
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether its time is over.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Whether it may be used for this.
    pub fn allows(&self, right: Right) -> bool {
        self.rights.contains(&right) || self.rights.contains(&Right::All)
    }

    /// Whether it is for this service, or for the whole host where none is named.
    pub fn is_for(&self, service: Option<&ServiceName>) -> bool {
        match (&self.services, service) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(services), Some(service)) => services.contains(service),
        }
    }
}

/// All tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tokens {
    /// In the order of their names.
    pub tokens: Vec<Token>,
}

/// A token that was just made: the only time that its secret is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MadeToken {
    /// The token.
    pub token: Token,
    /// What a client sends as `Authorization: Bearer SECRET`.
    pub secret: String,
}

/// Who changed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Who {
    /// A user of the host, by the operators' socket, as the kernel named it.
    Operator {
        /// The user's id.
        uid: u32,
        /// The user's name; `None` where the host has none for the id.
        user: Option<String>,
    },
    /// Whoever has the token.
    Token {
        /// The token's name.
        name: TokenName,
    },
    /// `bellows up`, which root runs.
    Up,
    /// Nobody: a time that somebody had set was over.
    Time,
}

/// In a word or two.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator { user: Some(user), .. } => f.write_str(user),
            Self::Operator { uid, user: None } => write!(f, "user {uid}"),
            Self::Token { name } => write!(f, "token {name}"),
            Self::Up => f.write_str("up"),
            Self::Time => f.write_str("time"),
        }
    }
}

/// What was changed, as it was in force before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Changed {
    /// The bounds of a service.
    Bounds {
        /// The service.
        service: ServiceName,
        /// Before.
        before: Bounds,
        /// After.
        after: Bounds,
    },
    /// The policy of a service.
    Policy {
        /// The service.
        service: ServiceName,
        /// Before.
        before: PolicySpec,
        /// After.
        after: PolicySpec,
    },
    /// A service was held at a number, or is so no longer.
    Hold {
        /// The service.
        service: ServiceName,
        /// Before; `None` where its policy decided.
        before: Option<Hold>,
        /// After; `None` where its policy decides.
        after: Option<Hold>,
    },
    /// An instance is to be removed.
    Removal {
        /// The service.
        service: ServiceName,
        /// The instance.
        instance: InstanceName,
    },
    /// How HAProxy learns of instances.
    Membership {
        /// Before.
        before: Membership,
        /// After.
        after: Membership,
    },
    /// A service was deployed or withdrawn.
    Deployment {
        /// The service.
        service: ServiceName,
        /// The version before; `None` where it was not deployed.
        before: Option<Version>,
        /// The version after; `None` where it is withdrawn.
        after: Option<Version>,
    },
    /// A service's file was deployed with other keys than before.
    ServiceFile {
        /// The service.
        service: ServiceName,
        /// The keys that differ.
        keys: Vec<KeyChange>,
    },
    /// The host's settings were deployed with other keys than before.
    Settings {
        /// The keys that differ.
        keys: Vec<KeyChange>,
    },
    /// A secret of a service was set or removed.
    Secret {
        /// The service.
        service: ServiceName,
        /// Its name.
        name: SecretName,
        /// Which value it had before; `None` where it was not set.
        before: Option<SecretGeneration>,
        /// Which value it has after; `None` where it is removed.
        after: Option<SecretGeneration>,
    },
    /// A job was asked for. What it changes is noted beside that once it is so.
    Job {
        /// The service; `None` where it is the whole host's.
        service: Option<ServiceName>,
        /// The job.
        id: JobId,
        /// What it does.
        job: JobKind,
    },
    /// An action of a service's file was sent to it.
    Action {
        /// The service.
        service: ServiceName,
        /// The action.
        action: ActionName,
        /// What it answered; `None` where no answer came.
        status: Option<u16>,
    },
    /// A token was made or revoked.
    Token {
        /// Its name.
        name: TokenName,
        /// Before.
        before: Option<Token>,
        /// After.
        after: Option<Token>,
    },
}

impl Changed {
    /// The service that it is about; `None` for the host.
    pub const fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Bounds { service, .. }
            | Self::Policy { service, .. }
            | Self::Hold { service, .. }
            | Self::Removal { service, .. }
            | Self::Deployment { service, .. }
            | Self::ServiceFile { service, .. }
            | Self::Secret { service, .. }
            | Self::Action { service, .. } => Some(service),
            Self::Job { service, .. } => service.as_ref(),
            Self::Membership { .. } | Self::Settings { .. } | Self::Token { .. } => None,
        }
    }
}

/// A key of a file that differs from before. Long values are cut, and those that are nobody else's business are not
/// told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyChange {
    /// The key, tables before it.
    pub key: String,
    /// The value before; `None` where the key was not there.
    pub before: Option<String>,
    /// The value after; `None` where the key is not there any more.
    pub after: Option<String>,
}

/// One time that something was deployed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deploy {
    /// When: later than all before it.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// By whom.
    pub who: Who,
    /// What of the files differs from before.
    pub changed: Vec<Changed>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    /// Its number: 1 for the first, and each one higher than the one before.
    pub sequence: u64,
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// By whom.
    pub who: Who,
    /// What.
    pub changed: Changed,
}

/// Some of the changes that were kept, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangePage {
    /// The changes.
    pub changes: Vec<Change>,
    /// The sequence number to go on after; that of the last change, or the one asked for.
    pub next: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(rights: &[Right], services: Option<&[&str]>) -> Token {
        let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Token {
            name: "ci".parse().unwrap(),
            rights: rights.iter().copied().collect(),
            services: services.map(named),
            made_at: Timestamp::default(),
            expires_at: None,
        }
    }

    #[test]
    fn a_right_is_given_by_its_name_or_by_all() {
        assert!(token(&[Right::Read, Right::Operate], None).allows(Right::Operate));
        assert!(token(&[Right::All], None).allows(Right::Deploy));
        assert!(!token(&[Right::Read], None).allows(Right::Operate));
        assert_eq!("operate".parse(), Ok(Right::Operate));
        let error = "write".parse::<Right>().unwrap_err().to_string();
        assert_eq!(error, "there is no right `write`: use read, operate, deploy, all");
    }

    #[test]
    fn a_token_for_some_services_is_for_no_other_and_not_for_the_host() {
        let store = "store".parse().unwrap();
        let other = "other".parse().unwrap();
        let bound = token(&[Right::All], Some(&["store"]));
        assert!(bound.is_for(Some(&store)));
        assert!(!bound.is_for(Some(&other)) && !bound.is_for(None));
        let host = token(&[Right::Read], None);
        assert!(host.is_for(Some(&other)) && host.is_for(None));
    }

    #[test]
    fn a_token_ends_at_its_end_and_one_without_never_does() {
        let at = Timestamp::from_millis;
        let ends = Token { expires_at: Some(at(10)), ..token(&[Right::All], None) };
        assert!(!ends.has_ended(at(9)) && ends.has_ended(at(10)) && ends.has_ended(at(11)));
        assert!(!token(&[Right::All], None).has_ended(at(u64::MAX)));
    }

    #[test]
    fn a_token_as_a_release_before_kept_it_has_no_end() {
        let kept = r#"{"name":"ci","rights":["all"],"services":null,"made_at_ms":0}"#;
        assert_eq!(serde_json::from_str::<Token>(kept).unwrap(), token(&[Right::All], None));
    }
}
