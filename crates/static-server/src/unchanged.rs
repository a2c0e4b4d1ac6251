//! Whether what a client has of a file is still the file.
//!
//! A copy is asked about each time: where only its date is known, browsers and caches keep it for a tenth of its age
//! without a word (RFC 9111, 4.2.2), and a deploy would show a day later.
//!
//! `ServeDir` answers 304 to whoever has a copy that is as new as the file or newer. After a roll-back the file is the
//! older one, and clients would keep the version that was taken back. So the client's date has to be the very one
//! of the file, as nginx has it (`if_modified_since exact`).

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    IF_MODIFIED_SINCE, IF_RANGE, LAST_MODIFIED, RANGE, VARY,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

/// Answers 304 where the date of the client's copy is that of the file, and all of the file where the client has a part
/// of one that it wants to be sure of.
pub(crate) async fn by_exact_date(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let copy = headers.remove(IF_MODIFIED_SINCE);
    // `ServeDir` does not know it, and would answer with a part of another version. All of it is always right.
    if headers.contains_key(IF_RANGE) {
        headers.remove(RANGE);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // A file may have a compressed one beside it.
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let is_same = copy.is_some() && response.headers().get(LAST_MODIFIED) == copy.as_ref();
    if response.status() == StatusCode::OK && is_same {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        for header in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_RANGE] {
            response.headers_mut().remove(header);
        }
        *response.body_mut() = Body::empty();
    }
    response
}
