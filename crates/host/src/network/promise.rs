//! What was promised of the instances' firewall, written down by whoever put it in place: the rules,
//! and how nft lists them, for it prints them in words of its own, which change with its version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::network::Drift;
use serde::{Deserialize, Serialize};

use super::generation::{Generation, generation};
use super::{NetworkError, firewall};
use crate::command::Runner;
use crate::files::{file_error, replace_file};

/// The note, below the run directory: it goes with a boot, as the rules do.
const NOTE: &str = "firewall.json";

/// How often to put rules in place while others change nftables in the same 20 ms.
const TRIES: u32 = 5;

/// What was put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise {
    /// What nft is given.
    pub(super) rules: String,
    /// What nft lists of each table then.
    listed: [String; 2],
}

/// The promise in force; `None` where there is none, or none that can be read.
pub(super) fn made(run: &Path) -> Option<Promise> {
    serde_json::from_slice(&fs::read(note(run)).ok()?).ok()
}

/// Takes the promise back.
pub(super) fn forget(run: &Path) -> Result<(), NetworkError> {
    let note = note(run);
    match fs::remove_file(&note) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(file_error("remove", &note)(error).into())
        }
        _ => Ok(()),
    }
}

/// Puts rules in place and writes them down; gives the generation of nftables in which they are.
///
/// What is listed counts only if nobody changed nftables beside it, which the generation tells: our
/// own transaction is one step.
pub(super) async fn make(
    runner: &impl Runner,
    table: &str,
    run: &Path,
    rules: String,
) -> Result<Generation, NetworkError> {
    for _ in 0..TRIES {
        let before = generation().map_err(NetworkError::Generation)?;
        firewall::apply(runner, &rules).await?;
        let listed = firewall::list(runner, table).await?;
        let after = generation().map_err(NetworkError::Generation)?;
        if let [Some(inet), Some(bridge)] = listed
            && after == before.wrapping_add(1)
        {
            write(run, &Promise { rules, listed: [inet, bridge] })?;
            return Ok(after);
        }
    }
    Err(NetworkError::Busy)
}

/// What is not as it was promised.
pub(super) async fn drift(
    runner: &impl Runner,
    table: &str,
    promised: &Promise,
) -> Result<Option<Drift>, NetworkError> {
    Ok(compare(promised, &firewall::list(runner, table).await?))
}

fn compare(promised: &Promise, listed: &[Option<String>; 2]) -> Option<Drift> {
    if listed.iter().any(Option::is_none) {
        return Some(Drift::Missing);
    }
    let is_as_promised = listed.iter().flatten().eq(&promised.listed);
    (!is_as_promised).then_some(Drift::Changed)
}

fn write(run: &Path, promise: &Promise) -> Result<(), NetworkError> {
    let note = note(run);
    let text = serde_json::to_string(promise).unwrap_or_default();
    replace_file(&note, text, 0o600).map_err(file_error("write", &note))?;
    Ok(())
}

fn note(run: &Path) -> PathBuf {
    run.join(NOTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_gone_and_one_that_was_changed_are_told_apart() {
        let promised =
            Promise { rules: String::new(), listed: ["drop".to_owned(), "accept".to_owned()] };
        let compared = |inet: Option<&str>, bridge: Option<&str>| {
            compare(&promised, &[inet, bridge].map(|listed| listed.map(str::to_owned)))
        };
        assert_eq!(compared(Some("drop"), Some("accept")), None);
        assert_eq!(compared(None, Some("accept")), Some(Drift::Missing));
        assert_eq!(compared(Some("accept"), None), Some(Drift::Missing));
        assert_eq!(compared(Some("accept"), Some("accept")), Some(Drift::Changed));
        assert_eq!(compared(Some("drop"), Some("")), Some(Drift::Changed));
    }

    #[test]
    fn what_was_written_down_is_read_back_until_it_is_forgotten_or_spoilt() {
        let folder = tempfile::tempdir().unwrap();
        let promise = Promise { rules: "r".to_owned(), listed: ["a".to_owned(), "b".to_owned()] };
        assert_eq!(made(folder.path()), None);
        write(folder.path(), &promise).unwrap();
        assert_eq!(made(folder.path()), Some(promise));
        forget(folder.path()).unwrap();
        forget(folder.path()).unwrap();
        assert_eq!(made(folder.path()), None);
        fs::write(note(folder.path()), "{").unwrap();
        assert_eq!(made(folder.path()), None);
    }
}
