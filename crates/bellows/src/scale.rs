//! `bellows scale`: an operator's hand on the number of a service's instances.

use command_line::terminal;
use host::settings::Settings;
use model::decision::{Decision, Reason};
use model::hold::{Hold, HoldTime};
use model::names::ServiceName;
use model::status::ServiceStatus;
use serde::Serialize;

use crate::ask;
use crate::cli::Scale;
use crate::clock::span;
use crate::json::{self, FORMAT};
use crate::scaler;
use crate::text::held;

/// Holds a number, gives it back to the policy, or neither; then shows what holds.
pub(crate) async fn run(settings: &Settings, asked: Scale) -> anyhow::Result<()> {
    let Scale { service, ready, lasts, auto, yes, json } = asked;
    let scaler = scaler::client(settings)?;
    let lasts = lasts.unwrap_or_default().span();
    let known = scaler::known(&scaler, &service).await?;
    let status = match ready {
        Some(ready) => {
            if ready == 0 && known.bounds.min() == 0 {
                ask::confirm(&format!("{service} would have no instance: {NOBODY}."), yes)?;
            }
            scaler.hold(&service, ready, lasts).await?
        }
        None if auto => scaler.release(&service).await?,
        None => known,
    };
    show(&status, json)
}

/// What a hold at no instance means for whoever asks.
const NOBODY: &str =
    "each request waits for 10 s and is answered 503, also one that would have started an instance";

/// The span that `--for` names, such as `90s`, `2h` or `7d`.
pub(crate) fn hold_time(text: &str) -> Result<HoldTime, String> {
    let time = span(text).and_then(|span| HoldTime::from_secs(span.as_secs()).ok());
    time.ok_or_else(|| "use 10s to 30d, such as 90s, 2h or 7d".to_owned())
}

/// Shows what holds for the number of a service.
pub(crate) fn show(status: &ServiceStatus, json: bool) -> anyhow::Result<()> {
    if json {
        return json::print(&Shown::of(status));
    }
    terminal::tell_line(told(status))?;
    Ok(())
}

/// What holds for the number of a service.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    format: u32,
    service: &'a ServiceName,
    /// The hold; null where the policy decides.
    hold: Option<Hold>,
    min: u32,
    max: u32,
    policy: &'a str,
    /// The instances in rotation.
    ready: u32,
    /// The ready instances decided on last, before this change; null where what is was kept.
    decided: Option<u32>,
    reasons: &'a [Reason],
}

impl<'a> Shown<'a> {
    fn of(status: &'a ServiceStatus) -> Self {
        let decision = status.tick.as_ref().map(|tick| &tick.decision);
        let reasons = match decision {
            Some(Decision::Target { reasons, .. } | Decision::Hold { reasons }) => &reasons[..],
            None => &[],
        };
        Self {
            format: FORMAT,
            service: &status.name,
            hold: status.hold,
            min: status.bounds.min(),
            max: status.bounds.max(),
            policy: &status.policy,
            ready: status.phases.ready,
            decided: status.tick.as_ref().and_then(|tick| tick.target()),
            reasons,
        }
    }
}

fn told(status: &ServiceStatus) -> String {
    let ServiceStatus { name, bounds, policy, phases, .. } = status;
    let (min, max) = (bounds.min(), bounds.max());
    let Some(hold) = status.hold else {
        let ready = phases.ready;
        return format!(
            "{name} is not held: {policy} decides within {min} to {max}. Ready now: {ready}."
        );
    };
    let in_force = hold.within(*bounds).ready;
    let nobody = match in_force {
        0 => format!("\nIt has no instance meanwhile: {NOBODY}."),
        _ => String::new(),
    };
    let held = held(hold, in_force);
    format!(
        "{name} is {held}; `bellows scale {name} --auto` gives it back to its policy, {policy}.{nobody}"
    )
}

#[cfg(test)]
mod tests {
    use model::time::Timestamp;

    use super::*;

    fn status(min: u32, max: u32, held: Option<u32>) -> ServiceStatus {
        let json = format!(
            r#"{{"name":"shop","route":"/","bounds":{{"min":{min},"max":{max}}},"policy":"hpa",
            "policy_spec":{{"kind":"hpa"}},"objective_ms":250,
            "wanted":{{"version":"00000001","deployed_at_ms":1}},"rollout":null,
            "set":{{"bounds":null,"policy":null}},
            "phases":{{"starting":0,"ready":3,"draining":0,"failed":0}},"instances":[],"tick":null}}"#
        );
        let status: ServiceStatus = serde_json::from_str(&json).unwrap();
        let (since, until) =
            (Timestamp::from_millis(1_795_000_000_000), Timestamp::from_millis(1_795_003_600_000));
        ServiceStatus { hold: held.map(|ready| Hold { ready, since, until }), ..status }
    }

    #[test]
    fn what_holds_is_told_with_its_end_the_way_back_and_what_no_instance_means() {
        let told = [
            told(&status(1, 10, None)),
            told(&status(1, 10, Some(4))),
            told(&status(1, 2, Some(4))),
            told(&status(0, 2, Some(0))),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        shop is not held: hpa decides within 1 to 10. Ready now: 3.
        shop is held at 4 until 2026-11-18T12:06:40Z; `bellows scale shop --auto` gives it back to its policy, hpa.
        shop is held at 4 (2 within its bounds) until 2026-11-18T12:06:40Z; `bellows scale shop --auto` gives it back to its policy, hpa.
        shop is held at 0 until 2026-11-18T12:06:40Z; `bellows scale shop --auto` gives it back to its policy, hpa.
        It has no instance meanwhile: each request waits for 10 s and is answered 503, also one that would have started an instance.
        ");
    }

    #[test]
    fn a_time_is_ten_seconds_to_thirty_days_in_any_unit() {
        let seconds = |text: &str| hold_time(text).map(|time| time.span().as_secs());
        for (text, expected) in [
            ("10s", 10),
            ("90s", 90),
            ("2h", 7200),
            ("1h 30m", 5400),
            ("7d", 604_800),
            ("30d", 2_592_000),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "9s", "31d", "-1h", "+1h", "1", "an hour", "1 fortnight", "99999999999h"] {
            assert!(seconds(text).unwrap_err().starts_with("use 10s to 30d"), "{text}");
        }
    }

    #[test]
    fn programs_are_told_the_same_in_a_form_with_a_number() {
        let status = status(1, 10, Some(4));
        let told = serde_json::to_value(Shown::of(&status)).unwrap();
        assert_eq!((&told["format"], &told["service"]), (&1.into(), &"shop".into()));
        assert_eq!(told["hold"]["ready"], 4);
        assert_eq!(told["hold"]["until_ms"], 1_795_003_600_000_u64);
    }
}
