//! The requests of a scenario: operations on objects, or plain HTTP requests.

use std::ops::RangeInclusive;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use model::value::{Invalid, check};

use super::bounds::within;
use crate::http_request::HttpRequest;
use crate::objects::{Keys, Mix, Objects, Sizes};
use crate::operation::Operations;
use crate::raw::{RawHttpRequest, RawObjects, RawSize};

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
    raw_objects: Option<RawObjects>,
    raw_requests: &[RawHttpRequest],
) -> Result<Operations, Invalid> {
    match raw_objects {
        Some(raw) => {
            let allowed = "none in a scenario with objects";
            check(raw_requests.is_empty(), "requests", "given", allowed)?;
            Ok(Operations::Objects(objects(&raw)?))
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

fn objects(raw: &RawObjects) -> Result<Objects, Invalid> {
    let mix = Mix {
        get: within("objects.get", raw.get, 0.0..=MAX_WEIGHT)?,
        put: within("objects.put", raw.put, 0.0..=MAX_WEIGHT)?,
        delete: within("objects.delete", raw.delete, 0.0..=MAX_WEIGHT)?,
    };
    let sum = mix.get + mix.put + mix.delete;
    check(sum > 0, "the sum of objects.get, put and delete", sum, "at least 1")?;
    let keys = Keys {
        count: within("objects.count", raw.count, 1.0..=MAX_KEYS)?,
        zipf_exponent: within("objects.zipf_exponent", raw.zipf_exponent, 0.0..=10.0)?,
    };
    Ok(Objects { mix, keys, sizes: sizes(&raw.size)? })
}

fn sizes(raw: &RawSize) -> Result<Sizes, Invalid> {
    let bytes = |name: &str, value: u32, range: RangeInclusive<f64>| {
        within(format!("objects.size.{name}"), value, range)
    };
    Ok(match *raw {
        RawSize::Fixed { bytes: value } => {
            Sizes::Fixed { bytes: bytes("bytes", value, MIN_BYTES..=MAX_BYTES)? }
        }
        RawSize::Uniform { min_bytes, max_bytes } => Sizes::Uniform {
            min: bytes("min_bytes", min_bytes, MIN_BYTES..=f64::from(max_bytes))?,
            max: bytes("max_bytes", max_bytes, MIN_BYTES..=MAX_BYTES)?,
        },
        RawSize::Lognormal { median_bytes, sigma, min_bytes, max_bytes } => Sizes::Lognormal {
            max: bytes("max_bytes", max_bytes, MIN_BYTES..=MAX_BYTES)?,
            min: bytes("min_bytes", min_bytes, MIN_BYTES..=f64::from(max_bytes))?,
            median: bytes(
                "median_bytes",
                median_bytes,
                f64::from(min_bytes)..=f64::from(max_bytes),
            )?,
            sigma: within("objects.size.sigma", sigma, 0.0..=10.0)?,
        },
    })
}

fn request(raw: &RawHttpRequest) -> Result<HttpRequest, Invalid> {
    let text = raw.expected_text.clone();
    let method = method(raw.method.as_deref().unwrap_or("GET"))?;
    let is_readable = text.as_ref().is_none_or(|text| !text.is_empty() && method != Method::HEAD);
    let allowed = "some text, and not with HEAD, whose answer has no body";
    let value = format!("{:?}", text.as_deref().unwrap_or_default());
    check(is_readable, "requests.expected_text", value, allowed)?;
    Ok(HttpRequest {
        weight: within("requests.weight", raw.weight.unwrap_or(1), 1.0..=MAX_WEIGHT)?,
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
