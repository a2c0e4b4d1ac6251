//! The scaler, as what is passed on to it goes there: by its socket for the console, with the rights of whoever asks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::Response;
use futures_util::StreamExt as _;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service::problem::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::recent::Recent;

/// What a URL begins with where a socket takes the place of its host.
const BASE: &str = "http://localhost";

/// Requests that the scaler is asked at a time: it takes 64 connections by this socket, of which the feed and the
/// questions who asks need some.
const AT_ONCE: usize = 32;

/// Requests with an archive at a time: each may take minutes, and leaves the places of others alone.
const ARCHIVES_AT_ONCE: usize = 4;

/// How long a place is waited for.
const PLACE: Duration = Duration::from_secs(2);

/// A connection that idles is not used again after so long: the scaler ends those that have idled for 10 s.
const IDLE: Duration = Duration::from_secs(5);

/// What the scaler says of an error is not longer.
const ERROR_MAX_BYTES: usize = 64 * 1024;

/// How long the scaler may take for an answer that a page is made of, and how long that is at most.
const ANSWER: Duration = Duration::from_secs(5);
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// The header fields of a request that the scaler is told, and those of its answer that are told on. The connection's own
/// are each server's matter, and nobody else's name for this host is the scaler's.
const ASKED: [HeaderName; 6] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
];
const ANSWERED: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::CONTENT_LENGTH,
];

/// What a request has beside its head.
#[derive(Debug)]
pub enum Sent {
    /// At most this, which is there already.
    Whole(Bytes),
    /// An archive, which is passed on as it comes.
    Archive(Body),
}

/// The way to the scaler.
#[derive(Debug, Clone)]
pub struct Upstream {
    http: Client,
    places: Arc<Semaphore>,
    archives: Arc<Semaphore>,
    recent: Arc<Recent>,
}

impl Upstream {
    /// The scaler at this socket, which is not asked yet.
    ///
    /// # Errors
    /// Nothing can be asked by HTTP.
    pub fn new(socket: &Path) -> reqwest::Result<Self> {
        let http = Client::builder()
            .unix_socket(socket)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_idle_timeout(IDLE)
            .build()?;
        let [places, archives] =
            [AT_ONCE, ARCHIVES_AT_ONCE].map(|count| Arc::new(Semaphore::new(count)));
        Ok(Self { http, places, archives, recent: Arc::default() })
    }

    /// Asks the scaler who has this secret: the status and the body of its answer.
    pub(crate) async fn caller(&self, secret: &str) -> reqwest::Result<(StatusCode, Vec<u8>)> {
        let request = self.http.get(format!("{BASE}/v1/caller")).bearer_auth(secret);
        let answer = request.timeout(Duration::from_secs(5)).send().await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }

    /// Asks the scaler for something, with the rights of whoever has this secret.
    ///
    /// # Errors
    /// What the scaler says that went wrong, or that it says nothing.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        secret: Option<&str>,
    ) -> Result<T, Problem> {
        let mut request = axum::http::Request::get(path);
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let (head, ()) = request.body(()).map_err(|error| Problem::internal(&error))?.into_parts();
        let answer = self.pass_on(&head, Sent::Whole(Bytes::new()), ANSWER).await?;
        let body = axum::body::to_bytes(answer.into_body(), ANSWER_MAX_BYTES).await;
        let body = body.map_err(|error| Problem::internal(&error))?;
        serde_json::from_slice(&body).map_err(|error| Problem::internal(&error))
    }

    /// The same, where those without a token may be told what another one of them was a moment ago.
    ///
    /// # Errors
    /// Those of [`Upstream::get`].
    pub(crate) async fn get_recent<T: DeserializeOwned>(
        &self,
        path: &str,
        secret: Option<&str>,
    ) -> Result<T, Problem> {
        if secret.is_some() {
            return self.get(path, secret).await;
        }
        if let Some(answer) = self.recent.get(path) {
            return serde_json::from_value(answer).map_err(|error| Problem::internal(&error));
        }
        let answer: Value = self.get(path, None).await?;
        let read = serde_json::from_value(answer.clone());
        if read.is_ok() {
            self.recent.put(path, answer);
        }
        read.map_err(|error| Problem::internal(&error))
    }

    /// Passes a request on, and its answer back as it comes. `deadline` is for the head of the answer.
    ///
    /// # Errors
    /// What the scaler says that went wrong, or that it says nothing.
    pub async fn pass_on(
        &self,
        head: &Parts,
        sent: Sent,
        deadline: Duration,
    ) -> Result<Response, Problem> {
        let url = url(&head.uri).ok_or_else(|| no_such_path(&head.uri))?;
        let place = place(self.places_of(&sent)).await?;
        let mut request = self.http.request(head.method.clone(), url);
        request = request.headers(only(&head.headers, &ASKED));
        request = match sent {
            Sent::Whole(bytes) if bytes.is_empty() => request,
            Sent::Whole(bytes) => request.body(bytes),
            Sent::Archive(body) => {
                request.body(reqwest::Body::wrap_stream(body.into_data_stream()))
            }
        };
        let answer = match timeout(deadline, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unanswered(&head.method, error.is_connect(), &error)),
            Err(late) => return Err(unanswered(&head.method, false, &late)),
        };
        if answer.status().is_client_error() || answer.status().is_server_error() {
            return Err(refusal(answer, deadline).await);
        }
        Ok(told(answer, place))
    }

    fn places_of(&self, sent: &Sent) -> Arc<Semaphore> {
        Arc::clone(match sent {
            Sent::Whole(_) => &self.places,
            Sent::Archive(_) => &self.archives,
        })
    }
}

async fn place(places: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    let place = timeout(PLACE, places.acquire_owned()).await;
    place.ok().and_then(Result::ok).ok_or_else(|| {
        let message = "As many ask the scaler as may at a time: try again in a second.";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_at_once", message);
        problem.with_header(header::RETRY_AFTER, 1)
    })
}

/// The same target at the scaler; `None` where it would be read as another one there: `/a/../b` is `/b` in a URL.
fn url(uri: &Uri) -> Option<Url> {
    let target = uri.path_and_query()?.as_str();
    let url: Url = format!("{BASE}{target}").parse().ok()?;
    let read = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    (read == target).then_some(url)
}

fn no_such_path(uri: &Uri) -> Problem {
    let message = format!("Nothing is served at {:?}.", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", message)
}

/// These fields and no others, each as often as it is there: two lines of `If-Match` are one list, and what may be there once
/// the scaler refuses.
fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            passed.append(name, value.clone());
        }
    }
    passed
}

fn told(answer: reqwest::Response, place: OwnedSemaphorePermit) -> Response {
    let (status, headers) = (answer.status(), only(answer.headers(), &ANSWERED));
    // The place is taken for as long as the answer comes.
    let parts = answer.bytes_stream().map(move |part| {
        let _ = &place;
        part
    });
    let mut told = Response::new(Body::from_stream(parts));
    *told.status_mut() = status;
    *told.headers_mut() = headers;
    told
}

/// What every server of the project says that refuses or fails.
#[derive(Deserialize)]
struct Said {
    error: SaidOf,
}

#[derive(Deserialize)]
struct SaidOf {
    code: String,
    message: String,
}

/// The code and the sentence of an answer that refuses.
pub(crate) fn said(body: &[u8]) -> Option<(String, String)> {
    let Said { error: SaidOf { code, message } } = serde_json::from_slice(body).ok()?;
    Some((code, message))
}

async fn refusal(answer: reqwest::Response, deadline: Duration) -> Problem {
    let (status, headers) = (answer.status(), only(answer.headers(), &ANSWERED));
    let body = Body::from_stream(answer.bytes_stream());
    let text = timeout(deadline, axum::body::to_bytes(body, ERROR_MAX_BYTES)).await;
    let said = text.ok().and_then(Result::ok);
    let Some((code, message)) = said.and_then(|text| self::said(&text)) else {
        tracing::warn!(%status, "the scaler said what went wrong in a way that is not known");
        let message = "What the scaler answered is not understood: see its log.";
        return Problem::new(StatusCode::BAD_GATEWAY, "scaler_strange", message);
    };
    let problem = Problem::passed_on(status, code, message);
    let of_body = [header::CONTENT_TYPE, header::CONTENT_LENGTH];
    headers.into_iter().fold(problem, |problem, (name, value)| match name {
        Some(name) if !of_body.contains(&name) => problem.with_header(name, value),
        _ => problem,
    })
}

/// No answer came. Of a change that may have reached the scaler nobody knows whether it was made.
fn unanswered(
    method: &Method,
    never_reached: bool,
    why: &(dyn std::error::Error + 'static),
) -> Problem {
    if method.is_safe() || never_reached {
        // That it is away is in the log already, by what follows it; who asks writes no line for each question.
        tracing::debug!(error = service::exit::chain(why), "the scaler does not answer");
        return scaler_away();
    }
    tracing::warn!(error = service::exit::chain(why), "the scaler has not answered a change");
    let message = "The scaler has not answered, and whether it did it is not known: look at what is in force, and at \
                   GET /v1/changes.";
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", message)
}

/// The scaler does not answer.
pub(crate) fn scaler_away() -> Problem {
    let message =
        "The scaler does not answer: see its log. What it did is in /v1/ticks and /v1/events.";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "scaler_away", message);
    problem.with_header(header::RETRY_AFTER, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_a_url_reads_otherwise_is_passed_to_nobody() {
        let passed = |target: &str| url(&target.parse().unwrap()).map(|url| url.to_string());
        for target in ["/v1/services/a/bounds", "/v1/changes?since=1&limit=2", "/v1/services/a%2Fb"]
        {
            assert_eq!(passed(target), Some(format!("{BASE}{target}")));
        }
        for target in
            ["/v1/services/../feed", "/v1/services/%2e%2E/bounds", "/v1/./changes", "//x/v1"]
        {
            let read = passed(target);
            assert!(read.is_none_or(|read| read == format!("{BASE}{target}")), "{target}");
        }
        assert_eq!(passed("/v1/services/%2e%2e/bounds"), None);
    }
}
