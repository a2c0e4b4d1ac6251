//! `bellows events`: what happened, as sentences in the order of time.

mod reader;

use std::time::Duration;

use command_line::terminal;
use explain::sentences::Sentences;
use host::settings::Settings;
use model::access::Change;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use serde::Serialize;
use tokio::time::sleep;

use self::reader::sorted;
pub(crate) use self::reader::{Begun, NEWEST, Reader};
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
    let asked = since.map(|text| past("--since", &text, now())).transpose()?;
    let newest = asked.is_none().then_some(NEWEST);
    let asked = asked.unwrap_or(now().before(BEGINS));
    let scaler = scaler::client(settings)?;
    if let Some(service) = &service {
        scaler::known(&scaler, service).await?;
    }
    let Begun { mut reader, events, since } = Reader::begin(scaler, service, asked, newest).await?;
    if json && !follow {
        return json::print(&List { format: FORMAT, since, events });
    }
    if since > asked && !json {
        terminal::tell_line(format_args!(
            "What happened before {} is left out: --since 1h tells it.",
            moment(since)
        ))?;
    }
    if events.is_empty() && !follow {
        terminal::tell_line(format_args!("Nothing happened since {}.", moment(since)))?;
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
    terminal::tell_line(format_args!("{}  {}", moment(event.at), event.text))?;
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
    /// Since when it is told.
    #[serde(rename = "since_ms")]
    since: Timestamp,
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
