//! A comparison of policies, as `comparison.csv` has it: which one served best, and at what cost.

mod row;
mod standing;

use std::fs::File;
use std::path::Path;

use crate::files::{ReadError, ResultsError, csv_rows, to_csv};

pub use row::PolicyRow;
pub use standing::Standing;

/// The policy that costs are relative to, where it was compared: the service's own.
const REFERENCE: &str = "default";

/// Every policy under every load.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyTable {
    rows: Vec<PolicyRow>,
    loads: Vec<String>,
    reference: String,
    /// The best first: the fewest requests outside the objective, then the lowest cost.
    standings: Vec<Standing>,
}

impl PolicyTable {
    /// Reads `comparison.csv`.
    ///
    /// # Errors
    /// Names the file, and the line where there is one.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let unread = " cannot be read: `./just compare` writes results/comparison.csv";
        let rows = csv_rows(path, unread, ": this is not what `./just compare` writes")?;
        let empty = "`./just compare` writes one row for each policy and load";
        Self::of(rows).ok_or(empty).map_err(ReadError::at(path, " has no policies"))
    }

    /// Writes `comparison.csv`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ResultsError> {
        let written = File::create(path).and_then(|file| to_csv(&self.rows, file));
        written.map_err(ResultsError::at(path))
    }

    /// Ranks the policies of some rows; `None` without rows.
    pub fn of(rows: Vec<PolicyRow>) -> Option<Self> {
        let loads = in_order(rows.iter().map(|r| &r.load));
        let compared = rows.iter().any(|row| row.policy == REFERENCE);
        let reference = if compared { REFERENCE.to_owned() } else { rows.first()?.policy.clone() };
        let standings = standing::standings(&rows, &reference);
        Some(Self { rows, loads, reference, standings })
    }

    /// Every policy under every load, in the order of the file.
    pub fn rows(&self) -> &[PolicyRow] {
        &self.rows
    }

    /// The loads, in the order of the file.
    pub fn loads(&self) -> &[String] {
        &self.loads
    }

    /// The policy that costs are relative to.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The policies, the best first.
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// One policy under one load, where that was compared.
    pub fn row(&self, policy: &str, load: &str) -> Option<&PolicyRow> {
        self.rows.iter().find(|r| r.policy == policy && r.load == load)
    }
}

/// Each name once, in the order in which they come.
fn in_order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_called_default_is_the_measure_of_costs() {
        let row = |policy: &str| PolicyRow { policy: policy.to_owned(), ..PolicyRow::default() };
        let of = |policies: &[&str]| PolicyTable::of(policies.iter().map(|p| row(p)).collect());
        assert_eq!(of(&["hpa", "default"]).unwrap().reference(), "default");
        assert_eq!(of(&["hpa", "cpu"]).unwrap().reference(), "hpa");
        assert_eq!(of(&[]), None);
    }
}
