//! One trial: a load of a constant rate against a fleet of a fixed size, and what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use run::Recorder;
use run::calibration::{OBJECTIVE_OUTSIDE_PERCENT, Trial, Verdict};
use scaler_client::Scaler;
use tokio::time::MissedTickBehavior;
use workload::{OfferedLoad, OpenLoad, Pacing, RateCurve, Scenario, Segment};

use crate::client::Client;
use crate::error::Error;
use crate::finished;
use crate::interrupt::Interrupt;
use crate::load::{self, LEAD, LoadEnd, RunningLoad};
use crate::measurements::Measurements;

/// Before the part that counts: connections are made, and the instances' burst is used up.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
/// The part that counts has about this many requests, 1% of which is ten ...
const REQUESTS: f64 = 1_000.0;
/// ... but is no shorter than this ...
const SHORTEST_S: f64 = 12.0;
/// ... nor than this many times the objective. When arrivals exceed what is served by a share e, the
/// last request of t seconds waits for e x t, which counts only once it is longer than the objective.
/// After 48 objectives that is an overload of 2.1%, less than the search's 3%; at 250 ms they are 12 s.
const SHORTEST_OBJECTIVES: f64 = 48.0;
/// And no longer than this, where it may, to come to an end: one instance of 50 requests/s has 1,000
/// in this time.
const LONGEST_S: f64 = 20.0;
/// Once this many times the allowed share is outside the objective, the rest of the load cannot
/// change the verdict; 1 would be too few, for the number of arrivals is random.
const HOPELESS: f64 = 1.5;
/// How often the load is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// What all trials share.
#[derive(Debug)]
pub(super) struct Bench {
    /// Says what the requests are; its phases and its seed are not used as they are.
    pub(super) requests: Scenario,
    pub(super) client: Arc<Client>,
    pub(super) scaler: Scaler,
    pub(super) interrupt: Interrupt,
    /// Requests that an idle instance serves at once, beyond its rate.
    pub(super) burst: u32,
    /// The objective of a request.
    pub(super) objective: Duration,
    pub(super) cpu: CpuTime,
    /// Trials so far: each has arrivals of its own.
    pub(super) count: u64,
}

/// CPU time of the instances beside the requests they served.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CpuTime {
    cores: f64,
    served_rps: f64,
}

/// A constant rate, for so long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offer {
    rate_rps: f64,
    /// Beside the rate, during the warm-up.
    extra_rps: f64,
    duration: Duration,
    objective: Duration,
}

impl Offer {
    /// `rate_rps` against `instances`, each of which serves `burst` requests at once when idle.
    ///
    /// The warm-up asks for the burst of every instance on top of the rate: a fleet that is given
    /// more than it serves then lives from its rate alone as soon as requests count. One that is
    /// given less has its burst back by then, as it would have in the long run.
    pub(super) fn new(rate_rps: f64, instances: u32, burst: u32, objective: Duration) -> Self {
        let shortest_s = SHORTEST_S.max(SHORTEST_OBJECTIVES * objective.as_secs_f64());
        let longest_s = LONGEST_S.max(shortest_s);
        Self {
            rate_rps,
            extra_rps: f64::from(burst) * f64::from(instances) / WARM_UP.as_secs_f64(),
            duration: Duration::from_secs_f64((REQUESTS / rate_rps).clamp(shortest_s, longest_s)),
            objective,
        }
    }

    pub(super) fn load(&self) -> OpenLoad {
        let curve = RateCurve::new([
            Segment::level(WARM_UP, self.rate_rps + self.extra_rps),
            Segment::level(self.duration, self.rate_rps),
        ]);
        OpenLoad { pacing: Pacing::Poisson, curve }
    }

    /// Whether the objective is missed whatever is still to come.
    pub(super) fn is_hopeless(&self, recorder: &Recorder) -> bool {
        let lost = recorder.requests().failed + recorder.requests().dropped;
        let allowed =
            OBJECTIVE_OUTSIDE_PERCENT / 100.0 * self.rate_rps * self.duration.as_secs_f64();
        lost > 0 || recorder.late(self.objective) as f64 > HOPELESS * allowed
    }
}

impl Bench {
    /// Offers `rate_rps` to `instances` and waits until the last request has ended.
    pub(super) async fn trial(&mut self, instances: u32, rate_rps: f64) -> Result<Trial, Error> {
        let offer = Offer::new(rate_rps, instances, self.burst, self.objective);
        self.count += 1;
        let seed = self.requests.seed.wrapping_add(self.count);
        let scenario = Scenario { seed, ..self.requests.clone() };
        let offered = OfferedLoad::Open(offer.load());
        let client = Arc::new(self.client.with_own_connections());
        let recorder = Recorder::new(WARM_UP, scenario.timeout).without_rows();
        let measurements = Arc::new(Measurements::new(recorder));
        let start = Instant::now() + LEAD;
        let running = load::offer(&scenario, &offered, start, &client, &measurements)?;
        let (end, cut_short) = self.watch(running, start, offer, &measurements).await?;
        let recorder = measurements.recorder();
        let mut trial = Trial {
            instances,
            rate_rps,
            duration_s: offer.duration.as_secs_f64(),
            cut_short,
            requests: recorder.requests(),
            outside_objective_percent: recorder
                .requests()
                .outside_objective_percent(recorder.late(self.objective)),
            latency_ms: recorder.latency(),
            generator: finished::generator(&recorder, end, &client),
            verdict: Verdict::Missed,
        };
        trial.verdict = verdict(&trial);
        Ok(trial)
    }

    /// Waits for the end of the load; an interrupt brings it about, and so does a missed objective.
    async fn watch(
        &mut self,
        mut running: RunningLoad,
        start: Instant,
        offer: Offer,
        measurements: &Measurements,
    ) -> Result<(LoadEnd, bool), Error> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut cut_short, mut interrupted) = (false, false);
        let end = loop {
            tokio::select! {
                end = running.end() => break end?,
                () = self.interrupt.requested(), if !interrupted => {
                    running.stop();
                    interrupted = true;
                }
                _ = looks.tick() => {
                    if !cut_short && offer.is_hopeless(&measurements.recorder()) {
                        running.stop();
                        cut_short = true;
                    }
                    if start.elapsed() > WARM_UP && !cut_short {
                        self.read_cpu_time().await;
                    }
                }
            }
        };
        if interrupted { Err(Error::Interrupted) } else { Ok((end, cut_short)) }
    }

    /// A scaler that does not answer for a moment costs one of many readings, not the trial.
    async fn read_cpu_time(&mut self) {
        let Ok(status) = self.scaler.service(&self.requests.service).await else { return };
        let seen = status.tick.map(|tick| tick.observation);
        let both = seen.and_then(|seen| seen.cpu_cores.zip(seen.served_rps));
        if let Some((cores, served_rps)) = both {
            self.cpu.cores += cores;
            self.cpu.served_rps += served_rps;
        }
    }
}

impl CpuTime {
    /// CPU time for each request, in milliseconds; unknown while nothing was seen to be served.
    pub(super) fn ms_per_request(self) -> Option<f64> {
        (self.served_rps > 0.0).then(|| 1e3 * self.cores / self.served_rps)
    }
}

fn verdict(trial: &Trial) -> Verdict {
    let lost = trial.requests.failed + trial.requests.dropped;
    let outside = trial.outside_objective_percent;
    let met = lost == 0 && outside.is_some_and(|percent| percent <= OBJECTIVE_OUTSIDE_PERCENT);
    match met && !trial.cut_short {
        true => Verdict::Met,
        false if trial.generator.bottleneck => Verdict::Unclear,
        false => Verdict::Missed,
    }
}

#[cfg(test)]
mod tests {
    use run::summary::{Generator, Latency, Requests};

    use super::*;

    const OBJECTIVE: Duration = Duration::from_millis(250);

    #[test]
    fn a_trial_is_long_enough_to_notice_an_overload_and_short_enough_to_end() {
        let of = |rate, objective| Offer::new(rate, 1, 10, objective).duration.as_secs_f64();
        let seconds = |rate| of(rate, OBJECTIVE);
        assert_eq!([10.0, 50.0, 62.5, 500.0].map(seconds), [20.0, 20.0, 16.0, 12.0]);
        // A longer objective hides an overload for longer.
        assert!((of(500.0, Duration::from_secs(1)) - 48.0).abs() < 1e-9);
    }

    #[test]
    fn the_warm_up_uses_up_the_burst_of_every_instance() {
        let offer = Offer::new(100.0, 3, 10, OBJECTIVE);
        let curve = offer.load().curve;
        let in_warm_up = curve.rate_at(Duration::ZERO) * WARM_UP.as_secs_f64();
        assert!((in_warm_up - (200.0 + 30.0)).abs() < 1e-9);
        assert!((curve.rate_at(WARM_UP + LOOK) - 100.0).abs() < 1e-9);
        assert_eq!(curve.duration(), WARM_UP + offer.duration);
    }

    #[test]
    fn a_trial_is_hopeless_once_a_request_failed_or_too_many_were_late() {
        let offer = Offer::new(100.0, 2, 10, OBJECTIVE);
        let moment = Duration::from_secs(3);
        let late = |many| {
            let mut recorder = Recorder::new(WARM_UP, Duration::from_secs(10)).without_rows();
            recorder.ok(moment, moment + Duration::from_millis(300), many);
            recorder
        };
        // 12 s of 100 requests/s: 12 may be late.
        assert!(!offer.is_hopeless(&late(18)));
        assert!(offer.is_hopeless(&late(19)));
        let mut failed = late(0);
        failed.failed(moment, moment, "status_429", true, 1);
        assert!(offer.is_hopeless(&failed));
    }

    #[test]
    fn the_verdict_blames_the_generator_only_for_what_was_missed() {
        let trial = |failed, outside, bottleneck, cut_short| Trial {
            instances: 1,
            rate_rps: 50.0,
            duration_s: 20.0,
            cut_short,
            requests: Requests { due: 1_000, ok: 1_000 - failed, failed, ..Requests::default() },
            outside_objective_percent: Some(outside),
            latency_ms: Latency::default(),
            generator: Generator { bottleneck, ..Generator::default() },
            verdict: Verdict::Missed,
        };
        let verdicts = [
            verdict(&trial(0, 1.0, true, false)),
            verdict(&trial(0, 1.1, false, false)),
            verdict(&trial(1, 0.1, false, false)),
            verdict(&trial(0, 0.9, false, true)),
            verdict(&trial(0, 1.1, true, false)),
        ];
        use Verdict::{Met, Missed, Unclear};
        assert_eq!(verdicts, [Met, Missed, Missed, Missed, Unclear]);
    }
}
