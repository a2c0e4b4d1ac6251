//! Drops the tokens that ended from the disk, in time. Whether one has ended is checked with every request, so nothing
//! waits for this.

use std::sync::Arc;
use std::time::Duration;

use crate::shared_state::SharedState;

/// How often. They are told of as ended for a day.
const EVERY: Duration = Duration::from_secs(3_600);

/// Drops them, for ever.
pub(crate) async fn run(shared: &Arc<SharedState>) {
    loop {
        let shared = Arc::clone(shared);
        // It waits for the disk.
        let forget = move || shared.one_after_the_other(SharedState::forget_ended_tokens);
        match tokio::task::spawn_blocking(forget).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "tokens that ended are still on the disk: check the state directory's disk");
            }
            Err(error) => tracing::error!(%error, "tokens that ended are still on the disk"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
