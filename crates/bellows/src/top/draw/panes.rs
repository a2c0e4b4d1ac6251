//! The panes: the services, the instances of the one that is selected, and what happened.

use explain::health::Health;
use explain::words::{age, figure, mib};
use model::decision::Decision;
use model::instance::InstanceStatus;
use model::status::ServiceStatus;
use model::time::Timestamp;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::load::Load;
use super::super::state::{Pane, State};
use super::super::table::Table;
use super::super::theme::Theme;
use crate::clock::moment;
use crate::events::Event;

const SERVICE_HEADS: [&str; 11] = [
    "SERVICE", "HEALTH", "READY", "BOUNDS", "OFFERED", "QUEUE", "BUSY", "CPU", "POLICY", "HELD",
    "WHY",
];

/// The places of the columns, the most important one first.
const SERVICE_ORDER: [usize; 11] = [0, 1, 2, 4, 5, 7, 9, 3, 10, 8, 6];

/// The place of the health.
const HEALTH: usize = 1;

const INSTANCE_HEADS: [&str; 10] =
    ["INSTANCE", "PHASE", "LOAD", "BUSY", "CPU", "MEMORY", "FOR", "AGE", "VERSION", "ADDRESS"];
const INSTANCE_ORDER: [usize; 10] = [0, 1, 2, 4, 5, 3, 6, 8, 7, 9];

/// The services, with the selected one in sight.
pub(super) fn services(state: &State, theme: Theme, area: Rect, frame: &mut Frame) {
    let all = state.services();
    let table = Table {
        heads: SERVICE_HEADS,
        order: SERVICE_ORDER,
        rows: all.iter().map(service).collect(),
    };
    let (selected, has_keys) = (state.selected_row(), state.pane == Pane::Services);
    let style = |row: usize, place| match (row == selected, place) {
        (true, _) => Theme::selected(has_keys),
        (false, HEALTH) => theme.health(Health::of(&all[row])),
        (false, _) => Style::new(),
    };
    let (heading, mut rows) = table.lines(usize::from(area.width), style);
    if all.is_empty() && state.picture.is_some() {
        rows = vec![Line::raw("No services. `bellows deploy FOLDER` serves an application.")];
    }
    // The row below the last one in sight comes in by one, as a list is read.
    let passed = (selected + 2).saturating_sub(usize::from(area.height));
    list(&[heading.style(Theme::heading(has_keys))], rows, passed, area, frame);
}

fn service(status: &ServiceStatus) -> [String; 11] {
    let seen = status.tick.as_ref().map(|tick| &tick.observation);
    let count = |value: Option<u32>| known(value.map(f64::from));
    let decided = status.tick.as_ref().and_then(|tick| tick.target());
    let ready = status.phases.ready;
    [
        status.name.to_string(),
        Health::of(status).to_string().replace('_', " "),
        match decided {
            Some(decided) if decided != ready => format!("{ready} of {decided}"),
            _ => ready.to_string(),
        },
        format!("{}..{}", status.bounds.min(), status.bounds.max()),
        known(seen.and_then(|seen| seen.offered_rps)),
        count(seen.and_then(|seen| seen.queued)),
        count(seen.and_then(|seen| seen.in_flight)),
        known(seen.and_then(|seen| seen.cpu_cores)),
        status.policy.clone(),
        status.hold.map_or_else(|| "-".to_owned(), |hold| format!("at {}", hold.ready)),
        why(status),
    ]
}

fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), figure)
}

/// The reasons of the last decision, as codes.
fn why(status: &ServiceStatus) -> String {
    let Some(tick) = &status.tick else { return "-".to_owned() };
    let (Decision::Target { reasons, .. } | Decision::Hold { reasons }) = &tick.decision;
    let reasons = reasons.iter().map(|reason| format!("{reason:?}"));
    let blocked = tick.blocked.iter().map(|blocked| format!("{blocked:?}"));
    reasons.chain(blocked).collect::<Vec<_>>().join(", ")
}

/// The instances of the service that is selected.
pub(super) fn instances(
    state: &State,
    now: Timestamp,
    theme: Theme,
    area: Rect,
    frame: &mut Frame,
) {
    let Some(status) = state.selected() else { return };
    let rows =
        status.instances.iter().map(|one| instance(one, state.load(&one.name), now)).collect();
    let table = Table { heads: INSTANCE_HEADS, order: INSTANCE_ORDER, rows };
    let (heading, rows) = table.lines(usize::from(area.width), |_, _| Style::new());
    let has_keys = state.pane == Pane::Instances;
    let failure = status.last_failure.as_ref().filter(|_| status.phases.failed > 0);
    let title = match failure {
        None => Line::styled(format!("Instances of {}", status.name), Theme::heading(has_keys)),
        Some(_) => {
            let told = format!("Instances of {}: some have failed", status.name);
            Line::styled(told, theme.alarm())
        }
    };
    let heads = [title, heading.style(Theme::heading(has_keys))];
    list(&heads, rows, if has_keys { state.passed } else { 0 }, area, frame);
}

/// In as few letters as can be, so that it is seen on a narrow terminal.
fn phase(status: &InstanceStatus) -> String {
    let phase: &str = status.phase.into();
    if status.to_be_removed { format!("{phase}, leaves") } else { phase.to_owned() }
}

fn instance(status: &InstanceStatus, load: Load, now: Timestamp) -> [String; 10] {
    let now_ms = now.as_millis();
    [
        status.name.to_string(),
        phase(status),
        known(load.rates.requests_rps),
        known(load.in_flight.map(f64::from)),
        known(load.rates.cpu_cores),
        load.memory_bytes.map_or_else(|| "-".to_owned(), mib),
        age(status.since.as_millis(), now_ms),
        age(status.name.birth().as_millis(), now_ms),
        status.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
        status.address.to_string(),
    ]
}

/// What happened, the newest last; rows that are passed over are the newest.
pub(super) fn events(state: &State, area: Rect, frame: &mut Frame) {
    let has_keys = state.pane == Pane::Events;
    let title = Line::styled("What happened", Theme::heading(has_keys));
    let passed = if has_keys { state.passed } else { 0 };
    let rows = usize::from(area.height).saturating_sub(1);
    let end = state.events.len().saturating_sub(passed).max(rows.min(state.events.len()));
    let shown = state.events.range(end.saturating_sub(rows)..end).map(happened).collect();
    list(&[title], shown, 0, area, frame);
}

fn happened(event: &Event) -> Line<'static> {
    let at = moment(event.at);
    // The day is of no account for what happened within an hour or so.
    let time = at.split_once('T').map_or(at.as_str(), |(_, time)| time).trim_end_matches('Z');
    Line::raw(format!("{time}  {}", event.text))
}

/// Headings, and below them the rows from one on, so that the last ones fill what there is.
fn list(heads: &[Line], rows: Vec<Line>, passed: usize, area: Rect, frame: &mut Frame) {
    let room = usize::from(area.height).saturating_sub(heads.len());
    let passed = passed.min(rows.len().saturating_sub(room.max(1)));
    let lines = heads.iter().cloned().chain(rows.into_iter().skip(passed));
    for (line, row) in lines.zip(area.rows()) {
        frame.render_widget(line, row);
    }
}
