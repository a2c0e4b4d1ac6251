//! What is shown, and what a key makes of it.

use std::collections::VecDeque;

use model::names::{InstanceName, ServiceName};
use model::output::harmless;
use model::status::ServiceStatus;
use model::time::Timestamp;
use scaler_client::ScalerError;

use super::ask::Answer;
use super::keys::Action;
use super::load::{Load, Loads, Told};
use crate::events::Event;

/// What happened last, in memory: some screens of it.
pub(super) const EVENTS_KEPT: usize = 200;

/// Rows of a page up or down.
const PAGE: usize = 10;

/// A part of the screen that the keys may be for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Services,
    Instances,
    Events,
}

/// What lies over the panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overlay {
    Explain,
    Help,
}

/// Whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    GoesOn,
    Ends,
}

/// What the scaler said last.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) at: Timestamp,
    pub(super) services: Vec<ServiceStatus>,
}

/// All that a picture is drawn from.
#[derive(Debug, Default)]
pub(super) struct State {
    /// `None` until the scaler has answered.
    pub(super) picture: Option<Picture>,
    /// Why the last question got no answer; `None` where it got one.
    pub(super) trouble: Option<String>,
    /// What instances do, as far as the feed told it.
    loads: Loads,
    /// Oldest first.
    pub(super) events: VecDeque<Event>,
    /// By its name, so that it stays the same when others come and go.
    selected: Option<ServiceName>,
    pub(super) pane: Pane,
    pub(super) overlay: Option<Overlay>,
    /// How many rows are passed over: of an overlay, or else of the pane that has the keys and is not that of services.
    /// Of what happened, it counts from the newest.
    pub(super) passed: usize,
}

impl State {
    /// Takes what the scaler said, or that it did not. What it said before stays then.
    pub(super) fn took(&mut self, answer: Result<Answer, ScalerError>) -> Flow {
        match answer {
            Ok(Answer { at, host, events }) => {
                self.picture = Some(Picture { at, services: host.services });
                self.trouble = None;
                self.events.extend(events);
                let surplus = self.events.len().saturating_sub(EVENTS_KEPT);
                self.events.drain(..surplus);
            }
            Err(error) => self.trouble = Some(harmless(&error.to_string())),
        }
        Flow::GoesOn
    }

    /// Takes what the feed told of instances.
    pub(super) fn took_loads(&mut self, told: Vec<Told>) -> Flow {
        told.into_iter().for_each(|told| self.loads.take(told));
        Flow::GoesOn
    }

    /// What an instance does, as of the picture.
    pub(super) fn load(&self, instance: &InstanceName) -> Load {
        let at = self.picture.as_ref().map(|picture| picture.at);
        at.map_or_else(Load::default, |at| self.loads.of(instance, at))
    }

    /// Does what a key asks for.
    pub(super) fn act(&mut self, action: Action) -> Flow {
        match action {
            Action::Quit => return Flow::Ends,
            Action::Close if self.overlay.is_none() => return Flow::Ends,
            Action::Close => self.show(None),
            Action::Explain => self.show(toggled(self.overlay, Overlay::Explain)),
            Action::Help => self.show(toggled(self.overlay, Overlay::Help)),
            Action::NextPane => self.turn_to(self.pane.next()),
            Action::PreviousPane => self.turn_to(self.pane.next().next()),
            Action::Down => self.moved(|row, _| row.saturating_add(1)),
            Action::Up => self.moved(|row, _| row.saturating_sub(1)),
            Action::PageDown => self.moved(|row, _| row.saturating_add(PAGE)),
            Action::PageUp => self.moved(|row, _| row.saturating_sub(PAGE)),
            Action::First => self.moved(|_, _| 0),
            Action::Last => self.moved(|_, last| last),
        }
        Flow::GoesOn
    }

    /// The services.
    pub(super) fn services(&self) -> &[ServiceStatus] {
        self.picture.as_ref().map_or(&[], |picture| &picture.services)
    }

    /// The row of the service that is selected: the first one, unless another one was chosen and is still there.
    pub(super) fn selected_row(&self) -> usize {
        let is_it = |status: &ServiceStatus| Some(&status.name) == self.selected.as_ref();
        self.services().iter().position(is_it).unwrap_or(0)
    }

    /// The service that is selected; `None` where there is none.
    pub(super) fn selected(&self) -> Option<&ServiceStatus> {
        self.services().get(self.selected_row())
    }

    fn show(&mut self, overlay: Option<Overlay>) {
        self.overlay = overlay;
        self.passed = 0;
    }

    fn turn_to(&mut self, pane: Pane) {
        self.pane = pane;
        self.show(None);
    }

    /// Moves in what has the keys; `to` is given the row and the last one.
    fn moved(&mut self, to: impl Fn(usize, usize) -> usize) {
        let rows = match (self.overlay, self.pane) {
            // How many lines it takes is known when it is drawn, which goes no further than its last one.
            (Some(_), _) => usize::from(u16::MAX),
            (None, Pane::Services) => {
                let last = self.services().len().saturating_sub(1);
                let row = to(self.selected_row(), last).min(last);
                self.selected = self.services().get(row).map(|status| status.name.clone());
                return;
            }
            (None, Pane::Instances) => self.selected().map_or(0, |status| status.instances.len()),
            (None, Pane::Events) => self.events.len(),
        };
        let last = rows.saturating_sub(1);
        // The newest is drawn last.
        self.passed = match (self.overlay, self.pane) {
            (None, Pane::Events) => last - to(last.saturating_sub(self.passed), last).min(last),
            _ => to(self.passed, last).min(last),
        };
    }
}

impl Pane {
    const fn next(self) -> Self {
        match self {
            Self::Services => Self::Instances,
            Self::Instances => Self::Events,
            Self::Events => Self::Services,
        }
    }
}

/// What lies over the panes after its key was pressed: the key that opened it closes it.
fn toggled(shown: Option<Overlay>, asked: Overlay) -> Option<Overlay> {
    (shown != Some(asked)).then_some(asked)
}

#[cfg(test)]
mod tests {
    use model::status::HostStatus;

    use super::*;
    use crate::top::draw::tests::status;

    const AT: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn answer(names: &[&str]) -> Result<Answer, ScalerError> {
        let services = names.iter().map(|name| status(name)).collect();
        Ok(Answer {
            at: AT,
            host: HostStatus { services, ..HostStatus::default() },
            events: vec![],
        })
    }

    fn state(names: &[&str]) -> State {
        let mut state = State::default();
        state.took(answer(names));
        state
    }

    fn selected(state: &State) -> &str {
        state.selected().map_or("", |status| status.name.as_str())
    }

    #[test]
    fn a_selection_stays_with_its_service_when_others_come_and_go() {
        let mut state = state(&["blog", "cart", "shop"]);
        assert_eq!(selected(&state), "blog");
        state.act(Action::Down);
        assert_eq!(selected(&state), "cart");
        state.took(answer(&["auth", "blog", "cart"]));
        assert_eq!((selected(&state), state.selected_row()), ("cart", 2));
        state.took(answer(&["auth"]));
        assert_eq!(selected(&state), "auth");
        state.act(Action::Up);
        assert_eq!(selected(&state), "auth");
    }

    #[test]
    fn keys_go_no_further_than_the_first_and_the_last_row() {
        let mut state = state(&["blog", "cart", "shop"]);
        for (action, row) in [
            (Action::Up, "blog"),
            (Action::PageDown, "shop"),
            (Action::Down, "shop"),
            (Action::First, "blog"),
            (Action::Last, "shop"),
        ] {
            state.act(action);
            assert_eq!(selected(&state), row, "{action:?}");
        }
        state.took(answer(&[]));
        assert_eq!((state.act(Action::Down), selected(&state)), (Flow::GoesOn, ""));
    }

    #[test]
    fn what_the_scaler_said_stays_while_it_does_not_answer() {
        let mut state = state(&["shop"]);
        state.took(Err(ScalerError::Silent { address: "a\u{1b}[31m".to_owned() }));
        let trouble = state.trouble.as_deref().unwrap();
        assert!(trouble.contains("fallen silent") && !trouble.contains('\u{1b}'), "{trouble}");
        assert_eq!((selected(&state), state.picture.as_ref().unwrap().at), ("shop", AT));
        state.took(answer(&["shop"]));
        assert_eq!(state.trouble, None);
    }

    #[test]
    fn escape_closes_what_lies_over_the_panes_and_else_it_ends() {
        let mut state = state(&["shop"]);
        assert_eq!(state.act(Action::Explain), Flow::GoesOn);
        state.act(Action::Down);
        assert_eq!((state.overlay, state.passed), (Some(Overlay::Explain), 1));
        state.act(Action::Help);
        assert_eq!((state.overlay, state.passed), (Some(Overlay::Help), 0));
        assert_eq!((state.act(Action::Close), state.overlay), (Flow::GoesOn, None));
        state.act(Action::Explain);
        state.act(Action::Explain);
        assert_eq!(state.overlay, None, "its own key closes it");
        assert_eq!(state.act(Action::Close), Flow::Ends);
        assert_eq!(state.act(Action::Quit), Flow::Ends);
    }

    #[test]
    fn the_keys_go_from_pane_to_pane_and_back() {
        let mut state = state(&["shop"]);
        let mut after = |action| {
            state.act(action);
            state.pane
        };
        let next = [(); 3].map(|()| after(Action::NextPane));
        assert_eq!(next, [Pane::Instances, Pane::Events, Pane::Services]);
        assert_eq!(after(Action::PreviousPane), Pane::Events);
    }

    #[test]
    fn what_happened_is_kept_up_to_a_number_and_read_backwards_from_the_newest() {
        let mut state = State::default();
        let event = |number: usize| Event { at: AT, service: None, text: number.to_string() };
        let events = (0..EVENTS_KEPT + 5).map(event).collect();
        state.took(Ok(Answer { at: AT, host: HostStatus::default(), events }));
        assert_eq!((state.events.len(), state.events[0].text.as_str()), (EVENTS_KEPT, "5"));
        state.pane = Pane::Events;
        let mut passed = |action| {
            state.act(action);
            state.passed
        };
        assert_eq!([passed(Action::Up), passed(Action::PageUp)], [1, 11]);
        assert_eq!([passed(Action::First), passed(Action::Last)], [EVENTS_KEPT - 1, 0]);
    }
}
