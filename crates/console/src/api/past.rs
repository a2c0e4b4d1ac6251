//! What was, from the history.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use model::action::Blocked;
use model::decision::Reason;
use model::names::{InstanceName, ServiceName};
use model::status::TickPage;
use model::tick::Tick;
use model::time::Timestamp;
use serde::de::IntoDeserializer as _;
use serde::{Deserialize as _, Serialize};
use service::path::Path;
use service::problem::Problem;
use strum::IntoEnumIterator as _;

use super::asker::Asker;
use super::query::{Fields, bad};
use super::series::{self, ShownInstance, ShownService};
use super::{Answer, Shared, no_such_service, service_field};
use crate::events::{Event, Kind};
use crate::history::{AsideStatus, Kept, Numbered, ReadError, Status, Step, Wanted};

/// Ticks or events of one answer, at most and unless `limit` says otherwise: about 1 MB.
const PAGE_MAX: usize = 1_000;

/// What says which ticks of many are told, in the place of which `newest` may stand, as at the scaler.
const TICK_ENDS: [&str; 2] = ["since", "limit"];

/// Points of one answer: 30 minutes of seconds, or a day of minutes.
const POINTS_MAX: usize = 2_000;

/// Every turn of one answer: a minute of ten turns a second.
const TURNS_MAX: usize = 1_000;

/// A series.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "SeriesOf{T}"))]
pub(crate) struct Series<T> {
    /// The length of the spans, in seconds.
    step_s: u64,
    /// Those of which something was recorded, oldest first.
    points: Vec<T>,
}

/// Some events.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EventPage {
    events: Vec<Numbered>,
    /// The number to go on after.
    next: u64,
}

/// Every turn of some time.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TurnPage {
    ticks: Vec<Tick>,
}

/// How the history does, and what there is of it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct HistoryPage {
    /// What is in the file, in bytes.
    used_bytes: u64,
    /// What it and its journal may take.
    size_bytes: u64,
    /// Why nothing is recorded now; `None` where it is.
    problem: Option<String>,
    /// Where the history is that was put aside since the console started, and why.
    aside: Option<AsideStatus>,
    /// Seconds that could not be written since the console started.
    seconds_missed: u64,
    kept: Vec<Kept>,
    /// The last times of which nothing was recorded, oldest first.
    gaps: Vec<Event>,
}

pub(super) async fn ticks(
    State(known): Shared,
    asker: Asker,
    mut fields: Fields,
) -> Answer<TickPage> {
    let reason = fields.text("reason").map(|word| code(&word)).transpose()?;
    let newest = fields.newest(TICK_ENDS, PAGE_MAX)?;
    let mut wanted = wanted(&mut fields)?;
    wanted.limit = newest.unwrap_or(wanted.limit);
    fields.end("since, service, reason, limit and newest")?;
    asker.sees_all_of(wanted.service.as_ref())?;
    let since = wanted.since.unwrap_or_default();
    let (ticks, next) = known.history.changed(wanted, reason).await.map_err(unread)?;
    Ok(Json(TickPage { ticks, next: next.unwrap_or(since) }))
}

pub(super) async fn events(
    State(known): Shared,
    asker: Asker,
    mut fields: Fields,
) -> Answer<EventPage> {
    let words: Vec<&str> = Kind::iter().map(Into::into).collect();
    let kind = fields.value("kind", &format!("one of {}", words.join(", ")))?;
    let wanted = wanted(&mut fields)?;
    fields.end("since, service, kind and limit")?;
    asker.sees_all_of(wanted.service.as_ref())?;
    let since = wanted.since.unwrap_or_default();
    let events = known.history.events(wanted, kind).await.map_err(unread)?;
    let next = events.last().map_or(since, |last| last.id);
    Ok(Json(EventPage { events, next }))
}

pub(super) async fn service_series(
    State(known): Shared,
    asker: Asker,
    Path(name): Path<String>,
    mut fields: Fields,
) -> Answer<Series<ShownService>> {
    let service: ServiceName = name.parse().map_err(|_| no_such_service(&name))?;
    asker.sees(&service)?;
    let (step, span) = span(&mut fields)?;
    fields.end("from, to and step")?;
    let points = known.history.service_series(service, step, span, POINTS_MAX).await;
    let points = points.map_err(unread)?;
    let points = points.iter().map(|(second, point)| series::service(*second, point)).collect();
    Ok(Json(Series { step_s: step.seconds(), points }))
}

pub(super) async fn instance_series(
    State(known): Shared,
    asker: Asker,
    Path((name, instance)): Path<(String, String)>,
    mut fields: Fields,
) -> Answer<Series<ShownInstance>> {
    let service: ServiceName = name.parse().map_err(|_| no_such_service(&name))?;
    asker.sees(&service)?;
    let own = instance.parse().ok().filter(|it: &InstanceName| *it.service() == service);
    let instance = own.ok_or_else(|| {
        let message = format!(
            "{instance:?} is no instance of {service}; GET /v1/services/{service} lists them."
        );
        Problem::new(StatusCode::NOT_FOUND, "no_such_instance", message)
    })?;
    let (step, span) = span(&mut fields)?;
    fields.end("from, to and step")?;
    let points = known.history.instance_series(instance, step, span, POINTS_MAX).await;
    let points = points.map_err(unread)?;
    let points =
        points.iter().map(|(second, point)| series::instance(*second, step, point)).collect();
    Ok(Json(Series { step_s: step.seconds(), points }))
}

pub(super) async fn turns(
    State(known): Shared,
    asker: Asker,
    Path(name): Path<String>,
    mut fields: Fields,
) -> Answer<TurnPage> {
    let service: ServiceName = name.parse().map_err(|_| no_such_service(&name))?;
    asker.sees(&service)?;
    let span = moments(&mut fields)?;
    let limit = fields.limit("limit", TURNS_MAX)?;
    fields.end("from, to and limit")?;
    let ticks = known.history.turns(service, span, limit).await.map_err(unread)?;
    Ok(Json(TurnPage { ticks }))
}

pub(super) async fn history(
    State(known): Shared,
    asker: Asker,
    fields: Fields,
) -> Answer<HistoryPage> {
    fields.end("none")?;
    asker.sees_all_of(None)?;
    let Status { used_bytes, size_bytes, problem, aside, seconds_missed } = known.history.status();
    // One that is not there says so itself.
    let kept = known.history.kept().await.unwrap_or_default();
    let wanted = Wanted { limit: 100, ..Wanted::default() };
    let gaps = known.history.events(wanted, Some(Kind::Gap)).await.unwrap_or_default();
    let gaps = gaps.into_iter().map(Event::from).collect();
    Ok(Json(HistoryPage { used_bytes, size_bytes, problem, aside, seconds_missed, kept, gaps }))
}

fn wanted(fields: &mut Fields) -> Result<Wanted, Problem> {
    let since = fields.value("since", "a whole number: `next` of the answer before")?;
    Ok(Wanted { since, service: service_field(fields)?, limit: fields.limit("limit", PAGE_MAX)? })
}

/// A code of a decision, or of what was blocked.
fn code(word: &str) -> Result<String, Problem> {
    let text = || -> serde::de::value::StrDeserializer<'_, serde::de::value::Error> {
        word.into_deserializer()
    };
    let reason = Reason::deserialize(text()).map(|it| format!("{it:?}"));
    reason.or_else(|_| Blocked::deserialize(text()).map(|it| format!("{it:?}"))).map_err(|_| {
        let reasons = Reason::iter().map(|it| format!("{it:?}"));
        let all: Vec<_> = reasons.chain(Blocked::iter().map(|it| format!("{it:?}"))).collect();
        bad(format!(
            "reason is {:?}: use one of {}.",
            model::output::harmless(word),
            all.join(", ")
        ))
    })
}

/// The step, and from which second to before which one.
fn span(fields: &mut Fields) -> Result<(Step, (u64, u64)), Problem> {
    let step = match fields.text("step").as_deref() {
        Some("1s") => Step::Second,
        None | Some("1m") => Step::Minute,
        Some(other) => {
            return Err(bad(format!(
                "step is {:?}: use 1s or 1m.",
                model::output::harmless(other)
            )));
        }
    };
    let (from, to) = moments(fields)?;
    Ok((step, (from.as_millis().div_ceil(1000), to.as_millis().div_ceil(1000))))
}

fn moments(fields: &mut Fields) -> Result<(Timestamp, Timestamp), Problem> {
    let from = fields.moment("from")?.unwrap_or_default();
    let to = fields.moment("to")?.unwrap_or(Timestamp::from_millis(u64::MAX));
    if from > to {
        let (from, to) = (from.as_millis(), to.as_millis());
        return Err(bad(format!("from is {from}, and to is {to}: from is not after to.")));
    }
    Ok((from, to))
}

pub(super) fn unread(error: ReadError) -> Problem {
    if let ReadError::Away(_) = &error {
        let message = "The history is not there now: GET /v1/history says why.";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "history_away", message);
        return problem.with_header(header::RETRY_AFTER, 10);
    }
    Problem::internal(&error)
}
