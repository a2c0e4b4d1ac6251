//! Another run, beside that of the page.

use run::Run;
use run::figures::{self, Assumptions, Figure};

use crate::agreement::Agreement;

/// Another run to compare with.
#[derive(Debug, Clone)]
pub(crate) struct ComparedRun {
    /// The run.
    pub(crate) run: Run,
    /// Its figures.
    pub(crate) figures: Vec<Figure>,
    /// What it is beside the page's own run.
    pub(crate) role: Role,
}

/// What a run is beside another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The simulation of a real run.
    Simulated,
    /// The real run beside a simulation.
    Real,
    /// Both are real, or both are simulated.
    Other,
}

impl ComparedRun {
    /// A run beside the page's own.
    pub(crate) fn of(own: &Run, run: Run, assumptions: &Assumptions) -> Self {
        let role = match (own.is_simulated(), run.is_simulated()) {
            (false, true) => Role::Simulated,
            (true, false) => Role::Real,
            _ => Role::Other,
        };
        Self { figures: figures::measure(&run, assumptions), run, role }
    }

    /// How alike the two are. A simulation is held against the real run, whichever of them is the
    /// page's own.
    pub(crate) fn agreement(&self, own: &Run) -> Agreement {
        match self.role {
            Role::Simulated => Agreement::of(&self.run, own),
            Role::Real | Role::Other => Agreement::of(own, &self.run),
        }
    }
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
            Self::Other => "other run",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_simulation_is_told_from_a_run() {
        let (real, mut simulated) = (testing::run(), testing::run());
        simulated.summary.conditions.insert("simulated".to_owned(), "one by one".to_owned());
        let role = |own: &Run, other: &Run| {
            ComparedRun::of(own, other.clone(), &testing::assumptions()).role
        };
        assert_eq!(role(&real, &simulated), Role::Simulated);
        assert_eq!(role(&simulated, &real), Role::Real);
        assert_eq!(role(&real, &real), Role::Other);
        assert_eq!(role(&simulated, &simulated), Role::Other);
    }
}
