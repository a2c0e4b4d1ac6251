//! The picture: a pure function of what is known, the time and the terminal's size.

mod panes;

use explain::words::age;
use model::time::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::keys::HELP;
use super::state::{Overlay, Pane, Picture, State};
use super::theme::Theme;

/// Rows between the first and the last one from which on there is room for two panes, and for three.
const ROWS_FOR_TWO: u16 = 8;
const ROWS_FOR_THREE: u16 = 14;

/// Data of this age are as fresh as they can be: the scaler is asked once a second.
const FRESH_MS: u64 = 2_000;

const HINTS: &str = "q quit  ? help  e explain  Tab pane  j/k select";

/// Draws it.
pub(super) fn draw(state: &State, now: Timestamp, theme: Theme, frame: &mut Frame) {
    let rows = [Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)];
    let [title, body, hints] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(headline(state, now, theme), title);
    match state.overlay {
        Some(Overlay::Help) => overlay(HELP, state.passed, body, frame),
        Some(Overlay::Explain) => overlay(&explanation(state), state.passed, body, frame),
        None => panes(state, now, theme, body, frame),
    }
    frame.render_widget(Line::styled(HINTS, Theme::stale()), hints);
}

/// What it is, how old, and that the scaler does not answer where it does not.
fn headline(state: &State, now: Timestamp, theme: Theme) -> Line<'static> {
    let old = |picture: &Picture| age(picture.at.as_millis(), now.as_millis());
    match (&state.picture, &state.trouble) {
        (None, None) => Line::raw("bellows top: asking the scaler"),
        (None, Some(trouble)) => Line::styled(format!("NO ANSWER: {trouble}"), theme.alarm()),
        (Some(picture), Some(trouble)) => {
            let told = format!("NO ANSWER for {}: {trouble}", old(picture));
            Line::styled(told, theme.alarm())
        }
        (Some(picture), None) => {
            let services = picture.services.len();
            let ready: u32 = picture.services.iter().map(|status| status.phases.ready).sum();
            let plural = if services == 1 { "" } else { "s" };
            let is_late = now.since(picture.at).as_millis() >= u128::from(FRESH_MS);
            let late = if is_late { format!(", {} old", old(picture)) } else { String::new() };
            let told = format!("bellows top: {services} service{plural}, {ready} ready{late}");
            Line::styled(told, Style::new().add_modifier(Modifier::BOLD))
        }
    }
}

/// The last turn of the service that is selected, in words.
fn explanation(state: &State) -> String {
    let turn = state.selected().and_then(|status| status.tick.as_ref());
    turn.map_or_else(|| "No turn is known of it yet.".to_owned(), explain::turn::text)
}

/// A text in the place of the panes, from one of its lines on, and never past the last one.
fn overlay(text: &str, passed: usize, area: Rect, frame: &mut Frame) {
    let lines: Vec<Line> = text.lines().map(Line::raw).collect();
    let last = lines.len().saturating_sub(usize::from(area.height).max(1));
    let passed = u16::try_from(passed.min(last)).unwrap_or(u16::MAX);
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(text.scroll((passed, 0)), area);
}

/// As many panes as there is room for; where there is room for one, that which has the keys.
fn panes(state: &State, now: Timestamp, theme: Theme, area: Rect, frame: &mut Frame) {
    let [services, instances, events] = shares(state, area.height);
    let heights = [services, instances, events].map(Constraint::Length);
    let [services, instances, events] = Layout::vertical(heights).areas(area);
    panes::services(state, theme, services, frame);
    panes::instances(state, now, theme, instances, frame);
    panes::events(state, events, frame);
    if state.trouble.is_some() {
        frame.buffer_mut().set_style(area, Theme::stale());
    }
}

/// The rows of each pane, headings included.
fn shares(state: &State, rows: u16) -> [u16; 3] {
    let count = |items: usize, headings: u16| {
        u16::try_from(items).unwrap_or(u16::MAX).saturating_add(headings)
    };
    let services = count(state.services().len(), 1);
    let instances = count(state.selected().map_or(0, |status| status.instances.len()), 2);
    if rows >= ROWS_FOR_THREE {
        let services = services.clamp(3, rows * 2 / 5);
        let instances = instances.clamp(4, (rows - services) * 3 / 5);
        return [services, instances, rows - services - instances];
    }
    if rows >= ROWS_FOR_TWO {
        let services = services.clamp(2, rows / 2);
        let rest = rows - services;
        return if state.pane == Pane::Events { [services, 0, rest] } else { [services, rest, 0] };
    }
    match state.pane {
        Pane::Services => [rows, 0, 0],
        Pane::Instances => [0, rows, 0],
        Pane::Events => [0, 0, rows],
    }
}

#[cfg(test)]
pub(crate) mod tests;
