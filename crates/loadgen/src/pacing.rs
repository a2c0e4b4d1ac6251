//! The thread that knows when the next request is due, and hands it over at that moment.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use workload::Arrival;

/// The stop flag is looked at this often in a pause without arrivals.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Hands each arrival over when it is due, counted from `start`. What the receiver has no room for
/// goes to `dropped`. Returns when there are no more arrivals, or `stop` is set.
///
/// It runs on a thread of its own because an async runtime's timer has a resolution of 1 ms, and
/// wakes late when the runtime is busy. It never hands over early, and after a delay all that has
/// become due goes at once, late as it is: the load is never thinned out.
pub(crate) fn pace(
    arrivals: impl Iterator<Item = Arrival>,
    start: Instant,
    stop: &watch::Receiver<bool>,
    due: &Sender<Arrival>,
    mut dropped: impl FnMut(Arrival),
) {
    // Linux delays a thread's timers by up to 50 us to batch them. Where this is not allowed, that
    // is the lateness, and it is measured.
    let _ = nix::sys::prctl::set_timerslack(1);
    for arrival in arrivals {
        if !sleep_until(start + arrival.due, stop) {
            return;
        }
        match due.try_send(arrival) {
            Ok(()) => {}
            Err(TrySendError::Full(arrival)) => dropped(arrival),
            Err(TrySendError::Closed(_)) => return,
        }
    }
}

/// Sleeps until that moment; `false` when stopped before.
fn sleep_until(moment: Instant, stop: &watch::Receiver<bool>) -> bool {
    while !*stop.borrow() {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(LOOK_UP));
    }
    false
}

#[cfg(test)]
mod tests {
    use workload::{KeyIndex, ObjectOperation, Operation};

    use super::*;

    fn arrivals(count: u64, apart: Duration) -> impl Iterator<Item = Arrival> {
        (0..count).map(move |i| Arrival {
            due: apart * u32::try_from(i).unwrap(),
            operation: Operation::Object(ObjectOperation::Get(KeyIndex(0))),
        })
    }

    #[test]
    fn nothing_is_handed_over_before_it_is_due() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(100);
        let start = Instant::now() + Duration::from_millis(20);
        let (_stopper, stop) = watch::channel(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let apart = Duration::from_millis(2);
                pace(arrivals(50, apart), start, &stop, &sender, |_| panic!("dropped"));
                drop(sender);
            });
            let mut seen = 0;
            while let Some(arrival) = receiver.blocking_recv() {
                assert!(Instant::now() >= start + arrival.due);
                seen += 1;
            }
            assert_eq!(seen, 50);
        });
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_said() {
        let (sender, _receiver) = tokio::sync::mpsc::channel(3);
        let mut dropped = 0;
        let (_stopper, stop) = watch::channel(false);
        pace(arrivals(10, Duration::ZERO), Instant::now(), &stop, &sender, |_| dropped += 1);
        assert_eq!(dropped, 7);
    }

    #[test]
    fn a_stop_ends_a_long_pause_at_once() {
        let (sender, _receiver) = tokio::sync::mpsc::channel(3);
        let (_stopper, stop) = watch::channel(true);
        let start = Instant::now();
        pace(arrivals(1, Duration::ZERO), start + Duration::from_secs(60), &stop, &sender, |_| ());
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
