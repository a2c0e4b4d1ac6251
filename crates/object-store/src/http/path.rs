//! The id in a request's path, decoded once and checked.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use service::problem::Problem;

use crate::id::ObjectId;

/// Takes the id from the path as it was sent; axum's own extractor would decode it, too, but
/// accepts escapes that are not well formed.
pub(super) struct InPath(pub(super) ObjectId);

impl<S: Sync> FromRequestParts<S> for InPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let raw = parts.uri.path().strip_prefix("/objs/").unwrap_or_default();
        Ok(Self(ObjectId::from_url_path(raw)?))
    }
}
