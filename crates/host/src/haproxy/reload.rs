//! A reload that counts only once a worker of the new generation answers.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::admin::ask_once;
use super::error::HaproxyError;
use super::running::generation;

/// A reload takes 50 to 280 ms. One that comes within 120 ms of another is lost without a word, so
/// after this time the master is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(600);
/// How often the worker is asked for its generation, which takes 0.3 ms.
const POLL_EVERY: Duration = Duration::from_millis(5);
/// Eight asks: past this HAProxy is broken, not slow.
const DEADLINE: Duration = Duration::from_secs(5);

/// Has the master read the file in place, and waits until a worker of `wanted` answers on the admin
/// socket. Gives the number of times that the master had to be asked.
///
/// # Errors
/// No worker of that generation appeared within 5 s.
pub(super) async fn reload(master: &Path, admin: &Path, wanted: u64) -> Result<u32, HaproxyError> {
    let start = Instant::now();
    let mut asks = 0;
    while start.elapsed() < DEADLINE {
        if ask_once(master, "reload").await.is_err() {
            // While the master executes itself anew, its socket refuses.
            sleep(POLL_EVERY).await;
            continue;
        }
        asks += 1;
        let asked_at = Instant::now();
        while asked_at.elapsed() < ASK_AGAIN_AFTER {
            if generation(admin).await.is_ok_and(|running| running == wanted) {
                return Ok(asks);
            }
            sleep(POLL_EVERY).await;
        }
    }
    Err(HaproxyError::NotReloaded { generation: wanted, waited: start.elapsed(), asks })
}
