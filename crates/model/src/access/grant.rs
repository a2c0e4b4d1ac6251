//! A token that is asked for: what it may be used for, and for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Right;
use crate::names::ServiceName;
use crate::value::{self, Checked, Invalid};

/// What a token that is to be made may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its rights.
    pub rights: BTreeSet<Right>,
    /// The services that it is for; `None` for the whole host.
    #[serde(default)]
    pub services: Option<BTreeSet<ServiceName>>,
    /// For how long it is of use; `None` until it is revoked. Left out then: a release before knows no end, and refuses one.
    #[serde(default, rename = "for_s", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<TokenTime>,
}

impl Checked for Grant {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        let allowed = || format!("one or more of {}", Right::names());
        value::check(!raw.rights.is_empty(), "rights", "none", allowed())?;
        let some = raw.services.as_ref().is_none_or(|services| !services.is_empty());
        value::check(some, "services", "none", "names of services, or leave it out for all")?;
        Ok(raw)
    }
}

/// How long a token is of use: a minute to 366 days, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "u64", into = "u64")]
pub struct TokenTime(u64);

impl TokenTime {
    /// How long a login lasts: a day's work. Whoever sits there the next morning asks for another link.
    pub const OF_A_LOGIN: Self = Self(12 * 3_600);

    /// How long that of an experiment lasts, which is revoked when the experiment ends.
    pub const OF_AN_EXPERIMENT: Self = Self(24 * 3_600);

    const SHORTEST_S: u64 = 60;
    const LONGEST_S: u64 = 366 * 86_400;

    /// So many seconds.
    ///
    /// # Errors
    /// Fewer than 60, or more than 366 days.
    pub fn from_secs(seconds: u64) -> Result<Self, Invalid> {
        let allowed = "60 to 31622400 (seconds: a minute to 366 days)";
        value::within("for_s", seconds, Self::SHORTEST_S..=Self::LONGEST_S, allowed)?;
        Ok(Self(seconds))
    }

    /// The same as a span.
    pub const fn span(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for TokenTime {
    type Error = Invalid;

    fn try_from(seconds: u64) -> Result<Self, Invalid> {
        Self::from_secs(seconds)
    }
}

impl From<TokenTime> for u64 {
    fn from(time: TokenTime) -> Self {
        time.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(json: &str) -> Result<Grant, String> {
        let raw = serde_json::from_str::<Grant>(json).map_err(|error| error.to_string())?;
        Grant::from_raw(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn a_grant_of_nothing_is_refused() {
        assert!(grant(r#"{"rights":["read"],"services":["store"]}"#).is_ok());
        for (json, told) in [
            (r#"{"rights":[]}"#, "rights is none: use one or more of read, operate, deploy, all"),
            (r#"{"rights":["read"],"services":[]}"#, "services is none: use names of services"),
            (r#"{"rights":["write"]}"#, "unknown variant `write`"),
            (r#"{"rights":["read"],"service":[]}"#, "unknown field `service`"),
        ] {
            assert!(grant(json).unwrap_err().contains(told), "{json}");
        }
    }

    #[test]
    fn a_grant_is_for_a_minute_to_a_year_or_without_an_end() {
        let lasts = |json: &str| grant(json).map(|grant| grant.lasts.map(u64::from));
        assert_eq!(lasts(r#"{"rights":["read"]}"#), Ok(None));
        assert_eq!(lasts(r#"{"rights":["read"],"for_s":60}"#), Ok(Some(60)));
        assert_eq!(lasts(r#"{"rights":["read"],"for_s":31622400}"#), Ok(Some(31_622_400)));
        for seconds in ["59", "31622401"] {
            let told = lasts(&format!(r#"{{"rights":["read"],"for_s":{seconds}}}"#)).unwrap_err();
            assert!(told.starts_with(&format!("for_s is {seconds}: use 60 to 31622400")), "{told}");
        }
    }

    #[test]
    fn a_grant_without_an_end_is_written_as_a_release_before_reads_it() {
        let grant = Grant { rights: [Right::Read].into(), services: None, lasts: None };
        let written = serde_json::to_string(&grant).unwrap();
        assert_eq!(written, r#"{"rights":["read"],"services":null}"#);
    }
}
