//! What services answer, as the load balancer tells it by a pipe: read as it comes, and gathered until it is taken.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host::answer_pipe::AnswerPipe;
use model::names::ServiceName;
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::Responses;
use crate::series::answers::Answers;

/// How often the pipe is read, which is all the time by which an answer may come into the second after its own. Nobody
/// is woken by each line: at 1,000 answers a second that would be 1,000 times, and is 20.
const READ_EVERY: Duration = Duration::from_millis(50);

/// How often a pipe that cannot be opened is tried again, in readings.
const OPEN_EVERY: u32 = 20;

/// What was answered since it was last taken. Without a reader that is nothing.
#[derive(Debug, Default)]
pub struct Answered {
    gathered: Mutex<BTreeMap<ServiceName, Answers>>,
}

impl Answered {
    /// Takes what was gathered.
    pub fn take(&self) -> BTreeMap<ServiceName, Answers> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, Answers>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the pipe for as long as the console runs, also while the scaler is away: what is left in it has no time.
#[derive(Debug)]
pub struct Reader {
    /// Where the pipe is.
    pub path: PathBuf,
    /// Where what is read is gathered.
    pub answered: Arc<Answered>,
    /// And where it is counted.
    pub responses: Responses,
}

impl Reader {
    /// Reads until `stop` completes.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut pipe, mut round, mut told) = (None, 0_u32, None);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = ticks.tick() => {}
            }
            if pipe.is_none() && round.is_multiple_of(OPEN_EVERY) {
                pipe = self.opened(&mut told);
            }
            round = round.wrapping_add(1);
            if pipe.as_mut().is_some_and(|pipe| !self.is_read(pipe)) {
                pipe = None;
            }
        }
    }

    /// The pipe, if it can be had. Why not is told once.
    fn opened(&self, told: &mut Option<io::ErrorKind>) -> Option<AnswerPipe> {
        match AnswerPipe::open(&self.path) {
            Ok(pipe) => {
                *told = None;
                tracing::info!("the load balancer tells of its answers");
                Some(pipe)
            }
            Err(error) => {
                if told.replace(error.kind()) != Some(error.kind()) {
                    let pipe = self.path.display();
                    tracing::warn!(%error, %pipe, "no response times are known; trying again");
                }
                None
            }
        }
    }

    /// Reads what has come, and says whether more may come from there.
    fn is_read(&mut self, pipe: &mut AnswerPipe) -> bool {
        let Self { answered, responses, .. } = self;
        let mut gathered = answered.lock();
        let read = pipe.read(|answer| {
            responses.count(&answer);
            match gathered.get_mut(&answer.service) {
                Some(answers) => answers.add(answer.class, answer.time_ms),
                None => {
                    let answers = gathered.entry(answer.service).or_default();
                    answers.add(answer.class, answer.time_ms);
                }
            }
        });
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, "the answers cannot be read; opening the pipe anew");
            false
        })
    }
}
