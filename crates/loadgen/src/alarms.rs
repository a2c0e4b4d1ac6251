//! Wakes tasks at the moment they asked for.
//!
//! It is a thread of its own because an async runtime's timer has a resolution of 1 ms and wakes
//! late when the runtime is busy: of a mean delay of 20 ms, as threads of a closed load have it, that
//! would be a twentieth.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use tokio::sync::oneshot;

/// The thread that wakes tasks; it ends with the last of these.
#[derive(Debug, Clone)]
pub(crate) struct Alarms {
    set: Sender<Alarm>,
}

#[derive(Debug)]
struct Alarm {
    at: Instant,
    ring: oneshot::Sender<()>,
}

impl Alarms {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (set, alarms) = channel();
        std::thread::Builder::new().name("alarms".to_owned()).spawn(move || keep(&alarms))?;
        Ok(Self { set })
    }

    /// Waits until that moment, never less.
    pub(crate) async fn wait_until(&self, at: Instant) {
        let (ring, rung) = oneshot::channel();
        // The thread lives as long as `self`, and rings every alarm that it has.
        if self.set.send(Alarm { at, ring }).is_ok() {
            let _ = rung.await;
        }
    }
}

fn keep(alarms: &Receiver<Alarm>) {
    // As for the pacing thread: without it the kernel wakes up to 50 us late.
    let _ = nix::sys::prctl::set_timerslack(1);
    // Two alarms may be set for the same moment: the count tells them apart.
    let mut waiting: BTreeMap<(Instant, u64), oneshot::Sender<()>> = BTreeMap::new();
    let mut count = 0;
    loop {
        let now = Instant::now();
        while let Some(first) = waiting.first_entry()
            && first.key().0 <= now
        {
            // The task may have stopped waiting.
            let _ = first.remove().send(());
        }
        let set = match waiting.first_key_value() {
            Some(((at, _), _)) => alarms.recv_timeout(at.saturating_duration_since(now)),
            None => alarms.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match set {
            Ok(Alarm { at, ring }) => {
                count += 1;
                waiting.insert((at, count), ring);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn alarms_ring_in_their_order_and_none_too_early() {
        let alarms = Alarms::start().unwrap();
        let start = Instant::now();
        let wait = |ms| {
            let alarms = alarms.clone();
            async move {
                let at = start + Duration::from_millis(ms);
                alarms.wait_until(at).await;
                assert!(Instant::now() >= at);
                ms
            }
        };
        let mut tasks = tokio::task::JoinSet::new();
        for ms in [60, 5, 300, 5, 0] {
            tasks.spawn(wait(ms));
        }
        let mut rung = Vec::new();
        while let Some(ms) = tasks.join_next().await {
            rung.push(ms.unwrap());
        }
        assert_eq!(rung, [0, 5, 5, 60, 300]);
    }

    #[tokio::test]
    async fn an_alarm_that_nobody_waits_for_any_longer_holds_up_no_other() {
        let alarms = Alarms::start().unwrap();
        let soon = Instant::now() + Duration::from_millis(5);
        let given_up = alarms.wait_until(soon + Duration::from_secs(600));
        assert!(tokio::time::timeout(Duration::from_millis(1), given_up).await.is_err());
        alarms.wait_until(soon).await;
        assert!(Instant::now() < soon + Duration::from_secs(300));
    }
}
