//! A rehearsal under way: what its program writes, how that ends, and what it answers.

use std::io;
use std::time::{Duration, Instant};

use tokio::net::unix::pipe::Receiver;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::asker::{Asked, Asker};
use crate::build::lines::Lines;
use crate::lxc::one_run::{OneRun, Running};

/// How often it is looked whether its first process is there, and what our init says.
const LOOK: Duration = Duration::from_millis(20);

/// How long who asks may take beyond the deadline: two questions of half a second, and a busy machine.
const GRACE: Duration = Duration::from_secs(3);

/// What is shown of what a program writes.
const SHOWN_BYTES: usize = 65_536;

/// As much as is read at a time.
const READ_BYTES: usize = 65_536;

/// What our init says last, of how the program ended.
const ENDED: &str = "bellows: the program ";

/// What has come of a rehearsal.
#[derive(Debug)]
pub(super) struct Outcome {
    /// `None` where the program ended before that was known, or there was no more time.
    pub(super) asked: Option<Asked>,
    pub(super) has_ended: bool,
    /// How the program ended, as far as our init tells.
    pub(super) how: Option<String>,
    /// Whether the program or our init wrote anything.
    pub(super) has_written: bool,
    /// The last lines.
    pub(super) tail: String,
}

struct Watch<'a, F> {
    lines: Lines,
    /// Its standard error, where our init says how the program ended, however much comes before that.
    stderr: Lines,
    how: Option<String>,
    has_written: bool,
    give: &'a mut F,
    bytes: Vec<u8>,
}

/// Waits until it is known by what the application can serve, its program has ended, or the deadline is over.
pub(super) async fn watch(
    running: &mut Running,
    container: &OneRun,
    port: u16,
    deadline: Instant,
    give: &mut (impl FnMut(&str) + Send),
) -> io::Result<Outcome> {
    let (lines, stderr) = (Lines::new(SHOWN_BYTES), Lines::new(usize::MAX));
    let bytes = vec![0; READ_BYTES];
    let mut watch = Watch { lines, stderr, how: None, has_written: false, give, bytes };
    let mut timer = interval(LOOK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asker: Option<Asker> = None;
    let (asked, has_ended) = loop {
        tokio::select! {
            _ = running.end.wait() => break (None, true),
            answer = answer(&mut asker) => break (Some(answer?), false),
            _ = timer.tick() => {
                watch.take(&running.output, &running.init_says);
                if let (None, Some(process)) = (&asker, container.process()) {
                    // One that has ended, or has no namespace of its own yet, is looked at again.
                    asker = Asker::start(&process, port, deadline).ok();
                }
            }
            () = sleep_until((deadline + GRACE).into()) => break (None, false),
        }
    };
    watch.take(&running.output, &running.init_says);
    let Watch { lines, stderr, give, .. } = &mut watch;
    stderr.finish(&mut |line| lines.push(format!("{line}\n").as_bytes(), give));
    lines.finish(give);
    let Watch { lines, how, has_written, .. } = watch;
    Ok(Outcome { asked, has_ended, how, has_written, tail: lines.tail() })
}

/// What who asks has found; never, where nobody asks yet.
async fn answer(asker: &mut Option<Asker>) -> io::Result<Asked> {
    match asker {
        Some(asker) => {
            (&mut asker.answer).await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
        }
        None => std::future::pending().await,
    }
}

impl<F: FnMut(&str)> Watch<'_, F> {
    /// Takes what is there of both outputs, and no more of it than pipes hold: who writes may be as fast.
    fn take(&mut self, stdout: &Receiver, stderr: &Receiver) {
        for _ in 0..16 {
            let Some(count) = self.read(stdout) else { break };
            self.lines.push(&self.bytes[..count], self.give);
        }
        for _ in 0..16 {
            let Some(count) = self.read(stderr) else { break };
            let (lines, how, give) = (&mut self.lines, &mut self.how, &mut *self.give);
            let mut told = |line: &str| {
                if let Some(end) = line.strip_prefix(ENDED) {
                    *how = Some(end.to_owned());
                }
                lines.push(format!("{line}\n").as_bytes(), give);
            };
            self.stderr.push(&self.bytes[..count], &mut told);
        }
    }

    fn read(&mut self, output: &Receiver) -> Option<usize> {
        let count = output.try_read(&mut self.bytes).ok().filter(|count| *count > 0)?;
        self.has_written = true;
        Some(count)
    }
}
