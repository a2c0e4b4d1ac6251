//! Tells the person at the terminal how a run is going.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use command_line::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use run::summary::Requests;

/// Without a terminal, as in a log file, a line comes this often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
const IN_SECONDS: &str = "{prefix:>9} {wide_bar:.cyan/dim} {pos:>4}/{len}s  {msg}";
const IN_REQUESTS: &str = "{prefix:>9} {wide_bar:.cyan/dim} {pos:>4}/{len} requests  {msg}";

/// What there is of a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// So much time at most.
    Time(Duration),
    /// So many requests, for as long as they take.
    Requests(u64),
}

/// A bar on a terminal, lines elsewhere; both on the standard error.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    stage: &'static str,
    length: Length,
    next_line: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(ProgressBar::no_length);
        Self { bar, stage: "", length: Length::Time(Duration::ZERO), next_line: Instant::now() }
    }

    /// The next stage begins.
    pub(crate) fn stage(&mut self, stage: &'static str, length: Length) {
        (self.stage, self.length, self.next_line) = (stage, length, Instant::now());
        if let Some(bar) = &self.bar {
            let (template, length) = match length {
                Length::Time(time) => (IN_SECONDS, time.as_secs()),
                Length::Requests(requests) => (IN_REQUESTS, requests),
            };
            // The template is a constant; without it the bar has its default look.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_length(length);
            bar.set_position(0);
            bar.set_prefix(stage);
            bar.set_message("");
        } else {
            match length {
                Length::Time(time) => {
                    let seconds = time.as_secs_f64().ceil();
                    terminal::note(format_args!("{stage}: up to {seconds:.0} s"));
                }
                Length::Requests(requests) => {
                    terminal::note(format_args!("{stage}: {requests} requests"));
                }
            }
            self.next_line += LINE_INTERVAL;
        }
    }

    /// How far the stage is.
    pub(crate) fn update(&mut self, elapsed: Duration, requests: Requests, ready: Option<u32>) {
        let Requests { due, ok, failed, dropped, .. } = requests;
        let instances = ready.map(|n| format!(", {n} ready")).unwrap_or_default();
        let message = format!("{ok} ok, {failed} failed, {dropped} dropped{instances}");
        if let Some(bar) = &self.bar {
            bar.set_position(match self.length {
                Length::Time(time) => elapsed.min(time).as_secs(),
                Length::Requests(_) => due,
            });
            bar.set_message(message);
        } else if Instant::now() >= self.next_line {
            self.next_line += LINE_INTERVAL;
            let (stage, seconds) = (self.stage, elapsed.as_secs());
            terminal::note(format_args!("{stage} {seconds:>4} s: {message}"));
        }
    }

    /// Something that the person should know, above the bar.
    pub(crate) fn warn(&self, text: &str) {
        let warn = || terminal::note(format_args!("warning: {text}"));
        match &self.bar {
            Some(bar) => bar.suspend(warn),
            None => warn(),
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
