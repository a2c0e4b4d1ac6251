//! A build under way: what it writes is handed on as it comes, and it ends at its deadline.

use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::disk::Disk;
use super::limits::BuildLimits;
use super::lines::Lines;
use crate::lxc::one_run::{OUTPUT_PIPE_BYTES, Running};

/// How often the disk is looked at, and what is written after the last line that is shown.
const LOOK: Duration = Duration::from_millis(50);

/// What our init says last, of how the program ended. LXC's own status does not tell.
const ENDED: &str = "bellows: the program ";

/// How one ends that did well.
const WELL: &str = "ended with status 0";

/// As much as a pipe holds.
const READ_BYTES: usize = 65_536;

/// As much as that of our init holds, which is left as large as it is made.
const INIT_PIPE_BYTES: usize = 65_536;

/// How a build ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) end: End,
    /// Whether its disk was full at any time.
    pub(super) was_full: bool,
    /// Its last lines.
    pub(super) tail: String,
}

/// How the program of a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With status 0.
    Well,
    /// In another way, told as what follows "the build".
    Badly(String),
    /// At its deadline.
    Late,
    /// Nobody knows: it did not start, or our init was killed with it.
    Unknown,
}

/// What is known of a build.
struct Watch<'a, F> {
    lines: Lines,
    init: Lines,
    /// How many bytes of what our init says may still be given: the program can write there as well.
    init_left: usize,
    /// What our init said last. A program that says it in its place deceives nobody but whoever wrote it.
    end: End,
    give: &'a mut F,
    bytes: Vec<u8>,
}

/// Waits for the end of a build, or brings it about.
pub(super) async fn supervise(
    running: &mut Running,
    disk: &Disk,
    limits: &BuildLimits,
    give: &mut impl FnMut(&str),
) -> Outcome {
    // However much comes before it, how the program ended is looked for in all that our init says.
    let (lines, init) = (Lines::new(limits.output_bytes), Lines::new(usize::MAX));
    let (bytes, init_left) = (vec![0; READ_BYTES], READ_BYTES);
    let mut watch = Watch { lines, init, init_left, end: End::Unknown, give, bytes };
    let deadline = Instant::now() + limits.deadline;
    let mut timer = interval(LOOK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_full = false;
    let is_late = loop {
        // What is not shown any more is taken now and then, for the last lines alone.
        let is_read_at_once = !watch.lines.is_over();
        tokio::select! {
            _ = running.end.wait() => break false,
            _ = running.output.readable(), if is_read_at_once => watch.take(&running.output),
            _ = timer.tick() => {
                was_full |= disk.is_full();
                watch.take(&running.output);
                watch.take_init(&running.init_says);
            }
            () = sleep_until(deadline) => {
                running.end.kill();
                // It is dead, or unkillable in the kernel, which then is told by what is left.
                let _ = tokio::time::timeout(Duration::from_secs(10), running.end.wait()).await;
                break true;
            }
        }
    };
    // Nobody writes any more: it is what the pipe holds.
    for _ in 0..=OUTPUT_PIPE_BYTES / READ_BYTES {
        watch.take(&running.output);
    }
    watch.lines.finish(watch.give);
    for _ in 0..=INIT_PIPE_BYTES / READ_BYTES {
        watch.take_init(&running.init_says);
    }
    let end = if is_late { End::Late } else { watch.end };
    Outcome { end, was_full, tail: watch.lines.tail() }
}

impl<F: FnMut(&str)> Watch<'_, F> {
    /// Takes what is there of what the build writes: what the pipe holds, and no more than it can hold, for who
    /// writes may be as fast.
    fn take(&mut self, output: &Receiver) {
        for _ in 0..2 {
            match output.try_read(&mut self.bytes) {
                Ok(count @ 1..) => self.lines.push(&self.bytes[..count], self.give),
                Ok(0) | Err(_) => return,
            }
        }
    }

    /// The same of our init, which says that the program has ended, why it could not be started, and how much of what
    /// it writes found no room. No more than that at a time either: the program runs as who may write there.
    fn take_init(&mut self, output: &Receiver) {
        for _ in 0..2 {
            let Ok(count @ 1..) = output.try_read(&mut self.bytes) else { return };
            let (end, left, give) = (&mut self.end, &mut self.init_left, &mut *self.give);
            let mut told = |line: &str| match line.strip_prefix(ENDED) {
                Some(WELL) => *end = End::Well,
                Some(how) => *end = End::Badly(how.to_owned()),
                None => {
                    if let Some(rest) = left.checked_sub(line.len() + 1) {
                        *left = rest;
                        give(line);
                    }
                }
            };
            self.init.push(&self.bytes[..count], &mut told);
        }
    }
}
