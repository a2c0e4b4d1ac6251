//! What went wrong with an instance, and what it said of it.

use serde::{Deserialize, Serialize};

use crate::action::{ActionKind, Done};
use crate::names::InstanceName;
use crate::tick::Tick;
use crate::time::Timestamp;
use crate::version::Rollout;

/// What went wrong with an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// When.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The instance.
    pub instance: InstanceName,
    /// What it was, as a part of a sentence.
    pub problem: String,
    /// What the instance wrote last, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

impl Failure {
    /// The last of those that a turn tells of. `is_told` says of which instances the removal is no news, since it was
    /// told what they failed at.
    pub fn of(tick: &Tick, is_told: impl Fn(&InstanceName) -> bool) -> Option<Self> {
        let ended = tick.ended.iter().map(|ended| Self {
            at: tick.at,
            instance: ended.instance.clone(),
            problem: "it ended by itself".to_owned(),
            last_lines: ended.last_lines.clone(),
        });
        let given_up = tick.given_up.iter().map(|given_up| Self {
            at: tick.at,
            instance: given_up.instance.clone(),
            problem: match &tick.rollout {
                Some(Rollout::GivenUp { reason, .. }) => {
                    format!("its version was given up: {reason}")
                }
                _ => "its version was given up".to_owned(),
            },
            last_lines: given_up.last_lines.clone(),
        });
        let others = ended.chain(given_up);
        let actions = tick.done.iter().filter_map(|done| Self::of_action(done, &is_told));
        actions.chain(others).max_by_key(|failure| failure.at)
    }

    /// What an action failed at, or the instance before it: the lines of one that was well are not kept.
    fn of_action(done: &Done, is_told: impl Fn(&InstanceName) -> bool) -> Option<Self> {
        let problem = match (&done.error, done.kind) {
            (Some(error), ActionKind::Clone) => format!("its launch failed: {error}"),
            (Some(error), ActionKind::Admit) => format!("it did not get into rotation: {error}"),
            (Some(error), ActionKind::Drain) => format!("its drain failed: {error}"),
            (Some(error), ActionKind::Stop | ActionKind::Kill) => {
                format!("its removal failed: {error}")
            }
            (None, ActionKind::Kill) => "it gave no sign of life and was killed".to_owned(),
            (None, _) if done.last_lines.is_empty() || is_told(&done.instance) => return None,
            (None, _) => "it was not well and was removed".to_owned(),
        };
        let (at, instance) = (done.finished_at, done.instance.clone());
        Some(Self { at, instance, problem, last_lines: done.last_lines.clone() })
    }
}

#[cfg(test)]
mod tests {
    use crate::version::{Version, Wanted};

    use super::*;

    fn tick(done: &str, ended: &str) -> Tick {
        let text = format!(
            r#"{{"sequence":1,"at_ms":9000,"service":"shop","observation":{{"phases":{{"starting":0,"ready":0,"draining":0,"failed":0}}}},
               "decision":{{"kind":"hold","reasons":[]}},"plan":[],"blocked":[],"done":[{done}],"ended":[{ended}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn done(kind: &str, rest: &str) -> String {
        format!(
            r#"{{"action":"{kind}","instance":"bw-shop-3-a","slot":3,"planned_at_ms":1,"finished_at_ms":8000,{rest}}}"#
        )
    }

    #[test]
    fn a_turn_tells_the_last_that_went_wrong_and_nothing_of_what_went_well() {
        let problem = |done: &str, ended: &str| {
            Failure::of(&tick(done, ended), |_| false).map(|it| it.problem)
        };
        let well = done("stop", r#""error":null"#);
        assert_eq!(problem(&well, ""), None);
        let late = done("clone", r#""error":"no answer","last_lines":["oops"]"#);
        assert_eq!(problem(&late, "").unwrap(), "its launch failed: no answer");
        let sick = done("stop", r#""error":null,"last_lines":["oops"]"#);
        assert_eq!(problem(&sick, "").unwrap(), "it was not well and was removed");
        assert_eq!(Failure::of(&tick(&sick, ""), |_| true), None, "its launch failed before");
        let stuck = done("kill", r#""error":null"#);
        assert_eq!(problem(&stuck, "").unwrap(), "it gave no sign of life and was killed");
        let ended = r#"{"instance":"bw-shop-4-b","last_lines":["bye"]}"#;
        let failure = Failure::of(&tick(&late, ended), |_| false).unwrap();
        assert_eq!((failure.instance.as_str(), failure.at.as_millis()), ("bw-shop-4-b", 9000));
        assert_eq!(failure.last_lines, ["bye"]);
    }

    #[test]
    fn a_version_that_was_given_up_after_it_was_watched_is_told_with_its_reason() {
        let next = Wanted { version: Version::new(2), deployed_at: Timestamp::from_millis(1) };
        let reason = "12 of its 24 answers were 5xx".to_owned();
        let rollout = Rollout::GivenUp { version: Version::new(1), next, reason };
        let ended = r#"{"instance":"bw-shop-4-b","last_lines":["no such table"]}"#;
        let given_up = vec![serde_json::from_str(ended).unwrap()];
        let tick = Tick { rollout: Some(rollout), given_up, ..tick("", "") };
        let Failure { problem, last_lines, .. } = Failure::of(&tick, |_| false).unwrap();
        assert_eq!(problem, "its version was given up: 12 of its 24 answers were 5xx");
        assert_eq!(last_lines, ["no such table"]);
    }
}
