//! Whether a client's copy of a file is still the file.
//!
//! `ServeDir` answers 304 to whoever has a copy that is as new as the file or newer. After a roll-back the file is the
//! older one, and clients would keep the version that was taken back. So the client's date has to be the very one
//! of the file, as nginx has it (`if_modified_since exact`).

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_MODIFIED_SINCE, LAST_MODIFIED,
};
use axum::middleware::Next;
use axum::response::Response;

/// Answers 304 where the date of the client's copy is that of the file.
pub(crate) async fn by_exact_date(mut request: Request, next: Next) -> Response {
    let copy = request.headers_mut().remove(IF_MODIFIED_SINCE);
    let mut response = next.run(request).await;
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
