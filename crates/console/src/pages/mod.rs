//! The pages: what the API tells, for people.
//!
//! A page is made here as a whole, so that it reads without JavaScript, of *regions*. Who asks for the same page as
//! `text/event-stream` is told each region anew when it changes: what is on a page is written once, whoever shows it.

mod assets;
mod event;
mod frame;
mod instances;
mod live;
mod overview;
mod policy;
mod service;
mod table;
mod view;
mod why;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use maud::Markup;
use model::names::ServiceName;
use model::time::Timestamp;

use ::service::path::Path;
use ::service::problem::Problem;
use view::{Asked, View};
use why::Question;

use crate::api::Known;
use crate::api::asker::Asker;
use crate::api::query::Fields;

/// Nothing comes from elsewhere, nothing goes there, nothing stands in the page itself that runs, and no other page frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Page {
    /// Every service.
    Overview,
    /// One of them.
    Service(ServiceName),
    /// Why one of them has the instances that it has, and not others.
    Why(ServiceName, Question),
    /// What decides how many instances one of them has.
    Policy(ServiceName),
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
            Self::Policy(name) => format!("Policy of {name}"),
            Self::Missing(_) => "Not there".to_owned(),
        }
    }

    /// The service of whose doings it tells; `None` where it tells of all.
    fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Service(name) | Self::Why(name, _) | Self::Policy(name) => Some(name),
            Self::Overview | Self::Missing(_) => None,
        }
    }

    /// What it asks for beside what is known now.
    async fn ask(&self, known: &Known, asker: &Asker) -> Asked {
        match self {
            Self::Why(name, question) => {
                Asked::Why(Box::new(why::Answers::to(*question, name, known, asker).await))
            }
            Self::Overview | Self::Service(_) | Self::Policy(_) | Self::Missing(_) => {
                Asked::Nothing
            }
        }
    }

    /// Whether that changes while the page is shown.
    fn asks_again(&self) -> bool {
        false
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
            Self::Policy(name) => policy::regions(name, view),
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
            Self::Policy(_) => "policy",
            Self::Missing(_) => "missing",
        }
    }
}

/// The pages, and what they are made of.
pub(crate) fn routes() -> Router<Known> {
    Router::new()
        .route("/", get(overview))
        .route("/services/{name}", get(service))
        .route("/services/{name}/why", get(why))
        .route("/services/{name}/policy", get(policy_of))
        .merge(assets::routes())
}

/// Whether this path is one of a page, or a part of all of them.
pub(crate) fn is_part(path: &str) -> bool {
    path == "/" || path.starts_with("/services/") || path.starts_with("/assets/")
}

async fn overview(State(known): State<Known>, asker: Asker, headers: HeaderMap) -> Response {
    shown(Page::Overview, known, asker, &headers).await
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

/// The page of a service; another one where that is no name of any.
fn of_service(name: String, page: impl FnOnce(ServiceName) -> Page) -> Page {
    match name.parse() {
        Ok(service) => page(service),
        Err(_) => Page::Missing(name),
    }
}

/// The page as a whole, or as the events by which it follows what happens.
async fn shown(page: Page, known: Known, asker: Asker, headers: &HeaderMap) -> Response {
    let view = View::of(&known, &asker, &page).await;
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
