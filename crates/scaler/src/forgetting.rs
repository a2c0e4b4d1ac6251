//! Forgets what an operator asked for once it is over or done, beside the loop: the disk may be waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::shared_state::SharedState;
use crate::standing::Past;

/// How long to wait after it could not be written. What is past has no effect meanwhile.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What is being forgotten.
#[derive(Debug, Default)]
pub(crate) struct Forgetting {
    under_way: Option<JoinHandle<bool>>,
    not_before: Option<Instant>,
}

impl Forgetting {
    /// Has what is past forgotten, unless something is being forgotten, or that failed a moment ago.
    pub(crate) async fn begin(&mut self, shared: &Arc<SharedState>, past: Past) {
        if self.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            self.end().await;
        }
        let waits = self.not_before.is_some_and(|at| Instant::now() < at);
        if past.is_empty() || self.under_way.is_some() || waits {
            return;
        }
        let shared = Arc::clone(shared);
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            let forgotten = shared.one_after_the_other(|shared| shared.forget_past(&past));
            let failed = |error: &_| {
                tracing::error!(%error, "that a hold is over or an instance gone is not written: check the disk");
            };
            forgotten.inspect_err(failed).is_ok()
        }));
    }

    /// Waits until what is being forgotten is.
    pub(crate) async fn end(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            let is_done = under_way.await.unwrap_or(false);
            self.not_before = (!is_done).then(|| Instant::now() + RETRY_AFTER);
        }
    }
}
