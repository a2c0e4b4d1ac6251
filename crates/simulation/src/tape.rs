//! A recording of the turns of a simulation, as the scaler takes one of its own.

use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use policy::controller::{Controller, ServiceObservation, TurnContext};
use policy::recording::{Header, LineRef, Recorder};

/// What was recorded, up to now.
#[derive(Debug)]
pub(crate) struct Tape {
    /// `None` where the next turn begins with the whole controller.
    recorder: Option<Recorder>,
    text: Vec<u8>,
}

impl Tape {
    /// A tape that begins with the next turn of this service.
    pub(crate) fn new(service: &ServiceName) -> Self {
        let mut tape = Self { recorder: None, text: Vec::new() };
        tape.add(&LineRef::Recording(&Header::of(service.clone())));
        tape
    }

    /// Takes a turn and records it.
    pub(crate) fn turn(
        &mut self,
        controller: &mut Controller,
        context: &TurnContext,
        observed: ServiceObservation,
        now: Timestamp,
    ) -> Tick {
        if self.recorder.is_none() {
            self.add(&LineRef::Start(controller));
        }
        let turn = self.recorder.get_or_insert_default().inputs(context, &observed, now);
        let tick = controller.turn(context, observed, now);
        let turn = self.recorder.get_or_insert_default().outcome(turn, &tick);
        self.add(&LineRef::Turn(&turn));
        tick
    }

    /// The loop goes on with another controller.
    pub(crate) fn start_anew(&mut self) {
        self.recorder = None;
    }

    /// All that was recorded.
    pub(crate) fn text(self) -> Vec<u8> {
        self.text
    }

    /// # Panics
    /// Never: all parts of a line have a form in JSON.
    fn add(&mut self, line: &LineRef) {
        self.text.extend(line.to_text().expect("a line of a recording has a form in JSON"));
    }
}
