//! How things look, with colours and without.

use std::ffi::OsStr;

use explain::health::Health;
use ratatui::style::{Color, Modifier, Style};

/// Whether colours are shown. What they tell is told in words as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    Coloured,
    Plain,
}

impl Theme {
    /// Without colours where `NO_COLOR` is set and not empty, as <https://no-color.org> has it.
    pub(super) fn of_environment(no_color: Option<&OsStr>) -> Self {
        match no_color.is_some_and(|value| !value.is_empty()) {
            true => Self::Plain,
            false => Self::Coloured,
        }
    }

    fn coloured(self, colour: Color) -> Style {
        match self {
            Self::Coloured => Style::new().fg(colour),
            Self::Plain => Style::new(),
        }
    }

    /// Of the row that is selected; another one where its pane has not the keys.
    pub(super) const fn selected(has_keys: bool) -> Style {
        let modifier = if has_keys { Modifier::REVERSED } else { Modifier::BOLD };
        Style::new().add_modifier(modifier)
    }

    /// Of a pane's heading.
    pub(super) const fn heading(has_keys: bool) -> Style {
        let modifier = if has_keys { Modifier::BOLD } else { Modifier::DIM };
        Style::new().add_modifier(modifier)
    }

    /// Of what was so when the scaler answered last, while it does not.
    pub(super) const fn stale() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Of what asks for attention.
    pub(super) fn alarm(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Of how a service fares.
    pub(super) fn health(self, health: Health) -> Style {
        match health {
            Health::Well => self.coloured(Color::Green),
            Health::Short | Health::AtLimit | Health::Deploying | Health::Starting => {
                self.coloured(Color::Yellow)
            }
            Health::Down | Health::Failing | Health::GivenUp => self.alarm(),
            Health::Idle | Health::Unknown => Style::new().add_modifier(Modifier::DIM),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_where_the_environment_says_so() {
        let theme = |value: &'static str| Theme::of_environment(Some(OsStr::new(value)));
        assert_eq!(Theme::of_environment(None), Theme::Coloured);
        assert_eq!([theme(""), theme("1")], [Theme::Coloured, Theme::Plain]);
        assert_eq!(Theme::Plain.health(Health::Down).fg, None);
        assert_eq!(Theme::Coloured.health(Health::Down).fg, Some(Color::Red));
    }
}
