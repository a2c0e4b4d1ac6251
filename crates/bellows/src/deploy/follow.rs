//! Follows a deploy to its verdict, from wherever it is.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use command_line::terminal;
use host::deploys::Beginning;
use host::jobs::{BEGINS_WITHIN, Job, JobFiles};
use model::job::Outcome;
use tokio::time::{Instant, sleep};

use crate::code::Code;
use crate::error::Coded;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// How much of the log is shown at a time.
const CHUNK_BYTES: u64 = 1 << 16;

/// Shows what a deploy writes as it comes, until it has ended. `beginning` keeps others from beginning one until the
/// job has begun.
///
/// # Errors
/// The verdict of one that did not end well.
pub(super) async fn follow(
    files: &JobFiles,
    job: &Job,
    beginning: Beginning,
) -> anyhow::Result<()> {
    let log = files.log();
    let mut log = File::open(&log).with_context(|| format!("{} is gone", log.display()))?;
    let started = Instant::now();
    let mut beginning = Some(beginning);
    loop {
        // In this order: a job that has ended has written all.
        let is_under_way = files.is_running();
        let outcome = outcome(files);
        show(&mut log)?;
        // Not before the job is gone, so that another one can be begun at once.
        if let Some(Outcome { is_well, verdict }) = outcome.filter(|_| !is_under_way) {
            if is_well {
                terminal::print_line(verdict);
                return Ok(());
            }
            return Err(Coded::new(Code::DeployFailed, anyhow!(verdict)).into());
        }
        if is_under_way {
            beginning = None;
        } else if beginning.is_none() || started.elapsed() > BEGINS_WITHIN {
            bail!(
                "the deploy{} was cut off, and {}: `bellows status` shows what serves; deploy it again",
                job.service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default(),
                match beginning {
                    None => "its process is gone",
                    Some(_) => "its process did not begin",
                }
            );
        }
        sleep(PAUSE).await;
    }
}

/// How it ended.
fn outcome(files: &JobFiles) -> Option<Outcome> {
    files.read().ok().flatten()?.outcome
}

/// Shows what has been written since the last time. What builds write comes with control characters as escapes.
fn show(log: &mut File) -> anyhow::Result<()> {
    loop {
        let mut text = Vec::new();
        log.take(CHUNK_BYTES).read_to_end(&mut text)?;
        if text.is_empty() {
            return Ok(());
        }
        // Nobody may read it any more.
        let _ = io::stdout().write_all(&text).and_then(|()| io::stdout().flush());
    }
}
