//! What a calibration says to the person at the terminal.

use std::fmt::Write as _;

use run::Calibration;
use run::calibration::{LimitedBy, Point, Times, Trial, Verdict};

/// Trials that one instance takes, whose rate is only guessed, and what one takes with its warm-up,
/// in seconds, when some end early.
const FIRST_TRIALS: usize = 8;
const FIRST_TRIAL_S: usize = 18;
/// The same of the other fleets.
const TRIALS: usize = 5;
const TRIAL_S: usize = 12;
/// Launches, storing, removing and the trial of a usual load, in seconds.
const BESIDE_S: usize = 90;

/// What is about to be done, and for about how long.
pub(super) fn announcement(service: &str, sizes: &[u32]) -> String {
    let others = sizes.len() - 1;
    let seconds = FIRST_TRIALS * FIRST_TRIAL_S + others * TRIALS * TRIAL_S + BESIDE_S;
    let minutes = seconds.div_ceil(60);
    let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
    let sizes = sizes.join(", ");
    format!("calibrating {service} with fleets of {sizes}, for about {minutes} minutes")
}

/// One trial as a line.
pub(super) fn trial(trial: &Trial) -> String {
    let verdict = match trial.verdict {
        Verdict::Met => "met",
        Verdict::Missed => "missed",
        Verdict::Unclear => "unclear: the generator was the bottleneck",
    };
    let cut = if trial.cut_short { ", ended early" } else { "" };
    format!(
        "{:<12} {:>8.1} requests/s  p99 {:>6} ms, {:>5} % outside, {} failed{cut}  {verdict}",
        fleet(trial.instances),
        trial.rate_rps,
        number(trial.latency_ms.p99, 1),
        number(trial.outside_objective_percent, 2),
        trial.requests.failed + trial.requests.dropped,
    )
}

/// What a fleet serves, as a line.
pub(super) fn point(point: &Point) -> String {
    let limit = match point.limited_by {
        LimitedBy::Service => "",
        LimitedBy::Generator => " at least: beyond that the generator was the bottleneck",
        LimitedBy::Trials => " as far as could be found",
    };
    let each = point.met_rps.map(|rate| rate / f64::from(point.instances));
    format!(
        "{:<12} {:>8} requests/s, {} each{limit}",
        fleet(point.instances),
        number(point.met_rps, 1),
        number(each, 1)
    )
}

/// Everything that was measured.
pub(super) fn report(calibration: &Calibration) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_report(calibration, &mut text);
    text
}

fn write_report(calibration: &Calibration, out: &mut String) -> std::fmt::Result {
    for measured in &calibration.points {
        writeln!(out, "capacity   {}", point(measured))?;
    }
    let host = &calibration.host;
    for (name, times) in [
        ("clone", host.clone),
        ("drain", host.drain),
        ("stop", host.stop),
        ("service", host.service),
    ] {
        writeln!(out, "{name:<10} {}", spread(times))?;
    }
    let cpu = number(host.cpu_ms_per_request, 3);
    writeln!(out, "cpu        {cpu} ms for each request")?;
    if host.failed_actions > 0 {
        writeln!(out, "warning    {} actions of the scaler failed", host.failed_actions)?;
    }
    let late = calibration.trials.iter().filter(|t| t.generator.bottleneck).count();
    if late > 0 {
        let all = calibration.trials.len();
        writeln!(out, "warning    the generator was the bottleneck in {late} of {all} trials")?;
    }
    Ok(())
}

fn fleet(instances: u32) -> String {
    format!("{instances} instance{}", if instances == 1 { "" } else { "s" })
}

fn spread(times: Times) -> String {
    let (p50, p99) = (number(times.ms.p50, 2), number(times.ms.p99, 2));
    format!("p50 {p50} ms, p99 {p99} ms of {}", times.count)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use run::calibration::LimitedBy::{Generator, Service};
    use run::summary::{Latency, Requests};

    use super::*;

    #[test]
    fn lines_say_what_was_tried_and_what_was_found() {
        let tried = Trial {
            instances: 2,
            rate_rps: 93.63,
            duration_s: 12.0,
            cut_short: true,
            requests: Requests { due: 100, ok: 99, failed: 1, ..Requests::default() },
            outside_objective_percent: Some(12.47),
            latency_ms: Latency { p99: Some(297.21), ..Latency::default() },
            generator: run::summary::Generator::default(),
            verdict: Verdict::Missed,
        };
        let found = |instances, met_rps, limited_by| {
            point(&Point { instances, met_rps, missed_rps: None, limited_by })
        };
        let lines = [
            announcement("object-store", &[1, 2, 3, 5, 7, 10]),
            trial(&tried),
            found(1, Some(45.41), Service),
            found(10, Some(480.0), Generator),
            found(3, None, LimitedBy::Trials),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        calibrating object-store with fleets of 1, 2, 3, 5, 7, 10, for about 9 minutes
        2 instances      93.6 requests/s  p99  297.2 ms, 12.47 % outside, 1 failed, ended early  missed
        1 instance       45.4 requests/s, 45.4 each
        10 instances    480.0 requests/s, 48.0 each at least: beyond that the generator was the bottleneck
        3 instances         - requests/s, - each as far as could be found
        ");
    }
}
