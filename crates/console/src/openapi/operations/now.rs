//! What is now, and what happens.

use model::status::{HostStatus, ServiceStatus};
use serde_json::{Value, json};

use super::super::document::{Needs, Operation, Schemas, example};
use super::service;

pub(super) fn all(schemas: &mut Schemas) -> Vec<Operation> {
    let text = || json!({ "type": "string" });
    vec![
        Operation::own("/v1/services", "services", "All services")
            .answers("They are like this.", schemas.told::<HostStatus>(), host())
            .fails(404, &["no_such_path"])
            .fails(502, &["scaler_strange"])
            .fails(503, &["too_many_at_once"]),
        Operation::own("/v1/services/{name}", "service", "One service")
            .of_service()
            .answers("It is like this.", schemas.told::<ServiceStatus>(), service())
            .fails(404, &["no_such_path"])
            .fails(502, &["scaler_strange"])
            .fails(503, &["too_many_at_once"]),
        Operation::own("/v1/live", "live", "What happens, as server-sent events")
            .asks_service("Of this service alone.")
            .answers_as(
                200,
                "Events `tick`, `event`, `second` and `missed`, without end.",
                "text/event-stream",
                text(),
                json!("retry: 1000\n\n"),
            )
            .fails(403, &["too_few_rights"])
            .fails(503, &["too_many_listeners"]),
        Operation::own("/metrics", "metrics", "Figures of this moment, for Prometheus")
            .answers_as(
                200,
                "OpenMetrics' text.",
                "application/openmetrics-text",
                text(),
                json!("# EOF\n"),
            )
            .fails(403, &["too_few_rights"]),
        Operation::new("get", "/healthz", "health", "Whether the console is there")
            .needs(Needs::Nothing)
            .answers_as(200, "It is.", "text/plain", text(), json!("ok\n")),
        Operation::own("/v1/openapi.json", "openapi", "This description")
            .needs(Needs::Nothing)
            .answers("It is this.", json!({ "type": "object" }), json!({})),
        Operation::new("get", "/v1/docs/", "docs", "A page to try it")
            .needs(Needs::Nothing)
            .answers_as(200, "The page.", "text/html", text(), json!("")),
    ]
}

fn host() -> Value {
    example::<HostStatus>(json!({ "services": [service()] }))
}
