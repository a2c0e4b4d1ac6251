//! Who changes the system by the command line, one at a time.

use std::time::Duration;

use anyhow::anyhow;
use host::accounts::user_name;
use host::files::FileError;
use host::lock::{Lock, LockError};
use host::settings::Settings;
use model::access::Who;

use crate::code::Code;
use crate::error::Coded;
use crate::run_folder;

/// What the kernel says of a process that nobody logged in for.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

/// How long whoever sits and waits does so for another operator's command: a deploy's job has the lock for a second or
/// two at a time, while it gives ids and while it makes a template.
const MOMENT: Duration = Duration::from_secs(5);

/// Two operators at once would undo each other's work.
pub(crate) async fn lock(settings: &Settings) -> anyhow::Result<Lock> {
    match acquire(settings, MOMENT).await? {
        Err(LockError::Held { holder, .. }) => {
            let told = anyhow!(
                "process {holder} is changing the system, by a command such as `bellows up` or a deploy: run this \
                 again once that has ended"
            );
            Err(Coded::new(Code::UnderWay, told).into())
        }
        lock => Ok(lock?),
    }
}

/// How long a job waits for another operator's command: an `up` that makes a userland and proves every service takes
/// minutes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);

/// The same for a job, which nobody would begin again: it waits for whoever has the lock.
pub(crate) async fn lock_within(settings: &Settings) -> anyhow::Result<Lock> {
    Ok(acquire(settings, PATIENCE).await??)
}

async fn acquire(
    settings: &Settings,
    within: Duration,
) -> Result<Result<Lock, LockError>, FileError> {
    let run = &settings.paths.run;
    run_folder::ensure(run)?;
    Ok(Lock::acquire_within(&run.join("operator.lock"), within).await)
}

/// The user who logged in to become root and call this, as the kernel keeps it (`loginuid`): whoever calls can set
/// `SUDO_UID`. Where nobody logged in it is root.
pub(crate) fn who_calls() -> Who {
    let text = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let uid = text.trim().parse().ok().filter(|uid| *uid != NOBODY_LOGGED_IN).unwrap_or(0);
    Who::Operator { uid, user: user_name(uid) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings of a host with this run folder.
    fn settings(run: &std::path::Path) -> Settings {
        let mut settings = Settings::default();
        settings.paths.run = run.join("run");
        settings
    }

    #[tokio::test]
    async fn a_command_waits_while_a_deploys_job_has_the_lock_for_a_moment() {
        let root = tempfile::tempdir().unwrap();
        let settings = settings(root.path());
        let job = lock_within(&settings).await.unwrap();
        let (command, ()) = tokio::join!(lock(&settings), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(job);
        });
        command.unwrap();
    }
}
