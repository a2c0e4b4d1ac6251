//! What instances answered between two scrapes: pure arithmetic on what their lines have counted.

use std::collections::{BTreeMap, BTreeSet};

use model::names::{ServiceName, Slot};
use model::watch::Answers;

use super::counters::same_worker;
use super::stats::{ServerStats, Stats};

/// Answers by the service and the slot of the instances that gave them.
pub type AnswersBySlot = BTreeMap<ServiceName, BTreeMap<Slot, Answers>>;

/// What each line had counted at the last look, and for whom. A line goes from one instance to the next and counts
/// on, and it is not among the statistics in between.
#[derive(Debug, Default)]
pub struct AnswerCounts {
    last: BTreeMap<String, (Slot, Answers)>,
    /// The lines that instances had since the worker started that counts; `None` where it was not followed since
    /// then.
    used: Option<BTreeSet<String>>,
}

impl AnswerCounts {
    /// The answers since the scrape `before`, which is the one that this was called for last.
    ///
    /// A new worker counts from 0, and what its predecessor counted after `before` is lost, as it is to
    /// [`super::increase`]. Without a scrape before, nothing is known of the time since then. What a line counted
    /// that another instance had, or that was not there at the last look, belongs to nobody: an instance that was
    /// killed has failures of which the next one on its line knows nothing.
    pub fn increase(&mut self, before: Option<&Stats>, now: &Stats) -> AnswersBySlot {
        if !before.is_some_and(|before| same_worker(before, now)) {
            self.last.clear();
            self.used = before.map(|_| BTreeSet::new());
        }
        let mut looked = BTreeMap::new();
        let mut increase = AnswersBySlot::new();
        for (service, stats) in &now.services {
            for (slot, server) in &stats.servers {
                let Some(answers) = counted(server) else { continue };
                let earlier = self.earlier(&server.line, *slot).unwrap_or(answers);
                looked.insert(server.line.clone(), (*slot, answers));
                let new = Answers {
                    all: answers.all.saturating_sub(earlier.all),
                    failed: answers.failed.saturating_sub(earlier.failed),
                };
                if new.all > 0 {
                    increase.entry(service.clone()).or_default().insert(*slot, new);
                }
            }
        }
        self.last = looked;
        increase
    }

    /// From where on what a line counts is of the instance in this slot; `None` where that is not known.
    fn earlier(&mut self, line: &str, slot: Slot) -> Option<Answers> {
        let is_first = self.used.as_mut().is_some_and(|used| used.insert(line.to_owned()));
        match self.last.get(line) {
            Some((of, answers)) if *of == slot => Some(*answers),
            _ => is_first.then(Answers::default),
        }
    }
}

/// What a line has counted; `None` of one for connections, which have no answers.
fn counted(server: &ServerStats) -> Option<Answers> {
    let broken = server.response_errors?;
    Some(Answers { all: server.answers? + broken, failed: server.server_errors? + broken })
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::stats::{ServerStatus, ServiceStats, Worker};
    use super::*;

    /// A line of the store: its slot, its number, and what it has counted: 5xx, broken, all answers.
    type Line = (u32, u32, [u64; 3]);

    fn scraped(generation: u64, scrapes: u64, lines: &[Line]) -> Stats {
        let server = |(slot, line, [server_errors, response_errors, answers]): &Line| {
            let stats = ServerStats {
                line: format!("store.{line}"),
                status: ServerStatus::Up,
                in_flight: Some(0),
                queued: Some(0),
                sessions: Some(*answers),
                last_session: None,
                answers: Some(*answers),
                server_errors: Some(*server_errors),
                response_errors: Some(*response_errors),
                check: None,
            };
            (Slot::try_from(*slot).unwrap(), stats)
        };
        let servers = lines.iter().map(server).collect();
        let stats = ServiceStats { servers, ..ServiceStats::default() };
        Stats {
            asked_at: Instant::now(),
            worker: Worker { generation, age_s: 9, scrapes },
            services: [("store".parse().unwrap(), stats)].into(),
        }
    }

    /// What each of these scrapes adds to the one before, as slot, failed, all.
    fn increases(scrapes: &[Stats]) -> Vec<Vec<(u32, u64, u64)>> {
        let mut counts = AnswerCounts::default();
        let before = std::iter::once(None).chain(scrapes.iter().map(Some));
        let increase = |(before, now)| {
            let services = counts.increase(before, now).into_values().flatten();
            services.map(|(slot, new)| (u32::from(slot.get()), new.failed, new.all)).collect()
        };
        before.zip(scrapes).map(increase).collect()
    }

    #[test]
    fn what_an_instance_answered_is_told_by_its_slot_and_what_is_broken_counts_as_failed() {
        let scrapes = [
            scraped(1, 1, &[(1, 1, [1, 0, 9]), (2, 2, [0, 0, 5])]),
            scraped(1, 2, &[(1, 1, [3, 1, 14]), (2, 2, [0, 0, 5])]),
        ];
        assert_eq!(increases(&scrapes), [vec![], vec![(1, 3, 6)]]);
    }

    #[test]
    fn a_line_that_goes_to_another_instance_leaves_behind_what_it_counted_for_the_first() {
        let scrapes = [
            scraped(1, 1, &[]),
            scraped(2, 1, &[(1, 1, [0, 0, 2])]),
            scraped(2, 2, &[(1, 1, [7, 0, 9])]),
            scraped(2, 3, &[]),
            // The first one was killed, and what broke then is counted only now.
            scraped(2, 4, &[(5, 1, [11, 0, 16])]),
            scraped(2, 5, &[(5, 1, [11, 0, 18])]),
            scraped(2, 6, &[(6, 1, [14, 0, 25])]),
            scraped(2, 7, &[(6, 1, [14, 0, 26])]),
        ];
        let one = |slot, failed, all| vec![(slot, failed, all)];
        let told = [vec![], one(1, 0, 2), one(1, 7, 7), vec![], vec![], one(5, 0, 2), vec![]];
        let told: Vec<_> = told.into_iter().chain([one(6, 0, 1)]).collect();
        assert_eq!(increases(&scrapes), told);
    }

    #[test]
    fn of_a_worker_that_counted_before_anybody_looked_the_first_look_at_a_line_tells_nothing() {
        let scrapes = [
            scraped(4, 8, &[(1, 1, [2, 0, 9])]),
            scraped(4, 9, &[(1, 1, [2, 0, 10]), (2, 2, [50, 0, 90])]),
            scraped(4, 10, &[(1, 1, [2, 0, 10]), (2, 2, [51, 0, 92])]),
        ];
        assert_eq!(increases(&scrapes), [vec![], vec![(1, 0, 1)], vec![(2, 1, 2)]]);
    }

    #[test]
    fn a_new_worker_counts_from_zero_and_nothing_twice() {
        let scrapes = [
            scraped(1, 1, &[(1, 1, [0, 0, 9])]),
            scraped(1, 2, &[(1, 1, [0, 0, 10])]),
            scraped(2, 1, &[(1, 1, [0, 0, 4]), (2, 2, [1, 0, 2])]),
            scraped(2, 2, &[(1, 1, [0, 0, 4]), (2, 2, [1, 0, 3])]),
        ];
        let told = [vec![], vec![(1, 0, 1)], vec![(1, 0, 4), (2, 1, 2)], vec![(2, 0, 1)]];
        assert_eq!(increases(&scrapes), told);
    }
}
