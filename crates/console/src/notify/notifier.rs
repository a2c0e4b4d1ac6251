//! From what is seen to receivers: each has a queue, and none holds up another or who tells.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use host::notify::{Notify, NotifyError};
use model::names::ServiceName;
use model::tick::Tick;
use model::time::Timestamp;
use nix::sys::statvfs::statvfs;
use nix::unistd::gethostname;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::episodes::{Episodes, Seen};
use super::full_disk::Room;
use super::kept::{Kept, Waiting};
use super::message::Message;
use super::queue::{Entry, Queue};
use super::receiver::{Receiver, ReceiverError};
use super::retry::{self, Outcome};
use crate::metrics::Notified;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What changes within this time of a write is written by the next one.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// What follows the name of the history's file.
const KEPT: &str = "notify.json";

/// Tells receivers of episodes. What it is told itself never waits.
#[derive(Debug, Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    notify: Notify,
    host: String,
    receivers: Vec<Receiver>,
    counted: Notified,
    kept: PathBuf,
    inner: Mutex<Inner>,
    /// Rises with each change of what is to be kept.
    changes: watch::Sender<u64>,
    /// Up to which change all is in the file: a message that is not may be told again after a kill, and waits.
    stored: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    episodes: Episodes,
    /// In the receivers' order.
    queues: Vec<Queue>,
}

/// Nobody can be told.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Of whom, cannot be read.
    #[error(transparent)]
    File(#[from] NotifyError),
    /// A receiver cannot be had.
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
}

impl Notifier {
    /// One for whom this file names, that goes on with what an earlier run left beside the history.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(file: &Path, history: &Path, counted: Notified) -> Result<Self, StartError> {
        let notify = host::notify::read(file)?;
        let host = gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.unwrap_or_else(|| "localhost".to_owned());
        let receivers = Receiver::all(&notify.settings, &host)?;
        Ok(Self::with(notify, host, receivers, history.with_added_extension(KEPT), counted))
    }

    /// The same with receivers of one's own.
    pub(super) fn with(
        notify: Notify,
        host: String,
        receivers: Vec<Receiver>,
        kept: PathBuf,
        counted: Notified,
    ) -> Self {
        let Kept { episodes, waiting, .. } = Kept::load(&kept);
        let mut queues: Vec<_> = receivers.iter().map(|_| Queue::default()).collect();
        for Waiting { receiver, message } in waiting {
            match receivers.iter().position(|it| it.digest == receiver) {
                Some(index) => drop(queues[index].push(0, message)),
                None => tracing::warn!(episode = message.episode, "whom this was for is gone"),
            }
        }
        counted.receivers(receivers.iter().map(|receiver| &*receiver.label));
        let inner = Mutex::new(Inner { episodes: Episodes::resume(episodes), queues });
        let (changes, stored) = (watch::Sender::new(0), watch::Sender::new(0));
        let shared = Shared { notify, host, receivers, counted, kept, inner, changes, stored };
        shared.count(&shared.lock());
        Self { shared: Arc::new(shared) }
    }

    /// A turn was taken.
    pub fn tick(&self, tick: &Tick) {
        self.shared.see(Seen::Tick(tick), tick.at);
    }

    /// The scaler tells of these services, in this second.
    pub fn services(&self, told: &BTreeSet<ServiceName>) {
        self.shared.see(Seen::Services(told), now());
    }

    /// Looks at the disk and sends, until `stop` completes. What is not delivered then waits for the next run.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let shared = &*self.shared;
        let deliver = (0..shared.receivers.len()).map(|index| shared.deliver(index));
        tokio::select! {
            () = stop => {}
            _ = join_all(deliver), if !shared.receivers.is_empty() => {}
            () = shared.keep() => {}
            () = shared.look() => {}
        }
        shared.store().await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, seen: Seen<'_>, now: Timestamp) {
        let mut inner = self.lock();
        let messages = inner.episodes.see(seen, now);
        if messages.is_empty() {
            return;
        }
        for message in messages {
            tracing::warn!(episode = message.episode, state = ?message.state, "{}", message.text);
            if self.notify.settings.kinds.contains(&message.kind) {
                self.enter(&mut inner, &message);
            }
        }
        self.changed(&inner);
    }

    fn enter(&self, inner: &mut Inner, message: &Message) {
        let change = *self.changes.borrow() + 1;
        for (queue, receiver) in inner.queues.iter_mut().zip(&self.receivers) {
            if let Some(dropped) = queue.push(change, message.clone()) {
                let (receiver, episode) = (&*receiver.label, dropped.episode);
                tracing::error!(
                    receiver,
                    episode,
                    "too many messages wait, and this one is dropped"
                );
                self.counted.message(receiver, Outcome::Dropped);
            }
        }
    }

    fn changed(&self, inner: &Inner) {
        self.count(inner);
        self.changes.send_modify(|number| *number += 1);
    }

    fn count(&self, inner: &Inner) {
        self.counted.episodes(inner.episodes.under_way());
        for (queue, receiver) in inner.queues.iter().zip(&self.receivers) {
            self.counted.waiting(&receiver.label, queue.messages().len());
        }
    }

    /// Sends what waits for a receiver, one after the other.
    async fn deliver(&self, index: usize) {
        let receiver = &self.receivers[index];
        loop {
            let message = self.first(index).await;
            let (label, episode) = (&*receiver.label, &*message.episode);
            let attempt = || receiver.send(&message, &self.host);
            let outcome = retry::send(receiver.first_wait, attempt, |error| {
                tracing::warn!(receiver = label, episode, %error, "a message was not taken");
            });
            let outcome = outcome.await;
            if outcome != Outcome::Delivered {
                tracing::error!(receiver = label, episode, ?outcome, "a message was not delivered");
            }
            self.counted.message(label, outcome);
            let mut inner = self.lock();
            inner.queues[index].pop();
            self.changed(&inner);
        }
    }

    /// Waits for the next message of a receiver, and until it is in the file.
    async fn first(&self, index: usize) -> Message {
        let mut changes = self.changes.subscribe();
        let mut stored = self.stored.subscribe();
        loop {
            changes.mark_unchanged();
            let first = self.lock().queues[index].first().cloned();
            // An error would say that there is no sender any more, which is here.
            if let Some(Entry { change, message }) = first {
                let _ = stored.wait_for(|stored| *stored >= change).await;
                return message;
            }
            let _ = changes.changed().await;
        }
    }

    /// Keeps what changes, as long as there is somebody to tell.
    async fn keep(&self) {
        let mut changes = self.changes.subscribe();
        // What was left for receivers that are gone goes from the file.
        changes.mark_changed();
        while changes.changed().await.is_ok() {
            self.store().await;
            tokio::time::sleep(KEEP_EVERY).await;
        }
    }

    /// Writes what is to be kept. Where that fails, as on a full disk, people are told all the same.
    async fn store(&self) {
        let (number, kept) = {
            let inner = self.lock();
            (*self.changes.borrow(), self.kept(&inner))
        };
        let path = self.kept.clone();
        let stored = tokio::task::spawn_blocking(move || kept.store(&path)).await;
        let stored = stored.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        if let Err(error) = stored {
            let file = self.kept.display();
            tracing::error!(%error, %file, "episodes cannot be kept: after a restart they are told again");
        }
        self.stored.send_replace(number);
    }

    fn kept(&self, inner: &Inner) -> Kept {
        let of = |(queue, receiver): (&Queue, &Receiver)| {
            let waiting = |message: &Message| Waiting {
                receiver: receiver.digest.clone(),
                message: message.clone(),
            };
            queue.messages().map(waiting).collect::<Vec<_>>()
        };
        let waiting = inner.queues.iter().zip(&self.receivers).flat_map(of).collect();
        Kept::new(inner.episodes.under_way().cloned().collect(), waiting)
    }

    /// Looks at the file system of the state folder for as long as it is asked.
    async fn look(&self) {
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let folder = self.notify.state.clone();
            // A network file system may take its time.
            match tokio::task::spawn_blocking(move || statvfs(&folder)).await {
                Ok(Ok(status)) => self.see(Seen::Disk(Room::from(status)), now()),
                Ok(Err(error)) => tracing::warn!(%error, "the disk cannot be looked at"),
                Err(_) => {}
            }
        }
    }
}

/// The time of day.
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}
