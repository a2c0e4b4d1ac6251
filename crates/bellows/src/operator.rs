//! Who changes the system by the command line, one at a time.

use std::time::Duration;

use host::accounts::user_name;
use host::lock::Lock;
use host::settings::Settings;
use model::access::Who;

use crate::run_folder;

/// What the kernel says of a process that nobody logged in for.
const NOBODY_LOGGED_IN: u32 = u32::MAX;

/// Two operators at once would undo each other's work.
pub(crate) fn lock(settings: &Settings) -> anyhow::Result<Lock> {
    let run = &settings.paths.run;
    run_folder::ensure(run)?;
    Ok(Lock::acquire(&run.join("operator.lock"))?)
}

/// How long a job waits for another operator's command: an `up` that makes a userland and proves every service takes
/// minutes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1800);

/// The same for a job, which nobody would begin again: it waits for whoever has the lock.
pub(crate) async fn lock_within(settings: &Settings) -> anyhow::Result<Lock> {
    let run = &settings.paths.run;
    run_folder::ensure(run)?;
    Ok(Lock::acquire_within(&run.join("operator.lock"), PATIENCE).await?)
}

/// The user who logged in to become root and call this, as the kernel keeps it (`loginuid`): whoever calls can set
/// `SUDO_UID`. Where nobody logged in it is root.
pub(crate) fn who_calls() -> Who {
    let text = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let uid = text.trim().parse().ok().filter(|uid| *uid != NOBODY_LOGGED_IN).unwrap_or(0);
    Who::Operator { uid, user: user_name(uid) }
}
