//! Steps as the operator sees them: what is under way when it takes long, and how each one ended.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use command_line::terminal;
use host::trace;
use indicatif::{ProgressBar, ProgressStyle};

/// A step that takes no longer is only shown when it has ended.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// How often the terminal's spinner turns.
const SPINNER_TURN: Duration = Duration::from_millis(120);

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All was as it should be.
    Unchanged,
    /// What was done about it.
    Changed(String),
}

impl Outcome {
    /// The outcome of something that says whether it changed anything.
    pub(crate) fn changed_if(changed: bool, what: impl Into<String>) -> Self {
        if changed { Self::Changed(what.into()) } else { Self::Unchanged }
    }
}

/// The steps of one command.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// How many changed something.
    pub(crate) changes: usize,
}

impl Progress {
    /// Carries out one step: says that it is under way when it takes over a second, and how it
    /// ended when it changed something.
    pub(crate) async fn step(
        &mut self,
        name: &str,
        work: impl Future<Output = anyhow::Result<Outcome>>,
    ) -> anyhow::Result<()> {
        if let Outcome::Changed(what) = trace::step(name, with_sign_of_life(name, work)).await? {
            self.changes += 1;
            report(name, &what);
        }
        Ok(())
    }
}

/// Prints one line about a step.
fn report(name: &str, what: &str) {
    terminal::note(format_args!("  {name:<12} {what}"));
}

async fn with_sign_of_life<T>(name: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(SHOWN_AFTER, &mut work).await {
        return done;
    }
    if !stderr().is_terminal() {
        report(name, "under way ...");
        return work.await;
    }
    let spinner = ProgressBar::new_spinner().with_message(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("  {msg:12} {spinner} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(SPINNER_TURN);
    let done = work.await;
    spinner.finish_and_clear();
    done
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[tokio::test]
    async fn only_steps_that_changed_something_are_counted() {
        let mut progress = Progress::default();
        for outcome in [Outcome::Unchanged, Outcome::Changed("made".to_owned())] {
            progress.step("bridge", async { Ok(outcome) }).await.unwrap();
        }
        assert_eq!(progress.changes, 1);
        assert!(progress.step("bridge", async { bail!("no bridge") }).await.is_err());
        assert_eq!(progress.changes, 1);
    }
}
