//! How one version follows another, as a service's file says it.

use std::time::Duration;

use serde::Deserialize;

use super::Replacement;
use crate::value::{DAY_MS, Invalid, SOME_TIME, within};

/// How long a new version is watched where a service's file does not say. Every second answer failing is
/// told within 3 s of the first from 7 requests/s on; a crash at the first requests shows at once.
const DEFAULT_WATCH: Duration = Duration::from_secs(5);

const WATCH_MAX_MS: u64 = 600_000;

/// How long a release command may take where a service's file does not say: most migrations take seconds, and one
/// that waits for a lock should not hold up a deploy until somebody looks.
const DEFAULT_RELEASE_MS: u64 = 300_000;

#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRollout {
    /// How an instance takes the place of another: `surge` unless it is said, and `recreate` where the service is
    /// stateful.
    pub(super) replacement: Option<Replacement>,
    /// How long one instance of a new version is watched beside the old ones, in milliseconds, 0 to 600000.
    watch_ms: Option<u64>,
    /// How long the release command may take, in milliseconds, 1 to 86400000: 300000 unless it is said.
    release_timeout_ms: Option<u64>,
}

impl RawRollout {
    /// How long the release command may take.
    pub(super) fn release_timeout(&self) -> Result<Duration, Invalid> {
        let ms = self.release_timeout_ms.unwrap_or(DEFAULT_RELEASE_MS);
        within("rollout.release_timeout_ms", ms, 1..=DAY_MS, SOME_TIME)?;
        Ok(Duration::from_millis(ms))
    }

    /// How long a new version is watched where it takes another's place so. There is nothing to watch it beside
    /// where the old one left first.
    pub(super) fn watch(&self, replacement: Replacement) -> Result<Duration, Invalid> {
        match (replacement, self.watch_ms) {
            (Replacement::Surge, None) => Ok(DEFAULT_WATCH),
            (Replacement::Surge, Some(ms)) => {
                let allowed = "0 to 600000 (10 minutes, which `bellows up` waits for)";
                within("rollout.watch_ms", ms, 0..=WATCH_MAX_MS, allowed)?;
                Ok(Duration::from_millis(ms))
            }
            (Replacement::Recreate, None | Some(0)) => Ok(Duration::ZERO),
            (Replacement::Recreate, Some(ms)) => Err(Invalid::new(
                "rollout.watch_ms",
                ms,
                "0, since rollout.replacement = \"recreate\" leaves no old instance to watch it beside; or \
                 choose \"surge\"",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::raw::tests::{GOOD, parse};

    #[test]
    fn a_new_version_is_watched_for_five_seconds_unless_the_file_says_otherwise() {
        let with = |rollout: &str| parse(&format!("{GOOD}\n[rollout]\n{rollout}"));
        let watch = |rollout: &str| with(rollout).unwrap().watch;
        assert_eq!(parse(GOOD).unwrap().watch, Duration::from_secs(5));
        assert_eq!(watch("watch_ms = 600_000"), Duration::from_secs(600));
        assert_eq!(watch("watch_ms = 0"), Duration::ZERO);
        let message = "rollout.watch_ms is 600001: use 0 to 600000 (10 minutes, which `bellows up` waits for)";
        assert_eq!(with("watch_ms = 600_001").unwrap_err(), message);
    }

    #[test]
    fn a_service_that_is_replaced_by_recreating_is_not_watched() {
        let one = GOOD.replacen("max = 10", "max = 1", 1);
        let with = |rest: &str| {
            parse(&format!("{one}\n[rollout]\nreplacement = \"recreate\"\n{rest}")).map(|s| s.watch)
        };
        assert_eq!((with(""), with("watch_ms = 0")), (Ok(Duration::ZERO), Ok(Duration::ZERO)));
        let message = "rollout.watch_ms is 1: use 0, since rollout.replacement = \"recreate\" leaves no old \
                       instance to watch it beside; or choose \"surge\"";
        assert_eq!(with("watch_ms = 1").unwrap_err(), message);
    }
}
