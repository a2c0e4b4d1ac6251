//! What an experiment runs, how often, and under which settings.

use std::path::PathBuf;
use std::time::Duration;

use command_line::policies::Choice;
use command_line::terminal;
use model::bounds::Bounds;
use model::status::Membership;
use run::figures::Assumptions;
use scaler_client::Scaler;

use crate::overrides::Overrides;
use crate::scenario_file::LoadedScenario;
use crate::target::Target;

/// The most runs of one kind.
pub const MAX_REPETITIONS: u32 = 100;

/// What to run, how often, and under which settings.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The load.
    pub scenario: LoadedScenario,
    /// Where it goes.
    pub target: Target,
    /// The scaler whose service it is.
    pub scaler: Scaler,
    /// The folder of all results.
    pub results: PathBuf,
    /// The policy that decides meanwhile; otherwise the one in force.
    pub policy: Option<Choice>,
    /// How HAProxy learns of members meanwhile; `None` for the way in force.
    pub memberships: Option<Memberships>,
    /// How many runs of each kind, 1 to [`MAX_REPETITIONS`]; the seed of each is one higher than
    /// that of the one before.
    pub repetitions: u32,
    /// What the figures over several runs suppose.
    pub assumptions: Assumptions,
    /// How long the service may take to come to rest before each run.
    pub rest_limit: Duration,
}

/// With which ways of membership to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Memberships {
    /// Commands on the admin socket.
    Runtime,
    /// A reload for every change.
    Reload,
    /// A run with each, and their differences.
    Both,
}

impl Experiment {
    /// The ways of membership to run with; `None` for the one in force.
    pub(super) fn ways(&self) -> Vec<Option<Membership>> {
        match self.memberships {
            None => vec![None],
            Some(Memberships::Runtime) => vec![Some(Membership::Runtime)],
            Some(Memberships::Reload) => vec![Some(Membership::Reload)],
            Some(Memberships::Both) => vec![Some(Membership::Runtime), Some(Membership::Reload)],
        }
    }

    /// What is set for all runs, given what was set before the experiment and the bounds in force.
    pub(super) fn overrides(&self, before: &Overrides, bounds: Bounds) -> Overrides {
        let mut overrides = before.clone();
        if let Some(choice) = &self.policy {
            overrides.service.policy = choice.spec.clone();
        }
        // A peak above the upper bound could only ever be missed.
        let peak = self.scenario.peak_instances().filter(|peak| *peak > bounds.max());
        if let Some(Ok(raised)) = peak.map(|peak| Bounds::new(bounds.min(), peak)) {
            let (min, max) = (raised.min(), raised.max());
            terminal::note(format_args!(
                "bounds are {min} to {max} meanwhile, as the peak asks for"
            ));
            overrides.service.bounds = Some(raised);
        }
        overrides
    }

    /// The folder of a run below that of all results, or of all runs with a way of membership:
    /// `ramp-…`, `ramp-…/2`, `ramp-…/reload` or `ramp-…/reload/2`.
    pub(super) fn folder(
        &self,
        base: &str,
        way: Option<Membership>,
        number: Option<u32>,
    ) -> String {
        let both = self.memberships == Some(Memberships::Both);
        let way = way.filter(|_| both).map(|way| way.to_string());
        let number = number.filter(|_| self.repetitions > 1).map(|number| number.to_string());
        [Some(base.to_owned()), way, number].into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}
