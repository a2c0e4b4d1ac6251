//! `bellows top`: what the scaler knows, as it changes, on a terminal. It only looks: nothing is changed by it.

mod ask;
mod draw;
mod keys;
mod load;
mod state;
mod table;
mod terminal;
mod theme;

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::time::Duration;

use anyhow::anyhow;
use host::settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use self::state::{Flow, State};
use self::terminal::Screen;
use self::theme::Theme;
use crate::clock::now;
use crate::code::Code;
use crate::error::BadInput;
use crate::scaler;

/// Time between two pictures where nothing comes: the age of the data is told in seconds.
const REDRAW: Duration = Duration::from_secs(1);

/// Parts of the feed that may wait for a picture: a second or so of turns.
const LOADS: usize = 16;

/// Shows it until somebody ends it.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    require_terminal(io::stdout().is_terminal())?;
    let scaler = scaler::client(settings)?.with_patience(Duration::ZERO);
    let theme = Theme::of_environment(std::env::var_os("NO_COLOR").as_deref());
    let mut ended = signal(SignalKind::terminate())?;
    let mut screen = Screen::open()?;
    let mut keys = terminal::keys();
    let (answer, mut told) = mpsc::channel(1);
    let mut asking = pin!(ask::forever(&scaler, &answer));
    let (tell, mut loads) = mpsc::channel(LOADS);
    let mut following = pin!(load::forever(&scaler, &tell));
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut state = State::default();
    loop {
        screen.draw(|frame| draw::draw(&state, now(), theme, frame))?;
        let flow = tokio::select! {
            () = &mut asking => Flow::Ends,
            () = &mut following => Flow::Ends,
            Some(answer) = told.recv() => state.took(answer),
            Some(loads) = loads.recv() => state.took_loads(loads),
            // Without a keyboard nobody could end it.
            key = keys.recv() => key.map_or(Flow::Ends, |event| keys::action(&event).map_or(Flow::GoesOn, |it| state.act(it))),
            _ = redraw.tick() => Flow::GoesOn,
            _ = ended.recv() => Flow::Ends,
        };
        if flow == Flow::Ends {
            return Ok(());
        }
    }
}

fn require_terminal(is_terminal: bool) -> Result<(), BadInput> {
    let told = || {
        anyhow!(
            "top draws on a terminal, and standard output is none: `bellows services` shows the same once, and \
             `--json` of it is for programs"
        )
    };
    is_terminal.then_some(()).ok_or_else(|| BadInput::new(told()).coded(Code::Usage))
}

#[cfg(test)]
pub(crate) use draw::tests::status;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_refused_where_nobody_can_see_it() {
        assert!(require_terminal(true).is_ok());
        let told = require_terminal(false).unwrap_err().to_string();
        assert!(told.starts_with("top draws on a terminal"), "{told}");
    }
}
