//! What each key does.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    /// Closes what lies over the panes; where nothing does, it quits.
    Close,
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
    NextPane,
    PreviousPane,
    Explain,
    Help,
}

/// What `?` shows.
pub(super) const HELP: &str = "\
Keys
  up, down, k, j      the row above, the row below
  PgUp, PgDn          ten rows further
  Home, End, g, G     the first row, the last one
  Tab, Enter          the next pane; Shift-Tab the one before
  e                   the last turn of the service that is selected, in words
  ?                   this
  Esc                 closes this; else it ends
  q, Ctrl-C           ends

Columns
  READY     instances in rotation, `of` those that are decided on
  OFFERED   requests a second that arrive
  QUEUE     requests that wait in the load balancer
  BUSY      requests that instances work on
  CPU       cores that its instances use
  HELD      the number that an operator holds
  WHY       the reasons of the last decision
Columns of instances
  LOAD      requests a second that it is given
  BUSY      requests that it works on
  CPU       cores that it uses
  MEMORY    what it needs, without the pages of files that nobody used lately
  FOR, AGE  how long it is in its phase, and there
A `-` is what is not known. Response times are known to nobody here: `loadgen` measures them. Nothing is changed from here: `bellows scale`, `bellows policy set`
and `bellows instances` change things.";

/// The action of a key that is pressed; `None` for all else that a terminal tells.
pub(super) fn action(event: &Event) -> Option<Action> {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
    if *kind == KeyEventKind::Release {
        return None;
    }
    if modifiers.contains(KeyModifiers::CONTROL) {
        return (*code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    Some(match code {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Esc => Action::Close,
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Tab | KeyCode::Enter => Action::NextPane,
        KeyCode::BackTab => Action::PreviousPane,
        KeyCode::Char('e') => Action::Explain,
        KeyCode::Char('?') => Action::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_does_one_thing_when_it_is_pressed() {
        let of = |code, modifiers| action(&Event::Key(KeyEvent::new(code, modifiers)));
        let plain = |code| of(code, KeyModifiers::NONE);
        assert_eq!(plain(KeyCode::Char('j')), Some(Action::Down));
        assert_eq!(plain(KeyCode::Enter), Some(Action::NextPane));
        assert_eq!(plain(KeyCode::Char('c')), None);
        assert_eq!(of(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(of(KeyCode::Char('e'), KeyModifiers::CONTROL), None);
        let (code, none) = (KeyCode::Char('q'), KeyModifiers::NONE);
        let released = KeyEvent::new_with_kind(code, none, KeyEventKind::Release);
        assert_eq!(action(&Event::Key(released)), None);
        assert_eq!(action(&Event::Resize(80, 24)), None);
    }
}
