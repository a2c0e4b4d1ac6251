//! Holds the instances' firewall at what was promised. It runs beside the loop, whose turns are rare
//! while HAProxy or LXC cannot be seen: nobody is to be without walls for that.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use host::network::{Firewall, Generation, NetworkError};
use model::network::{Drift, NetworkStatus, PutBack};
use model::time::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};

use crate::clock::now;
use crate::shared_state::SharedState;

/// Looks at the rules that may follow each other at once, and how soon there may be one more. A look
/// takes two short processes, some 5 ms of CPU time: where a program changes nftables all the time, 1% of
/// a core is spent and the rules are back within half a second.
const LOOKS_AT_ONCE: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The span over which it is counted how often the rules were put back.
const MINUTE: Duration = Duration::from_secs(60);

/// What watches over the firewall.
#[derive(Debug)]
pub(crate) struct NetworkWatch<F> {
    firewall: F,
    /// The generation of nftables in which the rules were seen as promised.
    seen: Option<Generation>,
    allowance: Allowance,
    /// When the rules were put back within the last minute.
    recent: VecDeque<Timestamp>,
    said_at: Option<Instant>,
    status: NetworkStatus,
}

impl<F: Firewall> NetworkWatch<F> {
    /// A watch that has seen nothing yet.
    pub(crate) fn new(firewall: F) -> Self {
        Self {
            firewall,
            seen: None,
            allowance: Allowance::full(Instant::now()),
            recent: VecDeque::new(),
            said_at: None,
            status: NetworkStatus::default(),
        }
    }

    /// Looks once a tick, for ever.
    pub(crate) async fn run(mut self, tick: Duration, shared: &SharedState) {
        let mut timer = tokio::time::interval(tick);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if self.look(&shared.services().tcp_ports(), now()).await {
                shared.show_network(self.status.clone());
            }
        }
    }

    /// Compares the rules when nftables were changed since the look before, and puts them back where
    /// they differ. Returns whether there is something new to tell.
    async fn look(&mut self, tcp_ports: &BTreeSet<u16>, now: Timestamp) -> bool {
        match self.firewall.generation() {
            Ok(generation) if self.seen == Some(generation) => return false,
            Ok(_) => {}
            Err(error) => return self.fail(&error),
        }
        if !self.allowance.take(Instant::now()) {
            return false;
        }
        match self.firewall.hold(tcp_ports).await {
            Ok(held) => {
                self.seen = Some(held.generation);
                let is_well_again = self.status.trouble.take().is_some();
                if is_well_again {
                    tracing::info!("the instances' firewall is held again");
                }
                held.drift.inspect(|drift| self.note(*drift, now)).is_some() || is_well_again
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Counts one more time that the rules were put back, and says so: each time, and once a minute
    /// where somebody removes them again and again.
    fn note(&mut self, drift: Drift, at: Timestamp) {
        self.recent.retain(|earlier| at.since(*earlier) < MINUTE);
        self.recent.push_back(at);
        let within_a_minute = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        let put_back = PutBack { at, drift, within_a_minute };
        self.status.put_back += 1;
        self.status.last = Some(put_back);
        let count = self.status.put_back;
        if !put_back.is_disputed() {
            tracing::warn!(count, "rules of the instances' firewall were {drift}: they are back");
        } else if self.said_at.is_none_or(|said| said.elapsed() >= MINUTE) {
            self.said_at = Some(Instant::now());
            tracing::warn!(
                count,
                within_a_minute,
                "another program removes rules of the instances' firewall again and again; \
                 `nft monitor` shows which"
            );
        }
    }

    /// Says what keeps the rules from being held, once, and tries again at the next look.
    fn fail(&mut self, error: &NetworkError) -> bool {
        let text = service::exit::chain(error);
        let is_new = self.status.trouble.as_ref() != Some(&text);
        if is_new {
            tracing::error!(error = text, "the instances' firewall is not held");
            self.status.trouble = Some(text);
        }
        is_new
    }
}

/// Looks that may still be taken: one more after each [`LOOK_AGAIN`], up to [`LOOKS_AT_ONCE`].
#[derive(Debug)]
struct Allowance {
    left: u32,
    refilled: Instant,
}

impl Allowance {
    fn full(now: Instant) -> Self {
        Self { left: LOOKS_AT_ONCE, refilled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        while self.left < LOOKS_AT_ONCE && now - self.refilled >= LOOK_AGAIN {
            self.left += 1;
            self.refilled += LOOK_AGAIN;
        }
        if self.left == LOOKS_AT_ONCE {
            self.refilled = now;
        }
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use host::network::fake::FakeFirewall;

    use super::*;

    const TICK: Duration = Duration::from_millis(100);

    /// A watch that has looked once, and the time of day.
    async fn watch() -> (NetworkWatch<FakeFirewall>, Timestamp) {
        let mut watch = NetworkWatch::new(FakeFirewall::default());
        let now = Timestamp::from_millis(1_000_000);
        assert!(!watch.look(&BTreeSet::new(), now).await);
        (watch, now)
    }

    async fn tick(watch: &mut NetworkWatch<FakeFirewall>, now: &mut Timestamp) -> bool {
        tokio::time::advance(TICK).await;
        *now = now.after(TICK);
        watch.look(&BTreeSet::new(), *now).await
    }

    #[tokio::test(start_paused = true)]
    async fn rules_that_somebody_removed_are_back_at_the_next_look_and_it_is_told() {
        let (mut watch, mut now) = watch().await;
        watch.firewall.change(Some(Drift::Missing));
        assert!(tick(&mut watch, &mut now).await);
        let last = PutBack { at: now, drift: Drift::Missing, within_a_minute: 1 };
        let status = NetworkStatus { put_back: 1, last: Some(last), trouble: None };
        assert_eq!(watch.status, status);
        let looks = watch.firewall.looks();
        assert!(!tick(&mut watch, &mut now).await);
        assert_eq!((watch.firewall.looks(), watch.status), (looks, status));
    }

    #[tokio::test(start_paused = true)]
    async fn while_nftables_are_left_alone_no_rule_is_compared() {
        let (mut watch, mut now) = watch().await;
        for _ in 0..1000 {
            assert!(!tick(&mut watch, &mut now).await);
        }
        assert_eq!(watch.firewall.looks(), 1);
        // A table of somebody else.
        watch.firewall.change(None);
        assert!(!tick(&mut watch, &mut now).await);
        assert!(!tick(&mut watch, &mut now).await);
        assert_eq!((watch.firewall.looks(), watch.status.put_back), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_fights_back_is_told_and_costs_two_looks_a_second_at_most() {
        let (mut watch, mut now) = watch().await;
        for _ in 0..600 {
            watch.firewall.change(Some(Drift::Changed));
            tick(&mut watch, &mut now).await;
        }
        let looks = watch.firewall.looks();
        assert!((115..=131).contains(&looks), "{looks}");
        let last = watch.status.last.unwrap();
        assert!(last.is_disputed() && last.within_a_minute >= 115, "{last:?}");
        // When it gives up, the rules are back within half a second.
        for _ in 0..5 {
            tick(&mut watch, &mut now).await;
        }
        assert!(watch.firewall.hold(&BTreeSet::new()).await.unwrap().drift.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn two_restarts_of_the_hosts_firewall_are_no_dispute() {
        let (mut watch, mut now) = watch().await;
        for _ in 0..2 {
            watch.firewall.change(Some(Drift::Missing));
            tick(&mut watch, &mut now).await;
        }
        assert!(!watch.status.last.unwrap().is_disputed());
        now = now.after(MINUTE);
        watch.firewall.change(Some(Drift::Missing));
        tick(&mut watch, &mut now).await;
        assert_eq!(watch.status.last.unwrap().within_a_minute, 1);
        assert_eq!(watch.status.put_back, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn rules_that_cannot_be_put_back_are_told_until_they_can() {
        let (mut watch, mut now) = watch().await;
        watch.firewall.refuse(true);
        watch.firewall.change(Some(Drift::Missing));
        assert!(tick(&mut watch, &mut now).await);
        assert!(watch.status.trouble.as_ref().unwrap().contains("nft monitor"));
        assert!(!tick(&mut watch, &mut now).await);
        watch.firewall.refuse(false);
        assert!(tick(&mut watch, &mut now).await);
        assert_eq!((watch.status.trouble.as_ref(), watch.status.put_back), (None, 1));
    }
}
