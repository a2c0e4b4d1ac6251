//! The scaler's feed, read for as long as the console runs.

use std::sync::Arc;
use std::time::Duration;

use model::feed::FeedLine;
use scaler_client::{Feed, Scaler, ScalerError, TickFilter};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{EVENTS, Intake, Now, Taken};
use crate::answered::Answered;
use crate::history::{History, Recorder, Wanted};
use crate::live::Hub;
use crate::metrics::Counted;
use crate::notify::Notifier;
use crate::series::point::Row;

/// The scaler tells something in every second.
const SILENCE: Duration = Duration::from_secs(5);

/// How long to wait before a scaler that is away is asked again: twice as long each time, up to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often the history is given what came.
const RECORD_EVERY: Duration = Duration::from_secs(1);

/// How long the first question to the history is waited for, so that the scaler's record is asked for what is missing.
const HISTORY: Duration = Duration::from_secs(10);

/// Follows the scaler.
#[derive(Debug)]
pub struct Follower {
    /// Where the scaler is.
    pub scaler: Scaler,
    /// What services answered.
    pub answered: Arc<Answered>,
    /// What is known now.
    pub now: Arc<Now>,
    /// Who is told live.
    pub hub: Arc<Hub>,
    /// What is counted of it.
    pub counted: Counted,
    /// Where it is kept.
    pub recorder: Recorder,
    /// Who tells others; `None` where nobody does.
    pub notifier: Option<Notifier>,
}

impl Follower {
    /// Follows the scaler until `stop` completes, and then has what came written.
    pub async fn run(self, history: History, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let sequence = self.last_sequence(&history).await;
        self.remember(&history).await;
        let mut intake = Intake::after(sequence);
        let mut wait = BACK_OFF.0;
        loop {
            let began = Instant::now();
            let why = tokio::select! {
                () = &mut stop => break,
                why = self.follow(&mut intake) => why,
            };
            if began.elapsed() > BACK_OFF.1 {
                wait = BACK_OFF.0;
            }
            let told = service::exit::chain(&why);
            tracing::warn!(error = told, "the scaler does not tell; asking again");
            self.now.lost(told);
            self.tell(intake.lose());
            self.record(&mut intake);
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(BACK_OFF.1);
        }
        self.tell(intake.lose());
        self.record(&mut intake);
        self.recorder.flush().await;
    }

    /// What the history knows of the scaler's record; 0 where it is not there.
    async fn last_sequence(&self, history: &History) -> u64 {
        let known = async {
            self.recorder.flush().await;
            history.last_sequence().await
        };
        match timeout(HISTORY, known).await {
            Ok(Ok(sequence)) => sequence,
            Ok(Err(error)) => {
                tracing::warn!(%error, "all of the scaler's record is asked for");
                0
            }
            Err(_) => 0,
        }
    }

    /// What happened before this run is what happened last, until something else does.
    async fn remember(&self, history: &History) {
        let events = history.events(Wanted::newest(EVENTS), None).await.unwrap_or_default();
        events.into_iter().for_each(|it| self.now.happened(it.into()));
    }

    /// Follows until the scaler does not tell any more, and says why.
    async fn follow(&self, intake: &mut Intake) -> FollowError {
        match self.follow_feed(intake).await {
            Ok(never) => match never {},
            Err(why) => why,
        }
    }

    async fn follow_feed(
        &self,
        intake: &mut Intake,
    ) -> Result<std::convert::Infallible, FollowError> {
        // First the feed, so that nothing lies between.
        let mut feed = self.scaler.feed().await?;
        let (missed, _) = self.scaler.ticks(&TickFilter::default(), intake.sequence()).await?;
        intake.recall(missed);
        // What was answered until now is of no second.
        self.answered.take();
        tracing::info!("the scaler tells");
        self.now.found();
        let mut second = interval(RECORD_EVERY);
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                lines = next(&mut feed) => {
                    heard = Instant::now();
                    // Before a turn that may end their second.
                    intake.answers(&self.answered.take());
                    for line in lines? {
                        self.take(intake, line);
                    }
                }
                _ = second.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Err(FollowError::Silent);
                    }
                    self.tell(intake.pass());
                    self.record(intake);
                    self.notifier.iter().for_each(|it| it.services(&self.now.names()));
                }
            }
        }
    }

    fn take(&self, intake: &mut Intake, line: FeedLine) {
        match line {
            FeedLine::Tick(tick) => {
                self.notifier.iter().for_each(|it| it.tick(&tick));
                self.now.tick((*tick).clone());
                self.tell(intake.tick(*tick));
            }
            FeedLine::Service(service) => {
                self.tell(intake.service(&service));
                self.now.service(&service);
            }
            FeedLine::Network(network) => self.now.network(network),
        }
    }

    fn tell(&self, taken: Vec<Taken>) {
        for it in taken {
            match &it {
                Taken::Event(event) => {
                    self.counted.event(event);
                    self.now.happened(event.clone());
                }
                Taken::Second(row) => self.now.second(Row::clone(row)),
                Taken::Tick(_) => {}
            }
            self.hub.tell(&it);
        }
    }

    fn record(&self, intake: &mut Intake) {
        let batch = intake.batch();
        if !batch.is_empty() {
            self.recorder.record(batch);
        }
    }
}

/// Why the scaler does not tell any more.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Scaler(#[from] ScalerError),
    #[error("the scaler has ended what it told")]
    Ended,
    #[error("the scaler has told nothing for {} s", SILENCE.as_secs())]
    Silent,
}

async fn next(feed: &mut Feed) -> Result<Vec<FeedLine>, FollowError> {
    feed.next().await?.ok_or(FollowError::Ended)
}
