//! The load of a scenario: phases, or stages of threads.

use std::time::Duration;

use super::{Check, MAX_DURATION_S, MAX_RATE, ScenarioError};
use crate::phases::{Pacing, Phase, Phases, RateUnit};
use crate::raw::{RawPacing, RawPhase, RawScenario, RawStage, RawUnit};
use crate::scenario::Load;
use crate::stages::{Stage, Stages};

const MAX_INSTANCES: f64 = 1_000.0;
const MAX_PHASES: usize = 1_000;
const MAX_REQUESTS_PER_THREAD: f64 = 1_000_000.0;
const MAX_DELAY_MS: f64 = 3_600_000.0;
/// Requests of all stages: one by one they take the simulator some ten seconds.
const MAX_CLOSED_REQUESTS: u64 = 10_000_000;

impl Check<'_> {
    pub(super) fn load(&self, raw: &RawScenario) -> Result<Load, ScenarioError> {
        if raw.stages.is_empty() {
            if raw.delay_factor.is_some() {
                return Err(self.refuse("delay_factor", "given", "with stages only"));
            }
            return self.phases(raw).map(Load::Phases);
        }
        for (key, given) in [
            ("phases", !raw.phases.is_empty()),
            ("pacing", raw.pacing.is_some()),
            ("unit", raw.unit.is_some()),
        ] {
            if given {
                return Err(self.refuse(key, "given", "in a scenario without stages"));
            }
        }
        if raw.warm_up_s != 0.0 {
            return Err(self.refuse("warm_up_s", raw.warm_up_s, "0 in a scenario with stages"));
        }
        self.stages(raw).map(Load::Stages)
    }

    fn phases(&self, raw: &RawScenario) -> Result<Phases, ScenarioError> {
        let unit = match raw.unit.unwrap_or_default() {
            RawUnit::RequestsPerSecond => RateUnit::RequestsPerSecond,
            RawUnit::Instances => RateUnit::Instances,
        };
        let pacing = match raw.pacing.unwrap_or_default() {
            RawPacing::Poisson => Pacing::Poisson,
            RawPacing::Even => Pacing::Even,
        };
        let phases = Phases { pacing, unit, phases: self.each_phase(unit, &raw.phases)? };
        let total_s = phases.duration().as_secs_f64();
        self.within("the sum of phases.duration_s", total_s, 0.0..=MAX_DURATION_S)?;
        if raw.warm_up_s >= total_s {
            return Err(self.refuse("warm_up_s", raw.warm_up_s, "less than all phases last"));
        }
        Ok(phases)
    }

    fn each_phase(&self, unit: RateUnit, raw: &[RawPhase]) -> Result<Vec<Phase>, ScenarioError> {
        if raw.is_empty() || raw.len() > MAX_PHASES {
            let allowed = format!("1 to {MAX_PHASES} of them, or stages");
            return Err(self.refuse("the number of phases", raw.len(), &allowed));
        }
        let max_rate = match unit {
            RateUnit::RequestsPerSecond => MAX_RATE,
            RateUnit::Instances => MAX_INSTANCES,
        };
        raw.iter().enumerate().map(|(i, p)| self.phase(i, max_rate, p)).collect()
    }

    fn phase(&self, index: usize, max_rate: f64, raw: &RawPhase) -> Result<Phase, ScenarioError> {
        let key = |name: &str| format!("phases[{index}].{name}");
        let rate = |name: &str, value: f64| self.within(&key(name), value, 0.0..=max_rate);
        let span = |name: &str, value: f64, max: f64| {
            self.seconds(&key(name), value, 0.001..=max.max(0.001))
        };
        Ok(match *raw {
            RawPhase::Constant { duration_s, rate: level } => Phase::Constant {
                duration: span("duration_s", duration_s, MAX_DURATION_S)?,
                rate: rate("rate", level)?,
            },
            RawPhase::Ramp { duration_s, from, to } => Phase::Ramp {
                duration: span("duration_s", duration_s, MAX_DURATION_S)?,
                from: rate("from", from)?,
                to: rate("to", to)?,
            },
            RawPhase::Steps { duration_s, from, to, steps } => {
                self.within(&key("steps"), f64::from(steps), 2.0..=1_000.0)?;
                Phase::Steps {
                    duration: span("duration_s", duration_s, MAX_DURATION_S)?,
                    from: rate("from", from)?,
                    to: rate("to", to)?,
                    steps,
                }
            }
            RawPhase::Spike { duration_s, base, peak, peak_start_s, peak_s } => Phase::Spike {
                duration: span("duration_s", duration_s, MAX_DURATION_S)?,
                base: rate("base", base)?,
                peak: rate("peak", peak)?,
                peak_start: self.seconds(&key("peak_start_s"), peak_start_s, 0.0..=duration_s)?,
                peak_duration: span("peak_s", peak_s, duration_s - peak_start_s)?,
            },
            RawPhase::Sine { duration_s, mean, amplitude, period_s } => Phase::Sine {
                duration: span("duration_s", duration_s, MAX_DURATION_S)?,
                mean: rate("mean", mean)?,
                amplitude: self.within(&key("amplitude"), amplitude, 0.0..=mean)?,
                period: span("period_s", period_s, MAX_DURATION_S)?,
            },
        })
    }

    fn stages(&self, raw: &RawScenario) -> Result<Stages, ScenarioError> {
        if raw.stages.len() > MAX_PHASES {
            let allowed = format!("1 to {MAX_PHASES} of them");
            return Err(self.refuse("the number of stages", raw.stages.len(), &allowed));
        }
        let delay_factor =
            self.within("delay_factor", raw.delay_factor.unwrap_or(1.0), 0.0..=1.0)?;
        let each = raw.stages.iter().enumerate();
        let stages = Stages {
            delay_factor,
            stages: each
                .map(|(i, stage)| self.stage(i, raw.in_flight, stage))
                .collect::<Result<_, _>>()?,
        };
        let requests = stages.requests();
        if requests > MAX_CLOSED_REQUESTS {
            let key = "the sum of stages.threads x requests_per_thread";
            return Err(self.refuse(key, requests, &format!("up to {MAX_CLOSED_REQUESTS}")));
        }
        let timeout = Duration::from_millis(raw.timeout_ms.into());
        let longest_s = stages.longest(timeout).as_secs_f64();
        if longest_s > MAX_DURATION_S {
            let allowed = format!(
                "up to {MAX_DURATION_S}: take a lower requests_per_thread, max_delay_ms, \
                 delay_factor or timeout_ms"
            );
            return Err(self.refuse("the most seconds that stages last", longest_s, &allowed));
        }
        Ok(stages)
    }

    fn stage(&self, index: usize, in_flight: u32, raw: &RawStage) -> Result<Stage, ScenarioError> {
        let RawStage { threads, requests_per_thread, max_delay_ms } = *raw;
        let key = |name: &str| format!("stages[{index}].{name}");
        if !(1..=in_flight).contains(&threads) {
            let allowed = format!("1 to {in_flight}, which is in_flight");
            return Err(self.refuse(&key("threads"), threads, &allowed));
        }
        let requests = f64::from(requests_per_thread);
        self.within(&key("requests_per_thread"), requests, 1.0..=MAX_REQUESTS_PER_THREAD)?;
        self.within(&key("max_delay_ms"), f64::from(max_delay_ms), 0.0..=MAX_DELAY_MS)?;
        let max_delay = Duration::from_millis(max_delay_ms.into());
        Ok(Stage { threads, requests_per_thread, max_delay })
    }
}
