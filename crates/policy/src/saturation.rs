//! Whether the host has CPU time left for more instances of a service.
//!
//! Where it has none, and CPU time is what the instances lack, more of them take it from each other: each
//! request gets slower, and nothing is served that was not before. A burst asks for them long before the host is
//! known to be full, so that no more are added than it could keep as busy as those that there are. And where it has
//! CPU time again, that may be the pause of a neighbour, so that they are added by and by.

use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::input::{PolicyInput, known};
use crate::patience::NeedHistory;
use crate::policies::rounding;
use crate::window::MeanWindow;

/// How far back the means look. In a second the kernel's count of each core, in hundredths, is exact to a
/// percent; and as long may a burst ask for instances before it is known that they cannot help.
const WINDOW: Duration = Duration::from_secs(1);

/// The share of the host's CPU time in use from which on none is left. Cores that all work show 97 to 100%, and
/// of two cores this leaves a tenth of one.
const SATURATED: f64 = 0.95;

/// The share below which some is left again. What lies between must not let an instance through now and then.
const RELIEVED: f64 = 0.85;

/// A service that uses this share of the host is limited by the host once that is full. One that uses less waits
/// for something else, or may still get what others use.
const OF_THE_HOST: f64 = 0.1;

/// So is one whose ready instances use this share of what they may, or of a core each where they may use more,
/// however little that is of the host.
const OF_ITS_OWN: f64 = 0.5;

/// What an instance uses is the mean of this at least: within the milliseconds from a tick to the end of an action,
/// one that answers a single request seems busy.
const MOMENT: Duration = Duration::from_millis(100);

/// How long a verdict lasts where nothing is read: longer than a look that fails now and then, which a busy host
/// is the first to have.
const LASTS: Duration = Duration::from_secs(5);

/// What is known of the host's CPU time and of the service's part in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Saturation {
    host: MeanWindow,
    own: MeanWindow,
    own_now: MeanWindow,
    /// What each ready instance used on the mean, in thousandths of a core, for the most of late: new ones are
    /// idle at first.
    of_each: NeedHistory,
    read_at: Option<Timestamp>,
    verdict: Verdict,
    ration: Option<Ration>,
    there: There,
}

/// How many instances there may be for a second, after the host was full.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ration {
    since: Timestamp,
    most: u32,
}

/// How many instances there have been, ready or in start, of those that were decided on.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct There {
    decided: u32,
    most: u32,
}

impl There {
    /// Takes what there is now. The most counts, since one that dies is to be replaced; and where more was decided on
    /// before the host was known to be full, what of it has not begun counts not.
    fn note(&mut self, input: &PolicyInput) {
        let now = input.ready.saturating_add(input.starting);
        let has_risen = input.current > self.decided;
        self.most = if has_risen { now } else { self.most.max(now) }.min(input.current);
        self.decided = input.current;
    }
}

/// What is known of more instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Nothing speaks against any number of them.
    #[default]
    Open,
    /// The service computes, and the host can keep so many of its instances busy in all.
    UpTo(u32),
    /// The host is full: none can help.
    Reached,
}

impl Saturation {
    /// Takes what is known at this turn.
    pub(crate) fn observe(&mut self, input: &PolicyInput) {
        let now = input.now;
        let is_fresh = |at: Timestamp| at <= now && now.since(at) <= LASTS;
        if self.read_at.is_some_and(|at| !is_fresh(at)) {
            *self = Self { there: self.there, ..Self::default() };
        }
        self.there.note(input);
        let host = input.host_cpu.filter(|host| host.cores > 0);
        let busy = known(host.map(|host| host.busy));
        let Some(((host, busy), own)) = host.zip(busy).zip(known(input.cpu_cores)) else { return };
        self.read_at = Some(now);
        self.host.push(now, busy, WINDOW);
        self.own.push(now, own, WINDOW);
        self.own_now.push(now, own, MOMENT);
        let Some((busy, own)) = self.host.mean().zip(self.own.mean()) else { return };
        let seen = Seen { cores: f64::from(host.cores), busy, own };
        let verdict = if input.ready == 0 {
            self.of_each = NeedHistory::default();
            before_the_first(input, &seen)
        } else {
            self.judge(input, &seen)
        };
        self.verdict = self.rationed(verdict, input, &seen);
    }

    fn judge(&mut self, input: &PolicyInput, seen: &Seen) -> Verdict {
        let is_reached = match self.verdict {
            Verdict::Reached => seen.busy >= RELIEVED && seen.lacks(0.5, input),
            Verdict::Open | Verdict::UpTo(_) => seen.busy >= SATURATED && seen.lacks(1.0, input),
        };
        let is_busy = |of_each: &f64| *of_each >= OF_ITS_OWN * input.cpus_of_a_thread();
        let of_each = self.of_each(input).filter(is_busy);
        let of_others = (seen.cores * seen.busy.min(1.0) - seen.own).max(0.0);
        match of_each {
            _ if is_reached => Verdict::Reached,
            Some(of_each) => Verdict::UpTo(rounding::ceil((seen.cores - of_others) / of_each)),
            None => Verdict::Open,
        }
    }

    /// The verdict, for as long as a service that lacked CPU time asks for all that it is let have since the host is
    /// full no longer: in each second as many more as the idle cores could keep busy if they computed.
    fn rationed(&mut self, verdict: Verdict, input: &PolicyInput, seen: &Seen) -> Verdict {
        if verdict == Verdict::Reached || (input.ready > 0 && !seen.lacks(0.5, input)) {
            self.ration = None;
            return verdict;
        }
        let more = rounding::ceil(seen.idle() / input.cpus_of_a_thread()).max(1);
        let next = Ration { since: input.now, most: self.there.most.saturating_add(more) };
        let is_over = |ration: Ration| input.now.since(ration.since) >= WINDOW;
        self.ration = match self.ration {
            None => (self.verdict == Verdict::Reached).then_some(next),
            Some(ration) if is_over(ration) => (input.current >= ration.most).then_some(next),
            kept => kept,
        };
        match (self.ration, verdict) {
            (None, verdict) => verdict,
            (Some(ration), Verdict::UpTo(most)) => Verdict::UpTo(most.min(ration.most)),
            (Some(ration), _) => Verdict::UpTo(ration.most),
        }
    }

    /// What each ready instance uses, in cores, for the most of late.
    fn of_each(&mut self, input: &PolicyInput) -> Option<f64> {
        let of_each = self.own_now.mean()? / f64::from(input.ready);
        let of_each = of_each.min(input.cpus_of_an_instance());
        self.of_each.push(input.now, rounding::ceil(1e3 * of_each), WINDOW);
        Some(f64::from(self.of_each.highest()?) / 1e3)
    }

    /// What is known of more instances.
    pub(crate) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// How many instances there are, those that died and are to be replaced among them.
    pub(crate) const fn there(&self) -> u32 {
        self.there.most
    }
}

/// The host and the service's part in it, as means of a second.
#[derive(Debug, Clone, Copy)]
struct Seen {
    cores: f64,
    /// The share of the host in use, by all that runs there.
    busy: f64,
    /// Cores that the service uses.
    own: f64,
}

impl Seen {
    /// Cores that nothing uses.
    fn idle(&self) -> f64 {
        self.cores * (1.0 - self.busy).max(0.0)
    }

    /// Whether the service uses as much as one does that lacks CPU time, or this part of it.
    fn lacks(&self, part: f64, input: &PolicyInput) -> bool {
        let all = f64::from(input.ready) * input.cpus_of_a_thread();
        self.own >= part * OF_THE_HOST * self.cores
            || (all > 0.0 && self.own >= part * OF_ITS_OWN * all)
    }
}

/// Before the first instance is ready nobody knows what one uses. Where nobody has said either what it serves, a queue
/// that grows while it starts says nothing: no more come than the host could keep busy if they computed.
fn before_the_first(input: &PolicyInput, seen: &Seen) -> Verdict {
    let is_told = input.capacity().is_none_or(|capacity| capacity.requests_per_second.is_some());
    if seen.busy >= SATURATED {
        Verdict::Reached
    } else if is_told {
        Verdict::Open
    } else {
        Verdict::UpTo(rounding::ceil(seen.idle() / input.cpus_of_a_thread()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Demand;
    use crate::load::OfferedLoad;
    use crate::testing::{input, seconds};
    use model::service::Capacity;
    use model::tick::HostCpu;

    /// A service of two instances of a core each, on four cores.
    fn seen(second: u64, busy: f64, own: f64) -> PolicyInput {
        let host_cpu = Some(HostCpu { cores: 4, busy });
        PolicyInput { now: seconds(second), host_cpu, cpu_cores: Some(own), ready: 2, ..input() }
    }

    /// Whether it is reached after each of these seconds of the host's and the service's use.
    fn follow(course: &[(f64, f64)]) -> Vec<bool> {
        let mut saturation = Saturation::default();
        let at = |(second, (busy, own))| {
            saturation.observe(&seen(second, busy, own));
            saturation.verdict() == Verdict::Reached
        };
        (0..).zip(course.iter().copied()).map(at).collect()
    }

    #[test]
    fn a_full_host_holds_back_a_service_that_computes_and_no_other() {
        assert_eq!(follow(&[(0.99, 1.8), (0.94, 1.8)]), [true, true]);
        assert_eq!(follow(&[(0.94, 1.8)]), [false]);
        // A fortieth of the host, and a twentieth of what two instances may: it waits for something else.
        assert_eq!(follow(&[(1.0, 0.1)]), [false]);
        // An idle host, and instances that use all that they may.
        assert_eq!(follow(&[(0.5, 2.0)]), [false]);
    }

    #[test]
    fn what_was_held_back_stays_so_until_there_is_room_and_not_by_a_hair() {
        let course = [0.99, 0.9, 0.86, 0.84, 0.9, 0.94, 0.96].map(|busy| (busy, 1.8));
        assert_eq!(follow(&course), [true, true, true, false, false, false, true]);
        let own = [0.5, 0.3, 0.21, 0.19, 0.3].map(|own| (1.0, own));
        assert_eq!(follow(&own), [true, true, true, false, false]);
    }

    #[test]
    fn before_the_first_instance_is_ready_a_service_without_a_figure_gets_what_the_host_could_keep_busy()
     {
        let starting = |busy, requests_per_second| {
            let capacity = Capacity { requests_per_second, concurrency: 8, burst: 0 };
            let offered = OfferedLoad { mean_rps: 0.0, burst_rps: 0.0, queue_rps: 0.0 };
            let demand = Some(Demand::Requests { offered, capacity });
            let mut saturation = Saturation::default();
            saturation.observe(&PolicyInput { demand, ready: 0, ..seen(0, busy, 0.0) });
            saturation.verdict()
        };
        assert_eq!(starting(0.25, None), Verdict::UpTo(3));
        assert_eq!(starting(0.25, Some(50.0)), Verdict::Open, "its figure is believed");
        assert_eq!([None, Some(50.0)].map(|rate| starting(0.99, rate)), [Verdict::Reached; 2]);
    }

    #[test]
    fn what_was_decided_on_and_has_not_begun_is_not_there_and_what_died_is() {
        let mut saturation = Saturation::default();
        let mut there = |ready, starting, current| {
            saturation.observe(&PolicyInput { ready, starting, current, ..input() });
            saturation.there()
        };
        assert_eq!(there(1, 0, 1), 1);
        // Fourteen at once, of which four are launched at a time.
        assert_eq!([there(1, 0, 14), there(1, 4, 14), there(1, 4, 5)], [1, 5, 5]);
        assert_eq!([there(5, 0, 5), there(3, 0, 5), there(2, 1, 2)], [5, 5, 2]);
    }

    #[test]
    fn before_the_host_is_full_no_more_are_let_through_than_it_can_keep_busy() {
        let verdict = |inputs: &[PolicyInput]| {
            let mut saturation = Saturation::default();
            inputs.iter().for_each(|input| saturation.observe(input));
            saturation.verdict()
        };
        // Two instances use all of their two cores, and others one.
        assert_eq!(verdict(&[seen(0, 0.75, 2.0)]), Verdict::UpTo(3));
        // They use three quarters of it, and others nothing.
        assert_eq!(verdict(&[seen(0, 0.375, 1.5)]), Verdict::UpTo(6));
        // They wait for something else.
        assert_eq!(verdict(&[seen(0, 0.225, 0.9)]), Verdict::Open);
        // Two new ones beside them are idle at first.
        let with_new = PolicyInput { ready: 4, ..seen(1, 0.5, 2.0) };
        assert_eq!(verdict(&[seen(0, 0.5, 2.0), with_new]), Verdict::UpTo(4));
        let at =
            |ms, input| PolicyInput { now: seconds(0).after(Duration::from_millis(ms)), ..input };
        let calm = [0, 100, 200].map(|ms| at(ms, seen(0, 0.1, 0.4)));
        let moment = at(210, seen(0, 0.5, 2.0));
        let [first, second, third] = calm;
        assert_eq!(verdict(&[first, second, third, moment]), Verdict::Open, "10 ms are no time");
        // A tenth of a core each may be used by forty.
        let capped = PolicyInput { cpus: 0.1, ..seen(0, 0.05, 0.2) };
        assert_eq!(verdict(&[capped]), Verdict::UpTo(40));
    }

    /// How many there are after each tenth of a second in which the service asks for twenty, five of which are there
    /// on a full host, when a neighbour that uses three of its four cores pauses for so many of them.
    fn through_a_pause(tenths: u64, of_each: f64) -> Vec<u32> {
        let (mut saturation, mut there) = (Saturation::default(), 5);
        let mut at = |tenth: u64| {
            let pauses = (10..10 + tenths).contains(&tenth);
            let own = (of_each * f64::from(there)).min(4.0);
            let busy = if pauses { own / 4.0 } else { 1.0 };
            let seen = PolicyInput { ready: there, current: there, ..seen(0, busy, own) };
            let now = seconds(0).after(Duration::from_millis(100 * tenth));
            saturation.observe(&PolicyInput { now, ..seen });
            there = match saturation.verdict() {
                Verdict::Open => 20,
                Verdict::UpTo(most) => saturation.there().max(most).min(20),
                Verdict::Reached => saturation.there(),
            };
            there
        };
        (0..100).map(&mut at).collect()
    }

    #[test]
    fn the_pause_of_a_neighbour_brings_what_the_idle_cores_could_keep_busy_in_each_second() {
        // Each uses a fifth of what it may.
        let pause = through_a_pause(10, 0.2);
        assert_eq!((pause[11], pause[12], pause[99]), (5, 6, 8), "{pause:?}");
        let for_good = through_a_pause(90, 0.2);
        assert!(for_good.windows(11).all(|second| second[10] - second[0] <= 4), "{for_good:?}");
        assert_eq!((for_good[60], for_good[99]), (16, 19), "{for_good:?}");
    }

    #[test]
    fn whoever_asks_for_less_than_its_ration_is_rationed_no_longer() {
        let mut saturation = Saturation::default();
        let mut verdict = |second, busy, current| {
            let input = seen(second, busy, 0.8);
            saturation.observe(&PolicyInput { ready: 2, current, ..input });
            saturation.verdict()
        };
        let full = verdict(0, 1.0, 2);
        assert_eq!([full, verdict(1, 0.7, 2)], [Verdict::Reached, Verdict::UpTo(4)]);
        assert_eq!(verdict(2, 0.7, 3), Verdict::Open, "four were allowed, and three wanted");
    }

    #[test]
    fn a_program_of_one_thread_in_instances_of_many_cores_is_seen_to_compute() {
        let of_four = |second, busy, own| PolicyInput { cpus: 4.0, ..seen(second, busy, own) };
        let verdict = |input: &PolicyInput| {
            let mut saturation = Saturation::default();
            saturation.observe(input);
            saturation.verdict()
        };
        // Two instances use a core each, and others nothing: four keep four cores busy.
        assert_eq!(verdict(&of_four(0, 0.5, 2.0)), Verdict::UpTo(4));
        let host_cpu = Some(HostCpu { cores: 64, busy: 1.0 });
        assert_eq!(verdict(&PolicyInput { host_cpu, ..of_four(0, 1.0, 1.2) }), Verdict::Reached);
    }

    #[test]
    fn instances_that_use_what_they_may_are_limited_by_a_host_that_others_fill() {
        let mut saturation = Saturation::default();
        let host_cpu = Some(HostCpu { cores: 64, busy: 1.0 });
        saturation.observe(&PolicyInput { host_cpu, ..seen(0, 1.0, 1.2) });
        assert_eq!(
            saturation.verdict(),
            Verdict::Reached,
            "1.2 of 64 cores, and of 2 that they may use"
        );
    }

    #[test]
    fn a_verdict_outlasts_looks_that_fail_and_no_longer_gap_or_clock_set_back() {
        let blind = |second| PolicyInput { host_cpu: None, ..seen(second, 1.0, 1.8) };
        let mut saturation = Saturation::default();
        let mut at = |input: &PolicyInput| {
            saturation.observe(input);
            saturation.verdict() == Verdict::Reached
        };
        assert!(at(&seen(10, 1.0, 1.8)) && at(&blind(11)) && at(&blind(15)));
        assert!(!at(&blind(16)));
        assert!(at(&seen(20, 1.0, 1.8)) && !at(&blind(19)));
    }

    #[test]
    fn what_cannot_be_is_not_known() {
        for input in [
            seen(0, f64::NAN, 1.8),
            seen(0, 1.0, f64::INFINITY),
            PolicyInput { cpu_cores: None, ..seen(0, 1.0, 1.8) },
            PolicyInput { host_cpu: Some(HostCpu { cores: 0, busy: 1.0 }), ..seen(0, 1.0, 1.8) },
        ] {
            let mut saturation = Saturation::default();
            saturation.observe(&input);
            assert_eq!(saturation.verdict(), Verdict::Open, "{input:?}");
        }
    }
}
