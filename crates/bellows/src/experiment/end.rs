//! The end of the experiment that goes on, for who takes everything down.

use std::time::Duration;

use host::jobs::Jobs;
use host::settings::Settings;
use tokio::time::{Instant, sleep};

use crate::clock::now;
use crate::progress::Outcome;

/// How long it is waited for: a request under way has 10 s, 200 objects are removed, and a report is made.
const IN_ORDER: Duration = Duration::from_secs(60);

/// Time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Has the experiment that goes on end in order, and waits for that. One that takes longer ends by itself: nobody answers it.
///
/// # Errors
/// The disk refuses.
pub(crate) async fn end(settings: &Settings) -> anyhow::Result<Outcome> {
    let jobs = Jobs::new(&settings.paths.state);
    let experiments = jobs.list(now())?.into_iter().filter(|kept| !kept.job.work.holds_service());
    let mut outcome = Outcome::Unchanged;
    for files in experiments.map(|kept| jobs.of(kept.job.id)) {
        if !files.is_running() {
            continue;
        }
        files.interrupt()?;
        let asked = Instant::now();
        while files.is_running() && asked.elapsed() < IN_ORDER {
            sleep(LOOK).await;
        }
        let ended = if files.is_running() { "ends by itself" } else { "ended" };
        outcome = Outcome::Changed(ended.to_owned());
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use host::jobs::{Job, Work};
    use model::access::Who;

    use super::*;

    #[tokio::test]
    async fn the_experiment_that_goes_on_is_asked_to_end_and_waited_for_and_no_other_job_is() {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.paths.state = root.path().to_owned();
        let jobs = Jobs::new(root.path());
        let asked = serde_json::from_str(r#"{"scenario":"ramp"}"#).unwrap();
        let experiment = Work::Experiment { asked, of_host: true };
        let rollback = Work::Rollback { version: None, revision: false };
        let [load, other] = [experiment, rollback].map(|work| {
            let shop = Some("shop".parse().unwrap());
            jobs.add(&Job::new(jobs.draw(), shop, work, Who::Up, now())).unwrap()
        });
        assert_eq!(end(&settings).await.unwrap(), Outcome::Unchanged, "none is at it");
        let (process, _busy) = (load.take().await.unwrap(), other.take().await.unwrap());
        let ending = async {
            while !load.is_interrupted() {
                sleep(LOOK).await;
            }
            drop(process);
        };
        let (ended, ()) = tokio::join!(end(&settings), ending);
        assert_eq!(ended.unwrap(), Outcome::Changed("ended".to_owned()));
        assert!(!other.is_interrupted());
    }
}
