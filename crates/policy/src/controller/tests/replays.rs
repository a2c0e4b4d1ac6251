//! Whatever happens in the small world, each turn is decided again from its record as it was decided.

use super::*;
use crate::recording::{Header, LineRef, Recorder, Replay, Step as Line, Turn};
use crate::testing::store_name;

/// A recording that is replayed as it is written, as text.
pub(super) struct Tape {
    recorder: Option<Recorder>,
    replay: Replay,
    lines: usize,
}

impl Tape {
    /// A tape that begins with the next turn.
    pub(super) fn new() -> Self {
        let mut tape = Self { recorder: None, replay: Replay::default(), lines: 0 };
        let header = Header::of(store_name());
        assert!(
            matches!(tape.line(&LineRef::Recording(&header)), Line::Begins(read) if read == header)
        );
        tape
    }

    /// The loop goes on with another controller.
    pub(super) fn start_anew(&mut self) {
        self.recorder = None;
    }

    /// Takes the inputs of a turn.
    pub(super) fn begin(
        &mut self,
        controller: &Controller,
        context: &TurnContext,
        observed: &ServiceObservation,
        now: Timestamp,
    ) -> Turn {
        if self.recorder.is_none() {
            self.line(&LineRef::Start(controller));
        }
        self.recorder.get_or_insert_default().inputs(context, observed, now)
    }

    /// Decides the turn again: all of it is the same, to the last bit.
    pub(super) fn hold_against(&mut self, turn: Turn, tick: &Tick) {
        let turn = self.recorder.as_mut().unwrap().outcome(turn, tick);
        let Line::Decided(decided) = self.line(&LineRef::Turn(&turn)) else { panic!("no turn") };
        assert_eq!(decided.recorded, decided.now());
        // The text of a float names all its bits.
        assert_eq!(format!("{:?}", decided.tick), format!("{tick:?}"));
    }

    fn line(&mut self, line: &LineRef) -> Line {
        self.lines += 1;
        let text = String::from_utf8(line.to_text().unwrap()).unwrap();
        self.replay.line(self.lines, &text).unwrap()
    }
}

fn taped(release: bool) -> World {
    World { release, tape: Some(Tape::new()), ..World::new() }
}

proptest! {
    /// Any policy and a change to another one in the middle; deploys, bounds that are set, deaths, launches that
    /// fail, lost statistics, clocks that are set, restarts; and a recording that begins at any turn.
    #[test]
    fn whatever_happens_under_any_policy_it_is_decided_again_bit_for_bit(
        steps in prop::collection::vec(any_step(), 2..120),
        first in prop::sample::select(PolicyKind::all().collect::<Vec<_>>()),
        second in prop::sample::select(PolicyKind::all().collect::<Vec<_>>()),
        before in 0_usize..60,
        release in prop::bool::ANY,
        busy in prop::option::of(0.0_f64..1.2),
    ) {
        let mut world = World { tape: None, ..taped(release) };
        world.host_cpu = busy.map(|busy| HostCpu { cores: 3, busy });
        for (i, step) in steps.iter().enumerate() {
            if i == before.min(steps.len() / 2) {
                world.tape = Some(Tape::new());
            }
            let kind = if i < steps.len() / 2 { first } else { second };
            world.spec.policy = PolicySpec::from(kind);
            world.step(step);
        }
    }
}

/// Every policy has learnt from a minute of a load that comes and goes before the recording begins.
#[test]
fn a_recording_may_begin_at_any_turn_of_any_policy() {
    for kind in PolicyKind::all() {
        let mut world = World::new();
        world.spec.policy = PolicySpec::from(kind);
        let wave = |i: u64| calm(2 + (i % 97) * (i % 89) / 300);
        for i in 0..700 {
            world.step(&wave(i));
        }
        world.tape = Some(Tape::new());
        for i in 700..900 {
            world.step(&wave(i));
        }
    }
}

#[test]
fn a_version_that_is_watched_and_goes_back_is_decided_again() {
    let mut world = taped(true);
    world.spec.watch = Duration::from_secs(5);
    for _ in 0..20 {
        world.step(&calm(8));
    }
    world.step(&Step { deploys: Some(world::WRONG), ..calm(8) });
    let given_up = |tick: &Tick| matches!(tick.rollout, Some(Rollout::GivenUp { .. }));
    assert!((0..80).any(|_| given_up(&world.step(&calm(8)))), "it is given up");
    world.step(&Step { deploys: Some(world::NEXT), restarts: true, ..calm(8) });
    for _ in 0..100 {
        world.step(&calm(8));
    }
}
