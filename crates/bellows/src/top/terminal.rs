//! The terminal: taken over whole, and given back as it was.

use std::io;
use std::thread;

use crossterm::event::{self, Event};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

/// The screen that is drawn on. The terminal is given back when it goes, also after a panic, whose message is seen then.
#[derive(Debug)]
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal over.
    pub(super) fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }

    /// Draws one picture. Only what changed is written.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> io::Result<()> {
        self.0.draw(draw).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What the terminal tells, as it comes. It ends where the terminal is gone.
pub(super) fn keys() -> mpsc::Receiver<Event> {
    let (tell, told) = mpsc::channel(16);
    // To read waits, and nothing ends it but the program's end.
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if tell.blocking_send(event).is_err() {
                return;
            }
        }
    });
    told
}
