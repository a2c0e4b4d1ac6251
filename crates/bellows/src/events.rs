//! `bellows events`: what happened, as sentences in the order of time.

mod sentences;

use std::time::Duration;

use host::settings::Settings;
use model::access::Change;
use model::names::ServiceName;
use model::time::Timestamp;
use scaler_client::{Scaler, ScalerError};
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
    let mut reader = Reader::new(scaler, service);
    let events = reader.next().await?;
    let events: Vec<_> = events.into_iter().filter(|event| event.at >= since).collect();
    if json {
        return json::print(&List { format: FORMAT, events });
    }
    if events.is_empty() && !follow {
        println!("Nothing happened since {}.", moment(since));
    }
    events.iter().for_each(show);
    if follow {
        loop {
            sleep(PAUSE).await;
            reader.next().await?.iter().for_each(show);
        }
    }
    Ok(())
}

fn show(event: &Event) {
    println!("{}  {}", moment(event.at), event.text);
}

/// What happened, as programs are told of it.
#[derive(Debug, Serialize)]
struct List {
    format: u32,
    /// Oldest first.
    events: Vec<Event>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Event {
    #[serde(rename = "at_ms")]
    at: Timestamp,
    /// Null for what is the whole host's.
    service: Option<ServiceName>,
    /// A sentence, for people.
    text: String,
}

/// Goes on with what is new at each look.
struct Reader {
    scaler: Scaler,
    service: Option<ServiceName>,
    sentences: Sentences,
    tick: u64,
    change: u64,
}

impl Reader {
    fn new(scaler: Scaler, service: Option<ServiceName>) -> Self {
        Self { scaler, service, sentences: Sentences::default(), tick: 0, change: 0 }
    }

    /// What is new, oldest first.
    async fn next(&mut self) -> Result<Vec<Event>, ScalerError> {
        let (tick, change) = (self.tick, self.change);
        let ticks = self.scaler.patiently(async |it: &Scaler| it.ticks_since(tick).await).await?;
        let changes =
            self.scaler.patiently(async |it: &Scaler| it.changes_since(change).await).await?;
        self.tick = ticks.last().map_or(tick, |tick| tick.sequence);
        self.change = changes.last().map_or(change, |change| change.sequence);
        let mut events: Vec<Event> = changes.iter().map(of_change).collect();
        for tick in &ticks {
            let (at, service) = (tick.at, Some(&tick.service));
            let texts = self.sentences.of(tick).into_iter();
            events.extend(texts.map(|text| Event { at, service: service.cloned(), text }));
        }
        let is_asked = |event: &Event| self.service.is_none() || event.service == self.service;
        events.retain(is_asked);
        events.sort_by_key(|event| event.at);
        Ok(events)
    }
}

fn of_change(change: &Change) -> Event {
    let text = format!("{} (by {})", changed(&change.changed), who(&change.who));
    Event { at: change.at, service: change.changed.service().cloned(), text }
}
