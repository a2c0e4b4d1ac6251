//! What comes of each thing that the scaler tells. Pure: the time is what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::feed::ServiceFeed;
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;

use crate::events::{Cause, Derived, Event, Happened};
use crate::history::Batch;
use crate::series::answers::Answers;
use crate::series::point::Row;
use crate::series::seconds::Seconds;

/// A gap shorter than this is none: between two seconds there always is some time.
const GAP: Duration = Duration::from_secs(3);

/// A clock that was set back by more than this makes earlier turns later ones.
const BACK: Duration = Duration::from_secs(60);

/// What live readers are told at once.
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// A turn that the scaler's record keeps.
    Tick(Arc<Tick>),
    /// Something happened.
    Event(Event),
    /// A second is over.
    Second(Box<Row>),
}

/// Takes in what the scaler tells, in its order.
#[derive(Debug, Default)]
pub struct Intake {
    seconds: Seconds,
    derived: Derived,
    /// For the history, since it was last given.
    batch: Batch,
    /// The last turn of all services.
    last: Option<Timestamp>,
    /// Since when the scaler was away, until it tells of a turn.
    lost: Option<Timestamp>,
    /// Up to here the record was asked, and what happened is known.
    recalled: Option<Timestamp>,
    sequence: u64,
}

impl Intake {
    /// One that goes on behind this number of the scaler's record.
    pub fn after(sequence: u64) -> Self {
        Self { sequence, ..Self::default() }
    }

    /// The number of the scaler's record behind which to ask for what was missed.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// A turn, as it happens.
    pub fn tick(&mut self, tick: Tick) -> Vec<Taken> {
        let tick = Arc::new(tick);
        let mut taken = Vec::new();
        taken.extend(self.gap(tick.at).map(Taken::Event));
        let second = self.seconds.tick(&tick);
        taken.extend(second.map(Box::new).map(Taken::Second));
        if self.is_new(&tick) {
            taken.extend(self.derived.tick(&tick).into_iter().map(Taken::Event));
        }
        if tick.sequence > 0 {
            // A lower one than before: the scaler's record begins anew.
            self.sequence = tick.sequence;
            taken.push(Taken::Tick(Arc::clone(&tick)));
        }
        self.last = Some(tick.at);
        self.batch.turns.push(tick);
        self.note(&taken);
        taken
    }

    /// Turns that were missed, of the scaler's record, in their order. Nobody is told of them live: they are past.
    pub fn recall(&mut self, ticks: Vec<Tick>) {
        for tick in &ticks {
            self.batch.events.extend(self.derived.tick(tick));
            self.sequence = tick.sequence;
            self.recalled = Some(tick.at);
        }
        self.batch.recalled.extend(ticks);
    }

    /// A service and its instances.
    pub fn service(&mut self, feed: &ServiceFeed) -> Vec<Taken> {
        self.seconds.instances(feed);
        let taken: Vec<_> = self.derived.service(feed).map(Taken::Event).into_iter().collect();
        self.note(&taken);
        taken
    }

    /// What services answered since this was last told.
    pub fn answers(&mut self, answered: &BTreeMap<ServiceName, Answers>) {
        for (service, answers) in answered {
            self.seconds.answers(service, answers);
        }
    }

    /// Some time has passed: seconds of services for which no turn comes any more are over. By the time of what was told, so
    /// that what comes late is not cut in two.
    pub fn pass(&mut self) -> Vec<Taken> {
        let Some(last) = self.last else { return Vec::new() };
        let over = self.seconds.close_before(last.before(Duration::from_secs(1)));
        let taken: Vec<_> = over.into_iter().map(Box::new).map(Taken::Second).collect();
        self.note(&taken);
        taken
    }

    /// The scaler does not tell any more. What was open of a second is what there is of it.
    pub fn lose(&mut self) -> Vec<Taken> {
        self.lost = self.lost.or(self.last);
        let taken: Vec<_> =
            self.seconds.close_all().into_iter().map(Box::new).map(Taken::Second).collect();
        self.note(&taken);
        taken
    }

    /// What the history has not been given yet.
    pub fn batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    fn gap(&mut self, at: Timestamp) -> Option<Event> {
        let from = self.lost.take().filter(|lost| at.since(*lost) > GAP)?;
        let happened = Happened::Gap { from, to: at, cause: Cause::ScalerAway };
        Some(Event { at, service: None, happened })
    }

    /// Whether what happened at a turn was not recalled already.
    fn is_new(&mut self, tick: &Tick) -> bool {
        let recalled = self.recalled.filter(|it| tick.at <= *it && it.since(tick.at) < BACK);
        recalled.is_none()
    }

    fn note(&mut self, taken: &[Taken]) {
        for it in taken {
            match it {
                Taken::Event(event) => self.batch.events.push(event.clone()),
                Taken::Second(row) => self.batch.rows.push(Row::clone(row)),
                Taken::Tick(_) => {}
            }
        }
    }
}
