//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use model::time::Timestamp;

use crate::error::BadInput;

/// The time of day.
pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}

/// A moment as people and programs read it (RFC 3339), to the second.
pub(crate) fn moment(at: Timestamp) -> String {
    at.to_string()
}

/// A span as people write it: `90s`, `1h 30m`, or `7d`, each of 24 hours.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let span: jiff::Span = text.parse().ok().filter(|_| !text.starts_with(['+', '-']))?;
    Duration::try_from(span.to_duration(days).ok()?).ok()
}

/// The moment that an option such as `--since` names: as long ago as `10m` or `1h 30m`, or a date with its time.
pub(crate) fn past(option: &str, text: &str, now: Timestamp) -> Result<Timestamp, BadInput> {
    let ago = span(text).and_then(|ago| u64::try_from(ago.as_millis()).ok());
    let ago = ago.map(|ago| now.as_millis().saturating_sub(ago));
    let moment = || u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok();
    ago.or_else(moment).map(Timestamp::from_millis).ok_or_else(|| {
        let allowed = "use how long ago, such as 10m or 2h, or a time such as 2026-11-29T12:00:00Z";
        BadInput::new(anyhow!("{option} is {text:?}: {allowed}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_so_long_ago_or_at_a_time_and_nowhere_else() {
        let now = Timestamp::from_millis(1_795_000_000_123);
        let begins = |text: &str| past("--since", text, now).map(Timestamp::as_millis);
        assert_eq!(begins("10m").unwrap(), 1_794_999_400_123);
        assert_eq!(begins("1h 30m").unwrap(), 1_794_994_600_123);
        assert_eq!(begins("2d").unwrap(), 1_794_827_200_123);
        assert_eq!(begins("2026-11-18T11:06:40Z").unwrap(), 1_795_000_000_000);
        assert_eq!(begins("100000h").unwrap(), 1_435_000_000_123);
        for text in ["", "yesterday", "-5m", "+5m", "10"] {
            let told = begins(text).unwrap_err().to_string();
            assert!(told.contains("use how long ago"), "{text}: {told}");
        }
    }
}
