//! Where the pages are, and how each is served: as a whole, or as the events by which it follows what happens.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use model::job::JobId;
use model::names::{InstanceName, ServiceName};
use service::path::Path;
use service::problem::Problem;

use super::applications::Applications;
use super::view::View;
use super::why::Question;
use super::{Page, assets, frame, live};
use crate::api::Known;
use crate::api::asker::Asker;
use crate::api::query::Fields;

/// Nothing comes from elsewhere, nothing goes there, nothing stands in the page itself that runs, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What names an experiment.
const EXPERIMENT: &str = "the id of an experiment";

/// The pages, and what they are made of.
pub(crate) fn routes() -> Router<Known> {
    Router::new()
        .route("/", get(overview))
        .route("/host", get(host))
        .route("/experiments", get(experiments))
        .route("/experiments/compare", get(compare))
        .route("/experiments/{id}", get(experiment))
        .route("/services/{name}", get(service))
        .route("/services/{name}/why", get(why))
        .route("/services/{name}/policy", get(policy_of))
        .route("/services/{name}/versions", get(versions))
        .route("/services/{name}/logs", get(logs))
        .route("/services/{name}/instances/{instance}", get(instance))
        .merge(assets::routes())
}

/// Whether this path is one of a page, or a part of all of them.
pub(crate) fn is_part(path: &str) -> bool {
    let is_below = |folder| path.starts_with(folder);
    matches!(path, "/" | "/host" | "/experiments")
        || ["/services/", "/experiments/", "/assets/"].into_iter().any(is_below)
}

async fn overview(State(known): State<Known>, asker: Asker, headers: HeaderMap) -> Response {
    shown(Page::Overview, known, asker, &headers).await
}

async fn host(State(known): State<Known>, asker: Asker, headers: HeaderMap) -> Response {
    shown(Page::Host, known, asker, &headers).await
}

async fn experiments(State(known): State<Known>, asker: Asker, headers: HeaderMap) -> Response {
    shown(Page::Experiments, known, asker, &headers).await
}

async fn experiment(
    State(known): State<Known>,
    asker: Asker,
    Path(id): Path<String>,
    mut fields: Fields,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let with = fields.value("with", EXPERIMENT)?;
    fields.end("with")?;
    let page = id.parse().map_or_else(|_| Page::NoExperiment(id), |id| Page::Experiment(id, with));
    Ok(shown(page, known, asker, &headers).await)
}

/// Leads who chose two experiments to the page that compares them.
async fn compare(mut fields: Fields) -> Result<Redirect, Problem> {
    let (of, with): (Option<JobId>, Option<JobId>) =
        (fields.value("of", EXPERIMENT)?, fields.value("with", EXPERIMENT)?);
    fields.end("of and with")?;
    Ok(Redirect::to(&match (of, with) {
        (Some(of), Some(with)) => format!("/experiments/{of}?with={with}"),
        _ => "/experiments".to_owned(),
    }))
}

async fn service(
    State(known): State<Known>,
    asker: Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    shown(of_service(name, Page::Service), known, asker, &headers).await
}

async fn why(
    State(known): State<Known>,
    asker: Asker,
    Path(name): Path<String>,
    fields: Fields,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let question = Question::of(fields)?;
    Ok(shown(of_service(name, |name| Page::Why(name, question)), known, asker, &headers).await)
}

async fn policy_of(
    State(known): State<Known>,
    asker: Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    shown(of_service(name, Page::Policy), known, asker, &headers).await
}

async fn versions(
    State(known): State<Known>,
    asker: Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    shown(of_service(name, Page::Versions), known, asker, &headers).await
}

async fn logs(
    State(known): State<Known>,
    asker: Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    shown(of_service(name, Page::Logs), known, asker, &headers).await
}

async fn instance(
    State(known): State<Known>,
    asker: Asker,
    Path((name, instance)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let page = |service| match instance.parse() {
        Ok(instance) if *InstanceName::service(&instance) == service => Page::Instance(instance),
        _ => Page::NoInstance(service, instance),
    };
    shown(of_service(name, page), known, asker, &headers).await
}

/// The page of a service; another one where that is no name of any.
fn of_service(name: String, page: impl FnOnce(ServiceName) -> Page) -> Page {
    match name.parse() {
        Ok(service) => page(service),
        Err(_) => Page::Missing(name),
    }
}

/// The page as a whole, or as the events by which it follows what happens.
async fn shown(page: Page, known: Known, asker: Asker, headers: &HeaderMap) -> Response {
    let mut view = View::of(&known, &asker, &page).await;
    view.applications = Applications::of(known.entrance, headers);
    let mut response = if live::is_wanted(headers) {
        live::stream(page, known, asker, view.asked, headers)
    } else {
        let status = if view.has(&page) { StatusCode::OK } else { StatusCode::NOT_FOUND };
        (status, axum::response::Html(frame::whole(&page, &view).into_string())).into_response()
    };
    let fields = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Who opens it in a window of his has no hold of that.
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "accept, authorization"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
