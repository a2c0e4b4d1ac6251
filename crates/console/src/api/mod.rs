//! The HTTP API, version 1: what is now, what was, and what happens, from memory and from the history; and what the scaler
//! answers, which is passed on.

pub(crate) mod asker;
mod door;
pub(crate) mod experiments;
pub mod forward;
pub(crate) mod past;
pub(crate) mod preview;
pub(crate) mod query;
pub mod series;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use model::names::ServiceName;
use model::status::ServiceStatus;
use prometheus_client::registry::Registry;
use service::metrics::HttpMetrics;
use service::path::Path;
use service::problem::{Problem, guard};

use crate::experiments::{Experiments, Scenarios};
use crate::history::History;
use crate::live::Hub;
use crate::metrics::{self, Moment};
pub use crate::pages::Entrance;
use crate::rights::Rights;
use crate::upstream::{Sent, Upstream};
use crate::watch::{Now, Seen};
use crate::{openapi, pages};
use asker::Asker;
use door::Door;
pub use door::Rules;
pub use preview::Previews;
use query::Fields;

/// Where anybody may ask whether the console is there.
const HEALTH: &str = "/healthz";

/// How long the scaler may take to tell what is now.
const NOW: Duration = Duration::from_secs(5);

/// What the routes answer from.
#[derive(Debug, Clone)]
pub struct Known {
    /// What is now.
    pub now: Arc<Now>,
    /// What was.
    pub history: History,
    /// What happens.
    pub hub: Arc<Hub>,
    /// What is counted.
    pub registry: Arc<Registry>,
    /// The scaler, for what it alone knows or does.
    pub upstream: Upstream,
    /// Who may see what.
    pub rights: Rights,
    /// Who may compute.
    pub previews: Previews,
    /// What was tried, and what it can be tried with.
    pub experiments: Experiments,
    /// The scenarios of the release.
    pub scenarios: Arc<Scenarios>,
    /// Where the load balancer takes requests for services, for links to them; `None` where nobody said it.
    pub entrance: Option<Entrance>,
}

type Shared = State<Known>;
type Answer<T> = Result<Json<T>, Problem>;

/// The paths of what is not passed on and is read by GET; by POST there is [`PREVIEW`].
#[cfg(test)]
pub(crate) const OWN: [&str; 21] = [
    SERVICES,
    SERVICE,
    SERVICE_SERIES,
    INSTANCE_SERIES,
    TURNS,
    TICKS,
    EVENTS,
    HISTORY,
    SCENARIOS,
    EXPERIMENTS,
    EXPERIMENT,
    REPORT,
    RUN_FILES[0],
    RUN_FILES[1],
    RUN_FILES[2],
    RUN_FILES[3],
    LIVE,
    METRICS,
    HEALTH,
    openapi::DOCUMENT,
    "/v1/docs/",
];

const SERVICES: &str = "/v1/services";
const SERVICE: &str = "/v1/services/{name}";
const SERVICE_SERIES: &str = "/v1/services/{name}/series";
const INSTANCE_SERIES: &str = "/v1/services/{name}/instances/{instance}/series";
const TURNS: &str = "/v1/services/{name}/turns";
pub(crate) const PREVIEW: &str = "/v1/services/{name}/preview";
const TICKS: &str = "/v1/ticks";
const EVENTS: &str = "/v1/events";
const HISTORY: &str = "/v1/history";
const SCENARIOS: &str = "/v1/scenarios";
pub(crate) const EXPERIMENTS: &str = "/v1/experiments";
const EXPERIMENT: &str = "/v1/experiments/{id}";
const REPORT: &str = "/v1/experiments/{id}/report";
/// The files of a run.
const RUN_FILES: [&str; 4] = [
    "/v1/experiments/{id}/runs/{run}/summary.json",
    "/v1/experiments/{id}/runs/{run}/series.csv",
    "/v1/experiments/{id}/runs/{run}/ticks.jsonl",
    "/v1/experiments/{id}/runs/{run}/chart.svg",
];
const LIVE: &str = "/v1/live";
const METRICS: &str = "/metrics";

/// What the console answers itself.
fn own() -> Router<Known> {
    let files = RUN_FILES
        .into_iter()
        .fold(Router::new(), |routes, path| routes.route(path, get(experiments::of_run)));
    Router::new()
        .merge(files)
        .route(SCENARIOS, get(experiments::scenarios))
        .route(EXPERIMENTS, get(experiments::list))
        .route(EXPERIMENT, get(experiments::one))
        .route(REPORT, get(experiments::report))
        .route(SERVICES, get(all_services))
        .route(SERVICE, get(one_service))
        .route(SERVICE_SERIES, get(past::service_series))
        .route(INSTANCE_SERIES, get(past::instance_series))
        .route(TURNS, get(past::turns))
        .route(PREVIEW, post(preview::preview))
        .route(TICKS, get(past::ticks))
        .route(EVENTS, get(past::events))
        .route(HISTORY, get(past::history))
        .route(LIVE, get(live))
        .route(METRICS, get(metrics_text))
        .route(HEALTH, get(|| async { "ok\n" }))
}

/// All routes, behind the one door.
pub fn routes(known: Known, rules: Rules, metrics: HttpMetrics) -> Router {
    let door = Arc::new(Door::new(rules, known.rights.clone()));
    let routes = own()
        .merge(openapi::routes())
        .merge(pages::routes())
        .merge(forward::routes())
        .with_state(known);
    metrics.observe(guard(routes).layer(from_fn_with_state(door, door::admit)))
}

async fn all_services(
    State(known): Shared,
    asker: Asker,
    fields: Fields,
    head: Parts,
) -> Result<Response, Problem> {
    fields.end("none")?;
    if is_for_the_scaler(&known, &asker) {
        return known.upstream.pass_on(&head, Sent::Whole(Bytes::new()), NOW).await;
    }
    Ok(Json(known.now.host()).into_response())
}

async fn one_service(
    State(known): Shared,
    asker: Asker,
    Path(name): Path<String>,
    fields: Fields,
    head: Parts,
) -> Result<Response, Problem> {
    fields.end("none")?;
    if is_for_the_scaler(&known, &asker) {
        return known.upstream.pass_on(&head, Sent::Whole(Bytes::new()), NOW).await;
    }
    let status = name.parse().ok().and_then(|name| known.now.one(&name));
    let status: ServiceStatus = status.ok_or_else(|| no_such_service(&name))?;
    Ok(Json(status).into_response())
}

/// Whether the scaler is to say what is now: it tells those with a token what is for them alone, and while it has told the
/// console nothing it says itself how it is.
fn is_for_the_scaler(known: &Known, asker: &Asker) -> bool {
    matches!(asker, Asker::Named { .. }) || known.now.seen() != Seen::Now
}

fn no_such_service(name: &str) -> Problem {
    let message = format!("There is no service {name:?}; GET /v1/services lists them.");
    Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
}

/// The service of a field, deployed or not: the history has those that were.
fn service_field(fields: &mut Fields) -> Result<Option<ServiceName>, Problem> {
    fields.value("service", "the name of a service")
}

async fn live(
    State(known): Shared,
    asker: Asker,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let service = service_field(&mut fields)?;
    fields.end("service")?;
    asker.sees_all_of(service.as_ref())?;
    let last_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let listener = known.hub.listen(last_id, service).ok_or_else(|| {
        let message = "As many listen as may: end one of them.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", message)
    })?;
    let listening = (listener, asker.watched(known.rights));
    let text = futures_util::stream::unfold(listening, async |(mut listener, mut watched)| {
        let part = listener.next().await?;
        let may_go_on = watched.may_go_on().await;
        may_go_on.then_some((Ok::<Bytes, std::convert::Infallible>(part), (listener, watched)))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(text)).into_response())
}

async fn metrics_text(
    State(known): Shared,
    asker: Asker,
    fields: Fields,
) -> Result<Response, Problem> {
    fields.end("none")?;
    asker.sees_all_of(None)?;
    let host = (known.now.seen() == Seen::Now).then(|| known.now.host());
    let moment = Moment { host: host.as_ref(), history: &known.history.status() };
    let text = metrics::text(&known.registry, &moment);
    let text = text.map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
