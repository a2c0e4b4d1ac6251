//! The pages: what the API tells, for people.
//!
//! A page is made here as a whole, so that it reads without JavaScript, of *regions*. Who asks for the same page as
//! `text/event-stream` is told each region anew when it changes: what is on a page is written once, whoever shows it.

mod actions;
mod applications;
mod assets;
mod cost;
mod deploy;
mod event;
mod experiment;
mod experiments;
mod frame;
mod host;
mod instance;
mod instances;
mod jobs;
mod launches;
mod live;
mod logs;
mod overview;
mod policy;
mod service;
mod table;
mod under_way;
mod versions;
mod view;
mod why;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use maud::Markup;
use model::job::JobId;
use model::names::{InstanceName, ServiceName};
use model::time::Timestamp;

use ::service::path::Path;
use ::service::problem::Problem;
use applications::Applications;
pub use applications::Entrance;
use view::{Asked, View};
use why::Question;

use crate::api::Known;
use crate::api::asker::Asker;
use crate::api::query::Fields;

/// Nothing comes from elsewhere, nothing goes there, nothing stands in the page itself that runs, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What names an experiment.
const EXPERIMENT: &str = "the id of an experiment";

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    /// Every service.
    Overview,
    /// One of them.
    Service(ServiceName),
    /// Why one of them has the instances that it has, and not others.
    Why(ServiceName, Question),
    /// The machine.
    Host,
    /// What decides how many instances one of them has.
    Policy(ServiceName),
    /// The versions of one of them, and its deploys.
    Versions(ServiceName),
    /// What the instances of one of them wrote.
    Logs(ServiceName),
    /// One instance, there or gone.
    Instance(InstanceName),
    /// What was tried, and where something is.
    Experiments,
    /// One of that, and the one that it is compared with.
    Experiment(JobId, Option<JobId>),
    /// What is the id of no experiment.
    NoExperiment(String),
    /// What is no instance of the service.
    NoInstance(ServiceName, String),
    /// What is not there.
    Missing(String),
}

/// A part of a page that changes as one.
struct Region {
    id: &'static str,
    html: Markup,
}

impl Page {
    /// What a window is called that shows it.
    fn title(&self) -> String {
        match self {
            Self::Overview => "Services".to_owned(),
            Self::Service(name) => name.to_string(),
            Self::Why(name, _) => format!("Why {name}"),
            Self::Host => "Host".to_owned(),
            Self::Policy(name) => format!("Policy of {name}"),
            Self::Versions(name) => format!("Versions of {name}"),
            Self::Logs(name) => format!("Logs of {name}"),
            Self::Instance(instance) => instance.to_string(),
            Self::Experiments => "Experiments".to_owned(),
            Self::Experiment(id, None) => format!("Experiment {id}"),
            Self::Experiment(..) => "Two experiments".to_owned(),
            Self::NoExperiment(_) | Self::NoInstance(..) | Self::Missing(_) => {
                "Not there".to_owned()
            }
        }
    }

    /// The service of whose doings it tells; `None` where it tells of all.
    fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(name)
            | Self::Why(name, _)
            | Self::Policy(name)
            | Self::Versions(name)
            | Self::Logs(name)
            | Self::NoInstance(name, _) => Some(name),
            Self::Instance(instance) => Some(instance.service()),
            Self::Overview
            | Self::Host
            | Self::Experiments
            | Self::Experiment(..)
            | Self::NoExperiment(_)
            | Self::Missing(_) => None,
        }
    }

    /// What it asks for beside what is known now.
    async fn ask(&self, known: &Known, asker: &Asker) -> Asked {
        match self {
            Self::Why(name, question) => {
                Asked::Why(Box::new(why::Answers::to(*question, name, known, asker).await))
            }
            Self::Overview => Asked::Overview(Box::new(overview::Answers::of(known, asker).await)),
            Self::Service(name) => Asked::Actions(actions::of(name, known, asker).await),
            Self::Host => Asked::Host(Box::new(host::Answers::of(known, asker).await)),
            Self::Versions(name) => {
                Asked::Versions(Box::new(versions::Answers::to(name, known, asker).await))
            }
            Self::Instance(instance) => {
                Asked::Instance(Box::new(instance::Answers::of(instance, known).await))
            }
            Self::Experiments => {
                Asked::Experiments(Box::new(experiments::Answers::of(known, asker).await))
            }
            Self::Experiment(id, with) => {
                Asked::Experiment(Box::new(experiment::Answers::to(*id, *with, known, asker).await))
            }
            Self::Policy(_)
            | Self::Logs(_)
            | Self::NoExperiment(_)
            | Self::NoInstance(..)
            | Self::Missing(_) => Asked::Nothing,
        }
    }

    /// Whether that changes while the page is shown.
    fn asks_again(&self) -> bool {
        matches!(
            self,
            Self::Overview
                | Self::Host
                | Self::Versions(_)
                | Self::Instance(_)
                | Self::Experiments
                | Self::Experiment(..)
        )
    }

    /// Whether it has charts, for which there is a script of 51 KB.
    fn draws(&self) -> bool {
        matches!(
            self,
            Self::Service(_) | Self::Policy(_) | Self::Instance(_) | Self::Experiment(..)
        )
    }

    /// Its regions as they are, in the order of the page.
    fn regions(&self, view: &View) -> Vec<Region> {
        let mut regions = vec![frame::notices(view)];
        // Of what is not known now, nothing is said to be missing.
        if self.service().is_some() && !view.is_known() {
            return regions;
        }
        regions.extend(match self {
            Self::Overview => overview::regions(view),
            Self::Service(name) => service::regions(name, view),
            Self::Why(name, question) => why::regions(name, *question, view),
            Self::Host => host::regions(view),
            Self::Policy(name) => policy::regions(name, view),
            Self::Versions(name) => versions::regions(name, view),
            Self::Logs(name) => logs::regions(name, view),
            Self::Instance(instance) => instance::regions(instance, view),
            Self::Experiments => experiments::regions(view),
            Self::Experiment(id, _) => experiment::regions(*id, view),
            Self::NoExperiment(id) => vec![experiment::missing(id)],
            Self::NoInstance(name, what) => vec![instance::missing(name, what)],
            Self::Missing(what) => vec![frame::missing(what)],
        });
        regions
    }

    /// Which page it is, as its scripts and styles know it.
    fn word(&self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Service(_) => "service",
            Self::Why(..) => "why",
            Self::Host => "host",
            Self::Policy(_) => "policy",
            Self::Versions(_) => "versions",
            Self::Logs(_) => "logs",
            Self::Instance(_) => "instance",
            Self::Experiments => "experiments",
            Self::Experiment(..) => "experiment",
            Self::NoExperiment(_) | Self::NoInstance(..) | Self::Missing(_) => "missing",
        }
    }
}

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

/// The time of day.
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
}
