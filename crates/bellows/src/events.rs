//! `bellows events`: what happened, as sentences in the order of time.

mod sentences;

use std::time::Duration;

use futures_util::future::try_join_all;
use host::settings::Settings;
use model::access::Change;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use scaler_client::{Scaler, ScalerError, TickFilter};
use serde::Serialize;
use tokio::time::sleep;

use self::sentences::Sentences;
use crate::changes::{changed, who};
use crate::cli::Events;
use crate::clock::{moment, now, past};
use crate::json::{self, FORMAT};
use crate::scaler;

/// How far back it begins where nobody says.
const BEGINS: Duration = Duration::from_secs(3600);

/// Time from one look to the next. The scaler answers in some milliseconds.
const PAUSE: Duration = Duration::from_millis(500);

/// Shows what happened since then, and with `follow` what happens, for ever.
pub(crate) async fn run(settings: &Settings, asked: Events) -> anyhow::Result<()> {
    let Events { service, since, follow, json } = asked;
    let since = since.map_or(Ok(now().before(BEGINS)), |text| past("--since", &text, now()))?;
    let scaler = scaler::client(settings)?;
    if let Some(service) = &service {
        scaler::known(&scaler, service).await?;
    }
    let (mut reader, events) = Reader::begin(scaler, service, since).await?;
    if json && !follow {
        return json::print(&List { format: FORMAT, events });
    }
    if events.is_empty() && !follow {
        println!("Nothing happened since {}.", moment(since));
    }
    events.iter().try_for_each(|event| show(event, json))?;
    if !follow {
        return Ok(());
    }
    loop {
        sleep(PAUSE).await;
        reader.next().await?.iter().try_for_each(|event| show(event, json))?;
    }
}

fn show(event: &Event, json: bool) -> anyhow::Result<()> {
    if json {
        let Event { at, service, text } = event;
        return json::print_line(&EventLine {
            format: FORMAT,
            at: *at,
            service: service.as_ref(),
            text,
        });
    }
    println!("{}  {}", moment(event.at), event.text);
    Ok(())
}

/// Turns and changes as sentences in the order of time, a line each.
pub(crate) fn told(ticks: &[Tick], changes: &[Change]) -> String {
    let events = sorted(&mut Sentences::default(), ticks, changes);
    events.iter().map(|event| format!("{}  {}\n", moment(event.at), event.text)).collect()
}

/// What happened, as programs are told of it.
#[derive(Debug, Serialize)]
struct List {
    format: u32,
    /// Oldest first.
    events: Vec<Event>,
}

/// Something that happened, on a line of its own.
#[derive(Debug, Serialize)]
struct EventLine<'a> {
    format: u32,
    #[serde(rename = "at_ms")]
    at: Timestamp,
    service: Option<&'a ServiceName>,
    text: &'a str,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    #[serde(rename = "at_ms")]
    pub(crate) at: Timestamp,
    /// Null for what is the whole host's.
    pub(crate) service: Option<ServiceName>,
    /// A sentence, for people.
    pub(crate) text: String,
}

/// Goes on with what is new at each look.
pub(crate) struct Reader {
    scaler: Scaler,
    service: Option<ServiceName>,
    sentences: Sentences,
    tick: u64,
    change: u64,
}

impl Reader {
    /// What happened since a moment, oldest first, and the reader of what comes after it.
    pub(crate) async fn begin(
        scaler: Scaler,
        service: Option<ServiceName>,
        since: Timestamp,
    ) -> Result<(Self, Vec<Event>), ScalerError> {
        let sentences = Sentences::after(&before(&scaler, service.as_ref(), since).await?);
        let mut reader = Self { scaler, service, sentences, tick: 0, change: 0 };
        let mut events = reader.read(Some(since)).await?;
        events.retain(|event| event.at >= since);
        Ok((reader, events))
    }

    /// What is new, oldest first.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, ScalerError> {
        self.read(None).await
    }

    /// What is new, oldest first, without turns before `from`.
    async fn read(&mut self, from: Option<Timestamp>) -> Result<Vec<Event>, ScalerError> {
        let (tick, change) = (self.tick, self.change);
        let filter = &TickFilter { service: self.service.clone(), from, to: None };
        let ticks = self.scaler.patiently(async |it: &Scaler| it.ticks(filter, tick).await).await;
        let (ticks, next) = ticks?;
        let changes =
            self.scaler.patiently(async |it: &Scaler| it.changes_since(change).await).await?;
        self.tick = next;
        self.change = changes.last().map_or(change, |change| change.sequence);
        let mut events = sorted(&mut self.sentences, &ticks, &changes);
        let is_asked = |event: &Event| self.service.is_none() || event.service == self.service;
        events.retain(is_asked);
        Ok(events)
    }
}

/// Turns and changes as sentences, in the order of time.
fn sorted(sentences: &mut Sentences, ticks: &[Tick], changes: &[Change]) -> Vec<Event> {
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
        let begun = Reader::begin(scaler.client(), service, since).await;
        let (mut reader, events) = begun.unwrap();
        let texts = |events: Vec<Event>| events.into_iter().map(|it| it.text).collect::<Vec<_>>();
        let later = reader.next().await.unwrap();
        insta::assert_snapshot!(texts([events, later].concat()).join("\n"), @"
        shop: 4 ready are decided on, 2 before (OfferedLoad)
        shop: 5 ready are decided on, 4 before (OfferedLoad)
        ");
    }
}
