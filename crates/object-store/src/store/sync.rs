//! Making renames durable, many at a time.
//!
//! An fsync of a folder covers every rename before it began. So writers that come while one runs
//! wait for the next one together, instead of each asking the disk for its own.

use std::os::fd::BorrowedFd;
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::fs::fsync;
use rustix::io::Errno;

#[derive(Debug, Default)]
pub(super) struct GroupSync {
    rounds: Mutex<Rounds>,
    /// The writers that wait for the running round and those that wait for the next one, by the
    /// round's number: the end of a round wakes every writer in it, and one of the next, to lead it.
    waiting: [Condvar; 2],
}

/// Rounds are numbered from 1, and run one after another.
#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    ended: u64,
    /// The last round that failed, and how.
    failed: Option<(u64, Errno)>,
}

impl GroupSync {
    /// Returns once a sync of `folder` that began after this call has ended: leads that round if
    /// none is under way, and otherwise waits for one.
    pub(super) fn sync(&self, folder: BorrowedFd<'_>) -> Result<(), Errno> {
        self.run(|| fsync(folder))
    }

    fn run(&self, sync: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        // A round already under way may have passed this caller's rename: the next one counts.
        let mine = rounds.begun + 1;
        while rounds.begun != rounds.ended {
            rounds = self.waiting(mine).wait(rounds).unwrap_or_else(PoisonError::into_inner);
            if rounds.ended >= mine {
                return rounds.outcome(mine);
            }
        }
        rounds.begun += 1;
        let round = rounds.begun;
        drop(rounds);
        let outcome = sync();
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        rounds.ended = round;
        if let Err(error) = outcome {
            rounds.failed = Some((round, error));
        }
        drop(rounds);
        self.waiting(round).notify_all();
        self.waiting(round + 1).notify_one();
        outcome
    }

    fn waiting(&self, round: u64) -> &Condvar {
        &self.waiting[usize::from(!round.is_multiple_of(2))]
    }
}

impl Rounds {
    /// A later failure counts too: the kernel reports an error once, and to whom is chance.
    fn outcome(&self, mine: u64) -> Result<(), Errno> {
        match self.failed {
            Some((round, error)) if round >= mine => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A disk that counts: `renamed` is what was done, `synced` what a finished sync covers.
    #[derive(Default)]
    struct Disk {
        renamed: AtomicU64,
        synced: AtomicU64,
        syncs: AtomicU64,
    }

    impl Disk {
        fn sync(&self) -> Result<(), Errno> {
            let covered = self.renamed.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
            self.synced.fetch_max(covered, Ordering::SeqCst);
            self.syncs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    #[test]
    fn a_writer_returns_only_when_its_rename_is_covered_and_writers_share_rounds() {
        let disk = Arc::new(Disk::default());
        let group = Arc::new(GroupSync::default());
        let writers: Vec<_> = (0..8)
            .map(|_| {
                let (disk, group) = (disk.clone(), group.clone());
                thread::spawn(move || {
                    for _ in 0..50 {
                        let mine = disk.renamed.fetch_add(1, Ordering::SeqCst) + 1;
                        group.run(|| disk.sync()).unwrap();
                        assert!(disk.synced.load(Ordering::SeqCst) >= mine);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let syncs = disk.syncs.load(Ordering::SeqCst);
        assert!(syncs <= 200, "400 renames took {syncs} syncs");
    }

    #[test]
    fn a_failed_round_fails_for_everyone_in_it_and_not_for_the_next() {
        let group = Arc::new(GroupSync::default());
        let follower = {
            let group = group.clone();
            move || thread::spawn(move || group.run(|| Err(Errno::IO)))
        };
        let followers = thread::scope(|scope| {
            let leader = scope.spawn(|| {
                group.run(|| {
                    thread::sleep(Duration::from_millis(50));
                    Ok(())
                })
            });
            thread::sleep(Duration::from_millis(10));
            let followers = [follower.clone()(), follower.clone()()];
            assert_eq!(leader.join().unwrap(), Ok(()));
            followers
        });
        for follower in followers {
            assert_eq!(follower.join().unwrap(), Err(Errno::IO));
        }
        assert_eq!(group.run(|| Ok(())), Ok(()));
    }
}
