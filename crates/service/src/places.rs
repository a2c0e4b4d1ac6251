//! The places of a server's connections, of which one that does nothing makes way for one that comes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How often whoever waits for a place looks for a connection that has come to do nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long a client may leave a part of its answer untaken before its connection counts as one that does nothing.
/// The largest answers have 1 MB, which at 100 kB/s take that long.
const TAKE_TIME: Duration = Duration::from_secs(10);

/// The places.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// Those that can make way; `None` where nobody does, and nothing is kept of who waits.
    idle: Option<Arc<Mutex<Idle>>>,
    most: usize,
}

/// The connections that wait for their clients, in the order in which they came to do so.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

/// A connection that waits for its client.
#[derive(Debug)]
struct Waiting {
    made_way: Arc<Notify>,
    /// From when on it makes way.
    from: Instant,
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Place {
    idle: Option<Arc<Mutex<Idle>>>,
    state: Mutex<State>,
    made_way: Arc<Notify>,
    _held: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a request is answered: from its whole head to the end of what its handler says.
    is_answering: bool,
    /// Its number among those that wait for their clients, and what for. A number that is not among them any
    /// more is of a connection that has made way.
    waits: Option<(u64, For)>,
}

/// What of its client a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// The head of a request.
    Request,
    /// More of its body, without which the handler does not go on.
    Body,
    /// That it takes what was written.
    Taking,
}

impl Places {
    /// So many places; `makes_way` says whether a connection that does nothing leaves its own.
    pub(crate) fn new(most: usize, makes_way: bool) -> Self {
        let idle = makes_way.then(Arc::default);
        Self { free: Arc::new(Semaphore::new(most)), idle, most }
    }

    /// Whether connections make way.
    pub(crate) fn make_way(&self) -> bool {
        self.idle.is_some()
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
            if let Some(idle) = &self.idle {
                lock(idle).end_oldest();
            }
            let wait = tokio::time::timeout(LOOK_INTERVAL, self.wait());
            if let Ok(place) = wait.await {
                return place;
            }
        }
    }

    fn place(&self, held: Option<OwnedSemaphorePermit>) -> Place {
        let (idle, made_way) = (self.idle.clone(), Arc::default());
        let place = Place { idle, state: Mutex::default(), made_way, _held: held };
        place.asks();
        place
    }
}

impl Idle {
    fn end_oldest(&mut self) {
        let now = Instant::now();
        let oldest = self.waiting.iter().find(|(_, waiting)| waiting.from <= now);
        let oldest = oldest.map(|(number, _)| *number);
        if let Some(waiting) = oldest.and_then(|number| self.waiting.remove(&number)) {
            waiting.made_way.notify_one();
        }
    }
}

impl Place {
    /// Waits until the place is another's, who waits for it.
    pub(crate) async fn made_way(&self) {
        self.made_way.notified().await;
    }

    /// From now on a request is answered, and the place is kept. It is not where the place was taken away just
    /// before, and what would be begun cut: then it must not begin.
    #[must_use]
    pub(crate) fn begins(&self) -> bool {
        let mut state = lock(&self.state);
        state.is_answering = self.leaves(&mut state);
        state.is_answering
    }

    /// The handler waits for more of the request's body.
    pub(crate) fn waits_for_body(&self) {
        let mut state = lock(&self.state);
        if state.is_answering {
            self.waits(&mut state, For::Body, Duration::ZERO);
        }
    }

    /// It does not any more, and goes on; `false` as in [`Self::begins`].
    #[must_use]
    pub(crate) fn has_body(&self) -> bool {
        self.ends(For::Body)
    }

    /// The handler has said all of its answer. What of it the client does not have yet is on its way.
    pub(crate) fn answered(&self) {
        lock(&self.state).is_answering = false;
    }

    /// The client does not take what is written.
    pub(crate) fn takes_nothing(&self) {
        self.waits(&mut lock(&self.state), For::Taking, TAKE_TIME);
    }

    /// The client has taken all that was written.
    pub(crate) fn took_all(&self) {
        // Where the place is another's by now, the connection ends.
        let _ = self.ends(For::Taking);
    }

    /// The connection waits for the client's next request, unless one is answered.
    pub(crate) fn asks(&self) {
        let mut state = lock(&self.state);
        if !state.is_answering {
            self.waits(&mut state, For::Request, Duration::ZERO);
        }
    }

    fn ends(&self, reason: For) -> bool {
        let mut state = lock(&self.state);
        state.waits.is_none_or(|(_, it)| it != reason) || self.leaves(&mut state)
    }

    /// Leaves those that wait; `false` where another has the place.
    fn leaves(&self, state: &mut State) -> bool {
        let (Some(idle), Some((number, _))) = (&self.idle, state.waits) else { return true };
        let waited = lock(idle).waiting.remove(&number).is_some();
        if waited {
            state.waits = None;
        }
        waited
    }

    /// Joins those that wait, and makes way after some time.
    fn waits(&self, state: &mut State, reason: For, time: Duration) {
        let Some(idle) = self.idle.as_ref().filter(|_| state.waits.is_none()) else { return };
        let mut idle = lock(idle);
        let number = idle.next;
        idle.next += 1;
        let (made_way, from) = (Arc::clone(&self.made_way), Instant::now() + time);
        idle.waiting.insert(number, Waiting { made_way, from });
        state.waits = Some((number, reason));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.leaves(&mut lock(&self.state));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Whether the place was taken away.
    async fn is_taken(place: &Place) -> bool {
        timeout(Duration::ZERO, place.made_way()).await.is_ok()
    }

    /// A server with one place, which is taken, and a second client that waits for it.
    async fn contested(before: impl Fn(&Place)) -> (Place, bool) {
        let places = Places::new(1, true);
        let place = places.take().await;
        before(&place);
        // One look, and it gives up.
        let _ = timeout(LOOK_INTERVAL / 2, places.take()).await;
        let taken = is_taken(&place).await;
        (place, taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_taken_from_who_waits_for_a_client_and_from_nobody_who_answers() {
        assert!(contested(|_| {}).await.1);
        assert!(!contested(|place| assert!(place.begins())).await.1);
        let for_body = |place: &Place| {
            assert!(place.begins());
            place.waits_for_body();
        };
        assert!(contested(for_body).await.1);
        let body_came = |place: &Place| {
            for_body(place);
            assert!(place.has_body());
        };
        assert!(!contested(body_came).await.1);
        let answered = |place: &Place| {
            body_came(place);
            place.asks();
            place.answered();
        };
        assert!(!contested(answered).await.1, "the answer is on its way");
        let asks = |place: &Place| {
            answered(place);
            place.asks();
        };
        assert!(contested(asks).await.1);
    }

    /// The head of a request may come in the moment in which its place is given away: whoever began to answer it
    /// then was cut.
    #[tokio::test(start_paused = true)]
    async fn what_has_made_way_begins_nothing() {
        let (place, taken) = contested(|_| {}).await;
        assert!(taken && !place.begins() && !place.begins());
        let (place, _) = contested(|place| {
            assert!(place.begins());
            place.waits_for_body();
        })
        .await;
        assert!(!place.has_body());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_makes_way_after_its_time() {
        let places = Places::new(1, true);
        let place = places.take().await;
        assert!(place.begins());
        place.takes_nothing();
        let _ = timeout(TAKE_TIME - LOOK_INTERVAL, places.take()).await;
        assert!(!is_taken(&place).await);
        place.took_all();
        place.takes_nothing();
        let _ = timeout(TAKE_TIME - LOOK_INTERVAL, places.take()).await;
        assert!(!is_taken(&place).await);
        let _ = timeout(3 * LOOK_INTERVAL, places.take()).await;
        assert!(is_taken(&place).await);
    }
}
