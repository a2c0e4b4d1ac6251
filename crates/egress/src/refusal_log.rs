//! What was refused, told in the log: each kind at once, and then once a minute with how often.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::names::InstanceName;
use tokio::time::Instant;

use crate::refusal::Refusal;

/// How often one refusal is told.
const AGAIN: Duration = Duration::from_secs(60);

/// How many kinds are told apart; more of them within a minute are counted together.
const KINDS_MAX: usize = 256;

/// What has been told.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog(Mutex<BTreeMap<String, Told>>);

/// When a refusal was told last, and how often it came since.
#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl RefusalLog {
    /// Tells of a refusal, unless the same was told within the minute.
    pub(crate) fn tell(
        &self,
        client: Ipv4Addr,
        instance: Option<&InstanceName>,
        refusal: &Refusal,
    ) {
        let who =
            instance.map_or_else(|| client.to_string(), |instance| instance.service().to_string());
        let reason = refusal.to_string();
        if let Some(times) = self.due(format!("{who} {reason}"), Instant::now()) {
            let instance = instance.map(ToString::to_string);
            tracing::warn!(%client, instance, reason, times, "refused");
        }
    }

    /// How often a refusal came since it was told last, this time included; `None` while it is not to be
    /// told.
    fn due(&self, kind: String, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= KINDS_MAX {
            told.retain(|_, told| now - told.at < AGAIN);
        }
        let kind = if told.len() < KINDS_MAX { kind } else { String::new() };
        let Some(known) = told.get_mut(&kind) else {
            told.insert(kind, Told { at: now, since: 0 });
            return Some(1);
        };
        known.since += 1;
        if now - known.at < AGAIN {
            return None;
        }
        known.at = now;
        Some(std::mem::take(&mut known.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_at_once_and_then_once_a_minute_with_its_number() {
        let (log, begun) = (RefusalLog::default(), Instant::now());
        let due =
            |kind: &str, seconds| log.due(kind.to_owned(), begun + Duration::from_secs(seconds));
        assert_eq!(due("a", 0), Some(1));
        assert_eq!((due("a", 1), due("a", 59), due("b", 59)), (None, None, Some(1)));
        assert_eq!((due("a", 60), due("a", 61)), (Some(3), None));
    }

    #[test]
    fn a_flood_of_different_refusals_fills_neither_the_log_nor_the_memory() {
        let (log, now) = (RefusalLog::default(), Instant::now());
        let told = (0..5_000).filter(|n| log.due(n.to_string(), now).is_some()).count();
        assert_eq!(told, KINDS_MAX + 1);
        assert_eq!(log.0.lock().unwrap().len(), KINDS_MAX + 1);
    }
}
