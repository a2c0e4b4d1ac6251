//! `bellows services`: a line for each service.

use command_line::terminal;
use explain::health::Health;
use host::settings::Settings;
use model::hold::Hold;
use model::names::ServiceName;
use model::status::ServiceStatus;
use model::version::{Rollout, Version};
use serde::Serialize;

use crate::clock::now;
use crate::json::{self, FORMAT};
use crate::scaler;
use crate::text::columns;

/// Shows all services.
pub(crate) async fn run(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let services = scaler::client(settings)?.services().await?.services;
    let list = List::of(&services, now().as_millis());
    if json {
        return json::print(&list);
    }
    terminal::tell(list.table())?;
    Ok(())
}

/// The services as programs are told of them.
pub(crate) fn as_json(services: &[ServiceStatus]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&List::of(services, now().as_millis()))?)
}

/// The services, as programs are told of them.
#[derive(Debug, Serialize)]
struct List<'a> {
    format: u32,
    /// When it was read, in milliseconds since 1970.
    at_ms: u64,
    services: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a ServiceName,
    /// Null where it gets no requests from outside.
    route: Option<&'a str>,
    /// The version that serves; null before one does.
    version: Option<Version>,
    /// The instances in rotation.
    ready: u32,
    /// The ready instances decided on; null where what is was kept.
    decided: Option<u32>,
    min: u32,
    max: u32,
    policy: &'a str,
    /// Null where the policy decides.
    hold: Option<Hold>,
    health: Health,
}

impl<'a> List<'a> {
    fn of(services: &'a [ServiceStatus], at_ms: u64) -> Self {
        Self { format: FORMAT, at_ms, services: services.iter().map(Row::of).collect() }
    }

    fn table(&self) -> String {
        if self.services.is_empty() {
            return "No services. `bellows deploy FOLDER` serves an application.\n".to_owned();
        }
        let rows = self.services.iter().map(Row::cells);
        let heads = ["SERVICE", "ROUTE", "VERSION", "READY", "BOUNDS", "POLICY", "HELD", "HEALTH"];
        columns(heads, rows)
    }
}

impl<'a> Row<'a> {
    fn of(status: &'a ServiceStatus) -> Self {
        let serves = |rollout: &&Rollout| !rollout.is_first();
        Self {
            name: &status.name,
            route: status.route.as_deref(),
            version: status.rollout.as_ref().filter(serves).map(Rollout::serving),
            ready: status.phases.ready,
            decided: status.tick.as_ref().and_then(|tick| tick.target()),
            min: status.bounds.min(),
            max: status.bounds.max(),
            policy: &status.policy,
            hold: status.hold,
            health: Health::of(status),
        }
    }

    fn cells(&self) -> [String; 8] {
        let none = || "-".to_owned();
        [
            self.name.to_string(),
            self.route.map_or_else(none, str::to_owned),
            self.version.map_or_else(none, |version| version.to_string()),
            match self.decided {
                Some(decided) if decided != self.ready => format!("{} of {decided}", self.ready),
                _ => self.ready.to_string(),
            },
            format!("{}..{}", self.min, self.max),
            self.policy.to_owned(),
            self.hold.map_or_else(none, |hold| format!("at {}", hold.ready)),
            self.health.to_string().replace('_', " "),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service with so many ready, starting and failed instances, of which the last turn decided on so many.
    fn status(counts: [u32; 3], decision: &str, rollout: &str) -> ServiceStatus {
        let [ready, starting, failed] = counts;
        let phases =
            format!(r#"{{"starting":{starting},"ready":{ready},"draining":0,"failed":{failed}}}"#);
        let tick = match decision {
            "" => "null".to_owned(),
            decision => format!(
                r#"{{"sequence":1,"at_ms":1,"service":"shop","observation":{{"offered_rps":0,
                "served_rps":null,"rejected_rps":null,"queued":null,"in_flight":null,
                "cpu_cores":null,"phases":{phases}}},"decision":{decision},"plan":[],"blocked":[],"done":[]}}"#
            ),
        };
        let json = format!(
            r#"{{"name":"shop","route":"/","bounds":{{"min":1,"max":10}},"policy":"hpa",
            "policy_spec":{{"kind":"hpa"}},"objective_ms":250,
            "wanted":{{"version":"00000001","deployed_at_ms":1}},"rollout":{rollout},
            "set":{{"bounds":null,"policy":null}},
            "phases":{phases},"instances":[],"tick":{tick},
            "hold":{{"ready":4,"since_ms":0,"until_ms":9}}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    const SERVING: &str = r#"{"state":"serving","version":"00000001"}"#;
    const GIVEN_UP: &str = r#"{"state":"given_up","version":"00000001","next":{"version":"00000002","deployed_at_ms":1},"reason":"no answer"}"#;
    const FIRST: &str = r#"{"state":"proving","version":"00000001","next":{"version":"00000001","deployed_at_ms":1},"since_ms":1}"#;

    fn target(ready: u32) -> String {
        format!(r#"{{"kind":"target","ready":{ready},"reasons":["Held"]}}"#)
    }

    #[test]
    fn services_are_listed_a_line_each_with_what_is_held() {
        let all = [
            status([3, 1, 0], &target(4), SERVING),
            ServiceStatus { hold: None, route: None, ..status([4, 0, 0], &target(4), GIVEN_UP) },
            status([0, 1, 0], &target(1), FIRST),
        ];
        let list = List::of(&all, 7);
        insta::assert_snapshot!(list.table(), @r"
        SERVICE  ROUTE  VERSION   READY   BOUNDS  POLICY  HELD  HEALTH
        shop     /      00000001  3 of 4  1..10   hpa     at 4  short
        shop     -      00000001  4       1..10   hpa     -     given up
        shop     /      -         0 of 1  1..10   hpa     at 4  starting
        ");
        let json = serde_json::to_value(&list).unwrap();
        assert_eq!(
            (&json["format"], &json["services"][1]["health"]),
            (&1.into(), &"given_up".into())
        );
        assert_eq!(json["services"][0]["hold"]["ready"], 4);
        assert!(List::of(&[], 0).table().starts_with("No services."));
    }
}
