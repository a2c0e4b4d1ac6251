//! Who records turns, and what is handed to whom. The loop never waits for a reader: one that does not take the lines
//! as they come loses its recording, and is told so by the last one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use policy::controller::{Controller, ServiceObservation, TurnContext};
use policy::recording::{End, Header, LineRef, Recorder, Turn};
use tokio::sync::mpsc::{self, OwnedPermit, Receiver, Sender};

use crate::lock::lock;

/// Lines that wait for a reader at most: some 25 s of a service at rest, and 10 s of one that launches and stops
/// instances all the time.
const LINES: usize = 256;

/// Recordings at a time on the host. Each takes some of the thread on which the loop runs.
pub(crate) const MOST: usize = 4;

/// The recordings that are being taken.
#[derive(Debug, Default)]
pub(crate) struct Recordings {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Those of a service are not here while it takes its turn.
    by_service: BTreeMap<ServiceName, Vec<Taker>>,
    /// The loop has ended, and there are no turns any more.
    is_over: bool,
}

/// Why no recording begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There are [`MOST`].
    TooMany,
    /// The scaler ends.
    Over,
}

impl Recordings {
    /// Begins a recording with the next turn of a service. Each line comes with its end.
    ///
    /// # Errors
    /// There are too many, or the scaler ends.
    pub(crate) fn begin(&self, service: &ServiceName) -> Result<Receiver<Vec<u8>>, Refused> {
        let mut held = lock(&self.held);
        if held.is_over {
            return Err(Refused::Over);
        }
        // Readers that are gone are found at the next turn, and make room at once.
        held.by_service.values_mut().for_each(|takers| takers.retain(Taker::is_read));
        if held.by_service.values().map(Vec::len).sum::<usize>() >= MOST {
            return Err(Refused::TooMany);
        }
        let (lines, reader) = mpsc::channel(LINES);
        let taker = Taker::begin(&Header::of(service.clone()), lines);
        held.by_service.entry(service.clone()).or_default().extend(taker);
        Ok(reader)
    }

    /// Takes the turn of a service, and records it where somebody asks for that.
    pub(crate) fn turn(
        &self,
        controller: &mut Controller,
        context: &TurnContext,
        observed: ServiceObservation,
        now: Timestamp,
    ) -> Tick {
        let service = &context.spec.name;
        let takers = lock(&self.held).by_service.remove(service);
        let Some(takers) = takers else { return controller.turn(context, observed, now) };
        let inputs = |taker: Taker| taker.inputs(controller, context, &observed, now);
        let begun: Vec<_> = takers.into_iter().filter_map(inputs).collect();
        let tick = controller.turn(context, observed, now);
        let outcome = |(taker, turn): (Taker, Turn)| taker.outcome(turn, &tick);
        let takers: Vec<_> = begun.into_iter().filter_map(outcome).collect();
        if !takers.is_empty() {
            lock(&self.held).by_service.entry(service.clone()).or_default().extend(takers);
        }
        tick
    }

    /// From the next turn on, services have other controllers.
    pub(crate) fn start_anew(&self) {
        let mut held = lock(&self.held);
        held.by_service.values_mut().flatten().for_each(|taker| taker.recorder = None);
    }

    /// Ends those of services that are not deployed.
    pub(crate) fn withdraw(&self, is_deployed: impl Fn(&ServiceName) -> bool) {
        let is_withdrawn = |service: &ServiceName, _: &mut _| !is_deployed(service);
        for (_, takers) in lock(&self.held).by_service.extract_if(.., is_withdrawn) {
            takers.into_iter().for_each(|taker| taker.end(End::Withdrawn));
        }
    }

    /// Ends all, since there are no turns any more.
    pub(crate) fn end(&self) {
        let mut held = lock(&self.held);
        held.is_over = true;
        for (_, takers) in std::mem::take(&mut held.by_service) {
            takers.into_iter().for_each(|taker| taker.end(End::ScalerEnded));
        }
    }
}

/// Who takes a recording.
#[derive(Debug)]
struct Taker {
    /// `None` where its next turn begins with the whole controller.
    recorder: Option<Recorder>,
    lines: Sender<Vec<u8>>,
    /// The last place in the channel, kept for the word with which it ends.
    last: OwnedPermit<Vec<u8>>,
}

impl Taker {
    fn begin(header: &Header, lines: Sender<Vec<u8>>) -> Option<Self> {
        let last = lines.clone().try_reserve_owned().ok()?;
        let taker = Self { recorder: None, lines, last };
        taker.send(&LineRef::Recording(header))
    }

    fn is_read(&self) -> bool {
        !self.lines.is_closed()
    }

    /// What a turn is about to be taken with. `None` where nobody reads it any more.
    fn inputs(
        mut self,
        controller: &Controller,
        context: &TurnContext,
        observed: &ServiceObservation,
        now: Timestamp,
    ) -> Option<(Self, Turn)> {
        if self.recorder.is_none() {
            self = self.send(&LineRef::Start(controller))?;
        }
        let recorder = self.recorder.get_or_insert_default();
        let turn = recorder.inputs(context, observed, now);
        Some((self, turn))
    }

    /// The turn with what came of it. `None` where it was the last one.
    fn outcome(mut self, turn: Turn, tick: &Tick) -> Option<Self> {
        let turn = self.recorder.get_or_insert_default().outcome(turn, tick);
        self.send(&LineRef::Turn(&turn))
    }

    /// Hands a line to the reader, unless it is gone or too slow.
    fn send(self, line: &LineRef) -> Option<Self> {
        let text = line.to_text().inspect_err(|error| {
            tracing::error!(%error, "a turn cannot be recorded: this is a fault of the scaler");
        });
        match self.lines.try_send(text.ok()?) {
            Ok(()) => Some(self),
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::info!("a recording ends: its reader is too slow");
                self.end(End::TooSlow);
                None
            }
            Err(mpsc::error::TrySendError::Closed(_)) => None,
        }
    }

    fn end(self, why: End) {
        if let Ok(text) = LineRef::End(why).to_text() {
            self.last.send(text);
        }
    }
}
