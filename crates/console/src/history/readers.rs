//! Connections that read, a few at a time.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Shared, file};

/// Questions at a time: each keeps a thread and up to 4 MiB of pages.
const AT_ONCE: usize = 4;

/// Why the history gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not open.
    #[error("the history is not there now: {0}")]
    Away(String),
    /// SQLite says why.
    #[error("the history cannot be read")]
    Sqlite(#[from] rusqlite::Error),
    /// The thread that asked has panicked.
    #[error("a fault of the console")]
    Fault(#[from] tokio::task::JoinError),
}

#[derive(Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    /// With the generation of the file that each has open.
    idle: Arc<Mutex<Vec<(u64, Connection)>>>,
}

impl Readers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, permits: Arc::new(Semaphore::new(AT_ONCE)), idle: Arc::default() }
    }

    /// Has `read` read on a thread that may wait for the disk.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        // Never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (shared, idle) = (Arc::clone(&self.shared), Arc::clone(&self.idle));
        let read = move || {
            let _permit = permit;
            let generation = shared.lock().generation;
            if generation == 0 {
                let problem = shared.lock().status.problem.clone();
                return Err(ReadError::Away(problem.unwrap_or_default()));
            }
            let take = || idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let fit = std::iter::from_fn(take).find(|(of, _)| *of == generation);
            let connection = match fit {
                Some((_, connection)) => connection,
                None => file::open_to_read(&shared.place.file)?,
            };
            // One that failed is not used again.
            let answer = read(&connection)?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push((generation, connection));
            Ok(answer)
        };
        tokio::task::spawn_blocking(read).await?
    }
}
