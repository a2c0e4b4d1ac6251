//! Has `bellows doctor` of the release in force look at this host, and remembers what it found.
//!
//! It is a program of its own: it runs a dozen others, and none of that is to be on the loop's thread, or to bring it down.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host::command::{CommandError, CommandLine, HostRunner, Runner as _};
use model::machine::{Check, DoctorStatus};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use crate::clock::now;
use crate::lock::lock;

/// It looks again after so long at the earliest: a look takes some 0.6 s of CPU time.
const HOLDS: Duration = Duration::from_secs(60);

/// How long it may look: a program that it runs may hang, and each has 10 s.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long who asks waits for it, before he is told what it found the last time.
const WAIT: Duration = Duration::from_secs(4);

/// The doctor.
#[derive(Debug)]
pub(crate) struct Doctor {
    command: CommandLine,
    /// Held while it looks: one looks at a time. When it began the last time.
    looking: tokio::sync::Mutex<Option<Instant>>,
    told: Mutex<DoctorStatus>,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Printed {
    checks: Vec<Check>,
}

impl Doctor {
    /// The one of this release, with these settings of the host.
    pub(crate) fn of_release(bellows: &Path, settings: &Path) -> Self {
        let command = CommandLine::new(bellows).arg("--settings").arg(settings);
        Self::new(command.args(["doctor", "--json"]))
    }

    /// One that is this command.
    pub(crate) fn new(command: CommandLine) -> Self {
        let command = command.deadline(DEADLINE);
        Self { command, looking: tokio::sync::Mutex::default(), told: Mutex::default() }
    }

    /// What it finds, or what it found last where that is not long ago or it takes its time.
    pub(crate) async fn status(self: &Arc<Self>) -> DoctorStatus {
        let doctor = Arc::clone(self);
        // It goes on when nobody waits any more.
        let looked = tokio::spawn(async move { doctor.look().await });
        let _ = timeout(WAIT, looked).await;
        lock(&self.told).clone()
    }

    async fn look(&self) {
        let mut began = self.looking.lock().await;
        if began.is_some_and(|began| began.elapsed() < HOLDS) {
            return;
        }
        *began = Some(Instant::now());
        let told = match self.run().await {
            Ok(checks) => DoctorStatus { at: Some(now()), checks, problem: None },
            Err(problem) => {
                tracing::warn!(problem, "the doctor did not come to its end");
                DoctorStatus { at: Some(now()), checks: Vec::new(), problem: Some(problem) }
            }
        };
        *lock(&self.told) = told;
    }

    async fn run(&self) -> Result<Vec<Check>, String> {
        let output = match HostRunner.run(&self.command).await {
            Ok(output) => output,
            // Its status is 1 where a check failed, and it has printed all of them.
            Err(CommandError::Failed { output, .. }) if !output.stdout.is_empty() => *output,
            Err(error) => return Err(service::exit::chain(&error)),
        };
        let printed = serde_json::from_str::<Printed>(&output.stdout);
        printed.map(|printed| printed.checks).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doctor(script: &str) -> Arc<Doctor> {
        Arc::new(Doctor::new(CommandLine::new("sh").args(["-c", script])))
    }

    const FOUND: &str = r#"{"format":1,"is_ready":false,"checks":[{"check":"disk","is_well":false,"found":"full","cure":"make room"}]}"#;

    #[tokio::test]
    async fn what_it_found_is_told_whether_or_not_all_is_well_and_it_looks_once_a_minute() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let doctor = doctor(&format!("echo x >> {}; echo '{FOUND}'; exit 1", count.display()));
        let (first, second) = tokio::join!(doctor.status(), doctor.status());
        assert_eq!(first, second);
        assert_eq!(first.problem, None);
        assert_eq!(first.checks[0].cure.as_deref(), Some("make room"));
        assert_eq!(doctor.status().await, first);
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    }

    #[tokio::test]
    async fn one_that_says_nothing_of_use_has_a_problem_and_no_findings() {
        for script in ["exit 1", "echo words", "exec /does/not/exist"] {
            let told = doctor(script).status().await;
            assert!(told.checks.is_empty() && told.problem.is_some(), "{script}: {told:?}");
        }
    }
}
