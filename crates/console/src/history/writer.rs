//! The thread that writes.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::time::Timestamp;
use rusqlite::Connection;

use super::file::{Aside, is_spoilt, open, put_aside};
use super::housekeeping::Housekeeping;
use super::retention::Class;
use super::write::{Batch, used_bytes, write};
use super::{AsideStatus, Shared, read};
use crate::events::{Cause, Event, Happened};

/// Batches that wait: the disk may be away for so many seconds before any are missing.
const WAITING: usize = 8;

/// How often a file that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_secs(10);

/// A gap shorter than this is none: batches come once a second.
const GAP: Duration = Duration::from_secs(3);

/// Takes what is to be written. It never waits for the disk. Dropped, it waits until what it took is written.
#[derive(Debug)]
pub struct Recorder {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Message {
    Write(Batch),
    /// Answers when all before it is done.
    Flush(tokio::sync::oneshot::Sender<()>),
}

impl Recorder {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let (sender, batches) = sync_channel(WAITING);
        let own = Arc::clone(&shared);
        let write = move || Writer::new(own).run(&batches);
        let thread = std::thread::Builder::new().name("history".to_owned()).spawn(write);
        if let Err(error) = &thread {
            tracing::error!(%error, "nothing is recorded: a thread cannot be started");
        }
        Self { sender: Some(sender), thread: thread.ok(), shared }
    }

    /// Has a second written. Where the thread has not come to those before it, it is missing.
    pub fn record(&self, batch: Batch) {
        let sent = self.sender.as_ref().map(|sender| sender.try_send(Message::Write(batch)));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.shared.lock().status.seconds_missed += 1;
        }
    }

    /// Waits until all that was taken is written, or could not be.
    pub async fn flush(&self) {
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut message = Message::Flush(done);
        while let Some(sender) = &self.sender {
            match sender.try_send(message) {
                Err(TrySendError::Full(same)) => message = same,
                _ => break,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // An error says that the thread has ended.
        let _ = is_done.await;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.sender = None;
        // A thread that panicked has said so in the log.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Writer {
    shared: Arc<Shared>,
    open: Option<Open>,
    tried: Option<Timestamp>,
    /// Since when nothing could be written.
    failing_since: Option<Timestamp>,
}

struct Open {
    connection: Connection,
    housekeeping: Housekeeping,
    /// The newest turn that earlier runs left, until one of this run comes.
    left: Option<Timestamp>,
    aside: Option<Aside>,
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: None, tried: None, failing_since: None }
    }

    fn run(mut self, batches: &Receiver<Message>) {
        self.open_if_due(now());
        loop {
            match batches.recv_timeout(OPEN_AGAIN) {
                Ok(Message::Write(batch)) => self.write(batch, now()),
                Ok(Message::Flush(done)) => drop(done.send(())),
                Err(RecvTimeoutError::Timeout) => self.write(Batch::default(), now()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(open) = self.open
            && let Err((_, error)) = open.connection.close()
        {
            tracing::warn!(%error, "the history was not closed");
        }
    }

    fn write(&mut self, mut batch: Batch, now: Timestamp) {
        self.open_if_due(now);
        let Some(open) = &mut self.open else { return self.missed(&batch, now) };
        let failing_since = self.failing_since;
        batch.events.extend(open.gap(&batch, failing_since));
        batch.events.extend(open.aside.as_ref().map(|aside| told(aside, now)));
        let size_bytes = self.shared.place.size_bytes;
        match open.write(&batch, size_bytes, now) {
            Ok(used) => {
                self.failing_since = None;
                let mut inner = self.shared.lock();
                inner.status.problem = None;
                inner.status.used_bytes = used;
            }
            Err(error) => self.failed(&error, &batch, now),
        }
    }

    /// What could not be written is missing. A file that turned out to be spoilt is put aside.
    fn failed(&mut self, error: &rusqlite::Error, batch: &Batch, now: Timestamp) {
        let text = format!("it cannot be written: {error}");
        if self.shared.lock().status.problem.as_ref() != Some(&text) {
            tracing::error!(%error, "the history cannot be written; the console goes on without");
        }
        self.shared.lock().status.problem = Some(text.clone());
        self.missed(batch, now);
        if is_spoilt(error) {
            self.open = None;
            let aside = put_aside(&self.shared.place.file, text, now);
            match aside {
                Ok(aside) => self.begin(now, Some(aside)),
                Err(error) => tracing::error!(%error, "the history cannot be put aside"),
            }
        }
    }

    fn missed(&mut self, batch: &Batch, now: Timestamp) {
        if !batch.is_empty() {
            self.failing_since.get_or_insert(now);
            self.shared.lock().status.seconds_missed += 1;
        }
    }

    fn open_if_due(&mut self, now: Timestamp) {
        let is_due = self.tried.is_none_or(|tried| now < tried || now.since(tried) >= OPEN_AGAIN);
        if self.open.is_none() && is_due {
            self.begin(now, None);
        }
    }

    /// Opens the file, which was perhaps put aside just before.
    fn begin(&mut self, now: Timestamp, before: Option<Aside>) {
        self.tried = Some(now);
        let opened = self.opened(now, before);
        let mut inner = self.shared.lock();
        match opened {
            Ok(open) => {
                inner.generation += 1;
                inner.status.problem = None;
                inner.status.aside =
                    open.aside.as_ref().map(aside_status).or(inner.status.aside.take());
                drop(inner);
                self.open = Some(open);
            }
            Err(error) => {
                let error = service::exit::chain(&*error);
                tracing::error!(error, "nothing is recorded; trying again");
                inner.status.problem = Some(error);
            }
        }
    }

    fn opened(
        &self,
        now: Timestamp,
        before: Option<Aside>,
    ) -> Result<Open, Box<dyn std::error::Error>> {
        let (connection, aside) = open(&self.shared.place.file, now)?;
        let left = newest(&connection)?;
        let housekeeping = Housekeeping::default();
        Ok(Open { connection, housekeeping, left, aside: aside.or(before) })
    }
}

impl Open {
    /// One transaction. Gives what is in the file.
    fn write(&mut self, batch: &Batch, size_bytes: u64, now: Timestamp) -> rusqlite::Result<u64> {
        if !batch.is_empty() {
            let transaction = self.connection.transaction()?;
            write(&transaction, batch)?;
            transaction.commit()?;
            self.aside = None;
            self.left = self.left.filter(|_| batch.turns.is_empty());
        }
        match self.housekeeping.run(&mut self.connection, size_bytes, now)? {
            Some(used) => Ok(used),
            None => used_bytes(&self.connection),
        }
    }

    /// The gap before a batch, where there is one: since the console ran last, or could write last.
    fn gap(&self, batch: &Batch, failing_since: Option<Timestamp>) -> Option<Event> {
        let to = batch.first()?;
        let (from, cause) = match failing_since {
            Some(since) => (since, Cause::NotWritten),
            None => (self.left?, Cause::ConsoleAway),
        };
        let gap = Happened::Gap { from, to, cause };
        (to.since(from) > GAP).then_some(Event { at: to, service: None, happened: gap })
    }
}

/// The newest turn in the file.
fn newest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let turns = read::span(connection, Class::Turns)?;
    Ok(turns.map(|(_, newest)| newest))
}

fn told(aside: &Aside, now: Timestamp) -> Event {
    let AsideStatus { file, reason } = aside_status(aside);
    Event { at: now, service: None, happened: Happened::Aside { file, reason } }
}

fn aside_status(aside: &Aside) -> AsideStatus {
    AsideStatus { file: name(&aside.file), reason: aside.reason.clone() }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// The time of day: what is too old follows from it.
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}
