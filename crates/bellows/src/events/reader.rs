//! What happened, read from the scaler: a stretch of it first, and then what comes.

use std::time::Duration;

use explain::sentences::Sentences;
use futures_util::future::try_join_all;
use model::access::Change;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use scaler_client::{Scaler, ScalerError, TickFilter};

use super::Event;
use crate::changes::{changed, who};

/// So many of the newest turns are told where nobody says since when: on a host where much happens, an hour has
/// 10,000 and more, which take a second to read and are read by nobody.
pub(crate) const NEWEST: usize = 1_000;

/// Goes on with what is new at each look.
pub(crate) struct Reader {
    scaler: Scaler,
    service: Option<ServiceName>,
    sentences: Sentences,
    tick: u64,
    change: u64,
}

/// What is told first.
pub(crate) struct Begun {
    pub(crate) reader: Reader,
    /// Oldest first.
    pub(crate) events: Vec<Event>,
    /// Since when it is told; later than what was asked for where there was too much.
    pub(crate) since: Timestamp,
}

impl Reader {
    /// Tells what happened since a moment: of the newest turns, at most so many; of all, where that is `None`.
    pub(crate) async fn begin(
        scaler: Scaler,
        service: Option<ServiceName>,
        since: Timestamp,
        newest: Option<usize>,
    ) -> Result<Begun, ScalerError> {
        let filter = TickFilter { service: service.clone(), from: Some(since), to: None };
        let (ticks, tick) = match newest {
            Some(count) => scaler.patiently(async |it| it.newest_ticks(&filter, count).await).await,
            None => scaler.patiently(async |it| it.ticks(&filter, 0).await).await,
        }?;
        let is_cut = newest == Some(ticks.len());
        let since = ticks.first().filter(|_| is_cut).map_or(since, |first| first.at);
        let sentences = Sentences::after(&before(&scaler, service.as_ref(), since).await?);
        let mut reader = Self { scaler, service, sentences, tick, change: 0 };
        let mut events = reader.told(&ticks).await?;
        events.retain(|event| event.at >= since);
        Ok(Begun { reader, events, since })
    }

    /// What is new, oldest first.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, ScalerError> {
        let filter = TickFilter { service: self.service.clone(), ..TickFilter::default() };
        let since = self.tick;
        let ticks = self.scaler.patiently(async |it| it.ticks(&filter, since).await).await;
        let (ticks, next) = ticks?;
        let events = self.told(&ticks).await?;
        self.tick = next;
        Ok(events)
    }

    /// These turns, with the changes that are new.
    async fn told(&mut self, ticks: &[Tick]) -> Result<Vec<Event>, ScalerError> {
        let since = self.change;
        let changes = self.scaler.patiently(async |it| it.changes_since(since).await).await?;
        self.change = changes.last().map_or(since, |change| change.sequence);
        let mut events = sorted(&mut self.sentences, ticks, &changes);
        events.retain(|event| self.service.is_none() || event.service == self.service);
        Ok(events)
    }
}

/// Turns and changes as sentences, in the order of time.
pub(super) fn sorted(sentences: &mut Sentences, ticks: &[Tick], changes: &[Change]) -> Vec<Event> {
    let mut events: Vec<Event> = changes.iter().map(of_change).collect();
    for tick in ticks {
        let (at, service) = (tick.at, Some(&tick.service));
        let texts = sentences.of(tick).into_iter();
        events.extend(texts.map(|text| Event { at, service: service.cloned(), text }));
    }
    events.sort_by_key(|event| event.at);
    events
}

/// The last turn of each service before a moment: what was so then is not told again.
async fn before(
    scaler: &Scaler,
    service: Option<&ServiceName>,
    at: Timestamp,
) -> Result<Vec<Tick>, ScalerError> {
    let services = match service {
        Some(service) => vec![service.clone()],
        None => scaler.services().await?.services.into_iter().map(|status| status.name).collect(),
    };
    let to = Some(at.before(Duration::from_millis(1)));
    let newest = services.into_iter().map(async |service| {
        scaler.newest_tick(&TickFilter { service: Some(service), from: None, to }).await
    });
    Ok(try_join_all(newest).await?.into_iter().flatten().collect())
}

fn of_change(change: &Change) -> Event {
    let text = format!("{} (by {})", changed(&change.changed), who(&change.who));
    Event { at: change.at, service: change.changed.service().cloned(), text }
}

#[cfg(test)]
mod tests {
    use crate::fake_scaler::FakeScaler;

    use super::*;

    const AT: u64 = 1_795_000_000_000;

    fn tick(sequence: u64, ready: u32) -> String {
        let at = AT + 1_000 * sequence;
        format!(
            r#"{{"sequence":{sequence},"at_ms":{at},"service":"shop","observation":{{"offered_rps":0,
            "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,"cpu_cores":null,
            "phases":{{"starting":0,"ready":5,"draining":0,"failed":0}}}},
            "decision":{{"kind":"target","ready":{ready},"reasons":["OfferedLoad"]}},"plan":[],"blocked":[],"done":[]}}"#
        )
    }

    fn page(ticks: &[String], next: u64) -> Option<String> {
        Some(format!(r#"{{"ticks":[{}],"next":{next}}}"#, ticks.join(",")))
    }

    /// A scaler that keeps four turns, the last one since it was asked first.
    fn scaler() -> FakeScaler {
        FakeScaler::new(|path| match path {
            "/v1/ticks?service=shop&to_ms=1795000001999&newest=1" => page(&[tick(1, 2)], 3),
            "/v1/ticks?service=shop&from_ms=1795000002000&since=0&limit=1000" => {
                page(&[tick(2, 2), tick(3, 4)], 3)
            }
            "/v1/ticks?service=shop&since=3&limit=1000" => page(&[tick(4, 5)], 4),
            "/v1/changes?since=0&limit=1000" => Some(r#"{"changes":[],"next":0}"#.to_owned()),
            _ => None,
        })
    }

    #[tokio::test]
    async fn only_turns_of_the_stretch_are_asked_for_and_what_was_so_before_it_is_not_told() {
        let scaler = scaler();
        let service = Some("shop".parse().unwrap());
        let since = Timestamp::from_millis(AT + 2_000);
        let begun = Reader::begin(scaler.client(), service, since, None).await;
        let Begun { mut reader, events, .. } = begun.unwrap();
        let texts = |events: Vec<Event>| events.into_iter().map(|it| it.text).collect::<Vec<_>>();
        let later = reader.next().await.unwrap();
        insta::assert_snapshot!(texts([events, later].concat()).join("\n"), @"
        shop: 4 ready are decided on, 2 before (OfferedLoad)
        shop: 5 ready are decided on, 4 before (OfferedLoad)
        ");
    }

    #[tokio::test]
    async fn where_nobody_says_since_when_the_newest_turns_are_told_and_from_when_on() {
        let scaler = FakeScaler::new(|path| match path {
            "/v1/ticks?service=shop&from_ms=1795000000000&newest=2" => {
                page(&[tick(2, 2), tick(3, 4)], 9)
            }
            "/v1/ticks?service=shop&to_ms=1795000001999&newest=1" => page(&[tick(1, 2)], 9),
            "/v1/ticks?service=shop&since=9&limit=1000" => page(&[], 9),
            "/v1/changes?since=0&limit=1000" => Some(r#"{"changes":[],"next":0}"#.to_owned()),
            _ => None,
        });
        let service = Some("shop".parse().unwrap());
        let since = Timestamp::from_millis(AT);
        let begun = Reader::begin(scaler.client(), service, since, Some(2)).await;
        let Begun { mut reader, events, since } = begun.unwrap();
        assert_eq!((events.len(), since.as_millis()), (1, AT + 2_000));
        assert!(reader.next().await.unwrap().is_empty());
    }
}
