//! The HTTP API, version 1: what the loop sees and does, and what is set: bounds, policies, numbers
//! that are held, the way of membership, and tokens. [`crate::doors`] tells who calls.

mod number;
mod recording;
mod secrets;
mod ticks;
mod why_not;

use std::io;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router};
use host::deployments::DeployedService;
use model::access::{ChangePage, Changed, Grant, MadeToken, Right, Tokens, Who};
use model::bounds::Bounds;
use model::names::{InstanceName, NameError, ServiceName, TokenName};
use model::output::OutputPage;
use model::policies::PolicySpec;
use model::secrets::SECRET_MAX_BYTES;
use model::status::{HostStatus, Membership, MembershipStatus, ServiceStatus};
use model::time::Timestamp;
use model::value::{Checked, Invalid};
use policy::memory_pool::{self, MemoryNeed};
use policy::slots;
use serde::Deserialize;
use service::json_body::JsonBody;
use service::problem::Problem;

use crate::access::{Caller, too_few_rights, unauthorized};
use crate::shared_state::SharedState;
use crate::tokens::MakeError;

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

/// The record of ticks, and that of changes.
pub(crate) const TICKS: &str = "/v1/ticks";
pub(crate) const CHANGES: &str = "/v1/changes";

/// What happens as it happens.
const FEED: &str = "/v1/feed";

type Shared = State<Arc<SharedState>>;
type CalledBy = Extension<Caller>;
type Answer<T> = Result<Json<T>, Problem>;

/// The feed, by the ways in that lead to it.
pub(crate) fn feed(shared: Arc<SharedState>) -> Router {
    Router::new().route(FEED, get(read_feed)).with_state(shared)
}

/// All turns as they happen, to those who see all services.
async fn read_feed(
    State(shared): Shared,
    Extension(caller): CalledBy,
) -> Result<Response, Problem> {
    if let Caller::Token(token) = &caller
        && !token.is_for(None)
    {
        return Err(too_few_rights(token, Right::Read, None));
    }
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
        .route("/v1/services/{name}", get(one_service))
        .route("/v1/services/{name}/bounds", put(set_bounds).delete(clear_bounds))
        .route("/v1/services/{name}/policy", put(set_policy).delete(clear_policy))
        .route("/v1/services/{name}/hold", put(number::hold).delete(number::release))
        .route("/v1/services/{name}/instances", post(number::add).delete(number::remove_idlest))
        .route("/v1/services/{name}/instances/{instance}", delete(number::remove))
        .route("/v1/services/{name}/secrets", get(secrets::list))
        .route("/v1/services/{name}/secrets/{secret}", put(secrets::set).delete(secrets::remove))
        .route(&format!("/v1/services/{{name}}{OUTPUT}"), get(output))
        .route(&format!("/v1/services/{{name}}{WHY_NOT}"), get(why_not::ask))
        .route(&format!("/v1/services/{{name}}{RECORDING}"), get(recording::record))
        .route("/v1/membership", get(membership).put(set_membership).delete(clear_membership))
        .route(TICKS, get(ticks::ticks))
        .route(CHANGES, get(changes))
        .route("/v1/tokens", get(tokens))
        .route("/v1/tokens/{name}", put(make_token).delete(revoke_token))
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

async fn set_bounds(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(bounds): JsonBody<Bounds>,
) -> Answer<ServiceStatus> {
    change(&shared, &caller, &name, move |shared, who, deployed| {
        deployed.spec.replacement.allows(bounds).map_err(|error| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "one_instance", error.to_string())
        })?;
        fits(shared, &deployed.spec.name, bounds)?;
        shared.set_bounds(who, &deployed.spec, Some(bounds)).map_err(not_written)
    })
    .await
}

async fn clear_bounds(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<ServiceStatus> {
    change(&shared, &caller, &name, |shared, who, deployed| {
        shared.set_bounds(who, &deployed.spec, None).map_err(not_written)
    })
    .await
}

async fn set_policy(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(policy): JsonBody<PolicySpec>,
) -> Answer<ServiceStatus> {
    change(&shared, &caller, &name, move |shared, who, deployed| {
        deployed.spec.check_policy(&policy).map_err(|invalid| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", invalid.to_string())
        })?;
        shared.set_policy(who, &deployed.spec, Some(policy)).map_err(not_written)
    })
    .await
}

async fn clear_policy(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<ServiceStatus> {
    change(&shared, &caller, &name, |shared, who, deployed| {
        shared.set_policy(who, &deployed.spec, None).map_err(not_written)
    })
    .await
}

/// Changes something of a service that the caller may operate, and says how the service is then.
async fn change(
    shared: &Arc<SharedState>,
    caller: &Caller,
    name: &str,
    set: impl FnOnce(&SharedState, Who, &DeployedService) -> Result<(), Problem> + Send + 'static,
) -> Answer<ServiceStatus> {
    let (who, deployed) = operated(shared, caller, name)?;
    apart(shared, move |shared| {
        set(shared, who, &deployed)?;
        Ok(shared.service_status(&deployed))
    })
    .await
}

/// Sets something on another thread than the loop's: what is new waits for the disk, which others may keep busy.
async fn apart<T: Send + 'static>(
    shared: &Arc<SharedState>,
    set: impl FnOnce(&SharedState) -> Result<T, Problem> + Send + 'static,
) -> Answer<T> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || shared.one_after_the_other(set)).await;
    done.map_err(|error| not_written(io::Error::other(error)))?.map(Json)
}

/// A service that the caller sees, as its file describes it.
fn deployed(
    shared: &SharedState,
    caller: &Caller,
    name: &str,
) -> Result<Arc<DeployedService>, Problem> {
    let name_seen = name.parse().ok().filter(|name| caller.sees(name));
    let deployed = name_seen.and_then(|name| shared.services().get(&name));
    deployed.ok_or_else(|| {
        let message = format!("There is no service {name:?}; GET /v1/services lists them.");
        Problem::new(StatusCode::NOT_FOUND, "no_such_service", message)
    })
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

/// Whether the host has slots and memory for what all services always need when this one has these
/// bounds.
fn fits(shared: &SharedState, service: &ServiceName, bounds: Bounds) -> Result<(), Problem> {
    let services = shared.services().all();
    let lower_bounds = services.values().map(|deployed| {
        let spec = &deployed.spec;
        let now = if spec.name == *service { bounds } else { shared.bounds(spec) };
        let instance_mib = spec.instance.memory_mib;
        MemoryNeed { service: &spec.name, instances: now.min(), instance_mib }
    });
    let refused = |code, error: &dyn std::error::Error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    };
    let last_slot = shared.services().subnet().last_slot();
    slots::suffice(lower_bounds.clone().map(|need| (need.service, need.instances)), last_slot)
        .map_err(|error| refused("too_many_slots", &error))?;
    memory_pool::suffice(lower_bounds, shared.memory_mib())
        .map_err(|error| refused("too_little_memory", &error))
}

async fn membership(State(shared): Shared) -> Json<MembershipStatus> {
    Json(shared.membership())
}

/// The body that sets the way of membership.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MembershipBody {
    membership: Membership,
}

impl Checked for MembershipBody {
    type Raw = Self;

    fn from_raw(raw: Self) -> Result<Self, Invalid> {
        Ok(raw)
    }
}

async fn set_membership(
    State(shared): Shared,
    Extension(caller): CalledBy,
    JsonBody(MembershipBody { membership }): JsonBody<MembershipBody>,
) -> Answer<MembershipStatus> {
    let who = caller.operates(None)?;
    apart(&shared, move |shared| {
        shared.set_membership(who, Some(membership)).map_err(not_written)?;
        Ok(shared.membership())
    })
    .await
}

async fn clear_membership(
    State(shared): Shared,
    Extension(caller): CalledBy,
) -> Answer<MembershipStatus> {
    let who = caller.operates(None)?;
    apart(&shared, move |shared| {
        shared.set_membership(who, None).map_err(not_written)?;
        Ok(shared.membership())
    })
    .await
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

async fn tokens(State(shared): Shared, Extension(caller): CalledBy) -> Answer<Tokens> {
    caller.grants()?;
    Ok(Json(shared.tokens()))
}

async fn make_token(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    JsonBody(grant): JsonBody<Grant>,
) -> Result<(StatusCode, Json<MadeToken>), Problem> {
    let who = caller.grants()?;
    let refused = |code, error: &dyn std::error::Error| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    };
    let name: TokenName = name.parse().map_err(|error: NameError| refused("bad_name", &error))?;
    for service in grant.services.iter().flatten() {
        deployed(&shared, &caller, service.as_str())?;
    }
    let made = apart(&shared, move |shared| {
        shared.make_token(who, name, grant).map_err(|error| match error {
            MakeError::NotWritten(error) => not_written(error),
            error => refused("no_token_made", &error),
        })
    });
    Ok((StatusCode::CREATED, made.await?))
}

async fn revoke_token(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Answer<Tokens> {
    let who = caller.grants()?;
    apart(&shared, move |shared| {
        let known = name.parse().ok().map(|name| shared.revoke_token(who, name)).transpose();
        if known.map_err(not_written)? != Some(true) {
            let message = format!("There is no token {name:?}; GET /v1/tokens lists them.");
            return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_token", message));
        }
        Ok(shared.tokens())
    })
    .await
}

/// What an operator set could not be kept.
fn not_written(error: io::Error) -> Problem {
    tracing::error!(%error, "what was set could not be written");
    let message =
        "It could not be written below paths.state, and nothing was changed: check the disk.";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", message)
}
