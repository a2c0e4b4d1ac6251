//! What the scaler is asked, once a second.

use std::time::Duration;

use model::status::HostStatus;
use model::time::Timestamp;
use scaler_client::{Scaler, ScalerError};
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use super::state::EVENTS_KEPT;
use crate::clock::now;
use crate::events::{Event, Reader};

/// Time from an answer to the next question. The scaler answers from memory within some milliseconds.
const PAUSE: Duration = Duration::from_secs(1);

/// How far back what happened is told at the beginning.
const BEGINS: Duration = Duration::from_secs(3600);

/// What the scaler said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) at: Timestamp,
    pub(super) host: HostStatus,
    /// What happened since the last answer, oldest first.
    pub(super) events: Vec<Event>,
}

/// Asks again and again, until nobody takes the answers.
pub(super) async fn forever(scaler: &Scaler, tell: &Sender<Result<Answer, ScalerError>>) {
    let mut reader = None;
    while tell.send(once(scaler, &mut reader).await).await.is_ok() {
        sleep(PAUSE).await;
    }
}

/// Asks once. What happened while the scaler was away is told once it is back.
async fn once(scaler: &Scaler, reader: &mut Option<Reader>) -> Result<Answer, ScalerError> {
    let host = scaler.services().await?;
    let events = match reader {
        Some(reader) => reader.next().await?,
        None => {
            let since = now().before(BEGINS);
            let begun = Reader::begin(scaler.clone(), None, since, Some(EVENTS_KEPT)).await?;
            *reader = Some(begun.reader);
            begun.events
        }
    };
    Ok(Answer { at: now(), host, events })
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::fake_scaler::FakeScaler;

    #[tokio::test]
    async fn each_answer_has_what_the_scaler_knows_and_what_happened_since() {
        let scaler = FakeScaler::new(|path| {
            let (path, _) = path.split_once('?').unwrap_or((path, ""));
            Some(
                match path {
                    "/v1/services" => r#"{"services":[]}"#,
                    "/v1/ticks" => r#"{"ticks":[],"next":7}"#,
                    _ => r#"{"changes":[],"next":0}"#,
                }
                .to_owned(),
            )
        });
        let client = scaler.client();
        let mut reader = None;
        assert!(once(&client, &mut reader).await.unwrap().events.is_empty());
        once(&client, &mut reader).await.unwrap();
        let asked = scaler.asked();
        assert!(asked[1].starts_with("/v1/ticks?from_ms="), "{asked:?}");
        assert_eq!(asked[4..6], ["/v1/services", "/v1/ticks?since=7&limit=1000"]);
    }

    #[tokio::test]
    async fn it_ends_when_nobody_takes_the_answers() {
        let scaler = FakeScaler::new(|_| None);
        let (tell, told) = mpsc::channel(1);
        drop(told);
        forever(&scaler.client(), &tell).await;
    }
}
