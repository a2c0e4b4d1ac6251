//! What was.

use model::action::Blocked;
use model::decision::Reason;
use model::policies::PolicySpec;
use model::preview::Preview;
use model::status::TickPage;
use serde_json::{Value, json};
use strum::IntoEnumIterator as _;

use super::super::document::{INSTANCE, Operation, Schemas};
use super::{limit, moment, tick, whole_number};
use crate::api::PREVIEW;
use crate::api::past::{EventPage, HistoryPage, Series, TurnPage};
use crate::api::series::{ShownInstance, ShownService};
use crate::events::Kind;

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    vec![
        series(
            Operation::own("/v1/services/{name}/series", "serviceSeries", "Figures of a service")
                .of_service()
                .answers("They were these.", schemas.told::<Series<ShownService>>(), points()),
        ),
        series(
            Operation::own(
                "/v1/services/{name}/instances/{instance}/series",
                "instanceSeries",
                "Figures of an instance",
            )
            .of_service()
            .in_path("instance", "The name of the instance.", INSTANCE)
            .fails(404, &["no_such_instance"])
            .answers(
                "They were these.",
                schemas.told::<Series<ShownInstance>>(),
                points(),
            ),
        ),
        of_history(
            Operation::own(
                "/v1/services/{name}/turns",
                "turns",
                "Every turn of the last 30 minutes",
            )
            .of_service()
            .asks("from", "From this moment on.", moment())
            .asks("to", "Up to this moment.", moment())
            .asks("limit", "So many at most.", limit(1_000))
            .answers(
                "They were these.",
                schemas.told::<TurnPage>(),
                json!({ "ticks": [tick()] }),
            ),
        ),
        preview(schemas),
        page(
            Operation::own("/v1/ticks", "ticks", "Turns that changed something"),
            "reason",
            reasons(),
        )
        .asks(
            "newest",
            "So many of the newest, in the place of `since` and `limit`.",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
        )
        .answers(
            "They were these.",
            schemas.told::<TickPage>(),
            json!({ "ticks": [tick()], "next": 1 }),
        ),
        page(Operation::own("/v1/events", "events", "What happened"), "kind", kinds()).answers(
            "This.",
            schemas.told::<EventPage>(),
            json!({ "events": [], "next": 0 }),
        ),
        Operation::own("/v1/history", "history", "What is kept from when to when")
            .fails(403, &["too_few_rights"])
            .answers("This.", schemas.told::<HistoryPage>(), history()),
    ]
}

fn preview(schemas: &mut Schemas) -> Operation {
    let up_to = |most: u32| json!({ "type": "integer", "minimum": 1, "maximum": most });
    let summary = "What a policy would have run under the load that was; sets nothing";
    of_history(Operation::new("post", PREVIEW, "preview", summary))
        .of_service()
        .asks("minutes", "Of the last minutes, by second; 10 without `hours`.", up_to(30))
        .asks("hours", "Of the last hours, by minute.", up_to(24))
        .takes("application/json", schemas.taken::<PolicySpec>(), json!({ "kind": "hpa" }))
        .fails(400, &["bad_query"])
        .fails(408, &["body_too_slow"])
        .fails(413, &["body_too_large"])
        .fails(422, &["bad_body", "bad_value", "no_requests", "nothing_known", "takes_too_long"])
        .fails(503, &["too_many_at_once", "scaler_older"])
        .answers("This.", schemas.told::<Preview>(), previewed())
}

fn previewed() -> Value {
    json!({
        "policy": PolicySpec::default(), "step_s": 1, "points": [], "decisions": [], "decisions_left_out": 0,
        "totals": {
            "known_s": 600.0, "instance_seconds": 1_800.0, "requests": 60_000, "failed": 0,
            "outside_objective_percent": 0.1,
        },
        "ran": { "instance_seconds": 2_400.0, "answers": 59_990, "failed": 0, "late": 61 },
        "assumed": {
            "bounds": { "min": 1, "max": 10 }, "ready": 4, "launch_ms": 60.0, "request_ms": 2.0, "cpu_ms": 0.5,
            "instance_rps": 50.0,
        },
    })
}

fn of_history(operation: Operation) -> Operation {
    operation.fails(503, &["history_away"])
}

fn series(operation: Operation) -> Operation {
    let step = json!({ "enum": ["1s", "1m"], "default": "1m" });
    of_history(operation)
        .asks("step", "The length of a span.", step)
        .asks("from", "From this moment on.", moment())
        .asks("to", "Before this moment.", moment())
}

fn page(operation: Operation, field: &str, words: Value) -> Operation {
    of_history(operation)
        .fails(403, &["too_few_rights"])
        .asks("since", "Those after this number; without it, the newest.", whole_number())
        .asks_service("Of this service, deployed or not.")
        .asks(field, "Those with this code.", words)
        .asks("limit", "So many at most.", limit(1_000))
}

fn reasons() -> Value {
    let reasons = Reason::iter().map(|it| format!("{it:?}"));
    json!({ "enum": reasons.chain(Blocked::iter().map(|it| format!("{it:?}"))).collect::<Vec<_>>() })
}

fn kinds() -> Value {
    json!({ "enum": Kind::iter().map(<&str>::from).collect::<Vec<_>>() })
}

fn points() -> Value {
    json!({ "step_s": 60, "points": [] })
}

fn history() -> Value {
    json!({
        "used_bytes": 4096, "size_bytes": 209_715_200, "problem": null, "aside": null,
        "seconds_missed": 0, "kept": [], "gaps": [],
    })
}
