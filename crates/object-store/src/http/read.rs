//! `GET` and `HEAD /objs/{id}`.

use std::ops::Range;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::Failure;
use super::path::InPath;
use super::range::{self, Part};
use super::{App, blocking, body};
use crate::condition::{Condition, Unmet, if_range_allows};
use crate::store::{Head, Object};

const UNKNOWN_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Answers `HEAD`, too: the body is read only when it is sent.
pub(super) async fn get(
    State(app): State<App>,
    InPath(id): InPath,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let condition = Condition::of(&headers)?;
    let object = match app.store.get_cached(&id) {
        Some(object) => Some(object),
        None => blocking(move || app.store.get(&id)).await?,
    };
    let Some(object) = object else {
        return Err(Failure::no_such_object());
    };
    match condition.check(Some(object.head.hash)) {
        Ok(()) => Ok(send(object, &headers)),
        Err(Unmet::NoneMatch) => Ok(not_modified(&object.head)),
        Err(Unmet::Match) => Err(Unmet::Match.into()),
    }
}

fn send(object: Object, headers: &HeaderMap) -> Response {
    let Object { head, content } = object;
    match part(headers, &head) {
        Part::Whole => {
            let body = body::of(content, 0..head.length);
            answer(StatusCode::OK, &head, head.length, body)
        }
        Part::Bytes(range) => {
            let body = body::of(content, range.clone());
            let bytes = range.end - range.start;
            let mut response = answer(StatusCode::PARTIAL_CONTENT, &head, bytes, body);
            set_range(&mut response, &content_range(&range, head.length));
            response
        }
        Part::Unsatisfiable => {
            let code = "range_not_satisfiable";
            let message = format!("The range begins after the object's {} bytes.", head.length);
            let failure = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, code, message);
            let mut response = failure.into_response();
            set_range(&mut response, &format!("bytes */{}", head.length));
            response
        }
    }
}

fn part(headers: &HeaderMap, head: &Head) -> Part {
    match headers.get(header::RANGE).map(HeaderValue::to_str) {
        Some(Ok(value)) if if_range_allows(headers, head.hash) => range::parse(value, head.length),
        _ => Part::Whole,
    }
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

fn set_range(response: &mut Response, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
}

fn answer(status: StatusCode, head: &Head, bytes: u64, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(head));
    headers.insert(header::CONTENT_LENGTH, bytes.into());
    headers.insert(header::ETAG, head.hash.to_header());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

fn not_modified(head: &Head) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response.headers_mut().insert(header::ETAG, head.hash.to_header());
    response
}

fn content_type(head: &Head) -> HeaderValue {
    match head.content_type.as_bytes() {
        [] => UNKNOWN_TYPE,
        bytes => HeaderValue::from_bytes(bytes).unwrap_or(UNKNOWN_TYPE),
    }
}
