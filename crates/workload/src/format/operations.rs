//! The requests of a scenario: operations on objects, or plain HTTP requests.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use model::value::{Invalid, check};

use super::within;
use crate::http_request::HttpRequest;
use crate::objects::{Objects, Sizes};
use crate::operation::Operations;
use crate::raw::RawHttpRequest;

const MAX_KEYS: f64 = 100_000.0;
const MAX_WEIGHT: f64 = 1_000_000.0;
/// A body carries its version and its size in front, 16 bytes.
const MIN_BYTES: f64 = 16.0;
const MAX_BYTES: f64 = 67_108_864.0;
const MAX_REQUESTS: usize = 1_000;

const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];
/// They say how a message is sent, which is the generator's own affair.
const OWN_HEADERS: [HeaderName; 4] = [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];

pub(super) fn checked(
    objects: Option<Objects>,
    raw_requests: &[RawHttpRequest],
) -> Result<Operations, Invalid> {
    match objects {
        Some(objects) => {
            let allowed = "none in a scenario with objects";
            check(raw_requests.is_empty(), "requests", "given", allowed)?;
            check_objects(&objects)?;
            Ok(Operations::Objects(objects))
        }
        None => {
            let allowed = format!("1 to {MAX_REQUESTS} of them, or [objects]");
            let count = raw_requests.len();
            check((1..=MAX_REQUESTS).contains(&count), "the number of requests", count, allowed)?;
            let requests = raw_requests.iter().enumerate();
            let requests = requests.map(|(index, raw)| {
                request(raw).map(Arc::new).map_err(|error| error.of_item("requests", index))
            });
            Ok(Operations::Http(requests.collect::<Result<_, _>>()?))
        }
    }
}

fn check_objects(objects: &Objects) -> Result<(), Invalid> {
    let Objects { get, put, delete, count, zipf_exponent, ref size } = *objects;
    within("objects.get", get, 0.0..=MAX_WEIGHT)?;
    within("objects.put", put, 0.0..=MAX_WEIGHT)?;
    within("objects.delete", delete, 0.0..=MAX_WEIGHT)?;
    let sum = get + put + delete;
    check(sum > 0, "the sum of objects.get, put and delete", sum, "at least 1")?;
    within("objects.count", count, 1.0..=MAX_KEYS)?;
    within("objects.zipf_exponent", zipf_exponent, 0.0..=10.0)?;
    check_sizes(size)
}

fn check_sizes(size: &Sizes) -> Result<(), Invalid> {
    let largest =
        |name: &str, value| within(format!("objects.size.{name}"), value, MIN_BYTES..=MAX_BYTES);
    match *size {
        Sizes::Fixed { bytes } => largest("bytes", bytes),
        Sizes::Uniform { min_bytes, max_bytes } => {
            within("objects.size.min_bytes", min_bytes, MIN_BYTES..=f64::from(max_bytes))?;
            largest("max_bytes", max_bytes)
        }
        Sizes::Lognormal { median_bytes, sigma, min_bytes, max_bytes } => {
            largest("max_bytes", max_bytes)?;
            let (min, max) = (f64::from(min_bytes), f64::from(max_bytes));
            within("objects.size.min_bytes", min_bytes, MIN_BYTES..=max)?;
            within("objects.size.median_bytes", median_bytes, min..=max)?;
            within("objects.size.sigma", sigma, 0.0..=10.0)
        }
    }
}

fn request(raw: &RawHttpRequest) -> Result<HttpRequest, Invalid> {
    let (weight, text) = (raw.weight.unwrap_or(1), raw.expected_text.clone());
    within("requests.weight", weight, 1.0..=MAX_WEIGHT)?;
    let method = method(raw.method.as_deref().unwrap_or("GET"))?;
    let is_readable = text.as_ref().is_none_or(|text| !text.is_empty() && method != Method::HEAD);
    let allowed = "some text, and not with HEAD, whose answer has no body";
    let value = format!("{:?}", text.as_deref().unwrap_or_default());
    check(is_readable, "requests.expected_text", value, allowed)?;
    Ok(HttpRequest {
        weight,
        method,
        path: path(&raw.path)?,
        headers: headers(raw)?,
        body: raw.body.clone().into(),
        expected_statuses: statuses(raw.expected_statuses.as_deref().unwrap_or(&[200]))?,
        expected_text: text,
    })
}

fn method(word: &str) -> Result<Method, Invalid> {
    let known = METHODS.into_iter().find(|method| method.as_str() == word);
    let names = METHODS.map(|method| method.to_string()).join(", ");
    known.ok_or_else(|| Invalid::new("requests.method", word, format!("one of {names}")))
}

fn path(text: &str) -> Result<PathAndQuery, Invalid> {
    let parsed = text.parse().ok().filter(|parsed: &PathAndQuery| {
        // A fragment is cut off, for no client sends it.
        text.is_ascii() && text.starts_with('/') && parsed.as_str() == text
    });
    let allowed = "a path such as /items?limit=10, other characters than those of a URL as %XX";
    parsed.ok_or_else(|| Invalid::new("requests.path", text, allowed))
}

fn headers(raw: &RawHttpRequest) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    for (name, value) in &raw.headers {
        let key = || format!("requests.headers.{name}");
        let parsed = HeaderName::try_from(name).ok().filter(|name| !OWN_HEADERS.contains(name));
        let parsed = parsed.ok_or_else(|| {
            let allowed = "the name of a header other than host, connection, content-length and \
                           transfer-encoding";
            Invalid::new(key(), name, allowed)
        })?;
        let value = HeaderValue::try_from(value)
            .map_err(|_| Invalid::new(key(), format!("{value:?}"), "text without line breaks"))?;
        headers.append(parsed, value);
    }
    Ok(headers)
}

fn statuses(raw: &[u16]) -> Result<Vec<StatusCode>, Invalid> {
    let key = "requests.expected_statuses";
    let allowed = "one or more from 200 to 599";
    let known = raw.iter().map(|code| {
        let status = StatusCode::from_u16(*code).ok();
        status.filter(|_| (200..600).contains(code)).ok_or_else(|| Invalid::new(key, code, allowed))
    });
    check(!raw.is_empty(), key, "[]", allowed)?;
    known.collect()
}
