//! The load of a scenario: phases, or stages of threads.

use std::time::Duration;

use model::value::{Invalid, check};

use super::within;
use crate::offered::{MAX_DURATION_S, MAX_RATE};
use crate::phases::{Phase, Phases, RateUnit};
use crate::raw::RawScenario;
use crate::scenario::Load;
use crate::stages::{Stage, Stages};

const MAX_INSTANCES: f64 = 1_000.0;
const MAX_PHASES: usize = 1_000;
const MAX_REQUESTS_PER_THREAD: f64 = 1_000_000.0;
const MAX_DELAY_MS: f64 = 3_600_000.0;
/// Requests of all stages: one by one they take the simulator some ten seconds.
const MAX_CLOSED_REQUESTS: u64 = 10_000_000;

pub(super) fn checked(raw: &RawScenario) -> Result<Load, Invalid> {
    if raw.stages.is_empty() {
        check(raw.delay_factor.is_none(), "delay_factor", "given", "it with stages only")?;
        return phases(raw).map(Load::Phases);
    }
    for (key, given) in [
        ("phases", !raw.phases.is_empty()),
        ("pacing", raw.pacing.is_some()),
        ("unit", raw.unit.is_some()),
    ] {
        check(!given, key, "given", "it in a scenario without stages")?;
    }
    let no_warm_up = raw.warm_up_s == 0.0;
    check(no_warm_up, "warm_up_s", raw.warm_up_s, "0 in a scenario with stages")?;
    stages(raw).map(Load::Stages)
}

fn phases(raw: &RawScenario) -> Result<Phases, Invalid> {
    let unit = raw.unit.unwrap_or_default();
    let pacing = raw.pacing.unwrap_or_default();
    check_phases(unit, &raw.phases)?;
    let phases = Phases { pacing, unit, phases: raw.phases.clone() };
    let total_s = phases.duration().as_secs_f64();
    within("the sum of phases.duration_s", total_s, 0.0..=MAX_DURATION_S)?;
    check(raw.warm_up_s < total_s, "warm_up_s", raw.warm_up_s, "less than all phases last")?;
    Ok(phases)
}

fn check_phases(unit: RateUnit, phases: &[Phase]) -> Result<(), Invalid> {
    let allowed = format!("1 to {MAX_PHASES} of them, or stages");
    check((1..=MAX_PHASES).contains(&phases.len()), "the number of phases", phases.len(), allowed)?;
    let max_rate = match unit {
        RateUnit::RequestsPerSecond => MAX_RATE,
        RateUnit::Instances => MAX_INSTANCES,
    };
    phases.iter().enumerate().try_for_each(|(i, phase)| check_phase(i, max_rate, phase))
}

fn check_phase(index: usize, max_rate: f64, phase: &Phase) -> Result<(), Invalid> {
    let key = |name: &str| format!("phases[{index}].{name}");
    let rate = |name: &str, value: f64| within(key(name), value, 0.0..=max_rate);
    let span = |name: &str, value: f64, max: f64| within(key(name), value, 0.001..=max.max(0.001));
    span("duration_s", phase.duration_s(), MAX_DURATION_S)?;
    match *phase {
        Phase::Constant { rate: level, .. } => rate("rate", level),
        Phase::Ramp { from, to, .. } => rate("from", from).and(rate("to", to)),
        Phase::Steps { from, to, steps, .. } => {
            within(key("steps"), steps, 2.0..=1_000.0)?;
            rate("from", from).and(rate("to", to))
        }
        Phase::Spike { duration_s, base, peak, peak_start_s, peak_s } => {
            rate("base", base).and(rate("peak", peak))?;
            within(key("peak_start_s"), peak_start_s, 0.0..=duration_s)?;
            span("peak_s", peak_s, duration_s - peak_start_s)
        }
        Phase::Sine { mean, amplitude, period_s, .. } => {
            rate("mean", mean)?;
            within(key("amplitude"), amplitude, 0.0..=mean)?;
            span("period_s", period_s, MAX_DURATION_S)
        }
    }
}

fn stages(raw: &RawScenario) -> Result<Stages, Invalid> {
    let (count, allowed) = (raw.stages.len(), format!("1 to {MAX_PHASES} of them"));
    check(count <= MAX_PHASES, "the number of stages", count, allowed)?;
    let delay_factor = raw.delay_factor.unwrap_or(1.0);
    within("delay_factor", delay_factor, 0.0..=1.0)?;
    let mut each = raw.stages.iter().enumerate();
    each.try_for_each(|(i, stage)| check_stage(i, raw.in_flight, stage))?;
    let stages = Stages { delay_factor, stages: raw.stages.clone() };
    let requests = stages.requests();
    let key = "the sum of stages.threads x requests_per_thread";
    let allowed = format!("up to {MAX_CLOSED_REQUESTS}");
    check(requests <= MAX_CLOSED_REQUESTS, key, requests, allowed)?;
    let timeout = Duration::from_millis(raw.timeout_ms.into());
    let longest_s = stages.longest(timeout).as_secs_f64();
    let allowed = format!(
        "up to {MAX_DURATION_S}: take a lower requests_per_thread, max_delay_ms, delay_factor or \
         timeout_ms"
    );
    check(longest_s <= MAX_DURATION_S, "the most seconds that stages last", longest_s, allowed)?;
    Ok(stages)
}

fn check_stage(index: usize, in_flight: u32, stage: &Stage) -> Result<(), Invalid> {
    let Stage { threads, requests_per_thread, max_delay_ms } = *stage;
    let key = |name: &str| format!("stages[{index}].{name}");
    let allowed = format!("1 to {in_flight}, which is in_flight");
    check((1..=in_flight).contains(&threads), key("threads"), threads, allowed)?;
    within(key("requests_per_thread"), requests_per_thread, 1.0..=MAX_REQUESTS_PER_THREAD)?;
    within(key("max_delay_ms"), max_delay_ms, 0.0..=MAX_DELAY_MS)
}
