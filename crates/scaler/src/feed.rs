//! What the console is told as it happens. The loop writes it once for all who read, and waits for nobody: who does not
//! follow is cut off, and asks the record for what was missed. Without a reader, nothing is written.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Mutex;

use axum::body::{Body, Bytes};
use model::feed::{FeedLine, ServiceFeed};
use model::names::ServiceName;
use model::network::NetworkStatus;
use model::tick::Tick;
use model::time::Timestamp;
use tokio::sync::broadcast::{self, Receiver, error::RecvError};

use crate::lock::lock;

/// Readers at a time: the console, and whoever looks for a fault.
const READERS: usize = 4;

/// Turns that a reader may be behind: some three seconds. All readers share them, some 15 kB each with 200 instances.
const TURNS: usize = 32;

/// Nothing at all, after which nothing comes.
const END: Bytes = Bytes::new();

/// What readers are told.
#[derive(Debug)]
pub(crate) struct Feed {
    turns: broadcast::Sender<Bytes>,
    writing: Mutex<Writing>,
}

#[derive(Debug, Default)]
struct Writing {
    /// The lines of the turn that is taken.
    lines: Vec<u8>,
    /// The second in which each service was told of last, and the network.
    services: BTreeMap<ServiceName, u64>,
    network: Option<u64>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { turns: broadcast::Sender::new(TURNS), writing: Mutex::default() }
    }
}

impl Feed {
    /// Whether anybody reads.
    pub(crate) fn is_read(&self) -> bool {
        self.turns.receiver_count() > 0
    }

    /// Tells of a turn.
    pub(crate) fn tick(&self, mut tick: Tick) {
        tick.hide_output();
        self.write(&FeedLine::Tick(Box::new(tick)));
    }

    /// Whether a service is to be told of: in every second, and by a reader who has just come.
    pub(crate) fn is_due(&self, service: &ServiceName, at: Timestamp) -> bool {
        lock(&self.writing).services.get(service) != Some(&second(at))
    }

    /// Tells of a service and its instances.
    pub(crate) fn service(&self, mut service: ServiceFeed) {
        let (name, at) = (service.status.name.clone(), second(service.at));
        service.status.tick = None;
        service.status.hide_output();
        self.write(&FeedLine::Service(Box::new(service)));
        lock(&self.writing).services.insert(name, at);
    }

    /// Tells of the network once a second, and sends what was said of this turn.
    pub(crate) fn end_turn(&self, at: Timestamp, network: impl FnOnce() -> NetworkStatus) {
        if !self.is_read() {
            *lock(&self.writing) = Writing::default();
            return;
        }
        let is_due = lock(&self.writing).network.replace(second(at)) != Some(second(at));
        if is_due {
            self.write(&FeedLine::Network(network()));
        }
        let lines = std::mem::take(&mut lock(&self.writing).lines);
        if !lines.is_empty() {
            // An error says that the last reader has just left.
            let _ = self.turns.send(lines.into());
        }
    }

    /// Ends the feed of all who read, who would else keep the process from ending.
    pub(crate) fn close(&self) {
        let _ = self.turns.send(END);
    }

    fn write(&self, line: &FeedLine) {
        let lines = &mut lock(&self.writing).lines;
        // Plain data with texts as keys cannot fail to be JSON, and memory takes what is written.
        let _ = serde_json::to_writer(&mut *lines, line);
        lines.push(b'\n');
    }

    /// All turns from the next one on, to be sent as they come; `None` where there are too many readers.
    pub(crate) fn read(&self) -> Option<Body> {
        if self.turns.receiver_count() >= READERS {
            return None;
        }
        let receiver = self.turns.subscribe();
        let mut writing = lock(&self.writing);
        (writing.services, writing.network) = (BTreeMap::new(), None);
        Some(Body::from_stream(futures_util::stream::unfold(receiver, next)))
    }
}

async fn next(
    mut receiver: Receiver<Bytes>,
) -> Option<(Result<Bytes, Infallible>, Receiver<Bytes>)> {
    match receiver.recv().await {
        Ok(turn) if turn == END => None,
        Ok(turn) => Some((Ok(turn), receiver)),
        Err(RecvError::Lagged(turns)) => {
            tracing::warn!(turns, "a reader of the feed does not follow and is cut off");
            None
        }
        Err(RecvError::Closed) => None,
    }
}

fn second(at: Timestamp) -> u64 {
    at.as_millis() / 1000
}
