//! The messages that wait for one receiver, in the order in which they came.

use std::collections::VecDeque;

use super::message::Message;

/// So many wait at the most, some 25 kB: more than all kinds of 20 services have at once.
pub(super) const WAITING_MAX: usize = 64;

/// Messages that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: VecDeque<Entry>,
}

/// A message that waits.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The change with which it came.
    pub(super) change: u64,
    /// It.
    pub(super) message: Message,
}

impl Queue {
    /// Adds one, and gives the one that makes way for it: the oldest but for the first, which is being sent.
    pub(super) fn push(&mut self, change: u64, message: Message) -> Option<Message> {
        self.messages.push_back(Entry { change, message });
        let is_full = self.messages.len() > WAITING_MAX;
        let dropped = is_full.then(|| self.messages.remove(1)).flatten();
        dropped.map(|entry| entry.message)
    }

    /// The one that is next.
    pub(super) fn first(&self) -> Option<&Entry> {
        self.messages.front()
    }

    /// The first is done with.
    pub(super) fn pop(&mut self) {
        self.messages.pop_front();
    }

    /// All, oldest first.
    pub(super) fn messages(&self) -> impl ExactSizeIterator<Item = &Message> {
        self.messages.iter().map(|entry| &entry.message)
    }
}

#[cfg(test)]
mod tests {
    use host::settings::EpisodeKind;
    use model::time::Timestamp;

    use super::super::message::Change;
    use super::*;

    #[test]
    fn the_oldest_makes_way_and_the_one_that_is_being_sent_stays() {
        let message = |number: usize| Message {
            kind: EpisodeKind::FullDisk,
            state: Change::Began,
            service: None,
            at: Timestamp::default(),
            episode: number.to_string(),
            text: String::new(),
        };
        let mut queue = Queue::default();
        assert!((0..WAITING_MAX).all(|number| queue.push(1, message(number)).is_none()));
        let dropped: Vec<_> =
            (100..103).filter_map(|number| Some(queue.push(2, message(number))?.episode)).collect();
        assert_eq!(dropped, ["1", "2", "3"]);
        let left: Vec<_> = queue.messages().map(|it| &*it.episode).collect();
        assert_eq!((left.len(), left[0], left[1], left[63]), (WAITING_MAX, "0", "4", "102"));
        queue.pop();
        assert_eq!(queue.first().unwrap().message.episode, "4");
    }
}
