//! The health check: by which answers an instance says that it can serve, and how often it is asked.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::output::harmless;
use crate::value::{Invalid, within};

/// The statuses of HTTP that say that an instance can serve: one, or a range.
///
/// Its text, `200` or `200-399`, is also HAProxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealthStatus {
    first: u16,
    last: u16,
}

impl HealthStatus {
    /// Whether this status says so.
    pub fn holds(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl Default for HealthStatus {
    fn default() -> Self {
        Self { first: 200, last: 200 }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A text that is neither a status nor a range of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no status of a health check: use one from 200 to 599, or a range such as \"200-399\"",
        harmless(.0)
)]
pub struct HealthStatusError(String);

impl FromStr for HealthStatus {
    type Err = HealthStatusError;

    fn from_str(text: &str) -> Result<Self, HealthStatusError> {
        // Those below 200 are no answers.
        let status = |text: &str| {
            let is_plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|status| is_plain && (200..=599).contains(status))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = status(first).zip(status(last)).filter(|(first, last)| first <= last);
        let range = range.ok_or_else(|| HealthStatusError(text.to_owned()))?;
        Ok(Self { first: range.0, last: range.1 })
    }
}

/// [`HealthStatus`] as it is written: a number or a text.
#[derive(Debug)]
pub(super) struct RawHealthStatus(String);

impl RawHealthStatus {
    pub(super) fn checked(&self) -> Result<HealthStatus, Invalid> {
        self.0.parse().map_err(|error| Invalid::form("instance.health_status", &error))
    }
}

impl fmt::Display for RawHealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RawHealthStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText)
    }
}

struct NumberOrText;

impl Visitor<'_> for NumberOrText {
    type Value = RawHealthStatus;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as 200, or a range such as \"200-399\"")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<RawHealthStatus, E> {
        Ok(RawHealthStatus(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RawHealthStatus, E> {
        Ok(RawHealthStatus(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawHealthStatus, E> {
        Ok(RawHealthStatus(text.to_owned()))
    }
}

/// How often the load balancer asks an instance, and after how many answers it believes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    /// The time from one question to the next, of an instance that answers well.
    pub interval: Duration,
    /// Good answers in a row after which one that was out of rotation is in it again.
    pub rise: u32,
    /// Bad answers in a row after which an instance is out of rotation.
    pub fall: u32,
    /// How long an instance may take to its first good answer; `None` for what the host's settings say.
    pub launch_timeout: Option<Duration>,
}

/// An instance that answers badly, or not at all, is out of rotation after 1 s, 0.2 s and twice the 0.5 s
/// that an answer may take.
impl Default for HealthCheck {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), rise: 1, fall: 2, launch_timeout: None }
    }
}

/// [`HealthCheck`] as it is written.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHealthCheck {
    /// Time from one question to the next, in milliseconds.
    interval_ms: Option<u64>,
    /// After so many good answers an instance is healthy.
    rise: Option<u32>,
    /// After so many bad ones it is not.
    fall: Option<u32>,
    /// How long a launch may take to the first good answer, in milliseconds.
    launch_timeout_ms: Option<u64>,
}

impl RawHealthCheck {
    pub(super) fn checked(self) -> Result<HealthCheck, Invalid> {
        let default = HealthCheck::default();
        let interval = self.interval_ms.map_or(default.interval, Duration::from_millis);
        let (rise, fall) = (self.rise.unwrap_or(default.rise), self.fall.unwrap_or(default.fall));
        let launch_timeout = self.launch_timeout_ms.map(Duration::from_millis);
        // Of an instance whose last answer was bad it asks again after 200 ms (haproxy.cfg.tera).
        let allowed = "200 to 60000 (milliseconds)";
        within("health_check.interval_ms", interval.as_millis(), 200..=60_000, allowed)?;
        within("health_check.rise", rise, 1..=10, "1 to 10 (answers)")?;
        within("health_check.fall", fall, 1..=10, "1 to 10 (answers)")?;
        let launch_ms = launch_timeout.map_or(1_000, |timeout| timeout.as_millis());
        let allowed = "1000 to 600000 (milliseconds)";
        within("health_check.launch_timeout_ms", launch_ms, 1_000..=600_000, allowed)?;
        Ok(HealthCheck { interval, rise, fall, launch_timeout })
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::tests::{GOOD, parse};
    use super::*;

    fn with_status(written: &str) -> Result<HealthStatus, String> {
        let line = format!("port = 8000\nhealth_status = {written}");
        let spec = parse(&GOOD.replacen("port = 8000", &line, 1))?;
        Ok(spec.instance.protocol.health_status().unwrap())
    }

    #[test]
    fn an_instance_can_serve_when_it_answers_200_or_what_its_file_says() {
        let usual = parse(GOOD).unwrap().instance.protocol.health_status().unwrap();
        assert!(usual.holds(200) && !usual.holds(204) && !usual.holds(199));
        assert_eq!(with_status("200"), Ok(usual));
        assert_eq!(with_status("\"200\""), Ok(usual));
        let range = with_status("\"200-399\"").unwrap();
        assert_eq!(
            [199, 200, 399, 400].map(|status| range.holds(status)),
            [false, true, true, false]
        );
        assert_eq!(range.to_string(), "200-399");
        assert_eq!(with_status("503").unwrap().to_string(), "503");
    }

    #[test]
    fn what_is_no_status_is_refused_and_could_say_nothing_else_to_the_load_balancer() {
        let bad = [
            "0",
            "199",
            "600",
            "-200",
            "\"\"",
            "\"2xx\"",
            "\"399-200\"",
            "\"200-\"",
            "\"-200\"",
            "\"200-300-400\"",
            "\"+20\"",
            "\"200,204\"",
            "\"200\\n  bind :1\"",
            "\" 200\"",
        ];
        for written in bad {
            let error = with_status(written).unwrap_err();
            assert!(error.contains("instance.health_status: `"), "{written}: {error}");
            assert!(error.contains("use one from 200 to 599, or a range"), "{written}: {error}");
        }
        let error = with_status("[200]").unwrap_err();
        assert!(error.contains("expected a status such as 200, or a range"), "{error}");
    }

    #[test]
    fn checks_are_as_often_as_the_file_says_within_bounds_and_else_every_second() {
        let with = |lines: &str| parse(&format!("{GOOD}\n[health_check]\n{lines}"));
        assert_eq!(parse(GOOD).unwrap().health_check, HealthCheck::default());
        assert_eq!(with("").unwrap().health_check, HealthCheck::default());
        let spec =
            with("interval_ms = 5000\nrise = 2\nfall = 3\nlaunch_timeout_ms = 60000").unwrap();
        let expected = HealthCheck {
            interval: Duration::from_secs(5),
            rise: 2,
            fall: 3,
            launch_timeout: Some(Duration::from_secs(60)),
        };
        assert_eq!(spec.health_check, expected);
        let of_host = Duration::from_secs(10);
        assert_eq!(spec.launch_timeout(of_host), Duration::from_secs(60));
        assert_eq!(parse(GOOD).unwrap().launch_timeout(of_host), of_host);
        for (line, message) in [
            ("interval_ms = 199", "health_check.interval_ms is 199: use 200 to 60000"),
            ("interval_ms = 60001", "health_check.interval_ms is 60001: use 200 to 60000"),
            ("rise = 0", "health_check.rise is 0: use 1 to 10 (answers)"),
            ("fall = 11", "health_check.fall is 11: use 1 to 10 (answers)"),
            ("launch_timeout_ms = 999", "health_check.launch_timeout_ms is 999: use 1000 to"),
            ("path = \"/\"", "unknown field `path`, expected one of `interval_ms`"),
        ] {
            let error = with(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
