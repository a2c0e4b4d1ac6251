//! `GET` and `HEAD /objs/{id}`.

use std::ops::Range;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use service::problem::Problem;

use super::error::no_such_object;
use super::path::InPath;
use super::range::{self, Part};
use super::{App, blocking, body};
use crate::condition::{Condition, Unmet, if_range_allows};
use crate::store::{Head, Object};

/// As many headers as an answer has, so that the map grows once.
const MOST_HEADERS: usize = 12;

const UNKNOWN_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// For an object without a `Cache-Control` of its own. By RFC 9111, 4.2.2, a cache could else guess
/// from `Last-Modified` for how long the object will stay as it is, and miss its replacement.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// Answers `HEAD`, too: RFC 9110, 9.3.2. The body is read only when it is sent.
pub(super) async fn get(
    State(app): State<App>,
    method: Method,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let condition = Condition::of(&method, &headers)?;
    let object = match app.store.get_cached(&id) {
        Some(object) => Some(object),
        None => blocking(move || app.store.get(&id)).await?,
    };
    // RFC 9110, 13.2.1: an answer that would be 404 anyway does not depend on conditions.
    let Some(object) = object else {
        return Err(no_such_object());
    };
    match condition.check(Some(object.validators())) {
        Ok(()) => Ok(send(object, &method, &headers)),
        Err(Unmet::NoneMatch | Unmet::ModifiedSince) => Ok(not_modified(&object.head)),
        Err(unmet @ (Unmet::Match | Unmet::UnmodifiedSince)) => Err(unmet.into()),
    }
}

fn send(object: Object, method: &Method, headers: &HeaderMap) -> Response {
    let mut answer = answer(&object);
    let Object { head, content, .. } = object;
    match part(method, headers, &head) {
        Part::Whole => {
            *answer.body_mut() = body::of(content, 0..head.length);
            set(&mut answer, header::CONTENT_LENGTH, head.length);
        }
        Part::Bytes(range) => {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            *answer.body_mut() = body::of(content, range.clone());
            set(&mut answer, header::CONTENT_LENGTH, range.end - range.start);
            set_range(&mut answer, &content_range(&range, head.length));
        }
        Part::Unsatisfiable => {
            let code = "range_not_satisfiable";
            let message = format!("The range begins after the object's {} bytes.", head.length);
            let failure = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, code, message);
            answer = failure.into_response();
            set_range(&mut answer, &format!("bytes */{}", head.length));
        }
    }
    answer
}

fn part(method: &Method, headers: &HeaderMap, head: &Head) -> Part {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Part::Whole;
    };
    // RFC 9110, 14.2: range handling is defined for GET alone; with any other method, Range is ignored.
    if method != Method::GET || !if_range_allows(headers, head.hash) {
        return Part::Whole;
    }
    range.to_str().map_or(Part::Whole, |range| range::parse(range, head.length))
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

fn set_range(response: &mut Response, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
}

fn set(response: &mut Response, name: HeaderName, value: impl Into<HeaderValue>) {
    response.headers_mut().insert(name, value.into());
}

/// The headers of an answer that sends an object or a part of it.
fn answer(object: &Object) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.reserve(MOST_HEADERS);
    headers.insert(header::CONTENT_TYPE, UNKNOWN_TYPE);
    headers.insert(header::CACHE_CONTROL, ASK_EACH_TIME);
    for (name, value) in object.head.fields.iter() {
        headers.insert(name, value);
    }
    headers.insert(header::ETAG, object.head.hash.to_header());
    let modified = httpdate::fmt_http_date(object.modified);
    if let Ok(modified) = HeaderValue::try_from(modified) {
        headers.insert(header::LAST_MODIFIED, modified);
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Anybody may have stored the object. Without these two a browser would run it as a page of
    // this origin, with access to every other service on it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    response
}

/// RFC 9110, 15.4.5: the headers by which a cache updates what it has stored.
fn not_modified(head: &Head) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    set(&mut response, header::ETAG, head.hash.to_header());
    // RFC 9110, 8.6: that of the 200. Without this line axum would say 0, from the empty body.
    set(&mut response, header::CONTENT_LENGTH, head.length);
    let own = head.fields.iter().find(|(name, _)| *name == header::CACHE_CONTROL);
    set(&mut response, header::CACHE_CONTROL, own.map_or(ASK_EACH_TIME, |(_, value)| value));
    response
}
