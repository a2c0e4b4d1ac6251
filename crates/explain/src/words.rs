//! Figures and codes of decisions, in words.

use std::time::Duration;

use model::action::{ActionKind, Blocked};
use model::decision::Reason;
use model::policies::Measure;
use model::version::VersionState;

/// The bytes of one MiB.
const MIB: f64 = (1 << 20) as f64;

/// From so many MiB on, tenths say nothing.
const WHOLE_FROM: f64 = 100.0;

/// A figure without digits that say nothing: three that do, and all of what lies before the point.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A time as people say it: `80 ms`, `4.2 s`, `5 min`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    match span.as_millis() {
        0..1_000 => format!("{} ms", span.as_millis()),
        1_000..120_000 => format!("{} s", figure(seconds)),
        _ => format!("{} min", figure(seconds / 60.0)),
    }
}

/// The same of milliseconds.
pub fn span_ms(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

/// A long time in hours; one of less than two as [`span`] says it.
pub fn hours(time: Duration) -> String {
    match time.as_secs() {
        0..7_200 => span(time),
        _ => format!("{} h", figure(time.as_secs_f64() / 3_600.0)),
    }
}

/// Bytes of memory or of the disk, in MiB.
#[expect(clippy::cast_precision_loss, reason = "of 2^53 bytes, 8 PiB, tenths of a MiB are exact")]
pub fn mib(bytes: u64) -> String {
    let mib = bytes as f64 / MIB;
    if mib < WHOLE_FROM { format!("{mib:.1} MiB") } else { format!("{mib:.0} MiB") }
}

/// So many instances.
pub fn instances(count: u32) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} instance{plural}")
}

/// A span in its two largest units.
pub fn age(from_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(from_ms) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// What a measure counts, after its figure.
pub const fn unit(measure: Measure) -> &'static str {
    match measure {
        Measure::Cpu => "cores in use",
        Measure::Offered => "requests/s offered",
        Measure::Served => "requests/s answered",
        Measure::InFlight => "requests in flight or waiting",
    }
}

/// What instances have of a measure, after a percentage.
pub const fn whole(measure: Measure) -> &'static str {
    match measure {
        Measure::Cpu => "the CPU time that the instances may use",
        Measure::Offered => "the load that the instances carry, as it is offered",
        Measure::Served => "the load that the instances carry, as it is answered",
        Measure::InFlight => "the requests that the instances take at once",
    }
}

/// Why a policy asks for its number.
pub const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::OfferedLoad => "the load that is offered asks for it",
        Reason::Burst => "a burst within the last second asks for it",
        Reason::Queue => "the requests that wait ask for it",
        Reason::AboveUpper => "it lies above the upper bound of the policy",
        Reason::BelowLower => "it lies below the lower bound of the policy",
        Reason::InBand => "it lies where nothing is to change",
        Reason::WindowFilling => "the policy has not looked for as long as its window is",
        Reason::Utilisation => "its ratio to the target asks for it",
        Reason::Stabilised => "the policy stays with what it recommended a while ago",
        Reason::InFlight => "requests in flight and waiting ask for it",
        Reason::Cpu => "the CPU time that instances use asks for it",
        Reason::Concurrency => "the mean over the stable window asks for it",
        Reason::Panic => "the panic window asked for it, and panic never scales in",
        Reason::Forecast => "the forecast asks for it",
        Reason::Released => "the policy gives back by and by what the load does not use",
        Reason::History => "this hour of earlier days asks for it",
        Reason::Activation => "somebody asks for the service",
        Reason::Schedule => "the schedule alone decides, and keeps what there is",
        Reason::AtScheduledMin => "the lower bound of the schedule",
        Reason::AtScheduledMax => "the upper bound of the schedule",
        Reason::Patience => "the need has not held for long enough",
        Reason::Cooldown => "the last change is too recent",
        Reason::StepLimit => "the change is as large as one may be at once",
        Reason::HostSaturated => "the host has no CPU time for more",
        Reason::AtMin => "the lower bound",
        Reason::AtMax => "the upper bound",
        Reason::NotKnown => "a figure that the policy needs is not known",
        Reason::NotSet => "no policy has anything to say, so that what there is stays",
        Reason::Held => "an operator holds the number",
        Reason::NoData => "the load or the instances are not known, so that nothing is changed",
    }
}

/// What is known of a version that is kept.
pub const fn version_state(state: VersionState) -> &'static str {
    match state {
        VersionState::Serves => "serves",
        VersionState::OnTrial => "on trial",
        VersionState::Watched => "watched",
        VersionState::GivenUp => "given up",
        VersionState::ServedBefore => "served before",
        VersionState::GoneBackFrom => "gone back from",
        VersionState::Kept => "kept",
    }
}

/// Why something that was wanted was not planned.
pub const fn blocked(blocked: Blocked) -> &'static str {
    match blocked {
        Blocked::LaunchBackoff => "launches failed of late, and the next one waits",
        Blocked::LaunchLimit => "the host takes no more launches at once",
        Blocked::HostMemory => "the host's memory has room for no more instances",
        Blocked::NoFreeSlot => "no slot of the host is free for the service",
        Blocked::ActionBackoff => {
            "the last action on an instance failed a moment ago, and the next one waits"
        }
    }
}

/// What is done with an instance.
pub const fn action(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Clone => "launch",
        ActionKind::Admit => "bring in",
        ActionKind::Drain => "drain",
        ActionKind::Stop => "stop",
        ActionKind::Kill => "kill",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_times_are_as_short_as_they_can_be() {
        let figures = [0.0, 0.0169, 1.6, 40.0, 40.97, 439.96, 12_345.6].map(figure);
        assert_eq!(figures, ["0", "0.017", "1.6", "40", "41", "440", "12346"]);
        let spans = [0, 80, 3_000, 4_230, 300_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["0 ms", "80 ms", "3 s", "4.23 s", "5 min"]);
        let times = [62, 7_199, 7_200, 90_000].map(|s| hours(Duration::from_secs(s)));
        assert_eq!(times, ["62 s", "120 min", "2 h", "25 h"]);
        assert_eq!([1, 2].map(instances), ["1 instance", "2 instances"]);
    }

    #[test]
    fn bytes_are_told_with_tenths_where_they_say_something() {
        let told = [0, 12_288, 1 << 20, 15 << 19, 250 << 20].map(mib);
        assert_eq!(told, ["0.0 MiB", "0.0 MiB", "1.0 MiB", "7.5 MiB", "250 MiB"]);
    }
}
