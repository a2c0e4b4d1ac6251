//! Tells the person at the terminal how a run is going.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use report::summary::Requests;

/// Without a terminal, as in a log file, a line comes this often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
const TEMPLATE: &str = "{prefix:>9} {wide_bar:.cyan/dim} {pos:>4}/{len}s  {msg}";

/// A bar on a terminal, lines elsewhere; both on the standard error.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    stage: &'static str,
    length: Duration,
    next_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::no_length);
        Self { bar, stage: "", length: Duration::ZERO, next_line: Instant::now() }
    }

    /// The next stage begins; it takes `length` at most.
    pub(crate) fn stage(&mut self, stage: &'static str, length: Duration) {
        (self.stage, self.length, self.next_line) = (stage, length, Instant::now());
        if let Some(bar) = &self.bar {
            // The template is a constant; without it the bar has its default look.
            if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
                bar.set_style(style);
            }
            bar.set_length(length.as_secs());
            bar.set_position(0);
            bar.set_prefix(stage);
            bar.set_message("");
        } else {
            eprintln!("{stage}: up to {:.0} s", length.as_secs_f64().ceil());
            self.next_line += LINE_INTERVAL;
        }
    }

    /// How far the stage is.
    pub(crate) fn update(&mut self, elapsed: Duration, requests: Requests, ready: Option<u32>) {
        let Requests { ok, failed, dropped, .. } = requests;
        let instances = ready.map(|n| format!(", {n} ready")).unwrap_or_default();
        let message = format!("{ok} ok, {failed} failed, {dropped} dropped{instances}");
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.min(self.length).as_secs());
            bar.set_message(message);
        } else if Instant::now() >= self.next_line {
            self.next_line += LINE_INTERVAL;
            eprintln!("{} {:>4} s: {message}", self.stage, elapsed.as_secs());
        }
    }

    /// Something that the person should know, above the bar.
    pub(crate) fn warn(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("warning: {text}")),
            None => eprintln!("warning: {text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
