//! What keeps the loop from observing the host: logged once, and tried again ever more rarely.

use std::time::Duration;

use tokio::time::Instant;

/// Longest pause between two tries to observe a host that cannot be observed. HAProxy is back within a
/// second of its death, and the loop must be no slower to notice.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What keeps the loop from observing, logged once when it begins and once when it ends.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    said: Option<String>,
    since: Option<Instant>,
    turns: u32,
}

impl Outage {
    /// Takes note of how an observation ended, and says what changed.
    pub(crate) fn note(&mut self, error: Option<&anyhow::Error>) {
        match error {
            Some(error) => {
                let text = format!("{error:#}");
                if self.said.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "nothing is changed until the host can be seen");
                }
                self.said = Some(text);
                self.since.get_or_insert_with(Instant::now);
                self.turns = self.turns.saturating_add(1);
            }
            None => {
                if let Some(since) = self.since {
                    tracing::info!(
                        seconds = since.elapsed().as_secs_f32(),
                        "the host can be seen again"
                    );
                }
                *self = Self::default();
            }
        }
    }

    /// How long to wait for the next observation: doubling from a tick to a second.
    pub(crate) fn pause(&self, tick: Duration) -> Option<Duration> {
        let doublings = self.turns.checked_sub(1)?.min(10);
        Some((tick * 2_u32.pow(doublings)).min(LONGEST_PAUSE.max(tick)))
    }
}
