//! The HTTP API, version 1: what the loop sees and does, and what is set: bounds, policies, numbers
//! that are held, the way of membership, tokens and logins. [`crate::doors`] tells who calls.

mod actions;
mod bounds;
mod cost;
mod deploys;
mod experiments;
mod file;
mod jobs;
mod login;
mod machine;
mod membership;
mod number;
mod policy;
mod recording;
mod secrets;
mod setting;
mod ticks;
mod tokens;
mod why_not;

use std::io;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router};
use host::deployments::DeployedService;
use model::access::{ChangePage, Changed, Right, Who};
use model::names::InstanceName;
use model::output::OutputPage;
use model::secrets::SECRET_MAX_BYTES;
use model::service::ServiceSpec;
use model::status::{HostStatus, ServiceStatus};
use model::time::Timestamp;
use serde::Deserialize;
use service::path::Path;
use service::problem::Problem;

use self::setting::{IfMatch, Setting, TagHeader, Told};
use crate::access::{Caller, too_few_rights, unauthorized};
use crate::shared_state::SharedState;

/// Ticks or changes that one answer holds unless `limit` says otherwise, and at most: about 1 MB.
const PAGE_MAX: usize = 1000;

/// Lines of output that one answer holds unless the query says otherwise, and at most.
const LINES: usize = 100;
const LINES_MAX: usize = 5_000;

/// A body of bounds is some 30 bytes; a policy with a schedule of some hundred entries, 10 kB. A secret
/// fills it.
const BODY_MAX_BYTES: usize = SECRET_MAX_BYTES;

/// Where anybody may ask whether the scaler is there.
pub(crate) const HEALTH: &str = "/healthz";

/// The end of the path of what a service's instances wrote.
pub(crate) const OUTPUT: &str = "/output";

/// The end of the path of what stands between a service and another number of instances.
pub(crate) const WHY_NOT: &str = "/why-not";
/// The end of the path of a service's turns as they are taken.
pub(crate) const RECORDING: &str = "/recording";

/// The end of the path of the versions that a service can go back to.
pub(crate) const VERSIONS: &str = "/versions";

/// The end of the path of a service's file.
pub(crate) const FILE: &str = "/file";

/// The jobs, and the end of the path of what one of them wrote.
pub(crate) const JOBS: &str = "/v1/jobs";
pub(crate) const LOG: &str = "/log";

/// What instances ran and cost.
pub(crate) const COST: &str = "/v1/cost";

/// The machine, and what the doctor says of it.
pub(crate) const HOST: &str = "/v1/host";
pub(crate) const DOCTOR: &str = "/v1/host/doctor";

/// The record of ticks, and that of changes.
pub(crate) const TICKS: &str = "/v1/ticks";
pub(crate) const CHANGES: &str = "/v1/changes";

/// Where a browser exchanges its code for a token, and ends that.
pub(crate) const LOGIN: &str = "/v1/login";

/// What happens as it happens.
const FEED: &str = "/v1/feed";

type Shared = State<Arc<SharedState>>;
type CalledBy = Extension<Caller>;
type Answer<T> = Result<Json<T>, Problem>;
/// An answer with the tag that what was set has by then.
type Tagged<T> = Result<(TagHeader, Json<T>), Problem>;
/// A value that can be set, as it is told, with its tag.
type JsonText = (TagHeader, [(HeaderName, &'static str); 1], String);

/// The feed, by the ways in that lead to it.
pub(crate) fn feed(shared: Arc<SharedState>) -> Router {
    Router::new().route(FEED, get(read_feed)).with_state(shared)
}

/// All turns as they happen, to those who see all services.
async fn read_feed(
    State(shared): Shared,
    Extension(caller): CalledBy,
) -> Result<Response, Problem> {
    machine::sees_all(&caller)?;
    let lines = shared.feed().read().ok_or_else(|| {
        let message = "The feed has all the readers that it may have: end one of them.";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", message)
    })?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// The API without its errors for unknown paths. Every request carries its [`Caller`].
pub(crate) fn routes(shared: Arc<SharedState>) -> Router {
    Router::new()
        .route("/v1/services", get(all_services))
        .route("/v1/services/{name}", get(one_service).put(file::put).delete(deploys::destroy))
        .route(&format!("/v1/services/{{name}}{FILE}"), get(file::get))
        .route("/v1/services/{name}/actions", get(actions::list))
        .route("/v1/services/{name}/actions/{action}", post(actions::send))
        .route("/v1/services/{name}/deploys", post(deploys::deploy))
        .route("/v1/services/{name}/rollback", post(deploys::rollback))
        .route(&format!("/v1/services/{{name}}{VERSIONS}"), get(deploys::versions))
        .route("/v1/stop", post(deploys::stop))
        .route(JOBS, get(jobs::list))
        .route(&format!("{JOBS}/{{id}}"), get(jobs::one))
        .route(&format!("{JOBS}/{{id}}{LOG}"), get(jobs::log))
        .route(&format!("{JOBS}/{{id}}/interrupt"), post(experiments::interrupt))
        .route("/v1/experiments", post(experiments::begin))
        .route(
            "/v1/services/{name}/bounds",
            get(bounds::get).put(bounds::set).delete(bounds::clear),
        )
        .route("/v1/services/{name}/bounds/check", post(bounds::check))
        .route(
            "/v1/services/{name}/policy",
            get(policy::get).put(policy::set).delete(policy::clear),
        )
        .route("/v1/services/{name}/policy/check", post(policy::check))
        .route(
            "/v1/services/{name}/hold",
            get(number::held).put(number::hold).delete(number::release),
        )
        .route("/v1/services/{name}/instances", post(number::add).delete(number::remove_idlest))
        .route("/v1/services/{name}/instances/{instance}", delete(number::remove))
        .route("/v1/services/{name}/secrets", get(secrets::list))
        .route("/v1/services/{name}/secrets/{secret}", put(secrets::set).delete(secrets::remove))
        .route(&format!("/v1/services/{{name}}{OUTPUT}"), get(output))
        .route(&format!("/v1/services/{{name}}{WHY_NOT}"), get(why_not::ask))
        .route(&format!("/v1/services/{{name}}{RECORDING}"), get(recording::record))
        .route(
            "/v1/membership",
            get(membership::get).put(membership::set).delete(membership::clear),
        )
        .route(COST, get(cost::get))
        .route(HOST, get(machine::get))
        .route(DOCTOR, get(machine::doctor))
        .route(TICKS, get(ticks::ticks))
        .route(CHANGES, get(changes))
        .route("/v1/tokens", get(tokens::list))
        .route("/v1/tokens/{name}", put(tokens::make).delete(tokens::revoke))
        .route("/v1/logins", post(login::give_code))
        .route(LOGIN, post(login::log_in).delete(login::log_out))
        .route(HEALTH, get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(shared)
}

async fn all_services(State(shared): Shared, Extension(caller): CalledBy) -> Json<HostStatus> {
    let mut host = shared.host_status(|service| caller.sees(service));
    host.services.iter_mut().for_each(|service| hide_output(service, &caller));
    Json(host)
}

/// Leaves out what instances wrote where the caller may not read it.
fn hide_output(service: &mut ServiceStatus, caller: &Caller) {
    if !caller.reads_output(&service.name) {
        service.hide_output();
    }
}

async fn one_service(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<ServiceStatus> {
    let mut status = shared.service_status(&*deployed(&shared, &caller, &name)?);
    hide_output(&mut status, &caller);
    Ok(Json(status))
}

/// Which lines to give.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputQuery {
    instance: Option<String>,
    #[serde(default, rename = "since_ms")]
    since: Timestamp,
    lines: Option<usize>,
}

async fn output(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    query: Result<Query<OutputQuery>, QueryRejection>,
) -> Answer<OutputPage> {
    let deployed = deployed(&shared, &caller, &name)?;
    let service = deployed.spec.name.clone();
    if !caller.reads_output(&service) {
        return Err(match caller {
            Caller::Token(token) => too_few_rights(&token, Right::Read, Some(&service)),
            _ => unauthorized("What instances write is told to those with a token to read."),
        });
    }
    let Query(OutputQuery { instance, since, lines }) = query.map_err(|_| {
        let message = "The query is not understood: instance (a name), since_ms (milliseconds since 1970) and lines (a \
                       whole number) are each given once at most.";
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let instance = instance.map(|text| text.parse::<InstanceName>().map_err(|_| text)).transpose();
    let instance = instance.map_err(|text| {
        let message =
            format!("{text:?} is no name of an instance; GET /v1/services/{name} lists them.");
        Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    let count = lines.unwrap_or(LINES).min(LINES_MAX);
    let outputs = Arc::clone(shared.outputs());
    // Files of up to 256 KiB for each of hundreds of instances.
    let newest = move || outputs.newest(&service, instance.as_ref(), since, count);
    let lines = tokio::task::spawn_blocking(newest).await.map_err(|error| {
        tracing::error!(%error, "output could not be read");
        let message = "The output could not be read: see the scaler's log.";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_read", message)
    })?;
    Ok(Json(OutputPage { lines }))
}

/// A value of a service that is set, as it is now.
fn shown(
    shared: &SharedState,
    caller: &Caller,
    name: &str,
    setting: for<'a> fn(&'a ServiceSpec) -> Setting<'a>,
) -> Result<JsonText, Problem> {
    let deployed = deployed(shared, caller, name)?;
    Ok(told(setting(&deployed.spec).told(shared)))
}

/// A value as an answer, with its tag.
fn told(told: Told) -> JsonText {
    let tag = told.header();
    (tag, [(header::CONTENT_TYPE, "application/json")], told.json)
}

/// Changes something of a service that the caller may operate, where the condition holds for what is set, and says how
/// the service is then, with the tag that the value has by then.
async fn change(
    shared: &Arc<SharedState>,
    caller: &Caller,
    name: &str,
    (condition, setting): (IfMatch, for<'a> fn(&'a ServiceSpec) -> Setting<'a>),
    set: impl FnOnce(&SharedState, Who, &DeployedService) -> Result<(), Problem> + Send + 'static,
) -> Tagged<ServiceStatus> {
    let (who, deployed) = operated(shared, caller, name)?;
    let set = move |shared: &SharedState| {
        let setting = setting(&deployed.spec);
        condition.check(setting, shared)?;
        set(shared, who, &deployed)?;
        Ok((setting.told(shared).header(), shared.service_status(&deployed)))
    };
    let (tag, status) = apart(shared, set).await?;
    Ok((tag, Json(status)))
}

/// Sets something on another thread than the loop's: what is new waits for the disk, which others may keep busy.
async fn apart<T: Send + 'static>(
    shared: &Arc<SharedState>,
    set: impl FnOnce(&SharedState) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || shared.one_after_the_other(set)).await;
    done.map_err(|error| not_written(io::Error::other(error)))?
}

/// A service that the caller sees, as its file describes it.
fn deployed(
    shared: &SharedState,
    caller: &Caller,
    name: &str,
) -> Result<Arc<DeployedService>, Problem> {
    let name_seen = name.parse().ok().filter(|name| caller.sees(name));
    let deployed = name_seen.and_then(|name| shared.services().get(&name));
    deployed.ok_or_else(|| no_such_service(name))
}

/// A service that is not there, or that the caller may not know of.
fn no_such_service(name: &str) -> Problem {
    let message = format!("There is no service {name:?}; GET /v1/services lists them.");
    Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
}

/// A service of which the caller may set something, and who that is.
fn operated(
    shared: &SharedState,
    caller: &Caller,
    name: &str,
) -> Result<(Who, Arc<DeployedService>), Problem> {
    // Whoever may set nothing here does not learn which names there are.
    let who = caller.operates(name.parse().ok().as_ref())?;
    Ok((who, deployed(shared, caller, name)?))
}

/// Which changes to give.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    #[serde(default)]
    since: u64,
    limit: Option<usize>,
}

impl PageQuery {
    fn read(query: Result<Query<Self>, QueryRejection>) -> Result<(u64, usize), Problem> {
        let Query(Self { since, limit }) = query.map_err(|_| {
            let message = "The query is not understood: since (a sequence number) and limit are whole \
                           numbers, each given once at most.";
            Problem::new(StatusCode::BAD_REQUEST, "bad_query", message)
        })?;
        Ok((since, limit.unwrap_or(PAGE_MAX).min(PAGE_MAX)))
    }
}

async fn changes(
    State(shared): Shared,
    Extension(caller): CalledBy,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Answer<ChangePage> {
    let (since, limit) = PageQuery::read(query)?;
    let mut changes = shared.changes(since, limit);
    let next = changes.last().map_or(since, |change| change.sequence);
    match &caller {
        Caller::Operator { .. } => {}
        // Which tokens there are is the operators' matter.
        Caller::Token(token) => changes.retain(|it| {
            !matches!(it.changed, Changed::Token { .. }) && token.is_for(it.changed.service())
        }),
        Caller::Reader => {
            return Err(unauthorized("Who changed what is told to those with a token."));
        }
    }
    Ok(Json(ChangePage { changes, next }))
}

/// What an operator set could not be kept.
fn not_written(error: io::Error) -> Problem {
    tracing::error!(%error, "what was set could not be written");
    let message =
        "It could not be written below paths.state, and nothing was changed: check the disk.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message)
}
