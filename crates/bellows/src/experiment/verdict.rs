//! What is said of an experiment when it has ended.

use std::fs;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{anyhow, bail};

/// The load generator's exit codes; 0 says that all limits held.
const NOT_HELD: i32 = 1;
const INTERRUPTED: i32 = 130;

/// What a line begins with that tells an error, and one that tells a limit that did not hold.
const ERROR: &str = "error: ";
const LIMIT: &str = "not held: ";

/// What is so when the load generator has ended.
///
/// # Errors
/// A limit of the scenario did not hold, or the experiment broke down: why.
pub(super) fn of(ended: ExitStatus, results: &Path, log: &Path) -> anyhow::Result<String> {
    let has_results = results.join("latest").exists();
    let last = |beginning| last_line(log, beginning);
    match ended.code() {
        Some(0) => Ok("every limit of the scenario held".to_owned()),
        Some(INTERRUPTED) if has_results => {
            Ok("it was ended before its time, and what was measured is kept".to_owned())
        }
        Some(INTERRUPTED) => Ok("it was ended before anything was measured".to_owned()),
        Some(NOT_HELD) => match (last(ERROR), last(LIMIT)) {
            (Some(error), _) => Err(anyhow!(error)),
            (None, Some(limit)) => bail!("a limit of the scenario did not hold: {limit}"),
            (None, None) => bail!("it broke down: its log says why"),
        },
        code => match (last(ERROR), code) {
            (Some(error), _) => Err(anyhow!(error)),
            (None, Some(code)) => bail!("the load generator ended with {code}: its log says why"),
            (None, None) => bail!("the load generator was killed ({ended})"),
        },
    }
}

/// What follows this beginning in the last line of a log that has it.
fn last_line(log: &Path, beginning: &str) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    text.lines().rev().find_map(|line| line.strip_prefix(beginning)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn an_experiment_is_well_where_limits_held_or_it_was_ended_and_else_its_reason_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let of = |code: i32, text: &str| {
            fs::write(&log, text).unwrap();
            let told = of(ExitStatus::from_raw(code << 8), folder.path(), &log);
            told.map_err(|error| error.to_string())
        };
        assert_eq!(of(0, "error: of another run\n").unwrap(), "every limit of the scenario held");
        assert!(of(130, "").unwrap().contains("before anything was measured"));
        fs::create_dir(folder.path().join("latest")).unwrap();
        assert!(of(130, "").unwrap().contains("what was measured is kept"));
        let told = of(1, "not held: limits.max_failed: 9 measured, 0 allowed\nresults\n");
        assert!(
            told.unwrap_err().ends_with("did not hold: limits.max_failed: 9 measured, 0 allowed")
        );
        assert!(of(1, "load: up to 3 s\n").unwrap_err().contains("its log says why"));
        let told = of(1, "error: first\nerror: the scaler gives no answer\nmore\n").unwrap_err();
        assert_eq!(told, "the scaler gives no answer");
        assert_eq!(of(2, "error: peak is 0\n").unwrap_err(), "peak is 0");
        assert!(of(101, "").unwrap_err().contains("ended with 101"));
        let killed = super::of(ExitStatus::from_raw(9), folder.path(), &log).unwrap_err();
        assert!(killed.to_string().contains("was killed"), "{killed}");
    }
}
