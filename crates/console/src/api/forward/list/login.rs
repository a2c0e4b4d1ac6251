//! How a browser comes to a token by its code, and ends it.

use axum::http::Method;

use super::{Carries, Forwarded, Verb, change};

const PATH: &str = "/v1/login";

pub(super) const LOGIN: &[Forwarded] =
    &[change(Verb::Post, PATH, Carries::Small), change(Verb::Delete, PATH, Carries::Nothing)];

/// Whether a browser brings its code, for which it needs no token.
pub(crate) fn is_login(method: &Method, path: &str) -> bool {
    method == Method::POST && path == PATH
}
