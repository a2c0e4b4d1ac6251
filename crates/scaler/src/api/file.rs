//! A service's whole file, by the API: as it is deployed, and another one in its place.

mod as_json;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use config_file::{ConfigError, from_toml_or_problems};
use host::deployments::{Deployment, with_figures};
use host::jobs::{Replaced, Work};
use model::job::JobStatus;
use model::names::ServiceName;
use model::service::{RawService, ServiceSpec};
use model::size::Sizes;
use serde_json::Value;
use service::path::Path;
use service::problem::Problem;

use super::deploys::{begin, deployment_of, of_a_file, service_name};
use super::jobs::{Asked, accepted, on_disk};
use super::setting::{IfMatch, Told, changed_meanwhile};
use super::{CalledBy, JsonText, Shared, deployed, no_such_service, told};
use crate::jobs::JobDesk;

/// What a service tells its own programs, which is told to those who may read what they write, or deploy it.
const NOT_TOLD: [&str; 2] = ["/instance/environment", "/application"];

pub(super) async fn get(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
) -> Result<JsonText, Problem> {
    let service = deployed(&shared, &caller, &name)?.spec.name.clone();
    let reads_all = caller.lists_secrets(Some(&service)).is_ok();
    let read = on_disk(&shared, move |desk| file(&deployment_of(desk.deployment())?, &service));
    let mut file = read.await??.ok_or_else(|| no_such_service(&name))?;
    if !reads_all {
        for key in NOT_TOLD {
            file.pointer_mut(key).into_iter().for_each(leave_out);
        }
    }
    Ok(told(Told::of(&file)))
}

/// A service's file as it was deployed last, as JSON.
fn file(deployment: &Deployment, service: &ServiceName) -> Result<Option<Value>, Problem> {
    let Some(text) = deployment.file(service) else { return Ok(None) };
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| Problem::internal(&error))?;
    Ok(Some(as_json::to_json(table)))
}

/// Leaves the names, and none of the values.
fn leave_out(value: &mut Value) {
    match value {
        Value::Object(table) if !as_json::is_text(table) => table.values_mut().for_each(leave_out),
        value => *value = Value::Null,
    }
}

/// The condition `If-None-Match: *`, under which something is made and nothing replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct IfNone(bool);

impl<S: Sync> FromRequestParts<S> for IfNone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        match (given.next(), given.next()) {
            (None, _) => Ok(Self(false)),
            (Some(value), None) if value == "*" => Ok(Self(true)),
            _ => {
                let message = "The header If-None-Match is not understood: a service is made under `*` alone.";
                Err(Problem::new(StatusCode::BAD_REQUEST, "bad_condition", message))
            }
        }
    }
}

pub(super) async fn put(
    State(shared): Shared,
    Extension(caller): CalledBy,
    Path(name): Path<String>,
    (if_match, if_none): (IfMatch, IfNone),
    body: Result<Bytes, BytesRejection>,
) -> Asked<JobStatus> {
    let who = caller.deploys(name.parse().ok().as_ref())?;
    let service = service_name(&name)?;
    let body = body.map_err(|rejection| {
        Problem::new(
            rejection.status(),
            "bad_body",
            "The file did not come whole, or is too large.",
        )
    })?;
    let text = as_toml(&body, &service, shared.desk().sizes())?;
    let asked = service.clone();
    let replaces = on_disk(&shared, move |desk| check(desk, &asked, &if_match, if_none)).await??;
    let work = Work::File { file: text, replaces };
    Ok(accepted(begin(&shared, Some(service), work, who).await?))
}

/// Refuses what is another's, or was changed meanwhile; gives what the file may take the place of, which the job looks at
/// again.
fn check(
    desk: &JobDesk,
    service: &ServiceName,
    if_match: &IfMatch,
    IfNone(if_none): IfNone,
) -> Result<Replaced, Problem> {
    let deployment = deployment_of(desk.deployment())?;
    let of_folder = deployment.folders().any(|(name, _)| name == service);
    let now = file(&deployment, service)?;
    if now.is_some() && !of_folder {
        return Err(of_a_file(service, "change that file and run `bellows up`"));
    }
    let file = format!("the file of {service}");
    match now {
        Some(_) if if_none => {
            let message = format!(
                "There is a service {service}: leave out If-None-Match to replace its file."
            );
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "is_there", message))
        }
        Some(now) => match Told::of(&now) {
            _ if !if_match.is_some() => Ok(Replaced::Anything),
            now if if_match.holds(&now) => {
                Ok(Replaced::File(deployment.file(service).unwrap_or_default().to_owned()))
            }
            now => {
                Err(changed_meanwhile(&file, &Told { json: "another one".to_owned(), ..now }, None))
            }
        },
        None if if_match.is_some() => {
            let message =
                format!("There is no service {service} any more: leave out If-Match to make it.");
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", message))
        }
        None if if_none => Ok(Replaced::Nothing),
        None => Ok(Replaced::Anything),
    }
}

/// A service's file as TOML, of the same as JSON.
///
/// # Errors
/// 400 for what is no JSON, 422 with all that is wrong with it.
fn as_toml(body: &[u8], service: &ServiceName, sizes: &Sizes) -> Result<String, Problem> {
    let bad =
        |message: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", message);
    let mut file = as_json::from_json(body).map_err(|error| match error.is_data() {
        true => bad(format!("The body is no service's file as JSON: {error}.")),
        false => {
            let message = format!("The body is no JSON: {error}.");
            Problem::new(StatusCode::BAD_REQUEST, "bad_body", message)
        }
    })?;
    file.entry("name").or_insert_with(|| service.as_str().into());
    let text = toml::to_string(&file).map_err(|error| bad(error.to_string()))?;
    let check = |raw: RawService| raw.checked(sizes);
    let read = from_toml_or_problems("the file", &text, RawService::EXAMPLE, check);
    let spec: ServiceSpec = read.map_err(|problems| {
        let told = |problem: &ConfigError| match problem {
            ConfigError::Invalid { invalid, .. } => invalid.to_string(),
            other => other.to_string(),
        };
        bad(problems.iter().map(told).collect::<Vec<_>>().join("; "))
    })?;
    if spec.name != *service {
        return Err(bad(format!(
            "name is {}: use {service}, as the path says, or leave it out",
            spec.name
        )));
    }
    Ok(with_figures(&text, &spec))
}
