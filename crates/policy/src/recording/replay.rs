//! Deciding again.

use model::policies::PolicySpec;
use model::tick::Tick;

use super::error::RecordingError;
use super::outcome::Outcome;
use super::player::Player;
use super::{End, FORMAT, Header, Line};
use crate::controller::Controller;

/// What a line of a recording comes to.
#[derive(Debug)]
pub enum Step {
    /// A part of the recording begins.
    Begins(Header),
    /// The loop begins anew within it.
    Starts,
    /// A turn was decided again.
    Decided(Box<Decided>),
    /// It ends before its reader had enough.
    Ends(End),
}

/// A turn that was decided again.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The policy that was in force then.
    pub policy: PolicySpec,
    /// What came of it then.
    pub recorded: Outcome,
    /// The whole turn as it is decided now, without what instances wrote.
    pub tick: Tick,
}

impl Decided {
    /// What comes of it now.
    pub fn now(&self) -> Outcome {
        Outcome::of(&self.tick)
    }
}

/// Decides the turns of a recording again, line by line.
#[derive(Debug, Default)]
pub struct Replay {
    /// The policy in whose place another one decides; `None` for those that decided.
    policy: Option<PolicySpec>,
    has_begun: bool,
    part: Option<(Controller, Player)>,
}

impl Replay {
    /// Decides as it was decided, or with another policy in the place of whichever was in force. That one sees what
    /// was observed then: the instances that follow from its own advice nobody can know.
    pub fn new(policy: Option<PolicySpec>) -> Self {
        Self { policy, ..Self::default() }
    }

    /// Takes the next line, which has this number from 1 on.
    ///
    /// # Errors
    /// It is no line of a recording, of a newer one, or none that follows on those before it. The replay is over.
    pub fn line(&mut self, line: usize, text: &str) -> Result<Step, RecordingError> {
        let read = serde_json::from_str(text).map_err(|source| match source.is_eof() {
            true => RecordingError::Cut { line },
            false if line == 1 => RecordingError::NoHeader { line },
            false => RecordingError::Spoilt { line, source },
        })?;
        match read {
            Line::Recording(header) => self.begin(header, line),
            _ if !self.has_begun => Err(RecordingError::NoHeader { line }),
            Line::Start(controller) => {
                self.part = Some((*controller, Player::default()));
                Ok(Step::Starts)
            }
            Line::Turn(turn) => {
                let no_start = RecordingError::NoStart { line };
                let (controller, player) = self.part.as_mut().ok_or(no_start)?;
                let (mut inputs, recorded) = player.turn(*turn, line)?;
                let in_force = inputs.spec.policy.clone();
                if let Some(policy) = &self.policy {
                    let suits = inputs.spec.check_policy(policy);
                    suits.map_err(|source| RecordingError::Policy { line, source })?;
                    inputs.spec.policy = policy.clone();
                }
                let observed = std::mem::take(&mut inputs.observed);
                let tick = controller.turn(&inputs.context(), observed, inputs.now);
                Ok(Step::Decided(Box::new(Decided { policy: in_force, recorded, tick })))
            }
            Line::End(end) => Ok(Step::Ends(end)),
        }
    }

    fn begin(&mut self, header: Header, line: usize) -> Result<Step, RecordingError> {
        if header.format > FORMAT {
            let Header { format, release, .. } = header;
            return Err(RecordingError::Newer { line, format, release });
        }
        self.has_begun = true;
        self.part = None;
        Ok(Step::Begins(header))
    }
}
