//! The record of ticks: the newest in memory for the API, all of late in a file that outlives the
//! process.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use model::names::ServiceName;
use model::status::TickPage;
use model::tick::Tick;

use crate::json_lines::{JsonLines, push_bounded};

/// Ticks in memory: some 15 MB, and more than an hour in which a service changes twice a second.
const TICKS_IN_MEMORY: usize = 10_000;

/// Size at which the file is put aside. Two of them are kept.
const FILE_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// How many ticks of a page are told at most.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// From the oldest on.
    Oldest(usize),
    /// Up to the newest.
    Newest(usize),
}

/// Ticks that changed something, or wanted to and could not, in the order they were taken.
#[derive(Debug)]
pub(crate) struct Journal {
    ticks: VecDeque<Tick>,
    last_by_service: BTreeMap<ServiceName, Tick>,
    next_sequence: u64,
    file: JsonLines,
}

impl Journal {
    /// Opens the record at `path` and reads what earlier processes wrote. A line that a crash cut
    /// short is passed over.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let (file, mut ticks): (_, VecDeque<Tick>) =
            JsonLines::open(path, FILE_MAX_BYTES, TICKS_IN_MEMORY)?;
        let mut last = 0;
        ticks.retain(|tick| {
            let rises = tick.sequence > last;
            last = last.max(tick.sequence);
            rises
        });
        Ok(Self {
            next_sequence: ticks.back().map_or(1, |tick| tick.sequence + 1),
            last_by_service: BTreeMap::new(),
            ticks,
            file,
        })
    }

    /// Keeps `tick` if it is worth it, and gives it its sequence number then.
    ///
    /// # Errors
    /// The file could not be written. The tick is kept in memory all the same.
    pub(crate) fn offer(&mut self, tick: &mut Tick) -> io::Result<()> {
        let last = self.last_by_service.get(&tick.service);
        if !tick.is_worth_keeping(last) {
            return Ok(());
        }
        tick.sequence = self.next_sequence;
        self.next_sequence += 1;
        self.last_by_service.insert(tick.service.clone(), tick.clone());
        let written = self.file.add(&*tick);
        push_bounded(&mut self.ticks, tick.clone(), TICKS_IN_MEMORY);
        written
    }

    /// Ticks with a sequence number above `since` that `is_told` lets through, oldest first. The next page goes on behind
    /// what was looked at, told or not.
    pub(crate) fn page(
        &self,
        since: u64,
        count: Count,
        is_told: impl Fn(&Tick) -> bool,
    ) -> TickPage {
        let first = self.ticks.partition_point(|tick| tick.sequence <= since);
        let behind = self.ticks.range(first..);
        let last = self.ticks.back().map_or(since, |tick| tick.sequence.max(since));
        match count {
            Count::Newest(most) => {
                let mut ticks: Vec<Tick> =
                    behind.rev().filter(|tick| is_told(tick)).take(most).cloned().collect();
                ticks.reverse();
                TickPage { ticks, next: last }
            }
            Count::Oldest(most) => {
                let told = behind.filter(|tick| is_told(tick)).take(most);
                let ticks: Vec<Tick> = told.cloned().collect();
                let is_full = ticks.len() == most;
                let next = ticks.last().map_or(since, |tick| tick.sequence);
                TickPage { ticks, next: if is_full { next } else { last } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::decision::{Decision, Reason};
    use model::tick::Observation;
    use model::time::Timestamp;

    use super::*;

    fn tick(ready: u32) -> Tick {
        let decision = Decision::Target { ready, reasons: vec![Reason::OfferedLoad] };
        Tick {
            sequence: 0,
            at: Timestamp::from_millis(5),
            service: "store".parse().unwrap(),
            observation: Observation::default(),
            rollout: None,
            decision,
            trail: None,
            room: None,
            plan: vec![],
            blocked: vec![],
            done: vec![],
            ended: vec![],
            given_up: vec![],
        }
    }

    fn sequences(journal: &Journal, since: u64, limit: usize) -> Vec<u64> {
        numbers(&journal.page(since, Count::Oldest(limit), |_| true)).0
    }

    /// The sequence numbers of a page, and that to go on after.
    fn numbers(page: &TickPage) -> (Vec<u64>, u64) {
        (page.ticks.iter().map(|tick| tick.sequence).collect(), page.next)
    }

    #[test]
    fn a_page_is_of_the_oldest_or_the_newest_and_goes_on_behind_what_is_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("ticks.jsonl")).unwrap();
        for ready in 1..=6 {
            journal.offer(&mut tick(ready)).unwrap();
        }
        let even = |tick: &Tick| tick.sequence.is_multiple_of(2);
        let page = |since, count| numbers(&journal.page(since, count, even));
        assert_eq!(page(0, Count::Oldest(2)), (vec![2, 4], 4));
        assert_eq!(page(4, Count::Oldest(2)), (vec![6], 6));
        assert_eq!(page(6, Count::Oldest(2)), (vec![], 6));
        assert_eq!(page(0, Count::Newest(2)), (vec![4, 6], 6));
        assert_eq!(page(4, Count::Newest(2)), (vec![6], 6));
        assert_eq!(page(9, Count::Newest(2)), (vec![], 9));
        let none = |count| numbers(&journal.page(0, count, |_| false));
        assert_eq!((none(Count::Oldest(2)), none(Count::Newest(2))), ((vec![], 6), (vec![], 6)));
        assert_eq!(page(0, Count::Oldest(0)), (vec![], 0));
    }

    #[test]
    fn a_tick_like_the_last_one_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("ticks.jsonl")).unwrap();
        for ready in [1, 1, 2, 2, 3] {
            journal.offer(&mut tick(ready)).unwrap();
        }
        assert_eq!(sequences(&journal, 0, 9), [1, 2, 3]);
        assert_eq!(sequences(&journal, 1, 1), [2]);
        assert_eq!(sequences(&journal, 3, 9), [0; 0]);
    }

    #[test]
    fn the_record_outlives_the_process_and_goes_on_with_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticks.jsonl");
        Journal::open(&path).unwrap().offer(&mut tick(1)).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        journal.offer(&mut tick(2)).unwrap();
        drop(journal);
        assert_eq!(sequences(&Journal::open(&path).unwrap(), 0, 9), [1, 2]);
    }

    #[test]
    fn the_newest_ten_thousand_are_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("ticks.jsonl")).unwrap();
        for ready in 0..10_003 {
            journal.offer(&mut tick(ready)).unwrap();
        }
        let kept = sequences(&journal, 0, 20_000);
        assert_eq!((kept.len(), kept[0]), (10_000, 4));
    }
}
