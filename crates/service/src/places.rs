//! The places of a server's connections, of which one that does nothing makes way for one that comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How often whoever waits for a place looks for a connection that has come to do nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The places.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    idle: Arc<Mutex<Idle>>,
    most: usize,
}

/// The connections that wait for their clients, in the order in which they came to do so.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    waiting: BTreeMap<u64, Arc<Notify>>,
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Place {
    idle: Arc<Mutex<Idle>>,
    /// Its number among those that wait for their clients; `None` while a request is answered.
    number: Mutex<Option<u64>>,
    made_way: Arc<Notify>,
    _held: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// So many places.
    pub(crate) fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), idle: Arc::default(), most }
    }

    /// Connections that have a place.
    pub(crate) fn taken(&self) -> usize {
        self.most - self.free.available_permits()
    }

    /// Waits for a place.
    pub(crate) async fn wait(&self) -> Place {
        // The semaphore is never closed; a server without places would be one without a bound.
        self.place(Arc::clone(&self.free).acquire_owned().await.ok())
    }

    /// A place, which the connection that has waited longest for its client leaves where there is none.
    pub(crate) async fn take(&self) -> Place {
        loop {
            if let Ok(free) = Arc::clone(&self.free).try_acquire_owned() {
                return self.place(Some(free));
            }
            if let Some((_, oldest)) = lock(&self.idle).waiting.pop_first() {
                oldest.notify_one();
            }
            let wait = tokio::time::timeout(LOOK_INTERVAL, self.wait());
            if let Ok(place) = wait.await {
                return place;
            }
        }
    }

    fn place(&self, held: Option<OwnedSemaphorePermit>) -> Place {
        let (idle, made_way) = (Arc::clone(&self.idle), Arc::default());
        let place = Place { idle, number: Mutex::default(), made_way, _held: held };
        place.rest();
        place
    }
}

impl Place {
    /// Waits until the place is another's, who waits for it.
    pub(crate) async fn made_way(&self) {
        self.made_way.notified().await;
    }

    /// From now on a request is answered.
    pub(crate) fn work(&self) {
        let number = lock(&self.number).take();
        if let Some(number) = number {
            lock(&self.idle).waiting.remove(&number);
        }
    }

    /// From now on the client is waited for: for its next request, or to take the answer.
    pub(crate) fn rest(&self) {
        let mut idle = lock(&self.idle);
        let number = idle.next;
        idle.next += 1;
        idle.waiting.insert(number, Arc::clone(&self.made_way));
        *lock(&self.number) = Some(number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.work();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
