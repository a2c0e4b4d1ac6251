//! What happens, told to those who listen: each message is written once for all of them.
//!
//! A message has a number, and the last ones are kept, so who lost the connection goes on behind the last one that he had.
//! Who does not follow is cut off; nobody is waited for, and memory is bounded for all together.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use model::names::ServiceName;
use model::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::api::series::second;
use crate::watch::Taken;

/// Listeners at a time.
const LISTENERS: usize = 64;

/// Messages that a listener may be behind: with 20 services a minute or so.
const BEHIND: usize = 1024;

/// Messages that are kept for those who come back, and their bytes.
const KEPT: usize = 4096;
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What is sent where nothing is told for so long, so that a connection that broke is noticed.
const QUIET: Duration = Duration::from_secs(15);
const NOTHING: Bytes = Bytes::from_static(b":\n\n");

/// How soon a listener is to come back.
const BEGIN: &[u8] = b"retry: 1000\n\n";

/// What is told to who comes back and whose last message is kept no more: that some are missing.
const MISSED: &[u8] = b"event: missed\ndata: {}\n\n";

/// All who listen.
#[derive(Debug)]
pub struct Hub {
    /// Another with each run of the console, whose numbers begin anew.
    epoch: u64,
    sender: broadcast::Sender<Arc<Message>>,
    kept: Mutex<Kept>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    last: u64,
}

#[derive(Debug)]
struct Message {
    number: u64,
    /// Of which service; `None` of the whole host.
    service: Option<ServiceName>,
    text: Bytes,
}

/// One who listens.
#[derive(Debug)]
pub struct Listener {
    receiver: broadcast::Receiver<Arc<Message>>,
    first: VecDeque<Bytes>,
    service: Option<ServiceName>,
    _place: OwnedSemaphorePermit,
}

impl Hub {
    /// One of which `began` tells the run from others.
    pub fn new(began: Timestamp) -> Self {
        Self {
            epoch: began.as_millis(),
            sender: broadcast::Sender::new(BEHIND),
            kept: Mutex::default(),
            places: Arc::new(Semaphore::new(LISTENERS)),
        }
    }

    /// Tells everybody.
    pub fn tell(&self, taken: &Taken) {
        let (name, service, json) = match taken {
            Taken::Tick(tick) => ("tick", Some(&tick.service), serde_json::to_string(&**tick)),
            Taken::Event(event) => ("event", event.service.as_ref(), serde_json::to_string(event)),
            Taken::Second(row) => {
                ("second", Some(&row.service), serde_json::to_string(&second(row)))
            }
        };
        // Plain data with texts as keys cannot fail to be JSON.
        let json = json.unwrap_or_default();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let number = kept.last;
        let mut text = String::with_capacity(json.len() + 64);
        // JSON has no line breaks of its own, and memory takes what is written.
        let _ = write!(text, "id: {}-{number}\nevent: {name}\ndata: {json}\n\n", self.epoch);
        let message = Arc::new(Message { number, service: service.cloned(), text: text.into() });
        kept.keep(Arc::clone(&message));
        // Under the lock, so that who comes now gets it from here or from there. An error says that nobody listens.
        let _ = self.sender.send(message);
    }

    /// Has somebody listen from now on, or from behind the message with this id on; to one service, or to all. `None` where
    /// there are too many.
    pub fn listen(&self, last_id: Option<&str>, service: Option<ServiceName>) -> Option<Listener> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = VecDeque::from([Bytes::from_static(BEGIN)]);
        match last_id.map(|id| self.number(id).filter(|number| kept.has_all_after(*number))) {
            None => {}
            Some(None) => first.push_back(Bytes::from_static(MISSED)),
            Some(Some(number)) => {
                let after = kept.messages.iter().filter(|it| it.number > number);
                first.extend(
                    after.filter(|it| it.is_for(service.as_ref())).map(|it| it.text.clone()),
                );
            }
        }
        let receiver = self.sender.subscribe();
        Some(Listener { receiver, first, service, _place: place })
    }

    /// The number of a message of this run.
    fn number(&self, id: &str) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        (epoch.parse() == Ok(self.epoch)).then(|| number.parse().ok())?
    }
}

impl Kept {
    fn keep(&mut self, message: Arc<Message>) {
        self.bytes += message.text.len();
        self.messages.push_back(message);
        while self.messages.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    fn has_all_after(&self, number: u64) -> bool {
        let oldest = self.messages.front().map_or(self.last + 1, |message| message.number);
        (oldest.saturating_sub(1)..=self.last).contains(&number)
    }
}

impl Message {
    fn is_for(&self, service: Option<&ServiceName>) -> bool {
        service.is_none() || self.service.is_none() || self.service.as_ref() == service
    }
}

impl Listener {
    /// Waits for the next part of the text; `None` when the listener was too slow.
    pub async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        let quiet = tokio::time::sleep(QUIET);
        tokio::pin!(quiet);
        loop {
            tokio::select! {
                () = &mut quiet => return Some(NOTHING),
                message = self.receiver.recv() => {
                    // Too slow, or the console ends.
                    let message = message.ok()?;
                    if message.is_for(self.service.as_ref()) {
                        return Some(message.text.clone());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::tick;

    fn hub() -> Hub {
        Hub::new(Timestamp::from_millis(7))
    }

    fn tell(hub: &Hub, service: &str, at: u64) {
        hub.tell(&Taken::Tick(Arc::new(tick(service, at))));
    }

    async fn ids(listener: &mut Listener) -> Vec<String> {
        let mut ids = Vec::new();
        while let Ok(Some(text)) = tokio::time::timeout(Duration::ZERO, listener.next()).await {
            let text = String::from_utf8(text.to_vec()).unwrap();
            ids.extend(text.lines().next().map(str::to_owned));
        }
        ids
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_goes_on_behind_the_last_message_that_he_had() {
        let hub = hub();
        let mut listener = hub.listen(None, None).unwrap();
        (1..=3).for_each(|at| tell(&hub, "store", at));
        assert_eq!(ids(&mut listener).await, ["retry: 1000", "id: 7-1", "id: 7-2", "id: 7-3"]);
        let mut again = hub.listen(Some("7-1"), None).unwrap();
        tell(&hub, "store", 4);
        assert_eq!(ids(&mut again).await, ["retry: 1000", "id: 7-2", "id: 7-3", "id: 7-4"]);
        let mut at_the_end = hub.listen(Some("7-4"), None).unwrap();
        assert_eq!(ids(&mut at_the_end).await, ["retry: 1000"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_told_all_that_he_missed_is_told_so() {
        let hub = hub();
        for at in 0..=KEPT as u64 {
            tell(&hub, "store", at);
        }
        for id in ["7-0", "6-4097", "7-9999", "7", "", "x-1", "7--1"] {
            let mut listener = hub.listen(Some(id), None).unwrap();
            assert_eq!(ids(&mut listener).await, ["retry: 1000", "event: missed"], "{id}");
        }
        let mut listener = hub.listen(Some("7-1"), None).unwrap();
        assert_eq!(ids(&mut listener).await.len(), KEPT + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_listens_to_one_service_hears_of_no_other() {
        let hub = hub();
        let mut listener = hub.listen(None, Some("store".parse().unwrap())).unwrap();
        tell(&hub, "other", 1);
        tell(&hub, "store", 2);
        assert_eq!(ids(&mut listener).await, ["retry: 1000", "id: 7-2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_follow_is_cut_off() {
        let hub = hub();
        let mut listener = hub.listen(None, None).unwrap();
        (0..=BEHIND as u64).for_each(|at| tell(&hub, "store", at));
        assert!(listener.next().await.is_some(), "the retry");
        assert!(listener.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_happens_something_is_sent_all_the_same() {
        let hub = hub();
        let mut listener = hub.listen(None, None).unwrap();
        listener.next().await;
        let begun = tokio::time::Instant::now();
        assert_eq!(listener.next().await.unwrap(), NOTHING);
        assert_eq!(begun.elapsed(), QUIET);
    }

    #[test]
    fn there_are_so_many_listeners_at_the_most() {
        let hub = hub();
        let listeners: Vec<_> = (0..LISTENERS).map(|_| hub.listen(None, None).unwrap()).collect();
        assert!(hub.listen(None, None).is_none());
        drop(listeners);
        assert!(hub.listen(None, None).is_some());
    }

    #[test]
    fn what_is_kept_has_a_bound_in_bytes_too() {
        let hub = hub();
        let mut large = tick("store", 1);
        large.blocked = vec![model::action::Blocked::HostMemory; 20_000];
        for _ in 0..40 {
            hub.tell(&Taken::Tick(Arc::new(large.clone())));
        }
        let kept = hub.kept.lock().unwrap();
        assert!(kept.bytes <= KEPT_BYTES && kept.messages.len() < 40, "{}", kept.bytes);
        assert_eq!(kept.bytes, kept.messages.iter().map(|it| it.text.len()).sum::<usize>());
    }
}
